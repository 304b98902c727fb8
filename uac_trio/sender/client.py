"""One request to the CRM and what comes back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Protocol

import attrs

from uac_trio.crm.protocol import CRM, CRMRequest
from uac_trio.crm.reply import Failure, NoReply, Reply, retry_after_seconds
from uac_trio.http_client import HTTPClient, HTTPReply, NoReplyError, NotSentError, UntrustedError, open_http_client
from uac_trio.sender.breaker import SenderSettings
from uac_trio.socket_errors import socket_reason

MAX_BODY = 64 * 1024
"""Bytes of a reply that are read. vTiger's own are below 1 KiB; an error page is known by its beginning."""


class Poster(Protocol):
    """What the sender needs of a client."""

    async def post(self, request: CRMRequest) -> Reply | NoReply: ...


@attrs.frozen(eq=False)
class CRMClient:
    """Sends what a CRM renders. Made by ``open_client``."""

    _client: HTTPClient
    _host: str
    _secret: str
    _within: float
    _now: Callable[[], float]

    async def post(self, request: CRMRequest) -> Reply | NoReply:
        """Its reply, or why there is none, after ``answer_within`` of the settings at the latest."""
        headers = request.headers
        if request.stamp is not None:
            headers = {**headers, **request.stamp(self._now())}
        if request.is_get:
            return await self._asked(partial(self._client.get, request.url))
        return await self._asked(partial(self._client.post, request.url, request.body, headers))

    async def _asked(self, ask: Callable[..., Awaitable[HTTPReply]]) -> Reply | NoReply:
        try:
            reply = await ask(most=MAX_BODY, within=self._within)
        except UntrustedError as why:
            detail = f"{self._host}: {why}; [sender] ca_file can name its authority"
            return NoReply(failure=Failure.NOT_SENT, detail=detail)
        except NotSentError as why:
            return NoReply(failure=Failure.NOT_SENT, detail=f"{self._host}: {why}")
        except NoReplyError as why:
            return NoReply(failure=Failure.UNKNOWN, detail=f"{self._host} {why}")
        return Reply(
            status=reply.status,
            content_type=reply.headers.get("content-type", ""),
            text=self._without_secret(reply.body.decode("utf-8", errors="replace")),
            location=self._without_secret(reply.headers.get("location", "")),
            retry_after=retry_after_seconds(reply.headers.get("retry-after", ""), self._now()),
            date=reply.headers.get("date", ""),
        )

    def _without_secret(self, text: str) -> str:
        """An error page may quote what it was sent."""
        return text.replace(self._secret, "***") if text else ""


@asynccontextmanager
async def open_client(crm: CRM, settings: SenderSettings, *, now: Callable[[], float]) -> AsyncIterator[CRMClient]:
    """A client for one CRM; ``in_flight`` connections of its own at most."""
    client = open_http_client(
        connect_timeout=settings.connect_timeout,
        reply_timeout=settings.reply_timeout,
        connections=settings.in_flight,
        ca_file=settings.ca_file,
    )
    async with client as http:
        yield CRMClient(http, crm.host, crm.secret, settings.answer_within, now)


async def ask_once(request: CRMRequest, crm: CRM, settings: SenderSettings, now: float) -> Reply | NoReply:
    """One request beside the sender's own. ``now``: seconds since the epoch. Ends within ``settings.answer_within``."""
    try:
        async with open_client(crm, settings, now=lambda: now) as client:
            return await client.post(request)
    except OSError as error:  # ca_file cannot be read, or holds no certificate (ssl.SSLError)
        return NoReply(failure=Failure.NOT_SENT, detail=f"[sender] ca_file {settings.ca_file}: {socket_reason(error)}")
