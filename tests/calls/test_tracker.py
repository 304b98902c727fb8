"""What no recording shows: calls that never rang, chains of transfers, long waits, odd servers."""

from __future__ import annotations

import pytest

from tests.calls.invariants import broken, left_over
from tests.calls.scenes import ends, event, feed, ringing
from tests.calls.simulator import Asterisk
from tests.calls.streams import due, recorded, records_of, run
from uac_trio.ami.message import Event
from uac_trio.calls.channel_events import Lack
from uac_trio.calls.endpoint import Evidence
from uac_trio.calls.fact import (
    CallMerged,
    LooksLikeBoth,
    NotAnEmployee,
    NotShown,
    ParticipationBegan,
    ParticipationEnded,
    RecordingKnown,
)
from uac_trio.calls.outcome import Outcome, leg_outcome
from uac_trio.calls.rules import TrackerRules
from uac_trio.calls.tracker import CallTracker

# ---- who owns a call that reached no one


def abandoned_in_queue() -> Asterisk:
    pbx = Asterisk(lambda _: 0)
    customer = pbx.calls_in("+79161234567", "4951000702")
    pbx.joins_queue(customer, "sales")
    pbx.now += 7.0
    pbx.gives_up(customer)
    return pbx


@pytest.mark.parametrize(
    ("rules", "owner"),
    [
        (TrackerRules(), None),
        (TrackerRules(unreached="101"), "101"),
        (TrackerRules(unreached="101", unreached_by={"sales": "102"}), "102"),
        (TrackerRules(unreached="101", unreached_by={"4951000702": "103"}), "103"),
        (TrackerRules(unreached_by={"support": "102"}), None),
    ],
)
def test_a_call_that_no_phone_rang_for_has_an_owner(rules: TrackerRules, owner: str | None) -> None:
    """By queue, by DID, or the one for all; without any it is only counted."""
    facts = run(abandoned_in_queue().events, rules)
    began = {fact.extension for fact in facts if isinstance(fact, ParticipationBegan)}
    assert began == ({owner} if owner else set())
    assert set(ends(facts)) == began
    assert broken(facts) == []
    (record,) = records_of(facts).values()
    assert (record["status"], record["queue"], record["rang"]) == ("cancelled", "sales", [])


NO_MATCH = "rang: no employee, since neither its CallerID nor its name matches [calls] extensions"
OTHERS = "rang: no employee, since [calls] only_... leaves it to another company of this PBX"


@pytest.mark.parametrize(
    ("name", "rules", "reasons"),
    [
        ("inbound_answered", TrackerRules(extensions="^2..$"), [NO_MATCH]),
        ("inbound_answered", TrackerRules(only_endpoints="^t1_"), [OTHERS]),
        ("inbound_ringgroup_answered", TrackerRules(extensions=["102"]), [NO_MATCH] * 2),
        ("inbound_ringgroup_answered", TrackerRules(), []),
        ("outbound_answered", TrackerRules(), []),  # a line is no phone
        ("inbound_forward_mobile", TrackerRules(), []),
        ("click2call_local", TrackerRules(), []),
    ],
)
def test_a_phone_that_is_no_employees(name: str, rules: TrackerRules, reasons: list[str]) -> None:
    """The fact comes once for each phone that rings, with the evidence."""
    facts = [fact for fact in run(recorded(f"asterisk22/{name}"), rules) if isinstance(fact, NotAnEmployee)]
    assert [fact.because.partition(" ")[2] for fact in facts] == reasons
    assert [fact.because.partition(" ")[0] for fact in facts] == [fact.channel for fact in facts]


@pytest.mark.parametrize("name", ["asterisk13-iax2-h323/iax2_outbound_busy", "asterisk20-iax2/iax2_outbound_answered"])
def test_a_line_that_rings_before_it_is_dialled_is_no_phone(name: str) -> None:
    """chan_iax2 rings before DialBegin, which has the outside number."""
    assert not [fact for fact in run(recorded(name)) if isinstance(fact, NotAnEmployee)]


