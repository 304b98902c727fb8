"""What follows from a change: direction, then participations, then facts."""

from __future__ import annotations

import pytest

from tests.calls.pieces import change, view
from uac_trio.calls.call import Call, Direction, Orientation
from uac_trio.calls.call_graph import CallGraph
from uac_trio.calls.change import Merge
from uac_trio.calls.channel_events import (
    ChannelCreated,
    ChannelEvent,
    ChannelHungUp,
    ChannelView,
    DialBegan,
    DialProgressed,
    Lack,
    OriginateEnded,
    QueueJoined,
    ServerLacks,
)
from uac_trio.calls.conclusions import Conclusions
from uac_trio.calls.fact import (
    CallBegan,
    CallerQueued,
    CallMerged,
    Fact,
    NotAnEmployee,
    NotShown,
    ParticipationBegan,
    ParticipationEnded,
)
from uac_trio.calls.outcome import Outcome
from uac_trio.calls.participations import Moment
from uac_trio.calls.rules import TrackerRules

CUSTOMER = "+79161234567"
LINE = view("1.1", "PJSIP/trunk-01", linkedid="1.1", state=4, number=CUSTOMER, exten="4951000101")
PHONE = view("1.2", "PJSIP/101-02", linkedid="1.1", number="101")


def conclusions(rules: TrackerRules | None = None) -> Conclusions:
    used = rules or TrackerRules()
    return Conclusions(CallGraph("main", used), used)


def happens(of: Conclusions, *events: ChannelEvent, at: float = 5.0) -> list[Fact]:
    return [fact for event in events for fact in of.of_change(event, of.graph.apply(event, at), at)]


def calls(of: Conclusions, line: ChannelView = LINE) -> Call:
    happens(of, ChannelCreated(event="Newchannel", channel=line))
    found = of.graph.find_call(line.linkedid)
    assert found is not None
    return found


def ringing(dialled: ChannelView = PHONE, dial_string: str = "101") -> tuple[ChannelEvent, ...]:
    return (
        ChannelCreated(event="Newchannel", channel=dialled),
        DialBegan(event="DialBegin", dialled=dialled, caller=LINE, dial_string=dial_string),
        DialProgressed(event="DialState", dialled=dialled, caller=LINE),
    )


def test_the_order_of_facts() -> None:
    """The direction first, then who takes part."""
    of = conclusions()
    facts = happens(of, ChannelCreated(event="Newchannel", channel=LINE), *ringing())
    assert [type(fact) for fact in facts] == [CallBegan, ParticipationBegan]
    (began, _) = facts
    assert isinstance(began, CallBegan)
    assert (began.call_id, began.direction, began.customer, began.did, began.because) == (
        "main-1.1", Direction.INBOUND, CUSTOMER, "4951000101", "Newchannel PJSIP/trunk-01"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("endpoint", "dial_string", "is_reported"),
    [("lobby", "lobby", True), ("trunk", "trunk/+74950000000", False), ("named", "named", False)],
)
def test_a_phone_that_is_no_employee_s(endpoint: str, dial_string: str, is_reported: bool) -> None:
    """It is reported with the evidence, but for a line that was dialled, or that the rules name."""
    of = conclusions(TrackerRules(trunks=["named"]))
    calls(of)
    strange = view("1.3", f"PJSIP/{endpoint}-03", linkedid="1.1")
    found = [fact for fact in happens(of, *ringing(strange, dial_string)) if isinstance(fact, NotAnEmployee)]
    assert bool(found) is is_reported
    if found:
        assert found[0].because.startswith("PJSIP/lobby-03 rang: no employee, since neither its CallerID")
        assert found[0].channel == "PJSIP/lobby-03"


def test_the_last_channel_ends_the_call() -> None:
    """It is finished later: a Cdr may come. One that is reopened goes on."""
    of = conclusions(TrackerRules(linger=2.0))
    made = calls(of)
    happens(of, ChannelHungUp(event="Hangup", channel=LINE, cause=16), at=9.0)
    assert made.ended_at == 9.0
    assert of.ending.first == 11.0
    of.keep_open([made])
    assert made.id not in of.ending


def test_another_direction() -> None:
    """It is announced again; the same is not, nor is none."""
    of = conclusions()
    made = calls(of)
    now = Moment(6.0, "x", of.graph)
    outward = Orientation(direction=Direction.OUTBOUND, customer=CUSTOMER)
    assert list(of.orient(made, made.orientation, now)) == []
    assert [type(fact) for fact in of.orient(made, outward, now)] == [CallBegan]
    assert list(of.orient(made, Orientation(direction=Direction.OUTBOUND, customer="+7"), now)) == []
    assert made.orientation.customer == "+7"
    assert list(of.orient(made, Orientation(), now)) == []


