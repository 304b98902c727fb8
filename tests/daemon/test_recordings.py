"""The whole way of a recording: a recorded call, the real daemon, the CRM's Record, the CRM's player."""

from __future__ import annotations

import json
import sqlite3
from urllib.parse import urlsplit

import attrs
import httpx
import trio
import trio.testing

from tests.daemon.world import CALL_ID, World, part_of_call, running
from tests.recordings.far import SECRET as FAR_SECRET
from tests.recordings.far import serving
from tests.recordings.sounds import wav
from uac_trio.clock import now
from uac_trio.config.loading import Config
from uac_trio.recordings.settings import HostSettings

NAME = "20261123-060153-+79161234567-4951000101-1795413713.0.wav"
SOUND = wav(2)


def config_of(world: World, flavour: str = "salesplatform") -> Config:
    """A PBX whose recordings are mounted here, elsewhere than the PBX has them."""
    root = world.tmp_path / "monitor"
    root.mkdir(exist_ok=True)
    config = world.config("[recordings]\nwait_seconds = 30", public_url="http://172.16.1.1:5000", flavour=flavour)
    return attrs.evolve(config, recordings={"main": (str(root),)})


def table(world: World) -> list[tuple[object, ...]]:
    with sqlite3.connect(world.tmp_path / "connector.db") as connection:
        rows = connection.execute("SELECT state, pbx, call_id, extension, size, path FROM recording").fetchall()
    connection.close()
    return rows


async def asked(address: str, link: str, more: str = "") -> httpx.Response:
    """What the CRM's server, or a browser, gets for a link."""
    parts = urlsplit(link)
    async with httpx.AsyncClient() as client:
        return await client.get(f"{address}{parts.path}?{parts.query}{more}")


async def test_recording_is_sent_when_it_is_complete(world: World) -> None:
    """The call is sent at once, its recording when the file is complete; then only the CRM can fetch it."""
    root = world.tmp_path / "monitor"
    async with running(config_of(world)) as address:
        await (await world.session()).say(part_of_call(None, None))
        await world.until(lambda: "EndCall" in world.crm.steps(CALL_ID) and table(world))
        assert table(world)[0][0] == "waiting"
        (root / NAME).write_bytes(SOUND)
        await world.until(lambda: world.crm.steps(CALL_ID)[-2:] == ["EndCall", "Record"], 8)
        link = world.crm.seen[-1].form["recordinglink"]
        reply = await asked(address, link, "&secret=crm-secret")
        refused = [await asked(address, link, more) for more in ("", "&secret=wrong", "&secret=crm-secret&secret=x")]
    assert (reply.status_code, reply.content) == (200, SOUND)
    assert [one.status_code for one in refused] == [403] * 3
    path = json.dumps(f"/var/spool/asterisk-lab/monitor/{NAME}")
    assert table(world) == [("ready", "main", CALL_ID, "101", len(SOUND), path)]


async def test_recording_of_another_machine(world: World) -> None:
    """The same where another machine has the file: sent when it is complete there, then fetched through us."""
    config = config_of(world)
    async with serving(world.tmp_path) as far:
        far.clock[0] = now()
        host = HostSettings(pbx="main", url=far.address, secret=FAR_SECRET)
        async with running(attrs.evolve(config, recordings={"main": ()}, hosts=(host,))) as address:
            await (await world.session()).say(part_of_call(None, None))
            await world.until(lambda: "EndCall" in world.crm.steps(CALL_ID) and table(world))
            assert table(world)[0][0] == "waiting"
            (far.root / NAME).write_bytes(SOUND)
            await world.until(lambda: world.crm.steps(CALL_ID)[-2:] == ["EndCall", "Record"], 8)
            reply = await asked(address, world.crm.seen[-1].form["recordinglink"], "&secret=crm-secret")
            assert (reply.status_code, reply.content) == (200, SOUND)
            far.clock[0] += 1000
            reply = await asked(address, world.crm.seen[-1].form["recordinglink"], "&secret=crm-secret")
            assert reply.status_code == 503
            async with httpx.AsyncClient() as client:
                health = (await client.get(f"{address}/healthz")).json()
    assert "the clocks of the two machines differ by" in health["recordings"]["trouble"]["main"]


async def test_recording_that_waits_over_a_restart(world: World) -> None:
    """A recording whose file comes while we are down is sent by the next run."""
    async with running(config_of(world)):
        await (await world.session()).say(part_of_call(None, None))
        await world.until(lambda: table(world))
    assert "Record" not in world.crm.steps(CALL_ID)
    (world.tmp_path / "monitor" / NAME).write_bytes(SOUND)
    async with running(config_of(world)):
        await world.until(lambda: world.crm.steps(CALL_ID)[-2:] == ["EndCall", "Record"], 8)


async def test_stock_link_in_a_browser(world: World) -> None:
    """A stock vTiger gets the link after the call's end, and any browser with the link may play it."""
    async with running(config_of(world, "stock")) as address:
        (world.tmp_path / "monitor" / NAME).write_bytes(SOUND)
        await (await world.session()).say(part_of_call(None, None))
        await world.until(lambda: "Record" in world.crm.steps(CALL_ID), 8)
        reply = await asked(address, world.crm.seen[-1].form["recordinglink"])
    assert (reply.status_code, reply.content) == (200, SOUND)
    assert world.crm.steps(CALL_ID)[-3:] == ["EndCall", "Hangup", "Record"]


async def test_stop_with_a_listener_who_does_not_read(world: World) -> None:
    """A stalled download keeps the daemon's end no longer than its grace."""
    async with running(config_of(world)) as address:
        with (world.tmp_path / "monitor" / NAME).open("wb") as file:
            file.write(wav(0, size=40_000_000))
            file.truncate(40_000_044)
        await (await world.session()).say(part_of_call(None, None))
        await world.until(lambda: "Record" in world.crm.steps(CALL_ID), 8)
        link = urlsplit(world.crm.seen[-1].form["recordinglink"])
        listener = await trio.open_tcp_stream("127.0.0.1", int(address.rpartition(":")[2]))
        asking = f"GET {link.path}?{link.query}&secret=crm-secret HTTP/1.1\r\nHost: x\r\n\r\n"
        await listener.send_all(asking.encode())
        assert (await listener.receive_some(12)) == b"HTTP/1.1 200"
        await trio.testing.wait_all_tasks_blocked(0.01)
        began = trio.current_time()
    assert trio.current_time() - began < 3
    await listener.aclose()
