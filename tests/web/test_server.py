from __future__ import annotations

import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial

import attrs
import pytest
import structlog.testing
import trio
import trio.testing
from quart import Response, request
from quart_trio import QuartTrio

from uac_trio.web.server import serve_web
from uac_trio.web.settings import CannotListenError, WebSettings

HUGE = 20_000_000  # more than the kernel's buffers of both sides hold


@attrs.define
class SlowView:
    """What /slow does: it lets its test know that it was asked, and answers when the test lets it."""

    asked: trio.Event = attrs.field(factory=trio.Event)
    may_answer: trio.Event = attrs.field(factory=trio.Event)


def an_app(view_of_slow: SlowView | None = None) -> QuartTrio:
    app = QuartTrio(__name__, static_folder=None)
    waits = view_of_slow or SlowView()

    async def hello() -> str:
        return "hello"

    async def slow() -> str:
        waits.asked.set()
        await waits.may_answer.wait()
        return "at last"

    async def huge() -> Response:
        return Response(b"x" * HUGE)

    async def form() -> str:
        return f"read {len(await request.get_data())}"

    for view in (hello, slow, huge, form):
        app.add_url_rule(f"/{view.__name__}", view.__name__, view, methods=["GET", "POST"])
    return app


@attrs.define
class Served:
    port: int
    shutdown: trio.Event
    clients: list[trio.SocketStream]
    slow: SlowView

    async def connect(self, client: str = "127.0.0.1") -> trio.SocketStream:
        """A connection from ``client``, an address of loopback, closed at the end of the test."""
        self.clients.append(await trio.open_tcp_stream("127.0.0.1", self.port, local_address=client))
        return self.clients[-1]

    async def get(self, path: str, client: str = "127.0.0.1") -> bytes:
        """The whole reply as vTiger reads it: until the server closes the connection."""
        stream = await self.connect(client)
        await stream.send_all(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        return await rest_of(stream)


async def rest_of(stream: trio.SocketStream) -> bytes:
    data = bytearray()
    while chunk := await stream.receive_some(1 << 20):
        data += chunk
    return bytes(data)


@asynccontextmanager
async def served(**settings: float) -> AsyncIterator[Served]:
    """A server on a free port; leaving the block shuts it down and waits for its end, at most 5 s."""
    chosen = WebSettings(bind="127.0.0.1:0", **settings)  # type: ignore[arg-type]
    shutdown = trio.Event()
    clients: list[trio.SocketStream] = []
    slow = SlowView()
    try:
        with trio.fail_after(5):
            async with trio.open_nursery() as nursery:
                (url,) = await nursery.start(partial(serve_web, an_app(slow), chosen, shutdown=shutdown))
                yield Served(int(url.rpartition(":")[2]), shutdown, clients, slow)
                shutdown.set()
    finally:
        for client in clients:
            client.socket.close()


async def stalled(server: Served) -> trio.SocketStream:
    """A client that asked for a huge reply and does not read it; comes back once the server's send is stuck."""
    stream = await server.connect()
    stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    await stream.send_all(b"GET /huge HTTP/1.1\r\nHost: x\r\n\r\n")
    await stream.receive_some(100)
    await settled()
    return stream


async def settled() -> None:
    """Until the server has done what it can do with what was sent over loopback."""
    await trio.testing.wait_all_tasks_blocked(0.01)


async def test_real_request() -> None:
    """hypercorn on trio answers over a real socket and does not show its name."""
    async with served() as server:
        reply = await server.get("/hello")
    assert reply.startswith(b"HTTP/1.1 200")
    assert reply.endswith(b"hello")
    assert b"hypercorn" not in reply


async def test_whole_reply_of_many_pieces() -> None:
    """A reply that is sent in many pieces arrives whole."""
    async with served() as server:
        assert len(await server.get("/huge")) > HUGE


async def test_shutdown_lets_an_open_reply_finish() -> None:
    """A request that was in work when the shutdown came gets its reply; new connections are refused."""
    async with served() as server:
        stream = await server.connect()
        await stream.send_all(b"GET /slow HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        await server.slow.asked.wait()
        server.shutdown.set()
        await settled()
        with pytest.raises(OSError):
            await server.connect()
        server.slow.may_answer.set()
        assert (await rest_of(stream)).endswith(b"at last")


async def test_shutdown_does_not_wait_for_a_stalled_client() -> None:
    """A client that stops reading a big reply keeps the server no longer than the grace."""
    with structlog.testing.capture_logs() as logs:
        async with served(grace_seconds=0.2) as server:
            await stalled(server)
            start = trio.current_time()
            server.shutdown.set()
        assert 0.15 < trio.current_time() - start < 2
    assert logs[-1]["event"] == "web.replies_cut"


async def test_cancelling_does_not_wait_for_a_stalled_client() -> None:
    """Cancelled from outside, the server ends at once, for all that hypercorn sends under a shield."""
    start = 0.0
    with trio.fail_after(5), trio.CancelScope() as scope:
        async with served(grace_seconds=60) as server:
            await stalled(server)
            start = trio.current_time()
            scope.cancel()
            await trio.sleep_forever()
    assert trio.current_time() - start < 1


async def test_stalled_client_is_cut_off() -> None:
    """A client that takes nothing for stall_seconds loses its connection; others are served meanwhile."""
    with structlog.testing.capture_logs() as logs:
        async with served(stall_seconds=0.2) as server:
            await stalled(server)
            assert (await server.get("/hello")).endswith(b"hello")
            while not logs:  # noqa: ASYNC110 - the log does not report; served() ends it in time
                await trio.sleep(0.01)
    assert logs[0]["event"] == "web.client_stalled"


async def test_idle_connection_does_not_keep_the_server() -> None:
    """A connection without a request ends at the shutdown, long before the grace is over."""
    async with served(grace_seconds=60) as server:
        await server.connect()
        await settled()
        start = trio.current_time()
    assert trio.current_time() - start < 1


ADDRESSES = ["127.0.0.2", "127.0.0.3"]


async def is_closed(stream: trio.SocketStream) -> bool:
    """Whether the server closed it, silently."""
    await settled()
    with socket.socket(fileno=os.dup(stream.socket.fileno())) as same:
        try:
            return same.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
        except BlockingIOError:
            return False
        except ConnectionResetError:
            return True


async def test_one_connection_too_many() -> None:
    """When all connections are at work, one more is closed unheard. The log has one line of many such."""
    async with served(max_connections=1) as server:
        busy = await server.connect()
        await busy.send_all(b"GET /slow HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        await server.slow.asked.wait()
        with structlog.testing.capture_logs() as logs:
            for _ in range(3):
                assert await is_closed(await server.connect("127.0.0.2"))
        server.slow.may_answer.set()
        assert (await rest_of(busy)).endswith(b"at last")
    assert [line["event"] for line in logs] == ["web.too_many_connections"]


@pytest.mark.parametrize(
    "sent",
    [b"", b"GET /hel", b"GET /hello HTTP/1.1\r\nHost: x\r\n",
     b"POST /form HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nfrom"],
    ids=["nothing", "half a line", "no end of headers", "no body"],
)  # fmt: skip
async def test_connections_that_only_wait(sent: bytes) -> None:
    """However many addresses hold every connection without a whole request: a client that sends one is answered, in the
    place of the oldest that waits, of the address that has most."""
    async with served(max_connections=6) as server:
        held = [(client, await server.connect(client)) for client in ADDRESSES * 3]
        for _, stream in held:
            await stream.send_all(sent)
        await settled()
        assert (await server.get("/hello", "127.0.0.5")).endswith(b"hello")
        closed = [await is_closed(stream) for _, stream in held]
        assert closed == [True] + 5 * [False]


async def test_idle_connections_make_room() -> None:
    """A kept connection that has had its answer waits as well; one that is at work is left alone."""
    async with served(max_connections=2) as server:
        busy, idle = await server.connect("127.0.0.2"), await server.connect("127.0.0.3")
        await busy.send_all(b"GET /slow HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        await server.slow.asked.wait()
        await idle.send_all(b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await idle.receive_some()).startswith(b"HTTP/1.1 200")
        await settled()
        assert (await server.get("/hello", "127.0.0.5")).endswith(b"hello")
        assert (await rest_of(idle)).endswith((b"hello", b""))
        server.slow.may_answer.set()
        assert (await rest_of(busy)).endswith(b"at last")


@pytest.mark.parametrize("pieces", [b"", b"GET /hello HTTP/1.1\r\n" + b"X: y\r\n" * 100])
async def test_headers_have_a_deadline(monkeypatch: pytest.MonkeyPatch, pieces: bytes) -> None:
    """A client that sends no headers in time, or goes on sending them byte by byte, loses its connection."""
    monkeypatch.setattr("uac_trio.web.server.REQUEST_WITHIN", 0.3)
    async with served() as server:
        stream = await server.connect()
        start = trio.current_time()
        with suppress(trio.BrokenResourceError):
            for number in range(len(pieces)):
                await stream.send_all(pieces[number : number + 1])
                await trio.sleep(0.01)
        with suppress(trio.BrokenResourceError):
            await rest_of(stream)
        assert 0.2 < trio.current_time() - start < 2


async def test_no_request_at_all() -> None:
    """Bytes that are no HTTP get a 400 and the server lives on."""
    async with served() as server:
        stream = await server.connect()
        await stream.send_all(b"\x00\x01\x02\r\n\r\n")
        assert (await rest_of(stream)).startswith(b"HTTP/1.1 400")
        assert (await server.get("/hello")).endswith(b"hello")


async def test_address_in_use() -> None:
    """An address that is taken is an error which names the setting."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(CannotListenError, match=rf"\[http\] bind = '127.0.0.1:{port}'"):
            await serve_web(an_app(), WebSettings(bind=f"127.0.0.1:{port}"), shutdown=trio.Event())


WEBSOCKET = (
    b"GET /hello HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS = b"\0\0\0\4\0\0\0\0\0"


@pytest.mark.parametrize(
    "data",
    [
        b"GET /hello HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AAA\r\n\r\n",
        WEBSOCKET,
        WEBSOCKET + b"GET / HTTP/1.1\r\n\r\n",
        WEBSOCKET.replace(b"Host: x", b"Host: x\r\nContent-Length: 5"),
        WEBSOCKET.replace(b"Host: x", b"Host: x\r\nTransfer-Encoding: chunked"),
        PREFACE,
        PREFACE + SETTINGS + b"\0\0\1\0\0\0\0\0\1x",
        b"\0" * 3000,
        b"GET /hello HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"\x16\x03\x01\x02\0\x01",
    ],
)  # fmt: skip
async def test_other_protocols(data: bytes) -> None:
    """Nothing but HTTP/1.1 is spoken, whatever a client proposes; and none of it ends the server."""
    async with served() as server:
        stream = await server.connect()
        await stream.send_all(data)
        with trio.move_on_after(0.2):
            reply = bytes(await stream.receive_some())
            assert not reply.startswith((b"HTTP/1.1 101", b"\0"))
        await stream.aclose()
        assert (await server.get("/hello")).endswith(b"hello")


async def test_fault_of_one_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """What hypercorn itself fails with is one connection's end, and in the log."""

    async def fails(*_: object) -> None:
        raise KeyError("a stream that is not there")

    with structlog.testing.capture_logs() as logs:
        async with served() as server:
            with monkeypatch.context() as patched:
                patched.setattr("uac_trio.web.server._HTTP1._create_stream", fails)
                assert await server.get("/hello") == b""
            assert (await server.get("/hello")).endswith(b"hello")
    assert [line["event"] for line in logs] == ["web.connection_failed"]


async def test_one_client_of_many() -> None:
    """One address may have half of the connections: the others are for the CRM."""
    with structlog.testing.capture_logs() as logs:
        async with served(max_connections=4) as server:
            held = [await server.connect("127.0.0.9") for _ in range(2)]
            await settled()
            assert await is_closed(await server.connect("127.0.0.9"))
            assert (await server.get("/hello", "127.0.0.5")).endswith(b"hello")
            assert [await is_closed(stream) for stream in held] == [False, False]
    assert [(line["event"], line["client"]) for line in logs] == [("web.too_many_connections", "127.0.0.9")]
