"""The files: ``PBX.20261128T170630.125Z.jsonl.gz``, named by the time of their first byte in UTC.

A file holds one connection, or a part of it: the next file then names it in a note.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import attrs

from uac_trio.transcript import Transcript, open_transcript

_NAME = re.compile(r"(?P<pbx>[A-Za-z0-9_-]+)\.(?P<began>\d{8}T\d{6}\.\d{3})Z\.jsonl\.gz")
_BEGAN = "%Y%m%dT%H%M%S.%f"
PIECE = 1 << 20
"""Bytes of a file that are read at once."""


@attrs.frozen(kw_only=True)
class RecordedFile:
    """Times are seconds since the epoch."""

    path: Path
    pbx: str
    began_at: float
    written_at: float
    """When it was last written to."""
    size: int


def file_name(pbx: str, at: float) -> str:
    return f"{pbx}.{datetime.fromtimestamp(at, UTC).strftime(_BEGAN)[:-3]}Z.jsonl.gz"


def recorded_files(directory: Path) -> list[RecordedFile]:
    """The oldest first; [] if there is no such directory. Files with other names are left out. Raises OSError."""
    found = []
    if not directory.exists():
        return []
    for path in directory.iterdir():
        match = _NAME.fullmatch(path.name)
        if match is None:
            continue
        try:
            status = path.stat()
            began = datetime.strptime(match["began"], _BEGAN).replace(tzinfo=UTC).timestamp()
        except (FileNotFoundError, ValueError):  # removed meanwhile, or no time
            continue
        found.append(
            RecordedFile(path=path, pbx=match["pbx"], began_at=began, written_at=status.st_mtime, size=status.st_size)
        )
    return sorted(found, key=lambda file: (file.began_at, file.path.name))


def prune(directory: Path, *, before: float, most: int, keep: Collection[Path] = ()) -> int:
    """Delete files last written ``before`` then, and the oldest of the rest until all take ``most`` bytes at most;
    how many. ``keep``: those that are being written. Raises OSError."""
    files = recorded_files(directory)
    size = sum(file.size for file in files)
    deleted = 0
    for file in files:
        if file.path in keep or (file.written_at >= before and size <= most):
            continue
        file.path.unlink(missing_ok=True)
        size -= file.size
        deleted += 1
    return deleted


def forget_number(directory: Path, digits: str) -> int:
    """Delete every file in which these digits occur; how many. A running daemon begins a new one.

    Raises OSError; TranscriptError for a file that cannot be read, which stays.
    """
    deleted = 0
    wanted = digits.encode()
    for file in recorded_files(directory) if digits else []:
        if any(wanted in chunk.data for chunk in open_file(file.path).chunks):
            file.path.unlink(missing_ok=True)
            deleted += 1
    return deleted


def open_file(path: Path) -> Transcript:
    """Raises OSError, TranscriptError."""
    return open_transcript(str(path), partial(_read, path))


def _read(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            yield piece
