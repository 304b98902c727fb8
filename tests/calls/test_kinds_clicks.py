"""Clicks: whatever lies between the Originate and the phone, one outbound row of the employee who clicked."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.calls.originate import (
    DEPTHS,
    ID,
    ORIGINATORS,
    RECORDING,
    By,
    Click,
    click,
    customer_is_away,
    customer_refuses,
    employee_hangs_up,
    employee_is_away,
    employee_refuses,
    phone_of,
    talk,
)
from tests.calls.wire import CUSTOMER, Chan, Office
from uac_trio.calls.rules import TrackerRules

ENDS: tuple[tuple[str, Callable[[Click, Chan], None], str, str, bool], ...] = (
    ("talk", talk, "completed", "completed", True),
    ("customer busy", customer_refuses("BUSY", 17), "busy", "customer-busy", True),
    ("customer busy at once", customer_refuses("BUSY", 17, rings=False), "busy", "customer-busy", False),
    ("customer rejects", customer_refuses("NOANSWER", 21), "rejected", "customer-rejected", True),
    ("customer away", customer_is_away, "no-answer", "customer-no-answer", True),
    ("employee hangs up", employee_hangs_up, "cancelled", "employee-hung-up", True),
    ("employee busy", employee_refuses("BUSY", 17), "busy", "employee-busy", False),
    ("employee rejects", employee_refuses("NOANSWER", 21), "rejected", "employee-rejected", False),
    ("employee away", employee_is_away, "no-answer", "employee-no-answer", False),
)
"""(id, what happens, outcome, the word for the click's end, whether the customer's phone rang)."""


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("by", ORIGINATORS)
@pytest.mark.parametrize(
    ("happens", "outcome", "word", "customer_rang"), [pytest.param(*row[1:], id=row[0]) for row in ENDS]
)
def test_one_outbound_row_of_who_clicked(
    office: Office, by: By, depth: int, happens: Callable[[Click, Chan], None], outcome: str, word: str,
    customer_rang: bool,
) -> None:  # fmt: skip
    """Its outcome is what the customer's phone did, or the employee's; a recording only of who talked."""
    wire = office.wire()
    one = click(wire, by, depth)
    phone = phone_of(one)
    happens(one, phone)
    one.ends(phone)
    story = wire.story()
    is_talk = outcome == "completed"
    story.shows(
        direction="outbound", customer=CUSTOMER, status=outcome, caller="101", parts={"101": outcome},
        rang=["101", CUSTOMER] if customer_rang else ["101"], answered_by=CUSTOMER if is_talk else None,
        talk_secs=5.0 if is_talk else None, recording=RECORDING if is_talk else None,
    )  # fmt: skip
    assert story.began == [("101", "caller", CUSTOMER)]
    assert story.ended == [("101", outcome)]
    assert story.recordings == ([("101", RECORDING)] if is_talk else [])
    assert story.talks == ([("101", CUSTOMER, 5.0)] if is_talk else [])
    assert story.calls[0].get("click2call", {}).get("outcome") == (None if by == "another program" else word)


# ---- Local channels that are optimised away


@pytest.mark.parametrize("by", ORIGINATORS)
@pytest.mark.parametrize("hangs_up", ["customer", "employee"])
def test_local_channels_that_go_away(office: Office, by: By, hangs_up: str) -> None:
    """The inner one at the pick-up, the outer one once the customer talks: it stays one call, with all its talk."""
    wire = office.wire()
    one = click(wire, by, 2)
    phone = phone_of(one)
    one.rings(phone)
    wire.wait(2.0)
    one.picks_up(phone)
    wire.optimise(phone, one.pairs.pop()[1])
    line = one.dials_customer()
    wire.rings(line)
    wire.wait(3.0)
    wire.answers(one.source, line)
    wire.wait(1.0)
    wire.cdr(one.source, line, RECORDING)
    wire.optimise(phone, one.pairs.pop()[1])
    wire.wait(4.0)
    first, second = (line, phone) if hangs_up == "customer" else (phone, line)
    wire.talk_ends(first, second)
    story = wire.story()
    story.shows(
        direction="outbound", customer=CUSTOMER, status="completed", caller="101", parts={"101": "completed"},
        rang=["101", CUSTOMER], answered_by=CUSTOMER, talk_secs=5.0, recording=RECORDING, transfers=[],
    )  # fmt: skip
    assert story.began == [("101", "caller", CUSTOMER)]


# ---- whom the click is for


def test_the_customer_is_as_ordered(office: Office) -> None:
    """The dialplan writes the number in another form on the way out: the row is of the one that was clicked."""
    wire = office.wire()
    one = click(wire, "ordered", 1)
    phone = phone_of(one)
    one.rings(phone)
    one.picks_up(phone)
    line = wire.dials_out(one.source, "9689161234567")
    wire.rings(line)
    wire.answers(one.source, line)
    wire.wait(5.0)
    wire.talk_ends(line, one.source)
    one.ends(phone)
    story = wire.story()
    story.shows(customer=CUSTOMER, status="completed", parts={"101": "completed"})
    assert story.began == [("101", "caller", CUSTOMER)]


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize(
    ("happens", "outcome"),
    [pytest.param(talk, "completed", id="talk"), pytest.param(employee_is_away, "no-answer", id="employee away")],
)
def test_another_program_shows_the_employee_as_caller(
    office: Office, depth: int, happens: Callable[[Click, Chan], None], outcome: str
) -> None:
    """Its CallerID is the employee's: the customer is known when dialled, or from the response, and the popup waits."""
    wire = office.wire()
    one = click(wire, "another program", depth, cid="101")
    if one.pairs:
        wire.shows(one.pairs[0][1], "101")
    phone = phone_of(one)
    wire.rings(phone)
    assert wire.so_far.began == []
    happens(one, phone)
    one.ends(phone)
    story = wire.story()
    story.shows(direction="outbound", customer=CUSTOMER, status=outcome, caller="101", parts={"101": outcome})
    assert story.began == [("101", "caller", CUSTOMER)]


