"""A recorded PBX and the stand-in CRM, each behind a proxy that breaks, and a place for the daemon between them."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any

import attrs
import httpx
import pytest
import trio

from tests.faults.crm import FaultyCRM, faulty_crm
from tests.faults.proxy import Proxy, open_proxy
from tests.faults.restart import undisturbed
from tests.recorded import ROOT, rules_of
from tests.soak.calls import Row, new_crm, rows_of
from uac_trio.ami.message import Event
from uac_trio.clock import now
from uac_trio.config.loading import Config, load_config
from uac_trio.daemon.run import run_daemon
from uac_trio.demo.recorded_pbx import RecordedPBX, serve_recorded_pbx
from uac_trio.demo.recording import Recording, Rewriter, read_recording

SECRET = "crm-secret"

CONFIG = """
[[pbx]]
name = "main"
host = "127.0.0.1"
port = {ami_port}
username = "demo"
secret = "demo"
backoff_min = 0.1
backoff_max = 0.1
{more_pbx}
[calls]
linger = 0.05
[vtiger]
url = "http://127.0.0.1:{crm_port}/modules/PBXManager/callbacks/PBXManager.php"
secret = "{secret}"
[http]
bind = "127.0.0.1:0"
public_url = "http://connector.example:5000"
grace_seconds = 0.2
[store]
url = "sqlite:///{folder}/connector.db"
busy_timeout = 0.1
[sender]
retry_min = 0.1
retry_max = 1
away_max = 1
reply_timeout = 0.4
connect_timeout = 0.4
unknown_pause = 1
shutdown_grace = 0.2
[log]
json = true
"""


@cache
def recording(name: str) -> Recording:
    path = ROOT / f"{name}.jsonl"
    return read_recording(path.name, path.read_bytes())


@cache
def truth(name: str) -> dict[str, tuple[Row, ...]]:
    """The rows of a recording that nothing disturbs."""
    return undisturbed(recording(name), rules_of(name))


@attrs.define(eq=False)
class LiveCall:
    """A recorded call that the PBX emits now, event by event."""

    pbx: RecordedPBX
    name: str
    rewriter: Rewriter
    emitted: int = 0

    def emit(self, until: Callable[[Event], bool] = lambda _: False) -> None:
        """Its next events, up to and with the first that ``until`` holds for; all by default."""
        for timed in recording(self.name).events[self.emitted :]:
            self.emitted += 1
            event = self.rewriter.event(timed.event)
            self.pbx.emit_nowait(event)
            if until(event):
                return

    @property
    def rows(self) -> dict[str, tuple[Row, ...]]:
        return {self.rewriter.text(uuid): rows for uuid, rows in truth(self.name).items()}


def rings(event: Event) -> bool:
    return event.name == "Newstate" and event.get("ChannelStateDesc") == "Ringing"


def is_answered(event: Event) -> bool:
    """Both are in the bridge, and hear each other."""
    return event.name == "BridgeEnter" and event.get("BridgeNumChannels") == "2"


@attrs.define(eq=False)
class World:
    folder: Path
    pbx: RecordedPBX
    pbx_proxy: Proxy
    crm: FaultyCRM
    crm_proxy: Proxy
    snapshots: int = 0
    """How many lists of channels the daemon was given."""
    _serial: int = 0

    def __attrs_post_init__(self) -> None:
        self.pbx_proxy.look = self._look

    def _look(self, from_server: bool, data: bytes) -> None:
        self.snapshots += from_server and b"CoreShowChannelsComplete" in data

    def config(self, more_pbx: str = "") -> Config:
        path = self.folder / "uac-trio.toml"
        ports = {"ami_port": self.pbx_proxy.port, "crm_port": self.crm_proxy.port}
        path.write_text(CONFIG.format(**ports, secret=SECRET, folder=self.folder, more_pbx=more_pbx))
        return load_config(path, {})

    def watchful_config(self, more_pbx: str = "") -> Config:
        """With pings so frequent that a silent PBX is noticed at once."""
        config = self.config(more_pbx)
        quick = [attrs.evolve(one, ping_interval=0.3, answer_timeout=0.4, login_timeout=0.6) for one in config.pbx]
        return attrs.evolve(config, pbx=tuple(quick))

    def call(self, name: str = "asterisk22/inbound_answered") -> LiveCall:
        """A new call like the recorded one."""
        self._serial += 1
        epoch = recording(name).epoch
        return LiveCall(self.pbx, name, Rewriter(epoch=epoch, shift=int(now()) - epoch, serial=self._serial))

    async def watched(self, before: int = 0) -> None:
        """Wait until the daemon has its snapshot, one after the first ``before`` of them."""
        await self.until(lambda: self.snapshots > before)
        await trio.sleep(0.05)

    def rows(self, of: Iterable[str]) -> dict[str, tuple[Row, ...]]:
        found = {uuid: rows_of(self.crm.crm.tables.call(uuid)) for uuid in of}
        return {uuid: rows for uuid, rows in found.items() if rows}

    async def until(self, fact: Callable[[], object], seconds: float = 20.0) -> None:
        await self.crm.http.until(lambda: bool(fact()), seconds)

    async def until_true(self, *calls: LiveCall, seconds: float = 20.0) -> None:
        """Wait until the CRM shows the truth of these calls; and it is asked in order, without doubled rows."""
        expected: dict[str, tuple[Row, ...]] = {}
        for call in calls:
            expected |= call.rows
        with trio.move_on_after(seconds):
            while self.rows(expected) != expected:  # noqa: ASYNC110 - the CRM does not notify
                await trio.sleep(0.01)
        assert self.rows(expected) == expected
        self.nothing_is_wrong()

    async def most_ringing_until_true(self, *calls: LiveCall, seconds: float) -> int:
        """How many rows rang at most on the way there."""
        most = 0

        def is_true() -> bool:
            nonlocal most
            most = max(most, len(self.crm.crm.stuck()))
            return all(self.rows(call.rows) == call.rows for call in calls)

        await self.until(is_true, seconds)
        self.nothing_is_wrong()
        return most

    def stored_calls(self) -> int:
        """Calls of which the outbox has the end."""
        with closing(sqlite3.connect(self.folder / "connector.db")) as connection:
            (count,) = connection.execute("SELECT count(*) FROM delivery WHERE kind = 'end'").fetchone()
        return int(count)

    async def written(self, delivered: int) -> None:
        """Wait until the store has so many deliveries that the CRM accepted, and the event log of a call."""

        def is_written() -> bool:
            with closing(sqlite3.connect(self.folder / "connector.db")) as connection:
                (done,) = connection.execute("SELECT count(*) FROM delivery WHERE state = 'delivered'").fetchone()
                (logged,) = connection.execute("SELECT count(*) FROM event_log").fetchone()
            return bool(done == delivered and logged > 0)

        with trio.fail_after(20):
            while not is_written():  # noqa: ASYNC110 - another process writes it
                await trio.sleep(0.02)

    async def health(self, address: str) -> Any:
        async with httpx.AsyncClient() as client:
            return (await client.get(f"{address}/healthz")).json()

    def nothing_is_wrong(self) -> None:
        assert self.crm.crm.doubles() == []
        assert self.crm.crm.hazards == []
        assert self.crm.http.overlaps == []


@contextmanager
def locked(world: World) -> Iterator[None]:
    """Another program holds SQLite's write lock."""
    with closing(sqlite3.connect(world.folder / "connector.db", isolation_level=None)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        yield
        connection.execute("ROLLBACK")


@asynccontextmanager
async def running(config: Config) -> AsyncIterator[str]:
    """The daemon in this process; gives its HTTP address. Leaving the block is a SIGTERM, and waits for the end."""
    async with trio.open_nursery() as nursery:
        (address,) = await nursery.start(partial(run_daemon, config))
        yield address
        nursery.cancel_scope.cancel()


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test cuts the power of the machine it runs on, and a daemon that waits for its store waits less."""
    monkeypatch.setattr("uac_trio.store.opening.SYNCHRONOUS", "OFF")
    monkeypatch.setattr("uac_trio.store.writer.PAUSE", 0.05)
    monkeypatch.setattr("uac_trio.daemon.intake.START_OVER_PAUSE", 0.05)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    pbx = RecordedPBX(now=now)
    async with trio.open_nursery() as nursery:
        port: int = await nursery.start(partial(serve_recorded_pbx, pbx))
        async with (
            faulty_crm(new_crm(SECRET), now) as crm,
            open_proxy(port) as pbx_proxy,
            open_proxy(crm.http.port) as crm_proxy,
        ):
            yield World(tmp_path, pbx, pbx_proxy, crm, crm_proxy)
        nursery.cancel_scope.cancel()
