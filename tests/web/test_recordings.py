"""``/recording`` over a real hypercorn, asked by a real httpx client; stalled clients by bare sockets."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import httpx
import pytest
import structlog.testing
import trio
import trio.testing
from quart_trio import QuartTrio

from tests.recordings.sounds import AT, TOKEN, fake_converter, row, wav
from uac_trio.recordings.archive import open_archive
from uac_trio.recordings.settings import RecordingsSettings
from uac_trio.store.recordings import RecordingRow
from uac_trio.store.settings import OutboxError
from uac_trio.web.recordings import Playback, add_recordings, disposition
from uac_trio.web.server import serve_web
from uac_trio.web.settings import WebSettings

SECRET = "labsecret123"
NAME = "20261123-055103-+79161234567-101-1795413060.1.wav"
SOUND = wav(0.5)
PLAIN = RecordingsSettings(converter="")
LISTEN = f"/recording?id={TOKEN}"
PROXY = f"{LISTEN}&secret={SECRET}"


@attrs.define
class Served:
    address: str
    root: Path
    rows: dict[str, RecordingRow]
    shutdown: trio.Event
    client: httpx.AsyncClient
    clock: list[float]
    app: QuartTrio

    async def get(self, path: str = PROXY, method: str = "GET", **headers: str) -> httpx.Response:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.client.request(method, self.address + path, headers=sent)

    async def stalled(self, path: str = PROXY, source: str = "127.0.0.1") -> trio.SocketStream:
        """A client that asks and reads next to nothing."""
        port = int(self.address.rpartition(":")[2])
        stream = await trio.open_tcp_stream("127.0.0.1", port, local_address=source)
        stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        await stream.send_all(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        await stream.receive_some(100)
        await trio.testing.wait_all_tasks_blocked(0.01)
        return stream


@asynccontextmanager
async def served(
    tmp_path: Path,
    *,
    needs_secret: bool = True,
    settings: RecordingsSettings = PLAIN,
    files: Mapping[str, bytes] = {NAME: SOUND},
    **web: Any,
) -> AsyncIterator[Served]:
    """``/recording`` of one PBX; the row of ``TOKEN`` is about the first file."""
    root = tmp_path / "monitor"
    root.mkdir(exist_ok=True)
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    rows = {TOKEN: row(f"{root}/{next(iter(files))}")}
    clock = [AT + 60]

    async def find(token: str) -> RecordingRow | None:
        await trio.lowlevel.checkpoint()
        return rows.get(token)

    app = QuartTrio(__name__, static_folder=None)
    shutdown = trio.Event()
    with trio.fail_after(10):
        async with (
            open_archive(
                settings, roots={"main": (str(root),)}, cache=tmp_path / "cache", find=find, now=lambda: clock[0]
            ) as archive,
            httpx.AsyncClient(timeout=5) as client,
            trio.open_nursery() as nursery,
        ):
            add_recordings(app, Playback(archive=archive, secret=SECRET, needs_secret=needs_secret))
            chosen = WebSettings(bind="127.0.0.1:0", **{"grace_seconds": 0.2, **web})
            (address,) = await nursery.start(partial(serve_web, app, chosen, shutdown=shutdown))
            yield Served(address, root, rows, shutdown, client, clock, app)
            await client.aclose()
            shutdown.set()


def open_files() -> int:
    """How many files beneath a directory of recordings this process has open."""
    found = 0
    for number in os.listdir("/proc/self/fd"):
        try:
            found += "/monitor/" in os.readlink(f"/proc/self/fd/{number}")
        except FileNotFoundError:
            continue
    return found


# -- who may listen ---------------------------------------------------------------------------------------------------


async def test_as_salesplatform_asks(tmp_path: Path) -> None:
    """The CRM's proxy gets 200, the whole file, its length and its name; nothing is left open."""
    async with served(tmp_path) as web:
        reply = await web.get()
    assert (reply.status_code, reply.content) == (200, SOUND)
    assert reply.headers["content-length"] == str(len(SOUND))
    assert reply.headers["content-type"] == "audio/wav"
    assert reply.headers["content-disposition"] == f'inline; filename="{NAME}"'
    assert "transfer-encoding" not in reply.headers
    assert open_files() == 0


