"""Recordings in directories of this machine: finding.py in threads, which are abandoned when a mount hangs."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import attrs
import structlog
import trio

from uac_trio.recordings.finding import (
    OpenRecording,
    RecordingMissingError,
    delete_recording,
    find_recording,
    has_recording,
)
from uac_trio.recordings.place import Look, RecordingsBusyError, Wanted
from uac_trio.recordings.sound import HEAD, what_is_missing

log = structlog.get_logger()

T = TypeVar("T")

OPEN_WITHIN = 20.0
"""Timeout in seconds of one operation: the directory may be on a network mount that hangs."""
THREADS = 4
"""For each PBX, so that a mount that hangs blocks only its own PBX."""


@attrs.define(eq=False)
class NearFile:
    """An open file of this machine."""

    opened: OpenRecording
    _directories: Directories

    @property
    def name(self) -> str:
        return self.opened.name

    @property
    def size(self) -> int:
        return self.opened.size

    @property
    def mtime_ns(self) -> int:
        return self.opened.mtime_ns

    @property
    def inode(self) -> int:
        return self.opened.inode

    @property
    def identity(self) -> tuple[object, ...]:
        return self.opened.identity

    async def read(self, start: int, length: int) -> bytes:
        return await self._directories.in_thread(lambda: os.pread(self.opened.fd, length, start))

    def again(self) -> NearFile:
        return NearFile(attrs.evolve(self.opened, fd=os.dup(self.opened.fd)), self._directories)

    def close(self) -> None:
        os.close(self.opened.fd)


@attrs.define(eq=False)
class Directories:
    """The directories of one PBX."""

    name: str
    """The PBX's, for the log."""
    roots: Sequence[str]
    _limiter: trio.CapacityLimiter = attrs.field(factory=lambda: trio.CapacityLimiter(THREADS), init=False)

    async def open(self, wanted: Wanted) -> tuple[NearFile, bytes]:
        opened, head = await self.in_thread(lambda: self._open(wanted), lambda made: os.close(made[0].fd))
        return NearFile(opened, self), head

    async def look(self, wanted: Sequence[Wanted]) -> list[Look]:
        return await self.in_thread(lambda: [self._look_at(one) for one in wanted])

    async def delete(self, wanted: Wanted) -> bool:
        return await self.in_thread(lambda: delete_recording(wanted.path, self.roots, wanted.at))

    async def has(self, wanted: Wanted) -> bool:
        """Whether ``delete`` would find a file. Raises as it does."""
        return await self.in_thread(lambda: has_recording(wanted.path, self.roots, wanted.at))

    async def in_thread(self, work: Callable[[], T], dispose: Callable[[T], None] = lambda _: None) -> T:
        """Run ``work`` in a thread, which is abandoned after the timeout; ``dispose`` then gets its late result.

        Raises RecordingsBusyError, and what ``work`` raises.
        """
        left = _Left(dispose)
        with trio.move_on_after(OPEN_WITHIN):
            try:
                made = await trio.to_thread.run_sync(left.bring, work, limiter=self._limiter, abandon_on_cancel=True)
            except trio.Cancelled:
                left.abandon()
                raise
            left.made.clear()
            return made
        log.error("recordings.directory_hangs", pbx=self.name, directories=list(self.roots), seconds=OPEN_WITHIN)
        raise RecordingsBusyError(f"the directories of {self.name} do not answer")

    def _open(self, wanted: Wanted) -> tuple[OpenRecording, bytes]:
        source = find_recording(wanted.path, self.roots, wanted.at)
        try:
            head = os.pread(source.fd, HEAD, 0)
        except OSError as why:
            os.close(source.fd)
            raise RecordingMissingError(f"{source.name}: {why.strerror}") from why
        return source, head

    def _look_at(self, wanted: Wanted) -> Look:
        try:
            source, head = self._open(wanted)
        except RecordingMissingError as why:
            return Look(identity=None, size=0, trouble=str(why))
        os.close(source.fd)
        trouble = what_is_missing(source.name, head, source.size)
        return Look(identity=source.identity, size=source.size, trouble=trouble)


@attrs.define(eq=False)
class _Left(Generic[T]):
    """A thread's result until it is taken. ``abandon`` disposes of it, also if it arrives later."""

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
