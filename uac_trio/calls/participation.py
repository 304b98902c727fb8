"""One employee's part in one call: its states, and the table of what leads from one to the next."""

from __future__ import annotations

import enum

import attrs

from uac_trio.calls.channel import Channel
from uac_trio.calls.outcome import Outcome


class Role(enum.Enum):
    """What an employee does in a call."""

    CALLER = "caller"
    """They (or a click in the CRM for them) call out."""
    CALLEE = "callee"
    """Their phone rings, or they take the call over."""


class State(enum.Enum):
    IDLE = "idle"
    """Not part of the call yet."""
    RINGING = "ringing"
    """The phone rings; of a caller: the other side is being called."""
    TALKING = "talking"
    """The employee and the other side hear each other."""
    HELD = "held"
    """They were connected, and do not hear each other now: hold, parking, a consultation."""
    UNDECIDED = "undecided"
    """The phone stopped ringing since another was picked up, and whether a conversation follows there is open."""
    DONE = "done"


class Observation(enum.Enum):
    """What the call graph shows of an employee's channels at one moment."""

    RINGS = "rings"
    CONNECTED = "connected"
    APART = "apart"
    """Was connected, is not now."""
    GONE_UNDECIDED = "gone, while another phone is picked up"
    GONE = "gone"
    REFUSED = "refused"
    """Busy, do not disturb, switched off: gone without a ring."""


TRANSITIONS: dict[State, dict[Observation, State]] = {
    State.IDLE: {
        Observation.RINGS: State.RINGING,
        Observation.CONNECTED: State.TALKING,
        Observation.APART: State.HELD,
        Observation.REFUSED: State.DONE,
    },
    State.RINGING: {
        Observation.RINGS: State.RINGING,
        Observation.CONNECTED: State.TALKING,
        Observation.GONE_UNDECIDED: State.UNDECIDED,
        Observation.GONE: State.DONE,
    },
    State.TALKING: {
        Observation.CONNECTED: State.TALKING,
        Observation.APART: State.HELD,
        Observation.GONE: State.DONE,
    },
    State.HELD: {
        Observation.CONNECTED: State.TALKING,
        Observation.APART: State.HELD,
        Observation.GONE: State.DONE,
    },
    State.UNDECIDED: {
        Observation.GONE_UNDECIDED: State.UNDECIDED,
        Observation.RINGS: State.RINGING,
        Observation.CONNECTED: State.TALKING,
        Observation.GONE: State.DONE,
    },
    State.DONE: {},
}
"""State and observation to the next state. What is not here cannot be; the tests hold the model to it."""


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
    """From first ring to last word. Ends exactly once.

    An employee may take part again (a queue rings them anew, a parked caller comes back): that is the next one.
    """

    extension: str
    role: Role
    occurrence: str
    """Uniqueid of the channel it began with: the same for every connector that watches, and after a restart."""
    began_at: float
    state: State = State.IDLE
    answered_at: float | None = None
    ended_at: float | None = None
    outcome: Outcome | None = None
    talk: Stopwatch = attrs.field(factory=Stopwatch)
    channels: dict[Channel, None] = attrs.field(factory=dict)
    is_announced: bool = False
    """ParticipationBegan was emitted; while the customer of a click is unknown it has to wait."""

    @property
    def ring_secs(self) -> float | None:
        """From first ring to answer or end; None while it rings."""
        until = self.answered_at if self.answered_at is not None else self.ended_at
        return None if until is None else until - self.began_at

    def enter(self, observation: Observation) -> None:
        """Go to the next state. Raises KeyError for what cannot follow: a fault of the model."""
        self.state = TRANSITIONS[self.state][observation]
