"""The interface of a place with recordings: directories of this machine, or another machine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import attrs


class RecordingsBusyError(Exception):
    """The place does not answer; retry later. The text says which and why."""


@attrs.frozen(kw_only=True)
class Wanted:
    """A recording as the PBX reports it. Its path is untrusted and must not be opened as it is."""

    path: str
    at: float
    """When the call ended, seconds since the epoch."""


@attrs.frozen(kw_only=True)
class Look:
    """The state of a file at one moment."""

    identity: tuple[object, ...] | None
    """Changes when the file does; None if there is no file."""
    size: int
    trouble: str
    """Why it is not a complete recording; "" if it is one unless it still grows."""


class RecordingFile(Protocol):
    """A file to read. The caller calls ``close``."""

    @property
    def name(self) -> str: ...

    @property
    def size(self) -> int: ...

    @property
    def mtime_ns(self) -> int: ...

    @property
    def inode(self) -> int: ...

    @property
    def identity(self) -> tuple[object, ...]:
        """Changes when the file does."""

    async def read(self, start: int, length: int) -> bytes:
        """At least one of these bytes; b"" at the end of the file. Raises RecordingsBusyError, OSError."""

    def again(self) -> RecordingFile:
        """The same file for another reader, to be closed separately."""

    def close(self) -> None:
        """Never blocks."""


class Place(Protocol):
    """Where the files of one PBX are. Every method raises RecordingsBusyError when the place does not answer."""

    async def open(self, wanted: Wanted) -> tuple[RecordingFile, bytes]:
        """The file and its beginning (``HEAD`` bytes). Raises RecordingMissingError."""

    async def look(self, wanted: Sequence[Wanted]) -> Sequence[Look]:
        """The state of each file now."""

    async def delete(self, wanted: Wanted) -> bool:
        """Delete a file. Returns whether there was one. Raises RecordingKeptError when it cannot be deleted."""
