"""What the outbox promises: no doubles, order within a call, leases that end, nothing deleted too soon."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
import sqlalchemy as sa
import trio

from tests.postgres import wanted
from uac_trio.outbox import (
    PROBABLY_DELIVERED,
    Delivered,
    Outbox,
    OutboxError,
    OutboxRow,
    OutboxSettings,
    OutboxStatistics,
    Outcome,
    Parked,
    Retry,
    Unknown,
    leasing,
    open_outbox,
)
from uac_trio.outbox.leasing import _due, _heads
from uac_trio.outbox.tables import metadata, request
from uac_trio.vtiger.request import CallbackRequest, Step

NOW = 1_790_000_000.0
DAY = 86400.0
INBOUND = (Step.DIAL_BEGIN, Step.DIAL_ANSWER, Step.HANGUP, Step.END_CALL)


def a_request(call: str, step: Step, extension: str = "101", *, n: int = 1, moot_after: str | None = None,
              at: float = NOW) -> CallbackRequest:  # fmt: skip
    call_id = f"main-{call}"
    form = {"callUUID": call_id, "callstatus": step.value, "name": "Анна [1]"}
    key = f"{call_id}/{extension}/{step.value}/{n}"
    return CallbackRequest(
        key=key, call_id=call_id, extension=extension, step=step, form=form, at=at, moot_after=moot_after
    )


def a_call(call: str, steps: Sequence[Step] = INBOUND) -> list[CallbackRequest]:
    """One customer's call to 101, whose answer is moot once it is over."""
    hangup = f"main-{call}/101/Hangup/1"
    return [a_request(call, step, moot_after=hangup if step is Step.DIAL_ANSWER else None) for step in steps]


async def lease(outbox: Outbox, now: float = NOW, limit: int = 10, owner: str = "me") -> list[OutboxRow]:
    return await outbox.lease(now, limit, owner, 70.0)


async def steps_of(outbox: Outbox, now: float = NOW) -> list[str]:
    """What would be sent now, all of it delivered: "call step"."""
    sent = []
    while rows := await lease(outbox, now):
        for row in rows:
            sent.append(f"{row.call_id.removeprefix('main-')} {row.step.value}")
            assert await outbox.settle(row, Delivered(), now)
    return sent


async def test_a_request_comes_out_as_it_went_in(store_url: str) -> None:
    """Every field, and of the form every letter."""
    begin = attrs_of(a_request("1", Step.DIAL_BEGIN))
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        assert await outbox.put([a_request("1", Step.DIAL_BEGIN)], NOW + 5) == 1
        (row,) = await lease(outbox, NOW + 6)

    assert {name: getattr(row, name) for name in begin} == begin
    assert (row.attempt, row.leased_by, row.leased_until, row.created_at) == (1, "me", NOW + 76, NOW + 5)
    assert "Анна" not in repr(row)


def attrs_of(request: CallbackRequest) -> dict[str, object]:
    return {name: getattr(request, name) for name in ("key", "call_id", "extension", "step", "form", "at")}


async def test_doubles_are_dropped(store_url: str) -> None:
    """By key alone: within a batch, between batches, after delivery and from another connector."""
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        assert await outbox.put([*a_call("1"), *a_call("1")], NOW) == 4
        assert await outbox.put([*a_call("1"), a_request("2", Step.DIAL_BEGIN)], NOW) == 1
        await steps_of(outbox)
        async with open_outbox(OutboxSettings(url=store_url)) as other:
            assert await other.put(a_call("1"), NOW) == 0
        assert await outbox.put([], NOW) == 0
        assert await lease(outbox) == []


async def test_one_request_of_a_call_at_a_time(store_url: str) -> None:
    """The oldest first; the next only when that one is settled. Different calls go side by side."""
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        await outbox.put([*a_call("1"), *a_call("2")], NOW)
        rows = await lease(outbox)
        assert [(row.call_id, row.step) for row in rows] == [
            ("main-1", Step.DIAL_BEGIN),
            ("main-2", Step.DIAL_BEGIN),
        ]
        assert await lease(outbox) == []
        await outbox.settle(rows[1], Delivered(), NOW)
        assert [(row.call_id, row.step) for row in await lease(outbox)] == [("main-2", Step.HANGUP)]


