"""A finished call as one flat record: the object of ``uac-trio replay --calls``."""

from __future__ import annotations

from typing import Any

from uac_trio.calls.call import Call, Direction, Participation, Recording
from uac_trio.calls.channel import Leg
from uac_trio.calls.click import click_outcome
from uac_trio.calls.outcome import TALKED, Outcome
from uac_trio.calls.progress import outward_outcome


def call_record(call: Call, at: float) -> dict[str, Any]:
    """The keys of the transcripts' ground truth, with the same meaning. Durations in seconds."""
    own = [leg for leg in call.outward_legs if leg.rang_at is not None and leg.began_at >= call.started_at]
    ring_legs = own or [leg for leg in call.operator_legs if leg.rang_at is not None]
    click = click_outcome(call, at)
    return {
        "call_id": call.id,
        "linkedid": call.linkedid,
        "direction": (call.direction or Direction.INTERNAL).value,
        "customer": call.customer or None,
        "customer_name": call.customer_name or None,
        "status": call_status(call).value,
        "rang": _rang(call),
        "answered_by": call.answered_by or None,
        "final_agent": (call.final_agent if call.transfers else call.answered_by) or None,
        "ring_secs": _ring_secs(call, ring_legs, at),
        "talk_secs": round(call.talk.read(at), 3) if call.answered_at is not None else None,
        "transfers": [
            {"type": transfer.type, "by": transfer.by, "to": transfer.to, "answered": transfer.answered}
            for transfer in call.transfers
            if not (transfer.consulting is not None and transfer.consulting.answered_at is not None)
        ],
        "recording": recording_of(call),
        "queue": call.queue or None,
        "did": call.did or None,
        "caller": call.operator or None,
        "called": call.called or None,
        "merged_into_first": bool(call.merged_into),
        "ended": call.ended_at is not None,
        "participations": _participations(call, at),
        **({"click2call": click} if click else {}),
    }


def call_status(call: Call) -> Outcome:
    if call.answered_at is not None:
        return Outcome.COMPLETED
    if call.voicemail:
        return Outcome.VOICEMAIL
    if call.gave_up:
        return Outcome.CANCELLED
    if call.merged_into and call.legs:
        return Outcome.CANCELLED  # its caller handed his place on while it rang
    return outward_outcome(call)


def _rang(call: Call) -> list[str]:
    rang = [leg for leg in call.legs if leg.rang_at is not None and leg.began_at >= call.started_at]
    rang.sort(key=lambda leg: leg.rang_at or 0.0)
    return list(dict.fromkeys(leg.party for leg in rang if leg.party))


def _ring_secs(call: Call, legs: list[Leg], at: float) -> float | None:
    if not legs:
        return None
    until = call.ended_at if call.ended_at is not None else at
    began = min(leg.rang_at for leg in legs if leg.rang_at is not None)
    if call.answered_at is not None:
        return round(max(0.0, call.answered_at - began), 3)
    ended = max(min(until, leg.ended_at if leg.ended_at is not None else until) for leg in legs)
    return round(max(0.0, ended - began), 3)


def recording_of(call: Call, participation: Participation | None = None) -> str | None:
    """The file to listen to: of a participation the one made of its own leg, else the call's.

    A path is set whether or not anybody answers, so only what a Cdr with an answered party B names counts. A ring group
    through Local channels has a file to each leg; the caller's own channel's first file is preferred, else the longest.
    """
    if call.answered_at is None:
        return None
    candidates = call.recordings
    if participation is not None:
        names = {channel.full_name for channel in participation.channels}
        candidates = [recording for recording in candidates if recording.destination in names] or candidates

    def preference(recording: Recording) -> tuple[bool, bool, int]:
        is_own = recording.uniqueid == call.linkedid
        return bool(recording.destination), is_own, 0 if is_own else recording.secs

    return max(candidates, key=preference).path if candidates else None


def _participations(call: Call, at: float) -> list[dict[str, Any]]:
    """One entry to an employee: if he took part several times, the best outcome and the sums."""
    entries: dict[str, list[Participation]] = {}
    for participation in call.participations:
        entries.setdefault(participation.extension, []).append(participation)
    return [
        {
            "extension": extension,
            "outcome": best_outcome(parts).value if any(part.outcome for part in parts) else None,
            "ring_secs": round(sum(part.ring_secs or 0.0 for part in parts), 3),
            "talk_secs": round(sum(part.talk.read(at) for part in parts), 3),
        }
        for extension, parts in entries.items()
    ]


def best_outcome(parts: list[Participation]) -> Outcome:
    """Having talked outweighs a ring that nobody heard; of several alike the last counts."""
    outcomes = [part.outcome for part in parts if part.outcome is not None]
    return ([outcome for outcome in outcomes if outcome in TALKED] or outcomes)[-1]
