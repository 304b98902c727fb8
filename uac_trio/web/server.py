"""hypercorn on trio, with timeouts and a bounded shutdown.

hypercorn 0.18 sends in a shielded scope without a deadline (``hypercorn/trio/tcp_server.py``, ``protocol_send``): one
client that stops reading blocks the shutdown for ever. So this module has its own accept loop: it tracks the open
connections, sends each piece with a timeout, and closes what is left after a shutdown's grace period.
"""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Callable
from functools import partial

import h11
import structlog
import trio
from hypercorn.config import Config
from hypercorn.protocol import ProtocolWrapper
from hypercorn.protocol.h11 import H11Protocol
from hypercorn.trio.lifespan import Lifespan
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import AppWrapper, ConnectionState
from hypercorn.utils import wrap_app
from quart_trio import QuartTrio

from uac_trio.logs import LogLimit
from uac_trio.networks import parse_bind
from uac_trio.web.settings import CannotListenError, WebSettings
from uac_trio.web.streams import Streams

log = structlog.get_logger()

# The stall timeout applies to each piece; on a working connection the kernel takes 64 KiB at once.
PIECE = 65536

REQUEST_WITHIN = 5.0
"""Timeout in seconds for the headers of each request on a connection. (The app has its own timeout for the body.)"""


