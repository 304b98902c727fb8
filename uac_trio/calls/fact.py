"""What the tracker concludes. Facts are values; each names the event that caused it."""

from __future__ import annotations

import attrs

from uac_trio.calls.call import Direction
from uac_trio.calls.channel_events import Lack
from uac_trio.calls.endpoint import Evidence
from uac_trio.calls.outcome import Outcome
from uac_trio.calls.participation import Role
from uac_trio.calls.summary import CallSummary
from uac_trio.calls.transfers import TransferType


@attrs.frozen(kw_only=True)
class Fact:
    """Something happened in a call."""

    call_id: str
    at: float
    """Seconds since the epoch, by the event's own time."""
    because: str
    """The event, in short: what an administrator finds again in a transcript."""


@attrs.frozen(kw_only=True)
class CallBegan(Fact):
    """Emitted when the direction is known, and again if it turns out to be another."""

    direction: Direction
    customer: str
    did: str


@attrs.frozen(kw_only=True)
class CallerQueued(Fact):
    """The caller waits in a queue."""

    queue: str
    position: str


@attrs.frozen(kw_only=True)
class NotAnEmployee(Fact):
    """A phone rang that is no employee's; ``because`` says by which evidence."""

    channel: str
    """Its name, ``PJSIP/t2_101-0000000a``."""
    endpoint: str
    """``PJSIP/t2_101``."""
    evidence: Evidence


@attrs.frozen(kw_only=True)
class OfParticipation(Fact):
    """A fact about one employee's part."""

    extension: str
    occurrence: str
    role: Role
    direction: Direction
    customer: str
    """The outside number; internal calls: the colleague's. "" = withheld."""
    began_at: float


@attrs.frozen(kw_only=True)
class ParticipationBegan(OfParticipation):
    """A phone rings, or its user calls out: the moment of the popup."""

    customer_name: str
    line: str
    """Where the customer came in: the queue, else the number dialled."""
    rule: Evidence | None = None
    """Why the phone counts as this employee's; None: no phone of theirs rang."""


@attrs.frozen(kw_only=True)
class ParticipationAnswered(OfParticipation):
    """The employee and the other side hear each other."""


@attrs.frozen(kw_only=True)
class ParticipationEnded(OfParticipation):
    ended_at: float
    """When the phone fell silent, or the talk was over: ``at`` is later where the outcome was open until then."""
    outcome: Outcome
    answered_at: float | None
    talk_secs: float
    inferred: bool
    """The end was not seen but concluded (snapshot, restart, silence)."""


@attrs.frozen(kw_only=True)
class RecordingKnown(OfParticipation):
    """The call is over and this file holds what this employee said in it."""

    path: str


@attrs.frozen(kw_only=True)
class CallTransferred(Fact):
    type: TransferType
    by: str
    to: str


@attrs.frozen(kw_only=True)
class CallMerged(Fact):
    """A consultation became part of the call it was about."""

    into: str


@attrs.frozen(kw_only=True)
class ClickFailed(Fact):
    """A click of ours came to nothing. Emitted when its last channel is gone: ``CallEnded`` waits for a Cdr."""

    extension: str
    """Who clicked; "" = not known."""
    outcome: str
    """One of calls.click.OUTCOMES."""


@attrs.frozen(kw_only=True)
class CallEnded(Fact):
    """Everything is known."""

    ended_at: float
    """When the last channel hung up: ``at`` is later by the time a Cdr may take."""
    summary: CallSummary


@attrs.frozen(kw_only=True)
class LooksLikeBoth(Fact):
    """An endpoint is named like an extension and was taken for a line to the outside."""

    endpoint: str
    """``SIP/33915``."""
    evidence: Evidence
    """Why it counts as a line."""


@attrs.frozen(kw_only=True)
class NotShown(Fact):
    """The PBX does not show something that calls are concluded from. ``call_id`` may be ""."""

    pbx: str
    lack: Lack


@attrs.frozen(kw_only=True)
class Oddity(Fact):
    """Something that should not be; ``because`` says what. ``call_id`` may be ""."""


FOLLOWS: dict[type[OfParticipation] | None, tuple[type[OfParticipation], ...]] = {
    None: (ParticipationBegan,),
    ParticipationBegan: (ParticipationAnswered, ParticipationEnded),
    ParticipationAnswered: (ParticipationEnded,),
    ParticipationEnded: (RecordingKnown,),
    RecordingKnown: (),
}
"""The facts about one participation in the order they may come; None = the beginning."""
