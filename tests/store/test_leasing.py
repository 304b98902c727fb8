"""What is leased, in which order, and how leases end."""

from __future__ import annotations

import pytest

from tests.store.calls import (
    LEASE,
    NOW,
    WHOLE,
    a_call,
    deliver,
    delivery,
    lease,
    only,
    what,
)
from uac_trio.crm.delivery import Kind
from uac_trio.crm.protocol import PastBegin
from uac_trio.store.leasing import NEWEST
from uac_trio.store.outbox import Exchange, open_outbox
from uac_trio.store.rows import Delivered, LeaseRequest, Parked, Released, Retry, Settlement, Unknown
from uac_trio.store.settings import OutboxSettings

DAY = 86400.0
BEGIN_END = (Kind.BEGIN, Kind.END)


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
        # A fault of the whole CRM does not use up a try of this row.
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
    """Of a delivery that needs several requests, the next sender knows those that the CRM accepted."""
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


async def test_a_late_answer_without_another_sender(store_url: str) -> None:
    """A lease that ran out is good for an answer as long as no other sender has the row."""
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


async def test_more_news_than_go_before_the_backlog(store_url: str) -> None:
    """Of a crowd of new calls the newest go first, in their order; those beyond are backlog."""
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        await outbox.put([delivery(Kind.BEGIN, f"main-{n}") for n in range(NEWEST + 2)], NOW)
        rows = await lease(outbox, limit=NEWEST + 2)
    assert [row.delivery.call_id for row in rows] == [f"main-{n}" for n in (*range(2, NEWEST + 2), 0, 1)]
    assert [row.is_news for row in rows] == [True] * NEWEST + [False] * 2


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
