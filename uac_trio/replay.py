"""``uac-trio replay``: runs recorded AMI connections through the pipeline and prints the result.

Deterministic and without network: the clock is that of the recording.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial

import attrs

from uac_trio.ami import Banner, Message, MessageParser, RemoteProtocolError
from uac_trio.calls.adapters import is_wanted
from uac_trio.calls.call import Direction
from uac_trio.calls.fact import (
    CallBegan,
    CallEnded,
    CallerQueued,
    CallMerged,
    CallTransferred,
    ClickFailed,
    Fact,
    LooksLikeBoth,
    NotAnEmployee,
    NotShown,
    Oddity,
    ParticipationAnswered,
    ParticipationBegan,
    ParticipationEnded,
    RecordingKnown,
)
from uac_trio.calls.participation import Role
from uac_trio.calls.rules import TrackerRules
from uac_trio.calls.summary import CallSummary
from uac_trio.crm.delivery import Delivery
from uac_trio.crm.protocol import CRM, CRMRequest
from uac_trio.crm.recording import recording_token
from uac_trio.pipeline import Pipeline
from uac_trio.transcript import Transcript

SETTLES_WITHIN = 5.0
"""Seconds after the end of a recording during which deadlines still run, in addition to ``linger``."""

PBX = "main"
"""The name of the PBX in the identities of replayed calls."""


@attrs.frozen
class Concluded:
    """A fact with the deliveries that follow from it."""

    fact: Fact
    deliveries: Sequence[Delivery]


@attrs.frozen
class Rendered:
    """A request to the CRM with its delivery."""

    delivery: Delivery
    request: CRMRequest

    @property
    def at(self) -> float:
        return self.delivery.at

    @property
    def call_id(self) -> str:
        return self.delivery.call_id


@attrs.define
class Replay:
    """The result of a replay."""

    story: list[Fact | Rendered] = attrs.field(factory=list)
    """Facts and requests, each request after its fact."""
    problems: list[str] = attrs.field(factory=list)
    """Faults of the transcripts themselves: a protocol error, an end within a message."""

    @property
    def facts(self) -> list[Fact]:
        return [item for item in self.story if not isinstance(item, Rendered)]

    @property
    def requests(self) -> list[Rendered]:
        """In the order of sending."""
        return [item for item in self.story if isinstance(item, Rendered)]

    @property
    def calls(self) -> list[CallSummary]:
        return [fact.summary for fact in self.facts if isinstance(fact, CallEnded)]


def replay(transcripts: Iterable[Transcript], rules: TrackerRules, crm: CRM) -> Replay:
    """Replay transcripts as ``play`` does, and keep all that follows."""
    result = Replay()
    result.story.extend(rendered(play(transcripts, rules, crm, result.problems), crm))
    return result


def play(
    transcripts: Iterable[Transcript], rules: TrackerRules, crm: CRM, problems: list[str], pbx: str = PBX
) -> Iterator[Concluded]:
    """Run transcripts, successive connections to one PBX, through the pipeline: what is concluded, as it comes.

    Adds faults of the transcripts themselves to ``problems``.
    """
    playing = _Playing(rules, crm, problems, pbx)
    for transcript in transcripts:
        yield from playing.play(transcript)
    yield from playing.finish()


@attrs.define(eq=False)
class _Playing:
    """One PBX, connection after connection."""

    rules: TrackerRules
    crm: CRM
    problems: list[str]
    pbx: str
    _at: float = attrs.field(default=0.0, init=False)
    _concluded: list[Concluded] = attrs.field(factory=list, init=False)
    _pipeline: Pipeline = attrs.field(init=False)
    _parser: MessageParser | None = attrs.field(default=None, init=False)
    """Of the connection that goes on."""
    _connected: bool = attrs.field(default=False, init=False)
    _name: str = attrs.field(default="", init=False)
    """Of the last transcript."""
    _is_cut: bool = attrs.field(default=False, init=False)
    """Its file ends early, as is known already."""

    def __attrs_post_init__(self) -> None:
        token = partial(recording_token, self.crm.secret)
        self._pipeline = Pipeline(self.rules, self.crm, token, lambda *found: self._concluded.append(Concluded(*found)))

    def play(self, transcript: Transcript) -> Iterator[Concluded]:
        if not (self._parser is not None and transcript.continues and _base(self._name) == transcript.continues):
            self._end_connection()
            self._parser = MessageParser(wanted=is_wanted)
        self._name, self._is_cut = transcript.name, bool(transcript.cut)
        for chunk in transcript.chunks:
            if chunk.direction in ("recv", "eof"):
                self._at = max(self._at, transcript.at(chunk))  # eof: the connection was lost
            if chunk.direction == "recv" and self._parser is not None:
                self._receive(chunk.data, self._parser)
                yield from self._taken()

    def _receive(self, data: bytes, parser: MessageParser) -> None:
        self._pipeline.tick(self._at)
        parser.receive_data(data)
        messages, fault = _messages(parser)
        if messages and not self._connected:
            self._connected = True
            self._pipeline.connected(self.pbx, self._at, _banner(messages))
        self._pipeline.received(self.pbx, [each for each in messages if not isinstance(each, Banner)], self._at)
        if fault is not None:
            self.problems.append(f"{self._name}: {fault}; the rest of this file is not read")
            self._parser = None
            self._pipeline.lost(self.pbx, self._at)
            self._connected = False

    def _end_connection(self) -> None:
        parser, self._parser = self._parser, None
        if parser is None:
            return
        if parser.unfinished and not self._is_cut:
            self.problems.append(f"{self._name}: ends in mid-message ({parser.unfinished} bytes are left over)")
        self._pipeline.lost(self.pbx, self._at)
        self._connected = False

    def _taken(self) -> list[Concluded]:
        taken, self._concluded = self._concluded, []
        return taken

    def finish(self) -> Iterator[Concluded]:
        """Wait for the Cdrs of ended calls; calls without an end stay open."""
        self._end_connection()
        until = self._at + self.rules.linger + SETTLES_WITHIN
        while (deadline := self._pipeline.next_deadline) <= until:
            self._at = max(self._at, deadline)
            self._pipeline.tick(self._at)
        self._pipeline.finish(self._at)
        yield from self._taken()


def _base(name: str) -> str:
    """The name of a file without its directories."""
    return name.rpartition("/")[2]


def rendered(steps: Iterable[Concluded], crm: CRM) -> Iterator[Fact | Rendered]:
    """Each fact, and after it the requests that deliver it."""
    for step in steps:
        yield step.fact
        for delivery in step.deliveries:
            for request in crm.requests(delivery):
                yield Rendered(delivery, request)


@attrs.define
class CallSteps:
    """What was concluded about a call and those that were merged with it."""

    ids: set[str]
    unfinished: set[str]
    """Of these, the calls that did not end yet."""
    steps: list[Concluded] = attrs.field(factory=list)

    def merge(self, other: CallSteps) -> None:
        self.ids |= other.ids
        self.unfinished |= other.unfinished
        self.steps += other.steps


def by_call(steps: Iterable[Concluded]) -> Iterator[CallSteps]:
    """Each call when it has ended; at last those that go on, and under the id "" what is about no call."""
    open_calls: dict[str, CallSteps] = {}

    def find(call_id: str) -> CallSteps:
        return open_calls.setdefault(call_id, CallSteps({call_id}, {call_id}))

    for step in steps:
        fact = step.fact
        call = find(fact.call_id)
        call.steps.append(step)
        if isinstance(fact, CallMerged) and (into := find(fact.into)) is not call:
            into.merge(call)
            open_calls.update(dict.fromkeys(call.ids, into))
        elif isinstance(fact, CallEnded):
            call.unfinished.discard(fact.call_id)
        if not call.unfinished:
            for call_id in call.ids:
                del open_calls[call_id]
            yield call
    yield from {id(call): call for call in open_calls.values()}.values()


def of_call(steps: Iterable[Concluded], wanted: str, pbx: str = PBX) -> Iterator[Concluded]:
    """Of the steps those of one call, and of the calls that were merged with it. ``wanted``: the call's id, with or
    without the name of the PBX."""
    for call in by_call(steps):
        if call.ids & {wanted, f"{pbx}-{wanted}"}:
            yield from call.steps


def _banner(messages: Sequence[Message | Banner]) -> str:
    """The server's first line; "" if the recording begins later."""
    return next((message.text for message in messages if isinstance(message, Banner)), "")


