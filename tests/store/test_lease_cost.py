"""What a lease costs: as much after an outage of a day as on any other day. Counted, not timed."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs
import pytest
import sqlalchemy as sa

from tests.store.calls import LEASE, NOW, WHOLE, a_call, deliver, delivery, lease
from uac_trio.crm.delivery import Delivery, Kind
from uac_trio.store import leasing
from uac_trio.store.outbox import Exchange, Outbox, open_outbox
from uac_trio.store.rows import Delivered, LeaseRequest, Retry
from uac_trio.store.settings import OutboxSettings
from uac_trio.store.tables import delivery as table
from uac_trio.store.tables import metadata

FEW, MANY = 100, 2000


@attrs.define
class Cost:
    steps: int = 0
    """Of SQLite's virtual machine, some dozens a row that is looked at."""
    statements: int = 0


@contextmanager
def counted(outbox: Outbox) -> Iterator[Cost]:
    """What the outbox does meanwhile."""
    cost = Cost()

    def step() -> None:
        cost.steps += 1

    def begin(connection: sa.Connection) -> None:
        raw = connection.connection.driver_connection
        assert isinstance(raw, sqlite3.Connection)
        raw.set_progress_handler(step, 1)

    def statement(*_: object) -> None:
        cost.statements += 1

    sa.event.listen(outbox._engine, "begin", begin)
    sa.event.listen(outbox._engine, "before_cursor_execute", statement)
    yield cost
    sa.event.remove(outbox._engine, "begin", begin)
    sa.event.remove(outbox._engine, "before_cursor_execute", statement)


def waits(calls: int, age: float) -> list[Delivery]:
    return [each for n in range(calls) for each in a_call(f"main-{n}", WHOLE, at=NOW - age)]


async def cost_of(directory: Path, calls: int, *, age: float, history: int = 0) -> Cost:
    """Of settling four deliveries and leasing four others, with so many calls that wait."""
    async with open_outbox(OutboxSettings(url=f"sqlite:///{directory}/{calls}-{history}.db")) as outbox:
        await outbox.put([delivery(Kind.END, f"old-{n}") for n in range(history)], NOW - 9999)
        await deliver(outbox, NOW - 9999)
        await outbox.put(waits(calls, age), NOW - age)
        rows = await lease(outbox, limit=4)
        begun = tuple(row.delivery.call_id for row in rows)
        with counted(outbox) as cost:
            exchanged = await outbox.exchange(
                Exchange(
                    settle=[(row, Delivered()) for row in rows],
                    lease=LeaseRequest(owner="me", limit=4, seconds=LEASE, begun=begun),
                ),
                NOW,
            )
        assert len(exchanged.leased) == 4
    return cost


@pytest.mark.parametrize("age", [0, 600], ids=["of the last minute", "of an outage"])
async def test_backlog(tmp_path: Path, age: float) -> None:
    """A backlog twenty times as long costs nothing more."""
    few, many = [await cost_of(tmp_path, calls, age=age) for calls in (FEW, MANY)]
    assert many.statements <= few.statements
    assert few.steps > 500
    assert many.steps < 1.5 * few.steps


async def test_history(tmp_path: Path) -> None:
    """Nor does what was delivered in the last week."""
    none, much = [await cost_of(tmp_path, FEW, age=600, history=n) for n in (0, MANY)]
    assert much.statements == none.statements
    assert much.steps < 1.2 * none.steps


async def test_statements_for_many_rows(tmp_path: Path) -> None:
    """What is put, settled and leased together takes as many statements as one row does."""
    counts = []
    for rows in (1, 50):
        async with open_outbox(OutboxSettings(url=f"sqlite:///{tmp_path}/{rows}.db")) as outbox:
            await outbox.put([delivery(Kind.END, f"main-{n}") for n in range(rows)], NOW)
            leased = await lease(outbox, limit=rows)
            exchange = Exchange(
                put=[delivery(Kind.BEGIN, f"new-{n}") for n in range(rows)],
                settle=[(row, Retry(at=NOW + 60, reason="500", attempt=1)) for row in leased],
                lease=LeaseRequest(owner="me", limit=rows, seconds=LEASE),
            )
            with counted(outbox) as cost:
                assert len((await outbox.exchange(exchange, NOW)).leased) == rows
            counts.append(cost.statements)
    assert counts[0] == counts[1]


NAMED = {"now": NOW, "ids": [1, 2]}

QUERIES: dict[str, tuple[sa.Executable, dict[str, object], bool]] = {
    "newest": (leasing._NEWEST_IDS, {"live_since": NOW}, True),
    "live": (leasing._LIVE, {"now": NOW, "newest": [1, 2]}, False),
    "begun": (leasing._BEGUN, {"now": NOW, "begun": ["main-1", "main-2"]}, False),
    "backlog": (leasing._BACKLOG, {"now": NOW, "most": 3}, True),
    "ended": (leasing._END_LEASES, {"now": NOW}, True),
    "first due": (leasing._FIRST_DUE, {}, True),
    "first lease's end": (leasing._FIRST_LEASE_END, {}, True),
    "free": (leasing._FREE, NAMED, False),
    "supersede": (leasing._SUPERSEDE, NAMED, False),
    "lease": (leasing._LEASE, {**NAMED, "owner": "me", "until": NOW}, False),
}
"""With the parameters, and whether it may look at all rows of a state."""


@pytest.mark.parametrize("name", QUERIES)
def test_every_search_goes_by_an_index(name: str) -> None:
    """Or a backlog of a day would stop the drain; and rows that are named are found by their names."""
    query, parameters, is_wide = QUERIES[name]
    engine = sa.create_engine("sqlite://")
    metadata.create_all(engine, [table])
    executed: list[tuple[str, tuple[object, ...]]] = []
    sa.event.listen(
        engine, "before_cursor_execute", lambda _c, _cursor, text, values, *_: executed.append((text, values))
    )
    with engine.connect() as connection:
        connection.execute(query, parameters)
        text, values = executed[0]
        rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", values)
        plan = [(parent, line) for _, parent, _, line in rows]
    engine.dispose()
    assert plan
    assert not [line for _, line in plan if line.startswith("SCAN")], plan
    # The rows of one call, and rows that are named, may be sorted; those of all calls may not.
    if is_wide:
        assert not [line for parent, line in plan if parent == 0 and "TEMP B-TREE" in line], plan
    else:
        assert not [line for parent, line in plan if parent == 0 and "state=" in line], plan


@pytest.mark.parametrize("in_flight", [0, 1], ids=["at rest", "its head in flight"])
async def test_one_call_with_many_rows(tmp_path: Path, in_flight: int) -> None:
    """A queue that rings its members again and again: the cost of a row does not grow with the rows of its call."""

    async def steps(rings: int) -> int:
        async with open_outbox(OutboxSettings(url=f"sqlite:///{tmp_path}/{rings}.db")) as outbox:
            kinds = (Kind.BEGIN, Kind.END)
            rows = [delivery(kind, "main-1", occurrence=str(n)) for n in range(rings) for kind in kinds]
            await outbox.put(rows, NOW - 600)
            (head,) = await lease(outbox, limit=4)
            if not in_flight:
                await outbox.settle(head, Delivered(), NOW)
            with counted(outbox) as cost:
                assert len(await lease(outbox, limit=4)) == 1 - in_flight
        return cost.steps

    few, many = await steps(FEW), await steps(10 * FEW)
    assert many < 15 * few