async def test_as_a_browser_asks(tmp_path: Path) -> None:
    """For a stock vTiger the link alone is enough."""
    async with served(tmp_path, needs_secret=False) as web:
        reply = await web.get(LISTEN)
    assert (reply.status_code, reply.content) == (200, SOUND)


@pytest.mark.parametrize("path", [LISTEN, "/recording?id=unknown"])
async def test_browsers_do_not_guess(tmp_path: Path, path: str) -> None:
    """What is in a file is sound for a browser, whatever it looks like: a page in it is not shown as one."""
    async with served(tmp_path, needs_secret=False) as web:
        assert (await web.get(path)).headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("needs_secret", [True, False])
@pytest.mark.parametrize(
    "query", [f"id={TOKEN}&secret=wrong", f"id={TOKEN}&secret=", f"id={TOKEN}&secret={SECRET}&secret=x",
              "id=unknown&secret=%FF%00", "secret=wrong", f"id={TOKEN}&secret={SECRET}%0D%0Ax"]
)  # fmt: skip
async def test_wrong_secret(tmp_path: Path, needs_secret: bool, query: str) -> None:
    """A wrong secret gets 403 and not a word, whatever it asks for; the log names the client and not the secret."""
    async with served(tmp_path, needs_secret=needs_secret) as web:
        with structlog.testing.capture_logs() as logs:
            reply = await web.get(f"/recording?{query}")
    assert (reply.status_code, reply.content) == (403, b"")
    assert (logs[0]["event"], logs[0]["client"]) == ("recordings.refused", "127.0.0.1")
    assert "wrong'" not in str(logs)


async def test_no_secret(tmp_path: Path) -> None:
    """Where the CRM's proxy knows the secret, the link alone opens nothing."""
    async with served(tmp_path) as web:
        assert (await web.get(LISTEN)).status_code == 403


@pytest.mark.parametrize(
    "token", ["f" * 32, "", "../../etc/passwd", "%2e%2e%2fx", f"{TOKEN}&id={TOKEN}", TOKEN.upper(), TOKEN + "%00",
              "x" * 9000]
)  # fmt: skip
async def test_unknown_token(tmp_path: Path, token: str) -> None:
    """A token that was never issued gets 404 with the secret, 403 without; nothing else of it is looked at."""
    async with served(tmp_path, needs_secret=False) as web:
        assert (await web.get(f"/recording?id={token}")).status_code == 403
        assert (await web.get(f"/recording?id={token}&secret={SECRET}")).status_code == 404


async def test_expired_link(tmp_path: Path) -> None:
    """After link_days a link works no more."""
    async with served(tmp_path, needs_secret=False, settings=attrs.evolve(PLAIN, link_days=2)) as web:
        web.clock[0] = AT + 2 * 86400 - 1
        assert (await web.get(LISTEN)).status_code == 200
        web.clock[0] = AT + 2 * 86400 + 1
        assert (await web.get(LISTEN)).status_code == 403


async def test_other_methods(tmp_path: Path) -> None:
    """Only GET and HEAD are understood."""
    async with served(tmp_path) as web:
        assert {(await web.get(method=method)).status_code for method in ("POST", "PUT", "DELETE")} == {405}


NASTY = ["", "%00", "%0D%0ASet-Cookie:x", "'", "%FF%FE", "[1]", "{", "%u0041", "../../../../etc/passwd", "a" * 5000]


