"""The order within a call, as a property: whatever fails, dies and is restarted, in whatever interleaving."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from contextlib import AsyncExitStack
from pathlib import Path

import attrs
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from uac_trio.outbox import Delivered, Outbox, OutboxRow, OutboxSettings, Parked, Retry, Unknown, open_outbox
from uac_trio.vtiger.request import CallbackRequest, Step

START = 1_790_000_000.0
LEASE = 70.0
STEPS = (Step.START_APP, Step.DIAL_BEGIN, Step.DIAL_ANSWER, Step.HANGUP, Step.END_CALL)


@attrs.define
class Observer:
    """What a CRM would see: who is at work on which call, which requests have come, in which order."""

    flying: dict[str, tuple[str, float]] = attrs.field(factory=dict)  # call -> key, until when it may be at work
    seen: dict[str, list[Step]] = attrs.field(factory=lambda: defaultdict(list))

    def begin(self, row: OutboxRow, now: float) -> None:
        _, until = self.flying.get(row.call_id, ("", 0.0))
        assert until <= now, f"two requests of {row.call_id} at once"
        earlier = self.seen[row.call_id]
        assert not earlier or STEPS.index(row.step) >= STEPS.index(earlier[-1]), f"{row.step} after {earlier}"
        assert row.step is not Step.START_APP or Step.START_APP not in earlier, "StartApp repeated"
        earlier.append(row.step)
        self.flying[row.call_id] = (row.key, row.leased_until)


def requests_of(call: int) -> list[CallbackRequest]:
    def key(step: Step) -> str:
        return f"p-{call}/101/{step.value}/1"

    return [
        CallbackRequest(
            key=key(step),
            call_id=f"p-{call}",
            extension="101",
            step=step,
            form={"callstatus": step.value},
            at=START,
            moot_after=key(Step.HANGUP) if step is Step.DIAL_ANSWER else None,
        )
        for step in STEPS
    ]


MOVES = st.lists(
    st.tuples(
        st.sampled_from(["lease", "put", "deliver", "wait", "retry", "unknown", "park", "restart"]),
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
    """Never two requests of a call at once, never an earlier after a later one, StartApp once; and all settles in the
    end, with every step of every call seen that was not moot."""
    calls = [requests_of(call) for call in range(3)]
    put = [0, 0, 0]
    observer, leased, now = Observer(), list[OutboxRow](), START
    parked = set[str]()

    with tempfile.TemporaryDirectory() as directory:
        chosen = OutboxSettings(url=f"sqlite:///{Path(directory)}/c.db")
        async with AsyncExitStack() as stack:
            boxes = [await stack.enter_async_context(open_outbox(chosen)) for _ in range(2)]

            async def settle(which: int, outcome: Delivered | Parked | Retry | Unknown) -> None:
                if leased:
                    row = leased.pop(which % len(leased))
                    in_time = now < row.leased_until
                    settled = await boxes[which % 2].settle(row, outcome, now)
                    assert settled or not in_time
                    if settled:
                        until = outcome.until if isinstance(outcome, Unknown) else now
                        observer.flying[row.call_id] = (row.key, until)
                        if isinstance(outcome, Retry):
                            observer.seen[row.call_id].pop()  # it says: this was not applied
                        if isinstance(outcome, Parked):
                            parked.add(row.key)

            for move, which in moves:
                match move:
                    case "put":
                        call = which % 3
                        put[call] = min(put[call] + 1 + which, len(STEPS))
                        await boxes[which % 2].put(calls[call][: put[call]], now)
                    case "lease":
                        for row in await boxes[which % 2].lease(
                            now, 1 + which, f"box {which % 2}", LEASE, [f"p-{which}"]
                        ):
                            observer.begin(row, now)
                            leased.append(row)
                    case "deliver":
                        await settle(which, Delivered())
                    case "park":
                        await settle(which, Parked(reason="refused"))
                    case "retry":
                        await settle(which, Retry(at=now + which, reason="500"))
                    case "unknown":
                        await settle(which, Unknown(until=now + 60, reason="no reply"))
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
        missing = set(STEPS) - set(observer.seen[f"p-{n}"])
        assert missing <= {Step.DIAL_ANSWER}


async def drain(outbox: Outbox, observer: Observer, now: float) -> None:
    """Deliver all that is left, as a sender does after everything has calmed down."""
    while (wake := await outbox.next_wake(now)) is not None:
        now = max(now, wake)
        for row in await outbox.lease(now, 2, "drain", LEASE):
            observer.begin(row, now)
            assert await outbox.settle(row, Delivered(), now)
            observer.flying[row.call_id] = (row.key, now)
