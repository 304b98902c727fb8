"""Which rows are sent next, and by whom: leases, and what becomes of them."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any, assert_never

import sqlalchemy as sa

from uac_trio.outbox.dialect import CHUNK, LEASE_LOCK, lock
from uac_trio.outbox.requests import BEGINS, hangup_of
from uac_trio.outbox.rows import PROBABLY_DELIVERED, Delivered, OutboxRow, Outcome, Parked, Retry, Unknown
from uac_trio.outbox.tables import State, request
from uac_trio.vtiger.reply import repeatable
from uac_trio.vtiger.request import Step

LIVE = 60.0
"""Seconds for which a request goes before any backlog, so that a new call's popup does not wait for it."""

UNREPEATABLE = tuple(step.value for step in Step if not repeatable(step))

_NEWEST = 200  # rows that may go before a backlog; more than these are one themselves
_LOST = "its sender is gone or had no answer"


def lease(
    connection: sa.Connection,
    now: float,
    limit: int,
    owner: str,
    lease_seconds: float,
    begun: Collection[str],
) -> list[OutboxRow]:
    lock(connection, LEASE_LOCK, shared=True)
    _end_leases(connection, now)
    _set_moot_aside(connection, now)
    due = _due(now)
    # Named one by one, for no planner finds them among an outage's backlog by conditions as wide as these.
    newest = list(
        connection.scalars(
            sa.select(request.c.id)
            .where(request.c.state == State.WAITING, request.c.created_at > now - LIVE)
            .order_by(request.c.created_at.desc(), request.c.id.desc())
            .limit(_NEWEST)
        )
    )
    live = due.where(request.c.id.in_(newest)).order_by(request.c.created_at, request.c.id)
    begins, ended = request.c.step.in_(BEGINS), hangup_of(request)
    chosen: dict[int, sa.Row[Any]] = {}
    for query in (
        live.where(begins, ended.is_(None)),
        due.where(request.c.call_id.in_(begun)).order_by(request.c.id),
        live,
        due.order_by(request.c.next_try_at, request.c.id),
    ):
        rows = _locked_rows(connection, query.where(request.c.id.not_in(chosen)), limit - len(chosen))
        chosen |= {row.id: row for row in rows}
    until = now + lease_seconds
    if chosen:
        connection.execute(
            sa.update(request)
            .where(request.c.id.in_(chosen))
            .values(state=State.SENDING, leased_by=owner, leased_until=until, attempt=request.c.attempt + 1)
        )
    return [
        OutboxRow(
            id=row.id,
            key=row.key,
            call_id=row.call_id,
            extension=row.extension,
            step=Step(row.step),
            form=json.loads(row.form),
            at=row.at,
            attempt=row.attempt + 1,
            leased_by=owner,
            leased_until=until,
            created_at=row.created_at,
        )
        for row in chosen.values()
    ]


def settle(connection: sa.Connection, row: OutboxRow, outcome: Outcome, now: float) -> bool:
    values: dict[str, Any]
    match outcome:
        case Delivered(reason=reason):
            values = {"state": State.DELIVERED, "settled_at": now, "leased_until": None}
        case Parked(reason=reason):
            values = {"state": State.PARKED, "settled_at": now, "leased_until": None}
        case Retry(at=at, reason=reason, counted=counted):
            attempt = row.attempt if counted else row.attempt - 1
            values = {"state": State.WAITING, "next_try_at": at, "attempt": attempt, "leased_until": None}
        case Unknown(until=until, reason=reason):
            values = {"leased_until": until}
        case _:
            assert_never(outcome)
    settled = connection.execute(
        sa.update(request)
        .where(
            request.c.id == row.id,
            request.c.state == State.SENDING,
            request.c.leased_by == row.leased_by,
            request.c.attempt == row.attempt,
        )
        .values(reason=reason, **values)
    )
    return settled.rowcount == 1


def begins_delivered(connection: sa.Connection) -> list[tuple[str, bool]]:
    believed = request.c.reason.startswith(PROBABLY_DELIVERED).label("believed")
    rows = connection.execute(
        sa.select(request.c.extension, believed)
        .where(request.c.state == State.DELIVERED, request.c.step == Step.DIAL_BEGIN.value)
        .group_by(request.c.extension, believed)
        .order_by(sa.func.max(request.c.id))
    )
    return [(extension, bool(is_believed)) for extension, is_believed in rows]


