"""Converted files, in a directory of their own: by what they were made of, within a size, the least used go first.

The functions block; callers run them in a thread.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import time
from pathlib import Path

import attrs

from uac_trio.recordings.finding import OpenRecording
from uac_trio.recordings.place import RecordingFile
from uac_trio.recordings.sound import TARGETS

_PART = ".part"
_ABANDONED = 2 * 3600 * 10**9
"""Nanoseconds; no conversion may take so long."""


@attrs.frozen(kw_only=True)
class Cache:
    directory: Path
    limit: int
    """Bytes."""

    def name_of(self, source: RecordingFile, suffix: str) -> str:
        """What the conversion of ``source`` is called here: another name as soon as the source changes."""
        told = repr((source.name, *source.identity)).encode(errors="surrogateescape")
        return hashlib.sha256(told).hexdigest()[:32] + suffix

    def prepare(self) -> None:
        """Make the directory, for us alone, and remove what an earlier run left unfinished. Raises OSError."""
        self.directory.mkdir(mode=stat.S_IRWXU, parents=True, exist_ok=True)
        for left in self.directory.glob(f"*{_PART}"):
            with contextlib.suppress(FileNotFoundError):
                if time.time_ns() - left.stat().st_mtime_ns > _ABANDONED:  # another program of ours may be at work
                    left.unlink()

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
        """Remove whatever ``source`` was converted to. Raises OSError."""
        for target in TARGETS.values():
            (self.directory / self.name_of(source, target.suffix)).unlink(missing_ok=True)

    def forget_unused(self, before: float) -> int:
        """Remove what nobody has asked for since ``before``, seconds since the epoch; how many. Raises OSError."""
        removed = 0
        with contextlib.suppress(FileNotFoundError):  # nothing was ever converted
            for entry in os.scandir(self.directory):
                with contextlib.suppress(FileNotFoundError):
                    if not entry.name.endswith(_PART) and entry.stat(follow_symlinks=False).st_mtime < before:
                        os.unlink(entry.path)
                        removed += 1
        return removed

    def part(self, name: str) -> Path:
        """Where a conversion is written until it is whole."""
        return self.directory / (name + _PART)

    def keep(self, name: str) -> None:
        """Take a finished part in, and make room for it. Raises OSError."""
        part = self.part(name)
        part.chmod(stat.S_IRUSR | stat.S_IWUSR)
        part.rename(self.directory / name)
        kept = []
        for entry in os.scandir(self.directory):
            with contextlib.suppress(FileNotFoundError):
                status = entry.stat(follow_symlinks=False)
                kept.append((status.st_mtime_ns, status.st_size, entry.name))
        total = sum(size for _, size, _ in kept)
        for _, size, other in sorted(kept):
            if total <= self.limit:
                return
            if other != name and not other.endswith(_PART):  # the newest stays, however big: somebody waits for it
                (self.directory / other).unlink(missing_ok=True)
                total -= size
