"""What the present state of the graph means for the people of a call."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from tests.calls.pieces import bridged, call, dial, hung_up, line, phone
from uac_trio.calls import participations
from uac_trio.calls.call import Call, Direction, Orientation, Remembered
from uac_trio.calls.call_graph import CallGraph
from uac_trio.calls.call_recordings import Recording
from uac_trio.calls.channel import Channel, Leg
from uac_trio.calls.conversation import Answer
from uac_trio.calls.fact import Fact, ParticipationBegan, ParticipationEnded, RecordingKnown
from uac_trio.calls.outcome import Outcome
from uac_trio.calls.participation import Participation, Role, State
from uac_trio.calls.participations import Moment, advance
from uac_trio.calls.rules import TrackerRules
from uac_trio.calls.transfers import Transfer

CUSTOMER = "+79161234567"
GRAPH = CallGraph("main", TrackerRules())
GRAPH.shows_hangup_requests = True


def moment(at: float) -> Moment:
    return Moment(at, "Event", GRAPH)


def incoming(*extensions: str) -> tuple[Call, list[Leg]]:
    """A customer's call, and the legs to phones that ring since 1.0."""
    made = call()
    made.orientation = Orientation(direction=Direction.INBOUND, customer=CUSTOMER, customer_name="Anna", did="495")
    made.has_met_line = True
    source = line("1.1", made)
    legs = [
        dial(source, phone(f"1.{number}", extension, made), extension, at=1.0, rang_at=1.0)
        for number, extension in enumerate(extensions, start=2)
    ]
    return made, legs


def facts(made: Call, channels: Iterable[Channel], at: float) -> list[Fact]:
    return list(advance(made, channels, moment(at)))


def named(found: list[Fact]) -> list[str]:
    return [f"{type(fact).__name__.removeprefix('Participation')} {getattr(fact, 'extension', '')}" for fact in found]


def test_a_ring() -> None:
    """It begins a participation, with all that a popup shows."""
    made, (leg,) = incoming("101")
    (began,) = facts(made, [leg.channel], 1.0)
    assert isinstance(began, ParticipationBegan)
    assert (began.extension, began.role, began.occurrence, began.began_at) == ("101", Role.CALLEE, "1.2", 1.0)
    assert (began.customer, began.customer_name, began.line, began.because) == (CUSTOMER, "Anna", "495", "Event")
    assert facts(made, [leg.channel], 2.0) == []


def test_nothing_of_helpers() -> None:
    """Only people take part."""
    made, _ = incoming("101")
    assert facts(made, [], 1.0) == []
    assert made.source is not None
    assert facts(made, [made.source], 1.0) == []


def talking() -> tuple[Call, Leg]:
    """Rings at 1.0, talks from 3.0 on."""
    made, (leg,) = incoming("101")
    facts(made, [leg.channel], 1.0)
    assert made.source is not None
    bridged(made.source, leg.channel)
    assert named(facts(made, [made.source, leg.channel], 3.0)) == ["Answered 101"]
    return made, leg


def test_a_talk() -> None:
    """The first to hear the other side has answered; the time they talk is kept."""
    made, leg = talking()
    assert made.conversation.answer == Answer(3.0, "101")
    assert (leg.connected_at, made.legs.is_picked_up(leg)) == (3.0, True)
    hung_up(leg.channel, 8.0)
    (ended,) = facts(made, [leg.channel], 8.0)
    assert isinstance(ended, ParticipationEnded)
    assert (ended.outcome, ended.talk_secs, ended.answered_at, ended.ended_at) == (Outcome.COMPLETED, 5.0, 3.0, 8.0)
    assert not ended.inferred


def test_hold() -> None:
    """While one of them asked for hold no time runs, and nothing ends."""
    made, leg = talking()
    assert made.source is not None
    leg.channel.is_on_hold = True
    assert facts(made, [made.source, leg.channel], 4.0) == []
    (part,) = made.participations
    assert part.state is State.HELD
    leg.channel.is_on_hold = False
    facts(made, [made.source, leg.channel], 7.0)
    assert (part.state, part.talk.read(8.0)) == (State.TALKING, 2.0)


def test_a_transferer() -> None:
    """Who handed the customer on did not just hang up."""
    made, leg = talking()
    leg.channel.is_transferer = True
    hung_up(leg.channel, 8.0)
    (ended,) = facts(made, [leg.channel], 8.0)
    assert isinstance(ended, ParticipationEnded)
    assert ended.outcome is Outcome.TRANSFERRED


