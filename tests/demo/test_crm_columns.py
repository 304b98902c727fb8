"""What the CRM's columns make of odd values."""

from __future__ import annotations

import pytest

from uac_trio.demo import crm_columns as columns


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("2026-11-23 05:00:00", "2026-11-23 05:00:00"),
        ("2026-11-23T05:00:00+03:00", "2026-11-23 05:00:00"),
        ("2026/11/23 05:00", "2026-11-23 05:00:00"),
        ("2026-13-01 05:00:00", columns.ZERO_TIME),
        ("0000-00-00 00:00:00", columns.ZERO_TIME),
        ("0999-01-01 00:00:00", columns.ZERO_TIME),
        ("1763877600", columns.ZERO_TIME),
        ("", columns.ZERO_TIME),
    ],
)
def test_times(sent: str, kept: str) -> None:
    """A time loses its zone, and is the zero time where it cannot be read."""
    assert columns.datetime_column(sent) == kept


@pytest.mark.parametrize(
    ("sent", "kept"),
    [("120", 120), ("12.7", 13), ("12.5", 13), ("-5", -5), ("abc", 0), ("", 0), ("7s", 7), ("99999999999", 2**31 - 1)],
)
def test_numbers(sent: str, kept: int) -> None:
    """A number is its leading digits, rounded, within 32 bits."""
    assert columns.int_column(sent) == kept


@pytest.mark.parametrize(
    ("sent", "leaves"),
    [
        ("[1,2]", ("1", "2")),
        ('{"a":{"b":[null,"x"]}}', ("", "x")),
        ("[]", ()),
        ("[Sales] line", None),
        ("[NaN]", None),
        ("12", None),
        ('"x"', None),
    ],
)
def test_json(sent: str, leaves: tuple[str, ...] | None) -> None:
    """Only whole JSON arrays and objects are decoded; numbers, strings and near misses stay text."""
    assert columns.json_leaves(sent) == leaves
