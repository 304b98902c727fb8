"""Which rows are sent next, and by whom: leases, and how they end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, assert_never

import sqlalchemy as sa

from uac_trio.crm.delivery import Kind
from uac_trio.crm.protocol import PastBegin
from uac_trio.store.deliveries import as_delivery, end_of, storable
from uac_trio.store.dialect import CHUNK, LEASE_LOCK, lock
from uac_trio.store.rows import (
    Delivered,
    LeasedRow,
    LeaseRequest,
    Parked,
    Released,
    Retry,
    Settlement,
    UndoneLease,
    Unknown,
)
from uac_trio.store.tables import State, delivery

LIVE = 60.0
"""Seconds for which a delivery goes before any backlog, so that a new call's popup does not wait for it."""

NEWEST = 200
"""Rows that may go before a backlog; more than these are one themselves."""

MOST_BEHIND = 50
"""Rows of one call that are leased with its head."""

_TOO_LATE = "superseded: that part of the call was over before this could be sent"
_LOST = "its sender is gone or had no answer"

_c = delivery.c
_other = delivery.alias("other")
_later = delivery.alias("later")

# Waiting rows whose turn it is: nothing earlier of their call waits, nothing of it is in flight. Both scalar subqueries
# are one look into the index delivery_call, however many rows the call has. PostgreSQL would turn a NOT EXISTS into a
# join of all that wait with all there is, which takes minutes after an outage.
_FIRST_WAITING = (
    sa.select(sa.func.min(_other.c.id))
    .where(_other.c.call_id == _c.call_id, _other.c.state == State.WAITING.value)
    .correlate(delivery)
    .scalar_subquery()
)
_IN_FLIGHT = (
    sa.select(_other.c.id)
    .where(_other.c.call_id == _c.call_id, _other.c.state == State.SENDING.value)
    .limit(1)
    .correlate(delivery)
    .scalar_subquery()
)
_HAS_TURN = sa.and_(_c.id == _FIRST_WAITING, _IN_FLIGHT.is_(None))
_IS_HEAD = sa.and_(_c.state == State.WAITING.value, _HAS_TURN)

# Of rows that are named by their ids or calls. SQLite, which does not know how many rows there are in a state, would
# search its index for all that wait rather than look at the few.
_WAITS = _c.state.concat("") == State.WAITING.value

# Looked up in the statement that finds the row: whatever two connectors do at one time, no superseded row is leased.
_SUPERSEDED = (
    sa.select(_later.c.id)
    .where(_later.c.key == _c.superseded_by, sa.or_(_c.subject != "", _later.c.id < _c.id))
    .correlate(delivery)
    .scalar_subquery()
    .is_not(None)
    .label("is_superseded")
)

_NEWEST_IDS = (
    sa.select(_c.id)
    .where(_c.state == State.WAITING.value, _c.created_at > sa.bindparam("live_since"))
    .order_by(_c.created_at.desc(), _c.id.desc())
    .limit(NEWEST)
)
_CANDIDATE = sa.select(_c.id, _SUPERSEDED).where(_c.next_try_at <= sa.bindparam("now"))
_NAMED = _CANDIDATE.where(_WAITS, _HAS_TURN)
_LIVE = (
    _NAMED.add_columns(sa.and_(_c.kind == Kind.BEGIN.value, end_of(delivery).is_(None)).label("is_news"))
    # Named one by one, for no planner finds them among an outage's backlog by conditions as wide as these.
    .where(_c.id.in_(sa.bindparam("newest", expanding=True)))
    .order_by(_c.created_at, _c.id)
)
_BEGUN = _NAMED.where(_c.call_id.in_(sa.bindparam("begun", expanding=True))).order_by(_c.id)
_BACKLOG = _CANDIDATE.where(_IS_HEAD).order_by(_c.next_try_at, _c.id).limit(sa.bindparam("most", type_=sa.Integer))

