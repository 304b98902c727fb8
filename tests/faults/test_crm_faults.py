"""Whatever the CRM answers, in the end it shows what happened, once."""

from __future__ import annotations

import pytest
import structlog.testing
import trio

from tests.faults.conftest import World, is_answered, rings, running
from tests.faults.crm import Fault


@pytest.mark.parametrize("position", [1, 3], ids=["first", "third"])
@pytest.mark.parametrize("fault", [fault for fault in Fault if fault is not Fault.NONE], ids=lambda fault: fault.name)
async def test_one_bad_answer(world: World, fault: Fault, position: int) -> None:
    """One request of a call is answered so: the row is right in the end, and the call's order was kept."""
    world.crm.faults.extend([Fault.NONE] * (position - 1) + [fault])
    async with running(world.config()):
        await world.watched()
        call = world.call()
        call.emit()
        await world.until_true(call)
    assert world.crm.struck[fault] == 1


@pytest.mark.parametrize("fault", [Fault.BAD_GATEWAY, Fault.LOGIN_PAGE, Fault.WRONG_SECRET, Fault.RESET_BEFORE])
async def test_bad_answers_for_a_while(world: World, fault: Fault) -> None:
    """While the CRM answers nothing else no call is lost, and it is not asked again and again."""
    async with running(world.config()):
        await world.watched()
        world.crm.always = fault
        calls = [world.call(), world.call("asterisk22/outbound_busy"), world.call("asterisk22/inbound_no_answer")]
        for call in calls:
            call.emit()
        await world.until(lambda: world.crm.struck[fault] >= 3)
        asked = world.crm.struck[fault]
        world.crm.always = Fault.NONE
        await world.until_true(*calls)
    assert asked <= 6


@pytest.mark.parametrize("fault", [Fault.DATABASE_AWAY, Fault.ERROR_PAGE], ids=lambda fault: fault.name)
@pytest.mark.parametrize("restarts", [False, True], ids=["one run", "restart meanwhile"])
async def test_500_after_200(world: World, fault: Fault, *, restarts: bool) -> None:
    """Five calls while a CRM that has worked answers 500, to whatever it is asked: all rows are right afterwards."""
    config = world.config()
    others = ("inbound_answered", "outbound_busy", "inbound_no_answer", "inbound_answered", "outbound_answered")
    async with running(config) as address:
        await world.watched()
        before = world.call("asterisk22/inbound_ringgroup_answered")
        before.emit()
        await world.until_true(before)
        stored = world.stored_calls()
        world.crm.always = fault
        calls = [world.call(f"asterisk22/{name}") for name in others]
        for call in calls:
            call.emit()
        if not restarts:
            await world.until(lambda: world.crm.struck[fault] >= 5)
            assert "error log" in (await world.health(address))["crm"]["reason"]
            world.crm.always = Fault.NONE
            assert await world.most_ringing_until_true(*calls, seconds=20) <= 3
            return
        await world.until(lambda: world.stored_calls() == stored + len(calls))
    async with running(config):
        await world.until(lambda: world.crm.struck[fault] >= 8)
        world.crm.always = Fault.NONE
        await world.until_true(*calls)
    assert world.crm.crm.stuck() == []


async def test_a_fresh_installation(world: World) -> None:
    """Every request is carried out and answered with an empty 500, from the first: all rows are right, each request but
    the first is sent once, and nothing is held back."""
    world.crm.always = Fault.EMPTY_500
    async with running(world.config()) as address:
        await world.watched()
        calls = [world.call(), world.call("asterisk22/outbound_busy"), world.call("asterisk22/inbound_no_answer")]
        for call in calls:
            call.emit()
        await world.until_true(*calls)
        assert (await world.health(address))["crm"]["reason"] == ""
    assert world.crm.doubles <= 3, "as many as were on the wire when nothing was known"


async def test_crm_away_for_long(world: World) -> None:
    """Fifty calls while nothing listens: they are on disk, not in memory; then all rows are right, and no popup is
    shown of a call that is over but for the moment between its DialBegin and its Hangup."""
    world.crm_proxy.down()
    calls = [world.call("asterisk22/inbound_no_answer") for _ in range(50)]
    async with running(world.config()) as address:
        await world.watched()
        for call in calls:
            call.emit()
            await trio.sleep(0.02)  # the PBX's own buffer is short
        await world.until(lambda: world.stored_calls() == 50)
        health = await world.health(address)
        assert health["store"]["in_memory"] == 0
        assert "cannot be reached" in health["crm"]["reason"]
        await world.crm_proxy.up()
        ringing = await world.most_ringing_until_true(*calls, seconds=20)
    assert ringing <= 3, "as many as are sent at once"


async def test_crm_away_in_mid_call(world: World) -> None:
    """It goes when a phone rings and comes back when all is over: the row that rang ends as it should."""
    async with running(world.config()):
        await world.watched()
        call = world.call()
        call.emit(rings)
        await world.until(lambda: world.crm.crm.stuck())
        world.crm_proxy.down()
        world.crm_proxy.cut()
        call.emit(is_answered)
        call.emit()
        with structlog.testing.capture_logs() as logs:
            await world.until(lambda: any(line["event"] == "sender.crm_away" for line in logs))
        await world.crm_proxy.up()
        await world.until_true(call)


@pytest.mark.parametrize("limit", [0, 1, 20, 60, 120])
async def test_answers_cut_off(world: World, limit: int) -> None:
    """The answer to a request breaks off after so many bytes: the request is sent again, the row is one."""
    async with running(world.config()):
        await world.watched()
        world.crm_proxy.cut_after = limit
        call = world.call()
        call.emit(rings)
        await world.until(lambda: world.crm_proxy.connections >= 1 and world.crm.http.seen)
        world.crm_proxy.cut_after = None
        call.emit()
        await world.until_true(call)
