"""The sender against a real HTTP server and a real outbox: every kind of answer, silence and end."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest
import structlog.testing
import trio
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tests.fake_vtiger import (
    BAD_GATEWAY,
    FAILURE,
    Answer,
    Behaviour,
    Drip,
    FakeVtiger,
    Flood,
    ResetRead,
    ResetUnread,
    Script,
    Silence,
    fake_vtiger,
)
from uac_trio.outbox import Outbox, OutboxError, OutboxRow, OutboxSettings, Outcome, open_outbox
from uac_trio.sender import Sender, SenderSettings, run_sender
from uac_trio.vtiger.account import VtigerAccount
from uac_trio.vtiger.request import CallbackRequest, Step

SECRET = "abracadabra"
INBOUND = (Step.DIAL_BEGIN, Step.DIAL_ANSWER, Step.HANGUP, Step.END_CALL)
NAMES = [step.value for step in INBOUND]
QUICK = SenderSettings(
    connect_timeout=1.0,
    reply_timeout=0.3,
    retry_min=0.02,
    retry_max=0.05,
    away_max=0.05,
    unknown_pause=0.1,
    shutdown_grace=2.0,
)


def now() -> float:
    return 1_790_000_000.0 + trio.current_time()


def a_call(call: str, steps: Sequence[Step] = INBOUND) -> list[CallbackRequest]:
    return [
        CallbackRequest(
            key=f"main-{call}/101/{step.value}/1",
            call_id=f"main-{call}",
            extension="101",
            step=step,
            form={"callUUID": f"main-{call}", "callstatus": step.value, "callerIdNumber": "79161234567"},
            at=now(),
        )
        for step in steps
    ]


@attrs.define
class Bench:
    """A CRM, an outbox and a sender between them."""

    crm: FakeVtiger
    outbox: Outbox
    sender: Sender
    cancel: Callable[[], None]

    async def put(self, *calls: list[CallbackRequest]) -> None:
        await self.outbox.put([request for call in calls for request in call], now())
        self.sender.wake_nowait()

    async def settled(self, seconds: float = 5.0) -> None:
        """Wait until nothing is left to be sent."""
        with trio.fail_after(seconds):
            while True:
                statistics = await self.outbox.statistics()
                if not statistics.waiting and not statistics.sending:
                    return
                await trio.sleep(0.005)

    async def troubled(self, seconds: float = 5.0) -> str:
        """Wait until nothing is delivered any more, and say why."""
        with trio.fail_after(seconds):
            while not self.sender.status().trouble:  # noqa: ASYNC110  the status is polled by its readers too
                await trio.sleep(0.005)
        return self.sender.status().trouble


@asynccontextmanager
async def bench(
    directory: Path,
    script: Script | None = None,
    settings: SenderSettings = QUICK,
    *,
    url: str = "",
    clock: Callable[[], float] = now,
) -> AsyncIterator[Bench]:
    chosen = OutboxSettings(url=f"sqlite:///{directory}/c.db")
    async with fake_vtiger(script) as crm, open_outbox(chosen) as outbox, trio.open_nursery() as nursery:
        account = VtigerAccount(url=url or crm.url, secret=SECRET)

        async def run(task_status: trio.TaskStatus[Sender]) -> None:
            await run_sender(outbox, account, settings, now=clock, random=lambda: 0.5, task_status=task_status)

        sender: Sender = await nursery.start(run)
        yield Bench(crm, outbox, sender, nursery.cancel_scope.cancel)
        nursery.cancel_scope.cancel()


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test cuts the power of the machine it runs on."""
    monkeypatch.setattr("uac_trio.outbox.opening.SYNCHRONOUS", "OFF")


@pytest.fixture
def logged() -> Iterator[list[Mapping[str, object]]]:
    """What was logged, in order."""
    with structlog.testing.capture_logs() as entries:
        yield entries  # type: ignore[misc]


def events(entries: list[Mapping[str, object]], least: str = "info") -> list[str]:
    levels = ["debug", "info", "warning", "error"]
    chosen = levels[levels.index(least) :]
    return [str(entry["event"]) for entry in entries if entry["log_level"] in chosen]


def in_turn(*behaviours: Behaviour) -> Script:
    """Each in its turn, then all is well."""
    rest = iter(behaviours)
    return lambda _: next(rest, Answer())


