"""The flight recorder beside the AMI reader: it never waits, survives the disk, and a kill of the process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog.testing
import trio
import trio.testing

from tests.flight_recorder.test_writing import (
    EPOCH,
    SCENARIOS,
    calls_of,
    files_in,
    transcript_of,
    wires_of,
)
from uac_trio.flight_recorder import recorder as room
from uac_trio.flight_recorder.files import recorded_files
from uac_trio.flight_recorder.recorder import FlightRecorder
from uac_trio.flight_recorder.settings import FlightRecorderSettings
from uac_trio.flight_recorder.writing import Writing

KILLED = """
import os, sys, trio
from pathlib import Path
from tests.flight_recorder.test_writing import SCENARIOS, wires_of
from uac_trio.flight_recorder import recorder as room
from uac_trio.flight_recorder.recorder import FlightRecorder
from uac_trio.flight_recorder.settings import FlightRecorderSettings

async def main():
    recorder = FlightRecorder(directory=Path(sys.argv[1]), settings=FlightRecorderSettings(), now=lambda: 1795413800.0)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(recorder.run)
        for wire in wires_of(SCENARIOS[0]):
            recorder.on_wire(wire.pbx, wire.event, wire.data, wire.at)
        while recorder.is_behind:
            await trio.sleep(0.01)
        print("written", flush=True)
        await trio.sleep_forever()

trio.run(main)
"""


def recorder_in(directory: Path) -> FlightRecorder:
    return FlightRecorder(directory=directory, settings=FlightRecorderSettings(), now=lambda: EPOCH)


@asynccontextmanager
async def running(recorder: FlightRecorder) -> AsyncIterator[None]:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(recorder.run)
        yield
        nursery.cancel_scope.cancel()


def feed(recorder: FlightRecorder, name: str) -> None:
    for wire in wires_of(name):
        recorder.on_wire(wire.pbx, wire.event, wire.data, wire.at)


async def settled(recorder: FlightRecorder) -> None:
    with trio.fail_after(10):
        while recorder.is_behind:  # noqa: ASYNC110 - a thread's affair
            await trio.sleep(0.01)


async def test_what_is_left_is_written_at_the_end(tmp_path: Path) -> None:
    """A cancelled recorder writes what it holds, and ends its files."""
    async with running(recorder := recorder_in(tmp_path)):
        feed(recorder, SCENARIOS[0])
    (transcript,) = files_in(tmp_path)
    assert transcript.cut == ""
    assert calls_of([transcript], SCENARIOS[0]) == calls_of([transcript_of(SCENARIOS[0])], SCENARIOS[0])


async def test_a_killed_process(tmp_path: Path) -> None:
    """After kill -9 the file has what was read a second before; replay shows its calls, notes the cut and exits 0."""
    command = [sys.executable, "-c", KILLED, str(tmp_path)]
    process = await trio.lowlevel.open_process(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    with trio.fail_after(30):
        async with process.stdout:
            assert (await process.stdout.receive_some()).startswith(b"w")
        os.kill(process.pid, signal.SIGKILL)
        await process.wait()
    (file,) = recorded_files(tmp_path)
    command = [sys.executable, "-m", "uac_trio", "replay", str(file.path), "--calls"]
    result = await trio.run_process(command, capture_stdout=True, capture_stderr=True, check=False)
    assert result.returncode == 0
    assert b"the gzip data has no end: the program that wrote it was killed" in result.stderr
    assert result.stdout.decode().splitlines() == calls_of([transcript_of(SCENARIOS[0])], SCENARIOS[0])


async def test_a_disk_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reader goes on at once; what there is no room for is dropped, counted, and logged once for each gap."""
    hangs = threading.Event()
    recorder = recorder_in(tmp_path)
    monkeypatch.setattr(room, "MOST_WAITING", 1000)
    monkeypatch.setattr(room, "WRITE_EVERY", 0.0)
    write = Writing.write

    def hanging(*arguments: Any) -> None:
        hangs.wait(20)
        write(*arguments)

    monkeypatch.setattr(Writing, "write", hanging)
    with structlog.testing.capture_logs() as log:
        async with running(recorder):
            recorder.on_wire("main", "open", b"", EPOCH)
            await trio.testing.wait_all_tasks_blocked(0.05)
            for _ in range(25):
                recorder.on_wire("main", "recv", b"Event: A\r\n" + b"x" * 88 + b"\r\n", EPOCH)
            assert recorder.dropped == 15
            hangs.set()
            await settled(recorder)
            recorder.on_wire("main", "recv", b"\r\n\r\nEvent: B\r\n\r\n", EPOCH)
            await settled(recorder)
    assert [line["event"] for line in log] == ["flight_recorder.gap"]
    assert [b"15 reads are missing" in chunk.data for file in files_in(tmp_path) for chunk in file.chunks].count(
        True
    ) == 1


