"""A customer is handed on: parking, consultations through Local channels and queues, Redirect, pickup."""

from __future__ import annotations

from itertools import permutations
from typing import Literal

import pytest

from tests.calls.wire import CUSTOMER, Chan, Office, Wire
from uac_trio.calls.rules import TrackerRules


def talks_with_101(wire: Wire) -> tuple[Chan, Chan, str]:
    """(customer, phone, bridge) after five seconds of talk."""
    customer = wire.calls_in()
    phone = wire.dial(customer, wire.phone("101", customer))
    wire.rings(phone)
    wire.wait(2.0)
    bridge = wire.answers(customer, phone)
    wire.wait(5.0)
    return customer, phone, bridge


def transfer(kind: str, to: str, *, by: str = "101", answered: bool = True) -> dict[str, object]:
    return {"type": kind, "by": by, "to": to, "answered": answered}


# ---- parking


def parks(wire: Wire, agent: Chan, customer: Chan, order: tuple[str, ...]) -> None:
    """REFER to the parking extension: two events, in either order; by feature code the first alone."""
    for name in order:
        if name == "ParkedCall":
            wire.emit(name, customer.headers("Parkee"), {"ParkerDialString": agent.name.rpartition("-")[0]})
        else:
            parties = agent.headers("Transferer"), customer.headers("Transferee")
            wire.emit("BlindTransfer", {"Result": "Success", "Extension": "700"}, *parties)
    wire.leave(customer)
    wire.bridge(customer, kind="parking")


ORDERS = [("ParkedCall",), ("ParkedCall", "BlindTransfer"), ("BlindTransfer", "ParkedCall")]


@pytest.mark.parametrize("order", ORDERS, ids="-".join)
@pytest.mark.parametrize("retrieval", list(permutations(["event", "customer", "retriever"])), ids="-".join)
@pytest.mark.parametrize("is_old_leg_late", [True, False])
def test_a_parked_customer_whom_another_takes(
    office: Office, order: tuple[str, ...], retrieval: tuple[str, ...], is_old_leg_late: bool
) -> None:
    """One transfer, answered, in whatever order the events of the retrieval come."""
    wire = office.wire()
    customer, phone, _ = talks_with_101(wire)
    parks(wire, phone, customer, order)
    if not is_old_leg_late:
        wire.hang_up(phone)
    wire.wait(4.0)
    retriever = wire.channel("PJSIP/102", "102", state=4, exten="701")
    wire.up(retriever)
    bridge = "basic-retrieved"
    for step in retrieval:
        if step == "event":
            parked_by = {"ParkerDialString": "PJSIP/101"}
            wire.emit("UnParkedCall", customer.headers("Parkee"), retriever.headers("Retriever"), parked_by)
        else:
            wire.enter(customer if step == "customer" else retriever, bridge)
    if is_old_leg_late:
        wire.wait(0.7)
        wire.hang_up(phone)
    wire.wait(6.0)
    wire.talk_ends(customer, retriever)
    story = wire.story()
    story.shows(
        direction="inbound", status="completed", answered_by="101", final_agent="102",
        transfers=[transfer("park", "102")], parts={"101": "transferred", "102": "completed"},
    )  # fmt: skip
    assert {customer for _, _, customer in story.began} == {CUSTOMER}


def test_a_parked_customer_whom_the_parker_takes_back(office: Office) -> None:
    """From another of their phones: no transfer."""
    wire = office.wire()
    customer, phone, _ = talks_with_101(wire)
    parks(wire, phone, customer, ("ParkedCall",))
    wire.hang_up(phone)
    wire.wait(4.0)
    retriever = wire.channel("PJSIP/101", "101", state=4, exten="701")
    wire.up(retriever)
    wire.emit("UnParkedCall", customer.headers("Parkee"), retriever.headers("Retriever"))
    wire.bridge(customer, retriever)
    wire.wait(5.0)
    wire.talk_ends(customer, retriever)
    story = wire.story()
    story.shows(status="completed", answered_by="101", final_agent="101", transfers=[], talk_secs=10.0)


def test_a_parked_customer_who_leaves(office: Office) -> None:
    wire = office.wire()
    customer, phone, _ = talks_with_101(wire)
    parks(wire, phone, customer, ("ParkedCall", "BlindTransfer"))
    wire.hang_up(phone)
    wire.wait(4.0)
    wire.talk_ends(customer)
    story = wire.story()
    story.shows(status="completed", answered_by="101", final_agent="101", transfers=[], talk_secs=5.0)