@pytest.mark.parametrize("nasty", NASTY)
async def test_nasty_parameters(tmp_path: Path, nasty: str) -> None:
    """Whatever stands in a parameter or a header, it is no fault of ours, opens nothing and comes back nowhere."""
    queries = [f"id={nasty}&secret={SECRET}", f"id={TOKEN}&secret={nasty}", f"id={TOKEN}&{nasty}={nasty}", nasty,
               f"id[]={TOKEN}&secret={SECRET}", f"secret={SECRET}&id={TOKEN}{nasty}"]  # fmt: skip
    async with served(tmp_path) as web:
        for query in queries:
            reply = await web.get(f"/recording?{query}")
            is_right = query == f"secret={SECRET}&id={TOKEN}"
            assert reply.status_code in ((200,) if is_right else (400, 403, 404, 414, 431))
            assert is_right or not reply.content
            assert "set-cookie" not in reply.headers
        for name in ("Range", "If_Range", "If_None_Match", "If_Modified_Since", "If_Match", "If_Unmodified_Since"):
            for value in (nasty, f"bytes={nasty}", "bytes=" + "0-0," * 3000 + "1-1", '"' * 999, "9" * 5000):
                reply = await web.get(**{name: value.replace("\0", "")})
                assert reply.status_code < 500


# -- which file -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd", "{root}/../secret.wav", "../secret.wav", "{root}/sub/../../secret.wav", "{root}/link.wav",
        "link.wav", "{root}/out/secret.wav", "{root}/directory", "{root}/fifo", "{root}", "/", "", "\0", "x\0.wav",
        "{root}/" + "x" * 300, "\ud800.wav", "{root}/missing.wav", "....//secret.wav", "{root}/file:secret.wav",
    ],
)  # fmt: skip
async def test_no_file_elsewhere(tmp_path: Path, path: str) -> None:
    """Whatever path was reported, nothing outside of the directories is opened, and no symbolic link is followed."""
    (tmp_path / "secret.wav").write_bytes(SOUND)
    async with served(tmp_path) as web:
        (web.root / "link.wav").symlink_to(tmp_path / "secret.wav")
        (web.root / "out").symlink_to(tmp_path)
        (web.root / "directory").mkdir()
        os.mkfifo(web.root / "fifo")
        web.rows[TOKEN] = row(path.format(root=web.root))
        reply = await web.get()
    assert (reply.status_code, reply.content) == (404, b"")
    assert open_files() == 0


async def test_unreadable_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that we may not read is 404, with the reason in the log."""

    def refuses(root: str, names: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    async with served(tmp_path) as web:
        monkeypatch.setattr("uac_trio.recordings.finding.open_beneath", refuses)
        with structlog.testing.capture_logs() as logs:
            assert (await web.get()).status_code == 404
    assert "Permission denied" in logs[0]["reason"]


async def test_store_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the store fails, the CRM gets 503 and Retry-After."""

    async def fails(*_: object) -> None:
        raise OutboxError("the disk is full")

    monkeypatch.setattr("uac_trio.recordings.archive.Archive.look_up", fails)
    async with served(tmp_path) as web:
        reply = await web.get()
    assert (reply.status_code, reply.headers["retry-after"]) == (503, "5")


# -- parts and conditions ---------------------------------------------------------------------------------------------


async def test_ranges(tmp_path: Path) -> None:
    """A player that seeks gets the bytes that it asks for."""
    async with served(tmp_path) as web:
        first = await web.get(Range="bytes=0-")
        assert (first.status_code, first.content) == (206, SOUND)
        assert first.headers["content-range"] == f"bytes 0-{len(SOUND) - 1}/{len(SOUND)}"
        middle = await web.get(Range="bytes=100-199")
        assert (middle.status_code, middle.content) == (206, SOUND[100:200])
        end = await web.get(Range="bytes=-44")
        assert (end.content, end.headers["content-length"]) == (SOUND[-44:], "44")
        beyond = await web.get(Range=f"bytes={len(SOUND)}-")
        assert (beyond.status_code, beyond.content) == (416, b"")
        assert beyond.headers["content-range"] == f"bytes */{len(SOUND)}"
        parts = await web.get(Range="bytes=0-3,8-11")
        boundary = parts.headers["content-type"].removeprefix("multipart/byteranges; boundary=")
        assert parts.content.count(boundary.encode()) == 3
        assert b"\r\n\r\nRIFF\r\n" in parts.content
        assert b"Content-Range: bytes 8-11/" in parts.content