# -- What is sent ---------------------------------------------------------------------------------------------------


async def test_a_call_is_delivered_in_order(tmp_path: Path) -> None:
    """As vTiger wants it: a form, signed, with one address, each request after the answer to the one before."""
    async with bench(tmp_path, lambda _: Answer(delay=0.01)) as b:
        await b.put(a_call("1"))
        await b.settled()

    assert b.crm.steps("main-1") == NAMES
    assert b.crm.overlaps == []
    seen = b.crm.seen[0]
    assert seen.form == {
        "callUUID": "main-1",
        "callstatus": "DialBegin",
        "callerIdNumber": "79161234567",
        "vtigersignature": SECRET,
    }
    assert seen.headers["content-type"] == "application/x-www-form-urlencoded"
    assert seen.headers["user-agent"].startswith("uac-trio/")
    assert seen.target == "/modules/PBXManager/callbacks/PBXManager.php"
    assert b.crm.connections == 1


async def test_letters_of_all_kinds(tmp_path: Path) -> None:
    """UTF-8 as it is; half a surrogate, which has no UTF-8, becomes a question mark instead of stopping everything."""
    form = {"callUUID": "c", "callerIdName": "Анна & Co = 100% +1", "x": "a\ud800b"}
    async with bench(tmp_path) as b:
        await b.put([CallbackRequest(key="k", call_id="c", extension="", step=Step.HANGUP, form=form, at=0)])
        await b.settled()

    assert b.crm.seen[0].form == {**form, "x": "a?b", "vtigersignature": SECRET}


async def test_calls_go_side_by_side_within_the_limit(tmp_path: Path) -> None:
    """Three at once, never four; and never two of one call."""
    async with bench(tmp_path, lambda _: Answer(delay=0.01)) as b:
        await b.put(*(a_call(str(n), INBOUND[:2]) for n in range(6)))
        await b.settled()

    assert (b.crm.most_at_once, b.crm.overlaps) == (3, [])
    assert all(b.crm.steps(f"main-{n}") == NAMES[:2] for n in range(6))


async def test_a_popup_does_not_wait_for_other_calls(tmp_path: Path) -> None:
    """A new call's DialBegin goes before what other calls still have to say."""
    async with bench(tmp_path, lambda _: Answer(delay=0.02), attrs.evolve(QUICK, in_flight=1)) as b:
        await b.put(*(a_call(str(n), INBOUND[2:]) for n in range(5)))
        await b.crm.until(lambda: len(b.crm.seen) == 2)
        await b.put(a_call("new", INBOUND[:1]))
        await b.settled()

    assert "main-new" in [seen.call_id for seen in b.crm.seen[2:6]]


async def test_a_popup_does_not_wait_for_a_backlog(tmp_path: Path) -> None:
    """After an outage a new call's popup is the next request but for those that are on the wire."""
    async with bench(tmp_path, lambda _: Answer(delay=0.02), attrs.evolve(QUICK, in_flight=1)) as b:
        old = [request for n in range(20) for request in a_call(str(n), INBOUND)]
        await b.outbox.put(old, now() - 3600)
        b.sender.wake_nowait()
        await b.crm.until(lambda: len(b.crm.seen) == 6)
        await b.put(a_call("new", INBOUND[:1]))
        await b.settled()

    assert "main-new" in [seen.call_id for seen in b.crm.seen[6:8]]


async def test_calls_that_are_over_ring_for_a_moment_only(tmp_path: Path) -> None:
    """DialBegin makes the row, ringing; its Hangup follows at once, not when all other calls were begun."""
    async with bench(tmp_path, settings=attrs.evolve(QUICK, in_flight=1)) as b:
        steps = [INBOUND[0], *INBOUND[2:]]
        old = [request for step in steps for n in range(6) for request in a_call(str(n), [step])]
        await b.outbox.put(old, now() - 3600)
        b.sender.wake_nowait()
        await b.settled()

    assert [(seen.call_id, seen.step) for seen in b.crm.seen] == [
        (f"main-{n}", step.value) for n in range(6) for step in steps
    ]


