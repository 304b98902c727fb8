from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import attrs
import httpx
import pytest
import structlog.testing
import trio

from tests.daemon.world import CALL_ID, WHOLE_CALL, World, answered, part_of_call, ringing, running
from tests.fake_asterisk import silence
from tests.fake_vtiger import FAILURE, Answer
from tests.store.calls import a_call, deliver, lease
from uac_trio.calls.rules import TrackerRules
from uac_trio.clock import now
from uac_trio.crm.delivery import Kind
from uac_trio.pipeline import Pipeline
from uac_trio.store.outbox import open_outbox
from uac_trio.store.rows import Parked


async def live(address: str) -> dict[str, Any]:
    async with httpx.AsyncClient() as client:
        reply = await client.get(f"{address}/live.json")
    state: dict[str, Any] = reply.json()
    return state


async def test_a_call_is_followed(world: World) -> None:
    """The daemon's page shows a call while it rings, then as ended, with what was sent to the CRM and when."""
    async with running(world.config()) as address:
        session = await world.session()
        await session.say(part_of_call(None, ringing))
        await world.until(lambda: world.crm.steps(CALL_ID) == ["DialBegin"])
        async with httpx.AsyncClient() as client:
            page = await client.get(f"{address}/live")
        assert page.status_code == 200
        assert "101 rings" in " ".join(page.text.split())
        await session.say(part_of_call(ringing, answered))
        await world.until(lambda: world.crm.steps(CALL_ID) == ["DialBegin", "DialAnswer"])
        await session.say(part_of_call(answered, None))
        await world.until(lambda: world.crm.steps(CALL_ID) == WHOLE_CALL)
        wanted = {
            'uac_requests_sent_total{request="DialBegin",verdict="delivered"} 1.0',
            'uac_pbx_connected{pbx="main"} 1.0',
            'uac_calls_ended_total{direction="inbound",status="completed"} 1.0',  # after [calls] linger
        }
        with trio.fail_after(4):
            async with httpx.AsyncClient() as client:
                while not wanted <= set((await client.get(f"{address}/metrics")).text.splitlines()):  # noqa: ASYNC110  over HTTP
                    await trio.sleep(0.02)


async def test_why_the_popup_did_not_come(world: World) -> None:
    """A CRM that refuses our secret is the first thing on the page, and the reason at the call's request."""

    def refuse(form: Mapping[str, str]) -> Answer:
        return FAILURE

    world.crm.script = refuse
    async with running(world.config()) as address:
        session = await world.session()
        await session.say(part_of_call(None, answered))
        await world.until(lambda: world.crm.seen)
        with trio.fail_after(4):
            while not (state := await live(address))["calls"][0]["deliveries"][0]["words"]:  # noqa: ASYNC110  over HTTP
                await trio.sleep(0.05)
    assert "The CRM gets nothing: vTiger answers Authentication Failure" in state["findings"][0]["words"]
    delivery = state["calls"][0]["deliveries"][0]
    assert (delivery["kind"], delivery["state"]) == ("begin", "secret")
    assert "[vtiger] secret differs" in delivery["words"]


async def test_a_dead_letter_is_sent_again(world: World) -> None:
    """By the page's form: with the later deliveries of its call, at once, and the page is well again."""
    config = world.config()
    async with open_outbox(config.store) as outbox:
        begin, end = a_call("main-9", (Kind.BEGIN, Kind.END))
        await outbox.put([begin, end], now())
        (row,) = await lease(outbox, now())
        await outbox.settle(row, Parked(reason="Restricted file"), now())
        await deliver(outbox, now())
    async with running(config) as address, httpx.AsyncClient() as client:
        with trio.fail_after(4):
            while not (state := await live(address))["parked"]:  # noqa: ASYNC110  over HTTP
                await trio.sleep(0.05)
        (parked,) = state["parked"]
        assert (parked["kind"], parked["reason"]) == ("begin", "Restricted file")
        page = (await client.get(f"{address}/live")).text
        token = re.search(r'name="token" value="([^"]+)"', page)
        assert token is not None
        form = {"token": token[1], "number": str(parked["id"])}
        assert (await client.post(f"{address}/live/retry", data=form)).status_code == 303
        await world.until(lambda: world.crm.steps("main-9")[-1:] == ["EndCall"])
        assert (await live(address))["parked"] == []
        assert (await client.post(f"{address}/live/retry", data=form)).status_code == 409


async def test_rules_that_match_no_phone(world: World) -> None:
    """Which phone rang and why it is no employee's: in the log once, counted, and on the page."""
    config = attrs.evolve(world.config(), calls=TrackerRules(extensions="^2..$", linger=0.05))
    with structlog.testing.capture_logs() as logs:
        async with running(config) as address:
            await (await world.session()).say(part_of_call(None, ringing))
            await world.until(lambda: any(line["event"] == "calls.not_an_employee" for line in logs))
            (call,) = (await live(address))["calls"]
            async with httpx.AsyncClient() as client:
                figures = (await client.get(f"{address}/metrics")).text
                page = (await client.get(f"{address}/live")).text
    (line,) = [line for line in logs if line["event"] == "calls.not_an_employee"]
    assert line["log_level"] == "info"
    assert line["because"] == call["not_employees"][0]
    assert line["because"].startswith("PJSIP/101-")
    assert "uac_not_an_employee_total 1.0" in figures
    assert line["because"] in page


async def test_starting_over_leaves_no_ghosts(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """When everything begins anew, calls that the snapshot does not show are gone from the page, which says so."""
    monkeypatch.setattr("uac_trio.daemon.intake.START_OVER_PAUSE", 0.05)
    monkeypatch.setattr("uac_trio.web.monitor.FRESH", 0.0)
    healthy = Pipeline.received

    def faulty(self: Pipeline, *arguments: Any) -> Any:
        if any(message.get("Event") == "DialEnd" for message in arguments[1]):
            raise RuntimeError("a fault of ours")
        return healthy(self, *arguments)

    monkeypatch.setattr(Pipeline, "received", faulty)
    with structlog.testing.capture_logs():
        async with running(world.config()) as address:
            session = await world.session()
            await session.say(part_of_call(None, ringing))
            await world.until(lambda: world.crm.seen)
            assert [call["call_id"] for call in (await live(address))["calls"]] == [CALL_ID]
            await session.say(part_of_call(ringing, answered))
            await world.session(2)
            await world.until(lambda: "Hangup" in world.crm.steps(CALL_ID))
            state = await live(address)
    assert state["calls"] == []
    assert state["findings"][0]["words"].startswith("Times that everything began anew: 1")


async def test_page_after_a_restart(world: World) -> None:
    """It shows the calls that go on, as before; what an earlier run counted is not counted again."""
    async with running(world.config()):
        await (await world.session()).say(part_of_call(None, ringing))
        await world.until(lambda: world.crm.steps(CALL_ID) == ["DialBegin"])
    world.pbx.reactions["CoreShowChannels"] = silence  # nothing ends the call
    async with running(world.config()) as address:
        await world.until(lambda: len(world.pbx.sessions) == 2)
        with trio.fail_after(4):
            while not (state := await live(address))["calls"]:  # noqa: ASYNC110  over HTTP
                await trio.sleep(0.02)
        assert [call["call_id"] for call in state["calls"]] == [CALL_ID]
        async with httpx.AsyncClient() as client:
            figures = (await client.get(f"{address}/metrics")).text
        assert 'uac_requests_sent_total{request="DialBegin",verdict="delivered"} 1.0' not in figures
