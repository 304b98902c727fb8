"""Whatever the connection to the PBX does, nothing is left ringing, nothing is doubled, and what was seen is sent."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import structlog.testing
import trio

from tests.faults.conftest import World, is_answered, locked, recording, rings, running
from tests.faults.proxy import open_proxy
from uac_trio.ami.message import Event
from uac_trio.clock import now
from uac_trio.demo.recorded_pbx import RecordedPBX, serve_recorded_pbx
from uac_trio.demo.recording import encoded

CALL = "asterisk22/inbound_answered"
SIZE = sum(len(encoded(timed.event)) for timed in recording(CALL).events)


@pytest.mark.parametrize("cut_at", [0, 1, 27, 100, 400, *range(1000, SIZE + 1000, SIZE // 16)])
async def test_cut_at_any_byte(world: World, cut_at: int) -> None:
    """The connection breaks after so many bytes from the PBX, in the login or in the call: whatever was begun in the
    CRM is ended, and the next call is sent as if nothing had been."""
    world.pbx_proxy.cut_after = cut_at
    async with running(world.config()):
        await world.until(lambda: world.pbx_proxy.connections)
        with trio.move_on_after(0.15):
            await world.watched()
        first = world.call()
        first.emit()
        await trio.sleep(0.02)
        before = world.snapshots
        world.pbx_proxy.cut_after = None
        world.pbx_proxy.cut()
        await world.watched(before)
        second = world.call()
        second.emit()
        await world.until_true(second)
        await world.until(lambda: not world.crm.crm.stuck())
    for rows in world.rows(first.rows).values():
        assert [row.ended for row in rows] == [True]


@pytest.mark.parametrize("pieces", [1, 7, 1000])
async def test_broken_up_and_late(world: World, pieces: int) -> None:
    """A slow line changes nothing but the time of sending."""
    world.pbx_proxy.delay = 0.05
    async with running(world.config()):
        await world.watched()
        call = world.call()
        for number in range(len(recording(CALL).events)):
            call.emit(lambda _: True)
            if number % pieces == 0:
                await trio.lowlevel.checkpoint()
        await world.until_true(call)


async def test_cut_in_mid_call_and_back_at_once(world: World) -> None:
    """A call that goes on over a lost connection is carried on: one row, with its end."""
    async with running(world.config()):
        await world.watched()
        call = world.call()
        for moment in (rings, is_answered):
            call.emit(moment)
            await trio.sleep(0.05)
            before = world.snapshots
            world.pbx_proxy.cut()
            await world.watched(before)
        call.emit()
        await world.until_true(call)


async def test_ended_while_away(world: World) -> None:
    """Of a call that ended while the connection was gone the row ends too, by inference."""
    async with running(world.config()):
        await world.watched()
        call = world.call()
        call.emit(is_answered)
        await world.until(lambda: world.crm.crm.stuck())
        world.pbx_proxy.down()
        world.pbx_proxy.cut()
        await trio.sleep(0.05)
        call.emit()
        await world.pbx_proxy.up()
        await world.until(lambda: not world.crm.crm.stuck())
    (rows,) = world.rows(call.rows).values()
    assert [(row.extension, row.ended) for row in rows] == [("101", True)]
    world.nothing_is_wrong()


async def test_half_open(world: World) -> None:
    """A connection that drops everything silently is detected by its pings, and closed."""
    with structlog.testing.capture_logs() as logs:
        async with running(world.watchful_config()):
            await world.watched()
            call = world.call()
            call.emit(rings)
            await world.until(lambda: world.crm.crm.stuck())
            world.pbx_proxy.stall()
            call.emit(is_answered)
            await world.watched(before=1)
            call.emit()
            await world.until(lambda: not world.crm.crm.stuck())
            await world.until_true(call)
    assert any("no answer to a ping" in str(line.get("reason")) for line in logs)


async def test_silent(world: World) -> None:
    """A server that takes connections and says nothing is left again; when it speaks, it is listened to."""
    async with running(world.watchful_config()) as address:
        await world.watched()
        world.pbx_proxy.delay = 60
        world.pbx_proxy.cut()
        await world.until(lambda: world.pbx_proxy.connections >= 3)
        assert (await world.health(address))["pbx"]["main"]["reason"]
        world.pbx_proxy.delay = 0
        world.pbx_proxy.cut()
        await world.watched(before=1)
        call = world.call()
        call.emit()
        await world.until_true(call)


async def test_login_refused_then_accepted(world: World) -> None:
    """A secret that was changed at the PBX and put right again: the daemon goes on trying, and says why."""
    world.pbx.secret = "changed"
    with structlog.testing.capture_logs() as logs:
        async with running(world.config()):
            await world.until(lambda: sum(line["event"] == "ami.login_refused" for line in logs) >= 2)
            world.pbx.secret = "demo"
            await world.watched()
            call = world.call()
            call.emit()
            await world.until_true(call)


async def test_pbx_restart(world: World) -> None:
    """Asterisk goes down with its calls and comes back without: they end, as seen by its channels being gone."""
    async with running(world.config()):
        await world.watched()
        lost, later = world.call(), world.call()
        lost.emit(is_answered)
        await world.until(lambda: [row.callstatus for row in world.crm.crm.rows] == ["in-progress"])
        world.pbx_proxy.down()
        world.pbx_proxy.cut()
        world.pbx.forget_channels()
        await world.pbx_proxy.up()
        await world.until(lambda: not world.crm.crm.stuck())
        later.emit()
        await world.until_true(later)
    (rows,) = world.rows(lost.rows).values()
    assert [(row.status, row.ended) for row in rows] == [("completed", True)]


async def test_two_of_which_one_hangs(world: World) -> None:
    """A PBX that does not answer at all does not touch the calls of another."""
    other = RecordedPBX(now=now)
    async with trio.open_nursery() as nursery:
        port: int = await nursery.start(partial(serve_recorded_pbx, other))
        async with open_proxy(port) as other_proxy:
            second = f"""
