"""The rows of deliveries: put, counted, purged; what they say of calls that have not ended."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import attrs
import sqlalchemy as sa

from uac_trio.calls.call import Direction
from uac_trio.calls.outcome import TALKED, Outcome
from uac_trio.calls.participation import Role
from uac_trio.cdr.missing import Known
from uac_trio.crm.delivery import Delivery, Kind
from uac_trio.store.dialect import CHUNK, PUT_LOCK, insert_new, is_shared, lock
from uac_trio.store.rows import OpenParticipation, OutboxStatistics
from uac_trio.store.tables import UNSETTLED, State, delivery, event_log, recording

SAME_DIGITS = 10
"""Numbers whose last ten digits agree are one number, as vTiger sees it; shorter ones must be the same."""


def significant(number: str) -> str:
    """The digits that say whose number it is; "" for what is none."""
    return re.sub(r"[^0-9]", "", number)[-SAME_DIGITS:]


def storable(text: str) -> str:
    """What every database takes: a stranger's name may hold a NUL or half a surrogate."""
    if text.isascii():
        return text.replace("\0", "")
    return text.replace("\0", "").encode(errors="replace").decode()


def put(connection: sa.Connection, new: Sequence[Delivery], now: float, created_at: float | None = None) -> int:
    """How many of them were new. ``created_at``: before now, for what is no news and goes behind all that is."""
    if not new:
        return 0
    lock(connection, PUT_LOCK)
    last = connection.scalar(_LAST) or 0
    connection.execute(insert_new(connection, delivery, "key"), [_as_row(each, now, created_at) for each in new])
    if is_shared(connection) and any(each.kind is Kind.END and each.subject for each in new):
        connection.execute(_SUPERSEDE_EARLIER, {"last": last, "now": now})
        connection.execute(_COMPLETE_ANSWERED, {"last": last})
    # Counted so, since psycopg does not count the rows that executemany touched.
    return connection.scalar(_COUNT_AFTER, {"last": last}) or 0


_LAST = sa.select(sa.func.max(delivery.c.id))
_COUNT_AFTER = sa.select(sa.func.count()).where(delivery.c.id > sa.bindparam("last"))


_earlier, _known, _begin = delivery.alias("earlier"), delivery.alias("known"), delivery.alias("begin")
_SUPERSEDE_EARLIER = (
    sa.update(delivery)
    .where(
        delivery.c.id.in_(
            sa.select(_earlier.c.id)
            .join(_known, sa.and_(_known.c.call_id == _earlier.c.call_id, _known.c.subject == _earlier.c.subject))
            .join(_begin, sa.and_(_begin.c.call_id == _earlier.c.call_id, _begin.c.subject == _earlier.c.subject))
            .where(
                _earlier.c.id > sa.bindparam("last"),
                _earlier.c.kind == Kind.END.value,
                _earlier.c.subject != "",
                _earlier.c.outcome.not_in([outcome.value for outcome in TALKED]),
                _known.c.kind == Kind.END.value,
                _known.c.id <= sa.bindparam("last"),
                _known.c.ended_at > _earlier.c.ended_at,
                # What began it was before: that end ended it too, so nothing is left ringing.
                _begin.c.kind == Kind.BEGIN.value,
                _begin.c.occurrence == _earlier.c.occurrence,
                _begin.c.id < _known.c.id,
            )
        )
    )
    .values(
        state=State.SUPERSEDED.value,
        settled_at=sa.bindparam("now"),
        reason="superseded: another connector put the end of a later part of this employee before",
    )
)
"""A connector that stood still puts late that a phone was not answered, which another one saw answered since."""