# ---- attended transfers by a second call of the phone


def phone_behind_local(wire: Wire, caller: Chan, exten: str, *, mobile: str = "") -> tuple[Chan, list[Chan]]:
    """(phone or line, [Local;2, Local;1]) that a call of ``exten`` rings."""
    first, second = wire.local(exten, of=caller)
    wire.shows(second, caller.number)
    wire.dial(caller, first, f"{exten}@from-internal/n")
    phone = wire.dials_out(second, mobile) if mobile else wire.dial(second, wire.phone(exten, caller))
    wire.rings(phone, first)
    return phone, [second, first]


def is_picked_up(wire: Wire, caller: Chan, phone: Chan, halves: list[Chan]) -> None:
    second, first = halves
    wire.up(phone)
    wire.dial_ends(second, phone, "ANSWER")
    wire.up(second, first)
    wire.dial_ends(caller, first, "ANSWER")
    wire.bridge(phone, second)
    wire.up(caller)
    wire.bridge(first, caller)


@pytest.mark.parametrize("mobile", ["", "89261234567"], ids=["desk", "mobile"])
@pytest.mark.parametrize("when", ["talking", "ringing"])
def test_an_attended_transfer_to_a_colleague_behind_local(office: Office, mobile: str, when: str) -> None:
    """The colleague is named, not the Local channel and not the customer; also while their phone rings still."""
    wire = office.wire()
    customer, phone, bridge = talks_with_101(wire)
    wire.emit("Hold", phone.headers())
    second_call = wire.channel("PJSIP/101", "101", state=4, exten="102")
    target, halves = phone_behind_local(wire, second_call, "102", mobile=mobile)
    wire.wait(2.0)
    if when == "talking":
        is_picked_up(wire, second_call, target, halves)
        wire.wait(3.0)
    wire.emit("Unhold", phone.headers())
    parties = [
        phone.headers("OrigTransferer"), second_call.headers("SecondTransferer"), customer.headers("Transferee"),
    ]  # fmt: skip
    if when == "talking":
        wire.enter(customer, halves[1].bridge, instead_of=second_call)
        parties.append(halves[1].headers("TransferTarget"))
    else:
        customer.linkedid = second_call.linkedid = phone.linkedid
        wire.leave(customer)
    wire.emit("AttendedTransfer", {"Result": "Success", "DestType": "Bridge"}, *parties)
    wire.hang_up(phone, second_call)
    if when == "ringing":
        wire.wait(2.0)
        is_picked_up(wire, customer, target, halves)
    wire.wait(5.0)
    wire.talk_ends(customer, target, *halves)
    story = wire.story()
    to = mobile or "102"
    main = next(call for call in story.calls if not call["merged_into_first"])
    assert (main["transfers"], main["final_agent"]) == ([transfer("attended", to)], to)
    assert (main["customer"], main["answered_by"]) == (CUSTOMER, "101")
    assert ("101", "transferred") in story.ended
    assert bridge != halves[1].bridge


# ---- consultations by feature code (*2)


class Consultation:
    """101 presses *2 and a number: a Local channel that nothing dialled is put into a bridge with 101's phone."""

    def __init__(self, wire: Wire, agent: Chan, exten: str) -> None:
        self.wire, self.agent, self.waiting = wire, agent, agent.bridge
        self.first, self.second = wire.local(exten, of=agent)
        wire.shows(self.second, "101")
        wire.bridge(self.first, agent)

    def is_carried_out(self) -> None:
        """101 hangs up: the customer comes to the Local channel."""
        wire, agent = self.wire, self.agent
        wire.ask_hangup(agent)
        wire.leave(agent)
        wire.enter(self.first, self.waiting)
        wire.emit(
            "AttendedTransfer", {"Result": "Success", "DestType": "Bridge"},
            agent.headers("OrigTransferer"), agent.headers("SecondTransferer"),
            self.customer.headers("Transferee"), self.first.headers("TransferTarget"),
        )  # fmt: skip
        wire.hang_up(agent)

    @property
    def customer(self) -> Chan:
        return next(chan for chan in self.wire.live if chan.bridge == self.waiting and chan.name.startswith("PJSIP/tr"))

    def is_given_back(self) -> None:
        self.wire.enter(self.agent, self.waiting)
        self.wire.hang_up(self.first, self.second)


