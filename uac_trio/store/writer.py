"""The one task of a connector that writes deliveries: what is new, what was answered and what is sent next go into one
transaction after another, so that their number depends on time and not on how much there is to do."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Protocol

import attrs
import trio

from uac_trio.crm.delivery import Delivery
from uac_trio.event_log import LogChanges
from uac_trio.store.outbox import Exchange, Outbox
from uac_trio.store.recordings import NewRecording
from uac_trio.store.rows import Exchanged, LeasedRow, LeaseRequest, Settlement, UndoneLease
from uac_trio.store.settings import OutboxError

PAUSE = 1.0
"""Seconds after which a store that failed is tried again."""
SLOW = 5.0
"""Seconds without an answer after which the store is reported to hang; it is waited for all the same."""
GATHER = 0.004
"""Seconds that answered deliveries wait for others while the sender has rows in hand."""


@attrs.frozen(kw_only=True)
class Puts:
    """What is new."""

    deliveries: Sequence[Delivery] = ()
    recordings: Sequence[NewRecording] = ()
    logs: Sequence[LogChanges] = ()


class Source(Protocol):
    """Where what is new comes from. Nothing in here waits or raises."""

    def take(self) -> Puts | None:
        """What to put next; it is kept by the writer until it is stored."""

    def stored(self, puts: Puts, new: int) -> None:
        """It is in the outbox; ``new``: how many deliveries were not known before."""


class Lessee(Protocol):
    """Who sends. Nothing in here waits or raises."""

    def lease_request(self) -> LeaseRequest | None:
        """What it would take now; None: nothing."""

    def exchanged(self, exchanged: Exchanged) -> None:
        """What a transaction led to."""


class Health(Protocol):
    """Where it is noted whether the store works."""

    def fails(self, why: OutboxError) -> None: ...

    def works(self) -> None: ...


@attrs.define(eq=False, kw_only=True)
class StoreWriter:
    """Every hand-over returns at once. What is not written yet is in memory, and lost with this process."""

    outbox: Outbox
    now: Callable[[], float]
    """Seconds since the epoch."""
    health: Health
    source: Source | None = None
    lessee: Lessee | None = None
    _settled: list[tuple[LeasedRow, Settlement]] = attrs.field(factory=list, init=False)
    _due_at: float = attrs.field(default=math.inf, init=False)
    """By trio's clock: when the next transaction begins."""
    _asked_at: float = attrs.field(default=math.inf, init=False)
    """Since when an answer of the store is awaited; infinite: none is."""
    _woken: trio.Event = attrs.field(factory=trio.Event, init=False)
    _idle: trio.Event = attrs.field(factory=trio.Event, init=False)
    _ends: bool = attrs.field(default=False, init=False)

    @property
    def hangs_for(self) -> float:
        """Seconds since which an answer of the store is awaited; 0: none is."""
        return max(0.0, trio.current_time() - self._asked_at)

    def wake_nowait(self, within: float = 0.0) -> None:
        """Begin a transaction ``within`` so many seconds."""
        due_at = trio.current_time() + within
        if due_at < self._due_at:
            self._due_at = due_at
            self._woken.set()

    def settle_nowait(self, row: LeasedRow, settlement: Settlement, within: float = 0.0) -> None:
        """Take what the sending of a leased row led to."""
        self._settled.append((row, settlement))
        self.wake_nowait(within)

    def end_nowait(self) -> None:
        """Nothing more will come: ``run`` ends when all is written."""
        self._ends = True
        self.wake_nowait()

    async def run(self) -> None:
        """Write until ``end_nowait``. A store that fails is tried again, with what it did not take."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._report_hang)
            while True:
                await self._until_due()
                is_last = self._ends
                puts = self.source.take() if self.source is not None else None
                settled, self._settled = self._settled, []
                is_idle = await self._exchange(puts, settled)
                if is_last and is_idle and not self._settled:
                    break
            nursery.cancel_scope.cancel()

    async def _until_due(self) -> None:
        while not self._ends and (pause := self._due_at - trio.current_time()) > 0:
            self._woken = trio.Event()
            with trio.move_on_after(pause):
                await self._woken.wait()
        self._due_at = math.inf

    async def _exchange(self, puts: Puts | None, settled: list[tuple[LeasedRow, Settlement]]) -> bool:
        """One transaction, repeated until the store takes it. True: there was nothing to put or to settle."""
        undone: list[UndoneLease] = []
        while True:
            wanted = self.lessee.lease_request() if self.lessee is not None and not self._ends else None
            if puts is None and not settled and not undone and wanted is None:
                return True
            new, now = puts or Puts(), self.now()
            asked = Exchange(
                put=new.deliveries, recordings=new.recordings, logs=new.logs, settle=settled, undo=undone, lease=wanted
            )
            try:
                self._asked_at = trio.current_time()
                exchanged = await self.outbox.exchange(asked, now)
            except OutboxError as why:
                self.health.fails(why)
                if wanted is not None:
                    undone.append(UndoneLease(wanted.owner, now + wanted.seconds))
            else:
                break
            finally:
                self._asked_at = math.inf
            await trio.sleep(PAUSE)
            settled += self._settled  # whatever was answered meanwhile
            self._settled = []
        self.health.works()
        if puts is not None and self.source is not None:
            self.source.stored(puts, exchanged.new)
        if self.lessee is not None:
            self.lessee.exchanged(exchanged)
        return puts is None and not settled

    async def _report_hang(self) -> None:
        """A hung store raises nothing."""
        while True:
            await trio.sleep(PAUSE)
            if trio.current_time() - self._asked_at > SLOW:
                where = self.outbox.where
                self.health.fails(
                    OutboxError(f"{where} has given no answer for {SLOW:g} s: does its host or its disk hang?")
                )
