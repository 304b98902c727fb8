"""When a recording is delivered: against a real store, with files that come late, grow, or never come."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import attrs
import pytest
import structlog.testing
import trio

from tests.recordings.far import SECRET, serving
from tests.recordings.sounds import wav
from tests.store.calls import delivery, lease
from uac_trio.crm.delivery import Delivery, Kind
from uac_trio.recordings import awaiting
from uac_trio.recordings.archive import open_archive, split_recordings
from uac_trio.recordings.awaiting import AwaitedRecordings
from uac_trio.recordings.finding import find_recording
from uac_trio.recordings.settings import HostSettings, RecordingsSettings
from uac_trio.store.outbox import Outbox, open_outbox
from uac_trio.store.recordings import RecordingRow, RecordingRows, RecordingState
from uac_trio.store.rows import Delivered
from uac_trio.store.settings import OutboxError, OutboxSettings

T0 = 1795413063.0
SETTLE = 0.05


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(awaiting, "SETTLE", SETTLE)
    monkeypatch.setattr(awaiting, "LONGEST_PAUSE", 0.1)
    monkeypatch.setattr("uac_trio.store.opening.SYNCHRONOUS", "OFF")


def recorded(name: str, token: str = "a" * 32, call_id: str = "main-1.0", at: float = T0) -> Delivery:
    return delivery(Kind.RECORDING, call_id, recording=token, path=name, at=at)


def end_of(call_id: str = "main-1.0") -> Delivery:
    return delivery(Kind.END, call_id, at=T0)


@attrs.define
class CountedRows:
    """The rows of a store. Each pass over the awaited recordings begins with asking for these, and is counted."""

    rows: RecordingRows
    at_pass: Callable[[], None] = lambda: None
    """Called before each pass looks at files."""
    passes: int = 0
    _another: trio.Event = attrs.field(factory=trio.Event)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.rows, name)

    async def awaited(self, pbx: str) -> list[RecordingRow]:
        self.at_pass()
        self.passes += 1
        self._another.set()
        self._another = trio.Event()
        return await self.rows.awaited(pbx)

    async def begun(self, passes: int) -> None:
        """Return when so many more passes have begun: what the ones before saw is taken in."""
        wanted = self.passes + passes
        while self.passes < wanted:
            await self._another.wait()


@attrs.define
class Running:
    outbox: Outbox
    roots: Mapping[str, Sequence[str]]
    root: Path
    clock: list[float]
    awaited: AwaitedRecordings
    rows: CountedRows
    released: list[float]

    async def put(self, *deliveries: Delivery) -> None:
        """As the daemon does."""
        now, recordings = split_recordings(deliveries, self.roots)
        await self.outbox.put(now, self.clock[0], recordings)
        self.awaited.wake_nowait()

    async def deliver(self) -> list[Kind]:
        """Settles all rows that can be leased as delivered; returns their kinds in order."""
        kinds = []
        while rows := await lease(self.outbox, self.clock[0]):
            for row in rows:
                await self.outbox.settle(row, Delivered(), self.clock[0])
                kinds.append(row.delivery.kind)
        return kinds

    async def state(self, token: str = "a" * 32) -> tuple[RecordingState, str]:
        row = await self.outbox.recordings.find(token)
        assert row is not None
        return row.state, row.reason

    async def until(self, state: RecordingState, token: str = "a" * 32) -> str:
        while True:
            is_now, reason = await self.state(token)
            if is_now is state:
                return reason
            await trio.sleep(0.01)


@asynccontextmanager
async def running(
    tmp_path: Path, *, watching: bool = True, hosts: Sequence[HostSettings] = (), **settings: object
) -> AsyncIterator[Running]:
    root = tmp_path / "root"
    root.mkdir(exist_ok=True)
    times = [T0]
    chosen = RecordingsSettings(converter="", **{"keep_days": 0, **settings})  # type: ignore[arg-type]
    roots = {"main": (str(root),), "far": ()}
    released: list[float] = []
    with trio.fail_after(8):
        async with (
            open_outbox(OutboxSettings(url=f"sqlite:///{tmp_path}/c.db")) as outbox,
            open_archive(
                chosen,
                roots=roots,
                hosts=hosts,
                cache=tmp_path / "cache",
                find=outbox.recordings.find,
                now=lambda: times[0],
            ) as shelf,
            trio.open_nursery() as nursery,
        ):
            rows = CountedRows(outbox.recordings)
            awaited = AwaitedRecordings(
                shelf, cast("RecordingRows", rows), lambda: times[0], lambda: released.append(times[0])
            )
            if watching:
                nursery.start_soon(awaited.run)
            yield Running(outbox, shelf.roots, root, times, awaited, rows, released)
            nursery.cancel_scope.cancel()


async def test_complete_file_is_delivered(tmp_path: Path) -> None:
    """A complete file is delivered after two looks, with its size in the table."""
    async with running(tmp_path) as here:
        (here.root / "a.wav").write_bytes(wav(0.1))
        await here.put(recorded("a.wav"), end_of())
        await here.until(RecordingState.READY)
        assert await here.deliver() == [Kind.END, Kind.RECORDING]
        row = await here.outbox.recordings.find("a" * 32)
    assert row is not None
    assert (row.size, row.path, row.pbx, row.extension, row.at) == (1644, "a.wav", "main", "101", T0)
    assert here.released == [T0]


async def test_file_that_is_still_written(tmp_path: Path) -> None:
    """While MixMonitor writes, or there is only a header, the recording waits and the rest of the call is delivered."""
    async with running(tmp_path) as here:
        path = here.root / "a.wav"
        path.write_bytes(wav(0))
        await here.put(recorded("a.wav"), end_of())
        await here.rows.begun(2)
        sound = wav(0.1, size=0)
        path.write_bytes(sound[:44])
        with path.open("ab") as file:
            for start in range(44, len(sound), 160):
                file.write(sound[start : start + 160])
                file.flush()
                await here.rows.begun(1)
        assert (await here.state())[0] is RecordingState.WAITING
        await here.rows.begun(3)
        assert (await here.state())[0] is RecordingState.WAITING  # its header has no length yet
        assert await here.deliver() == [Kind.END]
        path.write_bytes(wav(0.1))
        await here.until(RecordingState.READY)
        assert await here.deliver() == [Kind.RECORDING]


async def test_growing_file_without_a_header(tmp_path: Path) -> None:
    """A raw file has no length to check, so it is delivered when it has stopped growing."""
    async with running(tmp_path) as here:
        path = here.root / "a.gsm"

        def grow() -> None:
            if not path.exists() or path.stat().st_size < 20 * 33:
                with path.open("ab") as file:
                    file.write(b"x" * 33)

        here.rows.at_pass = grow
        await here.put(recorded("a.gsm"))
        await here.rows.begun(15)
        assert (await here.state())[0] is RecordingState.WAITING
        await here.until(RecordingState.READY)
        row = await here.outbox.recordings.find("a" * 32)
    assert row is not None
    assert row.size == 660


async def test_late_file(tmp_path: Path) -> None:
    """A file that comes late is delivered then; recordings of other calls do not wait for it."""
    async with running(tmp_path) as here:
        (here.root / "b.wav").write_bytes(wav(0.1))
        await here.put(recorded("a.wav"))
        await here.put(recorded("b.wav", "b" * 32, "main-2.0"))
        await here.until(RecordingState.READY, "b" * 32)
        assert (await here.state())[0] is RecordingState.WAITING
        (here.root / "2026/11/23").mkdir(parents=True)
        (here.root / "2026/11/23/a.wav").write_bytes(wav(0.1))
        await here.until(RecordingState.READY)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "no file a.wav beneath "),
        (wav(0), "the file of 44 bytes is a header without sound"),
        (b"RIFF", "the file has no complete header"),
    ],
)
async def test_file_that_does_not_come(tmp_path: Path, content: bytes | None, reason: str) -> None:
    """After wait_seconds the recording is logged, kept in the table with the reason, and not delivered."""
    with structlog.testing.capture_logs() as logs:
        async with running(tmp_path, wait_seconds=60) as here:
            if content is not None:
                (here.root / "a.wav").write_bytes(content)
            await here.put(recorded("a.wav"), end_of())
            await here.rows.begun(3)
            assert (await here.state())[0] is RecordingState.WAITING
            here.clock[0] += 61
            assert (await here.until(RecordingState.MISSING)).startswith(reason)
            assert await here.deliver() == [Kind.END]
    assert [(entry["event"], entry["waited_seconds"]) for entry in logs] == [("recordings.missing", 61)]


async def test_writer_that_died(tmp_path: Path) -> None:
    """A file whose lengths were never written and that no longer grows is delivered after wait_seconds: it plays."""
    with structlog.testing.capture_logs() as logs:
        async with running(tmp_path, wait_seconds=60) as here:
            (here.root / "a.wav").write_bytes(wav(0.1, size=0))
            await here.put(recorded("a.wav"))
            await here.rows.begun(3)
            here.clock[0] += 61
            await here.until(RecordingState.READY)
    assert logs[0]["event"] == "recordings.broken_header"


async def test_file_that_grows_for_ever(tmp_path: Path) -> None:
    """A file that never stops is given up as well."""
    async with running(tmp_path, wait_seconds=60) as here:
        path = here.root / "a.gsm"
        await here.put(recorded("a.gsm"))
        here.clock[0] += 61

        def grow() -> None:
            with path.open("ab") as file:
                file.write(b"x")

        here.rows.at_pass = grow
        reason = await here.until(RecordingState.MISSING)
    assert reason in ("the file still grows", f"no file a.gsm beneath {here.root}", "the file is empty")


async def test_restart_forgets_nothing(tmp_path: Path) -> None:
    """A recording that waits at a stop is delivered by the next run, even long after; its file is looked for first."""
    async with running(tmp_path) as here:
        await here.put(recorded("a.wav"))
        assert (await here.state())[0] is RecordingState.WAITING
    (here.root / "a.wav").write_bytes(wav(0.1))
    async with running(tmp_path) as again:
        again.clock[0] += 7 * 86400
        await again.until(RecordingState.READY)
        assert await again.deliver() == [Kind.RECORDING]
        await again.put(recorded("a.wav"))  # a replayed snapshot
        assert (await again.state())[0] is RecordingState.READY
        assert await again.deliver() == []


async def test_files_out_of_reach(tmp_path: Path) -> None:
    """Recordings of a PBX without directories here are delivered at once, in the order of the call."""
    async with running(tmp_path) as here:
        await here.put(recorded("a.wav", call_id="far-1.0"), end_of("far-1.0"))
        assert await here.deliver() == [Kind.RECORDING, Kind.END]
        assert await here.state() == (RecordingState.UNSEEN, "")
        await here.put(recorded("b.wav", "b" * 32, call_id="unknown-1.0"))
        assert await here.deliver() == [Kind.RECORDING]


def test_what_is_no_recording(tmp_path: Path) -> None:
    """Everything else goes out in its order, and nothing is remembered of it."""
    deliveries = [delivery(kind) for kind in (Kind.BEGIN, Kind.ANSWER, Kind.END)]
    assert split_recordings(deliveries, {"main": (str(tmp_path),)}) == (deliveries, [])


async def test_two_connectors(tmp_path: Path) -> None:
    """Two connectors that watch the same PBX deliver a recording once."""
    async with running(tmp_path) as one, running(tmp_path) as other:
        await one.put(recorded("a.wav"))
        await other.put(recorded("a.wav"))
        (one.root / "a.wav").write_bytes(wav(0.1))
        await one.until(RecordingState.READY)
        other.awaited.wake_nowait()
        await other.rows.begun(1)
        assert await one.deliver() == [Kind.RECORDING]
        assert len(one.released + other.released) == 1


async def test_strange_path(tmp_path: Path) -> None:
    """A path with anything in it is kept and does no harm."""
    async with running(tmp_path, wait_seconds=1) as here:
        await here.put(recorded("x\0\ud800'; DROP TABLE recording;--"))
        here.clock[0] += 2
        assert "not a file's" in await here.until(RecordingState.MISSING)


@pytest.mark.parametrize("delete_files", [False, True])
async def test_forgetting(tmp_path: Path, delete_files: bool) -> None:
    """After keep_days a recording is remembered no more, and its file is deleted if that is asked for."""
    async with running(tmp_path, watching=False, keep_days=30, delete_files=delete_files) as here:
        for name, token in (("a.wav", "a" * 32), ("b.wav", "b" * 32)):
            (here.root / name).write_bytes(wav(0.1))
            at = T0 + (86400 if name == "b.wav" else 0)
            await here.put(recorded(name, token, f"main-{name}", at))
        (tmp_path / "outside.wav").write_bytes(wav(0.1))
        await here.put(recorded("../outside.wav", "c" * 32, "main-c"))
        here.clock[0] = T0 + 30 * 86400 + 1
        async with trio.open_nursery() as nursery:
            nursery.start_soon(here.awaited.run)
            while await here.outbox.recordings.find("a" * 32):  # noqa: ASYNC110 - a row
                await trio.sleep(0.01)
            nursery.cancel_scope.cancel()
        assert await here.outbox.recordings.find("b" * 32)
    names = {"b.wav"} if delete_files else {"a.wav", "b.wav"}
    assert set(os.listdir(here.root)) == names
    assert (tmp_path / "outside.wav").exists()


async def test_store_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that fails for a while delays a recording and loses none."""
    async with running(tmp_path) as here:
        (here.root / "a.wav").write_bytes(wav(0.1))
        await here.put(recorded("a.wav"))

        async def fails(*_: object) -> bool:
            raise OutboxError("the disk is full")

        with monkeypatch.context() as broken:
            broken.setattr(RecordingRows, "release", fails)
            await here.rows.begun(4)
        await here.until(RecordingState.READY)


