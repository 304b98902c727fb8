"""A channel as the call graph knows it, and the dial attempt (leg) that made it ring."""

from __future__ import annotations

import enum
from collections.abc import Collection
from typing import TYPE_CHECKING, Final

import attrs

from uac_trio.calls.channel_events import ChannelView
from uac_trio.calls.endpoint import Identity
from uac_trio.calls.names import ChannelName, is_queue_dial

if TYPE_CHECKING:
    from uac_trio.calls.call import Call


class HangupCause(enum.IntEnum):
    """The Q.850 causes that decide an outcome (include/asterisk/causes.h)."""

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


SILENT_BRIDGES = frozenset({"parking", "holding", "agent_hold"})
"""BridgeType whose members hear music, not each other."""

AGENT_HOLD = "agent_hold"
"""Where agents of app_agent_pool wait on the line for their next customer (apps/app_agent_pool.c)."""


@attrs.define(eq=False)
class Bridge:
    id: Final[str]
    type: str
    members: Final[dict[Channel, None]] = attrs.field(factory=dict)
    """In the order in which they entered, as everything that facts follow from: a replay is deterministic."""


@attrs.frozen
class HangUp:
    """The end of a channel. ``at``: seconds since the epoch."""

    at: float
    cause: int = 0
    tech_cause: str = ""


@attrs.frozen
class Moved:
    """A channel came over from another call, which was merged into its present one, or parted from it."""

    home: Call
    """Where it was created, or parted from: its Cdr belongs there."""
    at: float
    """Seconds since the epoch."""


@attrs.define(eq=False)
class Leg:
    """One attempt to reach a device: Dial(), Queue(), FollowMe(), Originate (DialBegin to Hangup)."""

    channel: Final[Channel]
    """The dialled channel."""
    caller: Channel | None
    """Which channel dials; None for Originate and for the inner half of a feature-code transfer."""
    dial_string: str
    began_at: float
    rang_at: float | None = None
    connected_at: float | None = None
    """When its user and the other side first heard each other. Final."""
    ended_at: float | None = None
    """The ringing is over: DialEnd or Hangup, whichever is first."""
    status: str = ""
    """DialStatus. The first refusal counts, since a Queue repeats it (app_queue.c); one that follows an ANSWER takes
    that back: Queue() and FollowMe() report ANSWER when the device is picked up."""
    number: str = ""
    """Lines only: the number that was dialled there."""
    is_picked_from: bool = False
    """Pickup took the call from this phone (main/pickup.c)."""

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

    @property
    def is_of_queue(self) -> bool:
        return is_queue_dial(self.dial_string, self.channel.name.technology)

    @property
    def is_undecided(self) -> bool:
        """The device was picked up, and whether its user will hear the other side is open: an announcement plays, a
        key is awaited."""
        channel = self.channel
        is_up = channel.up_at is not None or self.status == "ANSWER"
        return self.connected_at is None and is_up and channel.end is None and self.status in ("", "ANSWER")


@attrs.define(eq=False)
class Channel:
    """One Asterisk channel, known by its Uniqueid, which stays with the device through masquerades."""

    uniqueid: Final[str]
    name: Final[ChannelName]
    origin: Final[ChannelView]
    """Its first event: the CallerID is still the device's own there."""
    view: ChannelView
    """Its latest event, with what earlier ones showed where that shows nothing."""
    identity: Identity
    call: Call
    created_at: float
    seen_at: float
    moved: Moved | None = None
    half: Channel | None = None
    """Local only: the other half, kept when both are gone."""
    leg: Leg | None = None
    dialled: Final[dict[Leg, None]] = attrs.field(factory=dict)
    """The legs whose caller it is, or was."""
    is_originated: bool = False
    """No channel dialled it: an Originate, a call file."""
    rang_at: float | None = None
    up_at: float | None = None
    bridge: Bridge | None = None
    was_bridged: bool = False
    is_on_hold: bool = False
    """Its device asked for hold: the others hear music."""
    hangup_asked_at: float | None = None
    """HangupRequest named this channel: its own end hung up."""
    is_transferer: bool = False
    """A transfer event named it as the transferer, with success."""
    end: HangUp | None = None

    @property
    def full_name(self) -> str:
        return self.view.name

    @property
    def device(self) -> str:
        """Technology and endpoint, ``PJSIP/101``."""
        return f"{self.name.technology}/{self.name.endpoint}"

    @property
    def extension(self) -> str:
        """The employee whose device this is; "" for lines and helpers."""
        return self.identity.extension

    @property
    def home(self) -> Call | None:
        """The call it was created in, or parted from; None if that is its present one."""
        return self.moved.home if self.moved is not None else None

    @property
    def joined_at(self) -> float:
        """When it came over from another call; 0.0 if it did not."""
        return self.moved.at if self.moved is not None else 0.0

    @property
    def is_live(self) -> bool:
        return self.end is None

    @property
    def is_person(self) -> bool:
        return self.name.is_person

    @property
    def is_line(self) -> bool:
        """A person's channel that is no employee's: the outside world."""
        return self.name.is_person and not self.identity.extension

    @property
    def has_hung_up(self) -> bool:
        """Its own end hung up."""
        return self.hangup_asked_at is not None

    @property
    def bridge_mates(self) -> Collection[Channel]:
        """Who is in its bridge, itself included."""
        return self.bridge.members if self.bridge is not None else ()

    @property
    def is_waiting_agent(self) -> bool:
        """An agent on the line between two customers."""
        return self.bridge is not None and self.bridge.type == AGENT_HOLD

    @property
    def party(self) -> str:
        """The extension, or the outside number."""
        return self.identity.extension or (self.leg.number if self.leg is not None else self.origin.number)
