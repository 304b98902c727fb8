"""AMI 1.x: attempts to reach devices, and how each ended.

Asterisk 1.8 to 11 report the end of a Dial() once for all its destinations, and only when the Dial is over; of a
Queue() they report none. So the status of one destination is concluded: answered when its state is Up, else by its
Hangup's cause where that speaks for itself, else by the ``Dial`` event with ``SubEvent: End`` that follows.
"""

from __future__ import annotations

import attrs

from uac_trio.calls.channel_events import ChannelEvent, ChannelHungUp

BY_CAUSE = {
    1: "CHANUNAVAIL", 2: "CHANUNAVAIL", 3: "CHANUNAVAIL", 17: "BUSY", 18: "CONGESTION", 19: "CONGESTION",
    20: "CHANUNAVAIL", 21: "BUSY", 22: "CHANUNAVAIL", 26: "CANCEL", 27: "CHANUNAVAIL", 28: "CHANUNAVAIL",
    29: "CHANUNAVAIL", 34: "CONGESTION", 38: "CONGESTION", 41: "CONGESTION", 42: "CONGESTION", 44: "CHANUNAVAIL",
    58: "CHANUNAVAIL", 102: "CONGESTION",
}  # fmt: skip
"""The DialStatus that a hangup cause of the destination itself means (include/asterisk/causes.h; channels/chan_sip.c,
``hangup_sip2cause``). Normal clearing, 16, and 0 are what Asterisk sets when it hangs up by itself."""

_ANSWERED_ELSEWHERE = 26
_NO_ANSWER = (18, 19)
"""408, 480: at once they mean that nothing rings there."""


@attrs.define(eq=False)
class Dialling:
    """One Dial(), Queue() or Originate, and whom it tries."""

    caller: str
    """Structure of the channel that dials; "" = none, an Originate."""
    is_queue: bool = False
    """No event shows its end."""
    is_called_by_agent_event: bool = False
    """AgentCalled showed the attempt, so AgentRingNoAnswer would show that it timed out."""
    end: str = ""
    """DialStatus of all of it, once it is over."""
    legs: list[Leg] = attrs.field(factory=list)

    @property
    def is_answered(self) -> bool:
        return any(leg.is_answered for leg in self.legs)

    @property
    def open_legs(self) -> list[Leg]:
        return [leg for leg in self.legs if leg.is_open]


@attrs.define(eq=False)
class Leg:
    """One destination."""

    structure: str
    dialling: Dialling
    dial_string: str = ""
    is_given_out: bool = False
    """DialBegan was. The inner leg of a Local channel waits until it is known who dials that."""
    has_rung: bool = False
    has_rung_out: bool = False
    """AgentRingNoAnswer."""
    is_picked: bool = False
    """Pickup took the call from it."""
    is_answered: bool = False
    is_linked: bool = False
    """It was bridged: nothing can take the answer back."""
    status: str = ""
    """DialStatus of a refusal, once given out."""
    hung_up: ChannelHungUp | None = None
    """Its Hangup, while that waits for the status."""
    after: list[ChannelEvent] = attrs.field(factory=list)
    """What ended because this leg does, inside its Local channel, and has to follow it."""

    @property
    def is_open(self) -> bool:
        """Neither answered nor hung up."""
        return not self.status and not self.is_answered and self.hung_up is None

    @property
    def can_be_refused(self) -> bool:
        """Its Hangup may need a status. An answer is final once there was a bridge; but Dial() may ask its U() or M()
        first, and end without one."""
        is_dial = bool(self.dialling.caller) and not self.dialling.is_queue
        return not self.is_linked and (is_dial or not self.is_answered)

    @property
    def cause(self) -> int:
        return self.hung_up.cause if self.hung_up is not None else 0