@pytest.mark.parametrize("depth", [0, 1], ids=["directly", "behind another Local"])
@pytest.mark.parametrize("when", ["talking", "ringing"])
def test_a_consultation_of_a_colleague(office: Office, depth: int, when: str) -> None:
    wire = office.wire()
    customer, agent, _ = talks_with_101(wire)
    asked = Consultation(wire, agent, "102")
    halves: list[Chan] = []
    if depth:
        target, halves = phone_behind_local(wire, asked.second, "102")
    else:
        target = wire.dial(asked.second, wire.phone("102", asked.second))
        wire.rings(target)
    wire.wait(2.0)
    if when == "ringing":
        asked.is_carried_out()
        wire.wait(2.0)
    if depth:
        is_picked_up(wire, asked.second, target, halves)
    else:
        wire.answers(asked.second, target)
    wire.up(asked.first)
    wire.wait(3.0)
    if when == "talking":
        asked.is_carried_out()
        wire.wait(3.0)
    wire.talk_ends(customer, asked.first, asked.second, *halves, target)
    story = wire.story()
    story.shows(
        status="completed", customer=CUSTOMER, answered_by="101", final_agent="102",
        transfers=[transfer("attended", "102")], parts={"101": "transferred", "102": "completed"},
    )  # fmt: skip


@pytest.mark.parametrize("when", ["talking", "ringing", "waiting"])
def test_a_consultation_of_a_queue(office: Office, when: str) -> None:
    """The transfer is to the queue, whichever member takes it and whenever 101 hangs up."""
    wire = office.wire()
    customer, agent, _ = talks_with_101(wire)
    asked = Consultation(wire, agent, "600")
    wire.joins_queue(asked.second)
    wire.wait(2.0)
    if when == "waiting":
        asked.is_carried_out()
        wire.wait(2.0)
    member = wire.queue_rings(asked.second, "102")
    wire.wait(2.0)
    if when == "ringing":
        asked.is_carried_out()
        wire.wait(2.0)
    wire.up(member)
    wire.dial_ends(asked.second, member, "ANSWER")
    wire.leaves_queue(asked.second)
    wire.up(asked.first)
    wire.bridge(member, asked.second)
    wire.wait(3.0)
    if when == "talking":
        asked.is_carried_out()
        wire.wait(3.0)
    wire.talk_ends(customer, asked.first, asked.second, member)
    story = wire.story()
    story.shows(
        status="completed", customer=CUSTOMER, answered_by="101", final_agent="102",
        transfers=[transfer("attended", "support")], parts={"101": "transferred", "102": "completed"},
    )  # fmt: skip


@pytest.mark.parametrize("is_answered", [True, False])
def test_a_consultation_that_is_given_back(office: Office, is_answered: bool) -> None:
    """102 does not want to, or does not answer: 101 talks on. Only what was tried in vain is shown."""
    wire = office.wire()
    customer, agent, _ = talks_with_101(wire)
    asked = Consultation(wire, agent, "102")
    target = wire.dial(asked.second, wire.phone("102", asked.second))
    wire.rings(target)
    wire.wait(4.0)
    if is_answered:
        wire.answers(asked.second, target)
        wire.up(asked.first)
        wire.wait(3.0)
        wire.ask_hangup(target)
        wire.hang_up(target)
    else:
        wire.gives_up(asked.second, target)
    asked.is_given_back()
    wire.wait(5.0)
    wire.talk_ends(customer, agent)
    story = wire.story()
    tried = [] if is_answered else [transfer("attended", "102", answered=False)]
    story.shows(status="completed", answered_by="101", final_agent="101", transfers=tried)
    assert ("101", "completed") in story.ended


# ---- Redirect: AMI, a panel, sends the customer on