def next_wake(connection: sa.Connection, now: float) -> float | None:
    first = connection.scalar(
        _heads().with_only_columns(request.c.next_try_at).order_by(request.c.next_try_at).limit(1)
    )
    lease_ends = connection.scalar(
        sa.select(sa.func.min(request.c.leased_until)).where(request.c.state == State.SENDING)
    )
    times = [max(at, now) for at in (first, lease_ends) if at is not None]
    return min(times, default=None)


def _due(now: float) -> sa.Select[Any]:
    """The heads that may be sent now.

    Whether a row is moot is looked up in this same statement: each statement of PostgreSQL (READ COMMITTED) sees what
    others have committed by then, so ``_set_moot_aside`` may have missed it.
    """
    return _heads().where(request.c.next_try_at <= now, _moot_by(request).is_(None))


def _heads() -> sa.Select[Any]:
    """Waiting rows whose turn it is: nothing earlier of their call waits, nothing of it is in flight.

    The scalar subquery is looked up in the index row by row, until enough are found. PostgreSQL would turn a NOT EXISTS
    into a join of all that wait with all there is, which takes minutes after an outage; and a condition on the state,
    in place of the order by it, would let it search the wrong index.
    """
    other = request.alias("other")
    rank = sa.case((other.c.state == State.SENDING, 0), (other.c.state == State.WAITING, 1), else_=2)
    first = (
        sa.select(other.c.id)
        .where(other.c.call_id == request.c.call_id)
        .order_by(rank, other.c.id)
        .limit(1)
        .correlate(request)
        .scalar_subquery()
    )
    return sa.select(request).where(request.c.state == State.WAITING, request.c.id == first)


def _end_leases(connection: sa.Connection, now: float) -> None:
    query = (
        sa.select(request.c.id, request.c.step)
        .where(request.c.state == State.SENDING, request.c.leased_until <= now)
        .order_by(request.c.id)
    )
    ended = _locked_rows(connection, query, CHUNK)
    reason = sa.case((request.c.reason == "", _LOST), else_=request.c.reason)
    if again := [row.id for row in ended if row.step not in UNREPEATABLE]:
        connection.execute(
            sa.update(request)
            .where(request.c.id.in_(again))
            .values(state=State.WAITING, next_try_at=now, leased_until=None, reason=reason)
        )
    if given_up := [row.id for row in ended if row.step in UNREPEATABLE]:
        connection.execute(
            sa.update(request)
            .where(request.c.id.in_(given_up))
            .values(
                state=State.DELIVERED,
                settled_at=now,
                leased_until=None,
                reason="not repeated, since vTiger would add a second row: " + reason,
            )
        )


def _moot_by(row: sa.FromClause) -> sa.ScalarSelect[Any]:
    """The request in the outbox after which ``row`` is not worth sending; looked up row by row, as in _heads."""
    later = request.alias("later")
    return sa.select(later.c.id).where(later.c.key == row.c.moot_after).correlate(row).scalar_subquery()


def _set_moot_aside(connection: sa.Connection, now: float) -> None:
    query = sa.select(request.c.id).where(
        request.c.state == State.WAITING,
        request.c.moot_after > "",  # SQLite does not search an index for IS NOT NULL
        _moot_by(request).is_not(None),
    )
    full = True
    while full:
        moot = [row.id for row in _locked_rows(connection, query, CHUNK)]
        full = len(moot) == CHUNK
        if moot:
            connection.execute(
                sa.update(request)
                .where(request.c.id.in_(moot))
                .values(state=State.MOOT, settled_at=now, reason="too late: the call had moved on")
            )


def _locked_rows(connection: sa.Connection, query: sa.Select[Any], limit: int) -> list[sa.Row[Any]]:
    """SKIP LOCKED: what another connector is leasing at this moment is not for us (SQLite has no such moment)."""
    if limit <= 0:
        return []
    return list(connection.execute(query.limit(limit).with_for_update(skip_locked=True, of=request)))