@pytest.mark.parametrize(
    ("kept", "login", "lacks"),
    [
        ({"Cdr"}, 1795413700.0, 1),
        ({"Cdr"}, 1795413999.0, 0),  # the call was made before the login
        (None, 1795413700.0, 0),
    ],
    ids=["no read=call", "older than the login", "all events"],
)
def test_a_cdr_of_a_call_that_was_never_announced(kept: set[str] | None, login: float, lacks: int) -> None:
    """The fact that the PBX does not show its calls; not of calls that a listing was to show."""
    tracker = CallTracker("main")
    tracker.connected(login, "Asterisk Call Manager/11.0.0")
    facts = [
        fact
        for at, one in recorded("asterisk22/inbound_answered")
        if kept is None or one.name in kept
        for fact in (*due(tracker, at), *tracker.process(one, at))
    ]
    missed = [fact for fact in facts if isinstance(fact, NotShown)]
    assert [(fact.pbx, fact.lack) for fact in missed] == [("main", Lack.CALLS)] * lacks


def test_a_late_cdr_is_of_a_known_call() -> None:
    """cdr.conf with batch = yes sends it minutes after the call was dropped."""
    tracker = CallTracker("main")
    tracker.connected(1795413700.0, "Asterisk Call Manager/11.0.0")
    events = recorded("asterisk22/inbound_answered")
    for at, one in events:
        if one.name != "Cdr":
            tracker.process(one, at)
    end = events[-1][0] + 60.0
    tracker.tick(end)
    assert [fact for _, one in events if one.name == "Cdr" for fact in tracker.process(one, end)] == []


@pytest.mark.parametrize(
    ("name", "endpoint", "evidence"),
    [
        ("cases/numtrunk_in", "SIP/33915", Evidence.CONTEXT),
        ("cases/numtrunk_out", "SIP/33915", Evidence.DIALLED),
        ("asterisk22/inbound_answered", "", None),
    ],
)
def test_a_line_that_is_named_like_an_extension(name: str, endpoint: str, evidence: Evidence | None) -> None:
    """The fact comes with the evidence that made it a line."""
    facts = [fact for fact in run(recorded(name)) if isinstance(fact, LooksLikeBoth)]
    assert [(fact.endpoint, fact.evidence) for fact in facts] == ([(endpoint, evidence)] if endpoint else [])


def test_a_call_that_rang_has_no_other_owner() -> None:
    """101 saw it ring; the owner of unreached calls gets no row."""
    pbx, customer, _ = ringing("101")
    pbx.gives_up(customer)
    assert set(ends(run(pbx.events, TrackerRules(unreached="105")))) == {"101"}


# ---- merges


def test_a_chain_of_three() -> None:
    """The customer goes from 101 to 102 to 103, each by a second call: one call, and two merged into it."""
    pbx, customer, (leg,) = ringing("101")
    pbx.answers(leg)
    for colleague in ("102", "103"):
        pbx.now += 2.0
        second = pbx.consults(leg, colleague)
        assert second.dialling is not None
        (asked,) = second.dialling.legs
        pbx.rings(asked)
        pbx.answers(asked)
        pbx.now += 2.0
        pbx.joins_calls(leg, second)
        leg = asked
    pbx.now += 2.0
    pbx.hangs_up_talk(leg)
    facts = run(pbx.events)
    assert broken(facts) == []
    records = records_of(facts)
    main = records.pop(customer.uniqueid)
    assert [(transfer["by"], transfer["to"]) for transfer in main["transfers"]] == [("101", "102"), ("102", "103")]
    assert (main["customer"], main["answered_by"], main["final_agent"]) == ("+79161234567", "101", "103")
    assert [record["merged_into_first"] for record in records.values()] == [True, True]
    assert {fact.into for fact in facts if isinstance(fact, CallMerged)} == {f"main-{customer.uniqueid}"}
    parts = [
        (fact.extension, fact.outcome.value)
        for fact in facts
        if isinstance(fact, ParticipationEnded) and fact.call_id == f"main-{customer.uniqueid}"
    ]
    assert parts == [("101", "transferred"), ("102", "transferred"), ("103", "completed")]


