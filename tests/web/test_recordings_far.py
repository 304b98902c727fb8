"""``/recording`` of files that another machine has: a listener gets the same as of files here."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import attrs
import httpx
import pytest
import trio
from quart_trio import QuartTrio

from tests.recordings.far import Far, asking, serving
from tests.recordings.sounds import TOKEN, fake_converter, row, wav
from uac_trio.recordings.settings import RecordingsSettings
from uac_trio.web.recordings import Playback, add_recordings
from uac_trio.web.server import serve_web
from uac_trio.web.settings import WebSettings

SECRET = "crm secret"
SOUND = wav(0.5)
PATH = "/var/spool/asterisk/monitor/2026/11/23/call.wav"
LISTEN = f"/recording?id={TOKEN}&secret=crm%20secret"


@attrs.define
class Web:
    address: str
    far: Far
    client: httpx.AsyncClient

    async def get(self, method: str = "GET", **headers: str) -> httpx.Response:
        return await self.client.request(method, self.address + LISTEN, headers=_named(headers))


def _named(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


@asynccontextmanager
async def served(tmp_path: Path, settings: RecordingsSettings | None = None, path: str = PATH) -> AsyncIterator[Web]:
    app = QuartTrio(__name__, static_folder=None)
    stop = trio.Event()
    with trio.fail_after(10):
        async with (
            serving(tmp_path) as far,
            asking(tmp_path, far.host(), rows={TOKEN: row(path)}, settings=settings) as archive,
            httpx.AsyncClient(timeout=5) as client,
            trio.open_nursery() as nursery,
        ):
            add_recordings(app, Playback(archive=archive, secret=SECRET, needs_secret=True))
            chosen = WebSettings(bind="127.0.0.1:0", grace_seconds=0.2)
            (address,) = await nursery.start(partial(serve_web, app, chosen, shutdown=stop))
            yield Web(address, far, client)
            await client.aclose()
            stop.set()


async def test_whole_parts_and_head(tmp_path: Path) -> None:
    """The whole, any part of it, its end, nothing but its headers, and nothing where it is known already."""
    async with served(tmp_path) as web:
        (web.far.root / "call.wav").write_bytes(SOUND)
        whole = await web.get()
        assert (whole.status_code, whole.content) == (200, SOUND)
        assert whole.headers["content-length"] == str(len(SOUND))
        assert whole.headers["content-disposition"] == 'inline; filename="call.wav"'
        part = await web.get(Range="bytes=100-299", If_Range=whole.headers["etag"])
        assert (part.status_code, part.content) == (206, SOUND[100:300])
        assert (await web.get(Range="bytes=-10")).content == SOUND[-10:]
        assert (await web.get(Range=f"bytes={len(SOUND)}-")).status_code == 416
        head = await web.get("HEAD")
        assert (head.content, head.headers["content-length"]) == (b"", str(len(SOUND)))
        assert (await web.get(If_None_Match=whole.headers["etag"])).status_code == 304
        (web.far.root / "call.wav").unlink()
        assert (await web.get()).status_code == 404


async def test_replaced_while_it_is_sent(tmp_path: Path) -> None:
    """When the file over there is replaced, the connection breaks off: no client takes two halves for a whole."""
    async with served(tmp_path) as web:
        path = web.far.root / "call.wav"
        path.write_bytes(SOUND)
        with path.open("r+b") as file:
            file.truncate(20_000_000)
        async with web.client.stream("GET", web.address + LISTEN) as reply:
            chunks = reply.aiter_bytes(1000)
            await anext(chunks)
            path.unlink()
            path.write_bytes(SOUND)
            with pytest.raises(httpx.RemoteProtocolError):
                _ = [chunk async for chunk in chunks]
        assert (await web.get()).content == SOUND


async def test_stalled_listeners(tmp_path: Path) -> None:
    """Listeners who take nothing hold no connection to the other machine: others are served."""
    async with served(tmp_path) as web:
        (web.far.root / "call.wav").write_bytes(SOUND)
        with (web.far.root / "call.wav").open("r+b") as file:
            file.truncate(20_000_000)
        streams = []
        for _ in range(18):
            stream = await trio.open_tcp_stream("127.0.0.1", int(web.address.rpartition(":")[2]))
            stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            await stream.send_all(f"GET {LISTEN} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            await stream.receive_some(100)
            streams.append(stream)
        assert (await web.get(Range="bytes=0-99")).content == SOUND[:100]
        for stream in streams:
            stream.socket.close()


async def test_converted(tmp_path: Path) -> None:
    """What browsers cannot play comes converted from here, by parts too."""
    settings = RecordingsSettings(converter=fake_converter(tmp_path, "open(out, 'wb').write(b'RIFF-converted')"))
    async with served(tmp_path, settings, path=PATH.replace(".wav", ".gsm")) as web:
        (web.far.root / "call.gsm").write_bytes(b"gsm")
        reply = await web.get()
        assert (reply.content, reply.headers["content-type"]) == (b"RIFF-converted", "audio/wav")
        assert (await web.get(Range="bytes=5-", If_Range=reply.headers["etag"])).content == b"converted"


async def test_machine_away(tmp_path: Path) -> None:
    """While the other machine refuses us, the CRM gets 503 and Retry-After."""
    async with served(tmp_path) as web:
        web.far.clock[0] += 1000
        reply = await web.get()
        assert (reply.status_code, reply.headers["retry-after"], reply.content) == (503, "5", b"")
