"""What arrived of real calls while they were watched, as values: who rang and by which rule, Cdrs, times, requests.

Pure: the connection is call_watch.py's, what follows from it call_report.py's.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from uac_trio.ami import Event, Message
from uac_trio.calls.call import Direction
from uac_trio.calls.fact import (
    CallBegan,
    CallEnded,
    Fact,
    NotAnEmployee,
    OfParticipation,
    ParticipationAnswered,
    ParticipationBegan,
    RecordingKnown,
)
from uac_trio.calls.outcome import Outcome
from uac_trio.crm.delivery import Delivery
from uac_trio.crm.protocol import CRM, CRMRequest

LIST_END = "CoreShowChannelsComplete"


@attrs.define(eq=False)
class SeenCall:
    """One call that began while we watched."""

    id: str
    direction: Direction | None = None
    customer: str = ""
    rang: dict[str, str] = attrs.field(factory=dict)
    """Extension to the rule by which the phone is the employee's."""
    answered_by: list[str] = attrs.field(factory=list)
    not_employees: list[str] = attrs.field(factory=list)
    """Which phones rang that are no employee's, and why."""
    recordings: dict[str, str] = attrs.field(factory=dict)
    """Extension to the path that the PBX names."""
    requests: list[CRMRequest] = attrs.field(factory=list)
    """What the daemon would send, in order."""
    ended_at: float | None = None
    status: Outcome | None = None
    talk_secs: float = 0.0

    @property
    def is_complete(self) -> bool:
        """An employee's phone rang in it, and it is over."""
        return bool(self.rang) and self.ended_at is not None


@attrs.define(eq=False)
class SeenPBX:
    """What came from one PBX. Times are seconds since the epoch."""

    pbx: str
    recording_headers: Sequence[str]
    calls: dict[str, SeenCall] = attrs.field(factory=dict)
    """By id, those that began before we watched left out."""
    is_ready: bool = False
    """The first list of channels is there: what begins from now on is watched from its beginning."""
    is_connected: bool = False
    has_call_events: bool = False
    has_new_channels: bool = False
    """A later list has a channel that the first had not."""
    cdrs: int = 0
    named_cdrs: int = 0
    """Of these, with a header that may name a recording."""
    lags: list[float] = attrs.field(factory=list)
    """By how much each event's own time is behind ours, in seconds."""
    is_without_time: bool = False
    """Events of calls came, and had no time of their own."""
    _old: set[str] = attrs.field(factory=set)
    _listed: set[str] = attrs.field(factory=set)

    def received(self, message: Message, at: float) -> None:
        """Note what the pipeline does not show: classes of events, their times, Cdrs, lists."""
        if not isinstance(message, Event):
            return
        if message.name == "CoreShowChannel":
            self._listed_channel(message)
        elif message.name == LIST_END:
            self.is_ready = True
        elif "ActionID" not in message:
            self._event(message, at)

    def _listed_channel(self, item: Event) -> None:
        uniqueid = item.get("Uniqueid")
        if not self.is_ready:
            self._listed.add(uniqueid)
            self._old |= {f"{self.pbx}-{item.get('Linkedid') or uniqueid}", f"{self.pbx}-{uniqueid}"}
        elif uniqueid not in self._listed:
            self.has_new_channels = True

    def _event(self, event: Event, at: float) -> None:
        if event.name == "Cdr":
            self.cdrs += 1
            self.named_cdrs += any(event.get(header) for header in self.recording_headers)
        elif event.get("Privilege").startswith("call,"):
            self.has_call_events = True
            try:
                self.lags.append(at - float(event.get("Timestamp")))
            except ValueError:
                self.is_without_time = True

    def observe(self, fact: Fact, deliveries: Sequence[Delivery], crm: CRM) -> bool:
        """A fact with what follows from it. False if it is about a call that began before."""
        if not self.is_ready:
            self._old.add(fact.call_id)
        if not fact.call_id or fact.call_id in self._old:
            return False
        call = self.calls.setdefault(fact.call_id, SeenCall(fact.call_id))
        match fact:
            case CallBegan():
                call.direction, call.customer = fact.direction, fact.customer
            case NotAnEmployee():
                call.not_employees.append(fact.because)
            case CallEnded():
                call.ended_at, call.status = fact.ended_at, fact.summary.status
                call.talk_secs = fact.summary.talk_secs or 0.0
            case OfParticipation():
                _note_participation(call, fact)
            case _:
                pass
        for delivery in deliveries:
            call.requests += crm.requests(delivery)
        return True

    @property
    def complete(self) -> SeenCall | None:
        """The first call that shows everything; None yet."""
        return next((call for call in self.calls.values() if call.is_complete), None)


def _note_participation(call: SeenCall, fact: OfParticipation) -> None:
    call.direction, call.customer = fact.direction, fact.customer or call.customer
    match fact:
        case ParticipationBegan():
            call.rang.setdefault(fact.extension, fact.rule.value if fact.rule is not None else "[calls] unreached")
        case ParticipationAnswered() if fact.extension not in call.answered_by:
            call.answered_by.append(fact.extension)
        case RecordingKnown():
            call.recordings[fact.extension] = fact.path
        case _:
            pass
