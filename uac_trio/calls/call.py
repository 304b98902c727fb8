"""A call as people talk about it: who called whom, who took part, how it ended."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from itertools import islice
from typing import Literal

import attrs

from uac_trio.calls.channel import Channel, Leg
from uac_trio.calls.participation import Participation, Role, Stopwatch

MOST_PICKED_UP = 100
"""Devices of one call that were picked up: people pick up a few, and to look at thousands would take minutes."""


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


@attrs.frozen
class Answer:
    """The first person to answer."""

    at: float
    by: str
    """The extension, or the outside number."""


@attrs.frozen
class QueueVisit:
    """The latest queue a caller went into."""

    name: str
    waiting: Channel | None = None
    """The channel that waits there now."""
    has_given_up: bool = False
    """The caller hung up while they waited."""


TransferType = Literal["blind", "attended", "redirect", "park"]


@attrs.define(eq=False)
class Transfer:
    """An employee hands the customer on."""

    type: TransferType
    by: str
    to: str
    at: float
    """Seconds since the epoch."""
    answered: bool = False
    consulting: Leg | None = None
    """An attended transfer by feature code that is not carried out yet: the leg to the colleague who is asked first."""


@attrs.frozen
class Recording:
    """A file that MixMonitor made, as a Cdr or a variable named it."""

    path: str
    uniqueid: str
    """Of the channel the Cdr (or variable) belongs to: the Cdr's party A."""
    destination: str = ""
    """Channel name of the Cdr's party B; "" where a variable named the path."""
    secs: int = 0
    """BillableSeconds; 0 from a variable."""


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


@attrs.define(eq=False)
class Call:
    """Channels that belong together (the call graph's part), and what was concluded from them."""

    id: str
    """``<pbx>-<linkedid of the first channel>``; never changes."""
    linkedid: str
    started_at: float
    seen_at: float = 0.0
    """When an event last named one of its channels."""

    # -- the graph's
    linkedids: set[str] = attrs.field(factory=set)
    """All that mean this call: its own and those of calls it absorbed."""
    channels: dict[str, Channel] = attrs.field(factory=dict)
    live: dict[str, Channel] = attrs.field(factory=dict)
    """Those that have not hung up. In an hour in a queue thousands of others gather in ``channels``."""
    source: Channel | None = None
    """The channel the call began with."""
    legs: dict[Leg, None] = attrs.field(factory=dict)
    """The legs to people, in order."""
    picked_up: dict[Leg, None] = attrs.field(factory=dict)
    """Those whose device was picked up, whether or not a conversation followed."""
    hangups_asked: list[float] = attrs.field(factory=list)
    """When people hung up, in order."""
    has_met_line: bool = False
    """An outside party took part: without one its people are not talking to a customer."""
    is_adopted: bool = False
    """It is older than our connection: what was before the snapshot is not known."""
    is_inferred: bool = False
    """Its end, or part of it, was not seen but concluded from a snapshot."""
    is_agents: bool = False
    """The line on which an agent waits for customers: not a call that people made."""
    merged_into: str = ""
    """Id of the call that absorbed it."""

    # -- conclusions
    orientation: Orientation = UNKNOWN
    announced_as: Direction | None = None
    """The direction of the last CallBegan."""
    order: ClickOrder | None = None
    failure: OriginateFailure | None = None
    answer: Answer | None = None
    final_agent: str = ""
    talkers: dict[Channel, None] = attrs.field(factory=dict)
    """Who hears the other side now."""
    talk: Stopwatch = attrs.field(factory=Stopwatch)
    participations: list[Participation] = attrs.field(factory=list)
    latest: dict[str, Participation] = attrs.field(factory=dict)
    """By extension: the last participation of each."""
    undecided: dict[Participation, None] = attrs.field(factory=dict)
    """Those in State.UNDECIDED."""
    remembered: dict[str, Remembered] = attrs.field(factory=dict)
    """By extension: what an earlier run of ours began and this one did not take up yet."""
    transfers: list[Transfer] = attrs.field(factory=list)
    parker: str = ""
    """Who parked the customer, while they are parked."""
    queue: QueueVisit | None = None
    queue_name: str = ""
    """The queue it came in through: the last before an answer, else the first of all."""
    recordings: list[Recording] = attrs.field(factory=list)
    has_voicemail: bool = False
    ended_at: float | None = None
    finish_at: float | None = None
    """Deadline to emit CallEnded and drop the call: the end plus the time a Cdr may take."""

    @property
    def direction(self) -> Direction | None:
        return self.orientation.direction

    @property
    def is_idle(self) -> bool:
        """All that is left of it are agents who wait on the line for their next customer."""
        return bool(self.live) and all(channel.is_waiting_agent for channel in self.live.values())

    def latest_picked_up(self) -> Iterator[Leg]:
        """Of ``picked_up``, the latest first, as many as are looked at for each leg that ends."""
        return islice(reversed(self.picked_up), MOST_PICKED_UP)

    def add_participation(self, participation: Participation) -> None:
        self.participations.append(participation)
        self.latest[participation.extension] = participation

    def current(self, extension: str) -> Participation | None:
        """The participation of this employee that has not ended."""
        participation = self.latest.get(extension)
        return participation if participation is not None and participation.ended_at is None else None