async def test_directory_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mount that does not answer is left alone for a while, and asked again."""
    monkeypatch.setattr("uac_trio.recordings.directories.OPEN_WITHIN", 0.05)
    answers = threading.Event()
    really = find_recording

    def hangs(*arguments: object) -> object:
        answers.wait(5)
        return really(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr("uac_trio.recordings.directories.find_recording", hangs)
    with structlog.testing.capture_logs() as logs:
        async with running(tmp_path) as here:
            (here.root / "a.wav").write_bytes(wav(0.1))
            await here.put(recorded("a.wav"))
            await here.rows.begun(2)
            assert (await here.state())[0] is RecordingState.WAITING
            answers.set()
            await here.until(RecordingState.READY)
    assert logs[0]["event"] == "recordings.directory_hangs"


# -- files of another machine -----------------------------------------------------------------------------------------


async def test_far_file_is_delivered_when_it_is_complete(tmp_path: Path) -> None:
    """A file of another machine is delivered by the same rule: not while it grows or has no sound."""
    async with serving(tmp_path) as there, running(tmp_path, hosts=[there.host(pbx="far")]) as here:
        path = there.root / "a.wav"
        sound = wav(0.2, size=0)
        path.write_bytes(wav(0))
        await here.put(recorded("a.wav", call_id="far-1.0"), end_of("far-1.0"))
        await here.rows.begun(2)
        path.write_bytes(sound[:44])
        with path.open("ab") as file:
            for start in range(44, len(sound), 320):
                file.write(sound[start : start + 320])
                file.flush()
                await here.rows.begun(1)
        assert (await here.state())[0] is RecordingState.WAITING
        assert await here.deliver() == [Kind.END]
        path.write_bytes(wav(0.2))
        await here.until(RecordingState.READY)
        assert await here.deliver() == [Kind.RECORDING]


async def test_far_machine_that_is_away(tmp_path: Path) -> None:
    """While the machine is away nothing is given up and the log says so after wait_seconds; when it is back, the file
    is delivered, and one that is not there has its whole wait again."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    host = HostSettings(pbx="far", url=f"http://{address}", secret=SECRET)
    with structlog.testing.capture_logs() as logs:
        async with running(tmp_path, hosts=[host], wait_seconds=60) as here:
            await here.put(recorded("a.wav", call_id="far-1.0"))
            await here.put(recorded("b.wav", "b" * 32, call_id="far-2.0"))
            await here.rows.begun(2)
            assert not [entry for entry in logs if entry["log_level"] == "error"]
            here.clock[0] += 61
            await here.rows.begun(2)
            here.clock[0] += 600
            for _ in range(5):  # other PBXes' recordings come meanwhile
                here.awaited.wake_nowait()
                await here.rows.begun(1)
            assert [(await here.state(token * 32))[0] for token in "ab"] == [RecordingState.WAITING] * 2
            async with serving(tmp_path, bind=address) as there:
                there.clock[0] = here.clock[0]
                (there.root / "a.wav").write_bytes(wav(0.1))
                await here.until(RecordingState.READY)
                assert (await here.state("b" * 32))[0] is RecordingState.WAITING
                here.clock[0] += 61
                reason = await here.until(RecordingState.MISSING, "b" * 32)
    assert reason == f"{address}: no file b.wav beneath {there.root}"
    errors = [entry for entry in logs if entry["log_level"] == "error"]
    assert [entry["event"] for entry in errors] == ["recordings.out_of_reach", "recordings.missing"]
    assert (errors[0]["pbx"], errors[0]["waiting"]) == ("far", 2)
    assert f"[[pbx]] far: recordings_url: http://{address}: no connection" in errors[0]["reason"]


