"""What the sender sends, and what it makes of every kind of answer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import pytest
import structlog.testing

from tests.fake_vtiger import (
    BAD_GATEWAY,
    FAILURE,
    Answer,
    Behaviour,
    Drip,
    Flood,
    ResetRead,
    ResetUnread,
    Silence,
)
from tests.sender.bench import INBOUND, NAMES, QUICK, SECRET, a_call, bench, events, in_turn, now
from uac_trio.outbox import Outbox, OutboxRow
from uac_trio.vtiger.account import Flavour
from uac_trio.vtiger.request import CallbackRequest, Step

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


async def test_a_crm_that_always_says_500_but_to_strangers(tmp_path: Path) -> None:
    """A fresh 7.2 answers 200 to an extension that no user has, in its first call too: its 500s are believed in the
    end, and nothing is parked."""

    def script(form: Mapping[str, str]) -> Answer:
        return Answer(status=200 if form["callUUID"].endswith("stranger") else 500)

    async with bench(tmp_path, script) as b:
        await b.put(a_call("0-stranger", extension="105"))
        await b.settled()
        await b.put(a_call("1"))
        await b.troubled()
        for n in (1, 2):
            await b.crm.until(lambda tries=n: len(b.crm.steps("main-1")) >= tries)  # type: ignore[misc]
            await b.put(a_call(f"2-{n}-stranger", extension="105"))
            await b.crm.until(lambda call=f"main-2-{n}-stranger": b.crm.steps(call) == NAMES)  # type: ignore[misc]
        await b.settled()
        await b.put(a_call("3", extension="102"))
        await b.settled()
        statistics = await b.outbox.statistics()

    assert (statistics.parked, statistics.delivered) == (0, 20)
    assert b.crm.steps("main-3") == NAMES


async def test_one_request_that_the_crm_fails_at(tmp_path: Path) -> None:
    """Others go through meanwhile, so it is parked in the end and holds nothing up."""

    def script(form: Mapping[str, str]) -> Answer:
        return Answer(status=500 if form["callUUID"].endswith("bad") else 200)

    async with bench(tmp_path, script) as b:
        await b.put(a_call("0"))
        await b.settled()
        await b.put(a_call("bad", INBOUND[:1]))
        for n in range(1, 8):
            await b.crm.until(lambda tries=n: len(b.crm.steps("main-bad")) >= tries)  # type: ignore[misc]
            await b.put(a_call(str(n)))
        await b.settled()
        (parked,) = await b.outbox.parked()

    assert parked.call_id == "main-bad"
    assert "uac-trio outbox retry" in parked.reason
    assert all(b.crm.steps(f"main-{n}") == NAMES for n in range(8))


@pytest.mark.parametrize("status", [200, 500], ids=["it works otherwise", "its database is away"])
async def test_start_app_answered_with_500(tmp_path: Path, status: int) -> None:
    """Stock: sent again only if the CRM fails at what touches no row as well, for then it has not written this one."""
    broken = iter([True] * 3)

    def script(form: Mapping[str, str]) -> Answer:
        if form["vtigersignature"] != SECRET:
            return FAILURE if status == 200 or next(broken, None) is None else Answer(status=500)
        return Answer(status=500 if not b.crm.seen[1:] else 200)

    async with bench(tmp_path, flavour=Flavour.STOCK) as b:
        b.crm.script = script
        await b.put(a_call("1", [Step.START_APP, Step.HANGUP]))
        await b.settled()
        parked = [row.step for row in await b.outbox.parked()]

    assert b.crm.steps("main-1") == (["StartApp", "Hangup"] if status == 200 else ["StartApp", "StartApp", "Hangup"])
    assert parked == ([Step.START_APP] if status == 200 else [])


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