# ---- recordings


@pytest.mark.parametrize(
    ("cdrs", "path"),
    [
        pytest.param([("{a}", "{b}", "ANSWERED", "7", "/own.wav"), ("{x}", "{b}", "ANSWERED", "9", "/leg.wav")],
                     "/own.wav", id="the caller's own"),
        pytest.param([("{x}", "{b}", "ANSWERED", "3", "/short.wav"), ("{x}", "{b}", "ANSWERED", "9", "/long.wav")],
                     "/long.wav", id="else the longest"),
        pytest.param([("{a}", "", "ANSWERED", "7", "/ivr.wav")], None, id="not without a party B"),
        pytest.param([("{a}", "{b}", "NO ANSWER", "7", "/ring.wav")], None, id="not of one who did not answer"),
        pytest.param([("{a}", "{b}", "ANSWERED", "", "")], None, id="no path"),
        pytest.param([("{a}", "{b}", "ANSWERED", "x", "/own.wav")], "/own.wav", id="no seconds"),
    ],
)  # fmt: skip
def test_recordings(cdrs: list[tuple[str, str, str, str, str]], path: str | None) -> None:
    """Which file holds what was said, of those the Cdrs name."""
    pbx, customer, (leg,) = ringing("101")
    pbx.answers(leg)
    other = pbx.local_pair("101", customer)[1]
    pbx.now += 5.0
    pbx.hangs_up_talk(leg)
    pbx.hang_up(other)
    for uniqueid, destination, disposition, secs, recording in cdrs:
        headers = {
            "UniqueID": uniqueid.format(a=customer.uniqueid, x=other.uniqueid),
            "DestinationChannel": destination.format(b=leg.name),
            "Disposition": disposition, "BillableSeconds": secs, "recordingpath": recording,
        }  # fmt: skip
        pbx.emit("Cdr", headers)
    facts = run(pbx.events)
    (record,) = [record for record in records_of(facts).values() if record["answered_by"]]
    assert record["recording"] == path
    assert [fact.path for fact in facts if isinstance(fact, RecordingKnown)] == ([path] if path else [])


def test_an_employee_who_takes_part_twice_has_one_entry() -> None:
    """A queue rings 101 in vain, then again: the record has them once, with the sums and the better outcome."""
    pbx = Asterisk(lambda _: 0)
    customer = pbx.calls_in("+79161234567", "4951000702")
    pbx.joins_queue(customer, "sales")
    for last in (False, True):
        (leg,) = pbx.dial(customer, ["101"], queue="sales").legs
        pbx.rings(leg)
        pbx.now += 3.0
        if last:
            pbx.answers(leg)
        else:
            pbx.ends_dial(leg, "NOANSWER", 0, repeated=True)
    pbx.now += 4.0
    pbx.hangs_up_talk(leg)
    facts = run(pbx.events)
    (record,) = records_of(facts).values()
    assert record["participations"] == [
        {"extension": "101", "outcome": "completed", "ring_secs": 6.0, "talk_secs": 4.0}
    ]  # fmt: skip
    assert len({fact.occurrence for fact in facts if isinstance(fact, ParticipationBegan)}) == 2


# ---- size


def test_hours_in_a_queue() -> None:
    """Each event of a call costs the same, however many phones rang in vain before: work grows with what is live."""
    pbx = Asterisk(lambda _: 0)
    customer = pbx.calls_in("+79161234567", "4951000702")
    pbx.joins_queue(customer, "sales")
    tracker = CallTracker("main")
    facts = feed(tracker, pbx)
    looked_at: list[int] = []
    for _ in range(60):
        seen = len(pbx.events)
        for leg in list(pbx.dial(customer, ["101", "102", "103"], queue="sales").legs):
            pbx.rings(leg)
            pbx.ends_dial(leg, "NOANSWER", 0, repeated=True)
        pbx.now += 15.0
        facts += feed(tracker, pbx, seen)
        (call,) = tracker.live_calls()
        looked_at.append(len(call.channels.live) + len(call.participations.latest))
    assert max(looked_at) == looked_at[0]
    assert len(call.channels) == 181
    pbx.gives_up(customer)
    facts += feed(tracker, pbx, len(pbx.events) - 5)
    assert sum(isinstance(fact, ParticipationBegan) for fact in facts) == 180


