"""Clicks that ring another device than the employee's desk phone: forwards, follow-me, their mobile."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.calls.originate import (
    MOBILE,
    ORIGINATORS,
    By,
    Click,
    click,
    customer_refuses,
    employee_hangs_up,
    employee_is_away,
    employee_refuses,
    forwarded_to_mobile,
    forwards,
    phone_of,
    talk,
)
from tests.calls.wire import CUSTOMER, Chan, Office
from uac_trio.calls.rules import TrackerRules


@pytest.mark.parametrize("by", ORIGINATORS)
@pytest.mark.parametrize(
    ("happens", "outcome"),
    [
        pytest.param(talk, "completed", id="talk"),
        pytest.param(customer_refuses("BUSY", 17), "busy", id="customer busy"),
        pytest.param(employee_is_away, "no-answer", id="employee away"),
    ],
)
def test_a_desk_phone_that_forwards_to_a_colleague(
    office: Office, by: By, happens: Callable[[Click, Chan], None], outcome: str
) -> None:
    """302: the row is of who ordered the click, where we know; else of whose phone rang."""
    wire = office.wire()
    one = click(wire, by, 1)
    forwards(one, phone_of(one), "102")
    phone = wire.dial(one.dialler, wire.phone("102", one.source))
    happens(one, phone)
    one.ends(phone)
    story = wire.story()
    who = "101" if by == "ordered" else "102"
    story.shows(direction="outbound", customer=CUSTOMER, status=outcome, caller=who, parts={who: outcome})
    assert story.began == [(who, "caller", CUSTOMER)]


MOBILES = TrackerRules(mobiles={"+79261234567": "101"})


@pytest.mark.parametrize(
    ("by", "rules"),
    [
        pytest.param("ordered", TrackerRules(), id="ordered"),
        pytest.param("ours", TrackerRules(), id="ours"),
        pytest.param("another program", TrackerRules(), id="another program"),
        pytest.param("ours", MOBILES, id="ours, mobiles set"),
        pytest.param("another program", MOBILES, id="another program, mobiles set"),
    ],
)
@pytest.mark.parametrize("way", ["follow-me", "302", "302 with Local"])
@pytest.mark.parametrize(
    ("happens", "outcome"),
    [
        pytest.param(talk, "completed", id="talk"),
        pytest.param(customer_refuses("BUSY", 17), "busy", id="customer busy"),
        pytest.param(employee_hangs_up, "cancelled", id="employee hangs up"),
        pytest.param(employee_refuses("BUSY", 17), "busy", id="mobile busy"),
        pytest.param(employee_is_away, "no-answer", id="mobile away"),
    ],
)
def test_a_click_answered_on_the_employees_mobile(
    office: Office, by: By, rules: TrackerRules, way: str, happens: Callable[[Click, Chan], None], outcome: str
) -> None:
    """What rings for a click on 101's behalf is 101's, also where only the order, or what it asked for, shows it."""
    wire = office.wire(rules)
    one = click(wire, by, 1)
    if way == "follow-me":
        pair = wire.local("FMGL-101", of=one.source)
        wire.dial(one.dialler, pair[0], "FMGL-101@from-internal")
        one.pairs.append(pair)
        assert one.dialler is not None
        mobile = wire.dials_out(one.dialler, MOBILE)
    else:
        mobile = forwarded_to_mobile(one, phone_of(one), is_local=way.endswith("Local"))
    happens(one, mobile)
    one.ends(mobile)
    story = wire.story()
    story.shows(direction="outbound", customer=CUSTOMER, status=outcome, caller="101", parts={"101": outcome})
    assert story.began == [("101", "caller", CUSTOMER)]
    assert story.talks == ([("101", CUSTOMER, 5.0)] if outcome == "completed" else [])


@pytest.mark.parametrize("by", ORIGINATORS)
@pytest.mark.parametrize("takes", ["desk", "mobile"])
def test_a_click_that_rings_desk_and_mobile(office: Office, by: By, takes: str) -> None:
    """Follow-me rings both: who picks up one of them is the employee all the same, and the other phone is no row."""
    wire = office.wire()
    one = click(wire, by, 1)
    desk_pair, mobile_pair = wire.local("FMPR-101", of=one.source), wire.local("FMGL-101", of=one.source)
    for pair in (desk_pair, mobile_pair):
        wire.dial(one.dialler, pair[0], f"{pair[0].exten}@from-internal")
    desk = wire.dial(desk_pair[1], wire.phone("101", one.source))
    mobile = wire.dials_out(mobile_pair[1], MOBILE)
    wire.rings(desk, desk_pair[0], one.source)
    wire.wait(3.0)
    wire.rings(mobile, mobile_pair[0])
    wire.wait(2.0)
    winner, loser = (desk, mobile) if takes == "desk" else (mobile, desk)
    pair, other = (desk_pair, mobile_pair) if takes == "desk" else (mobile_pair, desk_pair)
    wire.up(winner)
    wire.dial_ends(pair[1], winner, "ANSWER")
    wire.up(pair[1], pair[0])
    wire.gives_up(one.dialler, other[0], cause=26)
    wire.dial_ends(one.dialler, pair[0], "ANSWER")
    wire.gives_up(other[1], loser, cause=26)
    wire.hang_up(other[1], cause=26)
    wire.up(one.pairs[0][1], one.source)
    wire.dial_ends(None, one.source, "ANSWER")
    wire.bridge(winner, pair[1])
    wire.bridge(pair[0], one.pairs[0][1])
    one.pairs.append(pair)
    line = one.dials_customer()
    wire.rings(line)
    wire.wait(3.0)
    wire.answers(one.source, line)
    wire.wait(5.0)
    wire.talk_ends(line)
    one.ends(winner)
    story = wire.story()
    story.shows(
        direction="outbound", customer=CUSTOMER, status="completed", caller="101", parts={"101": "completed"},
        answered_by=CUSTOMER, talk_secs=5.0,
    )  # fmt: skip
    assert story.began == [("101", "caller", CUSTOMER)]