async def test_a_crm_that_asks_for_time(tmp_path: Path) -> None:
    """Retry-After is kept: nothing at all is sent before, and then everything."""
    script = in_turn(Answer(status=503, retry_after="1"))
    async with bench(tmp_path, script, attrs.evolve(QUICK, retry_max=0.4)) as b:
        await b.put(a_call("1"))
        await b.crm.until(lambda: len(b.crm.seen) == 1)
        await b.put(a_call("2"))
        await b.settled()

    pause = b.crm.seen[1].began - b.crm.seen[0].began
    assert 0.35 < pause < 2.0, "what the CRM asks for, cut to retry_max"


async def test_a_slow_crm_is_asked_less_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four at once while it is quick; one while it is slow; two again when it has been quick for a while."""
    monkeypatch.setattr("uac_trio.sender.gate.SLOW_AFTER", 0.2)
    delay = 0.005
    async with bench(tmp_path, lambda _: Answer(delay=delay), attrs.evolve(QUICK, in_flight=4, reply_timeout=5)) as b:
        await b.put(*(a_call(f"a{n}", INBOUND[:1]) for n in range(12)))
        await b.settled()
        assert b.crm.most_at_once == 4
        delay = 0.3
        await b.put(*(a_call(f"b{n}", INBOUND[:1]) for n in range(8)))
        await b.crm.until(lambda: sum("-b" in seen.call_id for seen in b.crm.seen) == 7)
        b.crm.most_at_once = 0
        await b.settled()
        assert b.crm.most_at_once == 1
        delay = 0.005
        await b.put(*(a_call(f"c{n}", INBOUND[:1]) for n in range(20)))
        await b.settled()
        assert b.crm.most_at_once == 2


async def test_a_process_that_slept_sends_nothing_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that hangs between the lease and the request leaves the call to whom the lease falls to."""
    slept = 0.0
    healthy = Outbox.lease

    async def sleepy(self: Outbox, *arguments: Any) -> list[OutboxRow]:
        nonlocal slept
        rows = await healthy(self, *arguments)
        slept = slept or (QUICK.lease_seconds - 1 if rows else 0.0)
        return rows

    monkeypatch.setattr(Outbox, "lease", sleepy)
    monkeypatch.setattr("uac_trio.sender.delivery._IDLE_POLL", 0.05)
    with structlog.testing.capture_logs() as logs:
        async with bench(tmp_path, clock=lambda: now() + slept) as b:
            await b.put(a_call("1"))
            await b.settled()

    assert [line["event"] for line in logs].count("sender.lease_too_old") == 1
    assert b.crm.steps("main-1") == NAMES


async def test_environment_proxies_are_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The CRM is in the house; a proxy for the administrator's shell would get every number."""
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    async with bench(tmp_path) as b:
        await b.put(a_call("1", INBOUND[:1]))
        await b.settled()

    assert len(b.crm.seen) == 1


# -- What is answered -----------------------------------------------------------------------------------------------

GOOD_AFTER_ALL = {
    "500 once": ([Answer(status=500)], ["DialBegin", *NAMES], "sender.retry"),
    "500 twice": ([Answer(status=500)] * 2, ["DialBegin", *NAMES], "sender.probably_delivered"),
    "502 page": ([BAD_GATEWAY], ["DialBegin", *NAMES], "sender.crm_away"),
    "503": ([Answer(status=503)] * 2, ["DialBegin"] * 2 + NAMES, "sender.crm_away"),
    "wrong secret, then put right": ([FAILURE] * 3, ["DialBegin"] * 3 + NAMES, "sender.auth_failed"),
    "redirect": ([Answer(status=301, location="/x")], ["DialBegin", *NAMES], "sender.crm_misconfigured"),
    "unknown text": ([Answer(body="Connection failed")] * 2, ["DialBegin"] * 2 + NAMES, "sender.retry"),
    "refused": ([Answer(body="Sorry! Attempt to access restricted file. - x")], NAMES, "sender.parked"),
    "reset after reading": ([ResetRead()], ["DialBegin", *NAMES], "sender.retry"),
    "reset before reading": ([ResetUnread()], NAMES, "sender.retry"),
    "silence": ([Silence()], ["DialBegin", *NAMES], "sender.retry"),
    "504": ([Answer(status=504)], ["DialBegin", *NAMES], "sender.retry"),
    "slow": ([Answer(delay=0.05)], NAMES, ""),
}


