"""Two connectors on one store: every delivery is had by one of them, in order, and none waits for the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import pytest
import sqlalchemy as sa
import trio

from tests.postgres import wanted
from tests.store.calls import LEASE, NOW, WHOLE, a_call, deliver, delivery, lease, what
from uac_trio.calls.outcome import Outcome
from uac_trio.crm.delivery import Delivery, Kind
from uac_trio.store import leasing
from uac_trio.store.outbox import Exchange, Outbox, open_outbox
from uac_trio.store.rows import Delivered, LeaseRequest, Retry
from uac_trio.store.settings import OutboxSettings
from uac_trio.store.tables import delivery as table

side_by_side = pytest.mark.skipif(not wanted(), reason="SQLite has one writer at a time")
on_postgresql = pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)


async def test_both_put_and_send_the_same_calls(store_url: str) -> None:
    """Both put everything and both lease at once: every delivery is had by exactly one, in order."""
    calls = [f"main-{n}" for n in range(8)]
    had: list[tuple[str, Kind]] = []
    flying: set[str] = set()

    async def connector(outbox: Outbox, owner: str) -> None:
        for call in calls:
            for each in a_call(call):
                await outbox.put([each], NOW)
                for row in await lease(outbox, limit=2, owner=owner):
                    call_id = row.delivery.call_id
                    assert call_id not in flying
                    flying.add(call_id)
                    had.append((call_id, row.delivery.kind))
                    await trio.lowlevel.checkpoint()
                    flying.discard(call_id)
                    assert await outbox.settle(row, Delivered(), NOW)

    async with open_outbox(OutboxSettings(url=store_url)) as one, open_outbox(OutboxSettings(url=store_url)) as two:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(connector, one, "one")
            nursery.start_soon(connector, two, "two")
        while rows := await lease(one):
            for row in rows:
                had.append((row.delivery.call_id, row.delivery.kind))
                await one.settle(row, Delivered(), NOW)
        statistics = await two.statistics()

    assert (statistics.waiting, statistics.sending) == (0, 0)
    assert statistics.delivered + statistics.superseded == len(calls) * len(WHOLE)
    assert len(had) == statistics.delivered
    for call in calls:
        kinds = [kind for call_id, kind in had if call_id == call]
        assert kinds == [kind for kind in WHOLE if kind in kinds]


async def test_a_backlog_that_is_leased_by_many_at_once(store_url: str) -> None:
    """Each takes a few, settles and takes more in one transaction: no row is had twice, none is lost, all end."""
    calls = [f"main-{n}" for n in range(30)]
    had: list[str] = []

    async def connector(outbox: Outbox, owner: str) -> None:
        wanted_now = LeaseRequest(owner=owner, limit=3, seconds=LEASE)
        exchange = Exchange(lease=wanted_now)
        while True:
            exchanged = await outbox.exchange(exchange, NOW)
            assert not exchanged.lost
            if not exchanged.leased and exchanged.next_wake is None:
                return
            had.extend(row.delivery.key for row in exchanged.leased)
            exchange = Exchange(settle=[(row, Delivered()) for row in exchanged.leased], lease=wanted_now)

    async with open_outbox(OutboxSettings(url=store_url)) as one, open_outbox(OutboxSettings(url=store_url)) as two:
        await one.put([each for call in calls for each in a_call(call)], NOW - 300)
        with trio.fail_after(60):
            async with trio.open_nursery() as nursery:
                for n in range(4):
                    nursery.start_soon(connector, (one, two)[n % 2], f"connector {n}")
        statistics = await one.statistics()

    assert sorted(had) == sorted({f"{call}/101/{kind}/1" for call in calls for kind in ("begin", "end")})
    assert (statistics.delivered, statistics.superseded, statistics.waiting) == (60, 30, 0)


# -- what only PostgreSQL lets happen ---------------------------------------------------------------------------------


@contextmanager
def held(store_url: str, keys: Sequence[str]) -> Iterator[None]:
    """Another connector is in the middle of a transaction with these rows."""
    engine = sa.create_engine(store_url)
    with engine.begin() as connection:
        found = connection.scalars(sa.select(table.c.key).where(table.c.key.in_(keys)).with_for_update())
        assert set(found) == set(keys)
        yield
    engine.dispose()


@side_by_side
@on_postgresql
@pytest.mark.parametrize("count", [0, 1, 3, 9, 10])
async def test_what_another_has_is_gone_past(store_url: str, count: int) -> None:
    """Rows that another is leasing at this moment are not waited for: the next ones are had, in their order."""
    keys = [delivery(Kind.END, f"main-{n}").key for n in range(10)]
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        for n in range(10):
            await outbox.put([delivery(Kind.END, f"main-{n}")], NOW - 300 + n)
        with held(store_url, keys[:count]), trio.fail_after(5):
            rows = await lease(outbox, limit=4)
            assert [row.delivery.key for row in rows] == keys[count : count + 4]
            assert await outbox.next_wake(NOW) == NOW
        left = [*(await lease(outbox, limit=3)), *(await lease(outbox))]
        taken = {row.delivery.key for row in rows}
        assert [row.delivery.key for row in left] == [key for key in keys if key not in taken]


@side_by_side
@on_postgresql
async def test_every_second_row_is_anothers(store_url: str) -> None:
    """What was passed over once does not hide what comes after it, superseded rows among them."""
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        for n in range(20):
            await outbox.put(a_call(f"main-{n}", WHOLE[1:]), NOW - 300 + n)
        with held(store_url, [delivery(Kind.ANSWER, f"main-{n}").key for n in range(0, 20, 2)]), trio.fail_after(5):
            rows = await lease(outbox, limit=8)
            assert [what(row) for row in rows] == [f"main-{n} end" for n in range(1, 17, 2)]
            rows = await lease(outbox, limit=8)
            assert [what(row) for row in rows] == ["main-17 end", "main-19 end"]
        assert (await outbox.statistics()).superseded == 10
        assert len(await lease(outbox, limit=20)) == 10


@side_by_side
@on_postgresql
async def test_leases_that_run_out_while_they_are_settled(store_url: str) -> None:
    """Two connectors whose hosts slept settle late and both lease: neither waits for the other."""
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        await outbox.put([delivery(Kind.END, "main-1"), delivery(Kind.END, "main-2")], NOW)
        await lease(outbox, owner="another", limit=1)
        (row,) = await lease(outbox)
        with held(store_url, [delivery(Kind.END, "main-1").key]), trio.fail_after(5):
            exchange = Exchange(
                settle=[(row, Retry(at=NOW, reason="500", attempt=1))],
                lease=LeaseRequest(owner="me", limit=5, seconds=LEASE),
            )
            exchanged = await outbox.exchange(exchange, NOW + 500)
            assert [what(each) for each in exchanged.leased] == ["main-2 end"]
        (row,) = await lease(outbox, NOW + 500)
        assert (what(row), row.in_doubt) == ("main-1 end", True)


def before(monkeypatch: pytest.MonkeyPatch, name: str, meanwhile: Callable[[], object]) -> None:
    """Let something happen once, when a lease is about to do ``name``."""
    really = getattr(leasing, name)
    done: list[bool] = []

    def first(*arguments: object) -> object:
        if not done:
            done.append(True)
            meanwhile()
        return really(*arguments)

    monkeypatch.setattr(leasing, name, first)


@side_by_side
@on_postgresql
async def test_a_delivery_that_comes_superseded_during_a_lease(store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connector that was frozen puts an ANSWER beside the END that was delivered long since, between two statements
    of another's lease: it is not sent, and later deliveries of the call are."""
    begin, answer, end = a_call()
    late = [answer, delivery(Kind.RECORDING)]
    async with open_outbox(OutboxSettings(url=store_url)) as one, open_outbox(OutboxSettings(url=store_url)) as frozen:
        await one.put([begin, end], NOW)
        assert await deliver(one) == ["main-1 begin", "main-1 end"]
        before(monkeypatch, "_candidates", lambda: trio.from_thread.run(frozen.put, late, NOW))
        assert await deliver(one) == ["main-1 recording"]
        statistics = await one.statistics()

    assert (statistics.waiting, statistics.sending, statistics.superseded) == (0, 0, 1)


