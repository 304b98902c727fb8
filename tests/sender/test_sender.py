"""What the sender sends, and what it makes of every kind of answer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import pytest
import structlog.testing
import trio

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
from tests.sender.bench import INBOUND, NAMES, QUICK, SECRET, a_call, bench, events, in_turn, now, where_signed
from uac_trio.crm.delivery import Kind
from uac_trio.crm.vtiger import Flavour
from uac_trio.sender.delivery import AHEAD_SECONDS, MOST_AHEAD
from uac_trio.store.outbox import Outbox, open_outbox
from uac_trio.store.rows import Exchanged
from uac_trio.store.settings import OutboxSettings

BEGIN = [Kind.BEGIN]
END = [Kind.END]

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
        "callerIdNumber": "+79161234567",
        "callerIdName": "",
        "connectedLineName": "",
        "dialString": "101",
        "StartTime": seen.form["StartTime"],
        "vtigersignature": SECRET,
    }
    assert re.fullmatch(r"2026-\d\d-\d\d \d\d:\d\d:\d\d", seen.form["StartTime"])
    assert seen.headers["content-type"] == "application/x-www-form-urlencoded"
    assert seen.headers["user-agent"].startswith("uac-trio/")
    assert seen.target == "/modules/PBXManager/callbacks/PBXManager.php"
    assert b.crm.connections == 1


async def test_letters_of_all_kinds(tmp_path: Path) -> None:
    """UTF-8 as it is; half a surrogate, which has no UTF-8, becomes a question mark instead of stopping everything."""
    async with bench(tmp_path) as b:
        (begin,) = a_call("1", BEGIN)
        await b.put([attrs.evolve(begin, customer_name="Анна & Co = 100% +1", line="a\ud800b")])
        await b.settled()

    assert b.crm.seen[0].form["callerIdName"] == "Анна & Co = 100% +1"
    assert b.crm.seen[0].form["connectedLineName"] == "a?b"


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
        await b.put(*(a_call(str(n), END) for n in range(5)))
        await b.crm.until(lambda: len(b.crm.seen) == 2)
        await b.put(a_call("new", BEGIN))
        await b.settled()

    assert "main-new" in [seen.call_id for seen in b.crm.seen[2:8]]


async def test_a_popup_does_not_wait_for_a_backlog(tmp_path: Path) -> None:
    """After an outage a new call's popup is the next delivery but for those that are on the wire or leased ahead."""
    async with bench(tmp_path, lambda _: Answer(delay=0.02), attrs.evolve(QUICK, in_flight=1)) as b:
        old = [request for n in range(20) for request in a_call(str(n), INBOUND)]
        await b.outbox.put(old, now() - 3600)
        b.sender.wake_nowait()
        await b.crm.until(lambda: len(b.crm.seen) == 6)
        await b.put(a_call("new", BEGIN))
        await b.settled()

    assert "main-new" in [seen.call_id for seen in b.crm.seen[6:11]]


