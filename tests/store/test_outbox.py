"""What the outbox promises: no doubles, all or nothing, counts, nothing deleted too soon."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from tests.store.calls import (
    LEASE,
    NOW,
    NUMBER,
    WHOLE,
    a_call,
    deliver,
    delivery,
    lease,
    log_of,
    only,
    recording_of,
    what,
)
from uac_trio.calls.call import Direction
from uac_trio.calls.outcome import Outcome
from uac_trio.calls.participation import Role
from uac_trio.crm.delivery import Kind
from uac_trio.event_log import LogChanges
from uac_trio.store.outbox import Exchange, open_outbox
from uac_trio.store.rows import (
    Delivered,
    Exchanged,
    LeaseRequest,
    OpenParticipation,
    OutboxStatistics,
    Parked,
    Retry,
    Settlement,
)
from uac_trio.store.settings import OutboxError, OutboxSettings

DAY = 86400.0
BEGIN_END = (Kind.BEGIN, Kind.END)


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize(
    "more",
    [
        {},
        {"subject": "", "extension": "", "role": Role.CALLER, "direction": Direction.OUTBOUND, "customer": ""},
        {"direction": Direction.INTERNAL, "customer": "102", "occurrence": "2", "at": NOW + 0.123456},
    ],
)
async def test_a_delivery_comes_out_as_it_went_in(store_url: str, kind: Kind, more: dict[str, Any]) -> None:
    """Every field, every letter, but the path of a file, which is the recording's."""
    given = delivery(kind, **more)
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        assert await outbox.put([given], NOW + 5) == 1
        (row,) = await lease(outbox, NOW + 6)

    assert row.delivery == attrs.evolve(given, path="")
    assert (row.delivery.key, row.delivery.superseded_by) == (given.key, given.superseded_by)
    assert (row.attempt, row.leased_by, row.leased_until, row.created_at) == (1, "me", NOW + 76, NOW + 5)
    assert (row.accepted, row.in_doubt) == (0, False)


@pytest.mark.parametrize("outcome", Outcome)
async def test_every_outcome(store_url: str, outcome: Outcome) -> None:
    """Comes out as it went in."""
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        await outbox.put([delivery(Kind.END, outcome=outcome)], NOW)
        assert (await only(outbox)).delivery.outcome is outcome


async def test_doubles_are_dropped(store_url: str) -> None:
    """By key alone: within a batch, between batches, after delivery and from another connector."""
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        assert await outbox.put([*a_call("main-1"), *a_call("main-1")], NOW) == 3
        assert await outbox.put([*a_call("main-1"), delivery(Kind.BEGIN, "main-2")], NOW) == 1
        await deliver(outbox)
        async with open_outbox(OutboxSettings(url=store_url)) as other:
            assert await other.put(a_call("main-1"), NOW) == 0
        assert await outbox.put([], NOW) == 0
        assert await lease(outbox) == []


async def test_all_in_one_transaction(store_url: str) -> None:
    """What is put can be leased at once, and what is settled lets its call go on in the same breath."""
    wanted = LeaseRequest(owner="me", limit=2, seconds=LEASE)
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        first = await outbox.exchange(Exchange(put=a_call("main-1", BEGIN_END), lease=wanted), NOW)
        assert (first.new, [what(row) for row in first.leased], first.lost) == (2, ["main-1 begin"], ())
        assert first.next_wake == NOW + LEASE
        second = await outbox.exchange(
            Exchange(
                put=a_call("main-2", [Kind.BEGIN]),
                recordings=[recording_of("main-1", is_awaited=True)],
                logs=[LogChanges(run="one", added=[log_of("main-1", 1)])],
                settle=[(first.leased[0], Delivered())],
                lease=wanted,
            ),
            NOW,
        )
        assert (second.new, [what(row) for row in second.leased]) == (1, ["main-2 begin", "main-1 end"])
        assert second.next_wake is None  # as many as were asked for: ask again
        assert len(await outbox.recordings.awaited("main")) == 1
        assert [part.call_id for part in await outbox.event_logs.of_pbx("main", 0.0)] == ["main-1"]
        assert await outbox.exchange(Exchange(), NOW) == Exchanged()


