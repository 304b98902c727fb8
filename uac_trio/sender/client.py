"""One question to the CRM and what comes back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from urllib.parse import urlencode

import attrs

from uac_trio.http_client import HTTPClient, HTTPReply, NoReplyError, NotSentError, UntrustedError, open_http_client
from uac_trio.sender.gate import SenderSettings
from uac_trio.socket_errors import socket_reason
from uac_trio.vtiger.account import VtigerAccount
from uac_trio.vtiger.reply import Failure, NoReply, Reply, retry_after_seconds

MAX_BODY = 64 * 1024
"""Bytes of a reply that are read. vTiger's own are below 1 KiB; an error page is known by its beginning."""

_FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@attrs.frozen(eq=False)
class CRMClient:
    """Posts forms to one address of the CRM. Made by ``open_client``."""

    _client: HTTPClient
    _account: VtigerAccount
    _url: str
    _within: float
    _now: Callable[[], float]

    async def post(self, form: Mapping[str, str]) -> Reply | NoReply:
        """Its reply, or why there is none, after ``answer_within`` of the settings at the latest."""
        body = urlencode(form, encoding="utf-8", errors="replace").encode()
        return await self._asked(partial(self._client.post, self._url, body, _FORM))

    async def get(self) -> Reply | NoReply:
        """The same for the bare address."""
        return await self._asked(partial(self._client.get, self._url))

    async def _asked(self, ask: Callable[..., Awaitable[HTTPReply]]) -> Reply | NoReply:
        host, secret = self._account.host, self._account.secret
        try:
            reply = await ask(most=MAX_BODY, within=self._within)
        except UntrustedError as why:
            return NoReply(failure=Failure.NOT_SENT, detail=f"{host}: {why}; [sender] ca_file can name its authority")
        except NotSentError as why:
            return NoReply(failure=Failure.NOT_SENT, detail=f"{host}: {why}")
        except NoReplyError as why:
            return NoReply(failure=Failure.UNKNOWN, detail=f"{host} {why}")
        text = reply.body.decode("utf-8", errors="replace")
        return Reply(
            status=reply.status,
            content_type=reply.headers.get("content-type", ""),
            text=text.replace(secret, "***"),  # an error page may quote what it was sent
            location=reply.headers.get("location", "").replace(secret, "***"),
            retry_after=retry_after_seconds(reply.headers.get("retry-after", ""), self._now()),
            date=reply.headers.get("date", ""),
        )


@asynccontextmanager
async def open_client(
    account: VtigerAccount, settings: SenderSettings, *, now: Callable[[], float], url: str = ""
) -> AsyncIterator[CRMClient]:
    """A client for ``url``, or for the account's own; ``in_flight`` connections of its own at most."""
    client = open_http_client(
        connect_timeout=settings.connect_timeout,
        reply_timeout=settings.reply_timeout,
        connections=settings.in_flight,
        ca_file=settings.ca_file,
    )
    async with client as http:
        yield CRMClient(http, account, url or account.url, settings.answer_within, now)


async def ask_once(
    account: VtigerAccount, settings: SenderSettings, form: Mapping[str, str] | None, now: float
) -> Reply | NoReply:
    """One POST of ``form`` to ``account.url``, or a GET without one, beside the sender's own. ``now``: seconds since
    the epoch. Ends within ``settings.answer_within``."""
    try:
        async with open_client(account, settings, now=lambda: now) as client:
            return await (client.get() if form is None else client.post(form))
    except OSError as error:  # ca_file cannot be read, or holds no certificate (ssl.SSLError)
        return NoReply(failure=Failure.NOT_SENT, detail=f"[sender] ca_file {settings.ca_file}: {socket_reason(error)}")