@pytest.mark.parametrize(("behaviours", "steps", "event"), GOOD_AFTER_ALL.values(), ids=GOOD_AFTER_ALL)
async def test_a_fault_at_the_first_request(
    tmp_path: Path,
    logged: list[Mapping[str, object]],
    behaviours: list[Behaviour],
    steps: list[str],
    event: str,
) -> None:
    """What is repeated is repeated before the call goes on, what is not is not; and it is logged."""
    async with bench(tmp_path, in_turn(*behaviours)) as b:
        await b.put(a_call("1"))
        await b.settled()
        statistics = await b.outbox.statistics()

    assert b.crm.steps("main-1") == steps
    assert b.crm.overlaps == []
    assert statistics.delivered + statistics.parked == len(INBOUND)
    assert event in (events(logged) or [""])
    assert SECRET not in str(logged)
    assert "79161234567" not in str(logged)


async def test_a_parked_request_is_kept_with_its_reason(tmp_path: Path) -> None:
    """In the outbox, for an administrator, and the call goes on."""
    refusal = Answer(body="Sorry! Attempt to access restricted file. - user_privileges/user_privileges_.php")
    async with bench(tmp_path, in_turn(refusal)) as b:
        await b.put(a_call("1"))
        await b.settled()
        (parked,) = await b.outbox.parked()

    assert parked.step is Step.DIAL_BEGIN
    assert "vTiger refused this request" in parked.reason


async def test_a_crm_that_always_says_500_gets_each_request_once(
    tmp_path: Path, logged: list[Mapping[str, object]]
) -> None:
    """After the first, which is repeated; and the administrator is told once, not with every request."""
    async with bench(tmp_path, lambda _: Answer(status=500)) as b:
        await b.put(a_call("1"))
        await b.settled()
        await b.put(a_call("2"))
        await b.settled()

    assert b.crm.steps("main-1") == ["DialBegin", *NAMES]
    assert b.crm.steps("main-2") == NAMES
    assert events(logged).count("sender.probably_delivered") == 1


async def test_an_outage_does_not_use_up_the_tries(tmp_path: Path) -> None:
    """What could not be sent is no try: the 500 after five 503 is still repeated once."""
    async with bench(tmp_path, in_turn(*[Answer(status=503)] * 5, Answer(status=500))) as b:
        await b.put(a_call("1", INBOUND[:1]))
        await b.settled()

    assert len(b.crm.seen) == 7


@pytest.mark.parametrize("behaviour", [Flood(), Drip()])
async def test_an_endless_body(tmp_path: Path, behaviour: Behaviour) -> None:
    """Is read up to a limit in size and time, and holds nobody else up."""
    settings = attrs.evolve(QUICK, connect_timeout=0.1, in_flight=1)
    async with bench(tmp_path, in_turn(behaviour), settings) as b:
        await b.put(a_call("1", INBOUND[:1]))
        await b.put(a_call("2", INBOUND[:1]))
        await b.settled()

    assert b.crm.steps("main-1") == ["DialBegin", "DialBegin"]
    assert len(b.crm.seen) == 3


async def test_a_reply_that_quotes_the_secret(tmp_path: Path, logged: list[Mapping[str, object]]) -> None:
    """An error page may show what it was sent: neither log nor outbox keep it."""
    page = Answer(status=400, body=f"bad request: vtigersignature={SECRET} callerIdNumber=79161234567")
    async with bench(tmp_path, in_turn(page)) as b:
        await b.put(a_call("1", INBOUND[:1]))
        await b.settled()
        (parked,) = await b.outbox.parked()

    assert "vtigersignature=***" in parked.reason
    assert "7916" not in parked.reason + str(logged)
    assert SECRET not in str(logged)


async def test_cookies_are_not_sent_back(tmp_path: Path) -> None:
    """PHP would let the requests of one session in one at a time."""
    async with bench(tmp_path, lambda _: Answer(cookie="PHPSESSID=1; path=/")) as b:
        await b.put(a_call("1", INBOUND[:2]))
        await b.settled()

    assert ["cookie" in seen.headers for seen in b.crm.seen] == [False, False]


# -- The CRM is away ------------------------------------------------------------------------------------------------


