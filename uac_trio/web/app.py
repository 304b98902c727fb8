"""The HTTP application: ``/makecall``, ``/recording``, ``/route``, ``/crm/events``, ``/healthz``, ``/readyz``,
``/live``, ``/metrics``.

The caller passes in what it needs from other packages.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import attrs
import structlog
from quart import Response, jsonify, request
from quart_trio import QuartTrio
from werkzeug.exceptions import HTTPException

from uac_trio.web.click2call import Click2Call, add_click2call
from uac_trio.web.events import Events, add_events
from uac_trio.web.monitor import Monitor, add_monitor
from uac_trio.web.recordings import Playback, add_recordings
from uac_trio.web.route import Routing, add_route

log = structlog.get_logger()

# vTiger's requests have no body at all; a form with five short parameters has less than this.
MAX_BODY = 16 * 1024
BODY_SECONDS = 5


@attrs.frozen(kw_only=True)
class Health:
    """What ``/healthz`` and ``/readyz`` report."""

    works: bool
    """The process works: ``/healthz``. If not, a supervisor should restart it."""
    ready: bool
    """Every PBX, the CRM and the store are there: ``/readyz``. If not, an administrator should look."""
    details: Mapping[str, object]
    """JSON: the state of each part. No telephone numbers, no secrets: every client of the port may read it."""


def create_app(
    *,
    click2call: Click2Call,
    health: Callable[[], Health],
    playback: Playback | None = None,
    routing: Routing | None = None,
    events: Events | None = None,
    monitor: Monitor | None = None,
) -> QuartTrio:
    """The application. A failed request gets the body ``Error``, since vTiger takes any other text for success. A
    failed request to ``/route``, which is for Asterisk, gets an empty body."""
    app = QuartTrio("uac_trio.web", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY
    app.config["BODY_TIMEOUT"] = BODY_SECONDS
    # vTiger does not follow a redirect and takes it for success.
    app.url_map.merge_slashes = False
    app.url_map.strict_slashes = False
    add_click2call(app, click2call)
    if playback is not None:
        add_recordings(app, playback)
    if routing is not None:
        add_route(app, routing)
    if events is not None:
        add_events(app, events)
    if monitor is not None:
        add_monitor(app, monitor)

    async def healthz() -> tuple[Response, int]:
        now = health()
        return jsonify(ok=now.works, **now.details), 200 if now.works else 503

    async def readyz() -> tuple[Response, int]:
        now = health()
        ready = now.works and now.ready
        return jsonify(ok=ready, **now.details), 200 if ready else 503

    app.add_url_rule("/healthz", "healthz", healthz)
    app.add_url_rule("/readyz", "readyz", readyz)
    app.register_error_handler(HTTPException, _refused)
    app.register_error_handler(Exception, _failed)
    return app


async def _refused(why: HTTPException) -> Response:
    return _error(why.code or 400)


async def _failed(why: Exception) -> Response:
    """An internal error: logged in full; the client gets the error body alone."""
    log.error("web.failed", exc_info=why)
    return _error(500)


def _error(status: int) -> Response:
    # The dialplan's CURL() takes the body of any reply for the responsible employee's extension.
    body = "" if request.path == "/route" else "Error"
    return Response(body, status=status, content_type="text/plain; charset=utf-8")