def _messages(parser: MessageParser) -> tuple[list[Message | Banner], RemoteProtocolError | None]:
    """The complete messages, and the fault after them."""
    messages: list[Message | Banner] = []
    try:
        while (message := parser.next_message()) is not None:
            messages.append(message)
    except RemoteProtocolError as fault:
        return messages, fault
    return messages, None


def call_lines(story: Iterable[Fact | Rendered]) -> Iterator[str]:
    """One JSON object per call."""
    for item in story:
        if isinstance(item, CallEnded):
            yield json.dumps(item.summary.as_json(), ensure_ascii=False)


def request_lines(story: Iterable[Fact | Rendered]) -> Iterator[str]:
    """One JSON object per request, in the order of sending. ``at``: seconds since the epoch."""
    for item in story:
        if isinstance(item, Rendered):
            yield json.dumps(
                {
                    "at": round(item.at, 3),
                    "callstatus": item.request.name,
                    "call_id": item.call_id,
                    "extension": item.delivery.subject,
                    "key": item.request.key,
                    "form": dict(item.request.about),
                },
                ensure_ascii=False,
            )


def timeline_lines(story: Iterable[Fact | Rendered]) -> Iterator[str]:
    """For people: each call with its facts, their causes, and the requests to the CRM. Times are UTC."""
    by_call: dict[str, list[Fact | Rendered]] = {}
    for item in story:
        by_call.setdefault(item.call_id, []).append(item)
    for call_id, items in sorted(by_call.items(), key=lambda entry: entry[1][0].at):
        began = items[0].at
        yield f"call {call_id}" if call_id else "not about one call"
        for item in items:
            clock = datetime.fromtimestamp(item.at, UTC).strftime("%H:%M:%S.%f")[:-3]
            yield f"  {clock} {item.at - began:+8.3f}  {item_words(item)}"
        yield ""


