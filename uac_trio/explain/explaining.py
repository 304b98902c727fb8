"""Puts together what the recorded AMI and the store have of a call."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

import attrs

from uac_trio.ami import Event, MessageParser, RemoteProtocolError
from uac_trio.calls.fact import Fact
from uac_trio.calls.rules import TrackerRules
from uac_trio.crm.protocol import CRM
from uac_trio.explain.popup import Known, Popup, popups
from uac_trio.explain.subject import Subject
from uac_trio.flight_recorder.files import occurrence
from uac_trio.replay import Concluded, Rendered, by_call, play, rendered
from uac_trio.store.rows import StoredRow
from uac_trio.transcript import Transcript

MOST_MENTIONS = 20


@attrs.frozen(kw_only=True)
class ExplainedCall:
    """Times are seconds since the epoch."""

    call_id: str
    at: float
    story: Sequence[Fact | Rendered]
    """What the recorded AMI shows; empty: it is not recorded."""
    rows: Sequence[StoredRow]
    popups: Sequence[Popup]


@attrs.frozen(kw_only=True)
class Mention:
    """An event with what was asked about, of a call that is not known."""

    pbx: str
    at: float
    event: str
    channel: str
    context: str


@attrs.frozen(kw_only=True)
class CallStory:
    """A call that is asked about, as recorded."""

    ids: Collection[str]
    steps: Sequence[Concluded]

    @property
    def at(self) -> float:
        return self.steps[0].fact.at


def recorded_calls(
    by_pbx: Mapping[str, Sequence[Transcript]],
    subject: Subject,
    since: float,
    rules: TrackerRules,
    crm: CRM,
    problems: list[str],
) -> Iterator[CallStory]:
    """The calls of ``subject`` that went on ``since`` then. Adds faults of the files to ``problems``."""
    for pbx, transcripts in by_pbx.items():
        for call in by_call(play(transcripts, rules, crm, problems, pbx)):
            facts = [step.fact for step in call.steps]
            if call.ids != {""} and facts[-1].at >= since and subject.is_about(call.ids, facts):
                yield CallStory(ids=call.ids, steps=call.steps)


def explained(
    stories: Iterable[CallStory], rows: Iterable[StoredRow], has_store: bool, rules: TrackerRules, crm: CRM
) -> list[ExplainedCall]:
    """Each call once, the earliest first. ``rows`` may be of calls that are not recorded."""
    of_call: dict[str, list[StoredRow]] = {}
    for row in rows:
        of_call.setdefault(row.delivery.call_id, []).append(row)
    found = []
    for story in stories:
        own = [row for call_id in sorted(story.ids) for row in of_call.pop(call_id, [])]
        known = Known(facts=[step.fact for step in story.steps], rows=own, has_store=has_store)
        found.append(
            ExplainedCall(
                call_id=min(story.ids, key=lambda each: (each != story.steps[-1].fact.call_id, each)),
                at=story.at,
                story=list(rendered(story.steps, crm)),
                rows=own,
                popups=list(popups(known, rules, crm)),
            )
        )
    for call_id, own in of_call.items():
        known = Known(facts=[], rows=own, has_store=True)
        seen = list(popups(known, rules, crm))
        found.append(ExplainedCall(call_id=call_id, at=own[0].delivery.at, story=[], rows=own, popups=seen))
    return sorted(found, key=lambda call: (call.at, call.call_id))


def mentions(by_pbx: Mapping[str, Sequence[Transcript]], subject: Subject, since: float) -> list[Mention]:
    """Events with what was asked about, the first few: the PBX shows it, and no call of it is known."""
    found: list[Mention] = []
    wanted = occurrence(subject.extension or subject.digits)
    for pbx, transcripts in by_pbx.items():
        for transcript in transcripts:
            for event, at in _events(transcript):
                if at >= since and any(wanted.search(value.encode()) for _, value in event.headers):
                    channel, context = event.get("Channel"), event.get("Context")
                    found.append(Mention(pbx=pbx, at=at, event=event.name, channel=channel, context=context))
                    if len(found) == MOST_MENTIONS:
                        return found
    return found


def _events(transcript: Transcript) -> Iterator[tuple[Event, float]]:
    parser = MessageParser()
    for chunk in transcript.chunks:
        if chunk.direction != "recv":
            continue
        parser.receive_data(chunk.data)
        try:
            while (message := parser.next_message()) is not None:
                if isinstance(message, Event):
                    yield message, transcript.at(chunk)
        except RemoteProtocolError:
            return  # reported by the replay
