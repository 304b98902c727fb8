"""What a place with recordings can do, be it directories of this machine or another machine's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import attrs


class RecordingsBusyError(Exception):
    """The place does not answer: ask again later. The text says which and why."""


@attrs.frozen(kw_only=True)
class Wanted:
    """A recording as the PBX told it, which is nothing that may be opened as it stands."""

    path: str
    at: float
    """When the call ended, seconds since the epoch."""


@attrs.frozen(kw_only=True)
class Look:
    """What was seen of a file at one moment."""

    identity: tuple[object, ...] | None
    """Changes when the file does; None: there is no file."""
    size: int
    trouble: str
    """Why it is no complete recording; "" = it may be one, if it does not grow."""


class RecordingFile(Protocol):
    """A file to be read; whoever has it calls ``close``."""

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
        """Some of these bytes, at least one; b"" where the file ends. Raises RecordingsBusyError, OSError."""

    def again(self) -> RecordingFile:
        """The same file for somebody else, to be closed by him."""

    def close(self) -> None:
        """Also from where nothing may wait."""


class Place(Protocol):
    """Where files of one PBX are. Every method raises RecordingsBusyError when the place does not answer."""

    async def open(self, wanted: Wanted) -> tuple[RecordingFile, bytes]:
        """The file and its beginning (``HEAD`` bytes). Raises RecordingMissingError."""

    async def look(self, wanted: Sequence[Wanted]) -> Sequence[Look]:
        """What is to be seen of each now."""

    async def delete(self, wanted: Wanted) -> bool:
        """Delete a file. False: there is none. Raises RecordingKeptError when it cannot be deleted."""
