"""A CRM that is refused, silent or dead; the end of a sender, and what comes after."""

from __future__ import annotations

import tempfile
from collections.abc import Awaitable, Callable, Mapping
from itertools import pairwise
from pathlib import Path

import attrs
import pytest
import trio
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tests.fake_vtiger import (
    BAD_GATEWAY,
    FAILURE,
    Answer,
    Behaviour,
    FakeVtiger,
    ResetRead,
    ResetUnread,
    Silence,
    fake_vtiger,
)
from tests.sender.bench import INBOUND, NAMES, QUICK, SECRET, a_call, bench, events, in_turn, now
from uac_trio.crm.delivery import Kind
from uac_trio.crm.vtiger import Flavour
from uac_trio.store.outbox import Exchange, open_outbox
from uac_trio.store.rows import Exchanged
from uac_trio.store.settings import OutboxError, OutboxSettings

BEGIN = [Kind.BEGIN]
BOTH_ENDS = [Kind.BEGIN, Kind.END]

# -- The CRM is away ------------------------------------------------------------------------------------------------


async def test_refused_connections(tmp_path: Path, logged: list[Mapping[str, object]]) -> None:
    """Nothing is lost while connections are refused; the log has one line when it goes and one when it is back."""
    async with fake_vtiger() as gone:
        url, port = gone.url, gone.port
    async with bench(tmp_path, url=url) as b:
        await b.put(*(a_call(str(n), INBOUND[:2]) for n in range(4)))
        assert f"127.0.0.1:{port}" in await b.troubled()
        assert (await b.outbox.statistics()).delivered == 0
        assert b.sender.status().trouble_since is not None
        async with fake_vtiger(port=port) as back:
            await b.settled()
            assert b.sender.status().trouble == ""
            assert all(back.steps(f"main-{n}") == NAMES[:2] for n in range(4))

    assert events(logged) == ["sender.crm_away", "sender.crm_back"]


async def test_a_dead_crm_is_asked_by_one_request_at_a_time(tmp_path: Path) -> None:
    """Forty waiting calls do not knock forty times: after the first failures one is sent a pause."""
    async with bench(tmp_path, lambda _: BAD_GATEWAY, attrs.evolve(QUICK, away_max=10.0, retry_max=10.0)) as b:
        await b.put(*(a_call(str(n), BEGIN) for n in range(40)))
        await b.troubled()
        await b.crm.until(lambda: len(b.crm.seen) >= 7)
        later = b.crm.seen[3:7]  # three may be in flight when the first fails
        assert all(one.ended is not None and one.ended <= other.began for one, other in pairwise(later))
        b.crm.script = lambda _: Answer()
        await b.settled()
        assert b.crm.most_at_once <= 3


async def test_a_hanging_crm_is_left_in_peace(tmp_path: Path, logged: list[Mapping[str, object]]) -> None:
    """As many requests without an answer as are sent at once, and the rest waits outside."""
    async with bench(tmp_path, lambda _: Silence(), attrs.evolve(QUICK, retry_min=5.0, away_max=5.0)) as b:
        await b.put(*(a_call(str(n), BEGIN) for n in range(10)))
        await b.troubled()
        await trio.sleep(0.2)

    assert len(b.crm.seen) == 3
    assert "sender.crm_away" in events(logged)


async def test_start_app_is_not_used_to_see_whether_the_crm_is_back(tmp_path: Path) -> None:
    """It has one chance only: a request that changes nothing goes ahead of it, with a signature that is never right."""

    def script(form: Mapping[str, str]) -> Behaviour:
        if form["vtigersignature"] != SECRET:
            return FAILURE if len(probes) == 2 else ResetRead()
        return Answer() if probes else BAD_GATEWAY

    async with bench(tmp_path, flavour=Flavour.STOCK) as b:
        probes = _Probes(b.crm)
        b.crm.script = script
        await b.put(a_call("1", BOTH_ENDS, is_whole=True))
        await b.settled()

    assert [seen.step for seen in b.crm.seen] == ["StartApp", "", "", "", "StartApp", "EndCall", "Hangup"]


