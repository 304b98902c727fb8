"""``uac-trio run`` as a process of its own, ended in the middle of a call: the same final rows as without."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio

from tests.faults.conftest import World, is_answered, rings
from uac_trio.ami.message import Event


@asynccontextmanager
async def process(world: World) -> AsyncIterator[trio.Process]:
    """Started, and with its snapshot. Killed in the end if it still runs."""
    world.config()
    before = world.snapshots
    with (world.folder / "log").open("ab") as log:
        started = await trio.lowlevel.open_process(
            [sys.executable, "-m", "uac_trio", "run", "--config", str(world.folder / "uac-trio.toml")],
            stdout=log,
            stderr=subprocess.STDOUT,
            env=os.environ,
        )
    try:
        with trio.fail_after(60):
            await world.until(lambda: world.snapshots > before, 20)
        await trio.sleep(0.1)
        yield started
    finally:
        if started.returncode is None:
            started.kill()
        await started.wait()


def begins(event: Event) -> bool:
    return event.name == "DialBegin"


MOMENTS = {"dialling": (begins, 0), "ringing": (rings, 1), "talking": (is_answered, 2)}
"""Until when the first process hears, and how many requests the CRM has then."""


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL], ids=lambda how: how.name)
@pytest.mark.parametrize("moment", MOMENTS)
async def test_end_in_mid_call(world: World, how: signal.Signals, moment: str) -> None:
    """The call goes on over the end of one process and the start of the next: one row, as if nothing had been."""
    until, requests = MOMENTS[moment]
    call = world.call()
    async with process(world) as first:
        call.emit(until)
        await world.until(lambda: len(world.crm.http.seen) == requests)
        await world.written(requests)
        first.send_signal(how)
        await first.wait()
    assert first.returncode == (0 if how is signal.SIGTERM else -signal.SIGKILL)
    async with process(world):
        call.emit()
        await world.until_true(call)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL], ids=lambda how: how.name)
async def test_call_that_ends_meanwhile(world: World, how: signal.Signals) -> None:
    """A call whose end was not seen is ended at the next start."""
    call = world.call()
    async with process(world) as first:
        call.emit(is_answered)
        await world.until(lambda: len(world.crm.http.seen) == 2)
        await world.written(2)
        first.send_signal(how)
    call.emit()
    async with process(world):
        await world.until(lambda: not world.crm.crm.stuck())
        await world.until(lambda: len(world.crm.http.seen) == 4)
    (rows,) = world.rows(call.rows).values()
    assert [(row.extension, row.status, row.ended) for row in rows] == [("101", "completed", True)]
    world.nothing_is_wrong()


async def test_store_that_is_refused(world: World) -> None:
    """A store that cannot be used ends the process with 1 and one line that says so; no traceback."""
    (world.folder / "connector.db").write_bytes(b"this is no database " * 500)
    world.config()
    done = await trio.run_process(
        [sys.executable, "-m", "uac_trio", "run", "--config", str(world.folder / "uac-trio.toml")],
        capture_stderr=True,
        check=False,
    )
    assert done.returncode == 1
    last = done.stderr.decode().splitlines()[-1]
    assert last.startswith("uac-trio: outbox sqlite:///")
    assert "move it away" in last
    assert b"Traceback" not in done.stderr
