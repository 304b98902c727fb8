from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import structlog.testing
import trio

from tests.recordings.sounds import AT, fake_converter, row
from uac_trio.recordings.archive import Archive, open_archive
from uac_trio.recordings.cache import Cache
from uac_trio.recordings.converting import find_tool
from uac_trio.recordings.settings import RecordingsSettings

COUNT = "open(os.path.join(os.path.dirname(os.path.dirname(out)), 'runs'), 'a').write('x')\n"
COPY = "open(out, 'wb').write(b'wav:' + sys.stdin.buffer.read())\n"


@asynccontextmanager
async def archive(tmp_path: Path, script: str, **settings: object) -> AsyncIterator[Archive]:
    """A archive of one directory, in which ``*.gsm`` is converted by ``script``."""
    (tmp_path / "root").mkdir(exist_ok=True)
    for name in ("a.gsm", "b.gsm", "c.gsm"):
        (tmp_path / "root" / name).write_bytes(name.encode() * 10)
    tool = fake_converter(tmp_path, script)
    chosen = RecordingsSettings(converter=tool, **settings)  # type: ignore[arg-type]

    async def nothing(_: str) -> None:
        await trio.lowlevel.checkpoint()

    with trio.fail_after(10):
        async with open_archive(
            chosen, roots={"main": (str(tmp_path / "root"),)}, cache=tmp_path / "cache", find=nothing, now=lambda: AT
        ) as opened:
            yield opened


async def heard(shelf: Archive, name: str) -> bytes:
    playable = await shelf.open(row(name))
    try:
        return await playable.file.read(0, 1 << 20)
    finally:
        playable.file.close()


async def test_once_for_all_who_ask(tmp_path: Path) -> None:
    """Ten listeners at once and ten after them make one conversion."""
    results: list[bytes] = []
    async with archive(tmp_path, COUNT + "time.sleep(0.1)\n" + COPY) as shelf:

        async def listen() -> None:
            results.append(await heard(shelf, "a.gsm"))

        for _ in range(2):
            async with trio.open_nursery() as nursery:
                for _ in range(10):
                    nursery.start_soon(listen)
    assert results == [b"wav:" + b"a.gsm" * 10] * 20
    assert (tmp_path / "runs").read_text() == "x"


async def test_changed_file_is_converted_anew(tmp_path: Path) -> None:
    """A file with other content is another file."""
    async with archive(tmp_path, COPY) as shelf:
        await heard(shelf, "a.gsm")
        (tmp_path / "root" / "a.gsm").write_bytes(b"new")
        assert await heard(shelf, "a.gsm") == b"wav:new"


async def test_so_many_at_once(tmp_path: Path) -> None:
    """No more conversions go side by side than configured."""
    body = COUNT + "import glob\nopen(out, 'w').write('x')\ntime.sleep(0.1)\n" + (
        "sys.exit(len(glob.glob(os.path.dirname(out) + '/*.part')) > 1)\n"
    )  # fmt: skip
    with structlog.testing.capture_logs() as logs:
        async with archive(tmp_path, body, conversions=1) as shelf, trio.open_nursery() as nursery:
            for name in ("a.gsm", "b.gsm", "c.gsm"):
                nursery.start_soon(heard, shelf, name)
    assert (tmp_path / "runs").read_text() == "xxx"
    assert [entry["event"] for entry in logs] == ["recordings.converted"] * 3


def alive(number: int) -> bool:
    """Whether a process is there and not a zombie."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{number}/status").read_text()
    except FileNotFoundError:
        return False


CHILDREN = (
    "import subprocess\n"
    "other = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
    "name = os.path.join(os.path.dirname(os.path.dirname(out)), 'children')\n"
    "open(name + '.new', 'w').write(f'{os.getpid()} {other.pid}')\n"
    "os.rename(name + '.new', name)\n"
    "time.sleep(60)\n"
)


async def children(tmp_path: Path) -> list[int]:
    while not (tmp_path / "children").exists():  # noqa: ASYNC110 - a file of another process
        await trio.sleep(0.01)
    return [int(number) for number in (tmp_path / "children").read_text().split()]


async def until_gone(numbers: list[int]) -> None:
    with trio.fail_after(5):
        while any(alive(number) for number in numbers):  # noqa: ASYNC110 - other processes
            await trio.sleep(0.01)


async def test_conversion_that_takes_too_long(tmp_path: Path) -> None:
    """After convert_seconds the child is ended with its own children, and the original is heard."""
    with structlog.testing.capture_logs() as logs:
        async with archive(tmp_path, CHILDREN, convert_seconds=1.0) as shelf:
            assert await heard(shelf, "a.gsm") == b"a.gsm" * 10
            await until_gone(await children(tmp_path))
            assert list((tmp_path / "cache").iterdir()) == []
    assert "took longer than 1 s" in logs[0]["reason"]


async def test_children_end_with_us(tmp_path: Path) -> None:
    """A stop of the archive stops the conversions and removes what they wrote."""
    async with trio.open_nursery() as nursery:
        async with archive(tmp_path, CHILDREN) as shelf:
            nursery.start_soon(heard, shelf, "a.gsm")
            numbers = await children(tmp_path)
            nursery.cancel_scope.cancel()
        assert not any(alive(number) for number in numbers[:1])
    await until_gone(numbers)
    assert list((tmp_path / "cache").iterdir()) == []


async def test_listener_who_goes_away(tmp_path: Path) -> None:
    """A conversion goes on when its listener leaves, for the next one."""
    async with archive(tmp_path, COUNT + "time.sleep(0.2)\n" + COPY) as shelf:
        with trio.move_on_after(0.05):
            await heard(shelf, "a.gsm")
        assert await heard(shelf, "a.gsm") == b"wav:" + b"a.gsm" * 10
    assert (tmp_path / "runs").read_text() == "x"


async def test_complaints_are_bounded(tmp_path: Path) -> None:
    """Of a converter that complains without end only the beginning is kept."""
    with structlog.testing.capture_logs() as logs:
        async with archive(tmp_path, "sys.stderr.write('bad ' * 500_000)\nsys.exit(3)") as shelf:
            assert await heard(shelf, "a.gsm") == b"a.gsm" * 10
    assert (logs[0]["code"], len(logs[0]["reason"])) == (3, 1999)


async def test_converter_that_is_killed(tmp_path: Path) -> None:
    """A converter that a signal ends is named with it: SIGSYS is what a systemd unit's filter sends."""
    with structlog.testing.capture_logs() as logs:
        async with archive(tmp_path, "import signal\nos.kill(os.getpid(), signal.SIGSYS)") as shelf:
            assert await heard(shelf, "a.gsm") == b"a.gsm" * 10
    assert logs[0]["code"] == -signal.SIGSYS
    assert "was killed by SIGSYS" in logs[0]["reason"]
    assert "SystemCallFilter= of the systemd unit" in logs[0]["reason"]


