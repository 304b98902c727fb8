"""Whether an employee had a popup, and if not, why not."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence

import attrs

from uac_trio.calls.call import Direction
from uac_trio.calls.endpoint import Evidence
from uac_trio.calls.fact import (
    CallBegan,
    CallEnded,
    CallerQueued,
    Fact,
    NotAnEmployee,
    ParticipationBegan,
    ParticipationEnded,
)
from uac_trio.calls.participation import Role
from uac_trio.calls.rules import TrackerRules
from uac_trio.crm.delivery import Kind
from uac_trio.crm.protocol import CRM
from uac_trio.store.rows import StoredRow
from uac_trio.store.tables import State

LATE = 5.0
"""Seconds after the first ring from which a popup counts as late."""


class Seen(enum.Enum):
    """The value is for JSON."""

    SHOWN = "shown"
    LATE = "late"
    NONE = "none"
    WAITS = "waits"
    UNKNOWN = "unknown"


@attrs.frozen(kw_only=True)
class Popup:
    """Of one ring of one employee; ``extension`` "" = of the call as a whole."""

    extension: str
    seen: Seen
    words: str


@attrs.frozen(kw_only=True)
class Known:
    """What is known of one call."""

    facts: Sequence[Fact]
    rows: Sequence[StoredRow]
    has_store: bool
    """Rows were looked for."""


def popups(known: Known, rules: TrackerRules, crm: CRM) -> Iterator[Popup]:
    """One for each ring of an employee, or one for the call where none rang."""
    begins = [fact for fact in known.facts if isinstance(fact, ParticipationBegan)]
    rows = {
        (row.delivery.extension, row.delivery.occurrence): row for row in known.rows if row.delivery.kind is Kind.BEGIN
    }
    of_call = next((row for row in known.rows if row.delivery.kind is Kind.BEGIN and not row.delivery.subject), None)
    for fact in begins:
        row = rows.pop((fact.extension, fact.occurrence), None) or of_call
        yield _of_ring(fact, row, known, rules, crm)
    if not begins:
        for row in rows.values():
            yield _of_row(row, row.delivery.extension, _ended_at(row, known))
    if not begins and not rows:
        yield Popup(extension="", seen=Seen.NONE, words=_without_ring(known.facts, rules))


def _of_ring(fact: ParticipationBegan, row: StoredRow | None, known: Known, rules: TrackerRules, crm: CRM) -> Popup:
    if fact.direction is Direction.INTERNAL and rules.internal == "ignore":
        words = 'none: a call between employees is not delivered ([calls] internal = "ignore")'
        return Popup(extension=fact.extension, seen=Seen.NONE, words=words)
    if not crm.wants(fact):
        words = "none: this CRM keeps nothing of this part of a call between employees"
        return Popup(extension=fact.extension, seen=Seen.NONE, words=words)
    if row is not None:
        ended = next((end.ended_at for end in _ends(known.facts, fact)), None)
        return _of_row(row, fact.extension, ended)
    if fact.role is Role.CALLER or fact.direction is Direction.OUTBOUND:
        return Popup(extension=fact.extension, seen=Seen.NONE, words=_OUTGOING)
    if not known.has_store:
        words = "not known: the store was not looked at; the requests below are what the CRM is to be sent"
        return Popup(extension=fact.extension, seen=Seen.UNKNOWN, words=words)
    words = (
        "none by this connector: the store has no delivery of it. Either it was deleted ([store] keep_delivered, "
        "forget), or another connector with a store of its own delivers, or what was recorded was never delivered"
    )
    return Popup(extension=fact.extension, seen=Seen.UNKNOWN, words=words)


_OUTGOING = "none: popups are for incoming calls; of an outgoing call there is a row in the list of calls"


def _ends(facts: Sequence[Fact], begin: ParticipationBegan) -> Iterator[ParticipationEnded]:
    ends = (fact for fact in facts if isinstance(fact, ParticipationEnded))
    return (end for end in ends if (end.extension, end.occurrence) == (begin.extension, begin.occurrence))


def _ended_at(row: StoredRow, known: Known) -> float | None:
    return next(
        (
            other.delivery.ended_at
            for other in known.rows
            if other.delivery.kind is Kind.END and other.delivery.occurrence == row.delivery.occurrence
        ),
        None,
    )


def _of_row(row: StoredRow, extension: str, ended_at: float | None) -> Popup:
    """``ended_at``: when the phone fell silent or the talk was over, if that is known."""
    delivery, why = row.delivery, f": {row.reason}" if row.reason else ""
    if delivery.role is Role.CALLER or delivery.direction is Direction.OUTBOUND:
        return Popup(extension=extension, seen=Seen.NONE, words=_OUTGOING)
    match row.state:
        case State.PARKED:
            words = f"none: the CRM refused it for good{why}. Mend the cause, then: uac-trio outbox retry {row.id}"
            return Popup(extension=extension, seen=Seen.NONE, words=words)
        case State.SUPERSEDED:
            words = f"none: superseded, the call had gone on before it could be sent{why}"
            return Popup(extension=extension, seen=Seen.NONE, words=words)
        case State.WAITING:
            words = f"not yet: it waits, sent {row.attempt} times{why}"
            return Popup(extension=extension, seen=Seen.WAITS, words=words)
        case State.SENDING:
            doubt = "an earlier sending got no answer; " if row.in_doubt else ""
            words = f"not known: {doubt}it is being sent, or waits until no answer can come any more{why}"
            return Popup(extension=extension, seen=Seen.UNKNOWN, words=words)
        case State.DELIVERED:
            return _delivered(row, extension, ended_at)


def _delivered(row: StoredRow, extension: str, ended_at: float | None) -> Popup:
    took = max(0.0, (row.settled_at or row.created_at) - row.delivery.at)
    after = f"{took:.1f} s after the first ring"
    if row.is_probable:
        words = f"probably: the CRM answered {after} with an error, after which it may have it: {row.reason}"
        return Popup(extension=extension, seen=Seen.UNKNOWN, words=words)
    if ended_at is not None and row.settled_at is not None and row.settled_at > ended_at + LATE:
        words = f"too late: accepted by the CRM {after}, when the phone had been silent for long"
        return Popup(extension=extension, seen=Seen.LATE, words=words)
    if took > LATE:
        return Popup(extension=extension, seen=Seen.LATE, words=f"late: accepted by the CRM {after}")
    return Popup(extension=extension, seen=Seen.SHOWN, words=f"accepted by the CRM {after}")


def _without_ring(facts: Sequence[Fact], rules: TrackerRules) -> str:
    others = [fact for fact in facts if isinstance(fact, NotAnEmployee)]
    if any(fact.evidence is Evidence.NOT_OURS for fact in others) or (
        rules.is_shared() and not any(isinstance(fact, CallBegan | CallEnded) for fact in facts)
    ):
        return "none: another company's call by [calls] only_..."
    direction = next((fact.direction for fact in facts if isinstance(fact, CallBegan)), None)
    if direction is Direction.INTERNAL and rules.internal == "ignore":
        return 'none: a call between employees is not delivered ([calls] internal = "ignore")'
    if others:
        rang = ", ".join(dict.fromkeys(fact.endpoint for fact in others))
        return f"none: the phones that rang are no employee's by [calls] ({rang}; the events below have the reasons)"
    queue = next((fact.queue for fact in facts if isinstance(fact, CallerQueued)), "")
    if queue:
        return (
            f"none: no employee's phone rang; the caller waited in queue {queue} (no agent there, all busy or paused?)"
        )
    return "none: no phone rang (an announcement, a menu, a closed line; or the caller gave up before)"
