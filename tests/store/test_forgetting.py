from __future__ import annotations

import pytest

from tests.store.calls import NOW, a_call, deliver, delivery, recording_of
from uac_trio.crm.delivery import Kind
from uac_trio.store.forgetting import Forgotten
from uac_trio.store.outbox import open_outbox
from uac_trio.store.recordings import RecordingState
from uac_trio.store.settings import OutboxSettings

OTHER = "79165556677"


@pytest.mark.parametrize("given", ["+7 (916) 123-45-67", "89161234567", "79161234567", "9161234567"])
@pytest.mark.parametrize("stored", ["79161234567", "8 (916) 123-45-67"])
async def test_everything_of_a_number(store_url: str, given: str, stored: str) -> None:
    """However the number is written, here and in the store, all rows of its calls go, with their recordings; others'
    stay."""
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        await outbox.put(
            [
                *a_call("main-1", customer=stored),
                *a_call("main-2", customer=OTHER),
                delivery(Kind.END, "main-3", customer=""),
            ],
            NOW,
            [recording_of("main-1", stored), recording_of("main-4", stored), recording_of("main-5", OTHER)],
        )
        await deliver(outbox)
        forgotten = await outbox.forget(given)
        assert (forgotten.calls, forgotten.deliveries, forgotten.left) == (2, 3, 0)
        assert [row.path for row in forgotten.recordings] == [f"{stored}.wav"] * 2
        statistics = await outbox.statistics()
        assert statistics.delivered + statistics.superseded == 4
        assert await outbox.recordings.find(f"{'main-1':x>32}") is None
        assert await outbox.recordings.find(f"{'main-5':x>32}") is not None
        assert (await outbox.forget(given)).calls == 0


async def test_what_is_not_over_stays(store_url: str) -> None:
    """A call that goes on, that waits for the CRM or for its recording, is counted and left alone."""
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        await outbox.put([delivery(Kind.BEGIN, "main-1")], NOW)
        await outbox.put(a_call("main-2"), NOW, [recording_of("main-2", is_awaited=True)])
        await deliver(outbox)
        await outbox.put(a_call("main-3"), NOW)
        forgotten = await outbox.forget("79161234567")
        assert forgotten == Forgotten(calls=0, deliveries=0, recordings=[], left=3)
        row = await outbox.recordings.find(f"{'main-2':x>32}")
    assert row is not None
    assert row.state is RecordingState.WAITING


@pytest.mark.parametrize("given", ["", "%", "abc", "101", "1234567", "_______", "7916123456"])
async def test_other_numbers(store_url: str, given: str) -> None:
    """What is no number, a part of one, and an employee's extension remove nothing."""
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        await outbox.put([*a_call("main-1"), *a_call("main-2", customer="")], NOW)
        await deliver(outbox)
        assert (await outbox.forget(given)).calls == 0


async def test_one_number_among_others(store_url: str) -> None:
    """A call in which the customer was seen once, among colleagues, is a call with them."""
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        colleague = a_call("main-1", extension="102", customer="103")
        await outbox.put([*a_call("main-1"), *colleague], NOW)
        await deliver(outbox)
        assert (await outbox.forget("+79161234567")).deliveries == 6


async def test_more_calls_than_one_statement_names(store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them go, and all that have to stay do."""
    monkeypatch.setattr("uac_trio.store.forgetting.CHUNK", 2)
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        await outbox.put([each for n in range(5) for each in a_call(f"main-{n}")], NOW)
        await deliver(outbox)
        await outbox.put([delivery(Kind.RECORDING, "main-3")], NOW)
        forgotten = await outbox.forget("79161234567")
    assert (forgotten.calls, forgotten.deliveries, forgotten.left) == (4, 12, 1)
