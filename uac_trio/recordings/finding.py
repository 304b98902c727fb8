"""Opens the file that a PBX reports by its path, beneath that PBX's configured directories and nowhere else.

The path is untrusted: dialplans put caller ids into it. It is split into names, and each name is opened relative to
the one before, starting at a configured directory and never following a symbolic link (openat(2) with O_NOFOLLOW).
Neither ``..`` nor a link can leave the directory.

The file may not be at the reported path: the PBX's directory may be mounted elsewhere here, FreePBX reports the bare
name of a file that it keeps by date (YYYY/MM/DD), and administrators convert old files to mp3.
"""

from __future__ import annotations

import datetime as dt
import errno
import os
import re
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import attrs

DEEPEST = 6
"""How many trailing directories of a reported path are tried beneath each root."""

NO_FILE = "the path that the PBX reports is not a file's"

SUBSTITUTES = (".mp3", ".ogg", ".opus")
"""Formats to which administrators may have converted a recording."""

_DAY = 86400
_DATE_IN_NAME = re.compile(r"(?<!\d)(20\d\d)([01]\d)([0-3]\d)(?!\d)")
_ELSEWHERE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG)


class RecordingMissingError(Exception):
    """There is no such file now, or it may not be opened; the text says why."""


class RecordingKeptError(Exception):
    """A file exists, or may exist, and cannot be deleted; the text says which and why."""


@attrs.frozen(kw_only=True)
class OpenRecording:
    """A file open for reading. The caller closes ``fd``."""

    fd: int
    name: str
    size: int
    mtime_ns: int
    inode: int

    @property
    def identity(self) -> tuple[int, int, int]:
        """Changes when the file does."""
        return (self.inode, self.size, self.mtime_ns)


def find_recording(reported_path: str, roots: Sequence[str], at: float) -> OpenRecording:
    """Blocking. Open the recording of a call that ended ``at``. Raises RecordingMissingError."""
    parts = split_path(reported_path)
    refused = ""
    for root, names in _places(reported_path, parts, roots, at):
        try:
            return open_beneath(root, names)
        except OSError as why:
            if why.errno not in _ELSEWHERE:
                refused = f"{'/'.join((root, *names))}: {why.strerror or why}"
    raise RecordingMissingError(refused or f"no file {parts[-1]} beneath {', '.join(roots)}")


def split_path(reported_path: str) -> list[str]:
    """The names of a reported path. Raises RecordingMissingError if it cannot be a recording's."""
    parts = [part for part in reported_path.split("/") if part and part != "."]
    if not parts or ".." in parts or "\0" in reported_path or not _is_encodable(reported_path):
        raise RecordingMissingError(NO_FILE)
    return parts


def open_beneath(root: str, names: Sequence[str]) -> OpenRecording:
    """Blocking. Open the regular file ``names`` beneath ``root``, following no symbolic link. Raises OSError."""
    if any(name in ("", ".", "..") or "/" in name or "\0" in name for name in names):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
    with _directory_of(root, names) as directory:
        # NONBLOCK: opening a fifo would wait for its writer.
        fd = os.open(names[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=directory)
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode):
        os.close(fd)
        raise FileNotFoundError(errno.ENOENT, "is no regular file")
    return OpenRecording(fd=fd, name=names[-1], size=status.st_size, mtime_ns=status.st_mtime_ns, inode=status.st_ino)


def delete_beneath(root: str, names: Sequence[str]) -> None:
    """Blocking. Delete what ``open_beneath`` would open. Raises OSError."""
    os.close(open_beneath(root, names).fd)
    with _directory_of(root, names) as directory:
        os.unlink(names[-1], dir_fd=directory)


@contextmanager
def _directory_of(root: str, names: Sequence[str]) -> Iterator[int]:
    """A descriptor of the directory that has ``names[-1]``, opened step by step, following no symbolic link."""
    directory = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for name in names[:-1]:
            inner = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
            os.close(directory)
            directory = inner
        yield directory
    finally:
        os.close(directory)


def has_recording(reported_path: str, roots: Sequence[str], at: float) -> bool:
    """Blocking. Whether ``delete_recording`` would find a file. Raises RecordingKeptError if that is unknown."""
    return _found_in(reported_path, roots, at) is not None


def delete_recording(reported_path: str, roots: Sequence[str], at: float) -> bool:
    """Blocking. Delete a recording's file and its conversions beside it. Returns whether there was one.

    Only the first directory that has it counts: on another day the same name may be another call's. Raises
    RecordingKeptError.
    """
    found = _found_in(reported_path, roots, at)
    if found is None:
        return False
    root, inner, name = found
    for variant in _names(name):
        try:
            delete_beneath(root, (*inner, variant))
        except OSError as why:
            if why.errno not in _ELSEWHERE:
                raise _kept(root, (*inner, variant), why) from why
    return True


def _found_in(reported_path: str, roots: Sequence[str], at: float) -> tuple[str, tuple[str, ...], str] | None:
    """A recording's root, its directory beneath the root, and its name as the PBX reports it."""
    try:
        parts = split_path(reported_path)
    except RecordingMissingError:
        return None
    refused: RecordingKeptError | None = None
    for root, names in _places(reported_path, parts, roots, at):
        try:
            os.close(open_beneath(root, names).fd)
        except OSError as why:
            if why.errno not in _ELSEWHERE:
                refused = _kept(root, names, why)
        else:
            return root, names[:-1], parts[-1]
    if refused:
        raise refused
    return None


def _kept(root: str, names: Sequence[str], why: OSError) -> RecordingKeptError:
    return RecordingKeptError(f"{'/'.join((root, *names))}: {why.strerror or why}")


def _places(
    reported_path: str, parts: Sequence[str], roots: Sequence[str], at: float
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Candidates for the file: a root and the names beneath it, likeliest first."""
    directories = list(dict.fromkeys(_directories(reported_path, parts, roots, at)))
    for name in _names(parts[-1]):
        for root, inner in directories:
            yield root, (*inner, name)


def _names(name: str) -> Iterator[str]:
    yield name
    stem, dot, suffix = name.rpartition(".")
    if not dot:
        return
    if suffix == "wav49":  # Asterisk's own name for what it writes as .WAV (formats/format_wav_gsm.c)
        yield f"{stem}.WAV"
    for substitute in SUBSTITUTES:
        if substitute != f".{suffix}":
            yield stem + substitute


def _directories(
    reported_path: str, parts: Sequence[str], roots: Sequence[str], at: float
) -> Iterator[tuple[str, tuple[str, ...]]]:
    inner = tuple(parts[:-1])
    if reported_path.startswith("/"):
        for root in roots:
            above = tuple(part for part in root.split("/") if part)
            if inner[: len(above)] == above:
                yield root, inner[len(above) :]
    for root in roots:
        for skipped in range(max(0, len(inner) - DEEPEST), len(inner) + 1):
            yield root, inner[skipped:]
        for date in _dates(parts[-1], at):
            yield root, date


def _dates(name: str, at: float) -> Iterator[tuple[str, ...]]:
    """YYYY, MM, DD of the call: from its name, then from its time, one day more or less (the PBX's zone is unknown)."""
    for found in _DATE_IN_NAME.finditer(name):
        yield found.groups()
    for day in (0, -_DAY, _DAY):
        yield tuple(dt.datetime.fromtimestamp(at + day, dt.UTC).strftime("%Y %m %d").split())


def _is_encodable(reported_path: str) -> bool:
    try:
        os.fsencode(reported_path)
    except UnicodeEncodeError:
        return False
    return True
