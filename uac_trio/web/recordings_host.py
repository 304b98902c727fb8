"""The side of ``uac-trio serve-recordings`` that is asked: recordings of this machine for connectors on others.

Who asks comes from an address that the configuration names and signs his question (recordings/wire.py); anybody else
gets 403 without a word. A path in a question is what the PBX told, and is looked for beneath the configured directories
by the code that does so for local recordings.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any

import attrs
import structlog
from quart import Response, request
from quart_trio import QuartTrio

from uac_trio.networks import Network, is_allowed_address
from uac_trio.recordings import Directories, RecordingKeptError, RecordingMissingError, RecordingsBusyError, wire

log = structlog.get_logger()

BODY_SECONDS = 10


def _at_least_one(_: object, attribute: attrs.Attribute[Any], value: tuple[object, ...]) -> None:
    if not value:
        raise ValueError("expected a list of one or more")


@attrs.frozen(kw_only=True)
class ServeSettings:
    """``[serve]`` of the configuration of ``uac-trio serve-recordings``."""

    secret: str = attrs.field(repr=False)
    """``recordings_secret`` of the connectors."""
    recordings: tuple[str, ...] = attrs.field(validator=_at_least_one)
    """The directories; nothing outside of them is ever opened."""
    networks: tuple[Network, ...] = attrs.field(validator=_at_least_one)
    """Where connectors ask from."""
    bind: str = "0.0.0.0:5001"
    """Address and port to listen on."""
    delete_files: bool = False
    """Connectors may have files deleted (``delete_files``, ``forget --files``)."""
    stall_seconds: float = 30.0
    """A connector that takes nothing of an answer for so long is cut off."""
    max_connections: int = 100
    """Connections open at once; one more is closed unheard."""


def create_recordings_app(settings: ServeSettings, directories: Directories, *, now: Callable[[], float]) -> QuartTrio:
    """The application. ``now`` tells seconds since the epoch."""
    app = QuartTrio("uac_trio.web.recordings_host", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = wire.MOST_ASKED
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
        """A view that lets nobody but a connector through to ``work``."""

        async def view() -> Response:
            if not is_allowed_address(request.remote_addr, self.settings.networks):
                return self._refused("its address is not within [serve] networks")
            body = await request.data
            try:
                told = request.headers.get("Authorization", "")
                wire.check_signature(self.settings.secret, request.path, body, told, self.now())
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

    async def look(self, asked: dict[str, Any]) -> Response:
        given = asked.get("recordings")
        if not isinstance(given, list) or len(given) > wire.MOST_LOOKS:
            raise ValueError("has no list of recordings")
        looks = await self.directories.look([wire.read_wanted(one) for one in given])
        return _json({"looks": [wire.told_look(look) for look in looks]})

    async def open(self, asked: dict[str, Any]) -> Response:
        try:
            file, head = await self.directories.open(wire.read_wanted(asked))
        except RecordingMissingError as why:
            return _json({"missing": str(why)})
        file.close()
        handle = wire.FarHandle(name=file.name, size=file.size, mtime_ns=file.mtime_ns, inode=file.inode, head=head)
        return _json(wire.told_handle(handle))

    async def read(self, asked: dict[str, Any]) -> Response:
        wanted, (start, length) = wire.read_wanted(asked), wire.read_span(asked)
        try:
            file, _ = await self.directories.open(wanted)
        except RecordingMissingError:
            return _empty(HTTPStatus.CONFLICT)
        try:
            if list(file.identity) != asked.get("identity"):
                return _empty(HTTPStatus.CONFLICT)
            piece = await file.read(start, length)
        except OSError as why:
            log.error("recordings_host.not_read", path=wanted.path, reason=why.strerror or str(why))
            return _empty(HTTPStatus.CONFLICT)
        finally:
            file.close()
        return Response(piece, content_type="application/octet-stream")

    async def delete(self, asked: dict[str, Any]) -> Response:
        wanted = wire.read_wanted(asked)
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
