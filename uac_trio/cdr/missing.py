"""What the rows of a call show and no connector delivered: the deliveries that the CRM lacks.

Their keys are those of the live ones as far as CDR can know them (a channel without rows of its own has no uniqueid
there). So what is there is found by call and subject, not by key.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import attrs

from uac_trio.calls.call import Direction
from uac_trio.calls.fact import Fact, OfParticipation
from uac_trio.calls.outcome import TALKED
from uac_trio.calls.rules import TrackerRules
from uac_trio.crm.delivery import Delivery, DeliveryMaker, Kind, Scope

LATE = 3.0
"""Seconds by which an end is too far from the true one to have been seen: CDR has whole seconds, cut."""

CUT = 1.0
"""Seconds by which CDR's talk may be less than the true one, and never more."""

CORRECTED = ".cdr"
"""Added to the occurrence of an end that was concluded without having been seen, for its key: the true end."""


def deliveries_of(facts: Iterable[Fact], maker: DeliveryMaker, rules: TrackerRules) -> list[Delivery]:
    """What would have been delivered of one call, had it been watched; each that begins also ends."""
    found: list[Delivery] = []
    for fact in facts:
        is_internal = isinstance(fact, OfParticipation) and fact.direction is Direction.INTERNAL
        if is_internal and rules.internal == "ignore":
            continue
        found += maker.deliveries(fact)
    ended = {(each.call_id, each.subject) for each in found if each.kind is Kind.END}
    whole = [each for each in found if (each.call_id, each.subject) in ended]
    return [_with_agent(each, whole) if maker.scope is Scope.CALL else each for each in whole]


def _with_agent(each: Delivery, of_call: Sequence[Delivery]) -> Delivery:
    """The end of a whole call with who talked last: as a correction it must be able to move the row to them."""
    if each.kind is not Kind.END or each.outcome not in TALKED:
        return each
    answers = [other for other in of_call if other.kind is Kind.ANSWER and other.call_id == each.call_id]
    agent = max(answers, key=lambda answer: answer.at).extension if answers else ""
    return attrs.evolve(each, extension=agent)


@attrs.frozen
class Known:
    """A delivery that the outbox has."""

    delivery: Delivery
    put_at: float
    """By our clock, in seconds since the epoch."""


def missing(found: Sequence[Delivery], known: Sequence[Known], found_at: float | None = None) -> list[Delivery]:
    """Of ``found`` what is not ``known``, the rows of the outbox about these calls; in order.

    An end that was concluded, since it was not seen, is followed by the true one. So is one whose talk was counted
    from ``found_at`` alone, when a connector that had just started found the call in the middle of its talk.
    """
    of_subject: dict[tuple[str, str], list[Delivery]] = {}
    for each in found:
        of_subject.setdefault((each.call_id, each.subject), []).append(each)
    lacking: list[Delivery] = []
    for subject, deliveries in of_subject.items():
        of_known = [each for each in known if (each.delivery.call_id, each.delivery.subject) == subject]
        lacking += _of_subject(deliveries, of_known, found_at)
    return sorted(lacking, key=lambda each: each.at)


def _of_subject(found: Sequence[Delivery], known: Sequence[Known], found_at: float | None) -> list[Delivery]:
    begun = [each.delivery for each in known if each.delivery.kind is Kind.BEGIN]
    if not begun:
        return list(found)
    lacking: list[Delivery] = []
    true_end = [each for each in found if each.kind is Kind.END][-1]
    ends = [each for each in known if each.delivery.kind is Kind.END]
    unended = {each.occurrence for each in begun} - {each.delivery.occurrence for each in ends}
    if unended:
        last = [each.occurrence for each in begun if each.occurrence in unended][-1]
        lacking.append(attrs.evolve(true_end, occurrence=last))
    elif (
        ends
        and not ends[-1].delivery.occurrence.endswith(CORRECTED)
        and (_is_wrong(ends[-1], true_end) or _lacks_talk(ends[-1].delivery, found, true_end, found_at))
    ):
        lacking.append(attrs.evolve(true_end, occurrence=ends[-1].delivery.occurrence + CORRECTED))
    if not any(each.delivery.kind is Kind.RECORDING for each in known):
        lacking += [each for each in found if each.kind is Kind.RECORDING]
    return lacking


def _is_wrong(known: Known, true_end: Delivery) -> bool:
    """Who saw an end put it when it was. One put later, or for a time at which no channel was there any more, was
    concluded."""
    end = known.delivery
    ended_at, truly_at = end.ended_at or end.at, true_end.ended_at or true_end.at
    is_lost = true_end.outcome in TALKED and end.outcome not in TALKED
    if ended_at > truly_at + LATE or (is_lost and truly_at > ended_at + LATE):
        return True
    is_concluded = known.put_at - end.at > LATE
    has_other_talk = abs(true_end.talk_secs - end.talk_secs) > LATE and true_end.talk_secs > 0
    return is_concluded and (abs(truly_at - ended_at) > LATE or has_other_talk or is_lost)


def _lacks_talk(end: Delivery, found: Sequence[Delivery], true_end: Delivery, found_at: float | None) -> bool:
    """Who saw more of the talk, another connector, knows better than CDR, which counts hold as talk."""
    answers = [each.at for each in found if each.kind is Kind.ANSWER]
    ended_at = true_end.ended_at or true_end.at
    if found_at is None or not answers or not answers[0] < found_at < ended_at:
        return False
    return end.talk_secs <= ended_at - found_at + LATE and true_end.talk_secs - end.talk_secs > CUT