def test_a_customer_s_call_does_not_become_internal() -> None:
    """The customer's channel may be the first to leave; what was announced of them ends as theirs."""
    of = conclusions()
    made = calls(of)
    happens(of, *ringing())
    now = Moment(6.0, "x", of.graph)
    list(of.orient(made, Orientation(direction=Direction.INTERNAL), now))
    assert made.direction is Direction.INBOUND


def test_a_call_between_colleagues_meets_a_customer() -> None:
    """Parts that go on are announced anew, as a customer's."""
    of = conclusions()
    made = calls(of)
    happens(of, *ringing())
    made.orientation = Orientation(direction=Direction.INTERNAL)
    list(of.orient(made, Orientation(direction=Direction.INBOUND, customer=CUSTOMER), Moment(6.0, "x", of.graph)))
    assert [part.is_announced for part in made.participations] == [False]
    assert made.has_met_line


def test_another_company_s_call_is_not_announced() -> None:
    """On a shared PBX only once it is known to be ours."""
    of = conclusions(TrackerRules(only_endpoints="^t1_"))
    assert happens(of, ChannelCreated(event="Newchannel", channel=LINE)) == []


def test_an_absorbed_call() -> None:
    """Its parts end, it is reported as it was, and it is finished later."""
    of = conclusions()
    made = calls(of)
    happens(of, *ringing())
    other = calls(of, view("2.1", "PJSIP/trunk-09", linkedid="2.1", state=4))
    now = Moment(8.0, "x", of.graph)
    facts = list(of.close_absorbed(Merge(made, other, "x"), now))
    assert [type(fact) for fact in facts] == [ParticipationEnded, CallMerged]
    assert (made.merged_into, of.merged) == (other.id, [(made.id, other.id)])
    assert of.ending.first == 10.0
    assert list(of.advance(made, made.channels, now)) == []
    silent = calls(of, view("3.1", "PJSIP/trunk-08", linkedid="3.1", state=4))
    assert list(of.close_absorbed(Merge(silent, other, "x"), now)) == []


def test_a_queue() -> None:
    """The caller waits; a channel that is not known does not."""
    of = conclusions()
    calls(of)
    (queued,) = happens(of, QueueJoined(event="QueueCallerJoin", channel=LINE, queue="sales", position="2"))
    assert isinstance(queued, CallerQueued)
    assert (queued.queue, queued.position, queued.because) == ("sales", "2", "QueueCallerJoin PJSIP/trunk-01")


def test_what_a_server_lacks() -> None:
    """It is reported with the PBX, for people."""
    (lacks,) = happens(conclusions(), ServerLacks(event="x", lack=Lack.QUEUE_MEMBERS))
    assert isinstance(lacks, NotShown)
    assert (lacks.call_id, lacks.because, lacks.pbx) == ("", Lack.QUEUE_MEMBERS.value, "main")


def failed(uniqueid: str = "", asked: str = "PJSIP/101", *, success: bool = False) -> OriginateEnded:
    return OriginateEnded(
        event="OriginateResponse", uniqueid=uniqueid, asked=asked, exten=CUSTOMER, is_success=success, reason=3
    )


def test_a_click_of_which_no_channel_was_seen() -> None:
    """It makes the call that there would have been, which ends at once; a success, or a late response, makes none."""
    of = conclusions()
    happens(of, failed("uac-1", success=True))
    assert of.graph.calls == {}
    happens(of, failed("uac-1"))
    made = of.graph.calls["main-uac-1"]
    assert made.click.failure is not None
    assert (made.click.failure.employee, made.click.failure.number, made.ended_at) == ("101", CUSTOMER, 5.0)
    of.graph.forget(made)
    happens(of, failed("uac-1"))
    assert of.graph.calls == {}


@pytest.mark.parametrize(("asked", "is_found"), [("PJSIP/105", True), ("PJSIP/106", False)])
def test_a_failure_without_a_uniqueid(asked: str, is_found: bool) -> None:
    """The latest originated channel of that name."""
    of = conclusions()
    own = view("5.1", "PJSIP/105-05", linkedid="5.1", number="105")
    happens(of, ChannelCreated(event="Newchannel", channel=own), DialBegan(event="DialBegin", dialled=own))
    happens(of, failed(asked=asked))
    (made,) = of.graph.calls.values()
    assert (made.click.failure is not None) is is_found
    assert made.orientation.customer == (CUSTOMER if is_found else "")


def test_an_outcome_of_the_absorbed() -> None:
    """A phone that rang in an absorbed call was not answered there."""
    of = conclusions()
    made = calls(of)
    happens(of, *ringing())
    other = calls(of, view("2.1", "PJSIP/trunk-09", linkedid="2.1", state=4))
    (ended, _) = of.close_absorbed(Merge(made, other, "x"), Moment(8.0, "x", of.graph))
    assert isinstance(ended, ParticipationEnded)
    assert ended.outcome is not Outcome.COMPLETED
    assert change(1.0).merges == []