@pytest.mark.parametrize(
    "look",
    [
        {"identity": [1, 2, 3], "size": 10**30, "trouble": ""},
        {"identity": [1, 2, 3], "size": -1, "trouble": ""},
        {"identity": [10**30, 2, 3], "size": 2, "trouble": ""},
        {"identity": [{}], "size": 2, "trouble": ""},
        {"identity": None, "size": 0, "trouble": "\ud800\0" + "x" * 1_000_000},
    ],
)
async def test_nonsense_of_another_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, look: dict[str, object]
) -> None:
    """Whatever another machine reports of a file, other recordings are delivered, and the store takes it."""
    monkeypatch.setattr("uac_trio.recordings.wire.look_to_json", lambda _: look)
    async with serving(tmp_path) as there, running(tmp_path, hosts=[there.host(pbx="far")], wait_seconds=1) as here:
        (here.root / "a.wav").write_bytes(wav(0.1))
        await here.put(recorded("f.wav", "f" * 32, "far-1.0"))
        await here.rows.begun(3)
        here.clock[0] += 2
        await here.put(recorded("a.wav"))
        await here.until(RecordingState.READY)
        if look["identity"] is None:
            assert 0 < len(await here.until(RecordingState.MISSING, "f" * 32)) < 1100
        else:
            assert (await here.state("f" * 32))[0] is RecordingState.WAITING


