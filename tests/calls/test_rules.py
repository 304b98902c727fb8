"""What an administrator says of an installation."""

from __future__ import annotations

import re

import pytest

from uac_trio.calls.rules import TrackerRules, national_number


@pytest.mark.parametrize(
    ("rules", "employees", "others"),
    [
        (TrackerRules(), ["10", "101", "54321"], ["1", "123456", "+101", "1o1", "101 ", ""]),
        (TrackerRules(extensions=r"2\d\d"), ["200", "299"], ["101", "2000", "1200"]),
        (TrackerRules(extensions=["101", "anna"]), ["101", "anna"], ["102"]),
        (TrackerRules(extensions=frozenset({"7"})), ["7"], ["77"]),
        (TrackerRules(extensions=re.compile("1..")), ["1ab"], ["1abc"]),
    ],
)
def test_who_is_an_employee(rules: TrackerRules, employees: list[str], others: list[str]) -> None:
    """A pattern must match the whole number; a list is taken as it is."""
    assert [number for number in employees + others if rules.is_extension(number)] == employees


@pytest.mark.parametrize(
    "dialled",
    ["+79261234567", "79261234567", "89261234567", "9261234567", "989261234567", "00079261234567"],
)
def test_a_mobile_is_known_however_it_is_dialled(dialled: str) -> None:
    """The national number decides; prefixes of country, trunk and office do not."""
    rules = TrackerRules(mobiles={"+7 926 123-45-67": "203"})
    assert rules.owner_of_mobile(dialled) == "203"


@pytest.mark.parametrize("dialled", ["", "1234567", "9261234568", "+79031234567", "101"])
def test_others_numbers_are_nobodys_mobile(dialled: str) -> None:
    assert TrackerRules(mobiles={"+79261234567": "203"}).owner_of_mobile(dialled) == ""


@pytest.mark.parametrize("number", ["", "anna", "112", "+7"])
def test_what_is_no_mobile(number: str) -> None:
    """The error shows the number and the form that is expected."""
    with pytest.raises(ValueError, match="write it as"):
        national_number(number, "RU")


def test_a_shared_pbx() -> None:
    """Endpoint, context and tenant limit whose devices are ours; without a limit all are."""
    assert TrackerRules().is_our_device("t2_101", "any", "")
    assert not TrackerRules().is_shared()
    rules = TrackerRules(only_endpoints="^t1_", only_contexts="^t1-", only_tenants=["acme"])
    assert rules.is_shared()
    assert rules.is_our_device("t1_101", "t1-internal", "acme")
    assert not rules.is_our_device("t2_101", "t1-internal", "acme")
    assert not rules.is_our_device("t1_101", "t2-internal", "acme")
    assert not rules.is_our_device("t1_101", "t1-internal", "")
