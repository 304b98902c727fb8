"""Recordings of another machine: the side that asks, against the side that answers, over real sockets."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path

import attrs
import pytest
import structlog.testing
import trio

from tests.recordings.far import NOW, asking, serving
from tests.recordings.sounds import fake_converter, read_only, row, wav
from uac_trio.recordings.archive import Archive
from uac_trio.recordings.finding import RecordingKeptError, RecordingMissingError
from uac_trio.recordings.place import Look, RecordingsBusyError
from uac_trio.recordings.settings import RecordingsSettings
from uac_trio.store.recordings import RecordingRow

SOUND = wav(0.5)
ROW = row("/var/spool/asterisk/monitor/2026/11/23/call.wav")


@pytest.fixture(autouse=True)
async def in_time() -> AsyncIterator[None]:
    with trio.fail_after(8):
        yield


async def heard(archive: Archive, what: RecordingRow = ROW) -> bytes:
    playable = await archive.open(what)
    content = b""
    while piece := await playable.file.read(len(content), 100_000):
        content += piece
    playable.file.close()
    return content


async def seen(archive: Archive, rows: Sequence[RecordingRow]) -> list[Look]:
    looks, trouble = await archive.look("main", rows)
    assert not trouble
    return [look for look in looks if look is not None]


async def test_a_file_over_there(tmp_path: Path) -> None:
    """A path that the PBX reported is found beneath the roots there, with size, name and kind, and read in pieces."""
    async with serving(tmp_path) as far, asking(tmp_path, far.host()) as archive:
        (far.root / "2026/11/23").mkdir(parents=True)
        big = wav(0.1) + os.urandom(300_000)
        (far.root / "2026/11/23/call.wav").write_bytes(big)
        playable = await archive.open(ROW)
        assert (playable.file.name, playable.file.size, playable.content_type) == ("call.wav", len(big), "audio/wav")
        assert await playable.file.read(4, 10) == big[4:14]
        assert await playable.file.read(len(big), 10) == b""
        assert await heard(archive) == big
        again = await archive.open(ROW)
        assert again.etag == playable.etag
        (far.root / "2026/11/23/call.wav").write_bytes(SOUND)
        assert (await archive.open(ROW)).etag != playable.etag


async def test_looks(tmp_path: Path) -> None:
    """What is seen of files over there is what is seen of files here, for more than are asked about at once."""
    async with serving(tmp_path) as far, asking(tmp_path, far.host()) as archive:
        (far.root / "a.wav").write_bytes(SOUND)
        (far.root / "empty.wav").write_bytes(wav(0))
        rows = [row(name) for name in ("a.wav", "empty.wav", "../a.wav", "none.wav", *(["a.wav"] * 230))]
        looks = await seen(archive, rows)
    assert [look.size for look in looks] == [len(SOUND), 44, 0, 0, *([len(SOUND)] * 230)]
    assert [look.trouble for look in looks[:2]] == ["", "the file of 44 bytes is a header without sound"]
    host = far.address.removeprefix("http://")
    assert looks[2].trouble == f"{host}: the path that the PBX reports is not a file's"
    assert looks[3].trouble == f"{host}: no file none.wav beneath {far.root}"


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "{root}/../secret.wav", "../secret.wav", "link.wav", "out/secret.wav", "{root}", "fifo",
             "\0", "", "\ud800.wav", "x" * 300, "x" * 5000]
)  # fmt: skip
async def test_no_file_elsewhere(tmp_path: Path, path: str) -> None:
    """Whatever path is asked for, nothing outside of the directories over there is opened."""
    (tmp_path / "secret.wav").write_bytes(SOUND)
    async with serving(tmp_path, delete_files=True) as far, asking(tmp_path, far.host()) as archive:
        (far.root / "link.wav").symlink_to(tmp_path / "secret.wav")
        (far.root / "out").symlink_to(tmp_path)
        os.mkfifo(far.root / "fifo")
        what = row(path.format(root=far.root))
        with pytest.raises(RecordingMissingError):
            await archive.open(what)
        assert [look.identity for look in await seen(archive, [what])] == [None]
        assert await archive.delete(what) is False


async def test_here_before_there(tmp_path: Path) -> None:
    """A file in a directory here is not asked for, another is; one that is nowhere is reported for both machines."""
    here = tmp_path / "here"
    here.mkdir()
    async with serving(tmp_path) as far, asking(tmp_path, far.host(), roots=[str(here)]) as archive:
        (here / "a.wav").write_bytes(b"here")
        (far.root / "a.wav").write_bytes(b"there")
        (far.root / "b.wav").write_bytes(SOUND)
        assert [await heard(archive, row(name)) for name in ("a.wav", "b.wav")] == [b"here", SOUND]
        looks = await seen(archive, [row("a.wav"), row("b.wav"), row("c.wav")])
        assert [look.size for look in looks] == [4, len(SOUND), 0]
        with pytest.raises(RecordingMissingError, match=r"beneath .*/here; 127.0.0.1:\d+: no file c.wav beneath"):
            await archive.open(row("c.wav"))


async def test_here_while_there_is_away(tmp_path: Path) -> None:
    """A machine that is away does not hide what is in the directories here."""
    here = tmp_path / "here"
    here.mkdir()
    (here / "a.wav").write_bytes(SOUND)
    async with serving(tmp_path) as far, asking(tmp_path, far.host(secret="x"), roots=[str(here)]) as archive:
        assert await heard(archive, row("a.wav")) == SOUND
        looks, trouble = await archive.look("main", [row("a.wav"), row("b.wav")])
        assert (looks[0] is not None, looks[1], "refuses us" in trouble) == (True, None, True)
        assert "refuses us" in (await archive.greet())["main"]


async def test_replaced_while_it_is_read(tmp_path: Path) -> None:
    """Pieces of two files are never put together: the reading ends."""
    async with serving(tmp_path) as far, asking(tmp_path, far.host()) as archive:
        (far.root / "call.wav").write_bytes(SOUND)
        playable = await archive.open(ROW)
        (far.root / "new").write_bytes(SOUND)
        (far.root / "new").rename(far.root / "call.wav")
        with pytest.raises(OSError, match="was replaced"):
            await playable.file.read(0, 10)
        (far.root / "call.wav").unlink()
        with pytest.raises(OSError, match="was replaced or removed"):
            await playable.file.read(0, 10)


async def test_converted_once(tmp_path: Path) -> None:
    """A file over there that browsers cannot play is fetched and converted once, for all who ask; no more stays."""
    tool = fake_converter(
        tmp_path,
        "open(os.path.join(os.path.dirname(os.path.dirname(out)), 'runs'), 'a').write('x')\n"
        "open(out, 'wb').write(b'wav:' + sys.stdin.buffer.read())",
    )
    results = []
    async with (
        serving(tmp_path) as far,
        asking(tmp_path, far.host(), settings=RecordingsSettings(converter=tool)) as archive,
    ):
        original = os.urandom(700_000)
        (far.root / "call.gsm").write_bytes(original)

        async def listen() -> None:
            results.append(await heard(archive, row("call.gsm")))

        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(listen)
        playable = await archive.open(row("call.gsm"))
        assert (playable.file.name, playable.content_type) == ("call.wav", "audio/wav")
        playable.file.close()
    assert results == [b"wav:" + original] * 5
    assert (tmp_path / "runs").read_text() == "x"
    assert [path.stat().st_size for path in (tmp_path / "cache").iterdir()] == [4 + len(original)]


async def test_too_big_to_fetch(tmp_path: Path) -> None:
    """A file bigger than the cache is not fetched to be converted: the original is heard."""
    settings = RecordingsSettings(converter=fake_converter(tmp_path, "sys.exit(0)"), cache_mb=1)
    async with serving(tmp_path) as far, asking(tmp_path, far.host(), settings=settings) as archive:
        (far.root / "call.gsm").write_bytes(bytes((1 << 20) + 1))
        with structlog.testing.capture_logs() as logs:
            assert len(await heard(archive, row("call.gsm"))) == (1 << 20) + 1
    assert "cache_mb" in logs[0]["reason"]


async def test_wrong_secret(tmp_path: Path) -> None:
    """A wrong secret is reported on both machines, and its value is not logged."""
    async with serving(tmp_path) as far, asking(tmp_path, far.host(secret="other")) as archive:
        with structlog.testing.capture_logs() as logs, pytest.raises(RecordingsBusyError) as caught:
            await archive.open(ROW)
    expected = f"[[pbx]] main: recordings_url: {far.address}: refuses us: recordings_secret must be the [serve] secret"
    assert str(caught.value).startswith(expected)
    assert [entry["event"] for entry in logs] == ["recordings_host.refused", "recordings.host_fails"]
    assert (logs[0]["client"], logs[0]["reason"]) == ("127.0.0.1", "wrong secret")
    assert "other" not in str(logs)


async def test_wrong_clock(tmp_path: Path) -> None:
    """Clocks that differ by more than five minutes are named as what is wrong; a little less does no harm."""
    async with serving(tmp_path) as far, asking(tmp_path, far.host()) as archive:
        (far.root / "call.wav").write_bytes(SOUND)
        far.clock[0] = NOW - 299
        assert await heard(archive) == SOUND
        far.clock[0] = NOW + 400
        with pytest.raises(RecordingsBusyError, match="the clocks of the two machines differ by 400 s"):
            await archive.open(ROW)


async def test_host_away_and_back(tmp_path: Path) -> None:
    """A machine that is away is logged once, with its address and the key, and once when it is back."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    async with serving(tmp_path) as far:
        host = attrs.evolve(far.host(), url=f"http://127.0.0.1:{port}")
    async with asking(tmp_path, host) as archive:
        with structlog.testing.capture_logs() as logs:
            for _ in range(3):
                with pytest.raises(RecordingsBusyError, match=f"127.0.0.1:{port}: no connection"):
                    await archive.open(ROW)
            assert archive.troubles()["main"].startswith(f"[[pbx]] main: recordings_url: http://127.0.0.1:{port}")
            async with serving(tmp_path, bind=f"127.0.0.1:{port}") as far:
                (far.root / "call.wav").write_bytes(SOUND)
                assert await heard(archive) == SOUND
        assert archive.troubles() == {}
    logged = [entry["event"] for entry in logs if entry["event"].startswith("recordings.")]
    assert logged == ["recordings.host_fails", "recordings.host_works_again"]
    assert "does uac-trio serve-recordings run there?" in logs[0]["reason"]