async def serve_web(
    app: QuartTrio,
    settings: WebSettings,
    *,
    shutdown: trio.Event,
    streams: Streams | None = None,
    task_status: trio.TaskStatus[list[str]] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve ``app`` until ``shutdown`` is set; ``task_status`` gets the addresses listened on.

    After ``shutdown`` no connection is accepted, idle connections close, and open replies may finish for
    ``grace_seconds``; then their connections are closed. Cancellation closes them at once. ``streams``, which have a
    bound of their own, do not count as connections. Raises CannotListenError.
    """
    host, port = parse_bind(settings.bind)
    try:
        listeners = await trio.open_tcp_listeners(port, host=host)
    except OSError as why:
        raise CannotListenError.at("[http]", settings.bind, why) from why
    hyper = _hypercorn_config()
    wrapped = wrap_app(app, hyper.wsgi_max_body_size, "asgi")
    lifespan = Lifespan(wrapped, hyper, {})
    connections = _Connections(wrapped, hyper, settings, streams)
    async with trio.open_nursery() as app_nursery:
        await app_nursery.start(lifespan.handle_lifespan)
        await lifespan.wait_for_startup()
        async with trio.open_nursery() as handlers:
            try:
                async with trio.open_nursery() as accepting:
                    accepting.start_soon(
                        partial(trio.serve_listeners, connections.serve, listeners, handler_nursery=handlers)
                    )
                    task_status.started([_address(listener) for listener in listeners])
                    await shutdown.wait()
                    accepting.cancel_scope.cancel()
                await connections.finish()
            finally:
                connections.close_now()
            handlers.cancel_scope.cancel()
        await lifespan.wait_for_shutdown()
        app_nursery.cancel_scope.cancel()


def _hypercorn_config() -> Config:
    config = Config()
    config.accesslog = None
    config.errorlog = logging.getLogger("hypercorn.error")
    config.include_server_header = False
    config.keep_alive_timeout = REQUEST_WITHIN
    config.shutdown_timeout = 5
    return config


def _address(listener: trio.SocketListener) -> str:
    host, port = listener.socket.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _peer(stream: trio.SocketStream) -> str:
    try:
        return str(stream.socket.getpeername()[0])
    except OSError:  # gone already
        return ""


class _HTTP1(H11Protocol):
    """HTTP/1.1 only. Over HTTP/2 hypercorn buffers whole replies in memory for a client that does not read; neither
    HTTP/2 nor websockets are needed here."""

    async def _check_protocol(self, event: h11.Request) -> None:
        """No HTTP/2, whether by its preface or by an Upgrade."""

    async def _create_stream(self, request: h11.Request) -> None:
        headers = [(name, value) for name, value in request.headers if name.lower() != b"upgrade"]
        method, target, version = request.method, request.target, request.http_version
        await super()._create_stream(h11.Request(method=method, target=target, headers=headers, http_version=version))


class _Server(TCPServer):
    """Replaces the protocol that hypercorn chooses, for which it has no setting, by ``_HTTP1``."""

    _http1: _HTTP1 | None = None

    @property
    def awaits_request(self) -> bool:
        """The client has not sent a complete request yet."""
        return self._http1 is None or self._http1.connection.their_state in (h11.IDLE, h11.SEND_BODY)

    @property
    def protocol(self) -> ProtocolWrapper:
        return self._protocol

    @protocol.setter
    def protocol(self, chosen: ProtocolWrapper) -> None:
        chosen.protocol = self._http1 = _HTTP1(
            chosen.app,
            chosen.config,
            chosen.context,
            chosen.task_group,
            chosen.state,
            chosen.ssl,
            chosen.client,
            chosen.server,
            chosen.send,
        )
        self._protocol = chosen


class _Connections:
    """The open connections of one server."""

    def __init__(self, app: AppWrapper, config: Config, settings: WebSettings, streams: Streams | None) -> None:
        self._app = app
        self._config = config
        self._settings = settings
        self._streams = streams
        self._context = WorkerContext(None)
        self._open: dict[trio.SocketStream, tuple[str, _Server]] = {}
        """Oldest first, each with its client's address."""
        self._by_client: Counter[str] = Counter()
        self._last_closed = trio.Event()
        self._crowded = LogLimit()

    async def serve(self, stream: trio.SocketStream) -> None:
        client = _peer(stream)
        if not self._has_room(client):
            await trio.aclose_forcefully(stream)
            return
        patient = _PatientStream(stream, self._settings.stall_seconds)
        # TCPServer's annotation is trio's SocketStream, but it uses only what _PatientStream has.
        server = _Server(self._app, self._config, self._context, ConnectionState({}), patient)  # type: ignore[arg-type]
        self._open[stream] = client, server
        self._by_client[client] += 1
        try:
            await server
        except* Exception:
            # An error that a client provokes in hypercorn or h11 ends this connection, not the daemon.
            log.warning("web.connection_failed", client=client, exc_info=True)
        finally:
            self._open.pop(stream, None)
            self._by_client[client] -= 1
            if not self._by_client[client]:
                del self._by_client[client]
            if not self._open:
                self._last_closed.set()

    def _has_room(self, client: str) -> bool:
        """Whether one more connection of ``client`` may be served. May close another to make room."""
        limit = self._settings.max_connections
        in_all, of_client = len(self._open), self._by_client[client]
        if self._streams is not None:
            in_all, of_client = in_all - self._streams.open, of_client - self._streams.of_client(client)
        is_too_many = of_client >= max(1, limit // 2)
        if not is_too_many and in_all < limit:
            return True
        if (left_out := self._crowded.due(trio.current_time())) is not None:
            log.warning("web.too_many_connections", limit=limit, client=client, of_client=of_client, left_out=left_out)
        return not is_too_many and self._close_one_that_waits()

    def _close_one_that_waits(self) -> bool:
        """Close the oldest connection without a complete request, of the client that has most of them."""
        waiting: dict[str, list[trio.SocketStream]] = {}
        for stream, (client, server) in self._open.items():
            if server.awaits_request:
                waiting.setdefault(client, []).append(stream)
        if not waiting:
            return False
        oldest = max(waiting.values(), key=len)[0]
        del self._open[oldest]
        oldest.socket.close()
        return True

    async def finish(self) -> None:
        """Wait for the open replies, at most ``grace_seconds``."""
        await self._context.terminated.set()  # idle connections end here
        with trio.move_on_after(self._settings.grace_seconds):
            while self._open:
                self._last_closed = trio.Event()
                await self._last_closed.wait()

    def close_now(self) -> None:
        """Close all open connections at once, also during a send in hypercorn's shielded scope."""
        if self._open:
            log.warning("web.replies_cut", connections=len(self._open))
        for stream in self._open:
            stream.socket.close()


class _PatientStream:
    """The part of a stream that hypercorn's TCPServer needs, with a timeout for sending."""

    def __init__(self, stream: trio.SocketStream, stall_seconds: float) -> None:
        self._stream = stream
        self._stall_seconds = stall_seconds or math.inf
        self.socket = stream.socket
        self.receive_some: Callable[..., object] = stream.receive_some

    # Neither of the two blocks. quart-trio cancels a request's task as soon as its reply is sent, often while hypercorn
    # closes a "Connection: close" such as vTiger's. Without the shield such connections stayed open.
    async def send_eof(self) -> None:
        with trio.CancelScope(shield=True):
            await self._stream.send_eof()

    async def aclose(self) -> None:
        with trio.CancelScope(shield=True):
            await self._stream.aclose()

    async def send_all(self, data: bytes) -> None:
        view = memoryview(data)
        for start in range(0, len(view), PIECE):
            with trio.move_on_after(self._stall_seconds) as patience:
                await self._stream.send_all(view[start : start + PIECE])
            if patience.cancelled_caught:
                log.warning("web.client_stalled", seconds=self._stall_seconds)
                self.socket.close()
                raise trio.BrokenResourceError("the client does not read")
