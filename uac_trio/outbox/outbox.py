"""The outbox's work: put, lease, settle. Async methods; each body is one transaction in a worker thread.

States of a row:

    waiting --lease--> sending --settle--> delivered | parked | waiting (Retry) | sending (Unknown: a longer lease)
       |                  +--- its lease runs out ---> waiting, or delivered if the step may not be repeated
       +-- its moot_after is in the outbox --> moot

A sender that dies, a host that dies and an outcome nobody knows are the same thing here: a lease that runs out. So
there is nothing to clean up at start, and two processes on one database need not know of each other.
"""

from __future__ import annotations

import json
import threading
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, assert_never

import sqlalchemy as sa
import trio
from sqlalchemy.dialects import postgresql, sqlite

from uac_trio.outbox.forgetting import Forgotten, forget
from uac_trio.outbox.opening import OutboxError, OutboxSettings, in_words, make_ready, open_engine, shown
from uac_trio.outbox.recordings import NewRecording, RecordingRows
from uac_trio.outbox.rows import (
    Delivered,
    OpenParticipation,
    OutboxRow,
    OutboxStatistics,
    Outcome,
    Parked,
    ParkedRow,
    Retry,
    Unknown,
)
from uac_trio.outbox.tables import UNSETTLED, State, request
from uac_trio.vtiger.reply import repeatable
from uac_trio.vtiger.request import CallbackRequest, Step

T = TypeVar("T")

LIVE = 60.0
"""Seconds for which a request goes before any backlog, so that a new call's popup does not wait for it."""

_BEGINS = (Step.DIAL_BEGIN.value, Step.START_APP.value)
_NEWEST = 200  # rows that may go before a backlog; more than these are one themselves
_CHUNK = 500  # rows a statement names one by one; SQLite's old limit is 999 parameters
_UNREPEATABLE = tuple(step.value for step in Step if not repeatable(step))

# PostgreSQL advisory locks; SQLite has one writer at a time anyway. Puts go one after another, so that ids are
# committed in their order and two connectors that put the same calls cannot deadlock. Leases go side by side, but not
# beside a change of what was settled already.
_PUT_LOCK = 0x0AC_0002
_LEASE_LOCK = 0x0AC_0003

_LOST = "its sender is gone or had no answer"


@asynccontextmanager
async def open_outbox(settings: OutboxSettings, *, create: bool = True) -> AsyncIterator[Outbox]:
    """Open or create the database, bring its schema up to date, and close it in the end.

    Without ``create`` a file that is not there is an error.

    Raises:
        OutboxError: it cannot be opened, is broken, is another program's or was written by a newer version.
    """
    engine = await trio.to_thread.run_sync(partial(open_engine, settings, create=create))
    try:
        yield Outbox(engine, settings)
    finally:
        with trio.CancelScope(shield=True, relative_deadline=10):
            await trio.to_thread.run_sync(engine.dispose)


