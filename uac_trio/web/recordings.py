"""``/recording``: serves recordings to vTiger's proxy or to browsers.

SalesPlatform's ListenRecord appends the secret, accepts only the status 200 and never requests a range. A stock vTiger
gives the link to the browser, which requests ranges; there the token alone authorises. The token is the only part of a
request that selects a file, by its row.
"""

from __future__ import annotations

import hmac
import math
import re
import secrets
import weakref
from collections import Counter
from collections.abc import Sequence
from http import HTTPStatus
from types import TracebackType
from typing import Self
from urllib.parse import quote

import attrs
import structlog
import trio
from quart import Response, request
from quart.wrappers.response import ResponseBody
from quart_trio import QuartTrio

from uac_trio.crm.recording import TOKEN
from uac_trio.recordings.archive import Archive, Playable
from uac_trio.recordings.finding import RecordingMissingError
from uac_trio.recordings.place import RecordingFile, RecordingsBusyError
from uac_trio.recordings.settings import RecordingsSettings
from uac_trio.store.recordings import RecordingRow
from uac_trio.store.settings import OutboxError
from uac_trio.web.partial import Selection, Version, select
from uac_trio.web.wrong_secrets import WrongSecrets

log = structlog.get_logger()

CHUNK = 128 * 1024
LEAST_RATE = 4096
"""Least average rate of a client in bytes a second; telephone sound has 16,000."""
PATIENCE = 60.0
"""Least timeout of a download in seconds, whatever its size."""

Segments = Sequence[bytes | tuple[int, int]]
"""A reply's content: bytes as they are, and pieces of the file, (start, end)."""


@attrs.define(eq=False)
class Downloads:
    """The downloads that go on now, and their limits."""

    limit: int
    limit_per_client: int
    running: int = 0
    by_client: Counter[str] = attrs.field(factory=Counter)
    """By address; "" is the CRM, whose one address serves all of its users."""

    @classmethod
    def limited_by(cls, settings: RecordingsSettings) -> Self:
        return cls(settings.max_downloads, settings.max_downloads_per_client)

    def has_room(self, client: str) -> bool:
        """Whether one more download is allowed. A refusal is logged."""
        if self.running >= self.limit:
            log.warning("recordings.too_many_downloads", limit=self.limit)
        elif client and self.by_client[client] >= self.limit_per_client:
            log.warning("recordings.too_many_downloads", client=client, limit=self.limit_per_client)
        else:
            return True
        return False

    def begin(self, client: str) -> None:
        self.running += 1
        self.by_client[client] += 1

    def end(self, client: str) -> None:
        self.running -= 1
        self.by_client[client] -= 1
        if not self.by_client[client]:
            del self.by_client[client]


@attrs.frozen(kw_only=True)
class Playback:
    """The dependencies of ``/recording``."""

    archive: Archive
    secret: str
    """The secret that the CRM shares with us."""
    needs_secret: bool
    """The CRM's player sends the secret; if it does not, the token alone authorises."""
    downloads: Downloads = attrs.field(
        default=attrs.Factory(lambda self: Downloads.limited_by(self.archive.settings), takes_self=True), init=False
    )
    wrong_secrets: WrongSecrets = attrs.field(factory=WrongSecrets)


def add_recordings(app: QuartTrio, playback: Playback) -> None:
    """Add ``/recording`` to ``app``."""
    downloads = playback.downloads

    async def recording() -> Response:
        is_crm = _knows_secret(playback)
        client = "" if is_crm else request.remote_addr or "?"
        if not downloads.has_room(client):
            return _busy()
        try:
            found = await _look_up(playback, is_crm=is_crm)
            playable = await _open(playback, found) if isinstance(found, RecordingRow) else None
        except (OutboxError, RecordingsBusyError) as why:
            log.error("recordings.unavailable", reason=str(why))
            return _busy()
        if not isinstance(found, RecordingRow):
            return _empty(found)
        if playable is None:
            return _empty(HTTPStatus.NOT_FOUND)
        if not downloads.has_room(client):  # others began meanwhile
            playable.file.close()
            return _busy()
        download = _Download(playable, downloads, client)
        try:
            return _reply(download)
        except BaseException:
            download.close()
            raise

    app.add_url_rule("/recording", "recording", recording, methods=["GET"])


def _knows_secret(playback: Playback) -> bool:
    given = request.args.getlist("secret")
    return len(given) == 1 and hmac.compare_digest(
        given[0].encode(errors="replace"), playback.secret.encode(errors="replace")
    )


async def _look_up(playback: Playback, *, is_crm: bool) -> RecordingRow | HTTPStatus:
    """The row that the request is authorised for, or the status of the refusal. Raises OutboxError."""
    if playback.wrong_secrets.refuses(request.remote_addr):
        return HTTPStatus.FORBIDDEN
    tokens, given = request.args.getlist("id"), request.args.getlist("secret")
    if not is_crm and (given or playback.needs_secret):
        if not given or playback.wrong_secrets.count(request.remote_addr):
            why = "wrong secret" if given else "no secret"
            log.warning("recordings.refused", client=request.remote_addr, reason=why)
        return HTTPStatus.FORBIDDEN
    if is_crm:
        playback.wrong_secrets.accept(request.remote_addr)
    token = tokens[0] if len(tokens) == 1 else ""
    row = await playback.archive.look_up(token) if TOKEN.fullmatch(token) else None
    if row is None:
        log.warning("recordings.refused", client=request.remote_addr, reason="unknown or expired link")
        return HTTPStatus.NOT_FOUND if is_crm else HTTPStatus.FORBIDDEN
    return row


