"""``/live``, ``/live.json`` and ``/metrics``: for administrators and their monitoring, from allowed networks only.

The page works without JavaScript (it reloads itself). With JavaScript it fetches the part that changes every two
seconds. The template escapes every value, and the page loads nothing from other servers.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import datetime
from functools import partial
from importlib import resources
from typing import Any

import attrs
import jinja2
import structlog
import trio
from quart import Response, jsonify, request
from quart_trio import QuartTrio

from uac_trio.networks import Network, is_allowed_address
from uac_trio.web.own_hosts import is_own_host

log = structlog.get_logger()

FRESH = 1.0
"""Seconds for which one snapshot serves all requests: each open page requests it every two seconds, and the AMI reader
waits while it is made."""

_WRONG_HOST = (
    "Refused: this host name is not in monitor_hosts of [http] in the configuration. Add it there if it is this "
    "server's, or use its IP address.\n"
)
_REFUSED = "Refused: your address is not in monitor_networks of [http] in the configuration.\n"


@attrs.define(eq=False, kw_only=True)
class Monitor:
    """The dependencies of the administrators' pages."""

    live: Callable[[], Awaitable[Mapping[str, Any]]]
    """The content of ``/live.json``."""
    metrics: Callable[[], Awaitable[bytes]]
    metrics_type: str
    """Content-Type of ``metrics``."""
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


def add_monitor(app: QuartTrio, monitor: Monitor) -> None:
    """Add ``/live``, ``/live.json`` and ``/metrics`` to ``app``."""
    snapshot = _Snapshot(monitor.live)
    template = page_template()
    pen = trio.CapacityLimiter(1)

    def refused() -> Response | None:
        given = ", ".join(request.headers.getlist("Host"))
        if not is_allowed_address(request.remote_addr, monitor.networks):
            why, words = "not in [http] monitor_networks", _REFUSED
        elif not is_own_host(given, monitor.hosts):
            why, words = "Host is not in [http] monitor_hosts", _WRONG_HOST
        else:
            return None
        log.warning("monitor.refused", client=request.remote_addr, host=given, path=request.path, reason=why)
        return Response(words, status=403, content_type="text/plain; charset=utf-8", headers=_HEADERS)

    async def live() -> Response:
        if (no := refused()) is not None:
            return no
        nonce = secrets.token_urlsafe(16)
        # In a thread: a hundred calls take 30 ms, and the AMI reader has no 100 ms to wait.
        render = partial(template.render, state=await snapshot.now(), nonce=nonce)
        page = await trio.to_thread.run_sync(render, limiter=pen)
        reply = Response(page, content_type="text/html; charset=utf-8")
        reply.headers.update(_HEADERS)
        reply.headers["Content-Security-Policy"] = _POLICY.format(nonce=nonce)
        return reply

    async def live_json() -> Response:
        if (no := refused()) is not None:
            return no
        reply = jsonify(await snapshot.now())
        reply.headers.update(_HEADERS)
        return reply

    async def metrics() -> Response:
        if (no := refused()) is not None:
            return no
        return Response(await monitor.metrics(), content_type=monitor.metrics_type, headers=_HEADERS)

    app.add_url_rule("/live", "live", live)
    app.add_url_rule("/live.json", "live_json", live_json)
    app.add_url_rule("/metrics", "metrics", metrics)


_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}
_POLICY = (
    "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; img-src data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def page_template() -> jinja2.Template:
    """``state`` (as ``/live.json``) and ``nonce`` to HTML."""
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(clock=clock, span=span)
    text = (resources.files("uac_trio.web") / "live.html").read_text(encoding="utf-8")
    return environment.from_string(text)


def clock(at: float | None, now: float) -> str:
    """``18:04:11``, with the date if it is another day; in this machine's time zone."""
    if at is None:
        return "–"
    then, today = (datetime.fromtimestamp(each).astimezone() for each in (at, now))
    return f"{then:%H:%M:%S}" if then.date() == today.date() else f"{then:%d %b %H:%M:%S}"


def span(seconds: float | None) -> str:
    """``0.35 s``, ``12 s``, ``3:05 min``, ``2 h 05 min``, ``4 days``."""
    if seconds is None:
        return "–"
    if seconds < 9.95:
        return f"{max(0.0, seconds):.1f} s" if seconds >= 0.995 or seconds <= 0 else f"{seconds:.2f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02} min"
    if whole < 2 * 86400:
        return f"{whole // 3600} h {whole % 3600 // 60:02} min"
    return f"{whole // 86400} days"
