"""A PBX and a CRM on loopback, the daemon between them, and what is asked of it."""

from __future__ import annotations

import socket
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import httpx
import pytest
import trio
import trio.testing

from tests.fake_asterisk import FakeAsterisk, FakeSession
from tests.fake_vtiger import FakeVtiger, fake_vtiger
from uac_trio.config.loading import Config, load_config
from uac_trio.daemon.run import run_daemon

CALL_ID = "main-1795413713.0"
FIXTURE = Path(__file__).parents[2] / "fixtures" / "ami_transcripts" / "asterisk22" / "inbound_answered.ami"
WHOLE_CALL = ["DialBegin", "DialAnswer", "Hangup", "EndCall"]
STORED_CALL = ["begin", "answer", "end"]
CLICK = "/makecall?event=OutgoingCall&secret=crm-secret&from=101&to=%2B7+%28916%29+123-45-67&context=x"


def events_of_call() -> list[bytes]:
    """The events of a recorded incoming call: 101 rings, answers, hangs up."""
    blocks = FIXTURE.read_bytes().split(b"\r\n\r\n")
    return [one + b"\r\n\r\n" for one in blocks if one.startswith(b"Event: ") and b"FullyBooted" not in one]


def part_of_call(begin: Callable[[bytes], bool] | None, end: Callable[[bytes], bool] | None) -> bytes:
    """Its events after the first that fits ``begin``, up to and with the first that fits ``end``."""
    events = events_of_call()
    first = 0 if begin is None else next(i for i, event in enumerate(events) if begin(event)) + 1
    last = len(events) if end is None else next(i for i, event in enumerate(events) if end(event)) + 1
    return b"".join(events[first:last])


def ringing(event: bytes) -> bool:
    return event.startswith(b"Event: Newstate") and b"ChannelState: 5" in event


def answered(event: bytes) -> bool:
    return event.startswith(b"Event: DialEnd")


@attrs.define
class World:
    """A PBX and a CRM on loopback, and a place for a configuration and an outbox."""

    pbx: FakeAsterisk
    pbx_port: int
    crm: FakeVtiger
    tmp_path: Path

    def config(self, more: str = "", **changed: str) -> Config:
        values = {"secret": "s3cret", "crm": self.crm.url, "pbx_port": str(self.pbx_port), **changed}
        public_url = f'public_url = "{values["public_url"]}"' if "public_url" in values else ""
        path = self.tmp_path / "uac-trio.toml"
        path.write_text(
            f"""
[[pbx]]
name = "main"
host = "127.0.0.1"
port = {values["pbx_port"]}
username = "crm"
secret = "{values["secret"]}"
backoff_min = 0.1
backoff_max = 0.1
[calls]
linger = 0.05
[vtiger]
url = "{values["crm"]}"
secret = "crm-secret"
flavour = "{values.get("flavour", "salesplatform")}"
[http]
bind = "{values.get("bind", "127.0.0.1:0")}"
{public_url}
grace_seconds = 0.2
[store]
url = "sqlite:///{self.tmp_path}/connector.db"
busy_timeout = 0.1
[sender]
retry_min = 0.1
retry_max = 1
away_max = 1
shutdown_grace = 0.2
{more}
"""
        )
        return load_config(path, {})

    async def session(self, number: int = 1) -> FakeSession:
        """The daemon's ``number``-th connection to the PBX, logged in and with its snapshot."""
        await self.until(lambda: len(self.pbx.sessions) >= number)
        session = self.pbx.sessions[number - 1]
        await self.until(lambda: "CoreShowChannels" in session.names())
        await trio.testing.wait_all_tasks_blocked(0.01)  # its answer is out: no other task is sending
        return session

    async def until(self, fact: Callable[[], object], seconds: float = 10) -> None:
        await self.crm.until(lambda: bool(fact()), seconds)


@asynccontextmanager
async def open_world(tmp_path: Path) -> AsyncIterator[World]:
    async with fake_vtiger() as crm, trio.open_nursery() as nursery:
        pbx = FakeAsterisk(nursery)
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, pbx.serve, [listener])
        yield World(pbx, listener.socket.getsockname()[1], crm, tmp_path)
        nursery.cancel_scope.cancel()


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as opened:
        yield opened


@asynccontextmanager
async def running(config: Config, **more: Any) -> AsyncIterator[str]:
    """The daemon; gives its HTTP address. Leaving the block is a SIGTERM, and waits for the end."""
    async with trio.open_nursery() as nursery:
        (address,) = await nursery.start(partial(run_daemon, config, **more))
        yield address
        nursery.cancel_scope.cancel()


async def asked(address: str, path: str) -> tuple[int, Any]:
    async with httpx.AsyncClient() as client:
        reply = await client.get(address + path)
    return reply.status_code, reply.json() if path.startswith(("/healthz", "/readyz")) else reply.text


async def until_health(address: str, fact: Callable[[dict[str, Any]], bool]) -> Any:
    """/healthz, asked until ``fact`` holds of it."""
    with trio.fail_after(4):
        while True:
            _, health = await asked(address, "/healthz")
            if fact(health):
                return health
            await trio.sleep(0.01)


async def until_pbx(address: str, fact: Callable[[dict[str, Any]], bool]) -> Any:
    """The same of its PBX: the daemon answers before it has connected."""
    return await until_health(address, lambda health: "main" in health["pbx"] and fact(health["pbx"]["main"]))


async def until_in_memory(address: str, deliveries: int) -> None:
    """Until so many deliveries were handed over to the store and are not committed."""
    await until_health(address, lambda health: health["store"]["in_memory"] == deliveries)


def stored(world: World) -> list[str]:
    """The kinds of the deliveries in the outbox, in their order."""
    with sqlite3.connect(world.tmp_path / "connector.db") as connection:
        kinds = [kind for (kind,) in connection.execute("SELECT kind FROM delivery ORDER BY id")]
    connection.close()
    return kinds


def states(world: World) -> set[str]:
    """The states of the deliveries in the outbox."""
    with sqlite3.connect(world.tmp_path / "connector.db") as connection:
        found = {state for (state,) in connection.execute("SELECT state FROM delivery")}
    connection.close()
    return found


def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
