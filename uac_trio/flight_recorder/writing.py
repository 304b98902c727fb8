"""Writes what was read from and sent to the PBXes, in a worker thread."""

from __future__ import annotations

import contextlib
import os
import re
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, Literal

import attrs

from uac_trio.flight_recorder.files import file_name, prune
from uac_trio.flight_recorder.settings import FlightRecorderSettings
from uac_trio.transcript import Chunk, Direction, continuation_note, epoch_note, format_chunk

FILES = 16
"""Into about as many files the room and the time are divided: what is deleted at once."""
LONGEST = 3600.0
"""Seconds of one file at most."""
LEVEL = 3
"""Of zlib: a fifth larger than 6, in a third of the time."""

_SECRET = re.compile(rb"(?im)^([ \t]*(?:secret|key)[ \t]*):[^\n]*\n")
_END = b"\r\n\r\n"


@attrs.frozen
class Wire:
    """One read or write, or the begin or end of a connection. ``at``: seconds since the epoch."""

    pbx: str
    event: Literal["open", "recv", "send", "eof"]
    data: bytes
    at: float


@attrs.define(eq=False)
class _File:
    """One file in progress. What is flushed outlives a kill of the process."""

    path: Path
    began_at: float
    out: BinaryIO
    size: int = 0
    _packer: zlib._Compress = attrs.field(factory=lambda: zlib.compressobj(LEVEL, wbits=zlib.MAX_WBITS | 16))
    _lines: list[str] = attrs.field(factory=list)
    _t: float = 0.0

    def add(self, chunk: Chunk) -> None:
        self._t = max(self._t, chunk.t)  # the clock may be set back
        self._lines.append(format_chunk(attrs.evolve(chunk, t=self._t)))

    def flush(self) -> None:
        if self._lines:
            text, self._lines = "".join(self._lines), []
            self._write(self._packer.compress(text.encode()) + self._packer.flush(zlib.Z_SYNC_FLUSH))

    def close(self) -> None:
        try:
            self.flush()
            self._write(self._packer.flush())
        finally:
            self.out.close()

    @property
    def is_deleted(self) -> bool:
        return os.fstat(self.out.fileno()).st_nlink == 0

    def _write(self, data: bytes) -> None:
        self.out.write(data)
        self.out.flush()
        self.size += len(data)


@attrs.define(eq=False)
class _Connection:
    """What is being written of one PBX."""

    pbx: str
    file: _File | None = None
    before: str = ""
    """The name of the file with which the next one goes on; "" = there is a gap, or a new connection."""
    rest: dict[Direction, bytes] = attrs.field(factory=dict)
    """Of a line whose end was not read yet."""
    is_between: bool = False
    """The last byte received ended a message."""
    is_adrift: bool = True
    """What comes now may begin within a message: nothing is taken until the next one."""

    def interrupt(self) -> None:
        """Bytes are missing."""
        self.rest.clear()
        self.is_between, self.is_adrift = False, True


@attrs.define(eq=False)
class Writing:
    """Used by one thread at a time. Every method but ``abandon`` may raise OSError."""

    directory: Path
    settings: FlightRecorderSettings
    _connections: dict[str, _Connection] = attrs.field(factory=dict, init=False)

    def write(self, wires: Sequence[Wire], lost: int, now: float) -> None:
        """Write and flush. ``lost``: how many reads before these were dropped."""
        if lost:
            self._note_gap(lost)
        for wire in wires:
            connection = self._connections.get(wire.pbx)
            if connection is None:
                connection = self._connections[wire.pbx] = _Connection(wire.pbx)
            self._take(connection, wire)
        for connection in self._connections.values():
            file = connection.file
            if file is None:
                continue
            file.flush()
            if file.is_deleted:
                self._end(connection, "")
                connection.is_adrift = not connection.is_between
            elif connection.is_between and (file.size >= self._file_size or now - file.began_at >= self._file_seconds):
                self._end(connection, file.path.name)
                self.prune(now)

    def prune(self, now: float) -> None:
        """Delete what is too old or too much."""
        writing = [connection.file.path for connection in self._connections.values() if connection.file is not None]
        before = now - self.settings.hours * 3600.0
        growing = self._file_size * max(1, len(writing))
        prune(self.directory, before=before, most=max(0, self._most - growing), keep=writing)

    def close(self) -> None:
        for connection in self._connections.values():
            self._end(connection, "")

    def abandon(self) -> None:
        """After a failure: the open files are closed as they are. Raises nothing."""
        connections, self._connections = self._connections, {}
        for connection in connections.values():
            if connection.file is not None:
                with contextlib.suppress(OSError):  # of a full disk: what is buffered does not fit either
                    connection.file.out.close()

    @property
    def _most(self) -> int:
        return self.settings.megabytes * 1_000_000

    @property
    def _file_size(self) -> int:
        return self._most // FILES

    @property
    def _file_seconds(self) -> float:
        return min(LONGEST, self.settings.hours * 3600.0 / FILES)

    def _take(self, connection: _Connection, wire: Wire) -> None:
        match wire.event:
            case "open":
                self._end(connection, "")
                connection.rest.clear()
                connection.is_adrift = False
                self._begin(connection, wire.at)
            case "eof":
                if connection.file is not None:
                    connection.file.add(Chunk(t=wire.at - connection.file.began_at, direction="eof", data=b""))
                    self._end(connection, "")
                connection.interrupt()
            case "recv" | "send" as direction:
                self._take_bytes(connection, direction, wire)

    def _take_bytes(self, connection: _Connection, direction: Direction, wire: Wire) -> None:
        data = connection.rest.pop(direction, b"") + wire.data
        if connection.is_adrift:
            data = self._next_message(connection, direction, data)
        if not data:
            return
        file = connection.file or self._begin(connection, wire.at)
        whole, end, rest = data.rpartition(b"\n")
        if rest:
            connection.rest[direction] = rest
        if direction == "recv":
            connection.is_between = not rest and data.endswith(_END)
        if end:
            file.add(Chunk(t=wire.at - file.began_at, direction=direction, data=without_secrets(whole + end)))

    def _next_message(self, connection: _Connection, direction: Direction, data: bytes) -> bytes:
        _, end, data = data.partition(_END) if direction == "recv" else (b"", b"", b"")
        connection.is_adrift = not end
        connection.is_between = bool(end) and not data
        return data

    def _begin(self, connection: _Connection, at: float) -> _File:
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        path, named = self.directory / file_name(connection.pbx, at), at
        while path.exists():
            named += 0.001
            path = self.directory / file_name(connection.pbx, named)
        # Private to this user: it has telephone numbers.
        out = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
        file = connection.file = _File(path, at, out)
        file.add(epoch_note(at))
        if connection.before:
            file.add(continuation_note(connection.before))
        return file

    def _end(self, connection: _Connection, before: str) -> None:
        """``before``: the name of this file, if the next one goes on with it."""
        file, connection.file, connection.before = connection.file, None, before
        if file is not None:
            file.close()

    def _note_gap(self, lost: int) -> None:
        """Bytes are missing, perhaps within a message: what follows is a file of its own."""
        for connection in self._connections.values():
            if connection.file is not None:
                note = f"{lost} reads are missing after this: the disk was too slow"
                connection.file.add(Chunk(t=0.0, direction="note", data=note.encode()))
            connection.interrupt()
            self._end(connection, "")


def without_secrets(data: bytes) -> bytes:
    """Whole lines, the values of secrets and login keys blanked."""
    lowered = data.lower()
    if b"secret" not in lowered and b"key" not in lowered:
        return data
    return _SECRET.sub(rb"\1: (not recorded)\r\n", data)
