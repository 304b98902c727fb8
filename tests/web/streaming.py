"""A client of ``/crm/events``, and a server that has nothing else."""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any

import attrs
import trio

from tests.crm.stream_tokens import EXPIRES, SECRET, made
from tests.web.clicking import FakePBX, app_with
from uac_trio.crm.click import Click2CallRules
from uac_trio.crm.stream_events import StreamEvent
from uac_trio.web.events import Events
from uac_trio.web.server import serve_web
from uac_trio.web.settings import WebSettings
from uac_trio.web.streams import Streams
from uac_trio.web.wrong_secrets import WrongSecrets

NOW = EXPIRES - 60.0
_numbers = itertools.count()


def fresh(**changed: Any) -> str:
    """A token that was not used yet."""
    return made(n=f"{next(_numbers):032}", **changed)


@attrs.define(eq=False)
class Client:
    """A browser's EventSource, as far as the server sees it."""

    socket: trio.SocketStream
    head: str = ""
    _data: bytes = b""

    @property
    def status(self) -> int:
        return int(self.head.split(" ", 2)[1])

    async def read_head(self) -> None:
        self.head = (await self._until(b"\r\n\r\n")).decode()

    async def next(self) -> Any:
        """The next event's JSON; ":" for a comment."""
        while True:
            size = int(await self._until(b"\r\n"), 16)
            if size == 0:
                raise EOFError
            while len(self._data) < size + 2:
                await self._more()
            block, self._data = self._data[:size].decode(), self._data[size + 2 :]
            return json.loads(block.removeprefix("data: ")) if block.startswith("data: ") else block.strip()

    async def rest(self) -> list[Any]:
        """Everything until the stream ends."""
        found = []
        with suppress(EOFError, trio.BrokenResourceError):
            while True:
                found.append(await self.next())
        return found

    async def _until(self, mark: bytes) -> bytes:
        while mark not in self._data:
            await self._more()
        found, _, self._data = self._data.partition(mark)
        return found

    async def _more(self) -> None:
        data = await self.socket.receive_some(65536)
        if not data:
            raise EOFError
        self._data += data


async def open_stream(
    port: int, token: str, *, origin: str = "", method: str = "GET", path: str = "/crm/events"
) -> Client:
    """Its reply's head is read; every wait of the client is within the test's deadline."""
    client = Client(await trio.open_tcp_stream("127.0.0.1", port))
    more = f"Origin: {origin}\r\n" if origin else ""
    request = f"{method} {path}?token={token} HTTP/1.1\r\nHost: x\r\n{more}\r\n"
    await client.socket.send_all(request.encode())
    await client.read_head()
    return client


@attrs.define
class Served:
    port: int
    streams: Streams
    clients: list[Client] = attrs.field(factory=list)

    async def stream(self, token: str = "", **more: str) -> Client:
        self.clients.append(await open_stream(self.port, token or fresh(), **more))
        return self.clients[-1]

    async def until_open(self, count: int) -> None:
        """Until so many streams are open."""
        while self.streams.open != count:  # noqa: ASYNC110  the server's sockets are real
            await trio.sleep(0.01)


@asynccontextmanager
async def serving(
    *, origins: frozenset[str] = frozenset(), within: float = 10.0, **settings: Any
) -> AsyncIterator[Served]:
    streams = Streams(lambda: NOW)
    events = Events(
        streams=streams,
        secret=SECRET,
        first=lambda extension: StreamEvent(extension=extension, ring=(), look=True).data(),
        origins=origins,
        now=lambda: NOW,
        wrong_secrets=WrongSecrets(5),
    )
    chosen = WebSettings(bind="127.0.0.1:0", **settings)
    stop = trio.Event()
    app = app_with(FakePBX(), Click2CallRules(), events=events)
    with trio.fail_after(within):
        async with trio.open_nursery() as nursery:
            serve = partial(serve_web, app, chosen, shutdown=stop, streams=streams)
            (address,) = await nursery.start(serve)
            served = Served(int(address.rpartition(":")[2]), streams)
            try:
                yield served
            finally:
                for client in served.clients:
                    client.socket.socket.close()
                streams.end_nowait()
                stop.set()
