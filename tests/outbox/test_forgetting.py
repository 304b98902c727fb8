from __future__ import annotations

import attrs
import pytest

from uac_trio.outbox import (
    Delivered,
    Forgotten,
    NewRecording,
    Outbox,
    OutboxSettings,
    RecordingState,
    open_outbox,
)
from uac_trio.vtiger.request import CallbackRequest, Step

NOW = 1795413063.0


def request(call: str, step: Step, number: str = "79161234567", **form: str) -> CallbackRequest:
    told = {"callerIdNumber": number, "dialString": "101"} if step is Step.DIAL_BEGIN else {}
    return CallbackRequest(
        key=f"{call}/101/{step.value}/1", call_id=call, extension="101", step=step, form={**told, **form}, at=NOW
    )


def whole_call(call: str, number: str = "79161234567") -> list[CallbackRequest]:
    return [request(call, Step.DIAL_BEGIN, number), request(call, Step.HANGUP), request(call, Step.END_CALL)]


def recording_of(call: str, number: str = "79161234567", *, is_awaited: bool = False) -> NewRecording:
    told = attrs.evolve(request(call, Step.RECORD), recording=f"{number}.wav", customer=number)
    return NewRecording(
        token=f"{call:x>32}", pbx="main", path=told.recording, extension="101", request=told, is_awaited=is_awaited
    )


async def deliver(outbox: Outbox) -> None:
    while rows := await outbox.lease(NOW, 100, "us", 60):
        for row in rows:
            await outbox.settle(row, Delivered(), NOW)


@pytest.mark.parametrize("told", ["+7 (916) 123-45-67", "89161234567", "79161234567", "9161234567"])
async def test_everything_of_a_number(store_url: str, told: str) -> None:
    """However the number is written, all rows of its calls go, with their recordings; others' stay."""
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        await outbox.put(
            [*whole_call("main-1"), *whole_call("main-2", "79165556677"), request("main-3", Step.HANGUP)],
            NOW,
            [recording_of("main-1"), recording_of("main-4"), recording_of("main-5", "79165556677")],
        )
        await deliver(outbox)
        forgotten = await outbox.forget(told)
        assert (forgotten.calls, forgotten.requests, forgotten.left) == (2, 3, 0)
        assert [row.path for row in forgotten.recordings] == ["79161234567.wav"] * 2
        assert (await outbox.statistics()).delivered == 4
        assert await outbox.recordings.find(f"{'main-1':x>32}") is None
        assert await outbox.recordings.find(f"{'main-5':x>32}") is not None
        assert (await outbox.forget(told)).calls == 0


async def test_what_is_not_over_stays(store_url: str) -> None:
    """A call that goes on, that waits for the CRM or for its recording, is counted and left alone."""
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        await outbox.put([request("main-1", Step.DIAL_BEGIN)], NOW)
        await outbox.put(whole_call("main-2"), NOW, [recording_of("main-2", is_awaited=True)])
        await deliver(outbox)
        await outbox.put(whole_call("main-3"), NOW)
        forgotten = await outbox.forget("79161234567")
        assert forgotten == Forgotten(calls=0, requests=0, recordings=[], left=3)
        row = await outbox.recordings.find(f"{'main-2':x>32}")
    assert row is not None
    assert row.state is RecordingState.WAITING


@pytest.mark.parametrize("told", ["", "%", "abc", "101", "1234567", "_______", "7916123456"])
async def test_other_numbers(store_url: str, told: str) -> None:
    """What is no number, a part of one, and an employee's extension remove nothing."""
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        await outbox.put(whole_call("main-1"), NOW)
        await deliver(outbox)
        assert (await outbox.forget(told)).calls == 0


async def test_stock_s_fields(store_url: str) -> None:
    """The number of an outgoing call in a stock vTiger stands in other fields."""
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        start = request("main-1", Step.START_APP, callerIdNumber="101", callerIdName="79161234567")
        await outbox.put([start, request("main-1", Step.HANGUP)], NOW)
        await deliver(outbox)
        assert (await outbox.forget("+79161234567")).requests == 2