# A row that another connector has locked is left to it, here and where the rows are chosen: to wait for one another
# would be to wait for ever, for each may have what the other wants. (SQLite, with one writer at a time, locks nothing.)
_ENDED = (
    sa.select(_other.c.id)
    .where(_other.c.state == State.SENDING.value, _other.c.leased_until <= sa.bindparam("now"))
    .with_for_update(skip_locked=True)
)
_head = delivery.alias("head")
_BEHIND = (
    sa.select(_c.id, _c.call_id, _c.kind, _SUPERSEDED)
    .join(_head, sa.and_(_head.c.call_id == _c.call_id, _c.id > _head.c.id))
    .where(_head.c.id.in_(sa.bindparam("heads", expanding=True)), _WAITS)
    .order_by(_c.id)
)
_END_LEASES = (
    sa.update(delivery)
    .where(_c.id.in_(_ENDED), _c.state == State.SENDING.value)
    .values(
        state=State.WAITING.value,
        next_try_at=sa.bindparam("now"),
        leased_until=None,
        in_doubt=True,
        reason=sa.case((_c.reason == "", _LOST), else_=_c.reason),
    )
)
_SUPERSEDE = (
    sa.update(delivery)
    .where(_c.id.in_(sa.bindparam("ids", expanding=True)))
    .values(state=State.SUPERSEDED.value, settled_at=sa.bindparam("now"), reason=_TOO_LATE)
)
_LEASE = (
    sa.update(delivery)
    .where(_c.id.in_(sa.bindparam("ids", expanding=True)), _WAITS)
    .values(
        state=State.SENDING.value,
        leased_by=sa.bindparam("owner"),
        leased_until=sa.bindparam("until"),
        attempt=_c.attempt + 1,
    )
    .returning(delivery)
)
_UNDO = (
    sa.update(delivery)
    .where(
        _c.state == State.SENDING.value,
        _c.leased_by == sa.bindparam("owner"),
        _c.leased_until == sa.bindparam("until"),
    )
    .values(state=State.WAITING.value, attempt=_c.attempt - 1, leased_until=None)
)
_FREE = (
    sa.select(_c.id)
    .where(
        _c.id.in_(sa.bindparam("ids", expanding=True)),
        # Seen a moment ago, and perhaps changed since by another connector.
        _WAITS,
        _c.next_try_at <= sa.bindparam("now"),
    )
    .with_for_update(skip_locked=True)
)


def undo(connection: sa.Connection, undone: Sequence[UndoneLease]) -> None:
    """What was leased by a transaction of which the outcome is not known was not sent: it waits again."""
    for each in undone:
        connection.execute(_UNDO, {"owner": each.owner, "until": each.until})


def lease(connection: sa.Connection, wanted: LeaseRequest, now: float) -> list[LeasedRow]:
    """What is to be sent now of at most ``limit`` calls: the oldest unsettled row of each, and what waits behind it.

    In this order: the news, which are the popups of the last ``LIVE`` seconds whose phones still ring; what the calls
    in ``begun`` have next, so that a call that is over does not ring in the CRM until the calls beside it are
    delivered; the rest of the last ``LIVE`` seconds; what is due longest.
    """
    lock(connection, LEASE_LOCK, shared=True)
    connection.execute(_END_LEASES, {"now": now})
    chosen = _chosen(connection, wanted, now)
    if not chosen:
        return []
    behind = _behind(connection, chosen, now) if wanted.with_rest else []
    until = now + wanted.seconds
    values = {"ids": [*chosen, *behind], "owner": wanted.owner, "until": until}
    leased = {row.id: row for row in connection.execute(_LEASE, values)}

    def made(row_id: int, *, is_news: bool = False, then: tuple[LeasedRow, ...] = ()) -> LeasedRow:
        row = leased[row_id]
        return LeasedRow(
            id=row_id,
            delivery=as_delivery(row),
            attempt=row.attempt,
            leased_by=wanted.owner,
            leased_until=until,
            created_at=row.created_at,
            accepted=row.accepted,
            in_doubt=row.in_doubt,
            is_news=is_news,
            then=then,
        )

    of_call: dict[str, list[LeasedRow]] = {}
    for row_id in behind:
        if row_id in leased:
            of_call.setdefault(leased[row_id].call_id, []).append(made(row_id))
    return [
        made(row_id, is_news=is_news, then=tuple(of_call.get(leased[row_id].call_id, ())))
        for row_id, is_news in chosen.items()
        if row_id in leased
    ]


