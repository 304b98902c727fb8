"""The order within a call, as a property: whatever fails, dies and is restarted, in whatever interleaving."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from contextlib import AsyncExitStack
from pathlib import Path

import attrs
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.store.calls import LEASE, NOW, a_call
from uac_trio.crm.delivery import Kind
from uac_trio.store.outbox import Outbox, open_outbox
from uac_trio.store.rows import Delivered, LeasedRow, LeaseRequest, Parked, Released, Retry, Unknown
from uac_trio.store.settings import OutboxSettings

KINDS = (Kind.BEGIN, Kind.ANSWER, Kind.END, Kind.RECORDING)


@attrs.define
class Observer:
    """What a CRM would see: who is at work on which call, which deliveries have come, in which order."""

    flying: dict[str, tuple[str, float]] = attrs.field(factory=dict)  # call -> key, until when it may be at work
    seen: dict[str, list[Kind]] = attrs.field(factory=lambda: defaultdict(list))
    doubtful: dict[str, bool] = attrs.field(factory=dict)  # key -> whether its last sending may have been applied
    accepted: dict[str, int] = attrs.field(factory=dict)  # key -> how many of its requests

    def begin(self, row: LeasedRow, now: float) -> None:
        call, kind, key = row.delivery.call_id, row.delivery.kind, row.delivery.key
        _, until = self.flying.get(call, ("", 0.0))
        assert until <= now, f"two deliveries of {call} at once"
        earlier = self.seen[call]
        assert not earlier or KINDS.index(kind) >= KINDS.index(earlier[-1]), f"{kind} after {earlier}"
        assert row.in_doubt == self.doubtful.get(key, False), f"{key} in doubt"
        assert row.accepted == self.accepted.get(key, 0), f"progress of {key}"
        earlier.append(kind)
        self.flying[call] = (key, row.leased_until)
        self.doubtful[key] = True  # until something else is known


MOVES = st.lists(
    st.tuples(
        st.sampled_from(["lease", "put", "deliver", "wait", "retry", "unknown", "park", "release", "restart"]),
        st.integers(0, 3),
    ),
    min_size=10,
    max_size=50,
)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
@given(MOVES)
async def test_order_whatever_happens(moves: list[tuple[str, int]]) -> None:
    """Never two deliveries of a call at once, never an earlier after a later one, in doubt where no reply came, with
    the progress that is known; and all settles in the end, with everything of every call seen that was not superseded.
    """
    calls = [a_call(f"main-{call}", KINDS) for call in range(3)]
    put = [0, 0, 0]
    observer, leased, now = Observer(), list[LeasedRow](), NOW
    parked = set[str]()

    with tempfile.TemporaryDirectory() as directory:
        chosen = OutboxSettings(url=f"sqlite:///{Path(directory)}/c.db")
        async with AsyncExitStack() as stack:
            boxes = [await stack.enter_async_context(open_outbox(chosen)) for _ in range(2)]

            async def settle(which: int, outcome: Delivered | Parked | Released | Retry | Unknown) -> None:
                if leased:
                    row = leased.pop(which % len(leased))
                    call, key = row.delivery.call_id, row.delivery.key
                    in_time = now < row.leased_until
                    settled = await boxes[which % 2].settle(row, outcome, now)
                    assert settled or not in_time
                    if settled:
                        until = outcome.until if isinstance(outcome, Unknown) else now
                        observer.flying[call] = (key, until)
                        if isinstance(outcome, Retry | Unknown):
                            observer.accepted[key] = outcome.accepted
                        if isinstance(outcome, Retry | Released):
                            observer.seen[call].pop()  # it says: this was not applied
                            observer.doubtful[key] = isinstance(outcome, Released) and row.in_doubt
                        if isinstance(outcome, Parked):
                            parked.add(key)

            for move, which in moves:
                match move:
                    case "put":
                        call = which % 3
                        put[call] = min(put[call] + 1 + which, len(KINDS))
                        await boxes[which % 2].put(calls[call][: put[call]], now)
                    case "lease":
                        wanted = LeaseRequest(
                            owner=f"box {which % 2}", limit=1 + which, seconds=LEASE, begun=(f"main-{which}",)
                        )
                        for row in await boxes[which % 2].lease(wanted, now):
                            observer.begin(row, now)
                            leased.append(row)
                    case "deliver":
                        await settle(which, Delivered())
                    case "park":
                        await settle(which, Parked(reason="refused"))
                    case "retry":
                        await settle(which, Retry(at=now + which, reason="500", attempt=1, accepted=which))
                    case "unknown":
                        await settle(which, Unknown(until=now + 60, reason="no reply", accepted=which))
                    case "release":
                        await settle(which, Released())
                    case "wait":
                        now += (1.0, 5.0, 40.0, 80.0)[which]
                    case "restart":
                        boxes[which % 2] = await stack.enter_async_context(open_outbox(chosen))
                        leased.clear()
                    case _:
                        raise AssertionError(move)

            await boxes[0].put([each for call in calls for each in call], now)
            await drain(boxes[1], observer, now + 100)
            statistics = await boxes[0].statistics()

    assert (statistics.waiting, statistics.sending, statistics.parked) == (0, 0, len(parked))
    for n in range(3):
        assert set(KINDS) - set(observer.seen[f"main-{n}"]) <= {Kind.ANSWER}


async def drain(outbox: Outbox, observer: Observer, now: float) -> None:
    """Deliver all that is left, as a sender does after everything has calmed down."""
    while (wake := await outbox.next_wake(now)) is not None:
        now = max(now, wake)
        for row in await outbox.lease(LeaseRequest(owner="drain", limit=2, seconds=LEASE), now):
            observer.begin(row, now)
            assert await outbox.settle(row, Delivered(), now)
            observer.flying[row.delivery.call_id] = (row.delivery.key, now)
