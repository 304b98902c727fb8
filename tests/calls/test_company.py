"""Whose call it is on a shared PBX."""

from __future__ import annotations

from typing import Any

import pytest

from tests.calls.pieces import call, hung_up, line, phone
from uac_trio.calls.call import Call, Orientation
from uac_trio.calls.company import is_anothers, is_ours
from uac_trio.calls.endpoint import Evidence
from uac_trio.calls.participation import Participation, Role
from uac_trio.calls.rules import TrackerRules

SHARED = TrackerRules(only_endpoints="^t1_")
NUMBERS = TrackerRules(only_dids=["4951000101"])
TENANTS = TrackerRules(only_tenants=["acme"])


def of_line(did: str = "", **shown: Any) -> Call:
    """An incoming call of which only the line is there."""
    made = call()
    line("1.1", made, **shown)
    made.orientation = Orientation(did=did)
    return made


def with_employee() -> Call:
    made = of_line()
    phone("1.2", "101", made)
    return made


def with_participation() -> Call:
    made = of_line()
    made.participations.add(Participation("101", Role.CALLEE, "1.2", 0.0))
    return made


@pytest.mark.parametrize(
    ("one", "rules", "ours"),
    [
        (of_line(), TrackerRules(), True),
        (of_line(), SHARED, False),
        (with_employee(), SHARED, True),
        (with_participation(), SHARED, True),
        (of_line("4951000101"), NUMBERS, True),
        (of_line("4959999999"), NUMBERS, False),
    ],
)
def test_ours(one: Call, rules: TrackerRules, ours: bool) -> None:
    """An employee takes part, or a number of ours was dialled; on a PBX of one company every call."""
    assert is_ours(one, rules) is ours


def test_an_employee_who_is_gone() -> None:
    """A device of ours that hung up and took no part does not make a call ours."""
    one = with_employee()
    hung_up(one.channels.latest, 1.0)
    assert not is_ours(one, SHARED)


@pytest.mark.parametrize(
    ("one", "rules", "anothers"),
    [
        (of_line(evidence=Evidence.NOT_OURS), TrackerRules(), False),
        (of_line(evidence=Evidence.NOT_OURS), SHARED, True),
        (of_line(), SHARED, False),
        (with_employee(), NUMBERS, False),
        (of_line("4951000101"), NUMBERS, False),
        (of_line("4959999999"), NUMBERS, True),
        (of_line(tenant="other"), TENANTS, True),
        (of_line(tenant="acme"), TENANTS, False),
    ],
)
def test_anothers(one: Call, rules: TrackerRules, anothers: bool) -> None:
    """Another number was dialled, or a line or phone of another company took part."""
    assert is_anothers(one, rules) is anothers
