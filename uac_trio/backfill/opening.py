"""Opens the source that an address names."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from uac_trio.backfill.files import CdrFile
from uac_trio.backfill.settings import FILE, CdrSettings
from uac_trio.backfill.source import CdrSource
from uac_trio.backfill.table import CdrTable


def open_source(settings: CdrSettings) -> CdrSource:
    """Reads nothing yet. Raises CdrError for a driver that is not installed."""
    url = sa.make_url(settings.address)
    if url.drivername != FILE:
        return CdrTable(url)
    columns = str(url.query.get("columns", ""))
    return CdrFile(Path("/", str(url.database)), tuple(columns.split(",")) if columns else ())
