"""A phone that was picked up and whose user never heard the other side: a queue that waits, a key, FollowMe()."""

from __future__ import annotations

import pytest

from tests.calls.scenes import feed, ringing
from tests.calls.simulator import Asterisk, Line
from tests.calls.streams import records_of, run
from uac_trio.calls.fact import Fact, OfParticipation, ParticipationEnded
from uac_trio.calls.outcome import Outcome
from uac_trio.calls.tracker import CallTracker


def dial_end(pbx: Asterisk, caller: Line, leg: Line, status: str) -> None:
    pbx.emit("DialEnd", pbx.channel(caller), pbx.channel(leg, "Dest"), {"DialStatus": status})


def parts(facts: list[Fact]) -> dict[str, tuple[Outcome, float]]:
    """Outcome and end of each, in the order in which they ended."""
    return {fact.extension: (fact.outcome, fact.ended_at) for fact in facts if isinstance(fact, ParticipationEnded)}


@pytest.mark.parametrize("status", ["BUSY", "CONGESTION", "NOANSWER", "CONTINUE"])
@pytest.mark.parametrize(
    ("customer_leaves", "outcome"), [(False, Outcome.NO_ANSWER), (True, Outcome.CANCELLED)], ids=["waits", "leaves"]
)
def test_what_a_confirmation_returns_is_no_outcome(status: str, customer_leaves: bool, outcome: Outcome) -> None:
    """A phone that was picked up was neither busy nor out of reach, whatever U() made of DialStatus."""
    pbx, customer, (leg,) = ringing("101")
    pbx.enter_state(leg, 6)
    pbx.now += 2.0
    if customer_leaves:
        pbx.asks_to_hang_up(customer)
    dial_end(pbx, customer, leg, status)
    pbx.hang_up(leg)
    pbx.hang_up(customer)

    facts = run(pbx.events)

    assert parts(facts) == {"101": (outcome, pbx.now)}
    assert records_of(facts)[customer.linkedid]["status"] == outcome.value


def test_a_phone_that_fell_silent_has_its_own_end() -> None:
    """The others of a queue stop ringing when one is picked up; the meaning is known when a conversation follows."""
    pbx, customer, (first, second) = ringing("101", "102")
    pbx.now += 1.0
    silent_at = pbx.now
    pbx.enter_state(first, 6)
    pbx.ends_dial(second, "CANCEL", 26)
    pbx.now += 5.0
    bridge = pbx.bridge()
    pbx.enter(first, bridge)
    pbx.enter(customer, bridge)

    facts = feed(CallTracker("main"), pbx)

    assert parts(facts) == {"102": (Outcome.ANSWERED_ELSEWHERE, silent_at)}
    (ended,) = [fact for fact in facts if isinstance(fact, ParticipationEnded)]
    assert ended.at == pbx.now


def test_a_caller_who_left_ends_what_was_open() -> None:
    """An answering machine is still being asked for its key when the caller hangs up, and the desk falls silent."""
    pbx, customer, (machine, desk) = ringing("+79260000001", "101")
    pbx.enter_state(machine, 6)
    pbx.now += 2.0
    pbx.asks_to_hang_up(customer)
    pbx.ends_dial(desk, "CANCEL", 0)
    tracker = CallTracker("main")

    facts = feed(tracker, pbx)

    assert parts(facts) == {"101": (Outcome.CANCELLED, pbx.now)}


def test_declined_before_another_was_picked_up() -> None:
    """FollowMe(): who declined did not lose the call to the next, whose phone rang later."""
    pbx, customer, (first,) = ringing("101")
    pbx.enter_state(first, 6)
    pbx.now += 2.0
    pbx.hang_up(first)
    (second,) = pbx.dial(customer, ["102"]).legs
    pbx.rings(second)
    pbx.now += 2.0
    pbx.answers(second)
    pbx.now += 2.0
    pbx.hangs_up_talk(customer)

    outcomes = {extension: outcome for extension, (outcome, _) in parts(feed(CallTracker("main"), pbx)).items()}

    assert outcomes == {"101": Outcome.NO_ANSWER, "102": Outcome.COMPLETED}