@pytest.mark.parametrize("by", ORIGINATORS)
@pytest.mark.parametrize("depth", DEPTHS)
def test_a_click_on_a_colleague(office: Office, by: By, depth: int) -> None:
    """A call between employees, by the one who clicked."""
    wire = office.wire(TrackerRules(internal="report"))
    one = click(wire, by, depth, number="102", cid="102")
    if by != "another program":
        wire.shows(one.source, connected="102")
    phone = phone_of(one)
    wire.rings(phone)
    wire.wait(2.0)
    one.picks_up(phone)
    colleague = wire.dial(one.source, wire.phone("102", one.source))
    wire.rings(colleague)
    wire.wait(3.0)
    wire.answers(one.source, colleague)
    wire.wait(5.0)
    wire.talk_ends(colleague)
    one.ends(phone)
    story = wire.story()
    story.shows(
        direction="internal", customer=None, status="completed", caller="101", called="102", answered_by="102",
        parts={"101": "completed", "102": "completed"}, talk_secs=5.0,
    )  # fmt: skip
    assert sorted(story.began) == [("101", "caller", "102"), ("102", "callee", "101")]


def test_a_customer_who_is_called_first(office: Office) -> None:
    """An autodialler calls the customer, and then an employee: an outbound call; the employee's row is theirs."""
    wire = office.wire()
    line = wire.channel("PJSIP/trunk", context="from-trunk")
    wire.shows(line, CUSTOMER)
    wire.dial(None, line, f"{CUSTOMER}@trunk")
    wire.rings(line)
    wire.wait(3.0)
    wire.up(line)
    wire.dial_ends(None, line, "ANSWER")
    phone = wire.dial(line, wire.phone("101", line))
    wire.rings(phone)
    wire.wait(2.0)
    wire.answers(line, phone)
    wire.wait(5.0)
    wire.talk_ends(line, phone)
    story = wire.story()
    story.shows(direction="outbound", customer=CUSTOMER, status="completed", answered_by="101", talk_secs=5.0)
    assert story.ended == [("101", "completed")]
    assert [(extension, customer) for extension, _, customer in story.began] == [("101", CUSTOMER)]


@pytest.mark.parametrize("by", ["ordered", "ours"])
def test_a_click_whose_connector_was_restarted(office: Office, by: By) -> None:
    """While the employee's phone rings; the order is not known any more, the id of the click shows whose it is."""
    wire = office.wire()
    one = click(wire, by, 2)
    phone = phone_of(one)
    one.rings(phone)
    wire.wait(1.0)
    wire.restart_connector()
    wire.wait(1.0)
    one.picks_up(phone)
    line = one.dials_customer()
    wire.rings(line)
    wire.wait(3.0)
    wire.answers(one.source, line)
    wire.wait(5.0)
    wire.talk_ends(line)
    one.ends(phone)
    story = wire.story()
    story.shows(direction="outbound", customer=CUSTOMER, status="completed", caller="101", parts={"101": "completed"})
    assert story.calls[0]["linkedid"] == ID