@attrs.define
class _Probes:
    crm: FakeVtiger

    def __len__(self) -> int:
        return sum(not seen.step for seen in self.crm.seen)


@pytest.mark.parametrize("behaviour", [Silence(), ResetRead(), Answer(status=504)], ids=str)
async def test_start_app_without_an_answer_is_not_repeated(
    tmp_path: Path, logged: list[Mapping[str, object]], behaviour: Behaviour
) -> None:
    """Stock vTiger would add a second row; the call goes on after the rest, and the log says that it may be lost."""
    async with bench(tmp_path, in_turn(behaviour), flavour=Flavour.STOCK) as b:
        await b.put(a_call("1", is_whole=True))
        await b.settled()

    assert b.crm.steps("main-1") == ["StartApp", "DialAnswer", "EndCall", "Hangup"]
    ((row, why),) = b.lost
    assert (row.delivery.kind, row.in_doubt) == (Kind.BEGIN, True)
    assert why == "not repeated, since the CRM would add a second row: its last sending had no answer"
    (warning,) = (entry for entry in logged if entry["event"] == "sender.may_be_lost")
    assert (warning["log_level"], warning["call"], warning["reason"]) == ("warning", "main-1", why)


async def test_start_app_that_did_not_arrive_is_sent_again(tmp_path: Path) -> None:
    """A refused connection leaves no doubt."""
    async with fake_vtiger() as gone:
        url, port = gone.url, gone.port
    async with bench(tmp_path, url=url, flavour=Flavour.STOCK) as b:
        await b.put(a_call("1", BOTH_ENDS, is_whole=True))
        await b.troubled()
        async with fake_vtiger(in_turn(), port=port) as up:
            await b.settled()
            assert up.steps("main-1") == ["StartApp", "EndCall", "Hangup"]

    assert b.lost == []


async def test_after_silence_the_call_rests(tmp_path: Path) -> None:
    """No request of it for ``unknown_pause``, since the CRM may still be at work; other calls go on."""
    async with bench(tmp_path, in_turn(Silence()), attrs.evolve(QUICK, unknown_pause=30.0)) as b:
        await b.put(a_call("1", INBOUND[:2]))
        await b.crm.until(lambda: len(b.crm.seen) == 1)
        await b.put(a_call("2", INBOUND[:2]))
        await b.crm.until(lambda: b.crm.steps("main-2") == NAMES[:2] and b.sender.status().in_flight == 0)
        with trio.fail_after(2):  # the lease, which is longer, becomes the rest
            while (wake := await b.outbox.next_wake(now())) is None or wake - now() > 30:  # noqa: ASYNC110
                await trio.sleep(0.005)

    assert b.crm.steps("main-1") == ["DialBegin"]
    assert wake - now() > 29


async def test_no_tls_where_tls_is_expected(tmp_path: Path) -> None:
    """The request was not written, so nothing is lost and the words have the cause."""
    async with bench(tmp_path) as b:
        pass
    async with fake_vtiger() as plain, bench(tmp_path, url=plain.url.replace("http:", "https:")) as b:
        await b.put(a_call("1", BEGIN))
        assert "the CRM cannot be reached" in await b.troubled()
        assert plain.seen == []


# -- The end, and what comes after ----------------------------------------------------------------------------------


async def test_what_is_in_flight_may_end(tmp_path: Path) -> None:
    """A cancelled sender waits for the answer it asked for, writes it down, and begins nothing new."""
    async with bench(tmp_path, lambda _: Answer(delay=0.1)) as b:
        await b.put(a_call("1"))
        await b.crm.until(lambda: len(b.crm.seen) == 1)
        b.cancel()
    async with open_outbox(OutboxSettings(url=f"sqlite:///{tmp_path}/c.db")) as outbox:
        statistics = await outbox.statistics()

    assert (statistics.delivered, statistics.waiting, statistics.sending) == (1, 2, 0)
    assert b.crm.steps("main-1") == ["DialBegin"]


