"""``--since`` and ``--until``: the same times in every command."""

from __future__ import annotations

from datetime import UTC, datetime

import click
import pytest

from uac_trio.cli.moment import chosen_moment, moment

AT = datetime(2026, 11, 28, 12, 0, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("30m", AT - 1800),
        (" 12h ", AT - 43_200),
        ("3 d", AT - 259_200),
        ("2026-11-28 09:30+00:00", AT - 9000),
        ("2026-11-28T12:30:00+03:00", AT - 9000),
        ("2026-11-28", datetime(2026, 11, 28).astimezone().timestamp()),
        ("999999d", 0.0),
        ("0002-01-01T00:00+00:00", 0.0),
    ],
)
def test_moment(text: str, expected: float) -> None:
    assert moment(text, AT) == expected


def test_today() -> None:
    """A clock alone is one of today, in this machine's zone."""
    found = datetime.fromtimestamp(moment("9:05", AT)).astimezone()
    assert (found.date(), f"{found:%H:%M:%S}") == (datetime.fromtimestamp(AT).astimezone().date(), "09:05:00")


@pytest.mark.parametrize("text", ["", "yesterday", "25:00", "9" * 400 + "d", "0001-01-01", "12x", "-3d"])
def test_no_time(text: str) -> None:
    """The value and what was expected are in the error; a time that no clock has is none."""
    with pytest.raises(click.BadParameter, match=r"is no time; expected a time such as"):
        chosen_moment(click.Context(click.Command("any")), click.Option(["--since"]), text)
