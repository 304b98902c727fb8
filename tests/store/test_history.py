"""What the store has of calls, whatever its state."""

from __future__ import annotations

from typing import Any

import pytest

from tests.store.calls import NOW, NUMBER, a_call, deliver, lease
from uac_trio.store.history import Wanted
from uac_trio.store.outbox import open_outbox
from uac_trio.store.rows import Parked, Retry
from uac_trio.store.settings import OutboxSettings
from uac_trio.store.tables import State

SINCE = NOW - 100


@pytest.mark.parametrize(
    ("asked", "calls"),
    [
        ({"digits": NUMBER[-10:]}, ["main-1", "main-3"]),
        ({"extension": "102"}, ["main-2"]),
        ({"call_ids": ["main-2", "main-9"]}, ["main-2"]),
        ({"digits": NUMBER[-10:], "call_ids": ["main-2"]}, ["main-1", "main-2", "main-3"]),
        ({"digits": NUMBER[-10:], "since": NOW + 50}, ["main-3"]),
        ({"digits": NUMBER[-10:], "most": 1}, ["main-3"]),
        ({"call_ids": ["main-1"], "since": NOW + 50}, ["main-1"]),
        ({}, []),
    ],
    ids=str,
)
async def test_whose_calls(store_url: str, asked: dict[str, Any], calls: list[str]) -> None:
    """Of the customer, of the employee, or by id; the latest, all rows of each call."""
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        await outbox.put(a_call("main-1"), NOW)
        await outbox.put(a_call("main-2", extension="102", customer="79165556677"), NOW)
        await outbox.put(a_call("main-3", at=NOW + 60), NOW + 60)
        found = await outbox.history(Wanted(**{"since": SINCE, "most": 10, **asked}))
    assert list(dict.fromkeys(row.delivery.call_id for row in found)) == calls
    assert len(found) == 3 * len(calls)


async def test_how_they_stand(store_url: str) -> None:
    """State, tries, reason and times are the rows'."""
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        await outbox.put([*a_call("main-1"), *a_call("main-2"), *a_call("main-3")], NOW)
        refused, away = await lease(outbox, limit=2)
        await outbox.settle(refused, Parked(reason="no such user"), NOW + 1)
        await outbox.settle(away, Retry(at=NOW + 99, reason="refused", attempt=3), NOW + 1)
        await deliver(outbox, NOW + 2)
        rows = await outbox.history(Wanted(digits=NUMBER[-10:], since=SINCE, most=10))
    first = {row.delivery.call_id: row for row in reversed(rows)}
    assert [(row.state, row.reason) for row in first.values()][::-1] == [
        (State.PARKED, "no such user"),
        (State.WAITING, "refused"),
        (State.DELIVERED, ""),
    ]
    assert (first["main-2"].next_try_at, first["main-2"].attempt) == (NOW + 99, 3)
    assert first["main-3"].settled_at == NOW + 2