async def test_a_stop_is_bounded(tmp_path: Path, logged: list[Mapping[str, object]]) -> None:
    """A CRM that does not answer holds the end up for the grace and no longer; the row keeps its lease."""
    settings = attrs.evolve(QUICK, reply_timeout=60.0, shutdown_grace=0.05)
    with trio.fail_after(2):
        async with bench(tmp_path, lambda _: Silence(), settings) as b:
            await b.put(a_call("1"))
            await b.crm.until(lambda: len(b.crm.seen) == 1)
            b.cancel()
    async with open_outbox(OutboxSettings(url=f"sqlite:///{tmp_path}/c.db")) as outbox:
        assert (await outbox.statistics()).sending == 1

    assert "sender.cut_off" in events(logged)


@pytest.mark.parametrize("flavour", Flavour)
async def test_killed_with_a_request_in_flight(tmp_path: Path, flavour: Flavour) -> None:
    """The next process takes the call up when the lease has run out: StartApp is not repeated, all else is."""
    settings = attrs.evolve(QUICK, connect_timeout=0.05, reply_timeout=0.05, shutdown_grace=0.0)
    async with bench(tmp_path, lambda _: Silence(), settings, flavour=flavour) as b:
        await b.put(a_call("1", BOTH_ENDS, is_whole=flavour is Flavour.STOCK))
        await b.crm.until(lambda: len(b.crm.seen) == 1)
        b.cancel()

    def later() -> float:
        return now() + settings.lease_seconds

    async with bench(tmp_path, clock=later, flavour=flavour) as b:
        await b.settled()

    is_stock = flavour is Flavour.STOCK
    assert b.crm.steps("main-1") == (["EndCall", "Hangup"] if is_stock else ["DialBegin", "Hangup", "EndCall"])
    assert [row.delivery.kind for row, _ in b.lost] == (BEGIN if is_stock else [])


async def test_killed_between_the_requests_of_a_delivery(tmp_path: Path) -> None:
    """What was accepted is not written down yet: all of it is sent again, for vTiger writes the same values."""
    settings = attrs.evolve(QUICK, connect_timeout=0.05, reply_timeout=0.05, shutdown_grace=0.0)
    async with bench(tmp_path, in_turn(Answer(), Silence()), settings) as b:
        await b.put(a_call("1", [Kind.END]))
        await b.crm.until(lambda: len(b.crm.seen) == 2)
        b.cancel()
    async with bench(tmp_path, clock=lambda: now() + settings.lease_seconds) as b:
        await b.settled()

    assert b.crm.steps("main-1") == ["Hangup", "EndCall"]


async def test_a_restart_before_the_lease_ends_leaves_the_call_alone(tmp_path: Path) -> None:
    """The CRM may still be at work on what the dead process sent."""
    settings = attrs.evolve(QUICK, shutdown_grace=0.0)
    async with bench(tmp_path, lambda _: Silence(), settings) as b:
        await b.put(a_call("1"))
        await b.crm.until(lambda: len(b.crm.seen) == 1)
        b.cancel()
    async with bench(tmp_path) as b:
        await b.put(a_call("2", BEGIN))
        await b.crm.until(lambda: len(b.crm.seen) == 1)
        await trio.sleep(0.05)

    assert [seen.call_id for seen in b.crm.seen] == ["main-2"]


async def test_two_senders_on_one_outbox(tmp_path: Path) -> None:
    """Two processes may run on one file: each request is sent once, in order."""
    async with bench(tmp_path, lambda _: Answer(delay=0.005)) as one:
        async with bench(tmp_path, url=one.crm.url) as two:
            await one.put(*(a_call(str(n)) for n in range(6)))
            two.sender.wake_nowait()
            await one.settled()

    assert one.crm.overlaps == []
    assert all(one.crm.steps(f"main-{n}") == NAMES for n in range(6))


