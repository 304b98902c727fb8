"""What /healthz and /readyz answer, what they never show, and systemd's status line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import attrs
import httpx
import pytest
import structlog.testing
import trio

from tests.daemon.test_watching import NOW, around
from tests.daemon.world import (
    CALL_ID,
    World,
    asked,
    events_of_call,
    part_of_call,
    running,
    until_health,
    until_pbx,
)
from uac_trio import clock
from uac_trio.ami_client.status import AMIStatus
from uac_trio.daemon.conditions import Condition, Finding
from uac_trio.daemon.health import STORE_ANSWERS_WITHIN, health, status_line
from uac_trio.daemon.standing import Standing
from uac_trio.sender.delivery import SenderStatus
from uac_trio.store.outbox import Outbox


async def test_wrong_secret_of_the_pbx(world: World) -> None:
    """A refused login does not end the daemon; the reason is in the log and in /healthz, the secret in neither."""
    with structlog.testing.capture_logs() as logs:
        async with running(world.config(secret="not-the-one")) as address:
            await world.until(lambda: len(world.pbx.sessions) >= 2)
            health = await until_pbx(address, lambda pbx: "login refused" in pbx["reason"])
    assert any(line["event"] == "ami.login_refused" for line in logs)
    assert "not-the-one" not in str(logs) + str(health)


async def test_health_shows_no_secret_and_no_number(world: World) -> None:
    """/healthz, which any client may read, holds no secret and no telephone number."""
    async with running(world.config()) as address:
        await (await world.session()).say(part_of_call(None, None))
        await world.until(lambda: world.crm.steps(CALL_ID)[-1:] == ["EndCall"])
        _, health = await asked(address, "/healthz")
    body = json.dumps(health)
    assert not any(word in body for word in ("s3cret", "crm-secret", "79161234567"))
    assert health["outbox"] is not None


def standing(**changed: Any) -> Standing:
    return attrs.evolve(around(NOW).standing, **changed)


AWAY = SenderStatus(in_flight=0, trouble="cannot be reached: refused", trouble_since=NOW)
REFUSED = AMIStatus(state="waiting", last_error="login refused")


@pytest.mark.parametrize(
    ("changed", "works", "away"),
    [
        ({}, True, {}),
        ({"pbxes": {"main": REFUSED}}, True, {"main": "login refused"}),
        ({"pbxes": {"main": AMIStatus(state="connecting")}}, True, {"main": "connecting"}),
        ({"pbxes": {}}, True, {"main": "not begun with yet: the store does not answer"}),
        ({"sender": AWAY}, True, {"crm": "cannot be reached: refused"}),
        ({"store_trouble": "the disk is full"}, True, {"store": "the disk is full"}),
        ({"store_hangs_for": STORE_ANSWERS_WITHIN}, False, {}),
        (
            {"pbxes": {"main": REFUSED}, "sender": AWAY, "store_trouble": "full"},
            True,
            {"main": "login refused", "crm": "cannot be reached: refused", "store": "full"},
        ),
    ],
)
def test_who_is_away(changed: dict[str, Any], works: bool, away: dict[str, str]) -> None:
    """Each party has its reason. No party that is away, and no store that fails, makes a restart worth while."""
    now = health(standing(**changed))
    parties: dict[str, Any] = {**now.details["pbx"], "crm": now.details["crm"], "store": now.details["store"]}  # type: ignore[dict-item]
    assert {name: party["reason"] for name, party in parties.items() if not party["ok"]} == away
    assert not any(party["reason"] for party in parties.values() if party["ok"])
    assert (now.works, now.ready) == (works, not away)


NO_CALLS = Finding(condition=Condition.NO_CALLS, pbx="main", words="Nothing from 79161234567", since=NOW)


def test_conditions_by_name_alone() -> None:
    """The words, which may hold numbers, are not for every client of the port."""
    details = health(standing(findings=(NO_CALLS,))).details
    assert details["conditions"] == [{"condition": "no_calls", "severity": "warning", "pbx": "main", "since": NOW}]
    assert "79161234567" not in str(details)


def test_status_line() -> None:
    """The parties, what goes on, and the conditions that are present."""
    assert status_line(standing(live_calls=3)) == (
        "1 of 1 PBXes connected, CRM takes requests, 3 calls in progress, 0 deliveries wait; all is well"
    )
    assert status_line(standing(sender=AWAY, in_memory=2, findings=(NO_CALLS,))) == (
        "1 of 1 PBXes connected, CRM does not take requests, 0 calls in progress, 2 deliveries wait; "
        "warning no_calls (main)"
    )


PAGE = (Path(__file__).parents[2] / "docs" / "conditions.md").read_text()


def test_the_page_has_the_shape() -> None:
    """docs/conditions.md shows the keys that there are, of each part too."""
    shown = json.loads(PAGE.partition("```json\n")[2].partition("```")[0])
    now = {"ok": False, **health(standing(findings=(NO_CALLS,))).details}
    assert shown.keys() == now.keys()
    for part in ("crm", "store", "outbox", "recordings", "log"):
        assert shown[part].keys() == now[part].keys()  # type: ignore[attr-defined]
    assert shown["pbx"]["main"].keys() == now["pbx"]["main"].keys()  # type: ignore[index]
    assert shown["conditions"][0].keys() == now["conditions"][0].keys()  # type: ignore[index]


def test_the_page_has_all_conditions() -> None:
    """Each with its severity."""
    rows = [line.split(" | ") for line in PAGE.splitlines() if line.startswith("| `")]
    shown = {cells[0].strip("| `"): cells[1] for cells in rows}
    assert shown == {condition.value: condition.severity.value for condition in Condition}


async def test_a_manager_user_without_read_call(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Cdr comes of a call that was never announced: /readyz, /live, the metrics and the log show it."""
    monkeypatch.setattr("uac_trio.daemon.run.LOOK_EVERY", 0.02)
    monkeypatch.setattr("uac_trio.web.monitor.FRESH", 0.0)

    def found() -> list[Any]:
        return [line for line in logs if line.get("condition") == "calls_not_announced"]

    with structlog.testing.capture_logs() as logs:
        async with running(world.config()) as address:
            session = await world.session()
            later = str(int(clock.now()) + 60).encode()  # than the login
            (cdr,) = (one for one in events_of_call() if one.startswith(b"Event: Cdr"))
            await session.say(cdr.replace(b"1795413713.", later + b"."))
            await until_health(address, lambda health: "calls_not_announced" in str(health["conditions"]))
            status, _ = await asked(address, "/readyz")
            async with httpx.AsyncClient() as client:
                page = (await client.get(f"{address}/live")).text
                figures = (await client.get(f"{address}/metrics")).text
            await world.until(found)
    assert status == 200  # the parties are there
    assert "All is well" not in page
    assert "lacks call in read=" in page
    assert 'uac_condition{condition="calls_not_announced",pbx="main",severity="problem"} 1.0' in figures
    assert 'uac_condition{condition="no_recording_names",pbx="main",severity="problem"} 0.0' in figures
    (line,) = found()
    assert (line["event"], line["log_level"], line["pbx"]) == ("condition.began", "warning", "main")


async def test_a_store_whose_thread_hangs(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """/healthz is 503 when the store's thread gives no answer: a host or a disk hangs."""
    monkeypatch.setattr("uac_trio.daemon.health.STORE_ANSWERS_WITHIN", 0.05)
    hangs, release = Outbox.exchange, trio.Event()

    async def hanging(self: Outbox, *arguments: Any) -> Any:
        await release.wait()
        return await hangs(self, *arguments)

    monkeypatch.setattr(Outbox, "exchange", hanging)
    async with running(world.config()) as address:
        with trio.fail_after(5):
            while (await asked(address, "/healthz"))[0] != 503:  # noqa: ASYNC110  over HTTP
                await trio.sleep(0.02)
        release.set()
        with trio.fail_after(5):
            while (await asked(address, "/healthz"))[0] != 200:  # noqa: ASYNC110  over HTTP
                await trio.sleep(0.02)
