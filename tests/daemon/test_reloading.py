"""SIGHUP: what takes effect, what needs a restart, what a wrong file does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import pytest
import structlog.testing
import trio

from tests.daemon.test_live import live
from tests.daemon.world import CLICK, World, asked, running
from uac_trio.config.keys import keys_of
from uac_trio.config.loading import Config, load_config
from uac_trio.config.tables import TABLES
from uac_trio.daemon.reloading import LIVE, Reloading, change
from uac_trio.logs import LogSettings

ROOT = Path(__file__).parents[2]
FILE = """
[[pbx]]
name = "main"
host = "127.0.0.1"
username = "crm"
secret = "s3cret"
[vtiger]
url = "http://127.0.0.1:9/x.php"
secret = "crm-s3cret"
"""


def config(tmp_path: Path, text: str) -> Config:
    path = tmp_path / "uac-trio.toml"
    path.write_text(text)
    return load_config(path, {})


@pytest.mark.parametrize(
    ("before", "after", "applied", "needs_restart"),
    [
        ("", "", [], []),
        ("", '[log]\nlevel = "debug"', ["[log] level"], []),
        ('[log]\nlevel = "debug"', "", ["[log] level"], []),
        ("[click2call]\nper_minute = 3", "[click2call]\nper_minute = 4", ["[click2call] per_minute"], []),
        ("", "[alerts]\nno_call_hours = 0", ["[alerts] no_call_hours"], []),
        (
            "",
            '[http]\nbind = "127.0.0.1:5001"\nmonitor_networks = ["10.0.0.0/8"]',
            ["[http] monitor_networks"],
            ["[http] bind"],
        ),
        ("", "[calls]\nlinger = 1.0", [], ["[calls] linger"]),
    ],
)
def test_what_changes(tmp_path: Path, before: str, after: str, applied: list[str], needs_restart: list[str]) -> None:
    """Keys that were written, removed or given another value."""
    found = change(config(tmp_path, FILE + before), config(tmp_path, FILE + after))
    assert (list(found.applied), list(found.needs_restart)) == (applied, needs_restart)


def test_what_takes_effect(tmp_path: Path) -> None:
    """The new configuration is the present one but for the live keys; what needs a restart is named until there is
    one."""
    present = config(tmp_path, FILE)
    new = config(
        tmp_path,
        FILE.replace('"crm"', '"crm"\noriginate_context = "outgoing"')
        + '[log]\nlevel = "error"\n[http]\nbind = "127.0.0.1:7"\nmonitor_hosts = ["uac.lan"]\n[calls]\nlinger = 1.0',
    )
    found = change(present, new)
    assert found.config.log.level == "error"
    assert found.config.http == attrs.evolve(present.http, monitor_hosts=("uac.lan",))
    assert found.config.routes == new.routes
    assert found.config.calls == present.calls
    again = change(found.config, new)
    assert (again.applied, set(again.needs_restart)) == ((), {"[http] bind", "[calls] linger"})


def test_a_secret_is_compared_and_not_shown(tmp_path: Path) -> None:
    present, new = config(tmp_path, FILE), config(tmp_path, FILE.replace("crm-s3cret", "another-secret"))
    found = change(present, new)
    assert found.needs_restart == ("[vtiger] secret",)
    assert "another-secret" not in str(new.given) + repr(new)


def test_another_pbx(tmp_path: Path) -> None:
    """Then nothing of a PBX takes effect, since keys go by their order; they are numbered."""
    second = FILE + '[[pbx]]\nname = "second"\nhost = "127.0.0.2"\nusername = "crm"\nsecret = "x"\n'
    second += 'originate_context = "out"\n'
    found = change(config(tmp_path, FILE), config(tmp_path, second))
    assert found.applied == ()
    assert "[[pbx]] number 2 originate_context" in found.needs_restart
    assert len(found.config.routes) == 1


def test_live_keys_exist() -> None:
    """The table names keys that there are."""
    for table, keys in LIVE.items():
        assert keys
        assert keys <= {name for settings in TABLES[table] for name in keys_of(settings)}


@attrs.define
class Switch:
    """Stands for the signal."""

    load: Callable[[], Config]
    levels: list[str] = attrs.field(factory=list)
    _send: trio.MemorySendChannel[None] = attrs.field(init=False)
    reloading: Reloading[Config] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._send, requests = trio.open_memory_channel[None](1)
        self.reloading = Reloading(requested=requests.receive, load=self.load, set_log=self._set_log)

    def _set_log(self, settings: LogSettings) -> None:
        self.levels.append(settings.level)

    def press(self) -> None:
        self._send.send_nowait(None)


async def test_limits_change_while_the_daemon_runs(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Clicks are refused, the page is closed and the level of the log is another, without a new connection."""
    monkeypatch.setattr("uac_trio.web.monitor.FRESH", 0.0)
    present = world.config()
    switch = Switch(
        lambda: world.config(
            '[click2call]\nnetworks = ["10.0.0.0/8"]\n[log]\nlevel = "error"\n[alerts]\nno_call_hours = 0'
        )
    )
    with structlog.testing.capture_logs() as logs:
        async with running(present, reloading=switch.reloading) as address:
            await world.session()
            assert await asked(address, CLICK) == (200, "Success")
            switch.press()
            await world.until(lambda: [line for line in logs if line["event"] == "daemon.reloaded"])
            assert await asked(address, CLICK) == (200, "Error")
            assert len(world.pbx.sessions) == 1
    (line,) = [line for line in logs if line["event"] == "daemon.reloaded"]
    assert line["applied"] == ["[click2call] networks", "[alerts] no_call_hours", "[log] level"]
    assert line["needs_restart"] == []
    assert switch.levels == ["error"]