async def test_the_clock_is_set_forward(tmp_path: Path, logged: list[Mapping[str, object]]) -> None:
    """A lease that seems to be over is not, while we ourselves wait for the answer."""
    shift = 0.0

    def clock() -> float:
        return now() + shift

    settings = attrs.evolve(QUICK, connect_timeout=0.1, reply_timeout=0.5)
    async with bench(tmp_path, lambda _: Answer(delay=0.2), settings, clock=clock) as b:
        await b.put(a_call("1", BEGIN))
        await b.crm.until(lambda: len(b.crm.seen) == 1)
        shift = 1000.0
        b.sender.wake_nowait()
        await b.crm.until(lambda: b.crm.seen[0].ended is not None)
        await trio.sleep(0.05)

    assert b.crm.overlaps == []
    assert "sender.clock_jumped" in events(logged)


async def test_the_clock_is_set_back_while_the_crm_is_away(tmp_path: Path) -> None:
    """The pause ends with the step, not an hour later: calls that ring now are delivered."""
    shift = 0.0
    settings = attrs.evolve(QUICK, retry_min=20.0, away_max=20.0, retry_max=20.0)
    async with bench(tmp_path, in_turn(BAD_GATEWAY), settings, clock=lambda: now() + shift) as b:
        await b.put(a_call("1", BEGIN))
        await b.troubled()
        shift = -3600.0
        await b.outbox.put(a_call("2", BEGIN), now() + shift)
        b.sender.wake_nowait()
        await b.crm.until(lambda: b.crm.steps("main-2") == ["DialBegin"] and b.sender.status().trouble == "")


# -- The outbox fails -----------------------------------------------------------------------------------------------


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that failed is tried again at once, and one with nothing to do is looked at often."""
    monkeypatch.setattr("uac_trio.store.writer.PAUSE", 0.02)
    monkeypatch.setattr("uac_trio.sender.delivery._IDLE_POLL", 0.05)


@attrs.define
class FailingStore:
    """``exchange`` of an outbox, which fails where ``fails`` returns true."""

    healthy: Callable[[Exchange, float], Awaitable[Exchanged]]
    fails: Callable[[Exchange], bool]
    failures: int = 0

    async def exchange(self, asked: Exchange, at: float) -> Exchanged:
        if self.fails(asked):
            self.failures += 1
            raise OutboxError("the disk is full")
        return await self.healthy(asked, at)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("what", ["settling", "leasing"])
async def test_the_outbox_fails_for_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    """A full disk while leasing or settling is reported and waited out, and nothing is sent twice."""
    async with bench(tmp_path) as b:
        store = FailingStore(b.outbox.exchange, lambda asked: bool(asked.settle) and store.failures < 3)
        if what == "leasing":
            store.fails = lambda asked: asked.lease is not None and store.failures < 3
        put = b.outbox.put
        await put(a_call("1", BEGIN), now())
        monkeypatch.setattr(b.outbox, "exchange", store.exchange)
        b.sender.wake_nowait()
        await b.settled()

    assert store.failures == 3
    assert b.crm.steps("main-1") == ["DialBegin"]
    assert b.health.noted == ["the disk is full"] * 3 + [""]


@pytest.mark.usefixtures("impatient")
async def test_a_lease_that_was_committed_though_it_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server goes away while it commits: nothing of that lease was sent, so it is the first sending still."""
    async with bench(tmp_path, flavour=Flavour.STOCK) as b:
        exchange, failures = b.outbox.exchange, 0

        async def committed(asked: Exchange, at: float) -> Exchanged:
            nonlocal failures
            exchanged = await exchange(asked, at)
            if exchanged.leased and not failures:
                failures += 1
                raise OutboxError("the server closed the connection")
            return exchanged

        monkeypatch.setattr(b.outbox, "exchange", committed)
        await b.outbox.put(a_call("1", BEGIN), now())
        b.sender.wake_nowait()
        await b.settled()

    assert failures == 1
    assert b.crm.steps("main-1") == ["StartApp"]