_answer = delivery.alias("answer")
_answered_at = (
    sa.select(sa.func.max(_answer.c.at))
    .where(
        _answer.c.id <= sa.bindparam("last"),
        _answer.c.kind == Kind.ANSWER.value,
        _answer.c.call_id == delivery.c.call_id,
        _answer.c.subject == delivery.c.subject,
        _answer.c.occurrence == delivery.c.occurrence,
    )
    .correlate(delivery)
    .scalar_subquery()
)
_COMPLETE_ANSWERED = (
    sa.update(delivery)
    .where(
        delivery.c.id > sa.bindparam("last"),
        delivery.c.kind == Kind.END.value,
        delivery.c.subject != "",
        delivery.c.outcome.not_in([outcome.value for outcome in TALKED]),
        _answered_at.is_not(None),
    )
    .values(
        outcome=Outcome.COMPLETED.value,
        ended_at=sa.func.greatest(delivery.c.ended_at, _answered_at),
        talk_secs=sa.func.greatest(delivery.c.ended_at - _answered_at, 0.0),
    )
)
"""A connector that was away for the answer infers an end without one; the other has put that they talked."""


def of_participation(each: Delivery) -> dict[str, Any]:
    """The columns that deliveries and recordings share."""
    return {
        "pbx": each.pbx,
        "call_id": each.call_id,
        "subject": each.subject,
        "occurrence": each.occurrence,
        "extension": each.extension,
        "role": each.role.value,
        "direction": each.direction.value,
        "customer": storable(each.customer),
        "customer_digits": significant(each.customer),
        "at": each.at,
        "began_at": each.began_at,
    }


def _as_row(each: Delivery, now: float, created_at: float | None) -> dict[str, Any]:
    return {
        "key": each.key,
        "kind": each.kind.value,
        **of_participation(each),
        "first_began_at": each.first_began_at,
        "customer_name": storable(each.customer_name),
        "line": storable(each.line),
        "ended_at": each.ended_at,
        "outcome": None if each.outcome is None else each.outcome.value,
        "talk_secs": each.talk_secs,
        "recording": each.recording,
        "superseded_by": each.superseded_by,
        "state": State.WAITING.value,
        "accepted": 0,
        "attempt": 0,
        "next_try_at": now,
        "in_doubt": False,
        "is_probable": False,
        "reason": "",
        "created_at": now if created_at is None else created_at,
    }


def as_part(row: sa.Row[Any], kind: Kind) -> Delivery:
    """The reverse of ``of_participation``."""
    return Delivery(
        kind=kind,
        pbx=row.pbx,
        call_id=row.call_id,
        subject=row.subject,
        occurrence=row.occurrence,
        extension=row.extension,
        role=Role(row.role),
        direction=Direction(row.direction),
        customer=row.customer,
        at=row.at,
        began_at=row.began_at,
    )


def as_delivery(row: sa.Row[Any]) -> Delivery:
    """The reverse of what ``put`` stored."""
    return attrs.evolve(
        as_part(row, Kind(row.kind)),
        first_began_at=row.first_began_at,
        customer_name=row.customer_name,
        line=row.line,
        ended_at=row.ended_at,
        outcome=None if row.outcome is None else Outcome(row.outcome),
        talk_secs=row.talk_secs,
        recording=row.recording,
    )


def known_of(connection: sa.Connection, call_ids: Sequence[str]) -> list[Known]:
    """What is there of these calls, whatever its state, in the order in which it was put."""
    rows = connection.execute(sa.select(delivery).where(delivery.c.call_id.in_(call_ids)).order_by(delivery.c.id))
    return [Known(as_delivery(row), row.created_at) for row in rows]


def awaited_of(connection: sa.Connection, call_ids: Sequence[str]) -> list[Known]:
    """Of these calls the recordings, of which the deliveries come when the files are complete."""
    rows = connection.execute(sa.select(recording).where(recording.c.call_id.in_(call_ids)))
    return [Known(as_part(row, Kind.RECORDING), row.created_at) for row in rows]


def last_put_at(connection: sa.Connection, pbx: str, before: float) -> float | None:
    """When something was last put of this PBX's calls, ``before`` then; None: never."""
    latest = sa.select(sa.func.max(delivery.c.created_at)).where(delivery.c.pbx == pbx, delivery.c.created_at < before)
    at: float | None = connection.scalar(latest)
    return at


