"""A finished call as one value: the object of ``uac-trio replay --calls``."""

from __future__ import annotations

from typing import NotRequired, TypedDict

import attrs

from uac_trio.calls.call import Call, Direction
from uac_trio.calls.call_outcome import call_status, far_legs, near_legs
from uac_trio.calls.channel import Leg
from uac_trio.calls.click import ClickResult, click_result
from uac_trio.calls.outcome import TALKED, Outcome
from uac_trio.calls.participation import Participation
from uac_trio.calls.recording import recording_of
from uac_trio.calls.transfers import TransferType


@attrs.frozen(kw_only=True)
class TransferSummary:
    type: TransferType
    by: str
    to: str
    answered: bool


@attrs.frozen(kw_only=True)
class ParticipationSummary:
    """One employee in one call: if they took part several times, the best outcome and the sums."""

    extension: str
    outcome: Outcome | None
    """None while it goes on."""
    ring_secs: float
    talk_secs: float


@attrs.frozen(kw_only=True)
class CallSummary:
    """Durations in seconds. "" and None: does not apply, or is not known."""

    call_id: str
    linkedid: str
    direction: Direction
    customer: str
    customer_name: str
    status: Outcome
    rang: tuple[str, ...]
    """Extensions and outside numbers whose phones rang, in order."""
    answered_by: str
    final_agent: str
    ring_secs: float | None
    talk_secs: float | None
    transfers: tuple[TransferSummary, ...]
    recording: str
    queue: str
    did: str
    caller: str
    called: str
    merged_into_first: bool
    ended: bool
    participations: tuple[ParticipationSummary, ...]
    click: ClickResult | None

    def as_json(self) -> CallJson:
        """The keys of the transcripts' ground truth, with the same meaning."""
        line = CallJson(
            call_id=self.call_id,
            linkedid=self.linkedid,
            direction=self.direction.value,
            customer=self.customer or None,
            customer_name=self.customer_name or None,
            status=self.status.value,
            rang=list(self.rang),
            answered_by=self.answered_by or None,
            final_agent=self.final_agent or None,
            ring_secs=self.ring_secs,
            talk_secs=self.talk_secs,
            transfers=[
                TransferJson(type=each.type, by=each.by, to=each.to, answered=each.answered) for each in self.transfers
            ],
            recording=self.recording or None,
            queue=self.queue or None,
            did=self.did or None,
            caller=self.caller or None,
            called=self.called or None,
            merged_into_first=self.merged_into_first,
            ended=self.ended,
            participations=[
                ParticipationJson(
                    extension=each.extension,
                    outcome=each.outcome.value if each.outcome else None,
                    ring_secs=each.ring_secs,
                    talk_secs=each.talk_secs,
                )
                for each in self.participations
            ],
        )
        if self.click is not None:
            line["click2call"] = {"outcome": self.click.outcome, "words": self.click.words}
        return line


class TransferJson(TypedDict):
    type: str
    by: str
    to: str
    answered: bool


class ParticipationJson(TypedDict):
    extension: str
    outcome: str | None
    ring_secs: float
    talk_secs: float


class CallJson(TypedDict):
    """One line of ``replay --calls``."""

    call_id: str
    linkedid: str
    direction: str
    customer: str | None
    customer_name: str | None
    status: str
    rang: list[str]
    answered_by: str | None
    final_agent: str | None
    ring_secs: float | None
    talk_secs: float | None
    transfers: list[TransferJson]
    recording: str | None
    queue: str | None
    did: str | None
    caller: str | None
    called: str | None
    merged_into_first: bool
    ended: bool
    participations: list[ParticipationJson]
    click2call: NotRequired[dict[str, str]]


def summarise(call: Call, at: float, shows_hangup_requests: bool) -> CallSummary:
    """The call as it stands at ``at`` (seconds since the epoch)."""
    parties = call.orientation
    status = call_status(call, shows_hangup_requests)
    conversation = call.conversation
    return CallSummary(
        call_id=call.id,
        linkedid=call.linkedid,
        direction=parties.direction or Direction.INTERNAL,
        customer=parties.customer,
        customer_name=parties.customer_name,
        status=status,
        rang=_rang(call),
        answered_by=conversation.answered_by,
        final_agent=conversation.final_agent if call.transfers else conversation.answered_by,
        ring_secs=_ring_secs(call, at),
        talk_secs=round(conversation.talk.read(at), 3) if conversation.has_taken_place else None,
        transfers=tuple(
            TransferSummary(type=transfer.type, by=transfer.by, to=transfer.to, answered=transfer.answered)
            for transfer in call.transfers
            if transfer.consulting is None or not call.legs.is_picked_up(transfer.consulting)
        ),
        recording=recording_of(call),
        queue=call.queue.entry,
        did=parties.did,
        caller=parties.operator,
        called=parties.called,
        merged_into_first=bool(call.merged_into),
        ended=call.end is not None,
        participations=_participations(call, at, status),
        click=click_result(call, at, shows_hangup_requests),
    )


def _rang(call: Call) -> tuple[str, ...]:
    rang = [leg for leg in call.legs if leg.rang_at is not None and leg.began_at >= call.started_at]
    rang.sort(key=lambda leg: leg.rang_at or 0.0)
    return tuple(dict.fromkeys(leg.party for leg in rang if leg.party))


def _ring_secs(call: Call, at: float) -> float | None:
    """From the first ring to the answer, or to the last phone's silence."""
    own = [leg for leg in far_legs(call) if leg.rang_at is not None and leg.began_at >= call.started_at]
    legs = own or [leg for leg in near_legs(call) if leg.rang_at is not None]
    if not legs:
        return None
    until = call.ended_at if call.ended_at is not None else at
    began = min(leg.rang_at for leg in legs if leg.rang_at is not None)
    answer = call.conversation.answer
    if answer is not None:
        return round(max(0.0, answer.at - began), 3)
    return round(max(0.0, max(min(until, _silent_at(leg, until)) for leg in legs) - began), 3)


def _silent_at(leg: Leg, until: float) -> float:
    """A phone that was picked up is silent, though the caller went on waiting."""
    if leg.channel.up_at is not None:
        return leg.channel.up_at
    return leg.ended_at if leg.ended_at is not None else until


def _participations(call: Call, at: float, status: Outcome) -> tuple[ParticipationSummary, ...]:
    entries: dict[str, list[Participation]] = {}
    for participation in call.participations:
        entries.setdefault(participation.extension, []).append(participation)
    is_own_mailbox = status is Outcome.VOICEMAIL and len(entries) == 1 and not call.queue.entry
    return tuple(
        ParticipationSummary(
            extension=extension,
            outcome=Outcome.VOICEMAIL if is_own_mailbox else best_outcome(parts),
            ring_secs=round(sum(part.ring_secs or 0.0 for part in parts), 3),
            talk_secs=round(sum(part.talk.read(at) for part in parts), 3),
        )
        for extension, parts in entries.items()
    )


def best_outcome(parts: list[Participation]) -> Outcome | None:
    """Having talked outweighs a ring that was not heard; of several alike the last counts. None while all go on."""
    outcomes = [part.outcome for part in parts if part.outcome is not None]
    talked = [outcome for outcome in outcomes if outcome in TALKED]
    return talked[-1] if talked else outcomes[-1] if outcomes else None