async def _open(playback: Playback, row: RecordingRow) -> Playable | None:
    try:
        return await playback.archive.open(row)
    except RecordingMissingError as why:
        log.warning("recordings.not_found", call=row.call_id, extension=row.extension, reason=str(why))
        return None


def _reply(download: _Download) -> Response:
    playable = download.playable
    version = Version(size=playable.file.size, etag=playable.etag, modified=playable.file.mtime_ns / 1e9)
    chosen = select(request.headers, version)
    if not chosen.ranges:
        download.close()
        reply = _empty(chosen.status)
        if chosen.status is HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            reply.headers["Content-Range"] = f"bytes */{version.size}"
    else:
        content_type, segments = _segments(chosen, version, playable.content_type)
        length = sum(len(part) if isinstance(part, bytes) else part[1] - part[0] for part in segments)
        is_head = request.method == "HEAD"
        body = b"" if is_head else _Body(download, segments, length)
        reply = Response(body, status=chosen.status, content_type=content_type)
        reply.headers["Content-Length"] = str(length)
        reply.headers["Content-Disposition"] = disposition(playable.file.name)
        if chosen.status is HTTPStatus.PARTIAL_CONTENT and len(chosen.ranges) == 1:
            reply.headers["Content-Range"] = _content_range(chosen.ranges[0], version.size)
        if is_head:
            download.close()
    reply.timeout = None  # Quart's default cuts every reply after a minute
    reply.headers["Accept-Ranges"] = "bytes"
    reply.headers["ETag"] = version.etag
    reply.headers["Last-Modified"] = version.last_modified
    # Revalidated each time, so that a browser does not play an expired or deleted recording.
    reply.headers["Cache-Control"] = "private, no-cache"
    return _not_sniffed(reply)


def _segments(chosen: Selection, version: Version, content_type: str) -> tuple[str, Segments]:
    """The reply's Content-Type and content."""
    if len(chosen.ranges) == 1:
        return content_type, chosen.ranges
    boundary = secrets.token_hex(10)
    segments: list[bytes | tuple[int, int]] = []
    for one in chosen.ranges:
        headers = f"Content-Type: {content_type}\r\nContent-Range: {_content_range(one, version.size)}"
        segments += [f"\r\n--{boundary}\r\n{headers}\r\n\r\n".encode(), one]
    return f"multipart/byteranges; boundary={boundary}", [*segments, f"\r\n--{boundary}--\r\n".encode()]


def _content_range(one: tuple[int, int], size: int) -> str:
    return f"bytes {one[0]}-{one[1] - 1}/{size}"


def disposition(name: str) -> str:
    """``Content-Disposition`` for a file's name, which may have any characters (RFC 6266, RFC 8187)."""
    name = re.sub(r"[\x00-\x1f\x7f\"\\/]", "_", name.encode(errors="replace").decode())
    plain = re.sub(r"[^\x20-\x7e]|[%;]", "_", name)
    inline = f'inline; filename="{plain}"'
    return inline if plain == name else f"{inline}; filename*=UTF-8''{quote(name, safe='')}"


def _empty(status: HTTPStatus) -> Response:
    """A reply with a status and no body."""
    reply = Response(b"", status=status, content_type="text/plain; charset=utf-8")
    reply.headers["Cache-Control"] = "no-store"
    return _not_sniffed(reply)


def _not_sniffed(reply: Response) -> Response:
    """Forbid content sniffing: the file is untrusted and may contain HTML."""
    reply.headers["X-Content-Type-Options"] = "nosniff"
    return reply


def _busy() -> Response:
    reply = _empty(HTTPStatus.SERVICE_UNAVAILABLE)
    reply.headers["Retry-After"] = "5"
    return reply


class _DownloadError(Exception):
    """The reply cannot be completed. Its connection is closed, so that the client notices."""


class _Download:
    """An open file that is being sent and counts against the limits."""

    def __init__(self, playable: Playable, downloads: Downloads, client: str) -> None:
        self.playable = playable
        downloads.begin(client)
        # A finalizer: the reply may never be sent, as the client may have disconnected.
        self.close = weakref.finalize(self, _end_download, playable.file, downloads, client)


def _end_download(file: RecordingFile, downloads: Downloads, client: str) -> None:
    file.close()
    downloads.end(client)


class _Body(ResponseBody):
    """Sends the segments with one chunk in memory at a time. The server limits the time for each chunk."""

    def __init__(self, download: _Download, segments: Segments, length: int) -> None:
        self._download = download
        self._left = list(reversed(segments))
        self._seconds = max(PATIENCE, length / LEAST_RATE)
        self._give_up_at = math.inf

    async def __aenter__(self) -> Self:
        self._give_up_at = trio.current_time() + self._seconds
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._download.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if not self._left:
            raise StopAsyncIteration
        if trio.current_time() > self._give_up_at:
            raise _DownloadError(f"the client took less than {LEAST_RATE} bytes a second")
        segment = self._left.pop()
        if isinstance(segment, bytes):
            return segment
        start, end = segment
        chunk = await self._read(start, min(CHUNK, end - start))
        if start + len(chunk) < end:
            self._left.append((start + len(chunk), end))
        return chunk

    async def _read(self, at: int, length: int) -> bytes:
        file = self._download.playable.file
        try:
            chunk = await file.read(at, length)
        except (OSError, RecordingsBusyError) as why:
            raise _DownloadError(f"{file.name}: {why}") from why
        if not chunk:
            raise _DownloadError(f"{file.name}: became shorter while it was sent")
        return chunk
