"""The daemon under systemd: readiness, the watchdog, the stop."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog
import trio

from tests.daemon.world import World, running
from uac_trio.daemon.systemd import notify_systemd, watchdog_seconds


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], list[str]]]:
    """A socket such as systemd gives to its units; gives what was said so far."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as ours:
        ours.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        said: list[str] = []

        def so_far() -> list[str]:
            try:
                while True:
                    said.append(ours.recv(1000).decode())
            except BlockingIOError:
                return said

        yield so_far


async def test_systemd_is_notified(
    world: World, systemd: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """systemd receives READY when requests are accepted, the watchdog's beat meanwhile, and STOPPING."""
    monkeypatch.setenv("WATCHDOG_USEC", "150000")
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    async with running(world.config()):
        await world.until(lambda: systemd().count("WATCHDOG=1") >= 2)
    assert systemd()[0] == "READY=1"
    assert systemd()[-1] == "STOPPING=1"


async def test_status(world: World, systemd: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    """``systemctl status`` shows how things stand; the line is sent when it changes."""
    monkeypatch.setattr("uac_trio.daemon.run.LOOK_EVERY", 0.02)

    def lines() -> list[str]:
        return [one.removeprefix("STATUS=") for one in systemd() if one.startswith("STATUS=")]

    async with running(world.config(secret="not-the-one")):
        await world.until(lambda: lines() and lines()[-1].endswith("problem pbx_away (main)"))
        assert lines()[-1].startswith("0 of 1 PBXes connected, CRM takes requests, 0 calls in progress")
        await trio.sleep(0.1)
        assert len(lines()) == len(set(lines()))


def test_abstract_socket() -> None:
    """A NOTIFY_SOCKET that begins with @ is in the abstract namespace."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ours:
        ours.bind("\0uac-trio-test-notify")
        notify_systemd("READY=1", {"NOTIFY_SOCKET": "@uac-trio-test-notify"})
        assert ours.recv(100) == b"READY=1"


def test_systemd_that_does_not_listen(tmp_path: Path) -> None:
    """A socket that is not there is logged, and nothing else happens."""
    with structlog.testing.capture_logs() as logs:
        notify_systemd("READY=1", {"NOTIFY_SOCKET": str(tmp_path / "missing")})
        notify_systemd("READY=1", {})
    assert [line["event"] for line in logs] == ["daemon.systemd_not_notified"]


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        ({}, float("inf")),
        ({"WATCHDOG_USEC": "60000000"}, 60),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "1"}, float("inf")),
        ({"WATCHDOG_USEC": "0"}, float("inf")),
        ({"WATCHDOG_USEC": "soon"}, float("inf")),
    ],
)
def test_watchdog(environ: dict[str, str], seconds: float) -> None:
    """The watchdog is fed if systemd asks this process to."""
    assert watchdog_seconds(environ) == seconds
