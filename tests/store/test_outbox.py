"""What the outbox promises: no doubles, order within a call, leases that end, nothing deleted too soon."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from tests.store.calls import LEASE, NOW, NUMBER, WHOLE, a_call, deliver, delivery, lease, log_of, recording_of, what
from uac_trio.calls.call import Direction
from uac_trio.calls.outcome import Outcome
from uac_trio.calls.participation import Role
from uac_trio.crm.delivery import Kind
from uac_trio.crm.protocol import PastBegin
from uac_trio.event_log import LogChanges
from uac_trio.store import (
    Delivered,
    Exchange,
    Exchanged,
    LeasedRow,
    LeaseRequest,
    OpenParticipation,
    Outbox,
    OutboxError,
    OutboxSettings,
    OutboxStatistics,
    Parked,
    Released,
    Retry,
    Settlement,
    Unknown,
    open_outbox,
)

DAY = 86400.0
BEGIN_END = (Kind.BEGIN, Kind.END)


async def only(outbox: Outbox, now: float = NOW, owner: str = "me") -> LeasedRow:
    """The one row that may be sent now."""
    (row,) = await lease(outbox, now, owner=owner)
    return row


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
    told = delivery(kind, **more)
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        assert await outbox.put([told], NOW + 5) == 1
        (row,) = await lease(outbox, NOW + 6)

    assert row.delivery == attrs.evolve(told, path="")
    assert (row.delivery.key, row.delivery.superseded_by) == (told.key, told.superseded_by)
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


async def test_one_delivery_of_a_call_at_a_time(store_url: str) -> None:
    """The oldest first; the next only when that one is settled. Different calls go side by side."""
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        await outbox.put([*a_call("main-1"), *a_call("main-2")], NOW)
        rows = await lease(outbox)
        assert [what(row) for row in rows] == ["main-1 begin", "main-2 begin"]
        assert await lease(outbox) == []
        await outbox.settle(rows[1], Delivered(), NOW)
        assert what(await only(outbox)) == "main-2 end"


async def test_the_limit_is_kept(store_url: str) -> None:
    """No more rows than asked for, and none for 0."""
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        await outbox.put([delivery(Kind.BEGIN, f"main-{n}") for n in range(9)], NOW)
        assert [len(await lease(outbox, limit=limit)) for limit in (0, 2, 3, 100)] == [0, 2, 3, 4]


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
        assert [part.call_id for part in await outbox.event_logs.of_pbx("main")] == ["main-1"]
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


async def test_a_retry_holds_its_call_back_and_no_other(store_url: str) -> None:
    """Until its time, which survives in the row; the attempts are counted as the sender counts them."""
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        await outbox.put(a_call("main-1", [Kind.END, Kind.RECORDING]), NOW)
        row = await only(outbox)
        await outbox.settle(row, Retry(at=NOW + 30, reason="500", attempt=1), NOW)
        await outbox.put([delivery(Kind.BEGIN, "main-2")], NOW)
        assert await deliver(outbox) == ["main-2 begin"]
        assert await outbox.next_wake(NOW) == NOW + 30
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        assert await lease(outbox, NOW + 29) == []
        row = await only(outbox, NOW + 30)
        assert (what(row), row.attempt, row.in_doubt) == ("main-1 end", 2, False)
        # Everybody's trouble is not this one's.
        await outbox.settle(row, Retry(at=NOW + 30, reason="502", attempt=1), NOW)
        row = await only(outbox, NOW + 30)
        assert row.attempt == 2
        await outbox.settle(row, Delivered(), NOW)
        assert await deliver(outbox, NOW + 30) == ["main-1 recording"]


@pytest.mark.parametrize(
    ("settlement", "attempt", "in_doubt"),
    [
        (Retry(at=NOW, reason="500", attempt=1, accepted=1), 2, False),
        (Retry(at=NOW, reason="away", attempt=0, accepted=1), 1, False),
        (Unknown(until=NOW, reason="no reply", accepted=1), 2, True),
    ],
)
async def test_progress_is_kept(store_url: str, settlement: Settlement, attempt: int, in_doubt: bool) -> None:
    """Of a delivery that needs several requests, those that the CRM accepted are known to whoever sends it next."""
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        await outbox.put([delivery(Kind.END)], NOW)
        await outbox.settle(await only(outbox), settlement, NOW)
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        row = await only(outbox, owner="another")
        assert (row.accepted, row.attempt, row.in_doubt) == (1, attempt, in_doubt)
        # Not sent after all: nothing of it is forgotten.
        await outbox.settle(row, Released(), NOW)
        again = await only(outbox)
    assert (again.accepted, again.attempt, again.in_doubt) == (1, attempt, in_doubt)


async def test_a_lease_that_is_given_back(store_url: str) -> None:
    """As if it had not been: it can be had at once, is no attempt, and its call waits for it."""
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        await outbox.put(a_call(), NOW)
        row = await only(outbox)
        assert await outbox.settle(row, Released(), NOW)
        assert await outbox.next_wake(NOW) == NOW
        again = await only(outbox, owner="another")
        assert (what(again), again.attempt, again.leased_by) == ("main-1 begin", 1, "another")
        assert not await outbox.settle(row, Delivered(), NOW)


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


async def test_a_superseded_delivery_is_left_out(store_url: str) -> None:
    """An ANSWER is not sent once the END of that part is known, but is while it is not."""
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        await outbox.put([*a_call("main-1"), *a_call("main-2", WHOLE[:2])], NOW)
        sent = await deliver(outbox)
        assert [each for each in sent if "main-1" in each] == ["main-1 begin", "main-1 end"]
        assert [each for each in sent if "main-2" in each] == ["main-2 begin", "main-2 answer"]
        assert (await outbox.statistics()).superseded == 1


@pytest.mark.parametrize(
    ("kinds", "sent"),
    [
        ([Kind.ANSWER, Kind.END], ["main-1 answer", "main-1 end"]),
        ([Kind.END, Kind.ANSWER], ["main-1 end"]),
    ],
    ids=["before its end", "after it"],
)
async def test_the_answer_of_a_whole_call(store_url: str, kinds: list[Kind], sent: list[str]) -> None:
    """One that a connector puts after the END, which another one put, would open the row again. One before it says
    whose the row is."""
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        for kind in kinds:
            await outbox.put([delivery(kind, subject="", occurrence="1")], NOW)
        assert await deliver(outbox) == sent


@pytest.mark.parametrize(
    "end",
    [
        delivery(Kind.END, extension="102"),
        delivery(Kind.END, occurrence="2"),
        delivery(Kind.END, "main-2"),
    ],
)
async def test_the_end_of_another_supersedes_nothing(store_url: str, end: object) -> None:
    """Of another employee, another part, another call."""
    assert isinstance(end, type(delivery(Kind.END)))
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        await outbox.put([delivery(Kind.ANSWER), end], NOW)
        assert "main-1 answer" in await deliver(outbox)


async def test_more_superseded_rows_than_a_lease_looks_at(store_url: str) -> None:
    """After an outage many are so at once: none is sent, and what is behind them is found by the same lease."""
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        calls = [a_call(f"main-{n}", WHOLE[1:]) for n in range(50)]
        await outbox.put([each for call in calls for each in call], NOW - 300)
        await outbox.put([delivery(Kind.BEGIN, "main-last")], NOW - 299)
        rows = await lease(outbox, limit=51)
        assert [what(row) for row in rows] == [*(f"main-{n} end" for n in range(50)), "main-last begin"]
        assert (await outbox.statistics()).superseded == 50


async def test_an_unknown_outcome_rests_and_is_sent_again(store_url: str) -> None:
    """The whole call rests meanwhile: the CRM may still be at work on it. Then it is in doubt; the sender decides."""
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        await outbox.put(a_call("main-1", BEGIN_END), NOW)
        await outbox.settle(await only(outbox), Unknown(until=NOW + 60, reason="no reply"), NOW)
        assert await lease(outbox, NOW + 59) == []
        assert await outbox.next_wake(NOW) == NOW + 60
        row = await only(outbox, NOW + 60)
        assert (what(row), row.attempt, row.in_doubt) == ("main-1 begin", 2, True)
        await outbox.settle(row, Retry(at=NOW + 60, reason="500", attempt=2), NOW + 60)
        assert not (await only(outbox, NOW + 60)).in_doubt  # it is known now that this one was not applied


async def test_the_lease_of_a_dead_process_is_taken_over(store_url: str) -> None:
    """When it runs out, not before, in doubt; and what the dead one says afterwards does not count."""
    async with open_outbox(OutboxSettings(url=store_url)) as dead, open_outbox(OutboxSettings(url=store_url)) as heir:
        await dead.put(a_call("main-1", BEGIN_END), NOW)
        lost = await only(dead, owner="dead")
        assert await lease(heir, NOW + 69, owner="heir") == []
        row = await only(heir, NOW + 70, owner="heir")
        assert (row.delivery.key, row.attempt, row.in_doubt) == (lost.delivery.key, 2, True)
        assert not await dead.settle(lost, Delivered(), NOW + 71)
        assert not await dead.settle(lost, Retry(at=NOW, reason="late", attempt=1), NOW + 71)
        assert not await dead.settle(lost, Released(), NOW + 71)
        assert await lease(heir, NOW + 71, owner="heir") == []
        assert await heir.settle(row, Delivered(), NOW + 72)
        assert not await heir.settle(row, Delivered(), NOW + 72)


async def test_a_late_answer_that_nobody_overtook(store_url: str) -> None:
    """A lease that ran out is good for an answer as long as nobody else has the row."""
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        await outbox.put(a_call("main-1", [Kind.END]), NOW)
        assert await outbox.settle(await only(outbox), Delivered(), NOW + 500)
        assert await deliver(outbox, NOW + 500) == []


async def test_an_old_lease_settles_nothing(store_url: str) -> None:
    """Neither that of another owner with the same count of attempts, nor an earlier one of the same owner."""
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        await outbox.put(a_call("main-1", [Kind.END]), NOW)
        first = await only(outbox, NOW, owner="one")
        second = await only(outbox, NOW + 100, owner="two")
        third = await only(outbox, NOW + 200, owner="two")
        assert not await outbox.settle(second, Delivered(), NOW + 201)
        await outbox.settle(third, Parked(reason="no"), NOW + 201)
        await outbox.retry(third.id, NOW + 201)
        fourth = await only(outbox, NOW + 202, owner="two")
        assert fourth.attempt == first.attempt
        assert not await outbox.settle(first, Delivered(), NOW + 203)
        assert await outbox.settle(fourth, Delivered(), NOW + 203)


async def test_what_is_lost_among_what_is_not(store_url: str) -> None:
    """Of several settlements at once those count whose lease is still ours; the others are named."""
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        await outbox.put([delivery(Kind.END, f"main-{n}") for n in range(4)], NOW)
        lost = await lease(outbox, limit=2, owner="slow")
        await lease(outbox, NOW + 80, limit=2, owner="quick")
        kept = await lease(outbox, NOW + 80, limit=2, owner="slow")
        outcomes: list[Settlement] = [
            Delivered(), Retry(at=NOW, reason="500", attempt=1), Delivered(), Parked(reason="no")
        ]  # fmt: skip
        pairs = list(zip([lost[0], lost[1], *kept], outcomes, strict=True))
        exchanged = await outbox.exchange(Exchange(settle=pairs), NOW + 81)
        statistics = await outbox.statistics()

    assert exchanged.lost == tuple(lost)
    assert (statistics.sending, statistics.delivered, statistics.parked) == (2, 1, 1)


async def test_a_new_call_goes_before_the_backlog(store_url: str) -> None:
    """Of the last minute first what begins a popup, then the rest, then what is due longest."""
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        for n in range(4):
            await outbox.put(a_call(f"main-old{n}", BEGIN_END), NOW - 300 + n)
        await outbox.put(a_call("main-ending", [Kind.END]), NOW - 10)
        await outbox.put(a_call("main-new", [Kind.BEGIN]), NOW - 5)
        rows = await lease(outbox, limit=4)

    assert [row.delivery.call_id for row in rows] == ["main-new", "main-ending", "main-old0", "main-old1"]
    assert [row.is_news for row in rows] == [True, False, False, False]


async def test_the_order_of_many(store_url: str) -> None:
    """It is that of their times, however many are leased at once."""
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        order = [(n * 37) % 101 for n in range(101)]
        for n in order:
            await outbox.put([delivery(Kind.END, f"main-{n}")], NOW - 500 + n)
        rows = await lease(outbox, limit=80)
    assert [row.delivery.call_id for row in rows] == [f"main-{n}" for n in range(80)]


async def test_a_call_that_is_over_is_no_news(store_url: str) -> None:
    """The popup of a call that still rings goes before one of a call whose END is there already."""
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        await outbox.put(a_call("main-over"), NOW)
        await outbox.put([delivery(Kind.RECORDING, "main-over"), delivery(Kind.BEGIN, "main-rings")], NOW + 1)
        (row,) = await lease(outbox, NOW + 2, limit=1)
        assert (row.delivery.call_id, row.is_news) == ("main-rings", True)
        # Another employee's END is not this one's.
        group = [delivery(Kind.BEGIN, "main-group", "101"), delivery(Kind.END, "main-group", "102")]
        await outbox.put(group, NOW + 2)
        (row,) = await lease(outbox, NOW + 2, limit=1)
        assert (row.delivery.call_id, row.is_news) == ("main-group", True)
        (row,) = await lease(outbox, NOW + 2, limit=1)
        assert (row.delivery.call_id, row.is_news) == ("main-over", False)


@pytest.mark.parametrize("age", [0, 600])
async def test_a_call_that_was_begun_goes_on(store_url: str, age: float) -> None:
    """Its next delivery goes before what other calls have to say, but not before a popup of the moment."""
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        for call in ("main-1", "main-2", "main-3"):
            await outbox.put(a_call(call, [*WHOLE, Kind.RECORDING]), NOW - age)
        (row,) = await lease(outbox, limit=1)
        assert what(row) == "main-1 begin"
        await outbox.settle(row, Delivered(), NOW)
        (row,) = await lease(outbox, limit=1, begun=["main-1", "main-none"])
        assert what(row) == "main-1 end"
        await outbox.settle(row, Delivered(), NOW)
        await outbox.put(a_call("main-new", [Kind.BEGIN]), NOW)
        rows = await lease(outbox, limit=3, begun=["main-1"])
        assert [what(row) for row in rows] == ["main-new begin", "main-1 recording", "main-2 begin"]


async def test_begun_calls_leave_room_for_others(store_url: str) -> None:
    """They count once, though they are of the last minute as well: as many rows come as were asked for."""
    begun = [f"main-{n}" for n in range(5)]
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        await outbox.put([delivery(Kind.END, "main-old")], NOW - 900)
        await outbox.put([delivery(Kind.END, call) for call in begun], NOW)
        rows = await lease(outbox, limit=6, begun=begun)
    assert [row.delivery.call_id for row in rows] == [*begun, "main-old"]


async def test_next_wake(store_url: str) -> None:
    """Nothing to do: never; due: now; all in flight: when the lease ends."""
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        assert await outbox.next_wake(NOW) is None
        await outbox.put(a_call("main-1"), NOW)
        assert await outbox.next_wake(NOW + 9) == NOW + 9
        await lease(outbox)
        assert await outbox.next_wake(NOW) == NOW + 70


async def test_a_clock_that_was_set_back(store_url: str) -> None:
    """What waits, or is leased, for longer than can be, is due now; what merely waits is left alone."""
    ahead = NOW + 365 * DAY
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        await outbox.put([delivery(Kind.END, "main-1"), delivery(Kind.END, "main-2")], ahead)
        (leased,) = await lease(outbox, ahead, limit=1)
        await outbox.put([delivery(Kind.END, "main-3")], NOW)
        await outbox.settle(await only(outbox), Retry(at=NOW + DAY, reason="500", attempt=1), NOW)
        assert await lease(outbox) == []
        await outbox.mend_times(NOW, 2 * DAY)
        assert await outbox.next_wake(NOW) == NOW
        rows = await lease(outbox)
        assert {(what(row), row.in_doubt) for row in rows} == {("main-1 end", True), ("main-2 end", False)}
        assert not await outbox.settle(leased, Delivered(), NOW)
        assert await outbox.next_wake(NOW) == NOW + LEASE
        await outbox.mend_times(NOW, 2 * DAY)
        assert await lease(outbox) == []


async def test_past_begins(store_url: str) -> None:
    """Which extensions' BEGINs were accepted, and how, the latest last."""
    outcomes: list[tuple[str, Settlement]] = [
        ("101", Delivered()),
        ("102", Delivered(reason="HTTP 500", is_probable=True)),
        ("101", Delivered(reason="PHP prints warnings")),
        ("103", Parked(reason="no")),
    ]
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        for n, (extension, outcome) in enumerate(outcomes):
            await outbox.put(a_call(f"main-{n}", WHOLE[:2], extension), NOW)
            for ends in (outcome, Delivered()):
                assert await outbox.settle(await only(outbox), ends, NOW)
        assert await outbox.past_begins() == [
            PastBegin(extension="102", is_probable=True),
            PastBegin(extension="101", is_probable=False),
        ]


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
        # Of a call as a whole, whoever was answered in it.
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


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        ("x\0y", "xy"),
        ("\0", ""),
        ("Анна\0\ud800", "Анна?"),
        ("\udcff", "?"),
        ("'; drop table delivery; --", "'; drop table delivery; --"),
        ("\U0001f4de", "\U0001f4de"),
    ],
)
async def test_text_that_a_database_would_refuse(store_url: str, told: str, kept: str) -> None:
    """What a stranger calls himself, and what a CRM answers, may hold anything: it is stored as far as it can be."""
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        begin = delivery(Kind.BEGIN, customer_name=told, line=told, customer=told)
        assert await outbox.put([begin], NOW, [recording_of("main-1", told)]) == 1
        row = await only(outbox)
        assert (row.delivery.customer_name, row.delivery.line, row.delivery.customer) == (kept, kept, kept)
        assert row.delivery.key == begin.key
        assert await outbox.settle(row, Retry(at=NOW, reason=told, attempt=1), NOW)
        assert await outbox.settle(await only(outbox), Parked(reason=told), NOW)
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


