"""The transfers of one call."""

from __future__ import annotations

import pytest

from tests.calls.pieces import dial, phone
from uac_trio.calls.transfers import PARKING_ORDER, Transfer, Transfers, TransferType

ASKED = dial(None, phone("1.4", "103"))


def transfers(*all_: Transfer) -> Transfers:
    made = Transfers()
    for each in all_:
        made.add(each)
    return made


def by_anna(kind: TransferType = "blind", to: str = "102", at: float = 10.0, **more: object) -> Transfer:
    return Transfer(kind, "101", to, at, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("parties", "answered", "to"),
    [
        ([], False, ""),
        (["101"], False, ""),
        (["102"], True, "102"),
        (["101", "102"], True, "102"),
        (["102", "103"], True, "103"),
    ],
)
def test_an_answer(parties: list[str], answered: bool, to: str) -> None:
    """The customer talks to another than who handed them on."""
    given = transfers(by_anna())
    assert given.answer(parties) == to
    assert [each.answered for each in given] == [answered]
    assert given.are_answered is answered
    assert given.is_under_way is not answered


def test_a_consultation_is_not_carried_out() -> None:
    """A colleague who is asked first answers no transfer; when it is carried out the attempt is taken out."""
    attempt = by_anna("attended", consulting=ASKED)
    given = transfers(attempt)
    assert given.answer(["103"]) == ""
    assert not given.is_under_way
    assert given.end_consultation() is attempt
    assert (list(given), len(given), given.end_consultation()) == ([], 0, None)


@pytest.mark.parametrize(
    ("kind", "parker", "at", "left"),
    [
        ("blind", "101", 10.0, 0),
        ("blind", "101", 10.0 + PARKING_ORDER - 0.1, 0),
        ("blind", "101", 10.0 + PARKING_ORDER, 1),
        ("blind", "102", 10.0, 1),
        ("attended", "101", 10.0, 1),
    ],
)
def test_parking(kind: TransferType, parker: str, at: float, left: int) -> None:
    """The blind transfer to the parking extension, by the parker and a moment before, is part of the parking."""
    given = transfers(by_anna(kind, "700"))
    given.park(parker, at)
    assert len(given) == left
    assert given.is_under_way
    assert (given.unpark(), given.unpark()) == (parker, "")


def test_parking_after_an_answered_transfer() -> None:
    """Another transfer, which was answered, stays."""
    given = transfers(by_anna(answered=True))
    given.park("101", 10.0)
    assert len(given) == 1


def test_a_number_with_a_prefix() -> None:
    """The dialplan took the prefix off; what was answered before is not corrected."""
    before, now = by_anna(to="9102", answered=True), by_anna(to="9102")
    given = transfers(before, now)
    given.correct_number("102")
    assert (before.to, now.to) == ("9102", "102")
    given.correct_number("777")
    assert now.to == "102"
