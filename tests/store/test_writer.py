"""The task that writes: one transaction for all that there is, and nothing lost or doubled whatever the store does."""

from __future__ import annotations

import sqlite3
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest
import sqlalchemy as sa
import trio
import trio.testing

from tests.store.calls import LEASE, NOW, a_call, delivery, lease, log_of, recording_of, what
from uac_trio.crm.delivery import Delivery, Kind
from uac_trio.event_log import LogChanges
from uac_trio.store import deliveries
from uac_trio.store import writer as written
from uac_trio.store.outbox import Outbox, open_outbox
from uac_trio.store.rows import Delivered, Exchanged, LeasedRow, LeaseRequest, Parked
from uac_trio.store.settings import OutboxError, OutboxSettings
from uac_trio.store.writer import Puts, StoreWriter

BEGIN_END = [Kind.BEGIN, Kind.END]


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(written, "PAUSE", 0.02)
    monkeypatch.setattr(written, "SLOW", 0.2)


@attrs.define(eq=False)
class Office:
    """All that a writer works for: what is new comes from here, what is leased goes here."""

    limit: int = 0
    """Rows that the lessee wants; 0: it asks for none."""
    new: deque[Puts] = attrs.field(factory=deque)
    taken: list[float] = attrs.field(factory=list)
    """When it was asked for what is new."""
    stored_: list[tuple[Puts, int]] = attrs.field(factory=list)
    leased: list[LeasedRow] = attrs.field(factory=list)
    exchanges: list[Exchanged] = attrs.field(factory=list)
    requests: int = 0
    troubles: list[str] = attrs.field(factory=list)
    works_: int = 0
    _changed: trio.Event = attrs.field(factory=trio.Event)

    def take(self) -> Puts | None:
        self.taken.append(trio.current_time())
        return self.new.popleft() if self.new else None

    def stored(self, puts: Puts, new: int) -> None:
        self.stored_.append((puts, new))
        self._change()

    def lease_request(self) -> LeaseRequest | None:
        self.requests += 1
        return LeaseRequest(owner="office", limit=self.limit, seconds=LEASE) if self.limit else None

    def exchanged(self, exchanged: Exchanged) -> None:
        self.exchanges.append(exchanged)
        self.leased += exchanged.leased
        self._change()

    def fails(self, why: OutboxError) -> None:
        self.troubles.append(str(why))
        self._change()

    def works(self) -> None:
        self.works_ += 1
        self._change()

    def _change(self) -> None:
        self._changed.set()
        self._changed = trio.Event()

    async def until(self, condition: Callable[[], object]) -> None:
        with trio.fail_after(10):
            while not condition():
                await self._changed.wait()


@attrs.define(eq=False)
class Bench:
    outbox: Outbox
    writer: StoreWriter
    office: Office
    path: Path
    transactions: list[str]
    """Those of the writer."""
    cancel: Callable[[], None] = lambda: None
    ended: trio.Event = attrs.field(factory=trio.Event)

    def put(self, *new: Delivery) -> None:
        self.office.new.append(Puts(deliveries=new))
        self.writer.wake_nowait()

    async def until_ended(self) -> None:
        with trio.fail_after(10):
            await self.ended.wait()


@asynccontextmanager
async def writing(directory: Path) -> AsyncIterator[Bench]:
    """A writer that runs between an office and a real file."""
    path = directory / "c.db"
    async with open_outbox(OutboxSettings(url=f"sqlite:///{path}", busy_timeout=0.02)) as outbox:
        office = Office()
        writer = StoreWriter(outbox=outbox, now=lambda: NOW, health=office, source=office, lessee=office)
        bench = Bench(outbox, writer, office, path, [])
        sa.event.listen(outbox._engine, "commit", lambda _: bench.transactions.append("commit"))
        async with trio.open_nursery() as nursery:
            with_scope = trio.CancelScope()
            bench.cancel = with_scope.cancel

            async def run() -> None:
                with with_scope:
                    await writer.run()
                bench.ended.set()

            nursery.start_soon(run)
            yield bench
            with_scope.cancel()


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Another program has the file for itself."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        yield
        connection.execute("ROLLBACK")