[[pbx]]
name = "other"
host = "127.0.0.1"
port = {other_proxy.port}
username = "demo"
secret = "demo"
"""
            async with running(world.watchful_config(second)) as address:
                await world.watched()
                await other.watched.wait()
                other_proxy.delay = 60
                call = world.call()
                call.emit()
                await world.until_true(call)
                await world.until(lambda: other_proxy.connections > 1)
                health = await world.health(address)
                assert health["pbx"]["main"]["state"] == "connected"
                assert health["pbx"]["other"]["state"] != "connected"
        nursery.cancel_scope.cancel()


async def test_burst_faster_than_the_store(world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """More requests than the memory is allowed to hold: what is known is not trusted any more, the daemon starts over
    from the outbox and a snapshot, says so, and leaves nothing ringing."""
    monkeypatch.setattr("uac_trio.daemon.storing.MAX_WAITING", 4)
    with structlog.testing.capture_logs() as logs:
        async with running(world.config()) as address:
            await world.watched()
            with locked(world):
                for _ in range(12):
                    world.call().emit()
                await world.until(lambda: any(line["event"] == "daemon.starting_over" for line in logs))
            await world.watched(before=1)
            later = world.call()
            for _ in recording(CALL).events:
                later.emit(lambda _: True)
                await trio.sleep(0.005)
            await world.until_true(later)
            await world.until(lambda: not world.crm.crm.stuck())
            assert (await world.health(address))["starts_over"] >= 1
    dropped = [line["dropped"] for line in logs if line["event"] == "daemon.starting_over"]
    assert dropped[0] >= 1


async def test_client_that_is_cut_off_for_reading_too_slowly(world: World) -> None:
    """Asterisk cuts a client whose buffer is full; the snapshot of the next connection puts things right."""
    async with running(world.config()):
        await world.watched()
        call = world.call()
        call.emit(is_answered)
        await world.until(lambda: world.crm.crm.stuck())
        noise = Event((("Event", "Newexten"), ("Privilege", "call,all")))
        for _ in range(3000):
            world.pbx.emit_nowait(noise)
        call.emit()
        await world.watched(before=1)
        await world.until(lambda: not world.crm.crm.stuck())
    world.nothing_is_wrong()
