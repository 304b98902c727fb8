"""One POST to the CRM and what comes back. The only module that knows httpx."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from http.cookiejar import CookieJar, DefaultCookiePolicy
from urllib.parse import urlencode

import attrs
import httpx
import trio

from uac_trio import __version__
from uac_trio.sender.gate import SenderSettings
from uac_trio.vtiger.account import VtigerAccount
from uac_trio.vtiger.reply import Failure, NoReply, Reply, retry_after_seconds

MAX_BODY = 64 * 1024
"""Bytes of a reply that are read. vTiger's own are below 1 KiB; an error page is known by its beginning."""

_KEEP_ALIVE = 2.0  # seconds; below the 5 s after which Apache closes, or a request meets a closing connection


@attrs.frozen(eq=False)
class CRMClient:
    """Posts forms to one address of the CRM. Made by ``open_client``."""

    _client: httpx.AsyncClient
    _account: VtigerAccount
    _url: str
    _within: float
    _now: Callable[[], float]

    async def post(self, form: Mapping[str, str]) -> Reply | NoReply:
        """Its reply, or why there is none, after ``answer_within`` of the settings at the latest."""
        body = urlencode(form, encoding="utf-8", errors="replace").encode()
        host = self._account.host
        try:
            with trio.fail_after(self._within):
                return await self._posted(body)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol) as error:
            detail = str(error) or "no connection in time"
            return NoReply(failure=Failure.NOT_SENT, detail=f"{host}: {detail}")
        except (httpx.TimeoutException, trio.TooSlowError):
            return NoReply(failure=Failure.UNKNOWN, detail=f"{host} gave no complete reply in time")
        except httpx.TransportError as error:
            detail = str(error) or type(error).__name__
            return NoReply(failure=Failure.UNKNOWN, detail=f"{host} broke the connection: {detail}")

    async def _posted(self, body: bytes) -> Reply:
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        request = self._client.build_request("POST", self._url, content=body, headers=headers)
        request.stream = _Body(body)
        reply = await self._client.send(request, stream=True)
        try:
            read = bytearray()
            # Cancelled and not left by ``break``: httpx's nested generators end only if something is raised innermost.
            with trio.CancelScope() as enough:
                async for chunk in reply.aiter_raw():
                    read += chunk
                    if len(read) >= MAX_BODY:
                        enough.cancel()
        finally:
            await reply.aclose()
        text = bytes(read[:MAX_BODY]).decode("utf-8", errors="replace")
        secret = self._account.secret
        return Reply(
            status=reply.status_code,
            content_type=reply.headers.get("content-type", ""),
            text=text.replace(secret, "***"),  # an error page may quote what it was sent
            location=reply.headers.get("location", "").replace(secret, "***"),
            retry_after=retry_after_seconds(reply.headers.get("retry-after", ""), self._now()),
        )


@asynccontextmanager
async def open_client(
    account: VtigerAccount, settings: SenderSettings, *, now: Callable[[], float], url: str = ""
) -> AsyncIterator[CRMClient]:
    """A client for ``url``, or for the account's own; ``in_flight`` connections of its own at most.

    Proxies named in the environment are not used; redirects are not followed, for a redirected POST loses its form;
    cookies are not kept, for PHP lets the requests of one session in one at a time.
    """
    async with httpx.AsyncClient(
        verify=ssl.create_default_context(cafile=settings.ca_file),
        trust_env=False,
        follow_redirects=False,
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        timeout=httpx.Timeout(settings.reply_timeout, connect=settings.connect_timeout),
        limits=httpx.Limits(max_connections=settings.in_flight, keepalive_expiry=_KEEP_ALIVE),
        headers={"User-Agent": f"uac-trio/{__version__}", "Accept-Encoding": "identity"},
    ) as client:
        yield CRMClient(client, account, url or account.url, settings.answer_within, now)


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