@pytest.fixture
def hangs(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hang]:
    hang = Hang(deliveries.put)
    monkeypatch.setattr(deliveries, "put", hang)
    yield hang
    hang.answers.set()


class Hang:
    """A store that takes a transaction and does not answer until ``answers`` is set."""

    def __init__(self, really: Callable[..., int]) -> None:
        self.really = really
        self.asked, self.answers = threading.Event(), threading.Event()

    def __call__(self, *arguments: Any) -> int:
        self.asked.set()
        assert self.answers.wait(20)
        return self.really(*arguments)

    async def until_asked(self) -> None:
        with trio.fail_after(10):
            await trio.to_thread.run_sync(self.asked.wait, 10)


async def test_all_goes_into_one_transaction(tmp_path: Path) -> None:
    """What is new, what was answered, and what is sent next, which may be what is new or what the answer let go on."""
    async with writing(tmp_path) as here:
        here.office.limit = 5
        here.put(*a_call("main-1", BEGIN_END))
        await here.office.until(lambda: here.office.leased)
        assert [what(row) for row in here.office.leased] == ["main-1 begin"]
        assert len(here.transactions) == 1
        here.writer.settle_nowait(here.office.leased[0], Delivered())
        logs = [LogChanges(run="one", added=[log_of("main-1", 1)])]
        new = Puts(
            deliveries=a_call("main-2", BEGIN_END), recordings=[recording_of("main-1", is_awaited=True)], logs=logs
        )
        here.office.new.append(new)
        await here.office.until(lambda: len(here.office.leased) == 3)
        assert {what(row) for row in here.office.leased[1:]} == {"main-1 end", "main-2 begin"}
        assert len(here.transactions) == 2
        assert here.office.stored_[1] == (new, 2)
        assert (here.office.works_, here.office.troubles) == (2, [])
        assert len(await here.outbox.recordings.awaited("main")) == 1
        assert len(await here.outbox.event_logs.of_pbx("main", 0.0)) == 1


async def test_nothing_to_do_is_no_transaction(tmp_path: Path) -> None:
    """Being woken for nothing does not touch the store."""
    async with writing(tmp_path) as here:
        for _ in range(3):
            here.writer.wake_nowait()
            await trio.testing.wait_all_tasks_blocked()
        assert (len(here.office.taken), here.transactions) == (3, [])
        assert here.office.exchanges == []


async def test_without_source_and_lessee(tmp_path: Path) -> None:
    """Settlements alone are written too."""
    async with writing(tmp_path) as here:
        await here.outbox.put([delivery(Kind.END)], NOW)
        (row,) = await lease(here.outbox)
        here.writer.source = here.writer.lessee = None
        here.writer.settle_nowait(row, Parked(reason="no"))
        await here.office.until(lambda: here.office.works_)
        assert (await here.outbox.statistics()).parked == 1


async def test_what_came_too_late_is_reported(tmp_path: Path) -> None:
    """The lessee gets the rows that another sender has meanwhile, beside those that are settled."""
    async with writing(tmp_path) as here:
        await here.outbox.put([delivery(Kind.END, "main-1"), delivery(Kind.END, "main-2")], NOW)
        rows = [*(await lease(here.outbox, limit=1)), *(await lease(here.outbox, NOW + 60))]
        assert len(await lease(here.outbox, NOW + 80, owner="another")) == 1
        for row in rows:
            here.writer.settle_nowait(row, Delivered())
        await here.office.until(lambda: here.office.exchanges)
        (exchanged,) = here.office.exchanges
        assert exchanged.lost == (rows[0],)
        assert (await here.outbox.statistics()).delivered == 1


