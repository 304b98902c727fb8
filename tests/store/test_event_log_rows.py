"""The event logs beside the deliveries: written with them, read by the next run, gone with their calls."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import pytest
import sqlalchemy as sa

from tests.store.calls import NOW, NUMBER, delivery, log_of
from uac_trio.crm.delivery import Delivery, Kind
from uac_trio.event_log import LogChanges, LogPart, to_replay
from uac_trio.store.event_logs import STALE, EventLogRows
from uac_trio.store.outbox import Exchange, Outbox, open_outbox
from uac_trio.store.settings import OutboxError, OutboxSettings
from uac_trio.store.tables import event_log

BEGIN = delivery(Kind.BEGIN)


def changes(*added: LogPart, run: str = "one", **more: Any) -> LogChanges:
    return LogChanges(run=run, added=added, **more)


async def put(outbox: Outbox, *logs: LogChanges, deliveries: Sequence[Delivery] = ()) -> int:
    return (await outbox.exchange(Exchange(put=deliveries, logs=logs), 1.0)).new


async def read(outbox: Outbox, pbx: str = "main") -> dict[str, list[int]]:
    """The numbers of the entries by call, in order."""
    found: dict[str, list[int]] = {}
    for each in await outbox.event_logs.of_pbx(pbx, 0.0):
        found.setdefault(each.call_id, []).extend(entry.number for entry in each.entries)
    return found


async def runs(outbox: Outbox) -> set[str]:
    return await outbox._read(lambda connection: set(connection.scalars(sa.select(event_log.c.run))))


async def test_the_next_run_reads_what_was_written(store_url: str) -> None:
    """All of it, in order, of the same PBX."""
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        assert await read(outbox) == {}
        first, other = log_of("main-1", 1, 3, at=2.5, text="Newchannel é\ud800"), log_of("x-1", 1, pbx="other")
        await put(outbox, changes(first, log_of("main-2", 2), other))
        await put(outbox, changes(log_of("main-1", 4)))
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        assert await read(outbox) == {"main-1": [1, 3, 4], "main-2": [2]}
        assert await read(outbox, "other") == {"x-1": [1]}
        assert first in await outbox.event_logs.of_pbx("main", 0.0)


async def test_the_ends_in_logged_calls(store_url: str) -> None:
    """Of this PBX, and of calls that have a log."""
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        await put(outbox, changes(log_of("main-1", 1), log_of("x-1", 1, pbx="other")))
        await outbox.put(
            [delivery(kind, call, "101") for call in ("main-1", "main-2") for kind in (Kind.BEGIN, Kind.END)], NOW
        )
        found = await outbox.logged_ends("main")
        assert await outbox.logged_ends("other") == []
    assert found == [delivery(Kind.END, "main-1", "101")]


async def test_stale_log_is_not_replayed(store_url: str) -> None:
    """What was delivered of its call may be purged: a replay would deliver it again. A call that goes on has all of
    its log."""
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        await put(outbox, changes(log_of("main-1", 1, at=5.0), log_of("main-2", 2, at=5.0)))
        await put(outbox, changes(log_of("main-2", 3, at=9.0 + STALE)))
        fresh = await outbox.event_logs.of_pbx("main", 10.0 + STALE)
        assert [(part.call_id, part.entries[0].number) for part in fresh] == [("main-2", 2), ("main-2", 3)]


BOTH = {"main-1": [1], "main-2": [2]}


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        pytest.param(changes(dropped=["main-1"]), {"main-2": [2]}, id="dropped"),
        pytest.param(changes(dropped=["main-1"], run="two"), {"main-2": [2]}, id="dropped by another run"),
        pytest.param(changes(left=["main-1"]), {"main-2": [2]}, id="left"),
        pytest.param(changes(left=["main-1"], run="two"), BOTH, id="left by another run"),
        pytest.param(changes(moved=[("main-2", "main-1")]), {"main-1": [1, 2]}, id="moved"),
        pytest.param(changes(moved=[("main-2", "main-1")], run="two"), BOTH, id="moved by another run"),
        pytest.param(changes(copied=[("main-1", "main-3")]), {**BOTH, "main-3": [1]}, id="copied"),
        pytest.param(
            changes(log_of("main-3", 5), copied=[("main-1", "main-3")], dropped=["main-1"]),
            {"main-2": [2], "main-3": [1, 5]},
            id="copied, then dropped",
        ),
    ],
)
async def test_changes(store_url: str, changed: LogChanges, expected: dict[str, list[int]]) -> None:
    """A call's log goes with it, becomes part of another's, or is the beginning of another's too."""
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        await put(outbox, changes(log_of("main-1", 1), log_of("main-2", 2)))
        await put(outbox, changed)
        assert await read(outbox) == expected


async def test_with_the_deliveries(store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both are stored, or none."""
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:

        def fails(*_: object) -> None:
            raise OutboxError("no room")

        with monkeypatch.context() as patched, suppress(OutboxError):
            patched.setattr(EventLogRows, "write", fails)
            await put(outbox, changes(log_of("main-1", 1)), deliveries=[BEGIN])
        assert (await outbox.statistics()).waiting == 0
        assert await put(outbox, changes(log_of("main-1", 1)), deliveries=[BEGIN]) == 1
        assert await read(outbox) == {"main-1": [1]}


async def test_written_twice(store_url: str) -> None:
    """A commit whose answer was lost is repeated: each entry is replayed once."""
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        for _ in range(2):
            await put(outbox, changes(log_of("main-1", 1, 2)))
        replayed = to_replay(await outbox.event_logs.of_pbx("main", 0.0))
        assert [each.entry.number for each in replayed] == [1, 2]


async def test_logs_of_other_runs(store_url: str) -> None:
    """A new run has logged anew what it replayed: in SQLite no other can be alive; else what is stale goes."""
    shared = store_url.startswith("postgresql")
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        await put(
            outbox, changes(log_of("main-1", 1, at=5.0)), changes(log_of("main-1", 1, run="two", at=9.0), run="two")
        )
        await outbox.event_logs.forget("main", "two", 9.0)
        assert await runs(outbox) == ({"one", "two"} if shared else {"two"})
        await outbox.event_logs.forget("main", "two", 6.0 + STALE)
        assert await runs(outbox) == {"two"}


async def test_a_customer_who_is_forgotten(store_url: str) -> None:
    """A forgotten customer is in no event log; a number that is in none removes nothing."""
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        await put(outbox, changes(log_of(BEGIN.call_id, 1, text=NUMBER)), deliveries=[delivery(Kind.END)])
        await outbox.forget("79990000000")
        assert await read(outbox) == {BEGIN.call_id: [1]}
        await outbox.forget(NUMBER)
        assert await read(outbox) == ({BEGIN.call_id: [1]} if (await outbox.statistics()).waiting else {})
