"""CDR in files: Master.csv of cdr_csv, and our own mapping of cdr_custom.

Asterisk appends whole lines and opens the file anew for each (cdr_csv.c, ``writefile``). Others rename, compress and
truncate it. So it is opened for each pass, its last line may be half there, and what was renamed is read as well.
"""

from __future__ import annotations

import csv
import gzip
import re
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import IO, cast

import attrs

from uac_trio.backfill.source import CdrError
from uac_trio.cdr.cel import CelRow
from uac_trio.cdr.layout import NO_LINKEDID, columns_of
from uac_trio.cdr.row import CdrRow, RowError, cdr_row

NEAR = 1 << 20
"""Bytes within which a search for a time in a file ends."""

LATE = 7200.0
"""Seconds by which a line may be out of order: it is written when its channel ends, and clocks are set back."""

FARTHEST = 14 * 3600.0
"""Seconds by which a wall clock may be off from the epoch that our own mapping has."""

LONGEST_LINE = 1 << 16


@attrs.define
class CdrFile:
    """A ``CdrSource``."""

    path: Path
    columns: Sequence[str] = ()
    """Of lines without a header, where they are neither Master.csv's nor ours."""
    unread: int = attrs.field(default=0, init=False)
    _without_linkedid: int = attrs.field(default=0, init=False)

    @property
    def where(self) -> str:
        return str(self.path)

    def rows(self, since: float, until: float) -> Iterator[CdrRow]:
        read = 0
        for path in self._files(since):
            with self._opened(path) as file:
                header = self._header(file)
                if path.suffix != ".gz":
                    self._seek(file, header, since)
                for row in self._lines(file, header):
                    read += 1
                    if row.is_absolute:
                        if since - FARTHEST <= row.start < until + FARTHEST:
                            yield row
                    elif since <= row.start < until:
                        yield row
        if not read and self._without_linkedid:
            raise CdrError(f"{self.where}: {NO_LINKEDID}")

    def latest(self, count: int) -> Sequence[CdrRow]:
        last: deque[CdrRow] = deque(maxlen=count)
        plain = [path for path in self._files(0.0) if path.suffix != ".gz"]
        if not plain:
            return ()
        with self._opened(plain[-1]) as file:
            header = self._header(file)
            size = file.seek(0, 2)
            if file.seek(max(0, size - count * 600)):
                file.readline(LONGEST_LINE)
            last.extend(self._lines(file, header))
        return list(last)

    def cel(self, linkedids: Collection[str], uniqueids: Collection[str]) -> Sequence[CelRow]:
        return ()

    def remarks(self) -> Sequence[str]:
        rows = self.latest(100)
        if not rows and self._without_linkedid:
            return [NO_LINKEDID]
        if rows and not any(row.recording for row in rows):
            return [
                "it has no column for recordings, so filled-in calls have no links to them: the line for "
                "cdr_custom.conf in docs/backfill.md makes a file that has"
            ]
        return []

    # -- lines --------------------------------------------------------------------------------------------------------

    def _files(self, since: float) -> list[Path]:
        """The file itself and those it was renamed to since, the oldest first."""
        name = re.escape(self.path.name)
        older = re.compile(rf"{name}[.-][0-9]+(\.gz)?")
        try:
            renamed = [path for path in self.path.parent.iterdir() if older.fullmatch(path.name)]
            recent = [path for path in renamed if path.stat().st_mtime >= since - 86400]
            recent.sort(key=lambda path: path.stat().st_mtime)
        except OSError as error:
            raise CdrError(f"{self.path.parent}: cannot be listed: {error.strerror}") from error
        is_there = self.path.exists()
        if not is_there and not recent:
            raise CdrError(f"{self.where}: no such file; is cdr_csv.so loaded, and has a call ended since?")
        return [*recent, *([self.path] if is_there else [])]

    def _opened(self, path: Path) -> IO[bytes]:
        try:
            if path.suffix == ".gz":
                return cast("IO[bytes]", gzip.open(path))
            return path.open("rb")
        except OSError as error:
            hint = "; the user of uac-trio needs to be in group asterisk" if isinstance(error, PermissionError) else ""
            raise CdrError(f"{path}: cannot be read: {error.strerror}{hint}") from error

    def _header(self, file: IO[bytes]) -> Sequence[str]:
        """The columns that the first line names; () where it is a row."""
        fields = _fields(file.readline(LONGEST_LINE))
        if "channel" in fields and "uniqueid" in fields:
            return fields
        file.seek(0)
        return ()

    def _lines(self, file: IO[bytes], header: Sequence[str]) -> Iterator[CdrRow]:
        while line := file.readline(LONGEST_LINE):
            if not line.endswith(b"\n"):
                return  # it is being written
            row = self._row(line, header)
            if row is not None:
                yield row

    def _row(self, line: bytes, header: Sequence[str]) -> CdrRow | None:
        fields = _fields(line)
        columns = header or self.columns or columns_of(fields)
        if not fields:
            return None
        if columns is None or len(columns) != len(fields):
            self.unread += 1
            return None
        if "linkedid" not in columns:
            self._without_linkedid += 1
            return None
        try:
            return cdr_row(dict(zip(columns, fields, strict=True)))
        except RowError:
            self.unread += 1
            return None

    def _seek(self, file: IO[bytes], header: Sequence[str], since: float) -> None:
        """To a line before all that begin later: lines are in the order in which their channels ended."""
        first = file.seek(0, 1)
        low = first
        high = file.seek(0, 2)
        while high - low > NEAR:
            middle = (low + high) // 2
            file.seek(middle)
            file.readline(LONGEST_LINE)
            ended = self._ended_after(file, header)
            if ended is not None and ended < since - LATE:
                low = middle
            else:
                high = middle
        file.seek(low)
        if low > first:
            file.readline(LONGEST_LINE)

    def _ended_after(self, file: IO[bytes], header: Sequence[str]) -> float | None:
        """When the channel of the next row ended; None at the end of the file."""
        for _ in range(100):
            line = file.readline(LONGEST_LINE)
            row = self._row(line, header) if line.endswith(b"\n") else None
            if row is not None:
                return row.end
            if not line:
                return None
        return None


def _fields(line: bytes) -> list[str]:
    """Of one line: names may hold any character that others take for the end of one."""
    text = line.decode(errors="replace").rstrip("\r\n").replace("\0", "").replace("\r", " ").replace("\n", " ")
    try:
        return next(csv.reader([text]), [])
    except csv.Error:
        return []