# ---- single events


def test_an_analogue_line_learns_its_number_late() -> None:
    """The CallerID of a line may come between the rings, after the channel is there."""
    tracker = CallTracker("main")
    line = {"Channel": "DAHDI/4-1", "Uniqueid": "1.1", "Linkedid": "1.1", "ChannelState": "4", "Context": "from-pstn"}
    tracker.process(event("Newchannel", **line, CallerIDNum="<unknown>", Exten="s"), 1.0)
    tracker.process(event("NewCallerid", **line, CallerIDNum="+79161234567"), 2.0)
    tracker.process(event("NewCallerid", **line, CallerIDNum="555"), 3.0)
    (call,) = tracker.live_calls()
    assert call.orientation.customer == "+79161234567"


def test_a_click_on_a_colleagues_number() -> None:
    """The operator is rung, then the colleague: a call between employees, by the one who clicked."""
    pbx = Asterisk(lambda _: 0)
    mine = pbx.originates("101", "102")
    pbx.rings(mine)
    pbx.answers(mine)
    (leg,) = pbx.dial(mine, ["102"]).legs
    pbx.rings(leg)
    pbx.answers(leg)
    pbx.now += 3.0
    pbx.hangs_up_talk(leg)
    (record,) = records_of(run(pbx.events)).values()
    assert (record["direction"], record["caller"], record["called"]) == ("internal", "101", "102")
    assert (record["status"], record["answered_by"], record["talk_secs"]) == ("completed", "102", 3.0)


def test_a_caller_whose_channel_starts_down() -> None:
    """chan_sip begins all channels at state 0: that it calls us shows when it is the one that dials."""
    pbx = Asterisk(lambda _: 0)
    customer = pbx.new("SIP", "+79161234567", 0, exten="4951000101")
    customer.number = customer.who
    pbx.rings(pbx.dial(customer, ["101"]).legs[0])
    pbx.gives_up(customer)
    (record,) = records_of(run(pbx.events)).values()
    assert (record["direction"], record["customer"], record["rang"]) == ("inbound", "+79161234567", ["101"])


def test_a_renamed_channel() -> None:
    """Ports and old servers rename; the Cdr then speaks of the new name."""
    pbx, _, (leg,) = ringing("101")
    tracker = CallTracker("main")
    feed(tracker, pbx)
    tracker.process(event("Rename", Uniqueid=leg.uniqueid, Newname="PJSIP/101-new"), pbx.now)
    assert tracker.graph.channels[leg.uniqueid].full_name == "PJSIP/101-new"
    assert tracker.process(event("Rename", Uniqueid="9.9", Newname="x"), pbx.now) == []


def test_a_forward_is_no_caller_who_gave_up() -> None:
    """302: the phone that sent the call on has a DialEnd CANCEL with the new target; its user missed the call."""
    pbx, customer, (leg,) = ringing("101")
    pbx.asks_to_hang_up(leg)
    headers = {"DialStatus": "CANCEL", "Forward": "102"}
    pbx.emit("DialEnd", pbx.channel(customer), pbx.channel(leg, "Dest"), headers)
    pbx.hang_up(leg, 23)
    (other,) = pbx.dial(customer, ["102"]).legs
    pbx.rings(other)
    pbx.answers(other)
    pbx.now += 2.0
    pbx.hangs_up_talk(other)
    outcomes = {extension: outcome for extension, (outcome, _) in ends(run(pbx.events)).items()}
    assert outcomes == {"101": Outcome.NO_ANSWER, "102": Outcome.COMPLETED}


