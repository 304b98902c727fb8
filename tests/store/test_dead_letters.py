"""Dead letters: refused for good, sent again or dropped by an administrator."""

from __future__ import annotations

import pytest

from tests.store.calls import (
    NOW,
    WHOLE,
    a_call,
    deliver,
    delivery,
    lease,
    only,
)
from uac_trio.crm.delivery import Kind
from uac_trio.store.outbox import open_outbox
from uac_trio.store.rows import Delivered, Parked, Released
from uac_trio.store.settings import OutboxError, OutboxSettings

BEGIN_END = (Kind.BEGIN, Kind.END)


async def test_a_dead_letter_lets_its_call_go_on(store_url: str) -> None:
    """And is listed with its reason."""
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        await outbox.put(a_call("main-1", BEGIN_END), NOW)
        row = await only(outbox)
        await outbox.settle(row, Parked(reason="restricted file"), NOW + 1)
        assert await deliver(outbox) == ["main-1 end"]
        (parked,) = await outbox.parked()

    assert (parked.id, parked.delivery, parked.reason) == (row.id, row.delivery, "restricted file")
    assert (parked.parked_at, parked.attempt) == (NOW + 1, 1)
    assert "Анна" not in repr(parked)


async def test_retry_sends_the_dead_letter_and_what_followed(store_url: str) -> None:
    """A BEGIN alone would leave the call ringing; superseded deliveries and earlier ones are not sent again."""
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        early = delivery(Kind.BEGIN, extension="102")
        await outbox.put([early, *a_call("main-1", [*WHOLE, Kind.RECORDING])], NOW)
        await outbox.put(a_call("main-2"), NOW)
        parked_id = 0
        while rows := await lease(outbox):
            for row in rows:
                begins = row.delivery.kind is Kind.BEGIN and row.delivery.call_id == "main-1"
                is_it = begins and row.delivery.extension == "101"
                parked_id = row.id if is_it else parked_id
                outcome = Parked(reason="no", accepted=1) if is_it else Delivered()
                await outbox.settle(row, outcome, NOW)
        assert await outbox.retry(parked_id + 1, NOW) == 0
        assert await outbox.retry(parked_id, NOW) == 3
        assert await outbox.retry(parked_id, NOW) == 0
        row = await only(outbox)
        assert (row.attempt, row.accepted, row.in_doubt) == (1, 0, False)  # from the beginning
        await outbox.settle(row, Released(), NOW)
        assert await deliver(outbox) == ["main-1 begin", "main-1 end", "main-1 recording"]
        assert await outbox.parked() == []


async def test_retry_waits_for_what_is_in_flight(store_url: str) -> None:
    """Or two deliveries of one call would be on the wire."""
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        await outbox.put(a_call("main-1", BEGIN_END), NOW)
        row = await only(outbox)
        await outbox.settle(row, Parked(reason="no"), NOW)
        end = await only(outbox)
        with pytest.raises(OutboxError, match="main-1 is being sent at this moment"):
            await outbox.retry(row.id, NOW)
        await outbox.settle(end, Delivered(), NOW)
        assert await outbox.retry(row.id, NOW) == 2


async def test_drop(store_url: str) -> None:
    """A dropped delivery is never sent, and does not come back when its event is seen again."""
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        await outbox.put(a_call("main-1", [Kind.END]), NOW)
        row = await only(outbox)
        assert not await outbox.drop(row.id, NOW)
        await outbox.settle(row, Parked(reason="no"), NOW)
        assert await outbox.drop(row.id, NOW)
        assert not await outbox.drop(row.id, NOW)
        assert await outbox.put(a_call("main-1", [Kind.END]), NOW) == 0
        assert (await lease(outbox), await outbox.parked()) == ([], [])