async def test_conditions(tmp_path: Path) -> None:
    """Who has the file already gets 304; If-Range gives a part of the same file and the whole of another."""
    async with served(tmp_path) as web:
        known = (await web.get()).headers
        etag, modified = known["etag"], known["last-modified"]
        for headers in ({"If_None_Match": etag}, {"If_None_Match": f'W/{etag}, "x"'}, {"If_Modified_Since": modified}):
            reply = await web.get(**headers)
            assert (reply.status_code, reply.content, reply.headers["etag"]) == (304, b"", etag)
        assert (await web.get(If_None_Match='"x"', If_Modified_Since=modified)).status_code == 200
        assert (await web.get(If_Match='"x"')).status_code == 412
        for value, status in ((etag, 206), (modified, 206), ('"x"', 200), (f"W/{etag}", 200), ("nonsense", 200)):
            assert (await web.get(Range="bytes=0-9", If_Range=value)).status_code == status
        (web.root / NAME).write_bytes(wav(0.25))
        assert (await web.get(Range="bytes=0-9", If_Range=etag)).content == wav(0.25)


async def test_head(tmp_path: Path) -> None:
    """HEAD returns the same headers as GET, without the file."""
    async with served(tmp_path) as web:
        got, head = await web.get(), await web.get(method="HEAD")
        part = await web.get(method="HEAD", Range="bytes=0-9")
        again = await web.get(method="HEAD", If_None_Match=head.headers["etag"])
        assert open_files() == 0
    different = {"date"}
    assert {n: v for n, v in head.headers.items() if n not in different} == {
        n: v for n, v in got.headers.items() if n not in different
    }
    assert (head.content, part.status_code, part.headers["content-length"], again.status_code) == (b"", 206, "10", 304)


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("a b.wav", 'inline; filename="a b.wav"'),
        ("Иванов.wav", "inline; filename=\"______.wav\"; filename*=UTF-8''%D0%98%D0%B2%D0%B0%D0%BD%D0%BE%D0%B2.wav"),
        ('a"b\r\nX: y\\.wav', 'inline; filename="a_b__X: y_.wav"'),
        ("50%;x.wav", "inline; filename=\"50__x.wav\"; filename*=UTF-8''50%25%3Bx.wav"),
    ],
)
def test_disposition(name: str, header: str) -> None:
    """A name of any letters is shown readably, and none of them ends the header."""
    assert disposition(name) == header


async def test_name_in_other_letters(tmp_path: Path) -> None:
    """A file with a Russian name is found and served under it."""
    async with served(tmp_path, files={"звонок.wav": SOUND}) as web:
        reply = await web.get()
    assert reply.status_code == 200
    assert "filename*=UTF-8''%D0%B7" in reply.headers["content-disposition"]


# -- time, memory, shutdown -------------------------------------------------------------------------------------------

HUGE = 40_000_000


async def huge(web: Served, name: str = NAME) -> None:
    with (web.root / name).open("r+b") as file:
        file.truncate(HUGE)


async def test_file_replaced_while_it_is_sent(tmp_path: Path) -> None:
    """Who began with the old file gets the rest of the old file."""
    async with served(tmp_path) as web:
        await huge(web)
        async with web.client.stream("GET", web.address + PROXY) as reply:
            chunks = reply.aiter_bytes(1000)
            received = len(await anext(chunks))
            (web.root / "new").write_bytes(SOUND)
            (web.root / "new").rename(web.root / NAME)
            async for chunk in chunks:
                received += len(chunk)
        assert received == HUGE
        assert (await web.get()).content == SOUND


async def test_file_cut_while_it_is_sent(tmp_path: Path) -> None:
    """A file that becomes shorter breaks the connection off, so that no client takes the part for the whole."""
    async with served(tmp_path) as web:
        await huge(web)
        async with web.client.stream("GET", web.address + PROXY) as reply:
            chunks = reply.aiter_bytes(1000)
            await anext(chunks)
            os.truncate(web.root / NAME, 100)
            with pytest.raises(httpx.RemoteProtocolError):
                _ = [chunk async for chunk in chunks]
        (web.root / NAME).write_bytes(SOUND)
        assert (await web.get()).content == SOUND
        assert open_files() == 0


