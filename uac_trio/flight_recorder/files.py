"""The files: ``PBX.20261128T170630.125Z.jsonl.gz``, named by the time of their first byte in UTC.

A file holds one connection, or a part of it: the next file then names it in a note.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import attrs

from uac_trio.transcript import Transcript, open_transcript
from uac_trio.transcript.compressed import Decompressed

_NAME = re.compile(r"(?P<pbx>[A-Za-z0-9_-]+)\.(?P<began>\d{8}T\d{6}\.\d{3})Z\.jsonl\.gz")
_BEGAN = "%Y%m%dT%H%M%S.%f"
FULL = 7
"""Digits of a number that no prefix makes another's."""
CLOSE = 60.0
"""Seconds without a file that are no gap: a new connection, a restart."""
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
    """Delete every file in which this number occurs; how many. A running daemon begins a new one.

    Raises OSError; TranscriptError for a file that cannot be read, which stays.
    """
    deleted = 0
    wanted = occurrence(digits)
    for file in recorded_files(directory) if digits else []:
        if any(wanted.search(chunk.data) for chunk in open_file(file.path).chunks):
            file.path.unlink(missing_ok=True)
            deleted += 1
    return deleted


def occurrence(digits: str) -> re.Pattern[bytes]:
    """Where a number stands in AMI. ``digits``: those that say whose it is; a country code or a prefix may be before
    them, unless the number is a short one."""
    prefix = rb"\d{0,5}" if len(digits) >= FULL else b""
    return re.compile(rb"(?<!\d)" + prefix + re.escape(digits.encode()) + rb"(?!\d)")


def relevant(files: Sequence[RecordedFile], *, since: float, needle: bytes) -> list[RecordedFile]:
    """Of the files of one PBX, in order, those that may have something of calls ``since`` then in whose AMI ``needle``
    stands, which is ASCII ("" = of all calls). With the files before and after, since calls go on from one to the next.

    Raises OSError, TranscriptError.
    """
    late = [file.written_at >= since and _may_have(file.path, needle) for file in files]
    near = [any(late[max(0, number - 1) : number + 2]) for number in range(len(files))]
    return [file for file, is_near in zip(files, near, strict=True) if is_near]


def _may_have(path: Path, needle: bytes) -> bool:
    """Whether ``needle`` stands in the file, or something that is not text."""
    tail = b""
    for piece in Decompressed(str(path), partial(_read, path))() if needle else ():
        data = tail + piece
        if needle in data or b'"b64"' in data:
            return True
        tail = data[-len(needle) - 5 :]
    return not needle


def coverage(files: Sequence[RecordedFile], since: float) -> str:
    """Of which times there is something, in words. Of one PBX, in order. Local times of this machine."""
    spans: list[list[float]] = []
    for file in files:
        if spans and file.began_at - spans[-1][1] <= CLOSE:
            spans[-1][1] = max(spans[-1][1], file.written_at)
        else:
            spans.append([file.began_at, file.written_at])
    shown = [f"{_stamp(begin)} to {_stamp(end)}" for begin, end in spans if end >= since]
    return ", ".join(shown) or "nothing of that time"


def _stamp(at: float) -> str:
    return datetime.fromtimestamp(at).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def file_of_pbx(path: Path) -> str:
    """The PBX whose file it is; "" for a file with another name."""
    found = _NAME.fullmatch(path.name)
    return found["pbx"] if found else ""


def open_file(path: Path) -> Transcript:
    """Raises OSError, TranscriptError."""
    return open_transcript(str(path), partial(_read, path))


def _read(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            yield piece