async def test_a_lease_of_whole_calls(store_url: str) -> None:
    """With the first row of a call what waits behind it, in order: a call that is over is delivered in one go."""
    wanted = LeaseRequest(owner="me", limit=2, seconds=LEASE, with_rest=True)
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        await outbox.put([*a_call("main-1"), *a_call("main-1", BEGIN_END, "102"), *a_call("main-2")], NOW)
        await outbox.put(a_call("main-3"), NOW)
        first, second = await outbox.lease(wanted, NOW)
        assert [what(row) for row in (first, *first.then)] == ["main-1 begin", "main-1 end"] * 2
        assert [each.delivery.extension for each in (first, *first.then)] == ["101", "101", "102", "102"]
        assert [what(row) for row in (second, *second.then)] == ["main-2 begin", "main-2 end"]
        assert (await outbox.statistics()).superseded == 2
        assert [what(row) for row in await lease(outbox)] == ["main-3 begin"]
        for row in (first, *first.then):
            assert await outbox.settle(row, Delivered(), NOW)


async def test_a_lease_of_a_whole_call_that_goes_on(store_url: str) -> None:
    """An ANSWER whose END may come before its turn does stays behind, and all that follows it."""
    wanted = LeaseRequest(owner="me", limit=1, seconds=LEASE, with_rest=True)
    answered = [Kind.BEGIN, Kind.ANSWER]
    rings, talks = delivery(Kind.BEGIN, extension="102"), a_call(kinds=answered)
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        await outbox.put([rings, *talks, *a_call(kinds=answered, extension="103")], NOW)
        (row,) = await outbox.lease(wanted, NOW)
        assert [each.delivery.extension for each in (row, *row.then)] == ["102", "101"]