async def test_the_limit_is_kept(store_url: str) -> None:
    """No more rows than asked for, and none for 0."""
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        await outbox.put([a_request(str(n), Step.DIAL_BEGIN) for n in range(9)], NOW)
        assert [len(await lease(outbox, limit=limit)) for limit in (0, 2, 3, 100)] == [0, 2, 3, 4]


async def test_a_retry_holds_its_call_back_and_no_other(store_url: str) -> None:
    """Until its time, which survives in the row; the attempts are counted, those of everybody's trouble are not."""
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        await outbox.put(a_call("1", [Step.HANGUP, Step.END_CALL]), NOW)
        (row,) = await lease(outbox)
        await outbox.settle(row, Retry(at=NOW + 30, reason="500"), NOW)
        await outbox.put([a_request("2", Step.DIAL_BEGIN)], NOW)
        assert await steps_of(outbox) == ["2 DialBegin"]
        assert await outbox.next_wake(NOW) == NOW + 30
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        assert await lease(outbox, NOW + 29) == []
        (row,) = await lease(outbox, NOW + 30)
        assert (row.step, row.attempt) == (Step.HANGUP, 2)
        await outbox.settle(row, Retry(at=NOW + 30, reason="502", counted=False), NOW)
        (row,) = await lease(outbox, NOW + 30)
        assert row.attempt == 2
        await outbox.settle(row, Delivered(), NOW)
        assert await steps_of(outbox, NOW + 30) == ["1 EndCall"]


async def test_a_parked_request_lets_its_call_go_on(store_url: str) -> None:
    """And is listed with its reason."""
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        await outbox.put(a_call("1", [Step.DIAL_BEGIN, Step.HANGUP]), NOW)
        (row,) = await lease(outbox)
        await outbox.settle(row, Parked(reason="restricted file"), NOW + 1)
        assert await steps_of(outbox) == ["1 Hangup"]
        (parked,) = await outbox.parked()

    assert (parked.id, parked.call_id, parked.step, parked.reason) == (
        row.id,
        "main-1",
        Step.DIAL_BEGIN,
        "restricted file",
    )
    assert (parked.parked_at, parked.attempt, parked.form) == (NOW + 1, 1, row.form)


async def test_a_moot_request_is_left_out(store_url: str) -> None:
    """A DialAnswer is not sent once the call's Hangup is known, but is while it is not."""
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        await outbox.put([*a_call("1"), *a_call("2", INBOUND[:2])], NOW)
        sent = await steps_of(outbox)
        assert [each for each in sent if each.startswith("1")] == ["1 DialBegin", "1 Hangup", "1 EndCall"]
        assert [each for each in sent if each.startswith("2")] == ["2 DialBegin", "2 DialAnswer"]
        assert (await outbox.statistics()).moot == 1