async def test_no_cache_directory(tmp_path: Path) -> None:
    """Without a place for converted files the originals are heard, and the log says why."""
    (tmp_path / "cache").write_text("in the way")
    with structlog.testing.capture_logs() as logs:
        async with archive(tmp_path, COPY) as shelf:
            assert await heard(shelf, "a.gsm") == b"a.gsm" * 10
    assert logs[0]["event"] == "recordings.no_cache"


async def test_converter_that_is_not_installed(tmp_path: Path) -> None:
    """A missing converter is reported once at the start; the originals are heard."""
    with structlog.testing.capture_logs() as logs:
        async with archive(tmp_path, COPY) as shelf:
            shelf.converter.tool = ""
            assert await heard(shelf, "a.gsm") == b"a.gsm" * 10
    assert logs == []
    assert find_tool("/nowhere/ffmpeg") == ""
    assert find_tool("") == ""


def name_of(letter: str) -> str:
    """A name as the cache makes them."""
    return letter * 32 + ".mp3"


def test_the_least_used_go_first(tmp_path: Path) -> None:
    """Over its size the cache gives up what was not asked for longest; what others are writing stays."""
    cache = Cache(directory=tmp_path / "cache", limit=250)
    cache.prepare()
    for age, name in enumerate(map(name_of, "dcba")):
        cache.part(name).write_bytes(b"x" * 100)
        cache.keep(name)
        if (tmp_path / "cache" / name).exists():
            os.utime(tmp_path / "cache" / name, (age, age))
        if name == name_of("c"):
            used = cache.open(name_of("d"))
            assert used is not None
            os.close(used.fd)
    part = cache.part(name_of("e"))
    part.write_bytes(b"x" * 1000)
    assert sorted(path.name for path in cache.directory.iterdir()) == [name_of("a"), name_of("d"), part.name]
    assert (cache.directory / name_of("a")).stat().st_mode & 0o777 == 0o600
    assert cache.directory.stat().st_mode & 0o777 == 0o700
    cache.prepare()
    assert part.exists()
    os.utime(part, (0, 0))  # left by a run that was killed
    cache.prepare()
    assert sorted(path.name for path in cache.directory.iterdir()) == [name_of("a"), name_of("d")]


@pytest.mark.parametrize("limit", [0, 50])
def test_the_newest_stays(tmp_path: Path, limit: int) -> None:
    """The newest file stays however big it is: a listener waits for it."""
    cache = Cache(directory=tmp_path, limit=limit)
    cache.part(name_of("a")).write_bytes(b"x" * 100)
    cache.keep(name_of("a"))
    assert (tmp_path / name_of("a")).exists()


def test_files_of_others(tmp_path: Path) -> None:
    """In a directory that has other files too, only the cache's own are ever removed, or count."""
    cache = Cache(directory=tmp_path, limit=150)
    strangers = ["call.wav", "a" * 32, "a" * 32 + ".gsm", "A" * 32 + ".mp3", "a" * 33 + ".mp3", "old.part"]
    for stranger in strangers:
        (tmp_path / stranger).write_bytes(b"x" * 100)
        os.utime(tmp_path / stranger, (0, 0))
    (tmp_path / name_of("f")).mkdir()
    cache.prepare()
    for name in map(name_of, "ab"):
        cache.part(name).write_bytes(b"x" * 75)
        cache.keep(name)
    assert (tmp_path / name_of("a")).exists()
    assert cache.forget_unused(1e11) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*strangers, name_of("f")])
