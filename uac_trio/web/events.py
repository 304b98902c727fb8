"""``GET /crm/events?token=...``: events for the browsers of the CRM's users, as server-sent events (HTML, 9.2).

The token stands in the query, since EventSource sends no headers of its own; so the query is never logged.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from http import HTTPStatus

import attrs
import structlog
import trio
from quart import Response, request
from quart_trio import QuartTrio

from uac_trio.crm.stream_token import StreamToken, TokenError, UsedTokens, read_token
from uac_trio.logs import LogLimit
from uac_trio.web.streams import Stream, Streams
from uac_trio.web.wrong_secrets import WrongSecrets

log = structlog.get_logger()

COMMENT_EVERY = 15.0
"""Seconds: proxies end connections on which nothing is sent for a minute, and a client that is gone is noticed."""
STREAM_LASTS = 600.0
"""Seconds after which a stream ends. The browser's next one needs a new token, which the CRM no longer gives to a user
who logged out or is no longer permitted."""
_COMMENT = b":\n\n"


@attrs.frozen(kw_only=True)
class Events:
    """The dependencies of ``/crm/events``."""

    streams: Streams
    secret: str
    first: Callable[[str], str]
    """What a stream of this extension begins with."""
    origins: frozenset[str]
    """Of the CRM's pages, where these are another origin than this server, such as ``https://crm.example``."""
    now: Callable[[], float]
    """Seconds since the epoch."""
    wrong_secrets: WrongSecrets
    used: UsedTokens = attrs.field(factory=UsedTokens)
    complaints: LogLimit = attrs.field(factory=lambda: LogLimit(10.0))


def add_events(app: QuartTrio, events: Events) -> None:
    """Add ``/crm/events`` to ``app``."""

    async def crm_events() -> Response:
        origin = request.headers.get("Origin", "")
        if origin and origin not in events.origins:
            # A same-origin request has no Origin. This one is of a page elsewhere, or of a CRM that is not listed.
            if (left_out := events.complaints.due(trio.current_time())) is not None:
                hint = "if it is the CRM's, add it to [companion] origins"
                log.warning("companion.origin_refused", origin=origin[:100], hint=hint, left_out=left_out)
            return _refused(HTTPStatus.FORBIDDEN)
        if events.wrong_secrets.refuses(request.remote_addr):
            return _refused(HTTPStatus.FORBIDDEN, origin)
        try:
            token = _token(events)
        except TokenError as why:
            _refuse(events, why)
            return _refused(HTTPStatus.FORBIDDEN, origin)
        # Behind a proxy all browsers have one address: what is forged there must not keep them out.
        events.wrong_secrets.accept(request.remote_addr)
        if not events.streams.has_room(token.user):
            if not events.streams.has_ended and (left_out := events.complaints.due(trio.current_time())) is not None:
                log.warning("companion.too_many_streams", streams=events.streams.open, left_out=left_out)
            return _refused(HTTPStatus.SERVICE_UNAVAILABLE, origin)
        return _stream(events, token, origin)

    app.add_url_rule("/crm/events", "crm_events", crm_events, methods=["GET"])


def _token(events: Events) -> StreamToken:
    """Raises TokenError."""
    given = request.args.getlist("token")
    token = read_token(given[0] if len(given) == 1 else "", events.secret, events.now())
    if request.method != "HEAD":
        events.used.use(token, events.now())
    return token


def _refuse(events: Events, why: TokenError) -> None:
    """Count a token that is refused, and log it: at most one line in 10 s, since browsers try again and again."""
    events.streams.refused[why.reason] += 1
    if why.is_forged and not events.wrong_secrets.count(request.remote_addr):
        return
    if (left_out := events.complaints.due(trio.current_time())) is not None:
        log.warning("companion.token_refused", client=request.remote_addr, reason=str(why), left_out=left_out)


def _stream(events: Events, token: StreamToken, origin: str) -> Response:
    body: AsyncIterator[bytes] | bytes = b""
    if request.method != "HEAD":
        body = _body(events, token, request.remote_addr or "")
    reply = Response(body, content_type="text/event-stream; charset=utf-8")
    reply.timeout = None  # Quart's default cuts every reply after a minute
    reply.headers["X-Accel-Buffering"] = "no"
    return _with_headers(reply, origin)


async def _body(events: Events, token: StreamToken, client: str) -> AsyncIterator[bytes]:
    if not events.streams.has_room(token.user):
        return  # others were opened meanwhile
    with events.streams.stream(token.user, token.extension, client) as stream:
        yield _event(events.first(token.extension))
        ends_at = trio.current_time() + STREAM_LASTS
        while trio.current_time() < ends_at:
            data = await _next(stream, min(COMMENT_EVERY, ends_at - trio.current_time()))
            if data is None:
                return
            yield data


async def _next(stream: Stream, within: float) -> bytes | None:
    """The next event, or a comment where there is none ``within`` so many seconds; None at the stream's end."""
    with trio.move_on_after(within):
        try:
            return _event(await stream.events.receive())
        except trio.EndOfChannel:
            return None
    return _COMMENT


def _event(data: str) -> bytes:
    return f"data: {data}\n\n".encode()


def _refused(status: HTTPStatus, origin: str = "") -> Response:
    """EventSource does not try again by itself after another status than 200."""
    return _with_headers(Response(b"", status=status, content_type="text/plain; charset=utf-8"), origin)


def _with_headers(reply: Response, origin: str) -> Response:
    reply.headers["Cache-Control"] = "no-store"
    reply.headers["X-Content-Type-Options"] = "nosniff"
    reply.headers["Vary"] = "Origin"
    if origin:
        reply.headers["Access-Control-Allow-Origin"] = origin
    return reply
