"""A connection that breaks, or a connector that is restarted, during a call: the rows of the CRM do not show it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import cache

import pytest

from tests.calls.crm_office import Office, crm_of, token
from tests.calls.panel import Panel
from tests.calls.streams import Timed, recorded
from uac_trio.calls.rules import TrackerRules
from uac_trio.crm.vtiger.account import Flavour
from uac_trio.pipeline import Pipeline

SCENARIOS = (
    "asterisk22/inbound_answered",
    "asterisk22/inbound_no_answer",
    "asterisk16/inbound_rejected",
    "asterisk22/inbound_ringgroup_answered",
    "asterisk16/inbound_ringgroup_local",
    "asterisk22/inbound_ringgroup_local_optimized",
    "asterisk22/outbound_answered",
    "asterisk22/outbound_prefix",
    "asterisk22/outbound_busy",
    "asterisk22/internal_answered",
    "asterisk16/click2call_answered",
    "asterisk22/click2call_local",
    "asterisk22/click2call_channelid",
    "asterisk22/click2call_operator_busy",
    "asterisk22/queue_rrmemory_second_answers",
    "asterisk22/queue_local_members",
    "asterisk22/queue_then_blind_transfer",
    "asterisk16/blind_transfer_refer",
    "asterisk22/blind_transfer_no_answer",
    "asterisk22/blind_transfer_outbound_call",
    "asterisk22/attended_transfer_refer",
    "asterisk22/attended_transfer_feature",
    "asterisk22/attended_transfer_refer_blond",
    "asterisk22/pickup_directed",
    "asterisk22/park_and_retrieve",
    "asterisk22/same_customer_twice",
)
NOISE = frozenset(
    {"VarSet", "RTCPSent", "RTCPReceived", "Newexten", "DeviceStateChange", "TestEvent", "NewConnectedLine",
     "QueueMemberStatus", "SoftHangupRequest", "BridgeCreate", "BridgeDestroy", "MixMonitorStart", "NewAccountCode",
     "ExtensionStatus", "DTMFBegin", "DTMFEnd", "ContactStatus", "SuccessfulAuth", "ChallengeSent"}
)  # fmt: skip
"""Cuts between these show nothing that the cut before the next event does not."""

UNANSWERED = frozenset({"no-answer", "busy", "failed", "Answered elsewhere"})
RULES = TrackerRules(internal="report")


def play(office: Office, pipeline: Pipeline, events: Sequence[Timed], panel: Panel | None = None) -> None:
    for at, event in events:
        office.put(pipeline.tick(at))
        office.put(pipeline.received("main", [event], at))
        if panel is not None:
            panel.see(event, at)


def play_out(office: Office, pipeline: Pipeline, at: float) -> Office:
    while (deadline := pipeline.next_deadline) < math.inf:
        at = max(at, deadline)
        office.put(pipeline.tick(at))
    office.put(pipeline.finish(at))
    return office


@cache
def uncut(name: str, flavour: Flavour) -> Office:
    events = recorded(name)
    office, pipeline = Office(flavour), Pipeline(RULES, crm_of(flavour), token)
    office.put(pipeline.connected("main", events[0][0]))
    play(office, pipeline, events)
    return play_out(office, pipeline, events[-1][0])


def interrupted(name: str, flavour: Flavour, cut: int, resume: int, *, restart: bool) -> Office:
    """``events[cut:resume]`` happen unseen; a new session, of a new process if ``restart``, begins with a snapshot."""
    events = recorded(name)
    office, pipeline, panel = Office(flavour), Pipeline(RULES, crm_of(flavour), token), Panel()
    office.put(pipeline.connected("main", events[0][0]))
    play(office, pipeline, events[:cut], panel)
    if restart:
        pipeline = Pipeline(RULES, crm_of(flavour), token)
        pipeline.restore("main", office.left_open("main"))
    else:
        office.put(pipeline.lost("main", events[cut - 1][0]))
    for at, event in events[cut:resume]:
        panel.see(event, at)
    back_at = events[resume - 1][0]
    office.put(pipeline.tick(back_at))
    office.put(pipeline.connected("main", back_at))
    office.put(pipeline.received("main", panel.listing(back_at), back_at))
    play(office, pipeline, events[resume:])
    return play_out(office, pipeline, events[-1][0])


def cuts(name: str, step: int) -> Iterator[int]:
    """Every ``step``-th place where something that matters has just happened."""
    places = [place for place, (_, event) in enumerate(recorded(name), 1) if event.name not in NOISE]
    yield from places[:-1][::step]


def refused_before(name: str, cut: int) -> bool:
    """A phone or line said before the cut why it does not answer; of that a restarted connector can know nothing."""
    reasons = ("HangupRequest", "Pickup")
    return any(
        event.name in reasons or (event.name == "DialEnd" and event.get("DialStatus") != "ANSWER")
        for _, event in recorded(name)[:cut]
    )


@pytest.mark.parametrize("flavour", list(Flavour))
@pytest.mark.parametrize("name", SCENARIOS)
def test_a_broken_connection_changes_nothing(name: str, flavour: Flavour) -> None:
    """If the next session begins before anything happens, the rows and their seconds are as if it had not broken."""
    expected = uncut(name, flavour)
    for cut in cuts(name, 3):
        office = interrupted(name, flavour, cut, cut, restart=False)
        assert office.rows() == expected.rows(), f"cut after event {cut}"
        assert office.seconds() == expected.seconds(), f"cut after event {cut}"
        assert not office.crm.doubles(), f"cut after event {cut}"


@pytest.mark.parametrize("flavour", list(Flavour))
@pytest.mark.parametrize("name", SCENARIOS)
def test_a_restart_in_mid_call_leaves_the_same_rows(name: str, flavour: Flavour) -> None:
    """A new process that knows the outbox and a snapshot ends in the same rows: people, numbers, who talked.

    Only what happened before the restart may get lost: why a phone did not answer, and, of a call that has one row,
    whose phone it was.
    """
    uninterrupted = uncut(name, flavour).rows()
    for cut in cuts(name, 3):
        office = interrupted(name, flavour, cut, cut, restart=True)
        where = f"cut after event {cut}"
        assert not office.crm.doubles(), where
        assert not office.crm.stuck(), where
        rows = office.rows()
        expected = uninterrupted
        if flavour is Flavour.STOCK and refused_before(name, cut):
            expected = {
                (call, "") if (call, "") in rows and row[0] in UNANSWERED else (call, who): row
                for (call, who), row in uninterrupted.items()
            }
        assert rows.keys() == expected.keys(), where
        for who, (status, *rest) in rows.items():
            is_reason_lost = refused_before(name, cut) and {status, expected[who][0]} <= UNANSWERED
            assert (status, *rest) == expected[who] or (is_reason_lost and tuple(rest) == expected[who][1:]), where


@pytest.mark.parametrize("restart", [False, True], ids=["reconnect", "restart"])
@pytest.mark.parametrize("name", SCENARIOS)
def test_missed_events_leave_no_open_row(name: str, restart: bool) -> None:
    """Whatever events are missed, no row rings or talks for ever, none is double, none is made up."""
    for flavour in Flavour:
        expected = uncut(name, flavour).rows()
        for number, cut in enumerate(cuts(name, 7)):
            resume = min(len(recorded(name)), cut + (4, 15, 60)[number % 3])
            office = interrupted(name, flavour, cut, resume, restart=restart)
            where = f"{flavour}, cut after event {cut}, resumed after {resume}"
            assert not office.crm.doubles(), where
            assert not office.crm.stuck(), where
            assert {call for call, _ in office.rows()} <= {call for call, _ in expected}, where
            if flavour is Flavour.SALESPLATFORM:
                assert office.rows().keys() <= expected.keys(), where