async def test_a_store_that_fails(tmp_path: Path) -> None:
    """What it did not take is kept and tried again, with what was answered meanwhile; nothing is lost or doubled."""
    async with writing(tmp_path) as here:
        await here.outbox.put([delivery(Kind.END, "main-0"), delivery(Kind.END, "main-00")], NOW)
        rows = await lease(here.outbox)
        here.office.limit = 9
        with locked(here.path):
            here.put(*a_call("main-1", BEGIN_END))
            here.writer.settle_nowait(rows[0], Delivered())
            await here.office.until(lambda: len(here.office.troubles) >= 2)
            assert "another program keeps the file locked" in here.office.troubles[0]
            here.writer.settle_nowait(rows[1], Parked(reason="no"))
            here.put(*a_call("main-2", BEGIN_END))
            await here.office.until(lambda: len(here.office.troubles) >= 4)
            assert (here.office.stored_, here.office.exchanges, len(here.office.taken)) == ([], [], 1)
            assert here.office.requests >= 4  # it may want less by now
        await here.office.until(lambda: len(here.office.stored_) == 2)
        assert [new for _, new in here.office.stored_] == [2, 2]
        assert [what(row) for row in here.office.leased] == ["main-1 begin", "main-2 begin"]
        assert len(here.office.exchanges) == 2
        statistics = await here.outbox.statistics()
    assert (statistics.delivered, statistics.parked, statistics.sending, statistics.waiting) == (1, 1, 2, 2)