async def test_forgetting_what_another_machine_has(tmp_path: Path) -> None:
    """With delete_files a recording is remembered until its file could be deleted; other PBXes' go meanwhile."""
    host = HostSettings(pbx="far", url="http://127.0.0.1:9", secret=SECRET)
    settings = {"watching": False, "keep_days": 30, "delete_files": True}
    with structlog.testing.capture_logs() as logs:
        async with running(tmp_path, hosts=[host], **settings) as here:  # type: ignore[arg-type]
            (here.root / "a.wav").write_bytes(wav(0.1))
            await here.put(recorded("f.wav", "f" * 32, "far-1.0"), recorded("a.wav"))
            here.clock[0] = T0 + 31 * 86400
            async with trio.open_nursery() as nursery:
                nursery.start_soon(here.awaited.run)
                while await here.outbox.recordings.find("a" * 32):  # noqa: ASYNC110 - a row
                    await trio.sleep(0.01)
                nursery.cancel_scope.cancel()
            assert await here.outbox.recordings.find("f" * 32)
    assert not list(here.root.iterdir())
    (kept,) = [entry for entry in logs if entry["event"] == "recordings.not_forgotten"]
    assert "no connection" in kept["reason"]


async def test_files_that_cannot_be_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their recordings are remembered, logged once each time, and keep no other from being forgotten."""
    monkeypatch.setattr(RecordingRows.older, "__defaults__", (2,))  # a page, of 500 else
    settings = {"watching": False, "keep_days": 30, "delete_files": True}
    with structlog.testing.capture_logs() as logs:
        async with serving(tmp_path) as there, running(tmp_path, hosts=[there.host(pbx="far")], **settings) as here:  # type: ignore[arg-type]
            (here.root / "a.wav").write_bytes(wav(0.1))
            for letter in "bcdef":
                (there.root / f"{letter}.wav").write_bytes(wav(0.1))
                await here.put(recorded(f"{letter}.wav", letter * 32, f"far-{letter}"))
            await here.put(recorded("none.wav", "0" * 32, "far-0"))
            await here.put(recorded("a.wav", at=T0 + 1))
            there.clock[0] = here.clock[0] = T0 + 31 * 86400
            async with trio.open_nursery() as nursery:
                nursery.start_soon(here.awaited.run)
                while "recordings.not_forgotten" not in str(logs):  # noqa: ASYNC110 - a log
                    await trio.sleep(0.01)
                nursery.cancel_scope.cancel()
            left = [token for token in "0abcdef" if await here.outbox.recordings.find(token * 32)]
    assert left == list("bcdef")
    assert len(list(there.root.iterdir())) == 5
    assert not list(here.root.iterdir())
    (logged,) = [entry for entry in logs if entry["event"] == "recordings.not_forgotten"]
    assert (logged["pbx"], logged["recordings"]) == ("far", 5)
    assert "[serve] delete_files is not true there" in logged["reason"]


async def test_converted_copies_are_forgotten(tmp_path: Path) -> None:
    """A converted copy that is no longer asked for is removed after keep_days, with or without its source."""
    async with running(tmp_path, watching=False, keep_days=30) as here:
        cache = here.awaited.archive.converter.cache
        cache.prepare()
        old, used, part = "a" * 32 + ".mp3", "b" * 32 + ".mp3", "c" * 32 + ".mp3.part"
        for name, age in ((old, 31), (used, 29), (part, 40)):
            (cache.directory / name).write_bytes(b"mp3")
            os.utime(cache.directory / name, (T0 - age * 86400, T0 - age * 86400))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(here.awaited.run)
            while (cache.directory / old).exists():  # noqa: ASYNC110 - a file
                await trio.sleep(0.01)
            nursery.cancel_scope.cancel()
        assert sorted(path.name for path in cache.directory.iterdir()) == [used, part]
