"""How a customer was handed on."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.calls.pieces import bridged, call, channel, dial, hung_up, line, pair, phone
from uac_trio.calls import handover
from uac_trio.calls.call import Call, Orientation
from uac_trio.calls.call_graph import CallGraph
from uac_trio.calls.channel import Channel
from uac_trio.calls.channel_events import AttendedTransferred, BlindTransferred, ChannelView, Parked, Unparked
from uac_trio.calls.conversation import Answer
from uac_trio.calls.fact import CallTransferred, Fact
from uac_trio.calls.outcome import Outcome
from uac_trio.calls.participation import Participation, Role
from uac_trio.calls.participations import Moment
from uac_trio.calls.rules import TrackerRules
from uac_trio.calls.transfers import Transfer

CUSTOMER = "+79161234567"
UNKNOWN = ChannelView("9.9", "PJSIP/109-09")


def graph(*channels: Channel) -> CallGraph:
    made = CallGraph("main", TrackerRules())
    made.channels.update((each.uniqueid, each) for each in channels)
    return made


def moment(of: CallGraph, at: float = 5.0) -> Moment:
    return Moment(at, "Event", of)


def talk() -> tuple[Call, Channel, Channel]:
    """A customer talks to 101."""
    made = call()
    customer, anna = line("1.1", made, number=CUSTOMER), phone("1.2", "101", made)
    dial(customer, anna)
    made.orientation = Orientation(customer=CUSTOMER)
    made.conversation.answer = Answer(2.0, "101")
    return made, customer, anna


def shown(facts: list[Fact] | list[CallTransferred]) -> list[tuple[str, str, str, str]]:
    return [(each.type, each.by, each.to, each.because) for each in facts if isinstance(each, CallTransferred)]


def test_blind() -> None:
    """Who handed on, and the number they dialled; unless the customer is being parked."""
    made, customer, anna = talk()
    of = graph(customer, anna)
    event = BlindTransferred(event="BlindTransfer", transferer=anna.view, to="102")
    assert shown(list(handover.blind(of, event, moment(of)))) == [("blind", "101", "102", "BlindTransfer to 102")]
    assert [(each.to, each.at) for each in made.transfers] == [("102", 5.0)]
    made.transfers.parker = "101"
    assert list(handover.blind(of, event, moment(of))) == []
    assert list(handover.blind(of, BlindTransferred(event="", transferer=UNKNOWN, to="1"), moment(of))) == []


def test_a_transferer_who_is_no_employee() -> None:
    """A line's number stands for them."""
    _, customer, anna = talk()
    of = graph(customer, anna)
    event = BlindTransferred(event="BlindTransfer", transferer=customer.view, to="102")
    assert shown(list(handover.blind(of, event, moment(of))))[0][1] == CUSTOMER


Consult = Callable[[Call, Channel], tuple[Channel | None, Channel | None]]


def to_colleague(made: Call, second: Channel) -> tuple[Channel | None, Channel | None]:
    """The colleague's channel is named."""
    return None, phone("1.5", "103", made)


def that_rings(made: Call, second: Channel) -> tuple[Channel | None, Channel | None]:
    """Nothing is named, and the transferer's second channel rings them."""
    dial(second, phone("1.5", "103", made))
    return None, None


def through_local(made: Call, second: Channel) -> tuple[Channel | None, Channel | None]:
    """The half that is named leads to the phone."""
    one, two = pair("1.5", "1.6", made)
    dial(second, one)
    dial(two, phone("1.7", "103", made))
    return None, one


def to_queue(made: Call, second: Channel) -> tuple[Channel | None, Channel | None]:
    """The second channel waits in a queue."""
    made.queue.join("sales", second, is_answered=True)
    return None, None


def to_queue_member(made: Call, second: Channel) -> tuple[Channel | None, Channel | None]:
    """The queue rings a member."""
    made.queue.join("sales", second, is_answered=True)
    dial(second, phone("1.5", "103", made), "PJSIP/103")
    return None, None


def customer_second(made: Call, second: Channel) -> tuple[Channel | None, Channel | None]:
    """The customer was called second: the colleague of the first call is handed to them."""
    return phone("1.5", "103", made), line("1.6", made, number=CUSTOMER)


def to_no_one(made: Call, second: Channel) -> tuple[Channel | None, Channel | None]:
    return None, None


@pytest.mark.parametrize(
    ("consult", "to"),
    [
        (to_colleague, "103"),
        (that_rings, "103"),
        (through_local, "103"),
        (to_queue, "sales"),
        (to_queue_member, "sales"),
        (customer_second, "103"),
        (to_no_one, ""),
    ],
)
def test_attended(consult: Consult, to: str) -> None:
    """Whom the transferer asked first, however Asterisk shows them."""
    made, customer, anna = talk()
    second = phone("1.3", "101", made)
    transferee, target = consult(made, second)
    of = graph(*made.channels)
    event = AttendedTransferred(
        event="AttendedTransfer", first=anna.view, second=second.view,
        transferee=(transferee or customer).view, target=target.view if target is not None else None,
    )  # fmt: skip
    assert shown(list(handover.attended(of, event, moment(of)))) == [("attended", "101", to, "AttendedTransfer")]