async def test_a_disk_that_hangs_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The shutdown waits for the last write for two seconds at most, and leaves it behind."""
    hangs = threading.Event()
    monkeypatch.setattr(room, "LAST_WRITE_WITHIN", 0.1)
    recorder = recorder_in(tmp_path)
    monkeypatch.setattr(Writing, "write", lambda *_: hangs.wait(20))
    with trio.fail_after(5):
        async with running(recorder):
            recorder.on_wire("main", "open", b"", EPOCH)
            await trio.testing.wait_all_tasks_blocked(0.05)
    hangs.set()


async def test_no_room_for_the_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing can be written the log has it once, with the remedy, and again when it works."""
    monkeypatch.setattr(room, "RETRY_AFTER", 0.0)
    place = tmp_path / "state"
    place.write_text("a file, no directory")
    recorder = recorder_in(place / "flight-recorder")
    with structlog.testing.capture_logs() as log:
        async with running(recorder):
            for _ in range(3):
                feed(recorder, SCENARIOS[0])
                await settled(recorder)
            assert "flight-recorder: Not a directory" in recorder.trouble
            place.unlink()
            feed(recorder, SCENARIOS[0])
            await settled(recorder)
    assert recorder.dropped > 3
    assert [line["event"] for line in log] == ["flight_recorder.failed", "flight_recorder.works_again"]
    assert "[flight_recorder]" in log[0]["hint"]
    assert len(files_in(place / "flight-recorder")) == 1


async def test_a_fault_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What only records ends nothing else: it has its traceback in the log, and goes on."""
    monkeypatch.setattr(room, "RETRY_AFTER", 0.0)
    write = Writing.write
    faults = [ValueError("a fault")]

    def failing(*arguments: Any) -> None:
        if faults:
            raise faults.pop()
        write(*arguments)

    monkeypatch.setattr(Writing, "write", failing)
    recorder = recorder_in(tmp_path)
    with structlog.testing.capture_logs() as log:
        async with running(recorder):
            feed(recorder, SCENARIOS[0])
            await settled(recorder)
            assert "a fault of uac-trio (flight_recorder.fault in the log): a fault" in recorder.trouble
            feed(recorder, SCENARIOS[0])
            await settled(recorder)
    events = [line["event"] for line in log]
    assert events == ["flight_recorder.fault", "flight_recorder.failed", "flight_recorder.works_again"]
    assert len(files_in(tmp_path)) == 1


async def test_old_files_go_while_no_pbx_is_connected(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """Files that are too old are deleted although nothing is written."""
    file = tmp_path / "main.20200101T000000.000Z.jsonl.gz"
    file.write_bytes(b"")
    os.utime(file, (EPOCH - 25 * 3600, EPOCH - 25 * 3600))
    with trio.fail_after(1000):
        async with running(recorder_in(tmp_path)):
            while file.exists():  # noqa: ASYNC110 - a thread's affair
                await trio.sleep(1)


def test_a_write_that_comes_after_the_last_one(tmp_path: Path) -> None:
    """A stop leaves a write behind that waits for its thread; the file that it begins is closed too."""
    recorder = recorder_in(tmp_path)
    recorder._write([], 0, is_last=True)
    recorder._write(list(wires_of(SCENARIOS[0])), 0)
    assert [recorded_files(tmp_path) != [], open_files(tmp_path)] == [True, []]


def open_files(folder: Path) -> list[str]:
    """Of this process."""
    found = [os.readlink(one) for one in Path("/proc/self/fd").iterdir() if one.is_symlink() and one.exists()]
    return [name for name in found if name.startswith(str(folder))]
