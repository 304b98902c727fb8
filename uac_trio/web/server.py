"""hypercorn on trio, with an end that comes in bounded time.

hypercorn 0.18 sends under a shield without a deadline (``hypercorn/trio/tcp_server.py``, ``protocol_send``): one client
that stops reading keeps its server, and whoever waits for it, alive for ever. So the accept loop is ours: it knows the
open connections, gives each piece that is sent a time, and closes what is left when the grace of a shutdown is over.
"""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Callable
from functools import partial

import attrs
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
from uac_trio.networks import PRIVATE_NETWORKS, Network

log = structlog.get_logger()

# A stall is measured a piece: 64 KiB is what the kernel takes at once on a working connection.
PIECE = 65536

REQUEST_WITHIN = 5.0
"""Seconds in which the headers of a request have to be there, the first and each further one of a connection. (The app
has a limit of its own for the body.)"""


class CannotListenError(Exception):
    """The address of ``[http] bind`` cannot be had; the text says which and why."""


@attrs.frozen(kw_only=True)
class WebSettings:
    """``[http]`` of the configuration."""

    bind: str = "127.0.0.1:5000"
    """Address and port that vTiger's click2call requests come to. ``0.0.0.0:5000`` listens on every address."""
    public_url: str = ""
    """How the CRM and its users reach this server; the links to recordings begin with it."""
    max_connections: int = 100
    """Connections open at once, of one client address half as many. When all are taken, a new one gets the place of one
    whose client has not sent its request; if there is none it is closed unheard."""
    stall_seconds: float = 30.0
    """A client that takes nothing of its reply for so long is cut off."""
    grace_seconds: float = 3.0
    """How long open replies may go on after a shutdown was asked for."""
    monitor_networks: tuple[Network, ...] = PRIVATE_NETWORKS
    """Who may see ``/live`` and ``/metrics``, which tell who calls when. Default: private networks. Behind a proxy on
    this host everybody seems to come from this host: the proxy must not pass these paths on."""
    monitor_hosts: tuple[str, ...] = ()
    """Names by which ``/live`` and ``/metrics`` may be asked for besides ``localhost``, any IP address, this machine's
    own name and those in ``bind`` and ``public_url``. Any other may be a stranger's (DNS rebinding)."""
    wrong_secrets_per_minute: int = 20
    """A client that gives so many wrong secrets in a minute is not listened to for the next one."""


def parse_bind(bind: str) -> tuple[str, int]:
    """``0.0.0.0:5000`` or ``[::1]:5000`` as host and port. Raises ValueError with what was expected."""
    host, colon, port = bind.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    host = host[1:-1] if bracketed else host
    if not colon or not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ValueError("an address and a port, such as 0.0.0.0:5000")
    if ":" in host and not bracketed:
        raise ValueError("an IPv6 address in brackets and a port, such as [::1]:5000")
    return host, int(port)


