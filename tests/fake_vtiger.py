"""A real HTTP server on loopback that answers from a script, and records its requests.

What it is asked and when, per call, is the truth the tests of the sender are held to.
"""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from urllib.parse import parse_qsl

import attrs
import h11
import trio


@attrs.frozen(kw_only=True)
class Answer:
    status: int = 200
    body: str = ""
    content_type: str = "text/html; charset=UTF-8"
    location: str = ""
    cookie: str = ""
    retry_after: str = ""
    delay: float = 0.0


@attrs.frozen
class ResetUnread:
    """The connection is reset before the request was read."""


@attrs.frozen
class ResetRead:
    """The request is read (and may have been carried out); then the connection is reset."""


@attrs.frozen
class Silence:
    """The request is read, and nothing is ever said."""


@attrs.frozen
class Late:
    """The request is read, and carried out after ``seconds``, whether the client waits or not. There is no reply."""

    seconds: float
    carry_out: Callable[[], object]


@attrs.frozen
class Drip:
    """A reply whose body never ends, a little at a time."""


@attrs.frozen
class Flood:
    """A reply whose body never ends, as fast as it is read."""


Behaviour = Answer | ResetUnread | ResetRead | Silence | Late | Drip | Flood
Script = Callable[[Mapping[str, str]], Behaviour]

FAILURE = Answer(
    content_type="text/xml; charset=utf-8",
    body='<?xml version="1.0" encoding="utf-8"?><Response><Authentication>Failure</Authentication></Response>',
)
BAD_GATEWAY = Answer(status=502, body="<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>")


@attrs.define
class Seen:
    """One request that was read."""

    form: Mapping[str, str]
    """Or the fields of a JSON object."""
    headers: Mapping[str, str]
    target: str
    began: float
    body: bytes = b""
    ended: float | None = None
    """When its answer was complete or its connection broke; None: not yet."""

    @property
    def step(self) -> str:
        return self.form.get("callstatus", "")

    @property
    def call_id(self) -> str:
        return self.form.get("callUUID", "")


@attrs.define(eq=False)
class FakeVtiger:
    """``script`` decides the answer by the form; ``seen`` holds every POST in the order it was read. A GET is of the
    script of the CRM's pages, ``page_script``."""

    port: int = 0
    script: Script = attrs.field(default=lambda _: Answer())
    page_script: Answer = Answer(body="Vtiger_PBXManager_Js.registerPBXCall(); setInterval('registerPBXCall()', 3000);")
    seen: list[Seen] = attrs.field(factory=list)
    overlaps: list[str] = attrs.field(factory=list)
    """Calls of which two requests were there at the same time."""
    most_at_once: int = 0
    connections: int = 0
    _now: dict[int, Seen] = attrs.field(factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/modules/PBXManager/callbacks/PBXManager.php"

    def steps(self, call_id: str) -> list[str]:
        return [seen.step for seen in self.seen if seen.call_id == call_id]

    async def until(self, fact: Callable[[], bool], seconds: float = 5.0) -> None:
        """Wait for ``fact`` about what was seen."""
        with trio.fail_after(seconds):
            while not fact():  # noqa: ASYNC110  the fact is any expression of the test
                await trio.sleep(0.002)

    async def handle(self, stream: trio.SocketStream) -> None:
        self.connections += 1
        try:
            while await self._serve_one(stream):
                pass
        except (trio.BrokenResourceError, trio.ClosedResourceError, h11.RemoteProtocolError):
            pass  # the client hung up

    async def _serve_one(self, stream: trio.SocketStream) -> bool:
        connection = h11.Connection(h11.SERVER)
        request, body = None, b""
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                connection.receive_data(await stream.receive_some(65536))
            elif isinstance(event, h11.Request):
                request = event
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage):
                break
            else:  # the client has closed
                return False
        assert request is not None
        if request.method == b"GET":
            return await self._behave(stream, connection, self.page_script)
        is_json = body.startswith(b"{")
        form = json.loads(body) if is_json else dict(parse_qsl(body.decode(), keep_blank_values=True))
        behaviour = self.script(form)
        if isinstance(behaviour, ResetUnread):
            reset(stream)
            return False
        headers = {name.decode(): value.decode() for name, value in request.headers}
        seen = Seen(form, headers, request.target.decode(), trio.current_time(), body)
        self.seen.append(seen)
        if seen.call_id and any(other.call_id == seen.call_id for other in self._now.values()):
            self.overlaps.append(seen.call_id)
        self._now[id(seen)] = seen
        self.most_at_once = max(self.most_at_once, len(self._now))
        try:
            return await self._behave(stream, connection, behaviour)
        finally:
            seen.ended = trio.current_time()
            del self._now[id(seen)]

    async def _behave(self, stream: trio.SocketStream, connection: h11.Connection, behaviour: Behaviour) -> bool:
        match behaviour:
            case Answer():
                await trio.sleep(behaviour.delay)
                body = behaviour.body.encode()
                headers = [("Content-Type", behaviour.content_type), ("Content-Length", str(len(body)))]
                if behaviour.location:
                    headers.append(("Location", behaviour.location))
                if behaviour.retry_after:
                    headers.append(("Retry-After", behaviour.retry_after))
                if behaviour.cookie:
                    headers.append(("Set-Cookie", behaviour.cookie))
                head = h11.Response(status_code=behaviour.status, headers=headers)
                events = [head, h11.Data(data=body), h11.EndOfMessage()]
                data = b"".join(connection.send(event) or b"" for event in events)
                await stream.send_all(data)
                return True
            case ResetRead():
                reset(stream)
            case Silence():
                await self._until_hung_up(stream)
            case Late():
                await trio.sleep(behaviour.seconds)
                behaviour.carry_out()
                reset(stream)
            case Drip() | Flood():
                head = h11.Response(status_code=200, headers=[("Content-Type", "text/html")])
                await stream.send_all(connection.send(head) or b"")
                piece = b"<p>more</p>" * (1000 if isinstance(behaviour, Flood) else 1)
                while True:
                    await stream.send_all(connection.send(h11.Data(data=piece)) or b"")
                    await trio.sleep(0 if isinstance(behaviour, Flood) else 0.01)
            case ResetUnread():
                raise AssertionError("decided before")
        return False

    async def _until_hung_up(self, stream: trio.SocketStream) -> None:
        while await stream.receive_some(1000):
            pass


def reset(stream: trio.SocketStream) -> None:
    """RST, not FIN. What is closed already stays so: both ends of a proxy may be reset at once."""
    if stream.socket.fileno() == -1:
        return
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    stream.socket.close()


@asynccontextmanager
async def fake_vtiger(script: Script | None = None, *, port: int = 0) -> AsyncIterator[FakeVtiger]:
    """Serves until the block is left."""
    crm = FakeVtiger()
    if script is not None:
        crm.script = script
    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(port, host="127.0.0.1")
        crm.port = listener.socket.getsockname()[1]
        nursery.start_soon(trio.serve_listeners, crm.handle, [listener])
        yield crm
        nursery.cancel_scope.cancel()
