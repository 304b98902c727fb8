"""A call as people talk about it: who called whom, who took part, how it ended."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from typing import Final

import attrs

from uac_trio.calls.call_channels import CallChannels
from uac_trio.calls.call_legs import CallLegs
from uac_trio.calls.call_recordings import CallRecordings
from uac_trio.calls.channel import Channel
from uac_trio.calls.conversation import Conversation
from uac_trio.calls.participation import Participation, Role
from uac_trio.calls.queueing import Queueing
from uac_trio.calls.transfers import Transfers


class Direction(enum.Enum):
    """Seen from the company."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"
    INTERNAL = "internal"


@attrs.frozen
class Orientation:
    """Who called whom. "" = not known (yet), or withheld."""

    direction: Direction | None = None
    customer: str = ""
    customer_name: str = ""
    did: str = ""
    """Incoming calls: the number that was dialled."""
    operator: str = ""
    """The employee who calls out (directly or by a click)."""
    called: str = ""
    """Internal calls: the number that was dialled."""


UNKNOWN = Orientation()


@attrs.frozen
class ClickOrder:
    """An Originate of ours: what the connector asked Asterisk for."""

    channel_id: str
    """Uniqueid that Asterisk was asked to give the first channel."""
    employee: str
    number: str
    """The customer's as dialled, without a prefix; an extension for a click on a colleague."""
    channel: str = ""
    """What Asterisk was asked to call, ``PJSIP/101`` or ``Local/101@from-internal/n``."""


@attrs.frozen
class OriginateFailure:
    """An OriginateResponse that reports a failure."""

    reason: int
    """0 to 8 (main/pbx.c)."""
    employee: str
    number: str


@attrs.define
class Click:
    """What is known of the Originate that a call is: as it was ordered, and that it failed."""

    order: ClickOrder | None = None
    """Of ours alone."""
    failure: OriginateFailure | None = None
    is_failure_emitted: bool = False


@attrs.frozen(kw_only=True)
class Remembered:
    """A participation that an earlier run of ours reported and did not see the end of."""

    call_id: str
    extension: str
    """"" where it is not known who: the CRM knows of the call as a whole."""
    occurrence: str
    role: Role
    direction: Direction
    customer: str
    """As in the facts: the outside number; internal calls: the colleague's."""
    began_at: float
    answered_at: float | None


@attrs.define
class Roster:
    """The participations of one call, in the order in which they began."""

    _all: Final[list[Participation]] = attrs.field(factory=list)
    latest: Final[dict[str, Participation]] = attrs.field(factory=dict)
    """By extension: the last participation of each."""
    undecided: Final[dict[Participation, None]] = attrs.field(factory=dict)
    """Those in State.UNDECIDED."""
    remembered: Final[dict[str, Remembered]] = attrs.field(factory=dict)
    """By extension: what an earlier run of ours began and this one did not take up yet."""

    def __iter__(self) -> Iterator[Participation]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)

    @property
    def is_announced(self) -> bool:
        """ParticipationBegan was emitted of one of them."""
        return any(participation.is_announced for participation in self._all)

    @property
    def unfinished(self) -> list[Participation]:
        return [participation for participation in self._all if participation.ended_at is None]

    def add(self, participation: Participation) -> None:
        self._all.append(participation)
        self.latest[participation.extension] = participation

    def current(self, extension: str) -> Participation | None:
        """The participation of this employee that has not ended."""
        participation = self.latest.get(extension)
        return participation if participation is not None and participation.ended_at is None else None


@attrs.frozen
class CallEnd:
    """The call has no channel any more. ``at``: seconds since the epoch."""

    at: float
    merged_into: str = ""
    """Id of the call that absorbed it."""


class Unseen(enum.Flag):
    """What of a call was not seen, but is known from a snapshot."""

    NOTHING = 0
    BEGINNING = enum.auto()
    """It is older than our connection: what was before the snapshot is not known."""
    END = enum.auto()
    """Its end, or part of it, was concluded."""


@attrs.define(eq=False)
class Call:
    """Channels that belong together (the call graph's part), and what was concluded from them."""

    id: Final[str]
    """``<pbx>-<linkedid of the first channel>``; never changes."""
    linkedid: Final[str]
    started_at: float
    seen_at: float = 0.0
    """When an event last named one of its channels."""

    # -- the graph's
    channels: Final[CallChannels] = attrs.field(factory=CallChannels)
    legs: Final[CallLegs] = attrs.field(factory=CallLegs)
    queue: Final[Queueing] = attrs.field(factory=Queueing)
    source: Channel | None = None
    """The channel the call began with."""
    has_met_line: bool = False
    """An outside party took part: without one its people are not talking to a customer."""
    is_agents: bool = False
    """The line on which an agent waits for customers: not a call that people made."""
    unseen: Unseen = Unseen.NOTHING

    # -- conclusions
    orientation: Orientation = UNKNOWN
    announced_as: Direction | None = None
    """The direction of the last CallBegan."""
    click: Final[Click] = attrs.field(factory=Click)
    conversation: Final[Conversation] = attrs.field(factory=Conversation)
    participations: Final[Roster] = attrs.field(factory=Roster)
    transfers: Final[Transfers] = attrs.field(factory=Transfers)
    recordings: Final[CallRecordings] = attrs.field(factory=CallRecordings)
    end: CallEnd | None = None

    @property
    def direction(self) -> Direction | None:
        return self.orientation.direction

    @property
    def ended_at(self) -> float | None:
        return self.end.at if self.end is not None else None

    @property
    def merged_into(self) -> str:
        """Id of the call that absorbed it, "" if none did."""
        return self.end.merged_into if self.end is not None else ""

    @property
    def is_adopted(self) -> bool:
        """It is older than our connection."""
        return Unseen.BEGINNING in self.unseen

    @property
    def is_inferred(self) -> bool:
        """Its end, or part of it, was not seen but concluded from a snapshot."""
        return Unseen.END in self.unseen
