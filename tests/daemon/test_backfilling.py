"""Gaps of a PBX's connection, and when they are filled in."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from datetime import UTC, datetime
from functools import partial

import attrs
import pytest
import structlog.testing
import trio
import trio.testing
from trio.testing import MockClock

from tests.cdr.test_missing import BEGIN
from tests.daemon.world import World, running
from uac_trio.backfill import filling
from uac_trio.backfill.filling import LONGEST_CALL, Filled, Span
from uac_trio.backfill.source import CdrError
from uac_trio.clock import now
from uac_trio.config.loading import load_config
from uac_trio.crm.delivery import Delivery
from uac_trio.daemon import run
from uac_trio.daemon.backfilling import BATCH, FIRST_PASS, LOOK_EVERY, Backfilling
from uac_trio.store.settings import OutboxError

T = 1_795_838_000.0


@attrs.define
class FakeFilling:
    """Notes its passes; ``troubles`` are raised first."""

    passes: list[tuple[float, Span]] = attrs.field(factory=list)
    troubles: list[Exception] = attrs.field(factory=list)
    found: list[Delivery] = attrs.field(factory=list)

    restarted: list[bool] = attrs.field(factory=list)

    async def fill(self, span: Span, _: object, *, restarted: bool) -> Filled:
        await trio.lowlevel.checkpoint()
        self.restarted.append(restarted)
        self.passes.append((trio.current_time(), span))
        if self.troubles:
            raise self.troubles.pop(0)
        return Filled(deliveries=self.found)


@attrs.define
class FakeOutbox:
    last: float | None = None
    troubles: int = 0

    async def last_put_at(self, _: str, before: float) -> float | None:
        await trio.lowlevel.checkpoint()
        if self.troubles:
            self.troubles -= 1
            raise OutboxError("away")
        assert before == T
        return self.last


@attrs.define
class Scene:
    """The daemon's part between a listener and CDR; the clock is trio's own, which jumps."""

    filling: FakeFilling
    outbox: FakeOutbox
    backfilling: Backfilling
    channels: set[str] | None
    woken: list[float]

    def passes(self) -> list[float]:
        return [round(at) for at, _ in self.filling.passes]


@pytest.fixture
async def scene(autojump_clock: MockClock, nursery: trio.Nursery) -> AsyncIterator[Scene]:
    filling, outbox = FakeFilling(), FakeOutbox()

    made: list[Scene] = []

    def live(_: str) -> Collection[str] | None:
        return made[0].channels

    backfilling = Backfilling(
        fillings={"main": lambda: filling},  # type: ignore[dict-item,return-value]
        outbox=outbox,  # type: ignore[arg-type]
        live=live,
        filled=lambda: made[0].woken.append(trio.current_time()),
        started_at=T,
    )
    made.append(Scene(filling, outbox, backfilling, set(), []))
    nursery.start_soon(backfilling.run)
    await trio.testing.wait_all_tasks_blocked()
    yield made[0]
    nursery.cancel_scope.cancel()


async def test_a_gap_between_two_connections(autojump_clock: MockClock, scene: Scene) -> None:
    scene.outbox.last = T - 500
    scene.backfilling.connected("main", T)
    await trio.sleep(2000)
    scene.filling.passes.clear()
    for second in range(0, 1991, 10):  # a Ping is answered every few seconds
        scene.backfilling.received("main", T + second)
    scene.backfilling.lost("main", T + 2000)
    scene.backfilling.lost("main", T + 2001)
    scene.backfilling.connected("main", T + 2060)
    await trio.sleep(BATCH * 3)

    assert {span for _, span in scene.filling.passes} == {Span(T + 1990, T + 2060)}
    assert scene.passes() == [2000 + FIRST_PASS, 2000 + FIRST_PASS + BATCH]
    assert scene.filling.restarted == [True, True, False, False]


async def test_the_first_gap_reaches_back_to_what_was_put_last(autojump_clock: MockClock, scene: Scene) -> None:
    scene.outbox.last, scene.outbox.troubles = T - 500, 2
    scene.backfilling.connected("main", T + 3)
    await trio.sleep(BATCH * 3)

    assert {span for _, span in scene.filling.passes} == {Span(T - 500, T + 3)}


async def test_the_first_run_of_all_fills_in_nothing(autojump_clock: MockClock, scene: Scene) -> None:
    scene.backfilling.connected("main", T + 3)
    await trio.sleep(BATCH * 3)

    assert scene.filling.passes == []


async def test_a_pbx_without_cdr(autojump_clock: MockClock, scene: Scene) -> None:
    scene.backfilling.received("other", T)
    scene.backfilling.lost("other", T)
    scene.backfilling.connected("other", T + 60)
    await trio.sleep(BATCH * 3)

    assert scene.filling.passes == []


async def test_calls_that_went_on_at_the_login_get_a_pass_of_their_own(autojump_clock: MockClock, scene: Scene) -> None:
    """Asterisk writes their rows when they end."""
    scene.outbox.last, scene.channels = T - 500, {"7.7"}
    scene.backfilling.connected("main", T)
    await trio.sleep(3600)
    assert len(scene.filling.passes) == 2
    scene.channels = {"8.8"}  # another call
    await trio.sleep(LOOK_EVERY + FIRST_PASS + 1)
    assert len(scene.filling.passes) == 3
    await trio.sleep(BATCH)

    assert len(scene.filling.passes) == 4


async def test_a_call_that_never_ends_is_waited_for_no_longer_than_any(autojump_clock: MockClock, scene: Scene) -> None:
    scene.outbox.last, scene.channels = T - 500, {"7.7"}
    scene.backfilling.connected("main", T)
    await trio.sleep(LONGEST_CALL + 2 * BATCH)

    assert len(scene.filling.passes) == 4


async def test_what_stood_still_has_a_gap_from_there(autojump_clock: MockClock, scene: Scene) -> None:
    """SIGSTOP, a suspended machine: the connection is lost only afterwards."""
    scene.outbox.last = T - 500
    scene.backfilling.connected("main", T)
    scene.backfilling.received("main", T + 20)
    scene.backfilling.received("main", T + 700)
    scene.backfilling.lost("main", T + 701)
    scene.backfilling.connected("main", T + 702)
    await trio.sleep(BATCH * 3)

    assert Span(T + 20, T + 702) in {span for _, span in scene.filling.passes}


async def test_what_stood_still_is_a_gap_where_the_connection_lasts(autojump_clock: MockClock, scene: Scene) -> None:
    """What waited in the connection is read with the times at which it is read."""
    scene.backfilling.connected("main", T)
    scene.backfilling.received("main", T + 20)
    scene.backfilling.received("main", T + 700)
    scene.backfilling.received("main", T + 710)
    await trio.sleep(BATCH * 3)

    assert [span for _, span in scene.filling.passes] == [Span(T + 20, T + 700)] * 2


async def test_cdr_that_is_away_is_tried_again(autojump_clock: MockClock, scene: Scene) -> None:
    scene.outbox.last = T - 500
    scene.filling.troubles = [CdrError("no such file"), OutboxError("locked"), CdrError("no such file")]
    scene.backfilling.connected("main", T)
    await trio.sleep(FIRST_PASS + 3 * LOOK_EVERY + 1)

    assert scene.passes() == [FIRST_PASS + number * LOOK_EVERY for number in range(4)]


async def test_a_fault_over_rows_ends_nothing_else(autojump_clock: MockClock, scene: Scene) -> None:
    """It is logged with its traceback; later passes come, and later gaps."""
    scene.outbox.last = T - 500
    scene.filling.troubles = [OverflowError("a row that cannot be")]
    with structlog.testing.capture_logs() as logs:
        scene.backfilling.connected("main", T)
        await trio.sleep(FIRST_PASS + BATCH + 1)

    assert scene.passes() == [FIRST_PASS, FIRST_PASS + BATCH]
    assert [(line["event"], line["log_level"]) for line in logs] == [
        ("backfill.failed", "error"),
        ("backfill.done", "info"),
    ]


async def test_the_sender_is_woken_when_something_was_put(autojump_clock: MockClock, scene: Scene) -> None:
    scene.outbox.last = T - 500
    scene.backfilling.connected("main", T)
    await trio.sleep(FIRST_PASS + 1)
    assert scene.woken == []
    scene.filling.found = [BEGIN]
    await trio.sleep(BATCH + 1)
    assert len(scene.woken) == 1


async def test_more_gaps_than_can_be_are_reported(autojump_clock: MockClock, scene: Scene) -> None:
    for number in range(200):
        scene.backfilling.connected("main", T + number)
    scene.outbox.last = T - 500
    await trio.sleep(BATCH * 2)

    assert 100 <= len({span for _, span in scene.filling.passes}) <= 101


async def test_a_call_in_a_gap_reaches_the_crm(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection breaks, a call comes and goes, and Asterisk writes it down."""
    monkeypatch.setattr(run, "Backfilling", partial(Backfilling, first_pass=0.2, batch=0.2))
    monkeypatch.setattr(filling, "SETTLED", -60.0)
    master = world.tmp_path / "Master.csv"
    master.touch()
    config = world.config()
    config.path.write_text(config.path.read_text().replace('"main"', f'"main"\ncdr = "csv://{master}"', 1))
    async with running(load_config(config.path, {})):
        first = await world.session()
        began = int(now())
        start = datetime.fromtimestamp(began, UTC).strftime("%Y-%m-%d %H:%M:%S")
        uniqueid = f"{began}.1"
        fields = (
            *("", "79161234567", "101", "from-trunk", "<79161234567>", "PJSIP/trunk-1", "PJSIP/101-2", "Dial"),
            *("PJSIP/101,30", start, "", start, "5", "3", "ANSWERED", "3", uniqueid, "", "", uniqueid, "7"),
        )
        await trio.aclose_forcefully(first.stream)
        master.write_text(",".join(f'"{field}"' for field in fields) + "\n")
        await world.session(2)
        await world.until(lambda: "EndCall" in world.crm.steps(f"main-{uniqueid}"))

    assert world.crm.steps(f"main-{uniqueid}") == ["DialBegin", "Hangup", "EndCall"]