async def test_refused_connections(tmp_path: Path, logged: list[Mapping[str, object]]) -> None:
    """Nothing is lost while nobody listens; told once when it goes and once when it is back."""
    async with fake_vtiger() as gone:
        url, port = gone.url, gone.port
    async with bench(tmp_path, url=url) as b:
        await b.put(*(a_call(str(n), INBOUND[:2]) for n in range(4)))
        assert f"127.0.0.1:{port}" in await b.troubled()
        await trio.sleep(0.1)
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
        await b.put(*(a_call(str(n), INBOUND[:1]) for n in range(40)))
        await trio.sleep(0.35)
        assert 1 <= len(b.crm.seen) <= 9
        b.crm.script = lambda _: Answer()
        await b.settled()
        assert b.crm.most_at_once <= 3


async def test_a_hanging_crm_is_left_in_peace(tmp_path: Path, logged: list[Mapping[str, object]]) -> None:
    """As many requests without an answer as are sent at once, and the rest waits outside."""
    async with bench(tmp_path, lambda _: Silence(), attrs.evolve(QUICK, retry_min=5.0, away_max=5.0)) as b:
        await b.put(*(a_call(str(n), INBOUND[:1]) for n in range(10)))
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

    async with bench(tmp_path) as b:
        probes = _Probes(b.crm)
        b.crm.script = script
        await b.put(a_call("1", [Step.START_APP, Step.HANGUP]))
        await b.settled()

    assert [seen.step for seen in b.crm.seen] == ["StartApp", "", "", "", "StartApp", "Hangup"]


@attrs.define
class _Probes:
    crm: FakeVtiger

    def __len__(self) -> int:
        return sum(not seen.step for seen in self.crm.seen)


async def test_start_app_without_an_answer_is_not_repeated(tmp_path: Path) -> None:
    """Stock vTiger would add a second row; the call goes on after the rest."""
    async with bench(tmp_path, in_turn(Silence())) as b:
        await b.put(a_call("1", [Step.START_APP, Step.DIAL_ANSWER, Step.HANGUP]))
        await b.settled()

    assert b.crm.steps("main-1") == ["StartApp", "DialAnswer", "Hangup"]


async def test_after_silence_the_call_rests(tmp_path: Path) -> None:
    """No request of it for ``unknown_pause``, since the CRM may still be at work; other calls go on."""
    async with bench(tmp_path, in_turn(Silence()), attrs.evolve(QUICK, unknown_pause=30.0)) as b:
        await b.put(a_call("1", INBOUND[:2]))
        await b.crm.until(lambda: len(b.crm.seen) == 1)
        await b.put(a_call("2", INBOUND[:2]))
        await b.crm.until(lambda: b.crm.steps("main-2") == NAMES[:2] and b.sender.status().in_flight == 0)
        wake = await b.outbox.next_wake(now())

    assert b.crm.steps("main-1") == ["DialBegin"]
    assert wake is not None
    assert 29 < wake - now() <= 30


async def test_no_tls_where_tls_is_expected(tmp_path: Path) -> None:
    """The request was not written, so nothing is lost and the words have the cause."""
    async with bench(tmp_path) as b:
        pass
    async with fake_vtiger() as plain, bench(tmp_path, url=plain.url.replace("http:", "https:")) as b:
        await b.put(a_call("1", INBOUND[:1]))
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

    assert (statistics.delivered, statistics.waiting, statistics.sending) == (1, 3, 0)
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


@pytest.mark.parametrize("first", [Step.DIAL_BEGIN, Step.START_APP])
async def test_killed_with_a_request_in_flight(tmp_path: Path, first: Step) -> None:
    """The next process takes the call up when the lease has run out: StartApp is not repeated, all else is."""
    settings = attrs.evolve(QUICK, connect_timeout=0.05, reply_timeout=0.05, shutdown_grace=0.0)
    steps = [first, Step.HANGUP, Step.END_CALL]
    async with bench(tmp_path, lambda _: Silence(), settings) as b:
        await b.put(a_call("1", steps))
        await b.crm.until(lambda: len(b.crm.seen) == 1)
        b.cancel()

    def later() -> float:
        return now() + settings.lease_seconds

    async with bench(tmp_path, clock=later) as b:
        await b.settled()

    repeated = [first.value] if first is Step.DIAL_BEGIN else []
    assert b.crm.steps("main-1") == [*repeated, "Hangup", "EndCall"]


