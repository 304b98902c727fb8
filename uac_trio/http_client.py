"""Asking over HTTP: the one module that knows httpx, so that its successor is a change of one module.

httpx's transport is used without its client, which costs as much again and whose work is not wanted here: proxies named
in the environment are not used; redirects are not followed, for a redirected POST loses its form; cookies are not kept,
for PHP lets the requests of one session in one at a time.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import lru_cache

import attrs
import httpx
import trio

from uac_trio import __version__
from uac_trio.socket_errors import is_untrusted, socket_reason

_KEEP_ALIVE = 2.0  # seconds; below the 5 s after which Apache closes, or a request meets a closing connection


class NotSentError(Exception):
    """There was no connection: the server has seen nothing of the request. The text says why."""


class UntrustedError(NotSentError):
    """No authority that we trust has signed the server's certificate: ``ca_file`` can name one more."""


class NoReplyError(Exception):
    """No whole reply came; what the server did is not known. The text says what happened."""


@attrs.frozen(kw_only=True)
class HTTPReply:
    status: int
    headers: Mapping[str, str]
    """Names in small letters."""
    body: bytes


@attrs.define(eq=False)
class HTTPClient:
    """Made by ``open_http_client``."""

    _transport: httpx.AsyncHTTPTransport
    _timeouts: Mapping[str, float | None]

    async def post(
        self, url: str, body: bytes, headers: Mapping[str, str], *, most: int, within: float = float("inf")
    ) -> HTTPReply:
        """Post ``body``; of the reply's body ``most`` bytes are read. It takes ``within`` seconds at most.

        Raises NotSentError, NoReplyError.
        """
        request = self._request("POST", url, {**headers, "Content-Length": str(len(body))})
        request.stream = _Body(body)
        return await self._asked(request, most, within)

    async def get(self, url: str, *, most: int, within: float = float("inf")) -> HTTPReply:
        """The same without a body."""
        return await self._asked(self._request("GET", url, {}), most, within)

    def _request(self, method: str, url: str, headers: Mapping[str, str]) -> httpx.Request:
        parsed = _parsed(url)
        return httpx.Request(
            method,
            parsed,
            headers={"Host": parsed.netloc.decode("ascii"), **_HEADERS, **headers},
            extensions={"timeout": self._timeouts},
        )

    async def _asked(self, request: httpx.Request, most: int, within: float) -> HTTPReply:
        try:
            with trio.fail_after(within):
                return await self._sent(request, most)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol) as why:
            refused = UntrustedError if is_untrusted(why) else NotSentError
            raise refused(socket_reason(why) or "no connection in time") from why
        except (httpx.TimeoutException, trio.TooSlowError) as why:
            raise NoReplyError("gave no complete reply in time") from why
        except httpx.TransportError as why:
            raise NoReplyError(f"broke the connection: {socket_reason(why) or type(why).__name__}") from why

    async def _sent(self, request: httpx.Request, most: int) -> HTTPReply:
        reply = await self._transport.handle_async_request(request)
        try:
            read = bytearray()
            # Cancelled and not left by ``break``: httpx's nested generators end only if something is raised innermost.
            with trio.CancelScope() as enough:
                async for chunk in reply.aiter_raw():
                    read += chunk
                    if len(read) >= most:
                        enough.cancel()
        finally:
            await reply.aclose()
        headers = {name.lower(): value for name, value in reply.headers.items()}
        return HTTPReply(status=reply.status_code, headers=headers, body=bytes(read[:most]))


_HEADERS = {"User-Agent": f"uac-trio/{__version__}", "Accept": "*/*", "Accept-Encoding": "identity"}


@lru_cache(maxsize=64)
def _parsed(url: str) -> httpx.URL:
    return httpx.URL(url)


@asynccontextmanager
async def open_http_client(
    *, connect_timeout: float, reply_timeout: float, connections: int, ca_file: str | None
) -> AsyncIterator[HTTPClient]:
    """A client that keeps ``connections`` at once at most. ``reply_timeout``: between two pieces of a reply, seconds.

    ``ca_file``: authorities to trust for https (PEM), instead of the system's. Raises OSError (also ssl.SSLError) if
    it cannot be read.
    """
    timeouts = httpx.Timeout(reply_timeout, connect=connect_timeout).as_dict()
    async with httpx.AsyncHTTPTransport(
        verify=ssl.create_default_context(cafile=ca_file),
        trust_env=False,
        limits=httpx.Limits(max_connections=connections, keepalive_expiry=_KEEP_ALIVE),
    ) as transport:
        yield HTTPClient(transport, timeouts)


@attrs.define(eq=False)
class _Body(httpx.AsyncByteStream):
    """A body in one piece. httpx's own is a generator, which a cancelled write leaves behind unfinished."""

    _rest: bytes

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if not self._rest:
            raise StopAsyncIteration
        piece, self._rest = self._rest, b""
        return piece
