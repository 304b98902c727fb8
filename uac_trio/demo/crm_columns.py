"""How PHP and MariaDB convert the text of a form field before it is stored in a row.

vTiger needs MariaDB's relaxed mode (``sql_mode=''``): nothing is refused, every value is coerced to its column. Each
rule was seen in a running CRM (see fixtures/vtiger_exchanges.jsonl) unless it says otherwise.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Iterator
from decimal import ROUND_HALF_UP, Decimal

ZERO_TIME = "0000-00-00 00:00:00"
INT_MIN, INT_MAX = -(2**31), 2**31 - 1
WIDTHS = {
    "sourceuuid": 100,
    "direction": 10,
    "callstatus": 20,
    "recordingurl": 200,
    "customernumber": 100,
    "incominglinename": 100,
}
"""Characters; a longer value is truncated silently."""

_TAG = re.compile(r"<[A-Za-z!/?][^>]*>")
_ABOVE_BMP = re.compile(r"[\U00010000-\U0010ffff]")
_LONE_SURROGATE = re.compile(r"[\ud800-\udfff]")
_NUMBER = re.compile(r"\s*([+-]?\d+(?:\.\d*)?)")
_TIME = re.compile(r"(\d{4})[-/](\d{1,2})[-/](\d{1,2})[ T](\d{1,2}):(\d{1,2})(?::(\d{1,2}))?")


def purified(value: str) -> str:
    """``value`` after the purifier and the utf8mb3 connection.

    Invalid UTF-8 (lone surrogates here) empties the field; a 4-byte character becomes ``????``; tag-like text is
    removed. HTML tags that the purifier knows, such as ``<b>``, were not tried.
    """
    if _LONE_SURROGATE.search(value):
        return ""
    return _ABOVE_BMP.sub("????", _TAG.sub("", value))


def cut(column: str, value: str) -> str:
    """``value`` truncated to the column's width."""
    return value[: WIDTHS[column]]


def truthy(value: str) -> bool:
    """Whether a string is true in PHP."""
    return value not in {"", "0"}


def json_leaves(value: str) -> tuple[str, ...] | None:
    """The scalars of a value that vTiger decodes as JSON, or None if it stays text.

    Vtiger_Request decodes every value that starts with ``[`` or ``{``. The database layer then spreads the array over
    the statement's parameters: one scalar works like plain text, any other number breaks the statement.
    """
    if not value.startswith(("[", "{")):
        return None
    try:
        decoded = json.loads(value, parse_constant=_no_constants)
    except ValueError:
        return None
    return tuple(_scalars(decoded))


def _no_constants(name: str) -> object:
    """PHP does not accept NaN and Infinity in JSON."""
    raise ValueError(name)


def _scalars(decoded: object) -> Iterator[str]:
    if isinstance(decoded, dict):
        decoded = list(decoded.values())
    if isinstance(decoded, list):
        for item in decoded:
            yield from _scalars(item)
    else:
        yield "" if decoded is None else str(decoded)


def datetime_column(value: str) -> str:
    """``value`` in a DATETIME column: zone and fractions are dropped, an invalid value becomes the zero time."""
    found = _TIME.match(value)
    if found is None:
        return ZERO_TIME
    year, month, day, hour, minute, second = (int(part or 0) for part in found.groups())
    try:
        moment = dt.datetime(year, month, day, hour, minute, second)  # noqa: DTZ001 - wall clock of the CRM
    except ValueError:
        return ZERO_TIME
    return moment.strftime("%Y-%m-%d %H:%M:%S") if year >= 1000 else ZERO_TIME


def int_column(value: str) -> int:
    """``value`` in an INT column: its leading number, rounded half up and clamped to 32 bits; else 0."""
    found = _NUMBER.match(value)
    if found is None:
        return 0
    rounded = int(Decimal(found.group(1)).to_integral_value(rounding=ROUND_HALF_UP))
    return max(INT_MIN, min(INT_MAX, rounded))


def like(pattern: str) -> re.Pattern[str]:
    """SQL's LIKE, ignoring case: vTiger pastes numbers in, so that ``%`` and ``_`` of a caller are wildcards."""
    parts = (".*" if letter == "%" else "." if letter == "_" else re.escape(letter) for letter in pattern)
    return re.compile("".join(parts), re.IGNORECASE | re.DOTALL)
