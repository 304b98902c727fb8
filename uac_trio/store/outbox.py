"""The outbox's work: put, settle, lease. Async methods; each body is one transaction in a worker thread.

States of a row:

    waiting --lease--> sending --settle--> delivered | parked | waiting (Retry) | sending (Unknown: a longer lease)
       |                  +--- its lease runs out ---> waiting, in doubt
       +-- what supersedes it is in the outbox --> superseded

A sender that dies, a host that dies and an outcome that is not known are the same thing here: a lease that runs out. So
there is nothing to clean up at start, and two processes on one database need not know of each other.
"""

from __future__ import annotations

import math
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import attrs
import sqlalchemy as sa
import trio

from uac_trio.cdr.missing import Known
from uac_trio.crm.delivery import Delivery
from uac_trio.crm.protocol import PastBegin
from uac_trio.event_log import LogChanges
from uac_trio.store import dead_letters, deliveries, leasing
from uac_trio.store.event_logs import EventLogRows
from uac_trio.store.forgetting import Forgotten, forget
from uac_trio.store.history import Wanted, history
from uac_trio.store.notifying import Notices
from uac_trio.store.opening import in_words, make_ready, open_engine
from uac_trio.store.recordings import NewRecording, RecordingRows
from uac_trio.store.rows import (
    Exchanged,
    LeasedRow,
    LeaseRequest,
    OpenParticipation,
    OutboxStatistics,
    ParkedRow,
    Settlement,
    StoredRow,
    UndoneLease,
)
from uac_trio.store.settings import OutboxError, OutboxSettings, shown

T = TypeVar("T")


@attrs.frozen(kw_only=True)
class Exchange:
    """What one transaction is to do, in this order."""

    put: Sequence[Delivery] = ()
    recordings: Sequence[NewRecording] = ()
    logs: Sequence[LogChanges] = ()
    settle: Sequence[tuple[LeasedRow, Settlement]] = ()
    undo: Sequence[UndoneLease] = ()
    lease: LeaseRequest | None = None