async def serve_web(
    app: QuartTrio,
    settings: WebSettings,
    *,
    shutdown: trio.Event,
    task_status: trio.TaskStatus[list[str]] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve ``app`` until ``shutdown`` is set; ``task_status`` gets the addresses listened on.

    After ``shutdown`` nothing is accepted any more, idle connections close, open replies may finish for
    ``grace_seconds``; then their connections are closed, whatever state they are in. When cancelled, they are closed
    at once. Raises CannotListenError.
    """
    host, port = parse_bind(settings.bind)
    try:
        listeners = await trio.open_tcp_listeners(port, host=host)
    except OSError as why:
        raise CannotListenError(f"[http] bind = {settings.bind!r}: {why.strerror or why}") from why
    hyper = _hypercorn_config()
    wrapped = wrap_app(app, hyper.wsgi_max_body_size, "asgi")
    lifespan = Lifespan(wrapped, hyper, {})
    connections = _Connections(wrapped, hyper, settings)
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
    """HTTP/1.1 and nothing else. Of HTTP/2 hypercorn keeps whole replies in memory for a client that takes none, and
    neither it nor websockets are of use here."""

    async def _check_protocol(self, event: h11.Request) -> None:
        """No HTTP/2, whether by its preface or by an Upgrade."""

    async def _create_stream(self, request: h11.Request) -> None:
        headers = [(name, value) for name, value in request.headers if name.lower() != b"upgrade"]
        method, target, version = request.method, request.target, request.http_version
        await super()._create_stream(h11.Request(method=method, target=target, headers=headers, http_version=version))


class _Server(TCPServer):
    """hypercorn has no setting for the protocols that it speaks: whichever it chose, it is the one above."""

    _http1: _HTTP1 | None = None

    @property
    def awaits_request(self) -> bool:
        """The client has not sent a whole request: its headers or a part of its body are missing."""
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

    def __init__(self, app: AppWrapper, config: Config, settings: WebSettings) -> None:
        self._app = app
        self._config = config
        self._settings = settings
        self._context = WorkerContext(None)
        self._open: dict[trio.SocketStream, tuple[str, _Server]] = {}
        """The oldest first, each with its client's address."""
        self._by_client: Counter[str] = Counter()
        self._last_closed = trio.Event()
        self._crowded = LogLimit()

    async def serve(self, stream: trio.SocketStream) -> None:
        client = _peer(stream)
        if not self._has_room(client):
            await trio.aclose_forcefully(stream)
            return
        patient = _PatientStream(stream, self._settings.stall_seconds)
        # TCPServer asks for trio's stream by name, and uses what _PatientStream has of it.
        server = _Server(self._app, self._config, self._context, ConnectionState({}), patient)  # type: ignore[arg-type]
        self._open[stream] = client, server
        self._by_client[client] += 1
        try:
            await server
        except* Exception:
            # Whatever a client makes hypercorn or h11 fail with is this connection's end, not the daemon's.
            log.warning("web.connection_failed", client=client, exc_info=True)
        finally:
            self._open.pop(stream, None)
            self._by_client[client] -= 1
            if not self._by_client[client]:
                del self._by_client[client]
            if not self._open:
                self._last_closed.set()

    def _has_room(self, client: str) -> bool:
        """Whether one more connection of ``client`` may be served, after closing another if need be."""
        limit = self._settings.max_connections
        of_client = self._by_client[client]
        is_too_many = of_client >= max(1, limit // 2)
        if not is_too_many and len(self._open) < limit:
            return True
        if (left_out := self._crowded.due(trio.current_time())) is not None:
            log.warning("web.too_many_connections", limit=limit, client=client, of_client=of_client, left_out=left_out)
        return not is_too_many and self._close_one_that_waits()

    def _close_one_that_waits(self) -> bool:
        """Close the oldest connection without a whole request, of the client that has the most such."""
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
        """Wait for the open replies, at most the grace."""
        await self._context.terminated.set()  # idle connections end here
        with trio.move_on_after(self._settings.grace_seconds):
            while self._open:
                self._last_closed = trio.Event()
                await self._last_closed.wait()

    def close_now(self) -> None:
        """Close what is open, in the middle of whatever it is doing: also of a send under hypercorn's shield."""
        if self._open:
            log.warning("web.replies_cut", connections=len(self._open))
        for stream in self._open:
            stream.socket.close()


class _PatientStream:
    """What hypercorn's TCPServer needs of a stream, with an end to its patience."""

    def __init__(self, stream: trio.SocketStream, stall_seconds: float) -> None:
        self._stream = stream
        self._stall_seconds = stall_seconds or math.inf
        self.socket = stream.socket
        self.receive_some: Callable[..., object] = stream.receive_some

    # Neither of the two blocks. quart-trio cancels the task of a request as soon as its reply is out, often in the
    # middle of hypercorn's closing of a "Connection: close" such as vTiger's: unshielded, the connection stayed open.
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
                raise trio.BrokenResourceError("the client takes nothing any more")