async def test_a_commit_whose_answer_was_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was done, and is done again: no delivery is there twice, no settlement counts twice."""
    async with writing(tmp_path) as here:
        await here.outbox.put([delivery(Kind.END, "main-0")], NOW)
        (row,) = await lease(here.outbox)
        really = here.outbox.exchange

        async def loses_the_answer(*arguments: Any) -> Exchanged:
            monkeypatch.undo()
            await really(*arguments)
            raise OutboxError("the connection is gone")

        monkeypatch.setattr(here.outbox, "exchange", loses_the_answer)
        here.put(*a_call("main-1", BEGIN_END))
        here.writer.settle_nowait(row, Delivered())
        await here.office.until(lambda: here.office.stored_)
        assert here.office.troubles == ["the connection is gone"]
        assert [(new, exchanged.lost) for (_, new), exchanged in zip(
            here.office.stored_, here.office.exchanges, strict=True
        )] == [(0, (row,))]  # fmt: skip
        statistics = await here.outbox.statistics()
    assert (statistics.delivered, statistics.sending, statistics.waiting) == (1, 0, 2)


async def test_a_store_that_hangs(tmp_path: Path, hangs: Hang) -> None:
    """It raises nothing, so it is reported, again and again, and waited for; what comes meanwhile waits as well."""
    async with writing(tmp_path) as here:
        here.put(*a_call("main-1"))
        await here.office.until(lambda: len(here.office.troubles) >= 2)
        assert f"{here.outbox.where} has given no answer for 0.2 s" in here.office.troubles[0]
        here.put(*a_call("main-2"))
        assert here.office.works_ == 0
        hangs.answers.set()
        await here.office.until(lambda: len(here.office.stored_) == 2)
        troubles = len(here.office.troubles)
        await trio.sleep(0.3)  # longer than what is taken for a hang: an idle store is none
        assert len(here.office.troubles) == troubles
        assert [new for _, new in here.office.stored_] == [3, 3]


async def test_the_end(tmp_path: Path) -> None:
    """All that was handed over before is written, however many transactions that takes; nothing is leased for it."""
    async with writing(tmp_path) as here:
        await here.outbox.put([delivery(Kind.END, "main-0")], NOW)
        (row,) = await lease(here.outbox)
        here.office.limit = 5
        here.office.new.extend(Puts(deliveries=a_call(f"main-{n}")) for n in range(1, 4))
        here.writer.settle_nowait(row, Delivered())
        here.writer.end_nowait()
        await here.until_ended()
        assert (here.office.leased, here.office.requests) == ([], 0)
        statistics = await here.outbox.statistics()
    assert (statistics.delivered, statistics.waiting) == (1, 9)


@pytest.mark.parametrize("is_asleep", [False, True])
async def test_the_end_of_an_idle_writer(tmp_path: Path, is_asleep: bool) -> None:
    """It ends at once."""
    async with writing(tmp_path) as here:
        if is_asleep:
            here.writer.wake_nowait(3600)
            await trio.testing.wait_all_tasks_blocked()
        here.writer.end_nowait()
        await here.until_ended()
        assert here.transactions == []


async def test_the_end_while_the_store_fails(tmp_path: Path) -> None:
    """It goes on until the store takes what there is."""
    async with writing(tmp_path) as here:
        with locked(here.path):
            here.put(*a_call("main-1"))
            await here.office.until(lambda: here.office.troubles)
            here.put(*a_call("main-2"))
            here.writer.end_nowait()
            tries = len(here.office.troubles)
            await here.office.until(lambda: len(here.office.troubles) > tries)
            assert not here.ended.is_set()
        await here.until_ended()
        assert (await here.outbox.statistics()).waiting == 6


async def test_the_end_in_mid_transaction(tmp_path: Path, hangs: Hang) -> None:
    """What was answered while the last transaction was under way is written before the end."""
    async with writing(tmp_path) as here:
        here.put(*a_call("main-1"))
        await hangs.until_asked()
        hangs.asked.clear()
        here.office.new.append(Puts(deliveries=a_call("main-2")))
        here.writer.end_nowait()
        hangs.answers.set()
        await here.until_ended()
        assert (await here.outbox.statistics()).waiting == 6


async def test_cancellation_in_mid_transaction(tmp_path: Path, hangs: Hang) -> None:
    """The transaction that is under way is finished, all of it or nothing, before the task ends."""
    async with writing(tmp_path) as here:
        here.put(*a_call("main-1"))
        await hangs.until_asked()
        here.cancel()
        await trio.testing.wait_all_tasks_blocked()
        assert not here.ended.is_set()
        hangs.answers.set()
        await here.until_ended()
        assert (await here.outbox.statistics()).waiting == 3


async def test_cancellation_while_it_waits(tmp_path: Path) -> None:
    """Asleep, or between two tries, it ends at once; what no try could store is not in the outbox."""
    async with writing(tmp_path) as here:
        with locked(here.path):
            here.put(*a_call("main-1"))
            await here.office.until(lambda: here.office.troubles)
            here.cancel()
            await here.until_ended()
        assert (await here.outbox.statistics()).waiting == 0


async def test_when_it_wakes(autojump_clock: trio.testing.MockClock) -> None:
    """The writer wakes at the earliest time asked for; a later one does not put that off. There is no store, so that no
    thread hinders the clock."""
    office = Office()
    nothing: Any = None
    writer = StoreWriter(outbox=nothing, now=lambda: NOW, health=office, source=office)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(writer.run)
        began = trio.current_time()
        writer.wake_nowait(10)
        writer.wake_nowait(5)
        writer.wake_nowait(7)
        await trio.sleep(100)
        assert [at - began for at in office.taken] == [5]
        writer.wake_nowait(3)
        await trio.sleep(1)
        writer.wake_nowait(60)
        writer.wake_nowait()
        await trio.sleep(100)
        assert [at - began for at in office.taken] == [5, 101]
        writer.wake_nowait(3)
        await trio.sleep(1)
        writer.end_nowait()
    assert [at - began for at in office.taken][-1] == 202


async def test_answers_that_come_together(tmp_path: Path) -> None:
    """Those that are handed over with a little patience share a transaction; one without takes them along."""
    async with writing(tmp_path) as here:
        await here.outbox.put([delivery(Kind.END, f"main-{n}") for n in range(5)], NOW)
        rows = await lease(here.outbox)
        before = len(here.transactions)
        for row in rows[:4]:
            here.writer.settle_nowait(row, Delivered(), 3600)
            await trio.testing.wait_all_tasks_blocked()
        assert len(here.transactions) == before
        here.writer.settle_nowait(rows[4], Delivered())
        await here.office.until(lambda: here.office.exchanges)
        assert len(here.transactions) == before + 1
        assert (await here.outbox.statistics()).delivered == 5
