"""What must hold of the facts about calls, whatever happened."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence, Sized

from uac_trio.calls.call import Direction
from uac_trio.calls.fact import (
    FOLLOWS,
    CallBegan,
    CallEnded,
    CallMerged,
    Fact,
    OfParticipation,
    ParticipationAnswered,
    ParticipationBegan,
    ParticipationEnded,
    RecordingKnown,
)
from uac_trio.calls.outcome import TALKED
from uac_trio.calls.tracker import CallTracker


def broken(facts: Iterable[Fact]) -> list[str]:
    """Which invariants do not hold of a whole story, in words."""
    found: list[str] = []
    begun: set[str] = set()
    merged: set[str] = set()
    ended_calls: set[str] = set()
    latest: dict[str, float] = {}
    parts: dict[tuple[str, str, str], list[OfParticipation]] = defaultdict(list)
    for fact in facts:
        if fact.call_id in ended_calls:
            found.append(f"emitted after its end: {fact}")
        if fact.call_id:
            if fact.at < latest.get(fact.call_id, 0.0):
                found.append(f"time goes back: {fact}")
            latest[fact.call_id] = fact.at
        match fact:
            case CallBegan():
                begun.add(fact.call_id)
            case CallMerged():
                merged.add(fact.call_id)
            case CallEnded():
                ended_calls.add(fact.call_id)
            case _:
                pass
        if isinstance(fact, OfParticipation):
            parts[fact.call_id, fact.extension, fact.occurrence].append(fact)
    for who, story in parts.items():
        found += [f"{who}: {words}" for words in _broken_part(story)]
    found += [f"{call_id}: never ended" for call_id in begun - ended_calls - merged]
    found += [f"{who[0]}: has parts, and never ended" for who in parts if who[0] not in ended_calls]
    return found


def _broken_part(story: Sequence[OfParticipation]) -> list[str]:
    """Begins, may be answered, ends, may have a recording; begins anew only if the customer is another after all."""
    found: list[str] = []
    begun: ParticipationBegan | None = None
    answered = ended = recorded = 0
    last: type[OfParticipation] | None = None
    for kind in map(type, story):
        is_anew = kind is ParticipationBegan and last in (ParticipationBegan, ParticipationAnswered)
        if kind not in FOLLOWS[last] and not is_anew:
            found.append(f"{kind.__name__} follows {last.__name__ if last else 'nothing'}")
        last = kind
    for fact in story:
        match fact:
            case ParticipationBegan():
                if ended or (
                    begun is not None and (begun.customer, begun.direction) == (fact.customer, fact.direction)
                ):
                    found.append("begins twice")
                begun, answered = fact, 0
            case ParticipationAnswered():
                answered += 1
            case ParticipationEnded():
                ended += 1
                # Up and alone counts as completed for a colleague who calls: a conference room, a service number.
                is_alone = fact.direction is Direction.INTERNAL and fact.outcome in TALKED
                if (fact.answered_at is not None) != (fact.outcome in TALKED) and not is_alone:
                    found.append(f"answered at {fact.answered_at}, and ends {fact.outcome}")
                if fact.talk_secs < 0 or fact.talk_secs > fact.at - fact.began_at + 0.001:
                    found.append(f"talks {fact.talk_secs} s in {fact.at - fact.began_at} s")
            case RecordingKnown():
                recorded += 1
            case _:
                found.append(f"an unknown fact: {fact}")
    if begun is None or answered > 1 or ended != 1 or recorded > 1:
        found.append(f"begun {begun is not None}, answered {answered}, ended {ended}, recorded {recorded}")
    return found


def left_over(tracker: CallTracker) -> dict[str, int]:
    """What a tracker still holds; empty when nothing is going on."""
    graph = tracker.graph
    held: dict[str, Sized] = {
        "channels": graph.channels,
        "calls": graph.calls,
        "bridges": graph._bridges._by_id,
        "pairs": graph._pairs._halves,
        "linkedids": graph._union._by_linkedid,
        "sets of linkedids": graph._union._linkedids,
        "remembered": graph.remembered,
        "missing": graph.missing,
        "ending": tracker._conclusions.ending,
    }
    return {name: len(things) for name, things in held.items() if things}


def ended_parts(facts: Iterable[Fact]) -> set[tuple[str, str, str, bool]]:
    """(call, employee, occurrence, whether they talked) of every part."""
    return {
        (fact.call_id, fact.extension, fact.occurrence, fact.outcome in TALKED)
        for fact in facts
        if isinstance(fact, ParticipationEnded)
    }


def with_customers(facts: Iterable[Fact], kind: type[OfParticipation], *, talked: bool = False) -> set[tuple[str, str]]:
    """(employee, customer) of the facts of one kind; ``talked``: only of those who did."""
    return {
        (fact.extension, fact.customer)
        for fact in facts
        if isinstance(fact, kind) and fact.direction is not Direction.INTERNAL
        if not talked or (isinstance(fact, ParticipationEnded) and fact.outcome in TALKED)
    }