def _known_of(connection: sa.Connection, call_ids: Sequence[str]) -> list[Known]:
    return [*deliveries.known_of(connection, call_ids), *deliveries.awaited_of(connection, call_ids)]


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
        self._is_postgresql = engine.dialect.name == "postgresql"
        threads = settings.pool_size - 1 if self._is_postgresql else 1
        self._writers = trio.CapacityLimiter(max(1, threads))
        self._readers = trio.CapacityLimiter(1)
        self._mending = threading.Lock()
        self._failed = False
        self._waits: set[trio.CancelScope] = set()
        self._give_up_at = math.inf
        self.settings = settings
        self.recordings = RecordingRows(self._read, self._write)
        self.event_logs = EventLogRows(self._read, self._write, shared=self._is_postgresql)
        self.notices = Notices(engine, self._write) if self._is_postgresql else None
        """To other connectors; None: there are none."""

    @property
    def where(self) -> str:
        """The database's address without its password."""
        return shown(self._engine.url)

    @property
    def directory(self) -> Path:
        """Where files that go with the store have their place: the one of SQLite's file, else the working directory."""
        return Path() if self._is_postgresql else Path(str(self._engine.url.database)).parent

    # -- The daemon's side ------------------------------------------------------------------------------------------

    async def exchange(self, asked: Exchange, now: float) -> Exchanged:
        """Put, settle and lease in one transaction, so that what is put can be leased at once.

        A delivery whose key is there already, in whatever state, is dropped: that is what makes restarts, replayed
        snapshots and second connectors harmless. Awaited recordings hold their deliveries, which ``put`` lacks.
        """
        return await self._write(self._exchange, asked, now)

    async def put(self, new: Sequence[Delivery], now: float, recordings: Sequence[NewRecording] = ()) -> int:
        """How many of these were not known before."""
        return (await self.exchange(Exchange(put=new, recordings=recordings), now)).new

    async def lease(self, wanted: LeaseRequest, now: float) -> list[LeasedRow]:
        """Rows to be sent now; their order is that of ``leasing.lease``."""
        return list((await self.exchange(Exchange(lease=wanted), now)).leased)

    async def settle(self, row: LeasedRow, settlement: Settlement, now: float) -> bool:
        """What the sending of a leased row led to. False: the lease had run out and another sender has the row."""
        return not (await self.exchange(Exchange(settle=[(row, settlement)]), now)).lost

    async def next_wake(self, now: float) -> float | None:
        """When ``lease`` may find something (perhaps ``now``); None: not before the next ``put``."""
        return await self._read(leasing.next_wake, now)

    async def past_begins(self) -> list[PastBegin]:
        """What the CRM accepted of BEGINs that are kept."""
        return await self._read(leasing.past_begins)

    async def open_participations(self, pbx: str) -> list[OpenParticipation]:
        """What the CRM shows ringing or talking of the calls of ``pbx``.

        After a restart: those whose call is not in the PBX's snapshot have ended unobserved.
        """
        return await self._read(deliveries.open_participations, pbx)

    async def logged_ends(self, pbx: str) -> list[Delivery]:
        """The ENDs in those calls of ``pbx`` that have an event log."""
        return await self._read(deliveries.logged_ends, pbx)

    async def statistics(self) -> OutboxStatistics:
        return await self._read(deliveries.statistics)

    async def mend_times(self, now: float, longest: float) -> None:
        """Make due what waits longer than the ``longest`` pause or lease, in seconds: the clock was set back."""
        await self._write(leasing.mend_times, now, longest)

    async def purge(self, before: float) -> int:
        """Delete the rows of calls that were over and settled ``before`` then; how many.

        A call goes as a whole, and stays while a row of it waits, is parked, or lacks its END.
        """
        deleted = 0
        while some := await self._write(deliveries.purge, before):
            deleted += some
        return deleted

    # -- Back-fill ----------------------------------------------------------------------------------------------------

    async def known_of(self, call_ids: Sequence[str]) -> list[Known]:
        """The deliveries and awaited recordings of these calls."""
        return await self._read(_known_of, call_ids)

    async def last_put_at(self, pbx: str, before: float) -> float | None:
        """When something was last put of the calls of ``pbx``, ``before`` then; None: never, or long ago."""
        return await self._read(deliveries.last_put_at, pbx, before)

    async def back_fill(self, new: Sequence[Delivery], now: float, recordings: Sequence[NewRecording] = ()) -> int:
        """As ``put``, of calls that are long over: they are sent behind everything fresh."""
        return await self._write(self._back_fill, new, recordings, now)

    # -- The administrator's side -----------------------------------------------------------------------------------

    async def parked(self, limit: int = 1000) -> list[ParkedRow]:
        """Dead letters, oldest first."""
        return await self._read(dead_letters.parked, limit)

    async def history(self, wanted: Wanted) -> list[StoredRow]:
        """What is kept of some calls, whatever its state, in the order in which it was put."""
        return await self._read(history, wanted)

    async def retry(self, row_id: int, now: float) -> int:
        """Send a parked row again, and after it what followed in its call; how many rows; 0: no such parked row.

        The followers too, since vTiger keeps no order: a DialBegin sent alone would re-open a call that is over.
        """
        return await self._write(dead_letters.retry, row_id, now)

    async def drop(self, row_id: int, now: float) -> bool:
        """Give a parked row up for good. Its key stays, so that it does not come back. False: no such parked row."""
        return await self._write(dead_letters.drop, row_id, now)

    async def forget(self, number: str) -> Forgotten:
        """Remove what is kept of a customer: every row of every call with ``number``, delivered ones alone."""
        return await self._write(forget, number)

    # -- In worker threads ------------------------------------------------------------------------------------------

    def give_up_at(self, deadline: float) -> None:
        """Wait no longer than that (trio's clock) for anything: at a shutdown, for a server that hangs.

        Methods then raise OutboxError, and whether their work was done is not known, as after a kill.
        """
        self._give_up_at = deadline
        for wait in self._waits:
            wait.deadline = deadline

    async def _write(self, work: Callable[..., T], *arguments: Any) -> T:  # noqa: ANN401  typed by its callers
        return await self._in_thread(partial(self._transact, self._engine, work, arguments), self._writers)

    async def _read(self, work: Callable[..., T], *arguments: Any) -> T:  # noqa: ANN401
        return await self._in_thread(partial(self._transact, self._reading, work, arguments), self._readers)

    async def _in_thread(self, work: Callable[[], T], limiter: trio.CapacityLimiter) -> T:
        async with limiter:
            # A thread cannot be stopped: once begun it is waited for, or at the very end left behind.
            with trio.CancelScope(shield=True, deadline=self._give_up_at) as wait:
                self._waits.add(wait)
                try:
                    return await trio.to_thread.run_sync(work, abandon_on_cancel=True)
                finally:
                    self._waits.discard(wait)
        raise OutboxError(f"{self.where} gave no answer before this program had to end: does its host hang?")

    def _exchange(self, connection: sa.Connection, asked: Exchange, now: float) -> Exchanged:
        new = deliveries.put(connection, asked.put, now)
        if asked.recordings:
            self.recordings.put(connection, asked.recordings, now)
        self.event_logs.write(connection, asked.logs)
        lost = leasing.settle(connection, asked.settle, now)
        leasing.undo(connection, asked.undo)
        if asked.lease is None:
            return Exchanged(new=new, lost=tuple(lost))
        leased = leasing.lease(connection, asked.lease, now)
        wake = leasing.next_wake(connection, now) if len(leased) < asked.lease.limit else None
        return Exchanged(new=new, lost=tuple(lost), leased=tuple(leased), next_wake=wake)

    def _back_fill(
        self, connection: sa.Connection, new: Sequence[Delivery], recordings: Sequence[NewRecording], now: float
    ) -> int:
        count = deliveries.put(connection, new, now, created_at=now - leasing.LIVE - 1)
        if recordings:
            self.recordings.put(connection, recordings, now)
        return count

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