async def test_a_restart_before_the_lease_ends_leaves_the_call_alone(tmp_path: Path) -> None:
    """The CRM may still be at work on what the dead process sent."""
    settings = attrs.evolve(QUICK, shutdown_grace=0.0)
    async with bench(tmp_path, lambda _: Silence(), settings) as b:
        await b.put(a_call("1"))
        await b.crm.until(lambda: len(b.crm.seen) == 1)
        b.cancel()
    async with bench(tmp_path) as b:
        await b.put(a_call("2", INBOUND[:1]))
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
        await b.put(a_call("1", [Step.DIAL_BEGIN]))
        await b.crm.until(lambda: len(b.crm.seen) == 1)
        shift = 1000.0
        b.sender.wake_nowait()
        await b.crm.until(lambda: b.crm.seen[0].ended is not None)
        await trio.sleep(0.05)

    assert b.crm.overlaps == []
    assert "sender.clock_jumped" in events(logged)


# -- The outbox fails -----------------------------------------------------------------------------------------------


async def test_the_outbox_fails_for_a_while(
    tmp_path: Path, logged: list[Mapping[str, object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk while leasing or settling: told once, waited out, and nothing is sent twice."""
    monkeypatch.setattr("uac_trio.sender.delivery._IDLE_POLL", 0.05)
    async with bench(tmp_path) as b:
        real_settle, real_lease = b.outbox.settle, b.outbox.lease
        failures = iter(range(6))

        async def settle(row: OutboxRow, outcome: Outcome, at: float) -> bool:
            if next(failures, None) is not None:
                raise OutboxError("the disk is full")
            return await real_settle(row, outcome, at)

        async def lease(*arguments: object) -> list[OutboxRow]:
            if next(failures, None) is not None:
                raise OutboxError("the disk is full")
            return await real_lease(*arguments)  # type: ignore[arg-type]

        monkeypatch.setattr(b.outbox, "settle", settle)
        await b.put(a_call("1", INBOUND[:1]))
        await b.crm.until(lambda: len(b.crm.seen) == 1)
        monkeypatch.setattr(b.outbox, "lease", lease)
        await b.put(a_call("2", INBOUND[:1]))
        await b.settled()

    assert [b.crm.steps("main-1"), b.crm.steps("main-2")] == [["DialBegin"], ["DialBegin"]]
    told = events(logged)
    assert told.count("sender.outbox_failed") == told.count("sender.outbox_works_again") >= 1


async def test_the_outbox_fails_longer_than_the_lease(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What could not be written down is sent again, as after a death: nobody else could know of it."""
    shift = 0.0

    def clock() -> float:
        return now() + shift

    monkeypatch.setattr("uac_trio.sender.delivery._IDLE_POLL", 0.05)
    async with bench(tmp_path, clock=clock) as b:
        real_settle = b.outbox.settle

        async def settle(row: OutboxRow, outcome: Outcome, at: float) -> bool:
            raise OutboxError("the disk is full")

        monkeypatch.setattr(b.outbox, "settle", settle)
        await b.put(a_call("1", INBOUND[:1]))
        await b.crm.until(lambda: len(b.crm.seen) == 1)
        shift = QUICK.lease_seconds
        with trio.fail_after(5):
            while b.sender.status().in_flight:  # noqa: ASYNC110
                await trio.sleep(0.005)
        monkeypatch.setattr(b.outbox, "settle", real_settle)
        await b.settled()

    assert b.crm.steps("main-1")[:2] == ["DialBegin", "DialBegin"]


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
                await b.outbox.put([each for n in range(3) for each in a_call(str(n), INBOUND[:3])], clock())
                b.sender.wake_nowait()
                if kill is None:
                    await b.settled()
                else:
                    await trio.sleep(kill / 200)
            assert b.crm.overlaps == []
            for each in b.crm.seen:
                seen.setdefault(each.call_id, []).append(each.step)
            shift += quick.lease_seconds

    for steps in seen.values():
        places = [NAMES.index(step) for step in steps]
        assert places == sorted(places)
    if not any(isinstance(fault, ResetUnread) or "Sorry" in getattr(fault, "body", "") for fault in faults):
        assert {call: sorted(set(steps)) for call, steps in seen.items()} == {
            f"main-{n}": sorted(NAMES[:3]) for n in range(3)
        }