async def test_calls_that_are_over_ring_for_a_moment_only(tmp_path: Path) -> None:
    """DialBegin makes the row, ringing; its Hangup follows at once, not when all other calls were begun."""
    slower = lambda _: Answer(delay=1.2 * AHEAD_SECONDS)  # noqa: E731
    async with bench(tmp_path, slower, attrs.evolve(QUICK, in_flight=1)) as b:
        old = [each for kind in (Kind.BEGIN, Kind.END) for n in range(4) for each in a_call(str(n), [kind])]
        await b.outbox.put(old, now() - 3600)
        b.sender.wake_nowait()
        await b.settled()

    assert [(seen.call_id, seen.step) for seen in b.crm.seen] == [
        (f"main-{n}", step) for n in range(4) for step in ("DialBegin", "Hangup", "EndCall")
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
    monkeypatch.setattr("uac_trio.sender.breaker.SLOW_AFTER", 0.2)
    delay = 0.005
    async with bench(tmp_path, lambda _: Answer(delay=delay), attrs.evolve(QUICK, in_flight=4, reply_timeout=5)) as b:
        await b.put(*(a_call(f"a{n}", BEGIN) for n in range(12)))
        await b.settled()
        assert b.crm.most_at_once == 4
        delay = 0.3
        await b.put(*(a_call(f"b{n}", BEGIN) for n in range(8)))
        await b.crm.until(lambda: sum("-b" in seen.call_id for seen in b.crm.seen) == 7)
        b.crm.most_at_once = 0
        await b.settled()
        assert b.crm.most_at_once == 1
        delay = 0.005
        await b.put(*(a_call(f"c{n}", BEGIN) for n in range(20)))
        await b.settled()
        assert b.crm.most_at_once == 2


async def test_a_process_that_slept_sends_nothing_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a host hung between the lease and the request the row is given back, and leased anew by the next sender:
    also a StartApp, for it was not sent."""
    slept = 0.0
    healthy = Outbox.exchange

    async def sleepy(self: Outbox, *arguments: Any) -> Exchanged:
        nonlocal slept
        exchanged = await healthy(self, *arguments)
        slept = slept or (QUICK.lease_seconds - 1 if exchanged.leased else 0.0)
        return exchanged

    monkeypatch.setattr(Outbox, "exchange", sleepy)
    with structlog.testing.capture_logs() as logs:
        async with bench(tmp_path, clock=lambda: now() + slept, flavour=Flavour.STOCK) as b:
            await b.put(a_call("1", is_whole=True))
            await b.settled()

    assert [line["event"] for line in logs].count("sender.lease_too_old") == 1
    assert b.crm.steps("main-1") == ["StartApp", "DialAnswer", "EndCall", "Hangup"]


async def test_a_process_that_slept_in_the_middle_of_a_delivery(
    tmp_path: Path, logged: list[Mapping[str, object]]
) -> None:
    """What was accepted before is not sent again, the rest only under a new lease."""
    slept = 0.0

    def script(form: Mapping[str, str]) -> Answer:
        nonlocal slept
        slept = slept or (QUICK.lease_seconds - 1)
        return Answer()

    async with bench(tmp_path, where_signed(script), clock=lambda: now() + slept) as b:
        await b.put(a_call("1", END))
        await b.settled()

    assert b.crm.steps("main-1") == ["Hangup", "EndCall"]
    assert events(logged) == ["sender.lease_too_old"]


# -- What is leased ahead -------------------------------------------------------------------------------------------


@pytest.fixture
def far_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many rows as there are leased ahead, however slow the CRM."""
    monkeypatch.setattr("uac_trio.sender.delivery.AHEAD_SECONDS", 1000.0)


@pytest.mark.usefixtures("far_ahead")
async def test_a_popup_goes_before_what_is_leased_ahead(tmp_path: Path) -> None:
    """It waits for what is on the wire, and for one delivery more at most."""
    async with bench(tmp_path, lambda _: Answer(delay=0.02), attrs.evolve(QUICK, in_flight=1)) as b:
        await b.outbox.put([each for n in range(40) for each in a_call(str(n), BEGIN)], now() - 3600)
        b.sender.wake_nowait()
        await b.crm.until(lambda: len(b.crm.seen) == 3)
        await b.until_stored(sending=1 + MOST_AHEAD)
        so_far = len(b.crm.seen)
        await b.put(a_call("new", BEGIN))
        await b.crm.until(lambda: b.crm.steps("main-new") == ["DialBegin"])

    assert [seen.call_id for seen in b.crm.seen].index("main-new") - so_far <= 2


@pytest.mark.usefixtures("far_ahead")
async def test_what_is_leased_ahead_is_given_back_when_the_crm_goes_away(tmp_path: Path) -> None:
    """Nothing is leased while nothing may be sent; no try is used up; and all is sent when the CRM is back."""
    away = False
    settings = attrs.evolve(QUICK, in_flight=1, away_max=60.0, retry_min=60.0, retry_max=60.0)
    late = 0.0
    async with bench(tmp_path, lambda _: BAD_GATEWAY if away else Answer(), settings, clock=lambda: now() + late) as b:
        await b.put(a_call("first", BEGIN))
        await b.settled()  # now its usual time is known
        away = True
        await b.put(*(a_call(str(n), BEGIN) for n in range(10)))
        await b.troubled()
        await b.until_stored(sending=0)
        assert (await b.outbox.statistics()).waiting == 10
        assert len(b.crm.seen) == 2
        away, late = False, 61.0
        b.sender.wake_nowait()
        await b.settled()

    assert sorted(seen.call_id for seen in b.crm.seen[2:]) == [f"main-{n}" for n in range(10)]
    assert b.crm.overlaps == []


@pytest.mark.usefixtures("far_ahead")
async def test_what_is_leased_ahead_is_given_back_at_the_end(tmp_path: Path) -> None:
    """A stop leaves no lease behind: the next connector sends at once what this one did not, a StartApp as well."""
    async with bench(tmp_path, lambda _: Answer(delay=0.05), attrs.evolve(QUICK, in_flight=1)) as b:
        await b.put(a_call("first", BEGIN))
        await b.settled()
        await b.put(*(a_call(str(n), BEGIN, is_whole=True) for n in range(10)))
        await b.until_stored(sending=10)
        b.cancel()
    async with open_outbox(OutboxSettings(url=f"sqlite:///{tmp_path}/c.db")) as outbox:
        statistics = await outbox.statistics()
    assert (statistics.sending, statistics.delivered + statistics.waiting) == (0, 11)
    async with bench(tmp_path, flavour=Flavour.STOCK) as next_one:
        await next_one.settled()

    assert len(next_one.crm.seen) == statistics.waiting
    assert next_one.lost == []


# -- Several requests for one delivery ------------------------------------------------------------------------------

SECOND_FAILS: dict[str, tuple[list[Behaviour], int]] = {
    "503": ([Answer(status=503)], 0),
    "502 for a while": ([BAD_GATEWAY] * 7, 0),
    "no answer": ([Silence()], 0),
    "reset": ([ResetRead()], 0),
    "unknown text, in the end": ([Answer(body="what?")] * 4, 0),
    "unknown text, for good": ([Answer(body="what?")] * 5, 1),
    "wrong secret": ([FAILURE, FAILURE], 0),
}


@pytest.mark.parametrize(("faults", "parked"), SECOND_FAILS.values(), ids=SECOND_FAILS)
async def test_what_was_accepted_is_not_sent_again(tmp_path: Path, faults: list[Behaviour], parked: int) -> None:
    """Of an END whose EndCall fails the Hangup was accepted: only EndCall is repeated, with tries of its own."""
    async with bench(tmp_path, in_turn(Answer(), *faults)) as b:
        await b.put(a_call("1", END))
        await b.settled()
        statistics = await b.outbox.statistics()

    sent = len(faults) + (not parked)
    assert b.crm.steps("main-1") == ["Hangup"] + ["EndCall"] * sent
    assert (statistics.delivered, statistics.parked) == (1 - parked, parked)


async def test_a_parked_delivery_is_sent_anew_by_hand(tmp_path: Path) -> None:
    """``outbox retry`` sends all of it: the administrator knows what was mended meanwhile."""
    refusal = Answer(body="Sorry! Attempt to access restricted file. - x")
    async with bench(tmp_path, in_turn(Answer(), refusal)) as b:
        await b.put(a_call("1", END))
        await b.settled()
        (parked,) = await b.outbox.parked()
        await b.outbox.retry(parked.id, now())
        b.sender.wake_nowait()
        await b.settled()

    assert b.crm.steps("main-1") == ["Hangup", "EndCall"] * 2


async def test_environment_proxies_are_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The CRM is in the house; a proxy for the administrator's shell would get every number."""
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    async with bench(tmp_path) as b:
        await b.put(a_call("1", BEGIN))
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

    assert b.lost == []
    assert b.crm.steps("main-1") == steps
    assert b.crm.overlaps == []
    assert statistics.delivered + statistics.parked == len(INBOUND)
    assert event in (events(logged) or [""])
    assert SECRET not in str(logged)
    assert "79161234567" not in str(logged)


async def test_what_was_delivered_is_a_line(tmp_path: Path, logged: list[Mapping[str, object]]) -> None:
    """One for each delivery, with the call, the employee and the CRM's names of its requests."""
    async with bench(tmp_path) as b:
        await b.put(a_call("1"))
        await b.settled()

    lines = [line for line in logged if line["event"] == "sender.delivered"]
    assert [(line["call"], line["extension"], line["kind"], line["requests"]) for line in lines] == [
        ("main-1", "101", "begin", "DialBegin"),
        ("main-1", "101", "answer", "DialAnswer"),
        ("main-1", "101", "end", "Hangup EndCall"),
    ]
    assert {line["log_level"] for line in lines} == {"info"}


async def test_a_parked_request_is_kept_with_its_reason(tmp_path: Path) -> None:
    """In the outbox, for an administrator, and the call goes on."""
    refusal = Answer(body="Sorry! Attempt to access restricted file. - user_privileges/user_privileges_.php")
    async with bench(tmp_path, in_turn(refusal)) as b:
        await b.put(a_call("1"))
        await b.settled()
        (parked,) = await b.outbox.parked()

    assert parked.delivery.kind is Kind.BEGIN
    assert "vTiger refused this request" in parked.reason


def fresh_installation(form: Mapping[str, str]) -> Answer:
    """Of 7.2: an empty 500 to whatever touches a row, which is written; the secret is compared before."""
    return Answer(status=500) if form.get("vtigersignature") == SECRET else FAILURE


async def test_a_crm_that_always_says_500_gets_each_request_once(
    tmp_path: Path, logged: list[Mapping[str, object]]
) -> None:
    """After the first, which is repeated; and the log has one line, not one for every request."""
    async with bench(tmp_path, fresh_installation) as b:
        await b.put(a_call("1"))
        await b.settled()
        await b.put(a_call("2"))
        await b.settled()

    assert b.crm.steps("main-1") == ["DialBegin", *NAMES]
    assert b.crm.steps("main-2") == NAMES
    assert sum("vtigersignature" not in seen.form for seen in b.crm.seen) == 1, "one probe, of the first"
    assert events(logged).count("sender.probably_delivered") == 1


async def test_a_crm_that_always_says_500_but_to_strangers(tmp_path: Path) -> None:
    """A fresh 7.2 answers 200 to an extension that no user has, in its first call too: its 500s are believed in the
    end, and nothing is parked. An extension that was believed once waits for no other call again."""

    def script(form: Mapping[str, str]) -> Answer:
        return Answer() if form.get("callUUID", "").endswith("stranger") else fresh_installation(form)

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
        await b.put(a_call("3"))
        await b.settled()
        statistics = await b.outbox.statistics()

    assert (statistics.parked, statistics.delivered) == (0, 15)
    assert b.crm.steps("main-3") == NAMES, "each probed, none sent again"


async def test_one_request_that_the_crm_fails_at(tmp_path: Path) -> None:
    """Others go through meanwhile, so it is parked in the end and holds nothing up."""

    def script(form: Mapping[str, str]) -> Answer:
        return Answer(status=500 if form["callUUID"].endswith("bad") else 200)

    async with bench(tmp_path, script) as b:
        await b.put(a_call("0"))
        await b.settled()
        await b.put(a_call("bad", BEGIN))
        others = 1
        with trio.fail_after(5):
            while not (parked := await b.outbox.parked()):
                await b.put(a_call(str(others)))
                await b.crm.until(lambda n=others: b.crm.steps(f"main-{n}") == NAMES)  # type: ignore[misc]
                others += 1

    assert [row.delivery.call_id for row in parked] == ["main-bad"]
    assert "uac-trio outbox retry" in parked[0].reason
    assert len(b.crm.steps("main-bad")) >= 6


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
        await b.put(a_call("1", [Kind.BEGIN, Kind.END], is_whole=True))
        await b.settled()
        parked = [row.delivery.kind for row in await b.outbox.parked()]

    assert b.crm.steps("main-1") == ["StartApp"] * (1 if status == 200 else 2) + ["EndCall", "Hangup"]
    assert parked == (BEGIN if status == 200 else [])


async def test_an_outage_does_not_use_up_the_tries(tmp_path: Path) -> None:
    """What could not be sent is no try: the 500 after five 503 is still repeated once."""
    async with bench(tmp_path, in_turn(*[Answer(status=503)] * 5, Answer(status=500))) as b:
        await b.put(a_call("1", BEGIN))
        await b.settled()

    assert len(b.crm.seen) == 7


@pytest.mark.parametrize("behaviour", [Flood(), Drip()])
async def test_an_endless_body(tmp_path: Path, behaviour: Behaviour) -> None:
    """An endless body is read up to a limit in size and time, and holds no other request up."""
    settings = attrs.evolve(QUICK, connect_timeout=0.1, in_flight=1)
    async with bench(tmp_path, in_turn(behaviour), settings) as b:
        await b.put(a_call("1", BEGIN))
        await b.put(a_call("2", BEGIN))
        await b.settled()

    assert b.crm.steps("main-1") == ["DialBegin", "DialBegin"]
    assert len([seen for seen in b.crm.seen if seen.step]) == 3


async def test_a_reply_that_quotes_the_secret(tmp_path: Path, logged: list[Mapping[str, object]]) -> None:
    """An error page may show what it was sent: neither log nor outbox keep it."""
    page = Answer(status=400, body=f"bad request: vtigersignature={SECRET} callerIdNumber=79161234567")
    async with bench(tmp_path, in_turn(page)) as b:
        await b.put(a_call("1", BEGIN))
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