@pytest.mark.parametrize(
    "odd",
    [
        event("AttendedTransfer", Result="Success", OrigTransfererUniqueid="9.9"),
        event("BlindTransfer", Result="Success", TransfererUniqueid="9.9"),
        event("Pickup", Uniqueid="9.9", TargetUniqueid="9.8"),
        event("ParkedCall", ParkeeUniqueid="9.9"),
        event("UnParkedCall", ParkeeUniqueid="9.9"),
        event("DialEnd", DestUniqueid="9.9", DialStatus="ANSWER"),
        event("Hangup", Uniqueid="9.9"),
        event("HangupRequest", Uniqueid="9.9"),
        event("BridgeLeave", Uniqueid="9.9"),
        event("Hold", Uniqueid="9.9"),
        event("QueueCallerLeave", Uniqueid="9.9"),
        event("Cdr", UniqueID="9.9", Disposition="ANSWERED"),
        event("VarSet", Uniqueid="9.9", Variable="MIXMONITOR_FILENAME", Value="/x.wav"),
        event("Newexten", Uniqueid="9.9", Application="VoiceMail"),
        event("CoreShowChannel", Uniqueid="9.9"),
        event("FullyBooted"),
        event("SomethingNew"),
    ],
    ids=lambda odd: odd.name,
)
def test_events_of_unknown_channels(odd: Event) -> None:
    """What names no known channel is passed over, between two events of a call."""
    pbx, _, _ = ringing("101")
    tracker = CallTracker("main")
    feed(tracker, pbx)
    assert tracker.process(odd, pbx.now) == []
    assert len(tracker.graph.calls) == 1


def test_events_of_a_merged_call_change_it_no_more() -> None:
    """A late word about a channel that ended in the consultation is of no consequence."""
    pbx, _, (leg,) = ringing("101")
    pbx.answers(leg)
    second = pbx.consults(leg, "102")
    assert second.dialling is not None
    (asked,) = second.dialling.legs
    pbx.rings(asked)
    pbx.hang_up(asked, 19)
    seen_as = pbx.channel(asked)
    pbx.dial(second, ["103"])
    (other,) = second.dialling.legs
    pbx.rings(other)
    pbx.answers(other)
    pbx.joins_calls(leg, second)
    tracker = CallTracker("main")
    facts = feed(tracker, pbx)
    facts += tracker.process(event("Hold", **seen_as), pbx.now)
    pbx.hangs_up_talk(other)
    facts += feed(tracker, pbx, len(pbx.events) - 6)
    facts += due(tracker, pbx.now + 60.0)
    assert broken(facts) == []


def test_ids_of_channels_that_are_gone_are_remembered_for_long_but_not_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The oldest are forgotten first."""
    monkeypatch.setattr("uac_trio.calls.call_union.MAX_GONE", 5)
    pbx = Asterisk(lambda _: 0)
    callers = [pbx.calls_in(f"+7916{number:07}", "4951000101") for number in range(7)]
    for caller in callers:
        pbx.gives_up(caller)
    tracker = CallTracker("main")
    feed(tracker, pbx)
    due(tracker, pbx.now + 60.0)
    assert [tracker.graph.is_gone(caller.uniqueid) for caller in callers] == [False] * 2 + [True] * 5


def test_a_bridge_without_a_name() -> None:
    """An event that does not say which bridge it is about connects no channels."""
    pbx, customer, (leg,) = ringing("101")
    pbx.emit("BridgeEnter", {"BridgeUniqueid": "", "BridgeType": "basic"}, pbx.channel(leg))
    pbx.emit("BridgeEnter", {"BridgeUniqueid": "", "BridgeType": "basic"}, pbx.channel(customer))
    tracker = CallTracker("main")
    feed(tracker, pbx)
    (call,) = tracker.live_calls()
    assert call.conversation.answer is None
    assert left_over(tracker).keys() == {"channels", "calls", "linkedids", "sets of linkedids"}


def test_an_answered_leg_is_completed() -> None:
    """The outcome of an answered leg needs no cause."""
    pbx, _, (leg,) = ringing("101")
    pbx.answers(leg)
    tracker = CallTracker("main")
    feed(tracker, pbx)
    ((only,),) = [call.legs for call in tracker.live_calls()]
    assert leg_outcome(only, True) is Outcome.COMPLETED


def test_a_path_from_a_variable() -> None:
    """Without a Cdr the path is MixMonitor's own; an empty one is none."""
    pbx, _, (leg,) = ringing("101")
    pbx.answers(leg)
    for value in ("", "/first.wav"):
        pbx.emit("VarSet", pbx.channel(leg), {"Variable": "MIXMONITOR_FILENAME", "Value": value})
    pbx.emit("VarSet", pbx.channel(leg), {"Variable": "OTHER", "Value": "/other.wav"})
    pbx.now += 2.0
    pbx.hangs_up_talk(leg)
    (record,) = records_of(run(pbx.events)).values()
    assert record["recording"] == "/first.wav"


