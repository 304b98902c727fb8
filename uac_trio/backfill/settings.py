"""``[[pbx]] cdr``: where a PBX keeps its CDR."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import attrs
import sqlalchemy as sa

from uac_trio.settings import setting, values

FILE = "csv"
DRIVERS = ("mysql+pymysql", "postgresql+psycopg", "sqlite", FILE)

EXPECTED = (
    "mysql+pymysql://USER:PASSWORD@HOST/asteriskcdrdb, postgresql+psycopg://USER:PASSWORD@HOST/DATABASE or "
    "csv:///var/log/asterisk/cdr-csv/Master.csv"
)


def _address(value: object) -> str:
    """An address of a known kind. Its password is in no message."""
    text = values.filled(value)
    try:
        url = sa.make_url(text)
    except (sa.exc.ArgumentError, ValueError) as why:
        raise values.WrongValueError(EXPECTED) from why
    is_file = url.drivername in (FILE, "sqlite")
    if url.drivername not in DRIVERS or not url.database or (is_file and url.host):
        raise values.WrongValueError(EXPECTED)
    return str(text)


def has_password(address: str) -> bool:
    """Of an address that ``[[pbx]] cdr`` takes."""
    return sa.make_url(address).password is not None


def _zone(value: object) -> str:
    text = values.text(value)
    try:
        ZoneInfo(text or "UTC")
    except (ValueError, OSError, KeyError) as why:
        raise values.WrongValueError("the name of a time zone such as Europe/Moscow") from why
    return str(text)


@attrs.frozen(kw_only=True)
class CdrSettings:
    """Off by default. One line switches it on."""

    pbx: str
    """Its name."""
    address: str = attrs.field(
        default="",
        repr=False,
        metadata=setting(
            _address,
            "Where this PBX keeps its CDR, from which calls are filled in that no connector watched (backfill.md): "
            f"`{EXPECTED.replace(', ', '`, `').replace(' or ', '` or `')}`. Unset: nothing is filled in.",
            key="cdr",
            secret=True,
        ),
    )
    zone: str = attrs.field(
        default="",
        metadata=setting(
            _zone,
            "The time zone of that CDR. Unset: it is found from the data, which shows it but for uniqueids of an "
            "unusual form.",
            key="cdr_zone",
        ),
    )