def test_picked_up_while_another_took_the_call() -> None:
    """Two confirm: who pressed the key talks, the other was picked up as well and lost."""
    pbx, customer, (first, second) = ringing("101", "102")
    pbx.enter_state(first, 6)
    pbx.now += 1.0
    pbx.enter_state(second, 6)
    pbx.now += 1.0
    bridge = pbx.bridge()
    pbx.enter(second, bridge)
    pbx.enter(customer, bridge)
    pbx.now += 1.0
    dial_end(pbx, customer, first, "BUSY")
    pbx.hang_up(first)

    facts = feed(CallTracker("main"), pbx)

    assert parts(facts) == {"101": (Outcome.ANSWERED_ELSEWHERE, pbx.now)}


@pytest.mark.parametrize("is_busy", [False, True])
def test_a_colleague_of_the_follow_me_of_who_clicked(is_busy: bool) -> None:
    """Their phone is tried for the one who clicked: it is no call of a customer to them."""
    pbx = Asterisk(lambda _: 0)
    first, second = pbx.local_pair("101", Line("", "1.1", "1.1", "", 0, "", "", ""))
    first.number = "+79161234567"
    pbx.emit("DialBegin", pbx.channel(first, "Dest"), {"DialString": "101@from-queue"})
    own, colleague = pbx.dial(second, ["101", "102"]).legs
    pbx.rings(own)
    if is_busy:
        pbx.asks_to_hang_up(colleague)
        pbx.ends_dial(colleague, "BUSY", 17)
    else:
        pbx.rings(colleague)
    pbx.now += 5.0
    pbx.ends_dial(own, "NOANSWER", 0)
    if not is_busy:
        pbx.ends_dial(colleague, "NOANSWER", 0)
    for half in (first, second):
        pbx.hang_up(half)

    facts = feed(CallTracker("main"), pbx)

    assert {fact.extension for fact in facts if isinstance(fact, OfParticipation)} == {"101"}


@pytest.mark.parametrize("is_first_bridge", [True, False], ids=["the first call seen", "a later call"])
@pytest.mark.parametrize("bridge_first", [True, False])
def test_an_answer_without_a_bridge_to_the_caller(is_first_bridge: bool, bridge_first: bool) -> None:
    """FollowMe() reports ANSWER when the phone behind its Local channel is picked up. That one is put into a bridge in
    the same moment, before or after; the caller is in none."""
    pbx = Asterisk(lambda _: 0)
    if not is_first_bridge:
        pbx.enter(pbx.calls_in("+79160000000", "4951000101"), pbx.bridge())
    customer = pbx.calls_in("+79161234567", "4951000101")
    pbx.enter_state(customer, 6)
    (leg,) = pbx.dial(customer, ["101"], through_local=True).legs
    assert leg.dialled_by is not None
    second = leg.dialled_by.caller
    assert second is not None
    first = second.half
    assert first is not None
    pbx.rings(leg)
    pbx.now += 2.0
    pbx.enter_state(leg, 6)
    dial_end(pbx, second, leg, "ANSWER")
    pbx.enter_state(first, 6)
    if not bridge_first:
        dial_end(pbx, customer, first, "ANSWER")
    bridge = pbx.bridge()
    pbx.enter(leg, bridge)
    pbx.enter(second, bridge)
    if bridge_first:
        dial_end(pbx, customer, first, "ANSWER")
    pbx.now += 3.0
    for line in (first, second, leg, customer):
        pbx.hang_up(line)

    facts = run(pbx.events)

    assert [fact.outcome for fact in facts if isinstance(fact, ParticipationEnded)] == [Outcome.NO_ANSWER]
    assert records_of(facts)[customer.linkedid]["answered_by"] is None


def test_forwarded_to_a_line_that_is_busy() -> None:
    """A phone that sent the call on says nothing of how it ended."""
    pbx = Asterisk(lambda _: 0)
    customer = pbx.calls_in("+79161234567", "4951000101")
    (desk,) = pbx.dial(customer, ["101"]).legs
    pbx.emit(
        "DialEnd", pbx.channel(customer), pbx.channel(desk, "Dest"), {"DialStatus": "CANCEL", "Forward": "9261112233"}
    )
    (line,) = pbx.dial(customer, ["+79261112233"]).legs
    pbx.hang_up(desk)
    pbx.asks_to_hang_up(line)
    pbx.ends_dial(line, "BUSY", 17)
    pbx.hang_up(customer)

    assert records_of(run(pbx.events))[customer.linkedid]["status"] == "busy"
