"""A cache of converted files in a directory, keyed by their source, of limited size, the least recently used evicted.

Other files in the directory are left alone: only names that ``name_of`` made are removed. The functions block; callers
run them in a thread.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import attrs

from uac_trio.recordings.finding import OpenRecording
from uac_trio.recordings.place import RecordingFile
from uac_trio.recordings.sound import TARGETS

_PART = ".part"
_SUFFIXES = "|".join(re.escape(target.suffix) for target in TARGETS.values())
_OURS = re.compile(rf"[0-9a-f]{{32}}({_SUFFIXES})({re.escape(_PART)})?")
_ABANDONED = 2 * 3600 * 10**9
"""Nanoseconds; no conversion may take so long."""


@attrs.frozen(kw_only=True)
class Cache:
    directory: Path
    limit: int
    """Bytes."""

    def name_of(self, source: RecordingFile, suffix: str) -> str:
        """The cache's name for the conversion of ``source``. It changes when the source does."""
        hashed = repr((source.name, *source.identity)).encode(errors="surrogateescape")
        return hashlib.sha256(hashed).hexdigest()[:32] + suffix

    def prepare(self) -> None:
        """Make the directory, private to this user, and remove unfinished files of earlier runs. Raises OSError."""
        self.directory.mkdir(mode=stat.S_IRWXU, parents=True, exist_ok=True)
        for name, status in self._files():
            if name.endswith(_PART) and time.time_ns() - status.st_mtime_ns > _ABANDONED:  # else another may be at work
                (self.directory / name).unlink(missing_ok=True)

    def open(self, name: str) -> OpenRecording | None:
        """A converted file, marked as used; None: it is not here."""
        try:
            fd = os.open(self.directory / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        os.utime(fd)
        status = os.fstat(fd)
        return OpenRecording(fd=fd, name=name, size=status.st_size, mtime_ns=0, inode=0)

    def forget(self, source: RecordingFile) -> None:
        """Remove the converted copies of ``source``. Raises OSError."""
        for target in TARGETS.values():
            (self.directory / self.name_of(source, target.suffix)).unlink(missing_ok=True)

    def forget_unused(self, before: float) -> int:
        """Remove files last requested before ``before``, seconds since the epoch. Returns how many. Raises OSError."""
        removed = 0
        with contextlib.suppress(FileNotFoundError):  # nothing was ever converted
            for name, status in self._files():
                if not name.endswith(_PART) and status.st_mtime < before:
                    (self.directory / name).unlink(missing_ok=True)
                    removed += 1
        return removed

    def part(self, name: str) -> Path:
        """Where a conversion is written until it is complete."""
        return self.directory / (name + _PART)

    def keep(self, name: str) -> None:
        """Add a finished part to the cache and evict others to make room. Raises OSError."""
        part = self.part(name)
        part.chmod(stat.S_IRUSR | stat.S_IWUSR)
        part.rename(self.directory / name)
        kept = [(status.st_mtime_ns, status.st_size, other) for other, status in self._files()]
        total = sum(size for _, size, _ in kept)
        for _, size, other in sorted(kept):
            if total <= self.limit:
                return
            if other != name and not other.endswith(_PART):  # the newest stays at any size: a client waits for it
                (self.directory / other).unlink(missing_ok=True)
                total -= size

    def _files(self) -> Iterator[tuple[str, os.stat_result]]:
        """The cache's own files, unfinished parts included. Raises OSError."""
        with os.scandir(self.directory) as entries:
            for entry in entries:
                if _OURS.fullmatch(entry.name) is None:
                    continue
                with contextlib.suppress(FileNotFoundError):
                    status = entry.stat(follow_symlinks=False)
                    if stat.S_ISREG(status.st_mode):
                        yield entry.name, status