@attrs.define
class Dials:
    """The attempts in progress on one server."""

    _by_caller: dict[str, Dialling] = attrs.field(factory=dict, init=False)
    _by_destination: dict[str, Leg] = attrs.field(factory=dict, init=False)

    def by(self, structure: str) -> Dialling | None:
        """What the channel in this structure dials."""
        return self._by_caller.get(structure)

    def to(self, structure: str) -> Leg | None:
        """The attempt that reaches this structure, also after its Hangup while that waits for the status."""
        return self._by_destination.get(structure)

    def dial_by(self, structure: str) -> Dialling:
        """Dial(), the one in progress or a new one."""
        dialling = self._by_caller.get(structure)
        if dialling is None or dialling.is_queue:
            dialling = self._by_caller[structure] = Dialling(structure)
        return dialling

    def queue_by(self, structure: str) -> Dialling:
        """Queue(), the one in progress or a new one: after an answer it dials no more."""
        dialling = self._by_caller.get(structure)
        if dialling is None or not dialling.is_queue or dialling.is_answered:
            dialling = self._by_caller[structure] = Dialling(structure, is_queue=True)
        return dialling

    def begin(self, dialling: Dialling, structure: str, dial_string: str) -> Leg | None:
        """Another destination; None if this is known already."""
        before = self._by_destination.get(structure)
        if before is not None and before.dialling.caller == dialling.caller:
            return None
        leg = self._by_destination[structure] = Leg(structure, dialling, dial_string)
        dialling.legs.append(leg)
        return leg

    def over(self, structure: str) -> Dialling | None:
        """What the channel in this structure dialled is over, or the channel is."""
        return self._by_caller.pop(structure, None)

    def forget(self, leg: Leg) -> None:
        """Its Hangup was given out."""
        self._by_destination.pop(leg.structure, None)

    def waiting(self) -> list[tuple[Leg, ChannelHungUp]]:
        """Legs that hung up and wait for their status."""
        return [(leg, leg.hung_up) for leg in self._by_destination.values() if leg.hung_up is not None]


def status_by_cause(leg: Leg, cause: int) -> str:
    """The DialStatus that the cause shows; "" where Asterisk itself hung up."""
    return "NOANSWER" if cause in _NO_ANSWER and leg.has_rung else BY_CAUSE.get(cause, "")


def status_at_hangup(leg: Leg, has_caller_left: bool) -> str:
    """The DialStatus of a leg that hung up just now, as far as this alone shows; "" = the end of the Dial() will.

    Of the last destination the end of the Dial() follows at once, and it keeps 603 apart from 403, which share a cause.
    """
    dialling, cause = leg.dialling, leg.cause
    if dialling.end:
        return status_at_end(leg, dialling.end)
    if dialling.caller and not dialling.is_queue:
        is_last = not any(other is not leg for other in dialling.open_legs)
        is_open = is_last or has_caller_left  # the cause may be another leg's, copied
        return status_by_cause(leg, cause) if not is_open or cause == _ANSWERED_ELSEWHERE else ""
    if by_cause := status_by_cause(leg, cause):
        return by_cause
    if dialling.is_answered:
        return "CANCEL"
    if leg.has_rung_out:
        return "NOANSWER"
    return "CANCEL" if has_caller_left or dialling.is_called_by_agent_event else "NOANSWER"


def status_at_end(leg: Leg, dial_status: str) -> str:
    """The DialStatus of a leg that hung up before, when its Dial() ended with ``dial_status``."""
    if leg.dialling.is_answered and not leg.is_answered:
        return "CANCEL"
    is_only = len(leg.dialling.legs) == 1 and leg.cause not in _NO_ANSWER
    if dial_status in ("CANCEL", "NOANSWER") or is_only:
        return dial_status
    return status_by_cause(leg, leg.cause) or "NOANSWER"


def status_meanwhile(leg: Leg) -> str:
    """The DialStatus of a leg that hung up, while its Dial() goes on with others."""
    later = leg.dialling.legs[leg.dialling.legs.index(leg) + 1 :]
    # apps/app_dial.c, do_forward: the phone answered 302, a Local channel is dialled in its place
    return "FORWARDED" if later else "NOANSWER"