@side_by_side
@on_postgresql
@pytest.mark.parametrize(
    ("late", "sent"),
    [
        ([delivery(Kind.END, outcome=Outcome.NO_ANSWER, ended_at=NOW + 5)], []),
        ([delivery(Kind.END, outcome=Outcome.COMPLETED, ended_at=NOW + 5)], ["main-1 end"]),
        ([delivery(Kind.END, outcome=Outcome.NO_ANSWER, ended_at=NOW + 50)], ["main-1 end"]),
        ([delivery(Kind.END, extension="102", outcome=Outcome.NO_ANSWER, ended_at=NOW + 5)], ["main-1 end"]),
        (a_call(kinds=[Kind.BEGIN, Kind.END], occurrence="0", ended_at=NOW + 5, outcome=Outcome.NO_ANSWER),
         ["main-1 begin", "main-1 end"]),
    ],
    ids=["not answered", "answered", "a later part", "another's", "its beginning is as late"],
)  # fmt: skip
async def test_the_end_of_an_earlier_part_that_comes_late(
    store_url: str, late: list[Delivery], sent: list[str]
) -> None:
    """A connector that was frozen puts that the first ring was not answered; the second was, as another one saw."""
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        await outbox.put([delivery(Kind.BEGIN), *a_call(occurrence="2", ended_at=NOW + 20)], NOW)
        await deliver(outbox)
        await outbox.put(late, NOW + 30)
        assert await deliver(outbox, NOW + 30) == sent


