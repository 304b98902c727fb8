"""The outbox's work: put, lease, settle. Async methods; each body is one transaction in a worker thread.

States of a row:

    waiting --lease--> sending --settle--> delivered | parked | waiting (Retry) | sending (Unknown: a longer lease)
       |                  +--- its lease runs out ---> waiting, or delivered if the step may not be repeated
       +-- its moot_after is in the outbox --> moot

A sender that dies, a host that dies and an outcome nobody knows are the same thing here: a lease that runs out. So
there is nothing to clean up at start, and two processes on one database need not know of each other.
"""

from __future__ import annotations

import math
import threading
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
import trio

from uac_trio.outbox import leasing, parking, requests
from uac_trio.outbox.forgetting import Forgotten, forget
from uac_trio.outbox.journal import JournalRows, Page
from uac_trio.outbox.opening import OutboxError, OutboxSettings, in_words, make_ready, open_engine, shown
from uac_trio.outbox.recordings import NewRecording, RecordingRows
from uac_trio.outbox.rows import OpenParticipation, OutboxRow, OutboxStatistics, Outcome, ParkedRow
from uac_trio.vtiger.request import CallbackRequest

T = TypeVar("T")


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
        self.journal = JournalRows(self._write, shared=self._is_postgresql)

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
        self,
        told: Sequence[CallbackRequest],
        now: float,
        recordings: Sequence[NewRecording] = (),
        pages: Sequence[Page] = (),
    ) -> int:
        """Store all of ``told``, in its order, ``recordings`` and ``pages`` in one transaction; how many requests were
        new.

        A request whose key is there already, in whatever state, is dropped: that is what makes restarts, replayed
        snapshots and second connectors harmless. Awaited recordings hold their requests, which ``told`` lacks.
        """
        return await self._write(self._put, told, now, recordings, pages) if told or recordings or pages else 0

    async def open_participations(self, pbx_prefix: str) -> list[OpenParticipation]:
        """What the CRM shows ringing or talking, of the calls whose id begins with ``pbx_prefix``.

        After a restart: those whose call is not in the PBX's snapshot have ended while nobody looked.
        """
        return await self._read(requests.open_participations, pbx_prefix)

    async def statistics(self) -> OutboxStatistics:
        return await self._read(requests.statistics)

    async def purge(self, before: float) -> int:
        """Delete the rows of calls that were over and settled ``before`` then; how many.

        A call goes as a whole, and stays while a row of it waits, is parked, or lacks its Hangup.
        """
        deleted = 0
        while some := await self._write(requests.purge, before):
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
        return await self._write(leasing.lease, now, limit, owner, lease_seconds, begun)

    async def begins_delivered(self) -> list[tuple[str, bool]]:
        """(extension, whether it was only probably delivered) of DialBegins that are kept: each pair once, in the order
        of their latest rows."""
        return await self._read(leasing.begins_delivered)

    async def settle(self, row: OutboxRow, outcome: Outcome, now: float) -> bool:
        """Record what became of a leased row. False: the lease had run out and somebody else has taken it."""
        return await self._write(leasing.settle, row, outcome, now)

    async def next_wake(self, now: float) -> float | None:
        """When ``lease`` may find something (perhaps ``now``); None: not before the next ``put``."""
        return await self._read(leasing.next_wake, now)

    # -- The administrator's side -----------------------------------------------------------------------------------

    async def parked(self, limit: int = 1000) -> list[ParkedRow]:
        """What the CRM refused, oldest first."""
        return await self._read(parking.parked, limit)

    async def retry(self, row_id: int, now: float) -> int:
        """Send a parked row again, and after it what followed in its call; how many rows; 0: no such parked row.

        The followers too, since vTiger keeps no order: a DialBegin sent alone would re-open a call that is over.
        """
        return await self._write(parking.retry, row_id, now)

    async def drop(self, row_id: int, now: float) -> bool:
        """Give a parked row up for good. Its key stays, so that it does not come back. False: no such parked row."""
        return await self._write(parking.drop, row_id, now)

    async def forget(self, number: str) -> Forgotten:
        """Remove what is kept of a customer: every row of every call with ``number`` that the CRM was told of."""
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

    def _put(
        self,
        connection: sa.Connection,
        told: Sequence[CallbackRequest],
        now: float,
        recordings: Sequence[NewRecording],
        pages: Sequence[Page],
    ) -> int:
        new = requests.put(connection, told, now)
        if recordings:
            self.recordings.put(connection, recordings, now)
        self.journal.write(connection, pages)
        return new

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