def test_a_transfer_is_answered() -> None:
    """Once its customer talks to another than who handed them on."""
    made, leg = talking()
    made.transfers.add(Transfer("blind", "101", "102", 4.0))
    facts(made, [leg.channel], 5.0)
    assert not made.transfers.are_answered
    other = phone("1.9", "102", made)
    assert leg.channel.bridge is not None
    other.bridge = leg.channel.bridge
    leg.channel.bridge.members[other] = None
    facts(made, [other], 6.0)
    assert made.transfers.are_answered
    assert made.conversation.final_agent == "102"


@pytest.mark.parametrize(("status", "cause", "rang", "found"), [
    ("BUSY", 17, False, Outcome.BUSY),
    ("CHANUNAVAIL", 20, False, Outcome.FAILED),
    ("CANCEL", 16, False, None),
])  # fmt: skip
def test_a_phone_that_never_rang(status: str, cause: int, rang: bool, found: Outcome | None) -> None:
    """Busy, do not disturb, switched off: begun and ended at once. One that was given up before is no part."""
    made, (leg,) = incoming("101")
    leg.rang_at = 1.0 if rang else None
    leg.status, leg.ended_at = status, 2.0
    hung_up(leg.channel, 2.0, cause)
    got = facts(made, [leg.channel], 2.0)
    assert named(got) == (["Began 101", "Ended 101"] if found else [])
    if found:
        assert isinstance(got[1], ParticipationEnded)
        assert got[1].outcome is found
        assert facts(made, [leg.channel], 3.0) == []


def test_another_phone_was_picked_up() -> None:
    """What that means for the silent one is open until the other is connected, or over."""
    made, (lost, taken) = incoming("101", "102")
    facts(made, [lost.channel, taken.channel], 1.0)
    taken.status = "ANSWER"
    made.legs.pick_up(taken)
    lost.status, lost.ended_at = "CANCEL", 2.0
    hung_up(lost.channel, 2.0)
    assert facts(made, [lost.channel], 2.0) == []
    assert len(made.participations.undecided) == 1
    assert made.source is not None
    bridged(made.source, taken.channel)
    got = facts(made, [made.source, taken.channel], 9.0)
    assert named(got) == ["Answered 102", "Ended 101"]
    assert isinstance(got[1], ParticipationEnded)
    assert (got[1].outcome, got[1].ended_at, got[1].at) == (Outcome.ANSWERED_ELSEWHERE, 2.0, 9.0)
    assert not made.participations.undecided


def test_a_caller_who_left_decides_it() -> None:
    """No conversation follows any more."""
    made, (lost, taken) = incoming("101", "102")
    facts(made, [lost.channel, taken.channel], 1.0)
    taken.status = "ANSWER"
    made.legs.pick_up(taken)
    assert made.source is not None
    hung_up(made.source, 2.0, by_itself=True)
    lost.status, lost.ended_at = "CANCEL", 2.0
    hung_up(lost.channel, 2.0)
    assert named(facts(made, [lost.channel], 2.0)) == ["Ended 101"]


def test_who_rings_anew() -> None:
    """A queue that rings the employee again begins another participation."""
    made, (leg,) = incoming("101")
    facts(made, [leg.channel], 1.0)
    leg.status, leg.ended_at = "NOANSWER", 6.0
    hung_up(leg.channel, 6.0)
    again = dial(made.source, phone("1.7", "101", made), at=9.0, rang_at=9.0)
    assert named(facts(made, [leg.channel, again.channel], 9.0)) == ["Ended 101", "Began 101"]
    assert [part.occurrence for part in made.participations] == ["1.2", "1.7"]


def test_several_devices_of_one_employee() -> None:
    """One participation, named after the oldest channel and begun with the first ring."""
    made, (leg,) = incoming("101")
    leg.rang_at = 5.0
    other = dial(made.source, phone("1.7", "101", made), at=2.0, rang_at=2.0)
    (began,) = facts(made, [other.channel, leg.channel], 5.0)
    assert isinstance(began, ParticipationBegan)
    assert (began.occurrence, began.began_at) == ("1.2", 2.0)
    hung_up(other.channel, 6.0)
    assert facts(made, [other.channel], 6.0) == []


def outgoing() -> tuple[Call, Leg]:
    made = call()
    made.orientation = Orientation(direction=Direction.OUTBOUND, customer=CUSTOMER, operator="101")
    made.has_met_line = True
    return made, dial(phone("1.1", "101", made), line("1.2", made), at=2.0)


