"""A list of channels in mid-call, on servers with and without Linkedid (Asterisk 13.0 to 13.4 sends none)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Literal

import pytest

from tests.calls.originate import By, click, phone_of
from tests.calls.wire import CUSTOMER, DID, Chan, Office, Wire

Break = Literal["reconnect", "restart"]

Scene = Callable[[Wire], Iterator[None]]
"""Pauses where the connection may break."""


def broken_at(wire: Wire, scene: Scene, pause: int, kind: Break) -> bool:
    """Play the scene, break the connection at one pause. Returns whether there is such a pause."""
    is_reached = False
    for number, _ in enumerate(scene(wire)):
        wire.wait(2.0)
        if number == pause:
            is_reached = True
            if kind == "reconnect":
                wire.lose_connection()
                wire.wait(0.2)
                wire.reconnect()
            else:
                wire.restart_connector()
            wire.wait(2.0)
    return is_reached


def rings_inbound(wire: Wire, caller: Chan, *extensions: str, is_local: bool = False) -> list[tuple[Chan, Chan, Chan]]:
    """(dialler, Local;1 or the phone itself, phone) of each."""
    found = []
    for extension in extensions:
        dialler, first = caller, None
        if is_local:
            first, dialler = wire.local(extension, of=caller)
            wire.shows(dialler, caller.number)
            wire.dial(caller, first, f"{extension}@from-internal/n")
        phone = wire.dial(dialler, wire.phone(extension, caller))
        found.append((dialler, first or phone, phone))
    for _, first, phone in found:
        wire.rings(phone)
        if first is not phone:
            wire.rings(first)
    return found


def picks_up(wire: Wire, caller: Chan, rung: list[tuple[Chan, Chan, Chan]]) -> list[Chan]:
    """The first of those who ring answers, the others are given up. Returns the channels of the talk."""
    (dialler, first, phone), *others = rung
    wire.up(phone)
    wire.dial_ends(dialler, phone, "ANSWER")
    for other_dialler, other_first, other_phone in others:
        if other_first is not other_phone:
            wire.gives_up(caller, other_first, cause=26)
        wire.gives_up(other_dialler, other_phone, cause=26)
        if other_dialler is not caller:
            wire.hang_up(other_dialler, cause=26)
    if first is not phone:
        wire.up(dialler, first)
        wire.dial_ends(caller, first, "ANSWER")
        wire.bridge(phone, dialler)
    wire.up(caller)
    wire.bridge(first, caller)
    return [phone, *([dialler, first] if first is not phone else [])]


def inbound(wire: Wire, *, is_local: bool = False, extensions: tuple[str, ...] = ("101",)) -> Iterator[None]:
    customer = wire.calls_in()
    yield
    rung = rings_inbound(wire, customer, *extensions, is_local=is_local)
    yield
    rest = picks_up(wire, customer, rung)
    yield
    wire.talk_ends(customer, *rest)


def through_local(wire: Wire) -> Iterator[None]:
    yield from inbound(wire, is_local=True)


def ring_group(wire: Wire) -> Iterator[None]:
    yield from inbound(wire, is_local=True, extensions=("101", "102"))


def queue(wire: Wire) -> Iterator[None]:
    customer = wire.calls_in()
    wire.joins_queue(customer)
    yield
    phone = wire.queue_rings(customer, "101")
    yield
    wire.up(phone)
    wire.dial_ends(customer, phone, "ANSWER")
    wire.leaves_queue(customer)
    wire.bridge(phone, customer)
    yield
    wire.talk_ends(customer, phone)


def outbound(wire: Wire) -> Iterator[None]:
    caller = wire.channel("PJSIP/101", "101", state=4, exten=CUSTOMER)
    line = wire.dials_out(caller)
    yield
    wire.rings(line)
    yield
    wire.answers(caller, line)
    yield
    wire.talk_ends(line, caller)


def clicked(wire: Wire, *, by: By, depth: int) -> Iterator[None]:
    one = click(wire, by, depth)
    phone = phone_of(one)
    one.rings(phone)
    yield
    one.picks_up(phone)
    line = one.dials_customer()
    wire.rings(line)
    yield
    wire.answers(one.source, line)
    yield
    wire.talk_ends(line)
    one.ends(phone)


INCOMING = (inbound, through_local, ring_group, queue)
CLICKS = [
    pytest.param(partial(clicked, by=by, depth=depth), id=f"click of {by} through {depth}")
    for by in ("ours", "another program")
    for depth in (0, 1, 2)
]


@pytest.mark.parametrize("shows_linkedid", [True, False], ids=["Linkedid", "no Linkedid"])
@pytest.mark.parametrize("pause", [0, 1, 2])
@pytest.mark.parametrize("kind", ["reconnect", "restart"])
@pytest.mark.parametrize("scene", INCOMING)
def test_an_incoming_call(office: Office, scene: Scene, kind: Break, pause: int, shows_linkedid: bool) -> None:
    """It stays one call, goes on, and ends as it would have."""
    wire = office.wire(shows_linkedid=shows_linkedid)
    assert broken_at(wire, scene, pause, kind)
    story = wire.story()
    story.shows(direction="inbound", customer=CUSTOMER, status="completed", answered_by="101")
    assert story.calls[0]["parts"]["101"] == "completed"
    assert [each for each in story.began if each[0] == "101"] == [("101", "callee", CUSTOMER)]
    assert set(story.ended) - {("102", "answered-elsewhere")} == {("101", "completed")}


@pytest.mark.parametrize("shows_linkedid", [True, False], ids=["Linkedid", "no Linkedid"])
@pytest.mark.parametrize("pause", [0, 1, 2])
@pytest.mark.parametrize("kind", ["reconnect", "restart"])
@pytest.mark.parametrize("scene", [outbound, *CLICKS])
def test_an_outgoing_call(office: Office, scene: Scene, kind: Break, pause: int, shows_linkedid: bool) -> None:
    """The same of calls and clicks of 101."""
    wire = office.wire(shows_linkedid=shows_linkedid)
    assert broken_at(wire, scene, pause, kind)
    story = wire.story()
    story.shows(direction="outbound", customer=CUSTOMER, status="completed", caller="101", answered_by=CUSTOMER)
    assert story.calls[0]["parts"] == {"101": "completed"}
    assert story.began == [("101", "caller", CUSTOMER)]


@pytest.mark.parametrize("kind", ["reconnect", "restart"])
def test_two_calls_of_one_number(office: Office, kind: Break) -> None:
    """No Linkedid: which of the two rings the phone, the list does not show; the events after it do."""
    wire = office.wire(shows_linkedid=False)

    def first_is_answered(wire: Wire) -> Iterator[None]:
        first, second = wire.calls_in(), wire.calls_in()
        rung = rings_inbound(wire, first, "101")
        yield
        rest = picks_up(wire, first, rung)
        wire.wait(2.0)
        wire.talk_ends(first, *rest)
        wire.hang_up(second)

    assert broken_at(wire, first_is_answered, 0, kind)
    inbound_calls = [call for call in wire.story().calls if call["direction"] == "inbound"][-2:]
    assert [call["parts"] for call in inbound_calls] == [{"101": "completed"}, {}]


def test_a_line_that_rings_is_no_caller(office: Office) -> None:
    """No Linkedid, and two employees show the company's number: who calls the line shows when it answers, and that it
    does not call us was clear before."""
    wire = office.wire(shows_linkedid=False)
    wire.lose_connection()
    first, second = (wire.channel(f"PJSIP/{extension}", DID, state=4, exten=CUSTOMER) for extension in ("101", "102"))
    line = wire.dials_out(first)
    wire.rings(line)
    wire.wait(1.0)
    wire.reconnect()
    wire.wait(1.0)
    assert wire.so_far.began == []
    wire.answers(first, line)
    wire.wait(2.0)
    wire.talk_ends(line, first)
    wire.hang_up(second)
    story = wire.story()
    assert story.began == [("101", "caller", CUSTOMER)]
    assert story.ended == [("101", "completed")]


def test_who_retrieves_a_customer_parked_before_a_restart(office: Office) -> None:
    """Nothing shows any more who had called whom; that the customer talks to an employee does. It was taken for an
    internal call, which is not delivered."""
    wire = office.wire()
    caller = wire.channel("PJSIP/101", "101", state=4, exten=CUSTOMER)
    line = wire.dials_out(caller)
    wire.answers(caller, line)
    wire.wait(2.0)
    wire.leave(line, caller)
    wire.bridge(line, kind="holding")
    wire.hang_up(caller)
    wire.wait(2.0)
    wire.restart_connector()
    wire.wait(2.0)
    colleague = wire.phone("102")
    wire.up(colleague)
    wire.leave(line)
    wire.bridge(line, colleague)
    wire.wait(2.0)
    wire.talk_ends(line, colleague)
    story = wire.story()
    assert story.began == [("102", "callee", CUSTOMER)]
    assert story.ended == [("102", "completed")]