@pytest.mark.parametrize("first", ["join", "hangup"])
@pytest.mark.parametrize("queue", ["answers", "rings in vain", "is empty"])
def test_a_redirect_to_a_queue(office: Office, first: str, queue: str) -> None:
    """To the queue by its name, in both orders of QueueCallerJoin and the end of 101's channel."""
    wire = office.wire()
    customer, agent, _ = talks_with_101(wire)
    wire.leave(customer, agent)
    if first == "join":
        wire.joins_queue(customer)
        wire.hang_up(agent)
    else:
        wire.hang_up(agent)
        wire.joins_queue(customer)
    wire.wait(3.0)
    rest: list[Chan] = []
    if queue != "is empty":
        member = wire.queue_rings(customer, "102")
        wire.wait(2.0)
        if queue == "answers":
            wire.up(member)
            wire.dial_ends(customer, member, "ANSWER")
            wire.leaves_queue(customer)
            wire.bridge(member, customer)
            wire.wait(5.0)
            rest = [member]
        else:
            wire.gives_up(customer, member, status="NOANSWER")
    wire.talk_ends(customer, *rest)
    story = wire.story()
    is_answered = queue == "answers"
    story.shows(
        status="completed", answered_by="101", final_agent="102" if is_answered else "101",
        transfers=[transfer("redirect", "support", answered=is_answered)],
    )  # fmt: skip
    assert story.calls[0]["parts"]["101"] == "transferred"


@pytest.mark.parametrize("target", ["102", "89261234567"])
def test_a_redirect_to_a_phone(office: Office, target: str) -> None:
    wire = office.wire()
    customer, agent, _ = talks_with_101(wire)
    wire.leave(customer, agent)
    wire.hang_up(agent)
    is_colleague = len(target) == 3
    other = wire.dial(customer, wire.phone(target, customer)) if is_colleague else wire.dials_out(customer, target)
    wire.rings(other)
    wire.wait(2.0)
    wire.answers(customer, other)
    wire.wait(5.0)
    wire.talk_ends(customer, other)
    wire.story().shows(final_agent=target, transfers=[transfer("redirect", target)], customer=CUSTOMER, talk_secs=10.0)


def test_an_agent_who_hangs_up_before_the_dialplan_goes_on(office: Office) -> None:
    """Dial(...,g): a survey, another queue. No transfer: 101 ended the talk."""
    wire = office.wire()
    customer, agent, _ = talks_with_101(wire)
    wire.ask_hangup(agent)
    wire.leave(customer, agent)
    wire.hang_up(agent)
    wire.joins_queue(customer)
    wire.wait(3.0)
    wire.talk_ends(customer)
    wire.story().shows(status="completed", answered_by="101", final_agent="101", transfers=[])


# ---- pickup

Way = Literal["Dial", "queue", "Dial through Local"]


@pytest.mark.parametrize("cause", [16, 26])
@pytest.mark.parametrize("way", ["Dial", "queue", "Dial through Local"])
@pytest.mark.parametrize("filtered", [(), ("Pickup",)], ids=["Pickup", "Pickup filtered"])
def test_a_pickup(office: Office, way: Way, cause: int, filtered: tuple[str, ...]) -> None:
    """Who rang is answered elsewhere, the picker talked; with and without the event that says so."""
    wire = office.wire(TrackerRules(), filtered=filtered)
    customer = wire.calls_in()
    halves: list[Chan] = []
    loser = "answered-elsewhere"
    if filtered and way == "queue" and cause == 16:
        loser = "no-answer"  # nothing shows it in time: neither Pickup nor DialEnd nor the cause
    if way == "queue":
        wire.joins_queue(customer)
        phone = wire.queue_rings(customer, "101")
    elif way == "Dial":
        phone = wire.dial(customer, wire.phone("101", customer))
        wire.rings(phone)
    else:
        phone, halves = phone_behind_local(wire, customer, "101")
    wire.wait(3.0)
    picker = wire.channel("PJSIP/102", "102", state=4, exten="*8")
    wire.up(picker)
    wire.emit("Pickup", picker.headers(), phone.headers("Target"))
    dialler = halves[0] if halves else customer
    if way != "queue":
        wire.dial_ends(dialler, picker, "ANSWER")
    wire.hang_up(phone, cause=cause)
    if halves:
        wire.up(*halves)
        wire.dial_ends(customer, halves[1], "ANSWER")
        wire.bridge(picker, halves[0])
        wire.up(customer)
        wire.bridge(halves[1], customer)
    else:
        if way == "queue":
            wire.leaves_queue(customer)
        wire.up(customer)
        wire.bridge(picker, customer)
    wire.wait(5.0)
    wire.talk_ends(customer, picker, *halves)
    story = wire.story()
    story.shows(
        direction="inbound", customer=CUSTOMER, status="completed", answered_by="102", ring_secs=3.0, talk_secs=5.0,
        transfers=[], parts={"101": loser, "102": "completed"},
    )  # fmt: skip
    assert story.began == [("101", "callee", CUSTOMER), ("102", "callee", CUSTOMER)]