async def no_open_files() -> None:
    """Wait until there is none."""
    with trio.fail_after(5):
        while open_files():  # noqa: ASYNC110 - of the system, which has no event for it
            await trio.sleep(0.01)


async def test_stalled_client_at_shutdown(tmp_path: Path) -> None:
    """A client that stops reading keeps neither the server's end nor the file."""
    async with served(tmp_path) as web:
        await huge(web)
        stream = await web.stalled()
        assert open_files() == 1
        began = trio.current_time()
    assert trio.current_time() - began < 2
    assert open_files() == 0
    stream.socket.close()


async def test_stalled_client_is_cut_off(tmp_path: Path) -> None:
    """A client that takes nothing is cut off after stall_seconds; others are served meanwhile."""
    async with served(tmp_path, stall_seconds=0.2, files={NAME: SOUND, "other.wav": SOUND}) as web:
        web.rows["a" * 32] = row("other.wav", "a" * 32)
        await huge(web)
        stream = await web.stalled()
        assert (await web.get(f"/recording?id={'a' * 32}&secret={SECRET}")).content == SOUND
        await no_open_files()
        stream.socket.close()


async def test_client_that_goes_away(tmp_path: Path) -> None:
    """A listener who closes the player leaves no file open and no download counted."""
    async with served(tmp_path, settings=attrs.evolve(PLAIN, max_downloads=1)) as web:
        await huge(web)
        for _ in range(3):
            (await web.stalled()).socket.close()
            await no_open_files()
        assert (await web.get(Range="bytes=0-9")).status_code == 206


async def test_slow_listener(tmp_path: Path) -> None:
    """A download may take longer than other replies, which Quart ends after RESPONSE_TIMEOUT."""
    async with served(tmp_path) as web:
        web.app.config["RESPONSE_TIMEOUT"] = 0.05
        await huge(web)
        async with web.client.stream("GET", web.address + PROXY) as reply:
            await trio.sleep(0.3)
            assert sum([len(chunk) async for chunk in reply.aiter_bytes()]) == HUGE