async def test_more_moot_requests_than_one_statement_takes(store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """After an outage thousands are moot at once; none of them is sent."""
    monkeypatch.setattr("uac_trio.outbox.leasing.CHUNK", 10)
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        await outbox.put([each for n in range(30) for each in a_call(str(n), [Step.DIAL_ANSWER, Step.HANGUP])], NOW)
        rows = await lease(outbox, limit=60)
        assert {row.step for row in rows} == {Step.HANGUP}
        assert (len(rows), (await outbox.statistics()).moot) == (30, 30)


async def test_an_unknown_outcome_rests_and_is_sent_again(store_url: str) -> None:
    """The whole call rests meanwhile: the CRM may still be at work on it."""
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        await outbox.put(a_call("1", [Step.DIAL_BEGIN, Step.HANGUP]), NOW)
        (row,) = await lease(outbox)
        await outbox.settle(row, Unknown(until=NOW + 60, reason="no reply"), NOW)
        assert await lease(outbox, NOW + 59) == []
        assert await outbox.next_wake(NOW) == NOW + 60
        (row,) = await lease(outbox, NOW + 60)
        assert (row.step, row.attempt) == (Step.DIAL_BEGIN, 2)


async def test_start_app_is_not_sent_again(store_url: str) -> None:
    """Stock vTiger would add a row: an unknown outcome counts as delivered, after the rest, and the call goes on."""
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        await outbox.put(a_call("1", [Step.START_APP, Step.HANGUP]), NOW)
        (row,) = await lease(outbox)
        await outbox.settle(row, Unknown(until=NOW + 60, reason="no reply"), NOW)
        assert await lease(outbox, NOW + 59) == []
        assert await steps_of(outbox, NOW + 60) == ["1 Hangup"]


async def test_the_lease_of_a_dead_process_is_taken_over(store_url: str) -> None:
    """When it runs out, not before, and what the dead one says afterwards does not count."""
    async with open_outbox(OutboxSettings(url=store_url)) as dead, open_outbox(OutboxSettings(url=store_url)) as heir:
        await dead.put(a_call("1", [Step.DIAL_BEGIN, Step.HANGUP]), NOW)
        (lost,) = await lease(dead, owner="dead")
        assert await lease(heir, NOW + 69, owner="heir") == []
        (row,) = await lease(heir, NOW + 70, owner="heir")
        assert (row.key, row.attempt) == (lost.key, 2)
        assert not await dead.settle(lost, Delivered(), NOW + 71)
        assert not await dead.settle(lost, Retry(at=NOW, reason="late"), NOW + 71)
        assert await lease(heir, NOW + 71, owner="heir") == []
        assert await heir.settle(row, Delivered(), NOW + 72)
        assert not await heir.settle(row, Delivered(), NOW + 72)


async def test_an_old_lease_settles_nothing(store_url: str) -> None:
    """Neither that of another owner with the same count of attempts, nor an earlier one of the same owner."""
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        await outbox.put(a_call("1", [Step.HANGUP]), NOW)
        (first,) = await lease(outbox, NOW, owner="one")
        (second,) = await lease(outbox, NOW + 100, owner="two")
        (third,) = await lease(outbox, NOW + 200, owner="two")
        assert not await outbox.settle(second, Delivered(), NOW + 201)
        await outbox.settle(third, Parked(reason="no"), NOW + 201)
        await outbox.retry(third.id, NOW + 201)
        (fourth,) = await lease(outbox, NOW + 202, owner="two")
        assert fourth.attempt == first.attempt
        assert not await outbox.settle(first, Delivered(), NOW + 203)
        assert await outbox.settle(fourth, Delivered(), NOW + 203)


async def test_a_new_call_goes_before_the_backlog(store_url: str) -> None:
    """Of the last minute first what begins a popup, then the rest, then what is due longest."""
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        for n in range(4):
            await outbox.put(a_call(f"old{n}", [Step.DIAL_BEGIN, Step.HANGUP]), NOW - 300 + n)
        await outbox.put(a_call("ending", [Step.HANGUP]), NOW - 10)
        await outbox.put(a_call("new", [Step.DIAL_BEGIN]), NOW - 5)
        rows = await lease(outbox, limit=4)

    assert [row.call_id for row in rows] == ["main-new", "main-ending", "main-old0", "main-old1"]


async def test_a_call_that_is_over_is_no_news(store_url: str) -> None:
    """The popup of a call that still rings goes before one of a call whose Hangup is there already."""
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        await outbox.put(a_call("over"), NOW)
        await outbox.put(a_call("over", [Step.END_CALL]) + a_call("rings", [Step.DIAL_BEGIN]), NOW + 1)
        (row,) = await lease(outbox, NOW + 2, limit=1)
        assert row.call_id == "main-rings"
        # Another employee's Hangup is not this one's.
        await outbox.put([a_request("group", Step.DIAL_BEGIN, "101"), a_request("group", Step.HANGUP, "102")], NOW + 2)
        (row,) = await lease(outbox, NOW + 2, limit=1)
        assert row.call_id == "main-group"
        (row,) = await lease(outbox, NOW + 2, limit=1)
        assert row.call_id == "main-over"


@pytest.mark.parametrize("age", [0, 600])
async def test_a_call_that_was_begun_goes_on(store_url: str, age: float) -> None:
    """Its next request goes before what other calls have to say, but not before a popup of the moment."""
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        for call in ("1", "2", "3"):
            await outbox.put(a_call(call), NOW - age)
        (row,) = await lease(outbox, limit=1)
        assert (row.call_id, row.step) == ("main-1", Step.DIAL_BEGIN)
        await outbox.settle(row, Delivered(), NOW)
        (row,) = await outbox.lease(NOW, 1, "me", 70.0, ["main-1", "main-none"])
        assert (row.call_id, row.step) == ("main-1", Step.HANGUP)
        await outbox.settle(row, Delivered(), NOW)
        await outbox.put(a_call("new", [Step.DIAL_BEGIN]), NOW)
        rows = await outbox.lease(NOW, 3, "me", 70.0, ["main-1"])
        assert [(row.call_id, row.step) for row in rows] == [
            ("main-new", Step.DIAL_BEGIN),
            ("main-1", Step.END_CALL),
            ("main-2", Step.DIAL_BEGIN),
        ]


async def test_next_wake(store_url: str) -> None:
    """Nothing to do: never; due: now; all in flight: when the lease ends."""
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        assert await outbox.next_wake(NOW) is None
        await outbox.put(a_call("1"), NOW)
        assert await outbox.next_wake(NOW + 9) == NOW + 9
        await lease(outbox)
        assert await outbox.next_wake(NOW) == NOW + 70


async def test_begins_delivered(store_url: str) -> None:
    """Which extensions' DialBegins were delivered, and how, the latest last."""
    outcomes: list[tuple[str, Outcome]] = [
        ("101", Delivered()),
        ("102", Delivered(reason=f"{PROBABLY_DELIVERED}HTTP 500")),
        ("101", Delivered(reason="PHP prints warnings")),
        ("103", Parked(reason="no")),
    ]
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        for n, (extension, outcome) in enumerate(outcomes):
            await outbox.put([a_request(str(n), step, extension) for step in INBOUND[:2]], NOW)
            for ends in (outcome, Delivered()):
                (row,) = await lease(outbox)
                assert await outbox.settle(row, ends, NOW)
        assert await outbox.begins_delivered() == [("102", True), ("101", False)]


async def test_statistics(store_url: str) -> None:
    """Counts by state, and the age of what waits longest."""
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        empty = await outbox.statistics()
        await outbox.put([*a_call("1"), *a_call("2")], NOW)
        await outbox.put(a_call("3"), NOW + 1)
        outcomes: tuple[Outcome, ...] = (Delivered(), Parked(reason="no"))
        for row, outcome in zip(await lease(outbox, limit=2), outcomes, strict=True):
            await outbox.settle(row, outcome, NOW)
        await lease(outbox, limit=1)
        full = await outbox.statistics()

    assert empty == OutboxStatistics(waiting=0, sending=0, parked=0, delivered=0, moot=0, oldest_waiting_at=None)
    assert full == OutboxStatistics(waiting=6, sending=1, parked=1, delivered=1, moot=3, oldest_waiting_at=NOW)


async def test_open_participations(store_url: str) -> None:
    """What has a DialBegin and no Hangup after it, of this PBX alone; with the answer, if there was one."""
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        await outbox.put(a_call("over"), NOW)
        await outbox.put(a_call("talking", INBOUND[:2]), NOW)
        await outbox.put([a_request("group", Step.DIAL_BEGIN, ext) for ext in ("101", "102")], NOW)
        await outbox.put([a_request("group", Step.HANGUP, "101")], NOW)
        # 103 was rung twice by a queue: the first time is over, the second is not.
        for n, step in ((1, Step.DIAL_BEGIN), (1, Step.HANGUP), (2, Step.DIAL_BEGIN), (3, Step.DIAL_BEGIN)):
            await outbox.put([a_request("queue", step, "103", n=n, at=NOW + n)], NOW)
        # The stock flavour has one row a call, whoever's the Hangup is.
        await outbox.put([a_request("stock", Step.START_APP, ""), a_request("stock", Step.HANGUP, "101")], NOW)
        await outbox.put([a_request("stock2", Step.START_APP, "")], NOW)
        await steps_of(outbox)
        found = await outbox.open_participations("main-")
        assert await outbox.open_participations("MAIN-") == []
        assert await outbox.open_participations("main-_") == []

    assert [(each.call_id, each.extension, each.at, each.answered_at) for each in found] == [
        ("main-talking", "101", NOW, NOW),
        ("main-group", "102", NOW, None),
        ("main-queue", "103", NOW + 2, None),
        ("main-stock2", "", NOW, None),
    ]
    assert found[0].form["callUUID"] == "main-talking"
    assert (found[0].step, found[0].key) == (Step.DIAL_BEGIN, "main-talking/101/DialBegin/1")


async def test_purge_takes_whole_calls_that_are_over(store_url: str) -> None:
    """Delivered long ago and ended. Not: lately delivered, unended, waiting, or with a parked row."""
    calls = ("old", "fresh", "talking", "parked", "waiting")
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        for call in calls:
            await outbox.put(a_call(call, INBOUND[:2] if call == "talking" else INBOUND), NOW)
        while rows := await lease(outbox):
            for row in rows:
                outcome: Outcome = Delivered()
                if row.call_id == "main-parked" and row.step is Step.HANGUP:
                    outcome = Parked(reason="no")
                if row.call_id == "main-waiting" and row.step is Step.END_CALL:
                    outcome = Retry(at=NOW + 99 * DAY, reason="no")
                late = row.call_id == "main-fresh" and row.step is Step.END_CALL
                await outbox.settle(row, outcome, NOW + DAY * late)
        assert await outbox.purge(NOW) == 0
        assert await outbox.purge(NOW + 1) == 4
        assert await outbox.put(a_call("old"), NOW) == 4
        for call in calls[1:]:
            assert await outbox.put(a_call(call, INBOUND[:1]), NOW) == 0, call
        await steps_of(outbox)
        assert await outbox.purge(NOW + 2 * DAY) == 8


async def test_purge_of_more_calls_than_one_statement_takes(store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """All go, in several short transactions."""
    monkeypatch.setattr("uac_trio.outbox.requests.CHUNK", 10)
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        await outbox.put([a_request(str(n), Step.HANGUP) for n in range(25)], NOW)
        for row in await lease(outbox, limit=25):
            await outbox.settle(row, Delivered(), NOW)
        assert await outbox.purge(NOW + 1) == 25


async def test_what_is_purged_is_overwritten(tmp_path: Path) -> None:
    """Personal data does not stay in free pages of the file."""
    async with open_outbox(OutboxSettings(url=f"sqlite:///{tmp_path}/c.db")) as outbox:
        await outbox.put([a_request(str(n), Step.HANGUP) for n in range(50)], NOW)
        for row in await lease(outbox, limit=50):
            await outbox.settle(row, Delivered(), NOW)
        await outbox.purge(NOW + 1)

    assert b"callUUID" not in (tmp_path / "c.db").read_bytes()
    assert os.listdir(tmp_path) == ["c.db"]


async def test_retry_sends_the_parked_request_and_what_followed(store_url: str) -> None:
    """A DialBegin alone would leave the call ringing; StartApp, moot ones and earlier ones are not sent again."""
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        call = a_call("1", [Step.START_APP, *INBOUND])
        await outbox.put(call, NOW)
        parked_id = 0
        while rows := await lease(outbox):
            for row in rows:
                begin = row.step is Step.DIAL_BEGIN
                parked_id = row.id if begin else parked_id
                await outbox.settle(row, Parked(reason="no") if begin else Delivered(), NOW)
        assert await outbox.retry(parked_id + 1, NOW) == 0
        assert await outbox.retry(parked_id, NOW) == 3
        assert await outbox.retry(parked_id, NOW) == 0
        assert await steps_of(outbox) == ["1 DialBegin", "1 Hangup", "1 EndCall"]
        assert await outbox.parked() == []


async def test_retry_waits_for_what_is_in_flight(store_url: str) -> None:
    """Or two requests of one call would be on the wire."""
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        await outbox.put(a_call("1", [Step.DIAL_BEGIN, Step.HANGUP]), NOW)
        (row,) = await lease(outbox)
        await outbox.settle(row, Parked(reason="no"), NOW)
        (hangup,) = await lease(outbox)
        with pytest.raises(OutboxError, match="main-1 is being sent at this moment"):
            await outbox.retry(row.id, NOW)
        await outbox.settle(hangup, Delivered(), NOW)
        assert await outbox.retry(row.id, NOW) == 2


async def test_drop(store_url: str) -> None:
    """A dropped request is never sent, and does not come back when its event is seen again."""
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        await outbox.put(a_call("1", [Step.HANGUP]), NOW)
        (row,) = await lease(outbox)
        assert not await outbox.drop(row.id, NOW)
        await outbox.settle(row, Parked(reason="no"), NOW)
        assert await outbox.drop(row.id, NOW)
        assert not await outbox.drop(row.id, NOW)
        assert await outbox.put(a_call("1", [Step.HANGUP]), NOW) == 0
        assert (await lease(outbox), await outbox.parked()) == ([], [])


async def test_a_batch_is_stored_wholly_or_not_at_all(store_url: str) -> None:
    """A request that no database takes does not leave half a call behind."""
    broken = CallbackRequest(
        key="k", call_id=None, extension="101", step=Step.HANGUP, form={}, at=NOW  # type: ignore[arg-type]
    )  # fmt: skip
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        with pytest.raises(OutboxError) as caught:
            await outbox.put([*a_call("1"), broken], NOW)
        assert "Анна" not in str(caught.value)
        assert (await outbox.statistics()).waiting == 0


async def test_strange_letters_in_a_form(store_url: str) -> None:
    """NUL, half a surrogate and quotes come out as they went in; no database refuses them."""
    form = {"a": "\x00", "b": "\ud800", "c": "'; drop table request; --", "d": "\U0001f4de"}
    strange = CallbackRequest(key="k", call_id="c", extension="", step=Step.HANGUP, form=form, at=NOW)
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        await outbox.put([strange], NOW)
        (row,) = await lease(outbox)

    assert row.form == form


async def test_two_connectors_put_and_send_the_same_calls(store_url: str) -> None:
    """Both put everything and both lease at once: every request is had by exactly one, in order."""
    calls = [str(n) for n in range(8)]
    had: list[tuple[str, Step]] = []
    flying: set[str] = set()

    async def connector(outbox: Outbox, owner: str) -> None:
        for call in calls:
            for each in a_call(call):
                await outbox.put([each], NOW)
                for row in await lease(outbox, limit=2, owner=owner):
                    assert row.call_id not in flying
                    flying.add(row.call_id)
                    had.append((row.call_id, row.step))
                    await trio.lowlevel.checkpoint()
                    flying.discard(row.call_id)
                    assert await outbox.settle(row, Delivered(), NOW)

    async with open_outbox(OutboxSettings(url=store_url)) as one, open_outbox(OutboxSettings(url=store_url)) as two:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(connector, one, "one")
            nursery.start_soon(connector, two, "two")
        while rows := await lease(one):
            for row in rows:
                had.append((row.call_id, row.step))
                await one.settle(row, Delivered(), NOW)
        statistics = await two.statistics()

    assert (statistics.waiting, statistics.sending) == (0, 0)
    assert statistics.delivered + statistics.moot == len(calls) * len(INBOUND)
    assert len(had) == statistics.delivered
    for call in calls:
        steps = [step for call_id, step in had if call_id == f"main-{call}"]
        assert steps == [step for step in INBOUND if step in steps]


@pytest.mark.skipif(not wanted(), reason="SQLite has one writer at a time")
@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
async def test_a_request_that_becomes_moot_during_a_lease(store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connector that was frozen puts an answer beside the Hangup that was delivered long since, between two
    statements of another's lease: it is not sent, and later requests of the call are."""
    begin, answer, hangup, _ = a_call("1")
    look = leasing._set_moot_aside

    def look_too_early(connection: sa.Connection, now: float) -> None:
        look(connection, now)
        if not was_put:
            was_put.append(True)
            trio.from_thread.run(frozen.put, [answer, a_request("1", Step.RECORD)], NOW)

    was_put: list[bool] = []
    async with open_outbox(OutboxSettings(url=store_url)) as one, open_outbox(OutboxSettings(url=store_url)) as frozen:
        await one.put([begin, hangup], NOW)
        assert await steps_of(one) == ["1 DialBegin", "1 Hangup"]
        monkeypatch.setattr(leasing, "_set_moot_aside", look_too_early)
        assert await lease(one) == []
        assert await one.next_wake(NOW) == NOW
        assert await steps_of(one) == ["1 Record"]
        statistics = await one.statistics()

    assert (statistics.waiting, statistics.sending, statistics.moot) == (0, 0, 1)


async def test_every_commit_is_a_state_to_start_from(tmp_path: Path) -> None:
    """A power cut: the file as it is after any commit opens, and what was delivered in it is not sent again."""
    path = tmp_path / "c.db"
    copies: list[tuple[Path, int]] = []

    def copy(delivered: int) -> None:
        target = tmp_path / f"copy{len(copies)}"
        target.mkdir()
        for file in (path, path.with_name("c.db-wal")):
            shutil.copy(file, target)
        copies.append((target / "c.db", delivered))

    async with open_outbox(OutboxSettings(url=f"sqlite:///{path}")) as outbox:
        await outbox.put(a_call("1", [Step.DIAL_BEGIN, Step.HANGUP, Step.END_CALL]), NOW)
        copy(0)
        for delivered in range(3):
            (row,) = await lease(outbox)
            copy(delivered)
            await outbox.settle(row, Delivered(), NOW)
            copy(delivered + 1)

    for copied, delivered in copies:
        async with open_outbox(OutboxSettings(url=f"sqlite:///{copied}")) as outbox:
            sent = await steps_of(outbox, NOW + 70)
        assert sent == ["1 DialBegin", "1 Hangup", "1 EndCall"][delivered:]


async def test_a_cancelled_put_is_done_or_not_done(tmp_path: Path) -> None:
    """A transaction that began in its thread is finished, though its task was cancelled."""
    async with open_outbox(OutboxSettings(url=f"sqlite:///{tmp_path}/c.db")) as outbox:
        with trio.CancelScope() as scope:
            scope.cancel()
            await outbox.put(a_call("1"), NOW)
        assert (await outbox.statistics()).waiting == 0
        async with trio.open_nursery() as nursery:
            nursery.start_soon(outbox.put, a_call("2"), NOW)
            await trio.sleep(0.001)
            nursery.cancel_scope.cancel()
        assert (await outbox.statistics()).waiting in (0, 4)


async def test_personal_data_is_for_us_alone(tmp_path: Path) -> None:
    """The file and its companions can be read by their owner only."""
    async with open_outbox(OutboxSettings(url=f"sqlite:///{tmp_path}/c.db")) as outbox:
        await outbox.put(a_call("1"), NOW)
        modes = {name: os.stat(tmp_path / name).st_mode & 0o777 for name in os.listdir(tmp_path)}

    assert modes == {"c.db": 0o600, "c.db-wal": 0o600, "c.db-shm": 0o600}


def test_the_lease_reads_no_more_than_it_must() -> None:
    """Every search of the lease goes by an index, or a backlog of a day would stop the drain."""
    engine = sa.create_engine("sqlite://")
    metadata.create_all(engine)
    due = _due(NOW)
    queries = (
        due.where(request.c.created_at > NOW).order_by(request.c.created_at, request.c.id).limit(3),
        due.where(request.c.created_at <= NOW).order_by(request.c.next_try_at, request.c.id).limit(3),
        _heads().with_only_columns(request.c.next_try_at).order_by(request.c.next_try_at).limit(1),
    )
    with engine.connect() as connection:
        for query in queries:
            text = str(query.compile(engine, compile_kwargs={"literal_binds": True}))
            plan = [(parent, line) for _, parent, _, line in connection.execute(sa.text(f"EXPLAIN QUERY PLAN {text}"))]
            assert not [line for _, line in plan if line.startswith("SCAN")], plan
            # The rows of one call may be sorted, those of all calls may not.
            assert not [line for parent, line in plan if parent == 0 and "TEMP B-TREE" in line], plan
    engine.dispose()
