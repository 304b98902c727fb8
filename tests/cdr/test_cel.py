"""A row of CEL as a value."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from uac_trio.cdr.cel import cel_row
from uac_trio.cdr.row import RowError

LEAST = {"eventtype": "ANSWER", "eventtime": "100.5", "uniqueid": "1.1"}
T0 = datetime(2026, 11, 28, 3, 53, 20, tzinfo=UTC)


def test_all_columns() -> None:
    """By their names in any case; what is absent is empty."""
    row = cel_row(
        {
            **LEAST, "id": "42", "CID_NAME": "Anna", "cid_num": "101", "exten": "102", "context": "office",
            "channame": "PJSIP/101-01", "appname": "Dial", "appdata": "x", "linkedid": "1.0", "peer": None,
            "extra": '{"hangupcause": 16, "hangupsource": "x"}',
        },
        7,
    )  # fmt: skip
    assert (row.type, row.at, row.is_absolute, row.order) == ("ANSWER", 100.5, True, 42)
    assert (row.name, row.number, row.exten, row.context) == ("Anna", "101", "102", "office")
    assert (row.channel, row.app, row.data, row.linkedid) == ("PJSIP/101-01", "Dial", "x", "1.0")
    assert row.extra == {"hangupcause": "16", "hangupsource": "x"}
    least = cel_row(LEAST, 7)
    assert (least.order, least.channel, least.extra) == (7, "", {})


@pytest.mark.parametrize(
    ("value", "at", "is_absolute"),
    [
        (1.5, 1.5, True),
        ("2026-11-28 03:53:20", T0.timestamp(), False),
        ("2026-11-28 03:53:20.250000", T0.timestamp() + 0.25, False),
        (T0.replace(tzinfo=None), T0.timestamp(), False),
        (T0.astimezone(timezone(timedelta(hours=3))), T0.timestamp(), True),
    ],
)
def test_time(value: object, at: float, is_absolute: bool) -> None:
    """Since the epoch, or the wall clock counted as UTC."""
    row = cel_row({**LEAST, "eventtime": value}, 0)
    assert (row.at, row.is_absolute) == (at, is_absolute)


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("uniqueid", "", "it has no uniqueid or no eventtype"),
        ("eventtype", None, "it has no uniqueid or no eventtype"),
        ("eventtime", "yesterday", "its eventtime 'yesterday' is no time"),
    ],
)
def test_no_row(column: str, value: object, words: str) -> None:
    """The text says why."""
    with pytest.raises(RowError, match=words):
        cel_row({**LEAST, column: value}, 0)


@pytest.mark.parametrize("extra", ["", '{"hangupcause": 1', "[1]", "null"])
def test_no_extra(extra: str) -> None:
    """The JSON may be cut at the column's width; ``eventextra`` is its name in some tables."""
    assert cel_row({**LEAST, "extra": extra}, 0).extra == {}
    assert cel_row({**LEAST, "eventextra": '{"a": "b"}'}, 0).extra == {"a": "b"}