async def test_dripping_client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that takes a little now and then is cut off when the reply has had its time."""
    monkeypatch.setattr("uac_trio.web.recordings.PATIENCE", 0.1)
    monkeypatch.setattr("uac_trio.web.recordings.LEAST_RATE", 1e9)
    async with served(tmp_path) as web:
        await huge(web)
        stream = await web.stalled()
        with trio.fail_after(3):
            while open_files():
                await stream.receive_some(16384)
                await trio.sleep(0.005)
        stream.socket.close()


async def test_many_at_once(tmp_path: Path) -> None:
    """Thirty listeners at once get their recordings, each their own."""
    files = {f"{number}.wav": wav(0.1 + number / 100) for number in range(30)}
    async with served(tmp_path, files=files, settings=attrs.evolve(PLAIN, max_downloads=30)) as web:
        received: dict[str, bytes] = {}

        async def listen(number: int, name: str) -> None:
            token = f"{number:032x}"
            web.rows[token] = row(name, token)
            received[name] = (await web.get(f"/recording?id={token}&secret={SECRET}")).content

        async with trio.open_nursery() as nursery:
            for number, name in enumerate(files):
                nursery.start_soon(listen, number, name)
    assert received == files


async def test_one_download_too_many(tmp_path: Path) -> None:
    """Over max_downloads a listener gets 503 and Retry-After, and is served as soon as another has ended."""
    async with served(tmp_path, settings=attrs.evolve(PLAIN, max_downloads=1)) as web:
        await huge(web)
        stream = await web.stalled()
        reply = await web.get()
        assert (reply.status_code, reply.headers["retry-after"], reply.content) == (503, "5", b"")
        stream.socket.close()
        await no_open_files()
        assert (await web.get(Range="bytes=0-9")).status_code == 206


async def test_no_more_than_that_at_once(tmp_path: Path) -> None:
    """Of many who come at the same moment no more than max_downloads are served."""
    async with served(tmp_path, settings=attrs.evolve(PLAIN, max_downloads=3)) as web:
        await huge(web)
        async with trio.open_nursery() as nursery:
            streams: list[trio.SocketStream] = []

            async def stall() -> None:
                streams.append(await web.stalled())

            for _ in range(12):
                nursery.start_soon(stall)
        assert open_files() == 3
        for stream in streams:
            stream.socket.close()


async def test_one_listener_s_downloads(tmp_path: Path) -> None:
    """One address without the secret has max_downloads_per_client; another, and the CRM at any address, are served."""
    settings = attrs.evolve(PLAIN, max_downloads=6, max_downloads_per_client=2)
    async with served(tmp_path, needs_secret=False, settings=settings) as web:
        await huge(web)
        streams = [await web.stalled(LISTEN) for _ in range(4)]
        assert open_files() == 2
        assert (await web.get(LISTEN)).status_code == 503
        assert (await web.get(Range="bytes=0-9")).status_code == 206
        other = await web.stalled(LISTEN, source="127.0.0.7")
        crm = [await web.stalled(PROXY) for _ in range(3)]
        assert open_files() == 6
        assert (await web.get(Range="bytes=0-9")).status_code == 503
        for stream in (*streams, other, *crm):
            stream.socket.close()
        await no_open_files()
        assert (await web.get(LISTEN, Range="bytes=0-9")).status_code == 206


async def test_several_stalled_clients(tmp_path: Path) -> None:
    """Many clients that read nothing do not keep another waiting, and are all cut off."""
    files = {NAME: SOUND, "other.wav": SOUND}
    async with served(tmp_path, stall_seconds=0.5, files=files, settings=attrs.evolve(PLAIN, max_downloads=20)) as web:
        web.rows["a" * 32] = row("other.wav", "a" * 32)
        await huge(web)
        streams = [await web.stalled() for _ in range(15)]
        assert open_files() > 5
        for _ in range(20):
            assert (await web.get(f"/recording?id={'a' * 32}&secret={SECRET}")).content == SOUND
        await no_open_files()
        for stream in streams:
            stream.socket.close()


# -- conversion -------------------------------------------------------------------------------------------------------


async def test_converted(tmp_path: Path) -> None:
    """What browsers cannot play goes out converted, with the type, the name and the ranges of what it became."""
    tool = fake_converter(tmp_path, "open(out, 'wb').write(b'RIFF' + sys.stdin.buffer.read())")
    settings = RecordingsSettings(converter=tool)
    async with served(tmp_path, files={"call.gsm": b"gsm" * 100}, settings=settings) as web:
        reply = await web.get()
        assert (reply.status_code, reply.content) == (200, b"RIFF" + b"gsm" * 100)
        assert reply.headers["content-type"] == "audio/wav"
        assert 'filename="call.wav"' in reply.headers["content-disposition"]
        part = await web.get(Range="bytes=0-3", If_Range=reply.headers["etag"])
        assert (part.status_code, part.content) == (206, b"RIFF")
        assert part.headers["last-modified"] == reply.headers["last-modified"]
        assert open_files() == 0


async def test_conversion_that_fails(tmp_path: Path) -> None:
    """When the converter fails, the original goes out and the log has the converter's words."""
    tool = fake_converter(tmp_path, "sys.stderr.write('no such codec'); sys.exit(1)")
    settings = RecordingsSettings(converter=tool)
    async with served(tmp_path, files={"call.gsm": b"gsm"}, settings=settings) as web:
        with structlog.testing.capture_logs() as logs:
            reply = await web.get()
    assert (reply.content, reply.headers["content-type"]) == (b"gsm", "audio/x-gsm")
    assert (logs[0]["event"], logs[0]["reason"]) == ("recordings.not_converted", "no such codec")