def test_word_of_a_dial_that_comes_after_its_channel_is_gone() -> None:
    """A DialEnd of a channel that was never dialled, as far as was seen, and has hung up: nothing follows."""
    pbx = Asterisk(lambda _: 0)
    customer = pbx.calls_in("+79161234567", "4951000101")
    leg = pbx.new("PJSIP", "101", 0, of=customer)
    pbx.hang_up(leg)
    pbx.emit("DialEnd", pbx.channel(customer), pbx.channel(leg, "Dest"), {"DialStatus": "CANCEL"})
    pbx.gives_up(customer)
    facts = run(pbx.events)
    assert ends(facts) == {}
    assert broken(facts) == []


def test_a_pickup_of_a_channel_that_was_not_seen_dialling() -> None:
    """Its DialBegin was lost: the picker takes part all the same."""
    pbx, customer, _ = ringing()
    mine = pbx.picks_up_phone("103", "*8")
    pbx.emit("Pickup", pbx.channel(mine), pbx.channel(customer, "Target"))
    pbx.enter_state(mine, 6)
    bridge = pbx.bridge()
    pbx.enter(customer, bridge)
    pbx.enter(mine, bridge)
    pbx.now += 2.0
    pbx.hangs_up_talk(mine)
    facts = run(pbx.events)
    assert {extension: outcome for extension, (outcome, _) in ends(facts).items()} == {"103": Outcome.COMPLETED}
    assert broken(facts) == []


def test_a_transfer_whose_second_channel_is_unknown() -> None:
    """It was over before our connection; who transferred is known by the first."""
    pbx, customer, (leg,) = ringing("101")
    pbx.answers(leg)
    pbx.emit(
        "AttendedTransfer", {"Result": "Success", "SecondTransfererUniqueid": "9.9"},
        pbx.channel(leg, "OrigTransferer"), pbx.channel(customer, "Transferee"),
    )  # fmt: skip
    pbx.hang_up(leg)
    pbx.gives_up(customer)
    (record,) = records_of(run(pbx.events)).values()
    assert [(transfer["type"], transfer["by"]) for transfer in record["transfers"]] == [("attended", "101")]


@pytest.mark.parametrize(
    ("asked", "dialled", "reported"),
    [("9+79260000001", "+79260000001", "+79260000001"), ("102", "+79260000001", "102")],
)
def test_a_transfer_to_an_outside_number(asked: str, dialled: str, reported: str) -> None:
    """The prefix that the dialplan took off is no part of the number; a forward does not change whom was asked for."""
    pbx, customer, (leg,) = ringing("101")
    pbx.answers(leg)
    pbx.emit(
        "BlindTransfer", {"Result": "Success"}, pbx.channel(leg, "Transferer"), pbx.channel(customer, "Transferee"),
        {"Extension": asked},
    )  # fmt: skip
    pbx.leave(leg)
    pbx.leave(customer)
    pbx.hang_up(leg)
    (outside,) = pbx.dial(customer, [dialled]).legs
    pbx.rings(outside)
    pbx.gives_up(customer)
    (record,) = records_of(run(pbx.events)).values()
    assert [transfer["to"] for transfer in record["transfers"]] == [reported]
