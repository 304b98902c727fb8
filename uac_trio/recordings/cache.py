"""Converted files, in a directory of their own: by what they were made of, within a size, the least used go first.

Should the directory have other files as well, they are let alone: what is removed has a name that ``name_of`` made.
The functions block; callers run them in a thread.
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
        """What the conversion of ``source`` is called here: another name as soon as the source changes."""
        told = repr((source.name, *source.identity)).encode(errors="surrogateescape")
        return hashlib.sha256(told).hexdigest()[:32] + suffix

    def prepare(self) -> None:
        """Make the directory, for us alone, and remove what an earlier run left unfinished. Raises OSError."""
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
        """Remove whatever ``source`` was converted to. Raises OSError."""
        for target in TARGETS.values():
            (self.directory / self.name_of(source, target.suffix)).unlink(missing_ok=True)

    def forget_unused(self, before: float) -> int:
        """Remove what nobody has asked for since ``before``, seconds since the epoch; how many. Raises OSError."""
        removed = 0
        with contextlib.suppress(FileNotFoundError):  # nothing was ever converted
            for name, status in self._files():
                if not name.endswith(_PART) and status.st_mtime < before:
                    (self.directory / name).unlink(missing_ok=True)
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
        kept = [(status.st_mtime_ns, status.st_size, other) for other, status in self._files()]
        total = sum(size for _, size, _ in kept)
        for _, size, other in sorted(kept):
            if total <= self.limit:
                return
            if other != name and not other.endswith(_PART):  # the newest stays, however big: somebody waits for it
                (self.directory / other).unlink(missing_ok=True)
                total -= size

    def _files(self) -> Iterator[tuple[str, os.stat_result]]:
        """What is here and ours, parts too. Raises OSError."""
        with os.scandir(self.directory) as entries:
            for entry in entries:
                if _OURS.fullmatch(entry.name) is None:
                    continue
                with contextlib.suppress(FileNotFoundError):
                    status = entry.stat(follow_symlinks=False)
                    if stat.S_ISREG(status.st_mode):
                        yield entry.name, status
