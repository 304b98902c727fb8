"""Opens the source that an address names, and reads it by the rules of a configuration."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import sqlalchemy as sa

from uac_trio.backfill.files import CdrFile
from uac_trio.backfill.filling import PBXCdr
from uac_trio.backfill.settings import FILE, CdrSettings
from uac_trio.backfill.source import CdrSource
from uac_trio.backfill.table import CdrTable
from uac_trio.calls.rules import TrackerRules
from uac_trio.crm.protocol import CRM
from uac_trio.crm.recording import recording_token


def open_source(settings: CdrSettings) -> CdrSource:
    """Reads nothing yet. Raises CdrError for a driver that is not installed."""
    url = sa.make_url(settings.address)
    if url.drivername != FILE:
        return CdrTable(url)
    columns = str(url.query.get("columns", ""))
    return CdrFile(Path("/", str(url.database)), tuple(columns.split(",")) if columns else ())


def open_cdr(settings: CdrSettings, rules: TrackerRules, crm: CRM, *, has_links: bool) -> PBXCdr:
    """What is read of a PBX and how. ``has_links``: the CRM gets links to recordings. Raises CdrError."""
    return PBXCdr(
        pbx=settings.pbx,
        source=open_source(settings),
        rules=rules,
        crm=crm,
        token=partial(recording_token, crm.secret) if has_links else lambda _: "",
        zone=settings.zone,
    )