async def test_all_or_nothing(store_url: str) -> None:
    """A delivery that no database takes does not leave half a call behind, nor what came with it."""
    broken = delivery(Kind.END, "main-2", at=None)
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        await outbox.put(a_call("main-0"), NOW)
        row = await only(outbox)
        with pytest.raises(OutboxError) as caught:
            await outbox.exchange(Exchange(put=[*a_call("main-1"), broken], settle=[(row, Delivered())]), NOW)
        assert "Анна" not in str(caught.value)
        assert NUMBER not in str(caught.value)
        statistics = await outbox.statistics()
    assert (statistics.waiting, statistics.sending, statistics.delivered) == (2, 1, 0)


async def test_statistics(store_url: str) -> None:
    """Counts by state, and the age of what waits longest."""
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        empty = await outbox.statistics()
        await outbox.put([*a_call("main-1"), *a_call("main-2")], NOW)
        await outbox.put(a_call("main-3"), NOW + 1)
        outcomes: tuple[Settlement, ...] = (Delivered(), Parked(reason="no"))
        for row, outcome in zip(await lease(outbox, limit=2), outcomes, strict=True):
            await outbox.settle(row, outcome, NOW)
        (row,) = await lease(outbox, limit=1, begun=["main-1"])
        assert what(row) == "main-1 end"
        full = await outbox.statistics()

    assert empty == OutboxStatistics(
        waiting=0, sending=0, parked=0, delivered=0, superseded=0, oldest_waiting_at=None
    )  # fmt: skip
    assert full == OutboxStatistics(waiting=4, sending=1, parked=1, delivered=1, superseded=2, oldest_waiting_at=NOW)


async def test_open_participations(store_url: str) -> None:
    """What has a BEGIN and no END after it, of this PBX alone; with the answer, if there was one."""
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        await outbox.put(a_call("main-over"), NOW)
        await outbox.put(a_call("main-talking", WHOLE[:2]), NOW)
        await outbox.put([delivery(Kind.BEGIN, "main-group", ext) for ext in ("101", "102")], NOW)
        await outbox.put([delivery(Kind.END, "main-group", "101")], NOW)
        # 103 was rung twice by a queue: the first time is over, the second is not.
        queue = ((1, Kind.BEGIN), (1, Kind.END), (2, Kind.BEGIN), (3, Kind.BEGIN))
        for n, kind in queue:
            await outbox.put([delivery(kind, "main-queue", "103", occurrence=str(n), at=NOW + n)], NOW)
        # Of a call as a whole, whichever employee answered it.
        await outbox.put([delivery(kind, "main-stock", subject="") for kind in BEGIN_END], NOW)
        of_102 = delivery(Kind.ANSWER, "main-stock2", "102", subject="", occurrence="102.1", at=NOW + 2)
        await outbox.put([delivery(Kind.BEGIN, "main-stock2", subject=""), of_102], NOW)
        await outbox.put([delivery(Kind.BEGIN, "branch-1")], NOW)
        await deliver(outbox)
        found = await outbox.open_participations("main")
        assert await outbox.open_participations("MAIN") == []
        assert await outbox.open_participations("mai_") == []

    assert [(each.begin.call_id, each.begin.subject, each.begin.at, each.answered_at) for each in found] == [
        ("main-talking", "101", NOW, NOW),
        ("main-group", "102", NOW, None),
        ("main-queue", "103", NOW + 2, None),
        ("main-stock2", "", NOW, NOW + 2),
    ]
    assert found[0] == OpenParticipation(begin=delivery(Kind.BEGIN, "main-talking"), answered_at=NOW)


async def test_what_was_never_shown_is_not_open(store_url: str) -> None:
    """A BEGIN that an administrator dropped needs no END; one that waits, is in flight or a dead letter does."""
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        calls = ["main-dropped", "main-parked", "main-sending", "main-waiting"]
        await outbox.put([delivery(Kind.BEGIN, call) for call in calls], NOW)
        rows = await lease(outbox, limit=3)
        for row in rows[:2]:
            await outbox.settle(row, Parked(reason="no"), NOW)
        assert await outbox.drop(rows[0].id, NOW)
        assert [each.begin.call_id for each in await outbox.open_participations("main")] == calls[1:]


