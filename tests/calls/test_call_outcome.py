"""How a call as a whole ended, and which legs ring whom."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.calls.pieces import call, channel, dial, hung_up, line, pair, phone
from uac_trio.calls.call import Call, CallEnd, Direction, Orientation, Unseen
from uac_trio.calls.call_outcome import STATUS_RULES, Rule, call_status, far_legs, is_near, near_legs, outward_outcome
from uac_trio.calls.channel_events import ChannelState
from uac_trio.calls.conversation import Answer
from uac_trio.calls.outcome import Outcome


def incoming() -> Call:
    """A line calls in."""
    made = call()
    line("1.1", made)
    return made


def ringing(*extensions: str) -> Call:
    """Phones ring for the caller."""
    made = incoming()
    for number, extension in enumerate(extensions, start=2):
        dial(made.source, phone(f"1.{number}", extension, made), rang_at=1.0)
    return made


def click() -> Call:
    """An Originate rings 101, which dials a line."""
    made = call()
    own = phone("1.1", "101", made)
    own.is_originated = True
    dial(None, own, rang_at=1.0)
    return made


def with_far_leg(made: Call) -> Call:
    dial(made.source, line("1.9", made))
    return made


def test_legs_of_an_incoming_call() -> None:
    """Without an Originate all legs try the other side."""
    made = ringing("101", "102")
    assert (near_legs(made), far_legs(made)) == ([], list(made.legs))
    assert not any(is_near(made, leg) for leg in made.legs)
    assert (near_legs(call()), far_legs(call())) == ([], [])


def test_legs_of_a_click() -> None:
    """The one of the Originate rings who clicked, also through a Local channel."""
    made = with_far_leg(click())
    near, far = made.legs
    assert (near_legs(made), far_legs(made)) == ([near], [far])
    made = call()
    first, second = pair("1.1", "1.2", made)
    first.is_originated = True
    dial(None, first)
    inner = dial(second, phone("1.3", "101", made))
    outer = dial(first, line("1.4", made))
    assert (near_legs(made), far_legs(made)) == ([inner], [outer])


def answered() -> Call:
    made = ringing("101")
    made.conversation.answer = Answer(2.0, "101")
    return made


def voicemail() -> Call:
    made = incoming()
    made.recordings.has_voicemail = True
    return made


def conference() -> Call:
    made = incoming()
    made.conversation.talk.total = 3.0
    return made


def left_the_queue() -> Call:
    made = incoming()
    assert made.source is not None
    made.queue.join("sales", made.source, is_answered=False)
    made.queue.give_up(made.source)
    return made


def handed_on() -> Call:
    made = ringing("101")
    made.end = CallEnd(5.0, merged_into="main-0.1")
    return made


def picked_up_in_vain() -> Call:
    made = ringing("101")
    assert made.source is not None
    for leg in made.legs:
        made.legs.pick_up(leg)
    hung_up(made.source, 5.0, by_itself=True)
    return made


EXAMPLES = (answered, voicemail, conference, left_the_queue, handed_on, picked_up_in_vain)
"""One call to a rule, in the order of the table."""


@pytest.mark.parametrize(("rule", "example"), list(zip(STATUS_RULES, EXAMPLES, strict=True)))
def test_each_rule_decides(rule: Rule, example: Callable[[], Call]) -> None:
    """It is the only one to apply to its example, and decides it."""
    made = example()
    applying = [each for each in STATUS_RULES if each.applies(made, True)]
    assert applying == [rule]
    assert call_status(made, True) is applying[0].outcome


def test_a_phone_that_was_not_picked_up() -> None:
    """Then the caller did not wait in vain, but left while it rang; nor is anything concluded without HangupRequest."""
    made = picked_up_in_vain()
    dial(made.source, phone("1.7", "102", made), rang_at=1.0)
    assert not STATUS_RULES[-1].applies(made, True)
    assert not STATUS_RULES[-1].applies(picked_up_in_vain(), False)


def refused(status: str, cause: int = 0) -> Call:
    made = ringing("101")
    for leg in made.legs:
        leg.status, leg.ended_at = status, 4.0
        hung_up(leg.channel, 4.0, cause)
    return made


@pytest.mark.parametrize(
    ("made", "outcome"),
    [
        (refused("BUSY", 17), Outcome.BUSY),
        (refused("CANCEL", 26), Outcome.NO_ANSWER),  # a colleague elsewhere: for the caller no one answered
        (refused("CHANUNAVAIL"), Outcome.FAILED),
        (call(), Outcome.FAILED),
        (incoming(), Outcome.FAILED),
    ],
)
def test_attempts_decide(made: Call, outcome: Outcome) -> None:
    """The legs to the other side; without any the dialplan alone dealt with the caller."""
    assert outward_outcome(made, True) is outcome


def test_a_forwarded_phone_counts_only_alone() -> None:
    """A phone that sent the call on is no attempt where another was tried."""
    made = refused("BUSY", 17)
    dial(made.source, phone("1.8", "102", made)).status = "FORWARDED"
    assert outward_outcome(made, True) is Outcome.BUSY
    alone = refused("FORWARDED")
    assert outward_outcome(alone, True) is Outcome.NO_ANSWER


@pytest.mark.parametrize(("status", "is_up", "outcome"), [
    ("NOANSWER", False, Outcome.NO_ANSWER),
    ("BUSY", False, Outcome.BUSY),
    ("ANSWER", True, Outcome.FAILED),
])  # fmt: skip
def test_a_click_without_a_number(status: str, is_up: bool, outcome: Outcome) -> None:
    """The phone of who clicked decides while it was not picked up; then nothing was dialled."""
    made = click()
    (leg,) = made.legs
    leg.status, leg.ended_at = status, 4.0
    if is_up:
        leg.channel.up_at = 2.0
    hung_up(leg.channel, 4.0)
    assert outward_outcome(made, True) is outcome


@pytest.mark.parametrize(
    ("is_up", "direction", "state", "cause", "asked", "is_adopted", "outcome"),
    [
        (True, Direction.INTERNAL, None, 16, False, False, Outcome.COMPLETED),
        (True, Direction.INBOUND, None, 16, False, False, Outcome.NO_ANSWER),
        (False, Direction.INTERNAL, ChannelState.BUSY, 17, False, False, Outcome.BUSY),
        (False, Direction.INTERNAL, ChannelState.BUSY, 16, False, False, Outcome.FAILED),
        (False, Direction.INTERNAL, ChannelState.RING, 17, False, False, Outcome.FAILED),
        (False, Direction.INBOUND, None, 16, True, False, Outcome.CANCELLED),
        (False, Direction.INBOUND, None, 16, False, True, Outcome.NO_ANSWER),
        (False, Direction.INBOUND, None, 16, False, False, Outcome.FAILED),
    ],
)
def test_no_phone_was_tried(
    is_up: bool, direction: Direction, state: int | None, cause: int, asked: bool, is_adopted: bool, outcome: Outcome
) -> None:
    """A service number, a busy tone of the dialplan, a caller who hung up, or nothing at all."""
    made = call()
    made.orientation = Orientation(direction=direction)
    source = channel("1.1", "PJSIP/101-01", made, "101", state=state)
    source.up_at = 1.0 if is_up else None
    hung_up(source, 5.0, cause, by_itself=asked)
    if is_adopted:
        made.unseen |= Unseen.BEGINNING
    assert outward_outcome(made, True) is outcome