def item_words(item: Fact | Rendered) -> str:
    """A line of a timeline: a fact with its cause, or a request to the CRM."""
    if isinstance(item, Rendered):
        return f"    -> CRM: {request_words(item.request)}"
    because = item.because
    if isinstance(item, ParticipationBegan) and item.rule is not None:
        because += f"; why {item.extension}: {item.rule.value}"
    return f"{fact_words(item):<58} ({because})"


def request_words(request: CRMRequest) -> str:
    """A request to the CRM as a short line of text, in the CRM's own names."""
    about = {name: value for name, value in request.about.items() if name not in ("callstatus", "callUUID") and value}
    return f"{request.name} " + ", ".join(f"{name}={value}" for name, value in about.items())


def fact_words(fact: Fact) -> str:
    """A fact as a short line of text."""
    match fact:
        case CallBegan():
            if fact.direction is Direction.INTERNAL:
                return "call between employees"
            to = f" to {fact.did}" if fact.did else ""
            return f"{fact.direction.value} call, customer {fact.customer or 'not known'}{to}"
        case CallerQueued():
            return f"waits in queue {fact.queue}, position {fact.position}"
        case ParticipationBegan():
            verb = "calls" if fact.role is Role.CALLER else "gets a call from"
            return f"{fact.extension} {verb} {fact.customer or 'a withheld number'}"
        case ParticipationAnswered():
            return f"{fact.extension} talks with {fact.customer or 'a withheld number'}"
        case ParticipationEnded():
            inferred = ", end not seen but inferred" if fact.inferred else ""
            return f"{fact.extension}: {fact.outcome.value}, talked {fact.talk_secs:.1f} s{inferred}"
        case RecordingKnown():
            return f"{fact.extension}: recording {fact.path}"
        case CallTransferred():
            return f"{fact.type} transfer by {fact.by} to {fact.to}"
        case CallMerged():
            return f"merged into {fact.into}"
        case CallEnded():
            summary = fact.summary
            talked = f", talked {summary.talk_secs:.1f} s" if summary.talk_secs else ""
            click = f"; a click: {summary.click.words}" if summary.click else ""
            return f"call over: {summary.direction.value}, {summary.status.value}{talked}{click}"
        case ClickFailed():
            return f"click of {fact.extension or 'an unknown employee'} failed: {fact.outcome}"
        case NotAnEmployee():
            return f"{fact.channel} rings"
        case Oddity():
            return "odd"
        case NotShown():
            return "not shown"
        case LooksLikeBoth():
            return f"{fact.endpoint} looks like an extension and like a line"
        case _:
            return type(fact).__name__