def _behind(connection: sa.Connection, heads: Iterable[int], now: float) -> list[int]:
    """What waits of the calls of ``heads``, in order, as far as nothing that is put meanwhile can make it pointless."""
    behind: dict[str, list[int]] = {}
    superseded: list[int] = []
    ended: set[str] = set()
    for row in connection.execute(_BEHIND, {"heads": list(heads)}):
        if row.is_superseded:
            superseded.append(row.id)
        elif row.kind == Kind.ANSWER.value:
            ended.add(row.call_id)  # its END may come before its turn does
        elif row.call_id not in ended and len(behind.setdefault(row.call_id, [])) < MOST_BEHIND:
            behind[row.call_id].append(row.id)
    if superseded and (late := _free(connection, superseded, now)):
        connection.execute(_SUPERSEDE, {"ids": list(late), "now": now})
    ids = [row_id for of_call in behind.values() for row_id in of_call]
    free = _free(connection, ids, now)
    return [row_id for row_id in ids if row_id in free]


def _chosen(connection: sa.Connection, wanted: LeaseRequest, now: float) -> dict[int, bool]:
    """Ids in the order in which they are to be sent, with whether they are news."""
    chosen: dict[int, bool] = {}
    passed: set[int] = set()  # they stay what they are: chosen, or another connector has them at this moment
    set_aside = 0
    while True:
        tried: dict[int, bool] = {}
        superseded: list[int] = []
        most = wanted.limit + len(passed) + min(set_aside, CHUNK)
        for row, is_news in _candidates(connection, wanted, now, most):
            if len(chosen) + len(tried) >= wanted.limit:
                break
            if row.id in passed:
                continue
            if row.is_superseded:
                superseded.append(row.id)
            else:
                tried[row.id] = is_news
        if superseded:
            late = _free(connection, superseded, now)
            if late:
                connection.execute(_SUPERSEDE, {"ids": list(late), "now": now})
            passed |= set(superseded) - late
            set_aside += len(late)
            continue  # what was behind them may come before the others
        free = _free(connection, list(tried), now)
        chosen |= {row_id: is_news for row_id, is_news in tried.items() if row_id in free}
        passed |= tried.keys()
        if len(chosen) >= wanted.limit or len(free) == len(tried):
            return chosen


def _candidates(
    connection: sa.Connection, wanted: LeaseRequest, now: float, most: int
) -> list[tuple[sa.Row[Any], bool]]:
    """Heads that are due, the first to be sent first, with whether they are news: ``most``, if there are so many."""
    newest = list(connection.scalars(_NEWEST_IDS, {"live_since": now - LIVE}))
    live = list(connection.execute(_LIVE, {"now": now, "newest": newest})) if newest else []
    rows: dict[int, sa.Row[Any]] = {row.id: row for row in live if row.is_news}
    news = set(rows)
    if len(rows) < most and wanted.begun:
        for row in connection.execute(_BEGUN, {"now": now, "begun": wanted.begun}):
            rows.setdefault(row.id, row)
    for row in live:
        rows.setdefault(row.id, row)
    if len(rows) < most:
        for row in connection.execute(_BACKLOG, {"now": now, "most": most}):
            rows.setdefault(row.id, row)
    return [(row, row.id in news) for row in rows.values()]


def _free(connection: sa.Connection, ids: list[int], now: float) -> set[int]:
    """Those that wait, locked; what another connector has locked at this moment is not for us."""
    if connection.dialect.name != "postgresql" or not ids:
        return set(ids)
    return set(connection.scalars(_FREE, {"ids": ids, "now": now}))


def settle(connection: sa.Connection, settled: Sequence[tuple[LeasedRow, Settlement]], now: float) -> list[LeasedRow]:
    """Those whose lease had run out and that another sender has: they stay as they are."""
    if not settled:
        return []
    held = {
        row.id: (row.leased_by, row.attempt)
        for row in connection.execute(_HELD, {"ids": [row.id for row, _ in settled]})
    }
    lost = [row for row, _ in settled if held.get(row.id) != (row.leased_by, row.attempt)]
    gone = {id(row) for row in lost}
    by_statement: dict[sa.Update, list[dict[str, Any]]] = {}
    for row, settlement in settled:
        if id(row) not in gone:
            statement, values = _settlement(row, settlement, now)
            by_statement.setdefault(statement, []).append({"row_id": row.id, **values})
    for statement, rows in by_statement.items():
        connection.execute(statement, rows)
    return lost