def open_participations(connection: sa.Connection, pbx: str) -> list[OpenParticipation]:
    answer = delivery.alias("answer")
    answered_at = (
        sa.select(sa.func.max(answer.c.at))
        .where(_follows(answer, Kind.ANSWER, delivery))
        .correlate(delivery)
        .scalar_subquery()
    )
    rows = connection.execute(
        sa.select(delivery, answered_at.label("answered_at"))
        .where(unended(delivery), delivery.c.pbx == pbx)
        .order_by(delivery.c.id)
    )
    # Two BEGINs of one subject without an END between them are one row of the CRM: the first one's.
    found: dict[tuple[str, str], OpenParticipation] = {}
    for row in rows:
        begun = OpenParticipation(begin=as_delivery(row), answered_at=row.answered_at)
        found.setdefault((row.call_id, row.subject), begun)
    return list(found.values())


def logged_ends(connection: sa.Connection, pbx: str) -> list[Delivery]:
    logged = sa.select(event_log.c.call_id).where(event_log.c.pbx == pbx)
    rows = connection.execute(
        sa.select(delivery)
        .where(delivery.c.pbx == pbx, delivery.c.kind == Kind.END, delivery.c.call_id.in_(logged))
        .order_by(delivery.c.id)
    )
    return [as_delivery(row) for row in rows]


def statistics(connection: sa.Connection) -> OutboxStatistics:
    rows = connection.execute(
        sa.select(delivery.c.state, sa.func.count(), sa.func.min(delivery.c.created_at)).group_by(delivery.c.state)
    )
    by_state = {state: (count, oldest) for state, count, oldest in rows}
    counts = {state: by_state.get(state, (0, None))[0] for state in State}
    return OutboxStatistics(
        waiting=counts[State.WAITING],
        sending=counts[State.SENDING],
        parked=counts[State.PARKED],
        delivered=counts[State.DELIVERED],
        superseded=counts[State.SUPERSEDED],
        oldest_waiting_at=by_state.get(State.WAITING, (0, None))[1],
    )


def purge(connection: sa.Connection, before: float) -> int:
    other, begin = delivery.alias("other"), delivery.alias("begin")
    kept = sa.or_(other.c.state.in_([*UNSETTLED, State.PARKED]), other.c.settled_at >= before)
    # Each call is looked at once, not once for each of its rows.
    old = (
        sa.select(delivery.c.call_id)
        .where(delivery.c.state.in_([State.DELIVERED, State.SUPERSEDED]), delivery.c.created_at < before)
        .distinct()
        .subquery()
    )
    calls = (
        sa.select(old.c.call_id)
        .where(
            ~sa.exists().where(other.c.call_id == old.c.call_id, kept),
            ~sa.exists().where(begin.c.call_id == old.c.call_id, unended(begin)),
        )
        .limit(CHUNK)
    )
    chosen = list(connection.scalars(calls))
    if not chosen:
        return 0
    return connection.execute(sa.delete(delivery).where(delivery.c.call_id.in_(chosen))).rowcount


def end_of(begin: sa.FromClause) -> sa.ScalarSelect[Any]:
    """The END that is there for what ``begin`` began; row by row, as in leasing._FIRST_WAITING."""
    end = delivery.alias("end_of")
    return sa.select(end.c.id).where(_follows(end, Kind.END, begin)).limit(1).correlate(begin).scalar_subquery()


def unended(begin: sa.FromClause) -> sa.ColumnElement[bool]:
    """``begin`` began what no END ended."""
    end = delivery.alias("its_end")
    return sa.and_(
        begin.c.kind == Kind.BEGIN.value,
        begin.c.state != State.SUPERSEDED,
        ~sa.exists().where(_follows(end, Kind.END, begin)),
    )


def _follows(later: sa.FromClause, kind: Kind, begin: sa.FromClause) -> sa.ColumnElement[bool]:
    """``later`` is a ``kind`` for the row of the CRM that ``begin`` began."""
    return sa.and_(
        later.c.call_id == begin.c.call_id,
        later.c.id > begin.c.id,
        later.c.kind == kind.value,
        later.c.subject == begin.c.subject,
    )
