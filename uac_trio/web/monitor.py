"""``/live``, ``/live.json`` and ``/metrics``: for administrators and their monitoring, from allowed networks only.

The page works without JavaScript (it reloads itself). With JavaScript it fetches the part that changes every two
seconds. It loads nothing from other servers. Its only form sends a dead letter again.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import attrs
import structlog
import trio
from quart import Response, jsonify, request
from quart_trio import QuartTrio

from uac_trio.networks import Network, is_allowed_address
from uac_trio.web.live_texts import Language, language_of, text
from uac_trio.web.live_view import page_template, render
from uac_trio.web.own_hosts import is_own_host

log = structlog.get_logger()

FRESH = 1.0
"""Seconds for which one snapshot serves all requests: each open page requests it every two seconds, and the AMI reader
waits while it is made."""


class RetryError(Exception):
    """A dead letter was not sent again; the text says why."""


@attrs.define(eq=False, kw_only=True)
class Monitor:
    """The dependencies of the administrators' pages."""

    live: Callable[[], Awaitable[Mapping[str, Any]]]
    """The content of ``/live.json``."""
    metrics: Callable[[], Awaitable[bytes]]
    metrics_type: str
    """Content-Type of ``metrics``."""
    retry: Callable[[int], Awaitable[int]]
    """Sends a dead letter again, by its number; how many deliveries that are, 0 = it is none. Raises RetryError."""
    networks: Sequence[Network]
    """The networks that may see these pages, which show who calls when."""
    hosts: Collection[str]
    """The host names of this server (own_hosts)."""


@attrs.define(eq=False)
class _Snapshot:
    """A snapshot of what goes on, shared by all requests within ``FRESH`` seconds."""

    live: Callable[[], Awaitable[Mapping[str, Any]]]
    _seen: Mapping[str, Any] = attrs.field(factory=dict, init=False)
    _until: float = attrs.field(default=float("-inf"), init=False)
    _lock: trio.Lock = attrs.field(factory=trio.Lock, init=False)

    async def now(self) -> Mapping[str, Any]:
        async with self._lock:
            if trio.current_time() >= self._until:
                self._seen = await self.live()
                self._until = trio.current_time() + FRESH
            return self._seen

    def drop(self) -> None:
        """Something was changed: the next request gets a new one."""
        self._until = float("-inf")


def add_monitor(app: QuartTrio, monitor: Monitor) -> None:
    """Add ``/live``, ``/live.json``, ``/live/retry``, ``/metrics`` and ``/``, which leads to the page, to ``app``."""
    pages = _Pages(monitor)
    app.add_url_rule("/", "home", pages.home)
    app.add_url_rule("/live", "live", pages.live)
    app.add_url_rule("/live.json", "live_json", pages.live_json)
    app.add_url_rule("/live/retry", "live_retry", pages.retry, methods=["POST"])
    app.add_url_rule("/metrics", "metrics", pages.metrics)


@attrs.define(eq=False)
class _Pages:
    monitor: Monitor
    token: str = attrs.field(factory=partial(secrets.token_urlsafe, 24), init=False, repr=False)
    """In every form: another site's page cannot read it. New with each run."""
    _snapshot: _Snapshot = attrs.field(init=False)
    _limiter: trio.CapacityLimiter = attrs.field(factory=partial(trio.CapacityLimiter, 1), init=False)

    def __attrs_post_init__(self) -> None:
        self._snapshot = _Snapshot(self.monitor.live)
        page_template()  # compiled now, and not at the first request

    async def home(self) -> Response:
        if self._refusal():
            return Response("Error", status=404, content_type="text/plain; charset=utf-8")  # as any other address
        return _moved("/live")

    async def live(self) -> Response:
        if (no := self._refused()) is not None:
            return no
        nonce, language = secrets.token_urlsafe(16), _language()
        # In a thread: a hundred calls take 30 ms, and the AMI reader has no 100 ms to wait.
        work = partial(render, await self._snapshot.now(), language=language, nonce=nonce, token=self.token)
        page = await trio.to_thread.run_sync(work, limiter=self._limiter)
        reply = Response(page, content_type="text/html; charset=utf-8")
        reply.headers.update(_HEADERS)
        reply.headers["Referrer-Policy"] = "same-origin"  # else browsers send "Origin: null" with the form
        reply.headers["Content-Security-Policy"] = _POLICY.format(nonce=nonce)
        reply.headers["Content-Language"] = language.value
        reply.headers["Vary"] = "Accept-Language"
        return reply

    async def live_json(self) -> Response:
        if (no := self._refused()) is not None:
            return no
        reply = jsonify(await self._snapshot.now())
        reply.headers.update(_HEADERS)
        return reply

    async def metrics(self) -> Response:
        if (no := self._refused()) is not None:
            return no
        return Response(await self.monitor.metrics(), content_type=self.monitor.metrics_type, headers=_HEADERS)

    async def retry(self) -> Response:
        """A dead letter is sent again, asked for by the page's own form."""
        if (no := self._refused()) is not None:
            return no
        form, language = await request.form, _language()
        if not self._is_of_our_page(form.get("token", "")):
            log.warning("monitor.refused", client=request.remote_addr, path=request.path, reason="not of our page")
            return _plain(text(language, "refused.form"), 403)
        number = form.get("number", "")
        if not (number.isascii() and number.isdecimal() and len(number) < 19):
            return _plain(text(language, "refused.form"), 400)
        try:
            rows = await self.monitor.retry(int(number))
        except RetryError as why:
            return _plain(text(language, "retry.fails", reason=why), 503)
        self._snapshot.drop()
        log.info("monitor.retried", client=request.remote_addr, row=int(number), deliveries=rows)
        return _moved("/live#dead") if rows else _plain(text(language, "retry.gone"), 409)

    def _is_of_our_page(self, token: str) -> bool:
        """The form's token, and what a browser says of where a request comes from."""
        origin, site = request.headers.get("Origin", ""), request.headers.get("Sec-Fetch-Site", "same-origin")
        host = urlsplit(origin).netloc
        is_own = (
            not origin
            or host == request.headers.get("Host", "")
            or (bool(host) and is_own_host(host, self.monitor.hosts))
        )
        return is_own and site == "same-origin" and secrets.compare_digest(token.encode(), self.token.encode())

    def _refusal(self) -> str:
        """Which setting keeps this client out; "" = none."""
        if not is_allowed_address(request.remote_addr, self.monitor.networks):
            return "monitor_networks"
        given = ", ".join(request.headers.getlist("Host"))
        return "" if is_own_host(given, self.monitor.hosts) else "monitor_hosts"

    def _refused(self) -> Response | None:
        setting = self._refusal()
        if not setting:
            return None
        what = "" if setting == "monitor_networks" else "Host is "
        given = ", ".join(request.headers.getlist("Host"))
        log.warning(
            "monitor.refused",
            client=request.remote_addr,
            host=given,
            path=request.path,
            reason=f"{what}not in [http] {setting}",
        )
        key = "refused.network" if setting == "monitor_networks" else "refused.host"
        return _plain(text(_language(), key), 403)


def _language() -> Language:
    return language_of(request.accept_languages)


def _moved(to: str) -> Response:
    return Response("", status=303, content_type="text/plain; charset=utf-8", headers={**_HEADERS, "Location": to})


def _plain(words: str, status: int) -> Response:
    return Response(f"{words}\n", status=status, content_type="text/plain; charset=utf-8", headers=_HEADERS)


_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}
_POLICY = (
    "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; img-src data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