class Outbox:
    """Made by ``open_outbox``. Every method may raise OutboxError; what it was to do is then not done at all.

    A cancelled method has either done all of its work or none.
    """

    def __init__(self, engine: sa.Engine, settings: OutboxSettings) -> None:
        self._engine = engine
        self._reading = engine.execution_options(reading=True)
        self._insert = sqlite.insert if engine.dialect.name == "sqlite" else postgresql.insert
        self._is_postgresql = engine.dialect.name == "postgresql"
        threads = settings.pool_size - 1 if self._is_postgresql else 1
        self._writers = trio.CapacityLimiter(max(1, threads))
        self._readers = trio.CapacityLimiter(1)
        self._mending = threading.Lock()
        self._failed = False
        self.settings = settings
        self.recordings = RecordingRows(self._read, self._write, self._insert, self._put)

    @property
    def where(self) -> str:
        """The database's address without its password."""
        return shown(self._engine.url)

    @property
    def directory(self) -> Path:
        """Where files that go with the store have their place: the one of SQLite's file, else the working directory."""
        return Path() if self._is_postgresql else Path(str(self._engine.url.database)).parent

    # -- The daemon's side ------------------------------------------------------------------------------------------

    async def put(
        self, requests: Sequence[CallbackRequest], now: float, recordings: Sequence[NewRecording] = ()
    ) -> int:
        """Store all of ``requests``, in their order, and ``recordings`` in one transaction; how many requests were new.

        A request whose key is there already, in whatever state, is dropped: that is what makes restarts, replayed
        snapshots and second connectors harmless. Awaited recordings hold their requests, which ``requests`` lack.
        """
        return await self._write(self._put, requests, now, recordings) if requests or recordings else 0

    async def open_participations(self, pbx_prefix: str) -> list[OpenParticipation]:
        """What the CRM shows ringing or talking, of the calls whose id begins with ``pbx_prefix``.

        After a restart: those whose call is not in the PBX's snapshot have ended while nobody looked.
        """
        return await self._read(self._open_participations, pbx_prefix)

    async def statistics(self) -> OutboxStatistics:
        return await self._read(self._statistics)

    async def purge(self, before: float) -> int:
        """Delete the rows of calls that were over and settled ``before`` then; how many.

        A call goes as a whole, and stays while a row of it waits, is parked, or lacks its Hangup.
        """
        deleted = 0
        while some := await self._write(self._purge, before):
            deleted += some
        return deleted

    # -- The sender's side ------------------------------------------------------------------------------------------

    async def lease(
        self, now: float, limit: int, owner: str, lease_seconds: float, begun: Collection[str] = ()
    ) -> list[OutboxRow]:
        """At most ``limit`` rows to be sent now, at most one of a call, each the oldest unsettled one of its call.

        None of a call that has a row in flight. In this order: the news, which are the popups of the last ``LIVE``
        seconds whose phones still ring; what the calls in ``begun`` have to say next, so that a call that is over does
        not ring in the CRM until the calls beside it have been told; the rest of the last ``LIVE`` seconds; what is
        due longest.
        """
        return await self._write(self._lease, now, limit, owner, lease_seconds, begun)

    async def settle(self, row: OutboxRow, outcome: Outcome, now: float) -> bool:
        """Record what became of a leased row. False: the lease had run out and somebody else has taken it."""
        return await self._write(self._settle, row, outcome, now)

    async def next_wake(self, now: float) -> float | None:
        """When ``lease`` may find something (perhaps ``now``); None: not before the next ``put``."""
        return await self._read(self._next_wake, now)

    # -- The administrator's side -----------------------------------------------------------------------------------

    async def parked(self, limit: int = 1000) -> list[ParkedRow]:
        """What the CRM refused, oldest first."""
        return await self._read(self._parked, limit)

    async def retry(self, row_id: int, now: float) -> int:
        """Send a parked row again, and after it what followed in its call; how many rows; 0: no such parked row.

        The followers too, since vTiger keeps no order: a DialBegin sent alone would re-open a call that is over.
        """
        return await self._write(self._retry, row_id, now)

    async def drop(self, row_id: int, now: float) -> bool:
        """Give a parked row up for good. Its key stays, so that it does not come back. False: no such parked row."""
        return await self._write(self._drop, row_id, now)

    async def forget(self, number: str) -> Forgotten:
        """Remove what is kept of a customer: every row of every call with ``number`` that the CRM was told of."""
        return await self._write(forget, number, _unended)

    # -- In worker threads ------------------------------------------------------------------------------------------

    async def _write(self, work: Callable[..., T], *arguments: Any) -> T:  # noqa: ANN401  typed by its callers
        return await trio.to_thread.run_sync(
            partial(self._transact, self._engine, work, arguments), limiter=self._writers
        )

    async def _read(self, work: Callable[..., T], *arguments: Any) -> T:  # noqa: ANN401
        return await trio.to_thread.run_sync(
            partial(self._transact, self._reading, work, arguments), limiter=self._readers
        )

    def _transact(self, engine: sa.Engine, work: Callable[..., T], arguments: tuple[Any, ...]) -> T:
        self._mend()
        try:
            with in_words(engine), engine.begin() as connection:
                return work(connection, *arguments)
        except OutboxError as error:
            self._failed = self._failed or error.__cause__ is not None  # else it is about the rows, not the database
            raise

    def _mend(self) -> None:
        """After a failure begin anew with what is there now: a file may have been moved away, replaced or restored,
        a server restarted, and open connections would stay with the old one."""
        with self._mending:
            if self._failed:
                self._engine.dispose()
                make_ready(self._engine, self.settings)
                self._failed = False

    def _lock(self, connection: sa.Connection, lock: int, *, shared: bool = False) -> None:
        if self._is_postgresql:
            function = sa.func.pg_advisory_xact_lock_shared if shared else sa.func.pg_advisory_xact_lock
            connection.execute(sa.select(function(lock)))

    def _put(
        self,
        connection: sa.Connection,
        requests: Sequence[CallbackRequest],
        now: float,
        recordings: Sequence[NewRecording] = (),
    ) -> int:
        self._lock(connection, _PUT_LOCK)
        if recordings:
            self.recordings.put(connection, recordings, now)
        if not requests:
            return 0
        last = connection.scalar(sa.select(sa.func.max(request.c.id))) or 0
        statement = self._insert(request).on_conflict_do_nothing(index_elements=[request.c.key])
        connection.execute(statement, [_as_row(each, now) for each in requests])
        # Counted so, since psycopg does not tell how many rows many executions touched.
        return connection.scalar(sa.select(sa.func.count()).where(request.c.id > last)) or 0

    def _lease(
        self,
        connection: sa.Connection,
        now: float,
        limit: int,
        owner: str,
        lease_seconds: float,
        begun: Collection[str],
    ) -> list[OutboxRow]:
        self._lock(connection, _LEASE_LOCK, shared=True)
        self._end_leases(connection, now)
        self._set_moot_aside(connection, now)
        due = _heads().where(request.c.next_try_at <= now)
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
        begins, ended = request.c.step.in_(_BEGINS), _hangup_of(request)
        chosen: dict[int, sa.Row[Any]] = {}
        for query in (
            live.where(begins, ended.is_(None)),
            due.where(request.c.call_id.in_(begun)).order_by(request.c.id),
            live,
            due.order_by(request.c.next_try_at, request.c.id),
        ):
            rows = self._locked_rows(connection, query.where(request.c.id.not_in(chosen)), limit - len(chosen))
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

    def _locked_rows(self, connection: sa.Connection, query: sa.Select[Any], limit: int) -> list[sa.Row[Any]]:
        """SKIP LOCKED: what another connector is leasing at this moment is not for us (SQLite has no such moment)."""
        if limit <= 0:
            return []
        return list(connection.execute(query.limit(limit).with_for_update(skip_locked=True, of=request)))

    def _end_leases(self, connection: sa.Connection, now: float) -> None:
        query = (
            sa.select(request.c.id, request.c.step)
            .where(request.c.state == State.SENDING, request.c.leased_until <= now)
            .order_by(request.c.id)
        )
        ended = self._locked_rows(connection, query, _CHUNK)
        reason = sa.case((request.c.reason == "", _LOST), else_=request.c.reason)
        if again := [row.id for row in ended if row.step not in _UNREPEATABLE]:
            connection.execute(
                sa.update(request)
                .where(request.c.id.in_(again))
                .values(state=State.WAITING, next_try_at=now, leased_until=None, reason=reason)
            )
        if given_up := [row.id for row in ended if row.step in _UNREPEATABLE]:
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

    def _set_moot_aside(self, connection: sa.Connection, now: float) -> None:
        later = request.alias("later")
        there = sa.select(later.c.id).where(later.c.key == request.c.moot_after).correlate(request).scalar_subquery()
        query = sa.select(request.c.id).where(
            request.c.state == State.WAITING,
            request.c.moot_after > "",  # SQLite does not search an index for IS NOT NULL
            there.is_not(None),  # row by row, as in _heads
        )
        full = True
        while full:
            moot = [row.id for row in self._locked_rows(connection, query, _CHUNK)]
            full = len(moot) == _CHUNK
            if moot:
                connection.execute(
                    sa.update(request)
                    .where(request.c.id.in_(moot))
                    .values(state=State.MOOT, settled_at=now, reason="too late: the call had moved on")
                )

    def _settle(self, connection: sa.Connection, row: OutboxRow, outcome: Outcome, now: float) -> bool:
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

    def _next_wake(self, connection: sa.Connection, now: float) -> float | None:
        first = connection.scalar(
            _heads().with_only_columns(request.c.next_try_at).order_by(request.c.next_try_at).limit(1)
        )
        lease_ends = connection.scalar(
            sa.select(sa.func.min(request.c.leased_until)).where(request.c.state == State.SENDING)
        )
        times = [max(at, now) for at in (first, lease_ends) if at is not None]
        return min(times, default=None)

    def _open_participations(self, connection: sa.Connection, prefix: str) -> list[OpenParticipation]:
        answer = request.alias("answer")
        answered_at = (
            sa.select(sa.func.max(answer.c.at))
            .where(_follows(answer, Step.DIAL_ANSWER, request))
            .correlate(request)
            .scalar_subquery()
        )
        rows = connection.execute(
            sa.select(request, answered_at.label("answered_at"))
            .where(_unended(request), sa.func.substr(request.c.call_id, 1, len(prefix)) == prefix)
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

    def _statistics(self, connection: sa.Connection) -> OutboxStatistics:
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

    def _purge(self, connection: sa.Connection, before: float) -> int:
        other, begin = request.alias("other"), request.alias("begin")
        kept = sa.or_(other.c.state.in_([*UNSETTLED, State.PARKED]), other.c.settled_at >= before)
        calls = (
            sa.select(request.c.call_id)
            .where(
                request.c.state.in_([State.DELIVERED, State.MOOT]),
                request.c.created_at < before,
                ~sa.exists().where(other.c.call_id == request.c.call_id, kept),
                ~sa.exists().where(begin.c.call_id == request.c.call_id, _unended(begin)),
            )
            .distinct()
            .limit(_CHUNK)
        )
        chosen = list(connection.scalars(calls))
        if not chosen:
            return 0
        return connection.execute(sa.delete(request).where(request.c.call_id.in_(chosen))).rowcount

    def _parked(self, connection: sa.Connection, limit: int) -> list[ParkedRow]:
        rows = connection.execute(
            sa.select(request).where(request.c.state == State.PARKED).order_by(request.c.id).limit(limit)
        )
        return [
            ParkedRow(
                id=row.id,
                call_id=row.call_id,
                extension=row.extension,
                step=Step(row.step),
                form=json.loads(row.form),
                at=row.at,
                parked_at=row.settled_at,
                attempt=row.attempt,
                reason=row.reason,
            )
            for row in rows
        ]

    def _retry(self, connection: sa.Connection, row_id: int, now: float) -> int:
        self._lock(connection, _LEASE_LOCK)
        call_id = connection.scalar(
            sa.select(request.c.call_id).where(request.c.id == row_id, request.c.state == State.PARKED)
        )
        if call_id is None:
            return 0
        of_call = request.c.call_id == call_id
        if connection.scalar(sa.select(sa.exists().where(of_call, request.c.state == State.SENDING))):
            raise OutboxError(f"call {call_id} is being sent at this moment; try again in a minute or two")
        follows = sa.and_(
            request.c.id > row_id, request.c.state == State.DELIVERED, request.c.step.not_in(_UNREPEATABLE)
        )
        return connection.execute(
            sa.update(request)
            .where(of_call, sa.or_(request.c.id == row_id, follows))
            .values(state=State.WAITING, attempt=0, next_try_at=now, settled_at=None)
        ).rowcount

    def _drop(self, connection: sa.Connection, row_id: int, now: float) -> bool:
        dropped = connection.execute(
            sa.update(request)
            .where(request.c.id == row_id, request.c.state == State.PARKED)
            .values(state=State.MOOT, settled_at=now, reason="dropped by hand: " + request.c.reason)
        )
        return dropped.rowcount == 1


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


def _follows(later: sa.FromClause, step: Step, begin: sa.FromClause) -> sa.ColumnElement[bool]:
    """``later`` is a ``step`` for what ``begin`` began: the same extension's, or anybody's after stock's StartApp."""
    return sa.and_(
        later.c.call_id == begin.c.call_id,
        later.c.id > begin.c.id,
        later.c.step == step.value,
        sa.or_(later.c.extension == begin.c.extension, begin.c.step == Step.START_APP.value),
    )


def _hangup_of(begin: sa.FromClause) -> sa.ScalarSelect[Any]:
    """The Hangup that is there for what ``begin`` began; row by row, as in _heads."""
    hangup = request.alias("hangup")
    return (
        sa.select(hangup.c.id).where(_follows(hangup, Step.HANGUP, begin)).limit(1).correlate(begin).scalar_subquery()
    )


def _unended(begin: sa.FromClause) -> sa.ColumnElement[bool]:
    hangup = request.alias("hangup")
    return sa.and_(
        begin.c.step.in_(_BEGINS),
        begin.c.state != State.MOOT,
        ~sa.exists().where(_follows(hangup, Step.HANGUP, begin)),
    )