@side_by_side
@on_postgresql
@pytest.mark.parametrize(
    ("ended_at", "outcome", "expected"),
    [
        (NOW + 5, Outcome.NO_ANSWER, (Outcome.COMPLETED, NOW + 5, 2.0)),
        (NOW + 1, Outcome.NO_ANSWER, (Outcome.COMPLETED, NOW + 3, 0.0)),
        (NOW + 5, Outcome.TRANSFERRED, (Outcome.TRANSFERRED, NOW + 5, 0.0)),
    ],
    ids=["no answer", "its end inferred before the answer", "talked"],
)
@pytest.mark.parametrize("occurrence", ["1", "2"])
async def test_end_of_a_part_that_another_saw_answered(
    store_url: str, ended_at: float, outcome: Outcome, expected: tuple[Outcome, float, float], occurrence: str
) -> None:
    """A connector that was away for the answer infers an end without one: they talked. Of another part nothing is
    known."""
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        await outbox.put([delivery(Kind.BEGIN), delivery(Kind.ANSWER, at=NOW + 3)], NOW)
        await deliver(outbox)
        end = delivery(Kind.END, occurrence=occurrence, ended_at=ended_at, outcome=outcome, talk_secs=0.0)
        await outbox.put([end], NOW + 30)
        (row,) = await lease(outbox, now=NOW + 30)
        as_put = (outcome, ended_at, 0.0)
        found = row.delivery.outcome, row.delivery.ended_at, row.delivery.talk_secs
        assert found == (expected if occurrence == "1" else as_put)


@side_by_side
@on_postgresql
@pytest.mark.parametrize(
    "settlement",
    [Delivered(), Retry(at=NOW + 30, reason="500", attempt=1), None],
    ids=["delivered", "to be tried later", "in flight"],
)
async def test_a_row_that_another_had_meanwhile(
    store_url: str, monkeypatch: pytest.MonkeyPatch, settlement: Delivered | Retry | None
) -> None:
    """Between a look at the row and the grip on it another connector had it: it is what the other made of it."""

    async def another() -> None:
        (row,) = await lease(other, limit=1, owner="other")
        if settlement is not None:
            assert await other.settle(row, settlement, NOW)

    async with open_outbox(OutboxSettings(url=store_url)) as one, open_outbox(OutboxSettings(url=store_url)) as other:
        await one.put([delivery(Kind.END, "main-1"), delivery(Kind.END, "main-2")], NOW)
        before(monkeypatch, "_free", lambda: trio.from_thread.run(another))
        assert [what(row) for row in await lease(one, limit=1)] == ["main-2 end"]
        assert await lease(one) == []
