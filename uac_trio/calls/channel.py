"""A channel as the tracker knows it, and the dial attempt that made it ring."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

import attrs

from uac_trio.calls.rules import ChannelName

if TYPE_CHECKING:
    from uac_trio.calls.call import Call


class ChannelState(enum.IntEnum):
    """Asterisk's ``ChannelState`` (include/asterisk/channelstate.h)."""

    DOWN = 0
    RESERVED = 1
    OFFHOOK = 2
    DIALING = 3
    RING = 4
    """An incoming call is being processed: this channel calls us."""
    RINGING = 5
    """The device we called is ringing."""
    UP = 6
    BUSY = 7


class HangupCause(enum.IntEnum):
    """The Q.850 causes that decide an outcome (include/asterisk/causes.h). Others are told by number."""

    UNALLOCATED = 1
    NO_ROUTE_TRANSIT = 2
    NO_ROUTE = 3
    NORMAL = 16
    BUSY = 17
    NO_USER_RESPONSE = 18
    NO_ANSWER = 19
    SUBSCRIBER_ABSENT = 20
    REJECTED = 21
    NUMBER_CHANGED = 22
    ANSWERED_ELSEWHERE = 26
    OUT_OF_ORDER = 27
    INVALID_NUMBER = 28
    FACILITY_REJECTED = 29
    CONGESTION = 34
    NETWORK_OUT_OF_ORDER = 38
    """Of SIP 500 and 502 too."""
    TEMPORARY_FAILURE = 41
    SWITCH_CONGESTION = 42
    NO_SUCH_LINE = 44
    NOT_AVAILABLE = 58
    """Of SIP 488: no codec in common."""
    TIMER_EXPIRED = 102
    """Of SIP 504."""


@attrs.define(eq=False)
class Leg:
    """One attempt to reach somebody: Dial(), Queue(), FollowMe(), Originate (DialBegin to Hangup)."""

    channel: Channel
    """The dialled channel."""
    caller: Channel | None
    """Who dials; None for Originate and for the inner half of a feature-code transfer."""
    dial_string: str
    began_at: float
    rang_at: float | None = None
    answered_at: float | None = None
    ended_at: float | None = None
    """The ringing is over: DialEnd or Hangup, whichever is first."""
    status: str = ""
    """DialStatus of the first DialEnd: a Queue repeats it, the first is meant (app_queue.c)."""
    number: str = ""
    """Lines only: the number that was dialled there."""
    lost_race: bool = False
    """Another phone took the call (picked up, or cause 26)."""

    @property
    def chain(self) -> list[Leg]:
        """This leg and those that led to it through Local channels, the innermost first."""
        legs: list[Leg] = []
        leg: Leg | None = self
        while leg is not None and leg not in legs:
            legs.append(leg)
            leg = leg.caller.half.leg if leg.caller is not None and leg.caller.half is not None else None
        return legs

    @property
    def party(self) -> str:
        """The extension, or the outside number."""
        return self.channel.extension or self.number


@attrs.define(eq=False)
class Channel:
    """One Asterisk channel, known by its Uniqueid, which stays with the device through masquerades (Asterisk 12+)."""

    uniqueid: str
    name: ChannelName
    full_name: str
    linkedid: str
    call: Call
    created_at: float
    state: int
    caller: str
    """CallerIDNum when first seen: of a dialled channel the callee's own number, later it may be anybody's."""
    context: str
    exten: str
    extension: str = ""
    """The employee whose device this is; "" for lines and helpers."""
    number: str = ""
    """CallerIDNum now."""
    connected: str = ""
    """ConnectedLineNum: what its phone shows as the other side."""
    caller_name: str = ""
    leg: Leg | None = None
    half: Channel | None = None
    """Local only: the other half, kept when both are gone."""
    originated: bool = False
    """Dialled by nobody: an Originate, a call file."""
    up_at: float | None = None
    rang_at: float | None = None
    bridge: str = ""
    was_bridged: bool = False
    on_hold: bool = False
    """Its device asked for hold: the others hear music."""
    answered_leg: Leg | None = None
    """As a caller: the leg that answered it; connects the two until bridge events say more."""
    hangup_asked_at: float | None = None
    """HangupRequest named this channel: its own end hung up."""
    transferred: bool = False
    """A transfer event named it as the transferer, with success."""
    hungup_at: float | None = None
    cause: int = 0
    tech_cause: str = ""
    seen_at: float = 0.0
    joined_at: float = 0.0
    """When it came over from a call that was merged into this one."""
    home: Call | None = None
    """The call it was made in, where that was merged: its Cdr belongs there."""

    @property
    def asked_to_hang_up(self) -> bool:
        """Its own end hung up."""
        return self.hangup_asked_at is not None

    @property
    def is_live(self) -> bool:
        return self.hungup_at is None

    @property
    def is_person(self) -> bool:
        return self.name.is_person

    @property
    def is_line(self) -> bool:
        """A person's channel that is no employee's: the outside world."""
        return self.name.is_person and not self.extension
