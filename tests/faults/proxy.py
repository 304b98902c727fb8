"""A TCP proxy on loopback that breaks connections on request: between real parts, at real sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import attrs
import trio

from tests.fake_vtiger import reset


def _ignore(_: bool, __: bytes) -> None:
    """The default of ``look``."""


@attrs.define(eq=False)
class _Pipe:
    client: trio.SocketStream
    server: trio.SocketStream
    swallows: bool = False
    """Half-open: what comes is lost silently."""


@attrs.define(eq=False)
class Proxy:
    """In front of the server at port ``to``. Made by ``open_proxy``."""

    to: int
    port: int = 0
    delay: float = 0.0
    """Seconds by which every piece is late."""
    cut_after: int | None = None
    """The next connections are reset when so many bytes went from the server to the client."""
    look: Callable[[bool, bytes], None] = _ignore
    """Is shown what passes: whether the server sent it, and what."""
    lost: Callable[[], None] = lambda: None
    """Is called when a connection ends."""
    connections: int = 0
    _nursery: trio.Nursery | None = None
    _pipes: set[_Pipe] = attrs.field(factory=set)
    _listening: trio.CancelScope | None = None

    async def up(self) -> None:
        """Take connections, at the same port as before."""
        assert self._nursery is not None
        if self._listening is None:
            (listener,) = await trio.open_tcp_listeners(self.port, host="127.0.0.1")
            self.port = listener.socket.getsockname()[1]
            self._listening = await self._nursery.start(self._listen, listener)

    def down(self) -> None:
        """Refuse connections, as a host does where nothing listens. Open ones stay."""
        if self._listening is not None:
            self._listening.cancel()
            self._listening = None

    def cut(self) -> int:
        """Reset every connection; how many there were."""
        pipes = [pipe for pipe in self._pipes if pipe.client.socket.fileno() >= 0]  # else it has ended this moment
        for pipe in pipes:
            reset(pipe.client)
            if pipe.server.socket.fileno() >= 0:
                reset(pipe.server)
        return len(pipes)

    def stall(self) -> int:
        """From now on the connections that are open pass nothing, either way, and stay open; how many there are."""
        for pipe in self._pipes:
            pipe.swallows = True
        return len(self._pipes)

    async def _listen(
        self, listener: trio.SocketListener, task_status: trio.TaskStatus[trio.CancelScope] = trio.TASK_STATUS_IGNORED
    ) -> None:
        assert self._nursery is not None
        with trio.CancelScope() as scope:
            task_status.started(scope)
            await trio.serve_listeners(self._serve, [listener], handler_nursery=self._nursery)

    async def _serve(self, client: trio.SocketStream) -> None:
        self.connections += 1
        try:
            server = await trio.open_tcp_stream("127.0.0.1", self.to)
        except OSError:
            reset(client)
            return
        pipe = _Pipe(client, server)
        self._pipes.add(pipe)
        try:
            async with client, server, trio.open_nursery() as nursery:
                nursery.start_soon(self._pass, pipe, False, nursery.cancel_scope)
                nursery.start_soon(self._pass, pipe, True, nursery.cancel_scope)
        finally:
            self._pipes.discard(pipe)
            self.lost()

    async def _pass(self, pipe: _Pipe, from_server: bool, scope: trio.CancelScope) -> None:
        source, target = (pipe.server, pipe.client) if from_server else (pipe.client, pipe.server)
        left = self.cut_after if from_server else None
        try:
            while data := await source.receive_some(65536):
                if self.delay:
                    await trio.sleep(self.delay)
                if pipe.swallows:
                    continue
                if left is not None:
                    data, left = data[:left], left - len(data[:left])
                self.look(from_server, data)
                await target.send_all(data)
                if left == 0:
                    reset(pipe.client)
                    return
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # one of the two has gone; so has the other, then
        finally:
            scope.cancel()


@asynccontextmanager
async def open_proxy(to: int) -> AsyncIterator[Proxy]:
    """A proxy that is up, until the block is left."""
    async with trio.open_nursery() as nursery:
        proxy = Proxy(to=to, nursery=nursery)
        await proxy.up()
        yield proxy
        nursery.cancel_scope.cancel()
