"""``uac-trio record``: what PBXes say on their manager interface, into transcripts that ``replay`` reads.

A transcript holds one connection; when a connection is lost, the next one goes to a file of its own.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TextIO

import attrs
import trio

from uac_trio.ami import Message
from uac_trio.ami_client import AMIClient, AMIServer, run_ami_client
from uac_trio.anonymise import Anonymiser, without_secret
from uac_trio.transcript import Chunk, Direction, epoch_note, format_chunk

MAX_UNWRITTEN = 10_000
"""Reads held in memory while the disk is slow: 20 s of a very busy PBX."""

GREETING = b"Asterisk Call Manager/"


class RecordError(Exception):
    """The transcript cannot be written; the text says which file and why."""


@attrs.frozen(kw_only=True)
class Recorded:
    """What came of it."""

    paths: tuple[Path, ...]
    never_connected: tuple[tuple[str, str], ...]
    """PBXes of which there is no transcript: name and why."""
    lost_reads: int
    """Reads that the disk was too slow for. The transcript has a gap then."""


async def record(
    servers: Sequence[AMIServer],
    out: Path,
    *,
    seconds: float,
    anonymise: bool,
    now: Callable[[], float],
    stop: trio.Event,
) -> Recorded:
    """Record all ``servers`` for ``seconds``, or until ``stop`` is set.

    The file is ``out``; of several PBXes each has its name in front of the suffix, a second connection has a number.
    Raises RecordError, also when such a file is there already: nothing is overwritten.
    """
    anonymiser = Anonymiser(secrets.token_bytes(32)) if anonymise else None
    tapes = [_Tape(server, _path_of(out, server, servers), anonymiser) for server in servers]
    clients: list[AMIClient] = []
    for tape in tapes:
        tape.check()
    async with trio.open_nursery() as nursery:
        for tape in tapes:
            run = partial(run_ami_client, tape.server, _Nobody(), now=now, on_wire=tape.on_wire)
            clients.append(await nursery.start(run))
            nursery.start_soon(tape.write)
        with trio.move_on_after(seconds):
            await stop.wait()
        nursery.cancel_scope.cancel()
    return Recorded(
        paths=tuple(path for tape in tapes for path in tape.paths),
        never_connected=tuple(
            (client.server.name, client.status.last_error or "no answer yet")
            for client in clients
            if not client.status.sessions
        ),
        lost_reads=sum(tape.lost_reads for tape in tapes),
    )


def _path_of(out: Path, server: AMIServer, servers: Sequence[AMIServer]) -> Path:
    return out if len(servers) == 1 else out.with_name(f"{out.stem}.{server.name}{out.suffix}")


class _Nobody:
    """The wire itself is recorded; what it means is for nobody."""

    def connected(self, pbx: str, banner: str, at: float) -> None:
        pass

    def received(self, pbx: str, messages: Sequence[Message], at: float) -> None:
        pass

    def lost(self, pbx: str, reason: str, at: float) -> None:
        pass


@attrs.define(eq=False)
class _Tape:
    """The transcripts of one PBX. ``on_wire`` is called by its reader and does not wait for the disk."""

    server: AMIServer
    path: Path
    anonymiser: Anonymiser | None
    paths: list[Path] = attrs.field(factory=list)
    lost_reads: int = 0
    _began: float = 0.0
    _rest: dict[Direction, bytes] = attrs.field(factory=dict)
    _file: TextIO | None = attrs.field(default=None, init=False)
    _send: trio.MemorySendChannel[tuple[str, Chunk]] = attrs.field(init=False)
    _receive: trio.MemoryReceiveChannel[tuple[str, Chunk]] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._send, self._receive = trio.open_memory_channel[tuple[str, Chunk]](MAX_UNWRITTEN)

    def check(self) -> None:
        try:
            if self.path.exists():
                raise RecordError(f"{self.path} exists already; transcripts are not overwritten")
            if not self.path.parent.is_dir():
                raise RecordError(f"{self.path.parent} is no directory")
        except OSError as why:
            raise RecordError(f"{self.path}: {why.strerror}") from why

    def on_wire(self, direction: str, data: bytes, at: float) -> None:
        told: Direction = "recv" if direction == "recv" else "send"
        if told == "recv" and data.startswith(GREETING):
            self._began = at
            self._rest.clear()
            self._keep("new", epoch_note(at))
        whole, end, rest = (self._rest.get(told, b"") + data).rpartition(b"\n")
        self._rest[told] = rest
        if end:
            lines = (whole + end).splitlines(keepends=True)
            self._keep("", Chunk(t=at - self._began, direction=told, data=b"".join(map(self._cleaned, lines))))

    def _cleaned(self, line: bytes) -> bytes:
        line = without_secret(line)
        return self.anonymiser.line(line) if self.anonymiser else line

    def _keep(self, mark: str, chunk: Chunk) -> None:
        try:
            self._send.send_nowait((mark, chunk))
        except trio.WouldBlock:
            self.lost_reads += 1

    async def write(self) -> None:
        """Write what was kept, for ever; at a cancellation the rest as well. Raises RecordError."""
        try:
            while True:
                await self._receive_some()
                await trio.to_thread.run_sync(self._write_kept)
        finally:
            try:
                self._write_kept()
            finally:
                self._close()

    async def _receive_some(self) -> None:
        """Wait until something was kept. It is looked at again in a moment, so that writes are few and large."""
        while not self._receive.statistics().current_buffer_used:  # noqa: ASYNC110 - four times a second
            await trio.sleep(0.25)

    def _write_kept(self) -> None:
        with self._in_words():
            while True:
                try:
                    mark, chunk = self._receive.receive_nowait()
                except trio.WouldBlock:
                    break
                if mark == "new":
                    self._close()
                    self._file = self._new_file()
                if self._file is not None:
                    self._file.write(format_chunk(chunk))
            if self._file is not None:
                self._file.flush()

    def _close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            with self._in_words():
                file.close()

    @contextmanager
    def _in_words(self) -> Iterator[None]:
        """Turns what the file system raises into RecordError."""
        try:
            yield
        except OSError as why:
            raise RecordError(f"{self.paths[-1]}: {why.strerror}; it has only what was written before") from why

    def _new_file(self) -> TextIO:
        number = len(self.paths) + 1
        path = self.path if number == 1 else self.path.with_name(f"{self.path.stem}_{number}{self.path.suffix}")
        try:
            # Only for us: it holds the numbers of people.
            file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8")
        except OSError as why:
            raise RecordError(f"{path}: {why.strerror}") from why
        self.paths.append(path)
        return file