@pytest.mark.usefixtures("impatient")
async def test_answers_that_come_while_the_outbox_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are written down together when it works again."""
    async with bench(tmp_path) as b:
        store = FailingStore(b.outbox.exchange, lambda asked: bool(asked.settle) and len(asked.settle) < 3)
        await b.outbox.put([each for n in range(3) for each in a_call(str(n), BEGIN)], now())
        b.crm.script = lambda form: Answer(delay=0.05 * int(form["callUUID"][-1]))
        monkeypatch.setattr(b.outbox, "exchange", store.exchange)
        b.sender.wake_nowait()
        await b.settled()

    assert store.failures > 0
    assert sorted(seen.call_id for seen in b.crm.seen) == ["main-0", "main-1", "main-2"]


@pytest.mark.usefixtures("impatient")
async def test_the_outbox_fails_longer_than_the_lease(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What this connector could not store another one sends again, as after a crash. The late answer of the first then
    changes nothing."""
    shift = 0.0

    def clock() -> float:
        return now() + shift

    async with bench(tmp_path, clock=clock) as one:
        store = FailingStore(one.outbox.exchange, lambda asked: bool(asked.settle))
        monkeypatch.setattr(one.outbox, "exchange", store.exchange)
        await one.outbox.put(a_call("1", BEGIN), now())
        one.sender.wake_nowait()
        await one.crm.until(lambda: len(one.crm.seen) == 1 and store.failures > 0)
        shift = QUICK.lease_seconds
        async with bench(tmp_path, url=one.crm.url, clock=clock) as two:
            await two.settled()
        store.fails = lambda _: False
        await one.crm.until(lambda: one.health.noted[-1] == "")
        assert (await one.outbox.statistics()).delivered == 1

    assert one.crm.steps("main-1") == ["DialBegin", "DialBegin"]


# -- Whatever happens -----------------------------------------------------------------------------------------------

FAULTS: tuple[Behaviour, ...] = (
    Answer(),
    Answer(delay=0.01),
    Answer(status=500),
    BAD_GATEWAY,
    FAILURE,
    Answer(status=504),
    Answer(body="what?"),
    Answer(body="Sorry! Attempt to access restricted file. - x"),
    Answer(status=302, location="/"),
    ResetRead(),
    ResetUnread(),
    Silence(),
)


@hypothesis_settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.sampled_from(FAULTS), max_size=12), st.lists(st.integers(0, 12), max_size=2))
async def test_order_whatever_the_crm_does(faults: list[Behaviour], kills: list[int]) -> None:
    """Never two requests of one call at the CRM at once, nor a later before an earlier, and all is settled in the end,
    though the sender is killed on the way."""
    quick = attrs.evolve(
        QUICK, connect_timeout=0.05, reply_timeout=0.03, retry_min=0.003, retry_max=0.006, away_max=0.006,
        unknown_pause=0.04, shutdown_grace=0.0,
    )  # fmt: skip
    script = in_turn(*faults)
    seen: dict[str, list[str]] = {}
    shift = 0.0

    def clock() -> float:
        return now() + shift

    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        for kill in [*kills, None]:
            async with bench(directory, script, quick, clock=clock) as b:
                await b.outbox.put([each for n in range(3) for each in a_call(str(n))], clock())
                b.sender.wake_nowait()
                if kill is None:
                    await b.settled()
                else:
                    await trio.sleep(kill / 200)
            assert b.crm.overlaps == []
            for each in filter(lambda each: each.call_id, b.crm.seen):  # less the questions
                seen.setdefault(each.call_id, []).append(each.step)
            shift += quick.lease_seconds

    for steps in seen.values():
        # A sender that is killed between the two requests of an END leaves both to the next.
        places = [NAMES.index("Hangup" if step == "EndCall" else step) for step in steps]
        assert places == sorted(places)
        assert "EndCall" not in steps or steps.index("Hangup") < steps.index("EndCall")
    if not any(isinstance(fault, ResetUnread) or "Sorry" in getattr(fault, "body", "") for fault in faults):
        assert {call: sorted(set(steps)) for call, steps in seen.items()} == {
            f"main-{n}": sorted(NAMES) for n in range(3)
        }