def test_a_caller() -> None:
    """They begin when the other side is dialled; how that ended is their outcome."""
    made, leg = outgoing()
    assert made.source is not None
    (began,) = facts(made, [made.source], 3.0)
    assert isinstance(began, ParticipationBegan)
    assert (began.role, began.began_at, began.customer) == (Role.CALLER, 2.0, CUSTOMER)
    leg.status, leg.ended_at = "BUSY", 5.0
    hung_up(leg.channel, 5.0, 17)
    hung_up(made.source, 5.0)
    (ended,) = facts(made, [made.source, leg.channel], 5.0)
    assert isinstance(ended, ParticipationEnded)
    assert ended.outcome is Outcome.BUSY


def test_a_caller_of_an_unknown_customer() -> None:
    """Announced as soon as it is known whom they call."""
    made, _ = outgoing()
    known, made.orientation = made.orientation, Orientation(direction=Direction.OUTBOUND, operator="101")
    assert made.source is not None
    assert facts(made, [made.source], 3.0) == []
    made.orientation = known
    assert named(facts(made, [made.source], 4.0)) == ["Began 101"]


def test_a_colleague_of_a_click() -> None:
    """A phone of the operator's follow-me rings for them, until it is answered."""
    made, _ = outgoing()
    assert made.source is not None
    made.source.is_originated = True
    leg = dial(None, made.source, rang_at=1.0)
    made.orientation = Orientation(direction=Direction.OUTBOUND, customer=CUSTOMER, operator="105")
    assert facts(made, [leg.channel], 1.0) == []
    made.conversation.answer = Answer(2.0, CUSTOMER)
    assert named(facts(made, [leg.channel], 3.0)) == ["Began 101"]


def test_what_an_earlier_run_began() -> None:
    """It goes on: with its role, its occurrence and its answer."""
    made, (leg,) = incoming("101")
    made.participations.remembered["101"] = Remembered(
        call_id="main-1.1", extension="101", occurrence="0.7", role=Role.CALLEE, direction=Direction.INBOUND,
        customer=CUSTOMER, began_at=-5.0, answered_at=-2.0,
    )  # fmt: skip
    facts(made, [leg.channel], 1.0)
    (part,) = made.participations
    assert (part.occurrence, part.began_at, part.answered_at) == ("0.7", -5.0, -2.0)
    assert made.participations.remembered == {}


def test_clocks_stop() -> None:
    """Who talked with a channel that ended unseen talks no more."""
    made, leg = talking()
    assert made.source is not None
    hung_up(made.source, 5.0)
    participations.stop_clocks(made, 5.0, GRAPH)
    (part,) = made.participations
    assert (part.talk.read(9.0), made.conversation.talk.read(9.0), leg.channel in made.conversation.talkers) == (
        2.0, 2.0, False
    )  # fmt: skip


def test_the_owner_of_an_unreached_call() -> None:
    """A whole participation at once, of the call's own time."""
    made, _ = incoming()
    made.conversation.answer = Answer(2.0, "+7")
    began, answered, ended = participations.own_unreached(made, "100", Outcome.VOICEMAIL, moment(9.0))
    assert named([began, answered, ended]) == ["Began 100", "Answered 100", "Ended 100"]
    assert isinstance(ended, ParticipationEnded)
    assert (ended.outcome, ended.ended_at, ended.occurrence, ended.began_at) == (Outcome.VOICEMAIL, 9.0, "1.1", 0.0)


@pytest.mark.parametrize(
    ("direction", "role", "whom"),
    [
        (Direction.INBOUND, Role.CALLEE, CUSTOMER),
        (Direction.INTERNAL, Role.CALLER, "102"),
        (Direction.INTERNAL, Role.CALLEE, "101"),
    ],
)
def test_counterpart(direction: Direction, role: Role, whom: str) -> None:
    """The customer, or in an internal call the colleague."""
    made = call()
    made.orientation = Orientation(direction=direction, customer=CUSTOMER, operator="101", called="102")
    assert participations.counterpart(made, Participation("101", role, "1.1", 0.0)) == whom


def test_recordings() -> None:
    """One to each employee who talked, if it was announced."""
    made, _ = talking()
    made.recordings.add(Recording("a.wav", "1.1"))
    (known,) = participations.recordings(made, moment(9.0))
    assert isinstance(known, RecordingKnown)
    assert (known.extension, known.path) == ("101", "a.wav")
    for part in made.participations:
        part.is_announced = False
    assert list(participations.recordings(made, moment(9.0))) == []