def test_attended_after_a_consultation_by_feature_code() -> None:
    """Whom the code dialled is known; the attempt becomes the transfer."""
    made, _, anna = talk()
    asked = dial(None, phone("1.4", "103", made))
    made.transfers.add(Transfer("attended", "101", "103", 3.0, consulting=asked))
    of = graph(*made.channels)
    event = AttendedTransferred(event="AttendedTransfer", first=anna.view)
    assert shown(list(handover.attended(of, event, moment(of))))[0][2] == "103"
    assert [each.consulting for each in made.transfers] == [None]
    assert list(handover.attended(of, AttendedTransferred(event="", first=UNKNOWN), moment(of))) == []


@pytest.mark.parametrize(("parker", "known_as"), [("PJSIP/101", "101"), ("", "105")])
def test_parking(parker: str, known_as: str) -> None:
    """Who parked the customer, else who talked last; nothing is reported before they are retrieved."""
    made, customer, _ = talk()
    made.conversation.final_agent = "105"
    of = graph(*made.channels)
    handover.parked(of, Parked(event="ParkedCall", parkee=customer.view, parker=parker), moment(of))
    assert made.transfers.parker == known_as
    handover.parked(of, Parked(event="ParkedCall", parkee=UNKNOWN, parker="x"), moment(of))
    assert len(made.transfers) == 0


@pytest.mark.parametrize(("parker", "retriever", "found"), [("101", "102", 1), ("102", "102", 0), ("", "102", 0)])
def test_unparking(parker: str, retriever: str, found: int) -> None:
    """Another than the parker retrieves the customer: that was a transfer."""
    made, customer, _ = talk()
    taker = phone("1.8", retriever, made)
    made.transfers.parker = parker
    of = graph(*made.channels)
    event = Unparked(event="UnParkedCall", parkee=customer.view, retriever=taker.view)
    assert len(list(handover.unparked(of, event, moment(of)))) == found
    assert made.transfers.parker == ""
    assert list(handover.unparked(of, Unparked(event="", parkee=UNKNOWN, retriever=taker.view), moment(of))) == []


def part(made: Call, extension: str, *, ended_at: float | None, of: Channel | None = None) -> Participation:
    one = Participation(extension, Role.CALLEE, "1.2", 0.0, answered_at=1.0, ended_at=ended_at)
    if of is not None:
        one.channels[of] = None
    made.participations.add(one)
    return one


@pytest.mark.parametrize(
    ("ended_at", "by_itself", "is_transferer", "to", "found"),
    [
        (4.0, False, False, "102", True),
        (None, False, False, "102", False),
        (4.0, True, False, "102", False),
        (4.0, False, True, "102", False),
        (4.0, False, False, "101", False),
    ],
)
def test_sent_on(ended_at: float | None, by_itself: bool, is_transferer: bool, to: str, found: bool) -> None:
    """Another ended the channel of who the customer was with: a Redirect, of which no event comes."""
    made, _, anna = talk()
    one = part(made, "101", ended_at=ended_at, of=anna)
    hung_up(anna, 4.0, by_itself=by_itself)
    anna.is_transferer = is_transferer
    of = graph(*made.channels)
    facts = list(handover.notice_sent_on(made, "redirect", to, moment(of), because="x"))
    assert shown(facts) == ([("redirect", "101", to, "x")] if found else [])
    assert (one.outcome is Outcome.TRANSFERRED) is found


def test_sent_on_while_a_transfer_is_under_way() -> None:
    """That one explains it."""
    made, _, _ = talk()
    part(made, "101", ended_at=4.0)
    made.transfers.parker = "101"
    of = graph()
    assert list(handover.notice_sent_on(made, "redirect", "102", moment(of), because="x")) == []


def test_a_new_leg_in_an_answered_call() -> None:
    """The dialplan sends the customer on to a colleague; before an answer it is a leg like others."""
    made, customer, anna = talk()
    part(made, "101", ended_at=4.0, of=anna)
    hung_up(anna, 4.0)
    leg = dial(customer, phone("1.6", "102", made))
    of = graph(*made.channels)
    assert shown(list(handover.notice_leg(made, leg, moment(of)))) == [
        ("redirect", "101", "102", "Redirect: no event of its own")
    ]
    made.conversation.answer = None
    assert list(handover.notice_leg(made, leg, moment(of))) == []


def test_a_consultation_by_feature_code() -> None:
    """``*2`` puts the transferer into a bridge with a Local channel that no channel dialled."""
    made, _, anna = talk()
    one, two = pair("1.5", "1.6", made)
    bridged(anna, one)
    leg = dial(two, phone("1.7", "103", made))
    of = graph(*made.channels)
    assert list(handover.notice_leg(made, leg, moment(of))) == []
    assert [(each.type, each.by, each.to, each.consulting) for each in made.transfers] == [
        ("attended", "101", "103", leg)
    ]
    assert one.half is two
    dial(channel("1.8", "PJSIP/104-08", made), one)
    made.transfers.end_consultation()
    list(handover.notice_leg(made, leg, moment(of)))
    assert len(made.transfers) == 0


def test_a_number_with_a_prefix() -> None:
    """The leg shows the number without what the dialplan took off."""
    made, customer, _ = talk()
    made.transfers.add(Transfer("blind", "101", "9" + CUSTOMER, 3.0))
    leg = dial(customer, line("1.6", made))
    leg.number = CUSTOMER
    list(handover.notice_leg(made, leg, moment(graph())))
    assert [each.to for each in made.transfers] == [CUSTOMER]
