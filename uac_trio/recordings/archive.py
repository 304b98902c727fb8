"""The recordings as the other rooms use them: what a Record request tells, which file a token means, in what form."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Generic, TypeVar

import attrs
import structlog
import trio

from uac_trio.outbox import NewRecording, RecordingRow
from uac_trio.recordings.cache import Cache
from uac_trio.recordings.converting import Converter, find_tool
from uac_trio.recordings.finding import OpenRecording, RecordingMissingError, delete_recording, find_recording
from uac_trio.recordings.settings import RecordingsSettings
from uac_trio.recordings.sound import HEAD, sound_of, what_is_missing
from uac_trio.vtiger.recording import token_of
from uac_trio.vtiger.request import CallbackRequest

log = structlog.get_logger()

T = TypeVar("T")

DAY = 86400.0
OPEN_WITHIN = 20.0
"""Seconds that a directory may take, which may be mounted from a host that is away."""
THREADS = 4
"""For each PBX. A mount that hangs keeps these busy, and those of no other."""


class RecordingsBusyError(Exception):
    """The directory does not answer: ask again later."""


@attrs.frozen(kw_only=True)
class Playable:
    """What a listener gets; whoever has it closes ``file.fd``."""

    file: OpenRecording
    content_type: str
    etag: str


@attrs.frozen(kw_only=True)
class Look:
    """What was seen of a file at one moment."""

    identity: tuple[int, int, int] | None
    """None: there is no file."""
    size: int
    trouble: str
    """Why it is no complete recording; "" = it may be one, if it does not grow."""


def split_told(
    requests: Sequence[CallbackRequest], roots: Mapping[str, Sequence[str]]
) -> tuple[list[CallbackRequest], list[NewRecording]]:
    """What goes into the outbox now, and what is known of recordings from the Record requests among ``requests``.

    ``roots``: each PBX's directories, by its name, which begins the identities of its calls. Where there are none the
    files are out of reach and the CRM is told at once.
    """
    now: list[CallbackRequest] = []
    recordings: list[NewRecording] = []
    for request in requests:
        told = request.recording and _told(request, roots)
        if told:
            recordings.append(told)
        if not told or not told.is_awaited:
            now.append(request)
    return now, recordings


def _told(request: CallbackRequest, roots: Mapping[str, Sequence[str]]) -> NewRecording | None:
    token = token_of(request.form.get("recordinglink", ""))
    pbx = next((name for name in roots if request.call_id.startswith(f"{name}-")), "")
    if not token:
        return None
    return NewRecording(
        token=token,
        pbx=pbx,
        path=request.recording,
        extension=request.form.get("callerNumber", request.extension),
        request=request,
        is_awaited=bool(roots.get(pbx)),
    )


@attrs.define(eq=False, kw_only=True)
class Archive:
    """Made by ``open_archive``."""

    settings: RecordingsSettings
    roots: Mapping[str, Sequence[str]]
    find: Callable[[str], Awaitable[RecordingRow | None]]
    """The row of a token."""
    now: Callable[[], float]
    converter: Converter
    _threads: dict[str, trio.CapacityLimiter] = attrs.field(factory=dict, init=False)
    """By PBX."""

    async def look_up(self, token: str) -> RecordingRow | None:
        """What is known of a recording; None: nothing, or its link has expired. Raises OutboxError."""
        row = await self.find(token)
        if row is not None and self.settings.link_days and self.now() - row.at > self.settings.link_days * DAY:
            return None
        return row

    async def open(self, row: RecordingRow) -> Playable:
        """A recording's file, or what it was converted to.

        Raises RecordingMissingError; RecordingsBusyError when its directory does not answer.
        """
        source, head = await self._in_thread(row.pbx, lambda: self._open(row), lambda made: os.close(made[0].fd))
        keeps = False
        try:
            sound = sound_of(source.name, head)
            content_type = sound.content_type
            file = source
            target = self.converter.target(sound)
            if target is not None:
                converted = await self.converter.convert(source, sound, target)
                if converted is not None:
                    file, content_type = converted, target.content_type
            keeps = file is source
            return Playable(file=file, content_type=content_type, etag=_etag(file, content_type))
        finally:
            if not keeps:
                os.close(source.fd)

    async def look(self, pbx: str, rows: Sequence[RecordingRow]) -> list[Look]:
        """What is to be seen of the files now. Raises RecordingsBusyError."""
        return await self._in_thread(pbx, lambda: [self._look_at(row) for row in rows], lambda _: None)

    async def delete(self, row: RecordingRow) -> bool:
        """Delete a recording's file and what it was converted to. False: there was none, or it may not be deleted.

        Raises RecordingsBusyError.
        """
        return await self._in_thread(row.pbx, lambda: self._delete(row), lambda _: None)

    async def read(self, pbx: str, file: OpenRecording, start: int, length: int) -> bytes:
        """At most ``length`` bytes; b"" where the file ends. Raises RecordingsBusyError, OSError."""
        return await self._in_thread(pbx, lambda: os.pread(file.fd, length, start), lambda _: None)

    async def _in_thread(self, pbx: str, work: Callable[[], T], dispose: Callable[[T], None]) -> T:
        """``work`` in a thread that is given up when it takes too long; what it brings then is disposed of."""
        limiter = self._threads.setdefault(pbx, trio.CapacityLimiter(THREADS))
        left = _Left(dispose)
        with trio.move_on_after(OPEN_WITHIN):
            try:
                made = await trio.to_thread.run_sync(left.bring, work, limiter=limiter, abandon_on_cancel=True)
            except trio.Cancelled:
                left.abandon()
                raise
            left.made.clear()
            return made
        log.error("recordings.directory_hangs", pbx=pbx, directories=list(self.roots.get(pbx, ())), seconds=OPEN_WITHIN)
        raise RecordingsBusyError(f"the directories of {pbx} do not answer")

    def _delete(self, row: RecordingRow) -> bool:
        roots = self.roots.get(row.pbx, ())
        try:
            source = find_recording(row.path, roots, row.at)
            os.close(source.fd)
            self.converter.cache.forget(source)
            return delete_recording(row.path, roots, row.at)
        except RecordingMissingError:
            return False
        except OSError as why:
            log.error("recordings.file_not_deleted", path=row.path, reason=why.strerror or str(why))
            return False

    def _open(self, row: RecordingRow) -> tuple[OpenRecording, bytes]:
        source = find_recording(row.path, self.roots.get(row.pbx, ()), row.at)
        try:
            head = os.pread(source.fd, HEAD, 0)
        except OSError as why:
            os.close(source.fd)
            raise RecordingMissingError(f"{source.name}: {why.strerror}") from why
        return source, head

    def _look_at(self, row: RecordingRow) -> Look:
        try:
            source, head = self._open(row)
        except RecordingMissingError as why:
            return Look(identity=None, size=0, trouble=str(why))
        os.close(source.fd)
        trouble = what_is_missing(source.name, head, source.size)
        return Look(identity=source.identity, size=source.size, trouble=trouble)


@asynccontextmanager
async def open_archive(
    settings: RecordingsSettings,
    *,
    roots: Mapping[str, Sequence[str]],
    cache: Path,
    find: Callable[[str], Awaitable[RecordingRow | None]],
    now: Callable[[], float],
) -> AsyncIterator[Archive]:
    """The recordings; leaving the block ends the conversions. ``cache`` is where converted files go if not configured.

    A cache that cannot be had is told to the log, and nothing is converted.
    """
    tool = find_tool(settings.converter)
    kept = Cache(directory=Path(settings.cache) if settings.cache else cache, limit=settings.cache_mb << 20)
    if tool and any(roots.values()):
        try:
            await trio.to_thread.run_sync(kept.prepare)
        except OSError as why:
            log.error("recordings.no_cache", directory=str(kept.directory), reason=why.strerror or str(why))
            tool = ""
    elif settings.converter and any(roots.values()):
        log.warning(
            "recordings.no_converter", reason="neither ffmpeg nor sox is installed", converter=settings.converter
        )
    async with trio.open_nursery() as nursery:
        converter = Converter(settings=settings, cache=kept, tool=tool, nursery=nursery)
        yield Archive(settings=settings, roots=roots, find=find, now=now, converter=converter)
        nursery.cancel_scope.cancel()


def _etag(file: OpenRecording, content_type: str) -> str:
    """Strong: other bytes, another tag."""
    told = repr((file.identity, content_type)).encode()
    return f'"{hashlib.sha256(told).hexdigest()[:24]}"'


@attrs.define(eq=False)
class _Left(Generic[T]):
    """What a thread brings, until somebody has taken it: it may come when nobody waits for it any more."""

    dispose: Callable[[T], None]
    made: list[T] = attrs.field(factory=list)
    lock: threading.Lock = attrs.field(factory=threading.Lock)
    is_abandoned: bool = False

    def bring(self, work: Callable[[], T]) -> T:
        made = work()
        with self.lock:
            self.made.append(made)
            if self.is_abandoned:
                self.dispose(made)
        return made

    def abandon(self) -> None:
        with self.lock:
            self.is_abandoned = True
            for made in self.made:
                self.dispose(made)
