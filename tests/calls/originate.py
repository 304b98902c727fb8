"""An Originate of a phone, or of Local channels of which each dials the next; and what may happen to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import attrs

from tests.calls.wire import CUSTOMER, DID, Chan, Wire
from uac_trio.calls.call import ClickOrder

ID = "uac-1700000000-3f9a2b7c"
RECORDING = "/monitor/out.wav"
MOBILE = "89261234567"

By = Literal["ordered", "ours", "another program"]
ORIGINATORS: tuple[By, ...] = ("ordered", "ours", "another program")
DEPTHS = (0, 1, 2, 3)
"""Local channels between the Originate and the phone."""


@attrs.define
class Click:
    """An Originate for 101 and what it leads to. Without Local channels ``source`` is the phone."""

    wire: Wire
    by: By
    source: Chan
    pairs: list[tuple[Chan, Chan]]
    """Local channels, the outermost first."""

    @property
    def dialler(self) -> Chan | None:
        """What dials the phone."""
        return self.pairs[-1][1] if self.pairs else None

    def rings(self, phone: Chan) -> None:
        self.wire.rings(phone)
        for first, _ in reversed(self.pairs):
            self.wire.rings(first)
        self.wire.shows(self.source, connected=CUSTOMER if self.by != "another program" else "")

    def picks_up(self, phone: Chan) -> None:
        """The phone is picked up, and all Local channels with it."""
        wire = self.wire
        wire.up(phone)
        wire.dial_ends(self.dialler, phone, "ANSWER")
        inner = phone
        for number, (first, second) in reversed(list(enumerate(self.pairs))):
            wire.up(second, first)
            wire.dial_ends(self.pairs[number - 1][1] if number else None, first, "ANSWER")
            wire.bridge(inner, second)
            inner = first
        wire.originate_ends(self.source, CUSTOMER, reason=4)

    def dials_customer(self) -> Chan:
        self.wire.shows(self.source, DID)
        return self.wire.dials_out(self.source)

    def ends(self, *phones: Chan, cause: int = 16) -> None:
        """What is left of the click goes."""
        for each in (self.source, *(half for pair in self.pairs for half in pair), *phones):
            if each in self.wire.live:
                self.wire.hang_up(each, cause=cause)


def click(wire: Wire, by: By, depth: int, *, number: str = CUSTOMER, cid: str = CUSTOMER) -> Click:
    """An Originate of a phone, or of Local channels of which each dials the next."""
    is_ours = by != "another program"
    uniqueid = ID if is_ours else ""
    if by == "ordered":
        wire.order(ClickOrder(ID, "101", number))
    if not depth:
        source = wire.channel("PJSIP/101", "101", uniqueid=uniqueid)
        wire.shows(source, "101" if is_ours else cid, number if is_ours else "")
        wire.dial(None, source)
        return Click(wire, by, source, [])
    source, second = wire.local("101", uniqueid=uniqueid)
    wire.shows(source, "101" if is_ours else cid)
    wire.shows(second, number)
    wire.dial(None, source, "101@from-internal")
    pairs = [(source, second)]
    for exten in ("FMPR-101", "LC-101")[: depth - 1]:
        pair = wire.local(exten, of=source)
        wire.shows(pair[1], number)
        wire.dial(pairs[-1][1], pair[0], f"{exten}@from-internal")
        pairs.append(pair)
    return Click(wire, by, source, pairs)


def phone_of(one: Click) -> Chan:
    """101's desk phone is called."""
    return one.wire.dial(one.dialler, one.wire.phone("101", one.source)) if one.pairs else one.source


# ---- ends


def talk(one: Click, phone: Chan) -> None:
    wire, line = one.wire, answered_click(one, phone)
    wire.rings(line)
    wire.wait(3.0)
    wire.answers(one.source, line)
    wire.wait(5.0)
    wire.ask_hangup(line)
    wire.hang_up(line)
    wire.cdr(one.source, line, RECORDING)


def answered_click(one: Click, phone: Chan) -> Chan:
    one.rings(phone)
    one.wire.wait(2.0)
    one.picks_up(phone)
    return one.dials_customer()


def customer_refuses(status: str, cause: int, *, rings: bool = True) -> Callable[[Click, Chan], None]:
    def refuse(one: Click, phone: Chan) -> None:
        wire, line = one.wire, answered_click(one, phone)
        if rings:
            wire.rings(line)
        wire.wait(3.0)
        wire.ask_hangup(line, cause)
        wire.gives_up(one.source, line, status=status, cause=cause)
        wire.cdr(one.source, line, RECORDING, is_answered=False)

    return refuse


def customer_is_away(one: Click, phone: Chan) -> None:
    wire, line = one.wire, answered_click(one, phone)
    wire.rings(line)
    wire.wait(8.0)
    wire.gives_up(one.source, line, status="NOANSWER")


def employee_hangs_up(one: Click, phone: Chan) -> None:
    wire, line = one.wire, answered_click(one, phone)
    wire.rings(line)
    wire.wait(2.0)
    wire.ask_hangup(phone)
    if phone is not one.source:
        wire.hang_up(phone)
    wire.gives_up(one.source, line)


def employee_refuses(status: str, cause: int) -> Callable[[Click, Chan], None]:
    def refuse(one: Click, phone: Chan) -> None:
        wire = one.wire
        wire.wait(1.0)
        one.rings(phone)
        wire.wait(2.0)
        wire.ask_hangup(phone, cause)
        if one.pairs:
            wire.gives_up(one.dialler, phone, status=status, cause=cause)
        wire.originate_ends(one.source, CUSTOMER, reason=5)
        one.ends(phone, cause=cause)

    return refuse


def employee_is_away(one: Click, phone: Chan) -> None:
    """Originate's timeout hangs up the outermost Local channel, and the Dials within are cancelled."""
    wire = one.wire
    one.rings(phone)
    wire.wait(8.0)
    wire.originate_ends(one.source, CUSTOMER, reason=3)
    if one.pairs:
        wire.hang_up(one.source)
        for _, second in one.pairs:
            wire.ask_hangup(second, 0)
        wire.gives_up(one.dialler, phone)
    one.ends(phone, cause=0)


# ---- another device than the desk phone


def forwards(one: Click, phone: Chan, target: str) -> None:
    """302: the phone sends the click on to ``target``, through a new Local channel."""
    wire = one.wire
    wire.ask_hangup(phone, 23)
    pair = wire.local(target, of=one.source)
    wire.shows(pair[1], CUSTOMER)
    wire.dial_ends(one.dialler, phone, "CANCEL", forward=target)
    wire.dial(one.dialler, pair[0], f"{target}@from-internal")
    wire.hang_up(phone, cause=23)
    one.pairs.append(pair)


def forwarded_to_mobile(one: Click, phone: Chan, *, is_local: bool) -> Chan:
    """Dial() tries the new target itself where it is a technology and a number, else through the dialplan."""
    if is_local:
        forwards(one, phone, f"9{MOBILE}")
        assert one.dialler is not None
        return one.wire.dials_out(one.dialler, MOBILE)
    wire, dialler = one.wire, one.dialler
    assert dialler is not None
    wire.ask_hangup(phone, 23)
    line = wire.line(one.source)
    wire.dial_ends(dialler, phone, "CANCEL", forward=f"PJSIP/{MOBILE}@trunk")
    wire.dial(dialler, line, f"{MOBILE}@trunk")
    wire.hang_up(phone, cause=23)
    return line