async def test_a_fault_of_ours_ends_nothing(world: World) -> None:
    """It is in the log with its traceback, and the next request is served."""
    present = world.config()

    def load() -> Config:
        if not any(line["event"] == "daemon.reload_failed" for line in logs):
            raise RuntimeError("a fault")
        return load_config(present.path, {})

    switch = Switch(load)
    with structlog.testing.capture_logs() as logs:
        async with running(present, reloading=switch.reloading) as address:
            await world.session()
            switch.press()
            await world.until(lambda: [line for line in logs if line["event"] == "daemon.reload_failed"])
            assert await asked(address, CLICK) == (200, "Success")
            switch.press()
            await world.until(lambda: [line for line in logs if line["event"] == "daemon.reloaded"])


async def test_a_wrong_file_changes_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each mistake is in the log with its line, and the condition is present until the file is mended."""
    monkeypatch.setattr("uac_trio.web.monitor.FRESH", 0.0)
    present = world.config()
    good = present.path.read_text()
    switch = Switch(partial(load_config, present.path, {}))

    async def findings(address: str) -> list[Any]:
        return [one for one in (await live(address))["findings"] if one["condition"] == "configuration_refused"]

    with structlog.testing.capture_logs() as logs:
        async with running(present, reloading=switch.reloading) as address:
            await world.session()
            present.path.write_text(good + '[log]\nlevel = "loud"\n')
            switch.press()
            await world.until(lambda: [line for line in logs if line["event"] == "daemon.reload_refused"])
            (finding,) = await findings(address)
            assert await asked(address, CLICK) == (200, "Success")
            present.path.write_text(good)
            switch.press()
            await world.until(lambda: [line for line in logs if line["event"] == "daemon.reloaded"])
            assert await findings(address) == []
    (line,) = [line for line in logs if line["event"] == "daemon.reload_refused"]
    assert line["log_level"] == "error"
    number = good.count("\n") + 2
    assert f'{present.path}:{number}: [log] level: expected "debug" or' in line["reason"]
    assert line["reason"] in finding["words"]
    assert switch.levels == ["info"]


async def test_a_file_that_hangs_does_not_hold_up_a_stop(world: World) -> None:
    """The thread that reads it is left behind."""
    began, release = threading.Event(), threading.Event()

    def hang() -> Config:
        began.set()
        release.wait(30)
        raise AssertionError("the daemon is gone")

    switch = Switch(hang)
    try:
        with trio.fail_after(10):
            async with running(world.config(), reloading=switch.reloading) as address:
                switch.press()
                await world.until(began.is_set)
                assert (await asked(address, "/healthz"))[0] == 200
    finally:
        release.set()


@contextmanager
def process(config: Path, log_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """``uac-trio run``."""
    command = [sys.executable, "-m", "uac_trio", "run", "--config", str(config)]
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    with log_path.open("wb") as out, subprocess.Popen(command, stderr=out, env=environ) as daemon:
        try:
            yield daemon
        finally:
            daemon.kill()


async def test_the_signal(world: World) -> None:
    """``kill -HUP``: the real process goes on, whatever the file has now, and a level takes effect."""
    path, log_path = world.config().path, world.tmp_path / "log"
    good = path.read_text()
    with process(path, log_path) as daemon:

        async def logged(words: str) -> None:
            await world.until(lambda: words in log_path.read_text(), 60)

        await logged("daemon.ready")
        daemon.send_signal(signal.SIGHUP)
        await logged("applied=[]")
        path.write_text("[log]\nlevel = 1\n")
        daemon.send_signal(signal.SIGHUP)
        await logged("daemon.reload_refused")
        path.write_text(good + '[log]\nlevel = "error"\n')
        daemon.send_signal(signal.SIGHUP)
        await logged("applied=['[log] level']")
        assert daemon.poll() is None
        daemon.terminate()
        await world.until(lambda: daemon.poll() is not None, 60)
        assert daemon.returncode == 0
    assert "daemon.stopp" not in log_path.read_text()  # lines of level info
