"""The rows of requests: put, counted, purged; what they say of calls that have not ended."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from uac_trio.outbox.dialect import CHUNK, PUT_LOCK, insert_new, lock
from uac_trio.outbox.rows import OpenParticipation, OutboxStatistics
from uac_trio.outbox.tables import UNSETTLED, State, request
from uac_trio.vtiger.request import CallbackRequest, Step

BEGINS = (Step.DIAL_BEGIN.value, Step.START_APP.value)


def put(connection: sa.Connection, requests: Sequence[CallbackRequest], now: float) -> int:
    """How many of them were new."""
    if not requests:
        return 0
    lock(connection, PUT_LOCK)
    last = connection.scalar(sa.select(sa.func.max(request.c.id))) or 0
    connection.execute(insert_new(connection, request, "key"), [_as_row(each, now) for each in requests])
    # Counted so, since psycopg does not tell how many rows many executions touched.
    return connection.scalar(sa.select(sa.func.count()).where(request.c.id > last)) or 0


def open_participations(connection: sa.Connection, prefix: str) -> list[OpenParticipation]:
    answer = request.alias("answer")
    answered_at = (
        sa.select(sa.func.max(answer.c.at))
        .where(_follows(answer, Step.DIAL_ANSWER, request))
        .correlate(request)
        .scalar_subquery()
    )
    rows = connection.execute(
        sa.select(request, answered_at.label("answered_at"))
        .where(unended(request), sa.func.substr(request.c.call_id, 1, len(prefix)) == prefix)
        .order_by(request.c.id)
    )
    # Two DialBegins of one extension without a Hangup between them are one row of the CRM: the first one's.
    found: dict[tuple[str, str], OpenParticipation] = {}
    for row in rows:
        begun = OpenParticipation(
            call_id=row.call_id,
            extension=row.extension,
            key=row.key,
            step=Step(row.step),
            form=json.loads(row.form),
            at=row.at,
            answered_at=row.answered_at,
        )
        found.setdefault((row.call_id, row.extension), begun)
    return list(found.values())


def statistics(connection: sa.Connection) -> OutboxStatistics:
    rows = connection.execute(
        sa.select(request.c.state, sa.func.count(), sa.func.min(request.c.created_at)).group_by(request.c.state)
    )
    by_state = {state: (count, oldest) for state, count, oldest in rows}
    counts = {state: by_state.get(state, (0, None))[0] for state in State}
    return OutboxStatistics(
        waiting=counts[State.WAITING],
        sending=counts[State.SENDING],
        parked=counts[State.PARKED],
        delivered=counts[State.DELIVERED],
        moot=counts[State.MOOT],
        oldest_waiting_at=by_state.get(State.WAITING, (0, None))[1],
    )


def purge(connection: sa.Connection, before: float) -> int:
    other, begin = request.alias("other"), request.alias("begin")
    kept = sa.or_(other.c.state.in_([*UNSETTLED, State.PARKED]), other.c.settled_at >= before)
    calls = (
        sa.select(request.c.call_id)
        .where(
            request.c.state.in_([State.DELIVERED, State.MOOT]),
            request.c.created_at < before,
            ~sa.exists().where(other.c.call_id == request.c.call_id, kept),
            ~sa.exists().where(begin.c.call_id == request.c.call_id, unended(begin)),
        )
        .distinct()
        .limit(CHUNK)
    )
    chosen = list(connection.scalars(calls))
    if not chosen:
        return 0
    return connection.execute(sa.delete(request).where(request.c.call_id.in_(chosen))).rowcount


def _as_row(each: CallbackRequest, now: float) -> dict[str, Any]:
    return {
        "key": each.key,
        "call_id": each.call_id,
        "extension": each.extension,
        "step": each.step.value,
        # ASCII: a NUL or half a surrogate in a caller's name must not make the database refuse the whole batch.
        "form": json.dumps(dict(each.form)),
        "at": each.at,
        "moot_after": each.moot_after,
        "state": State.WAITING,
        "attempt": 0,
        "next_try_at": now,
        "reason": "",
        "created_at": now,
    }


def hangup_of(begin: sa.FromClause) -> sa.ScalarSelect[Any]:
    """The Hangup that is there for what ``begin`` began; row by row, as in leasing._heads."""
    hangup = request.alias("hangup")
    return (
        sa.select(hangup.c.id).where(_follows(hangup, Step.HANGUP, begin)).limit(1).correlate(begin).scalar_subquery()
    )


def unended(begin: sa.FromClause) -> sa.ColumnElement[bool]:
    """``begin`` began what no Hangup ended."""
    hangup = request.alias("hangup")
    return sa.and_(
        begin.c.step.in_(BEGINS),
        begin.c.state != State.MOOT,
        ~sa.exists().where(_follows(hangup, Step.HANGUP, begin)),
    )


def _follows(later: sa.FromClause, step: Step, begin: sa.FromClause) -> sa.ColumnElement[bool]:
    """``later`` is a ``step`` for what ``begin`` began: the same extension's, or anybody's after stock's StartApp."""
    return sa.and_(
        later.c.call_id == begin.c.call_id,
        later.c.id > begin.c.id,
        later.c.step == step.value,
        sa.or_(later.c.extension == begin.c.extension, begin.c.step == Step.START_APP.value),
    )