_HELD = (
    sa.select(_c.id, _c.leased_by, _c.attempt)
    .where(_c.id.in_(sa.bindparam("ids", expanding=True)), _c.state == State.SENDING.value)
    .order_by(_c.id)  # two that settle the same rows lock them in the same order
    .with_for_update()
)


def _update(**values: Any) -> sa.Update:  # noqa: ANN401 - columns of all types
    return sa.update(delivery).where(_c.id == sa.bindparam("row_id")).values(**values)


_END = _update(
    state=sa.bindparam("new_state"),
    settled_at=sa.bindparam("now"),
    leased_until=None,
    reason=sa.bindparam("why"),
    is_probable=sa.bindparam("probable"),
    accepted=sa.bindparam("done"),
)
_AGAIN = _update(
    state=State.WAITING.value,
    next_try_at=sa.bindparam("try_at"),
    attempt=sa.bindparam("tries"),
    leased_until=None,
    in_doubt=False,
    reason=sa.bindparam("why"),
    accepted=sa.bindparam("done"),
)
_REST = _update(leased_until=sa.bindparam("until"), reason=sa.bindparam("why"), accepted=sa.bindparam("done"))
_GIVE_BACK = _update(state=State.WAITING.value, attempt=sa.bindparam("tries"), leased_until=None)


def _settlement(row: LeasedRow, settlement: Settlement, now: float) -> tuple[sa.Update, dict[str, Any]]:
    why = "" if isinstance(settlement, Released) else storable(settlement.reason)
    match settlement:
        case Delivered(is_probable=probable):
            state, done = State.DELIVERED.value, row.accepted
            return _END, {"new_state": state, "now": now, "why": why, "probable": probable, "done": done}
        case Parked(accepted=done):
            return _END, {"new_state": State.PARKED.value, "now": now, "why": why, "probable": False, "done": done}
        case Retry(at=at, accepted=done, attempt=tries):
            return _AGAIN, {"try_at": at, "tries": tries, "why": why, "done": done}
        case Unknown(until=until, accepted=done):
            return _REST, {"until": until, "why": why, "done": done}
        case Released():
            return _GIVE_BACK, {"tries": row.attempt - 1}
        case _:
            assert_never(settlement)


def past_begins(connection: sa.Connection) -> list[PastBegin]:
    """Each pair of extension and probability once, in the order of their latest rows."""
    rows = connection.execute(
        sa.select(_c.extension, _c.is_probable)
        .where(_c.state == State.DELIVERED.value, _c.kind == Kind.BEGIN.value)
        .group_by(_c.extension, _c.is_probable)
        .order_by(sa.func.max(_c.id))
    )
    return [PastBegin(extension=extension, is_probable=bool(probable)) for extension, probable in rows]


_FIRST_DUE = sa.select(_c.next_try_at).where(_IS_HEAD).order_by(_c.next_try_at, _c.id).limit(1)
_FIRST_LEASE_END = sa.select(sa.func.min(_c.leased_until)).where(_c.state == State.SENDING.value)


def next_wake(connection: sa.Connection, now: float) -> float | None:
    first, lease_ends = connection.scalar(_FIRST_DUE), connection.scalar(_FIRST_LEASE_END)
    times = [max(at, now) for at in (first, lease_ends) if at is not None]
    return min(times, default=None)


def mend_times(connection: sa.Connection, now: float, longest: float) -> None:
    """After the clock was set back: nothing waits longer than the ``longest`` pause or lease, in seconds, and what was
    put before is no newer than what is put now."""
    far = now + longest
    waits = _c.state == State.WAITING.value
    connection.execute(sa.update(delivery).where(waits, _c.next_try_at > far).values(next_try_at=now))
    connection.execute(sa.update(delivery).where(waits, _c.created_at > far).values(created_at=now))
    leased = sa.and_(_c.state == State.SENDING.value, _c.leased_until > far)
    connection.execute(sa.update(delivery).where(leased).values(leased_until=now))
