"""What the lab expects of the CRM's rows."""

from __future__ import annotations

import pytest

from lab.rows import Heard, expected_rows, same_number
from lab.truth import inbound

HEARD = [Heard(extension="2005", began=10.0, ended=40.0)]


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("+79161234567", "89161234567", True),
        ("+79161234567", "+79161234568", False),
        ("+2777", "2777", True),
        ("2777", "2778", False),
        ("anonymous", "anonymous", True),
        ("", "anonymous", False),
    ],
)
def test_the_same_number(one: str, other: str, is_same: bool) -> None:
    """The last ten digits count; a customer whose number looks like an employee's is shown with a plus."""
    assert same_number(one, other) is is_same


def test_times_are_those_of_the_phone() -> None:
    call = {**inbound("completed", "4956660005", talk=3.0, parts={"2005": "completed"}), "recording": None}

    (row,) = expected_rows([call], HEARD)

    assert (row.began, row.ended, row.talked) == (10.0, 40.0, 3.0)


def test_a_phone_that_was_on_the_line_before_shows_no_times() -> None:
    """An agent's call to their queue lasts all day, their part in a customer's call does not."""
    call = {
        **inbound("completed", "4956660485", talk=3.0, untimed=["2005"], parts={"2005": "completed"}),
        "recording": None,
    }

    (row,) = expected_rows([call], HEARD)

    assert (row.began, row.ended, row.talked) == (None, None, 3.0)
