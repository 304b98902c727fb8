"""``[store]`` of the configuration, and what is wrong with its database, in words."""

from __future__ import annotations

import sys
from pathlib import Path

import attrs
import sqlalchemy as sa

from uac_trio.settings import setting, values

SQLITE = "sqlite"
POSTGRESQL = "postgresql+psycopg"

INSTALL_DRIVER = f"run: {sys.executable} -m pip install 'psycopg[binary]'"


class OutboxError(Exception):
    """The outbox's database cannot be used (now). The text says which, why and what to do; it holds no password.

    A delivery whose ``put`` failed so is not in the outbox: the caller keeps it and tries again.
    """


def _address(value: object) -> str:
    """In a file of its own it may have spaces and line ends around it."""
    return values.filled(value.strip() if isinstance(value, str) else value)


@attrs.frozen(kw_only=True)
class OutboxSettings:
    url: str = attrs.field(
        default="sqlite:////var/lib/uac-trio/connector.db",
        metadata=setting(
            _address,
            "`sqlite:///relative.db`, `sqlite:////absolute.db` or `postgresql+psycopg://user:password@host/database`.",
            secret=True,
        ),
    )
    busy_timeout: float = attrs.field(
        default=5.0,
        metadata=setting(
            values.seconds(0.1, 60), "Seconds to wait for a database file that another program has locked."
        ),
    )
    keep_delivered: float = attrs.field(
        default=7 * 86400.0,
        metadata=setting(
            values.seconds(3600, 10 * 365 * 86400),
            "Seconds for which delivered rows are kept: they drop doubles after a restart, and hold personal data.",
        ),
    )
    pool_size: int = attrs.field(
        default=4,
        metadata=setting(values.whole(1, 100), "Connections to PostgreSQL."),
    )


def shown(url: sa.URL) -> str:
    return url.render_as_string(hide_password=True)


def parse_url(text: str) -> sa.URL:
    expected = "expected sqlite:///FILE or postgresql+psycopg://USER:PASSWORD@HOST/DATABASE"
    try:
        url = sa.make_url(text)
    except (sa.exc.ArgumentError, ValueError) as error:
        raise OutboxError(f"[store] url is no database address; {expected}") from error
    if url.drivername not in (SQLITE, POSTGRESQL):
        raise OutboxError(f"[store] url {shown(url)}: {url.drivername} is not supported; {expected}")
    if url.drivername == SQLITE and (not url.database or url.database.startswith((":memory:", "file:"))):
        raise OutboxError("[store] url must name a file, since the outbox has to outlive us: sqlite:///connector.db")
    if url.drivername == SQLITE and url.host:
        raise OutboxError(f"[store] url {shown(url)}: a file has three slashes before its path, sqlite:///connector.db")
    return url


def beside(text: str, directory: Path) -> str:
    """The address ``text``, a relative file of SQLite as one of ``directory``. Raises OutboxError."""
    url = parse_url(text)
    if url.drivername != SQLITE:
        return text
    return str(url.set(database=str(directory / str(url.database))))


def file_of(settings: OutboxSettings) -> Path | None:
    """The file of a store in SQLite."""
    url = parse_url(settings.url)
    return Path(str(url.database)) if url.drivername == SQLITE else None
