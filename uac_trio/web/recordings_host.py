"""The server of ``uac-trio serve-recordings``: serves recordings of this machine to connectors on other machines.

A request must come from a configured network and be signed (recordings/wire.py); any other gets an empty 403. The path
in a request is the one that the PBX reports. It is looked up beneath the configured directories by the same code as for
local recordings.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any

import attrs
import structlog
from quart import Response, request
from quart_trio import QuartTrio

from uac_trio.networks import is_allowed_address
from uac_trio.recordings import wire
from uac_trio.recordings.directories import Directories
from uac_trio.recordings.finding import RecordingKeptError, RecordingMissingError
from uac_trio.recordings.place import RecordingsBusyError
from uac_trio.web.settings import ServeSettings

log = structlog.get_logger()

BODY_SECONDS = 10


def create_recordings_app(settings: ServeSettings, directories: Directories, *, now: Callable[[], float]) -> QuartTrio:
    """The application. ``now`` returns seconds since the epoch."""
    app = QuartTrio("uac_trio.web.recordings_host", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = wire.MOST_REQUESTED
    app.config["BODY_TIMEOUT"] = BODY_SECONDS
    serving = _Serving(settings, directories, now)
    works = {wire.LOOK: serving.look, wire.OPEN: serving.open, wire.READ: serving.read, wire.DELETE: serving.delete}
    for path, work in works.items():
        app.add_url_rule(path, path, serving.answers(work), methods=["POST"])
    return app


@attrs.define(eq=False)
class _Serving:
    settings: ServeSettings
    directories: Directories
    now: Callable[[], float]

    def answers(self, work: Callable[[dict[str, Any]], Awaitable[Response]]) -> Callable[[], Awaitable[Response]]:
        """A view that calls ``work`` for authenticated requests only."""

        async def view() -> Response:
            if not is_allowed_address(request.remote_addr, self.settings.networks):
                return self._refused("its address is not within [serve] networks")
            body = await request.data
            try:
                authorization = request.headers.get("Authorization", "")
                wire.check_signature(self.settings.secret, request.path, body, authorization, self.now())
            except wire.SignatureError:
                return self._refused("wrong secret")
            except wire.ClockError as why:
                self._refused(str(why))
                return _json({"clock": str(why)}, HTTPStatus.FORBIDDEN)
            try:
                return await work(wire.from_json(body))
            except ValueError as why:
                log.warning("recordings_host.not_understood", client=request.remote_addr, reason=str(why))
                return _empty(HTTPStatus.BAD_REQUEST)
            except RecordingsBusyError:
                return _empty(HTTPStatus.SERVICE_UNAVAILABLE)

        return view

    async def look(self, fields: dict[str, Any]) -> Response:
        given = fields.get("recordings")
        if not isinstance(given, list) or len(given) > wire.MOST_LOOKS:
            raise ValueError("has no list of recordings")
        looks = await self.directories.look([wire.read_wanted(one) for one in given])
        return _json({"looks": [wire.look_to_json(look) for look in looks]})

    async def open(self, fields: dict[str, Any]) -> Response:
        try:
            file, head = await self.directories.open(wire.read_wanted(fields))
        except RecordingMissingError as why:
            return _json({"missing": str(why)})
        file.close()
        handle = wire.FarHandle(name=file.name, size=file.size, mtime_ns=file.mtime_ns, inode=file.inode, head=head)
        return _json(wire.handle_to_json(handle))

    async def read(self, fields: dict[str, Any]) -> Response:
        wanted, (start, length) = wire.read_wanted(fields), wire.read_span(fields)
        try:
            file, _ = await self.directories.open(wanted)
        except RecordingMissingError:
            return _empty(HTTPStatus.CONFLICT)
        try:
            if list(file.identity) != fields.get("identity"):
                return _empty(HTTPStatus.CONFLICT)
            piece = await file.read(start, length)
        except OSError as why:
            log.error("recordings_host.not_read", path=wanted.path, reason=why.strerror or str(why))
            return _empty(HTTPStatus.CONFLICT)
        finally:
            file.close()
        return Response(piece, content_type="application/octet-stream")

    async def delete(self, fields: dict[str, Any]) -> Response:
        wanted = wire.read_wanted(fields)
        try:
            if not self.settings.delete_files:
                is_there = await self.directories.has(wanted)
                return _json({"refused": "[serve] delete_files is not true there"} if is_there else {"deleted": False})
            deleted = await self.directories.delete(wanted)
        except RecordingKeptError as why:
            log.error("recordings_host.not_deleted", path=wanted.path, reason=str(why))
            return _json({"refused": str(why)})
        if deleted:
            log.info("recordings_host.deleted", path=wanted.path, client=request.remote_addr)
        return _json({"deleted": deleted})

    def _refused(self, why: str) -> Response:
        log.warning("recordings_host.refused", client=request.remote_addr, reason=why)
        return _empty(HTTPStatus.FORBIDDEN)


def _json(value: dict[str, object], status: HTTPStatus = HTTPStatus.OK) -> Response:
    return Response(wire.as_json(value), status=status, content_type="application/json")


def _empty(status: HTTPStatus) -> Response:
    return Response(b"", status=status, content_type="text/plain; charset=utf-8")