async def test_purge_takes_whole_calls_that_are_over(store_url: str) -> None:
    """Delivered long ago and ended. Not: lately delivered, unended, waiting, or with a dead letter."""
    calls = [f"main-{name}" for name in ("old", "fresh", "talking", "parked", "waiting")]
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        for call in calls:
            kinds = WHOLE[:2] if call == "main-talking" else [*WHOLE, Kind.RECORDING]
            await outbox.put(a_call(call, kinds), NOW)
        while rows := await lease(outbox):
            for row in rows:
                outcome: Settlement = Delivered()
                if what(row) == "main-parked end":
                    outcome = Parked(reason="no")
                if what(row) == "main-waiting recording":
                    outcome = Retry(at=NOW + 99 * DAY, reason="no", attempt=1)
                late = what(row) == "main-fresh recording"
                await outbox.settle(row, outcome, NOW + DAY * late)
        assert await outbox.purge(NOW) == 0
        assert await outbox.purge(NOW + 1) == 4
        assert await outbox.put(a_call(calls[0]), NOW) == 3
        for call in calls[1:]:
            assert await outbox.put(a_call(call, WHOLE[:1]), NOW) == 0, call
        await deliver(outbox)
        assert await outbox.purge(NOW + 2 * DAY) == 7


async def test_purge_of_more_calls_than_one_statement_takes(store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """All go, in several short transactions."""
    monkeypatch.setattr("uac_trio.store.deliveries.CHUNK", 10)
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        await outbox.put([delivery(Kind.END, f"main-{n}") for n in range(25)], NOW)
        await deliver(outbox)
        assert await outbox.purge(NOW + 1) == 25


async def test_what_is_purged_is_overwritten(tmp_path: Path) -> None:
    """Personal data does not stay in free pages of the file."""
    async with open_outbox(OutboxSettings(url=f"sqlite:///{tmp_path}/c.db")) as outbox:
        await outbox.put([delivery(Kind.END, f"main-{n}") for n in range(50)], NOW)
        await deliver(outbox)
        await outbox.purge(NOW + 1)

    assert NUMBER.encode() not in (tmp_path / "c.db").read_bytes()
    assert os.listdir(tmp_path) == ["c.db"]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("x\0y", "xy"),
        ("\0", ""),
        ("Анна\0\ud800", "Анна?"),
        ("\udcff", "?"),
        ("'; drop table delivery; --", "'; drop table delivery; --"),
        ("\U0001f4de", "\U0001f4de"),
    ],
)
async def test_text_that_a_database_would_refuse(store_url: str, given: str, kept: str) -> None:
    """A caller's name and a CRM's answer may hold anything: they are stored as far as they can be."""
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        begin = delivery(Kind.BEGIN, customer_name=given, line=given, customer=given)
        assert await outbox.put([begin], NOW, [recording_of("main-1", given)]) == 1
        row = await only(outbox)
        assert (row.delivery.customer_name, row.delivery.line, row.delivery.customer) == (kept, kept, kept)
        assert row.delivery.key == begin.key
        assert await outbox.settle(row, Retry(at=NOW, reason=given, attempt=1), NOW)
        assert await outbox.settle(await only(outbox), Parked(reason=given), NOW)
        (parked,) = await outbox.parked()
    assert parked.reason == kept


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
        await outbox.put(a_call("main-1", [*BEGIN_END, Kind.RECORDING]), NOW)
        copy(0)
        for delivered in range(3):
            row = await only(outbox)
            copy(delivered)
            await outbox.settle(row, Delivered(), NOW)
            copy(delivered + 1)

    for copied, delivered in copies:
        async with open_outbox(OutboxSettings(url=f"sqlite:///{copied}")) as outbox:
            sent = await deliver(outbox, NOW + 70)
        assert sent == ["main-1 begin", "main-1 end", "main-1 recording"][delivered:]


async def test_a_cancelled_put_is_done_or_not_done(tmp_path: Path) -> None:
    """A transaction that began in its thread is finished, though its task was cancelled."""
    async with open_outbox(OutboxSettings(url=f"sqlite:///{tmp_path}/c.db")) as outbox:
        with trio.CancelScope() as scope:
            scope.cancel()
            await outbox.put(a_call("main-1"), NOW)
        assert (await outbox.statistics()).waiting == 0
        async with trio.open_nursery() as nursery:
            nursery.start_soon(outbox.put, a_call("main-2"), NOW)
            await trio.sleep(0.001)
            nursery.cancel_scope.cancel()
        assert (await outbox.statistics()).waiting in (0, 3)


async def test_personal_data_is_for_us_alone(tmp_path: Path) -> None:
    """The file and its companions can be read by their owner only."""
    async with open_outbox(OutboxSettings(url=f"sqlite:///{tmp_path}/c.db")) as outbox:
        await outbox.put(a_call("main-1"), NOW)
        modes = {name: os.stat(tmp_path / name).st_mode & 0o777 for name in os.listdir(tmp_path)}

    assert modes == {"c.db": 0o600, "c.db-wal": 0o600, "c.db-shm": 0o600}
