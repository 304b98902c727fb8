"""A call as people talk about it: who called whom, who took part, how it ended."""

from __future__ import annotations

import enum
from typing import Literal

import attrs

from uac_trio.calls.channel import Channel, Leg
from uac_trio.calls.outcome import Outcome


class Direction(enum.Enum):
    """Seen from the company."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"
    INTERNAL = "internal"


class Part(enum.Enum):
    """What an employee does in a call."""

    CALLER = "caller"
    """He (or a click in the CRM for him) calls out."""
    CALLEE = "callee"
    """His phone rings, or he takes the call over."""


@attrs.define
class Stopwatch:
    """Sums up stretches of time, in seconds."""

    total: float = 0.0
    since: float | None = None

    def run(self, running: bool, at: float) -> None:
        if running and self.since is None:
            self.since = at
        elif not running and self.since is not None:
            self.total += max(0.0, at - self.since)
            self.since = None

    def read(self, at: float) -> float:
        return self.total + (max(0.0, at - self.since) if self.since is not None else 0.0)


@attrs.define(eq=False)
class Participation:
    """One employee's part in one call, from first ring to last word. Ends exactly once.

    He may take part again (a queue rings him anew, a parked caller comes back): that is the next participation.
    """

    extension: str
    part: Part
    occurrence: str
    """Uniqueid of the channel it began with: the same for every connector that watches, and after a restart."""
    began_at: float
    answered_at: float | None = None
    ended_at: float | None = None
    outcome: Outcome | None = None
    talk: Stopwatch = attrs.field(factory=Stopwatch)
    channels: list[Channel] = attrs.field(factory=list)
    announced: bool = False
    """ParticipationBegan was given out; while the customer of a click2call is unknown it has to wait."""

    @property
    def ring_secs(self) -> float | None:
        """From first ring to answer or end; None while it rings."""
        until = self.answered_at if self.answered_at is not None else self.ended_at
        return None if until is None else until - self.began_at


@attrs.frozen(kw_only=True)
class Remembered:
    """An employee's part that an earlier run of ours told of and did not see the end of."""

    call_id: str
    extension: str
    """"" where it is not known who: the CRM was told of the call as a whole."""
    occurrence: str
    part: Part
    direction: Direction
    customer: str
    """As in the facts: the outside number; internal calls: the colleague's."""
    began_at: float
    answered_at: float | None


TransferType = Literal["blind", "attended", "redirect", "park"]


@attrs.define(eq=False)
class Transfer:
    """Somebody hands the customer on."""

    type: TransferType
    by: str
    to: str
    answered: bool = False
    consulting: Leg | None = None
    """An attended transfer by feature code that is not carried out yet: the leg to the colleague who is asked first."""


@attrs.define
class Recording:
    """A file that MixMonitor made, as a Cdr or a variable told it."""

    path: str
    uniqueid: str
    """Of the channel the Cdr (or variable) belongs to: the Cdr's party A."""
    destination: str
    """Channel name of the Cdr's party B; "" where a variable told the path."""
    secs: int
    """BillableSeconds; 0 from a variable."""


@attrs.define(eq=False)
class Call:
    """Channels that belong together, and what they mean."""

    id: str
    """``<pbx>-<linkedid of the first channel>``; never changes."""
    linkedid: str
    started_at: float
    linkedids: set[str] = attrs.field(factory=set)
    """All that mean this call: its own and those of calls it absorbed."""
    channels: dict[str, Channel] = attrs.field(factory=dict)
    source: Channel | None = None
    """The channel the call began with."""
    direction: Direction | None = None
    operator: str = ""
    """The employee who calls out (directly or by a click)."""
    customer: str = ""
    customer_name: str = ""
    did: str = ""
    called: str = ""
    """Internal calls: the number that was dialled."""
    queue: str = ""
    legs: list[Leg] = attrs.field(factory=list)
    operator_legs: list[Leg] = attrs.field(factory=list)
    """Click2call: the legs that ring the operator's devices, before the customer is called."""
    answered_at: float | None = None
    answered_by: str = ""
    final_agent: str = ""
    talk: Stopwatch = attrs.field(factory=Stopwatch)
    participations: list[Participation] = attrs.field(factory=list)
    remembered: dict[str, Remembered] = attrs.field(factory=dict)
    """By extension: what an earlier run of ours began and nobody took up yet."""
    transfers: list[Transfer] = attrs.field(factory=list)
    recordings: list[Recording] = attrs.field(factory=list)
    parker: str = ""
    """Who parked the customer, while he is parked."""
    waiting: Channel | None = None
    """The channel that waits in a queue."""
    gave_up: bool = False
    """The caller hung up while he waited in a queue."""
    voicemail: bool = False
    saw_hangup_request: bool = False
    """HangupRequest events reach us (no filter drops them), so their absence means something."""
    met_line: bool = False
    """An outside party took part: without one its people are not talking to a customer."""
    is_adopted: bool = False
    """It is older than our connection: what was before the snapshot is not known."""
    inferred: bool = False
    """Its end, or part of it, was not seen but concluded from a snapshot."""
    originate_reason: int | None = None
    """Reason of an OriginateResponse that tells of a failure: 0 to 8 (main/pbx.c)."""
    asked_for: tuple[str, str] = ("", "")
    """Employee and number of a click that failed before any channel was made."""
    merged_into: str = ""
    seen_at: float = 0.0
    """When an event last spoke of it."""
    ended_at: float | None = None
    finish_at: float | None = None
    """When it is told and forgotten: the end plus the time a Cdr may take."""

    live: dict[str, Channel] = attrs.field(factory=dict)
    """The channels that have not hung up. In an hour in a queue thousands of others gather in ``channels``."""
    just_ended: list[Channel] = attrs.field(factory=list)
    """Channels that hung up since the call was last advanced."""
    latest: dict[str, Participation] = attrs.field(factory=dict)
    """By extension: the last participation of each."""

    def add_channel(self, channel: Channel) -> None:
        self.channels[channel.uniqueid] = self.live[channel.uniqueid] = channel

    def end_channel(self, channel: Channel) -> None:
        self.live.pop(channel.uniqueid, None)
        self.just_ended.append(channel)

    def add_participation(self, participation: Participation) -> None:
        self.participations.append(participation)
        self.latest[participation.extension] = participation

    def current(self, extension: str) -> Participation | None:
        """The participation of this employee that has not ended."""
        participation = self.latest.get(extension)
        return participation if participation is not None and participation.ended_at is None else None

    @property
    def outward_legs(self) -> list[Leg]:
        """The attempts to reach the other side: all but the ring at the operator's own desk."""
        return [leg for leg in self.legs if leg not in self.operator_legs]