async def listening(nursery: trio.Nursery, serve: Callable[[trio.SocketStream], Awaitable[None]]) -> str:
    listener: trio.SocketListener
    (listener,) = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
    return f"http://127.0.0.1:{listener.socket.getsockname()[1]}"


def _answer(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body


ANSWERS = {
    "no json": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
    "other json": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
    "a list": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]",
    "deep": b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + b"[" * 200_000,
    "elsewhere": b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/\r\nContent-Length: 0\r\n\r\n",
    "no http": b"SSH-2.0-OpenSSH_9.2\r\n",
    "nothing": b"",
    "endless": _answer(b'{"name":"a.wav","size":1e400,"mtime_ns":1,"inode":1,"head":""}'),
    "huge": _answer(b'{"name":"a.wav","size":%d,"mtime_ns":1,"inode":1,"head":""}' % 10**30),
    "no inode": _answer(b'{"name":"a.wav","size":1,"mtime_ns":1,"inode":%d,"head":""}' % 10**30),
    "many digits": _answer(b'{"name":"a.wav","size":' + b"9" * 5000 + b"}"),
    "cut": b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{",
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS.keys())
async def test_something_else_answers(tmp_path: Path, answer: bytes) -> None:
    """Whatever else listens at the address, it is a trouble in words and no fault of ours."""

    async def serve(stream: trio.SocketStream) -> None:
        async with stream:
            await stream.receive_some(65536)
            await stream.send_all(answer)

    async with trio.open_nursery() as nursery:
        url = await listening(nursery, serve)
        async with serving(tmp_path) as far, asking(tmp_path, attrs.evolve(far.host(), url=url)) as archive:
            with pytest.raises(RecordingsBusyError, match="recordings_url"):
                await archive.open(ROW)
            looks, trouble = await archive.look("main", [ROW])
            assert (looks, "recordings_url" in trouble) == ([None], True)
        nursery.cancel_scope.cancel()


async def test_silent_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that takes the question and never answers is given up in bounded time."""
    monkeypatch.setattr("uac_trio.recordings.host.CONNECT_WITHIN", 0.05)
    monkeypatch.setattr("uac_trio.recordings.host.ANSWER_WITHIN", 0.05)

    async def serve(stream: trio.SocketStream) -> None:
        await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        url = await listening(nursery, serve)
        async with serving(tmp_path) as far, asking(tmp_path, attrs.evolve(far.host(), url=url)) as archive:
            with pytest.raises(RecordingsBusyError, match="gave no complete reply in time"):
                await archive.open(ROW)
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("allowed", [True, False])
async def test_deleting(tmp_path: Path, allowed: bool) -> None:
    """A file over there is deleted only where that machine's configuration allows it, and what was made of it here."""
    tool = fake_converter(tmp_path, "open(out, 'wb').write(b'wav')")
    async with (
        serving(tmp_path, delete_files=allowed) as far,
        asking(tmp_path, far.host(), settings=RecordingsSettings(converter=tool)) as archive,
    ):
        (far.root / "call.gsm").write_bytes(b"gsm")
        assert await heard(archive, row("call.gsm")) == b"wav"
        if allowed:
            assert await archive.delete(row("call.gsm")) is True
        else:
            with pytest.raises(RecordingKeptError, match=r"^127.0.0.1:\d+: \[serve\] delete_files is not true there$"):
                await archive.delete(row("call.gsm"))
        assert await archive.delete(row("none.gsm")) is False
        assert (far.root / "call.gsm").exists() is not allowed
    assert list((tmp_path / "cache").iterdir()) == []


async def test_file_over_there_that_cannot_be_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Why a file stays over there comes back in words."""
    monkeypatch.setattr("uac_trio.recordings.finding.delete_beneath", read_only)
    async with serving(tmp_path, delete_files=True) as far, asking(tmp_path, far.host()) as archive:
        (far.root / "call.wav").write_bytes(SOUND)
        with pytest.raises(RecordingKeptError, match=r"^127.0.0.1:\d+: .*/far/call.wav: Read-only file system$"):
            await archive.delete(ROW)


async def test_copy_that_cannot_be_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a converted copy stays so does its file, by which alone the copy is known."""

    def forget(*_: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr("uac_trio.recordings.cache.Cache.forget", forget)
    async with serving(tmp_path, delete_files=True) as far, asking(tmp_path, far.host()) as archive:
        (far.root / "call.wav").write_bytes(SOUND)
        with pytest.raises(RecordingKeptError, match=r"a converted copy in .*cache: Permission denied"):
            await archive.delete(ROW)
        assert (far.root / "call.wav").exists()
