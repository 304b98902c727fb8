"""``uac-trio record``: records the AMI traffic of PBXes into transcripts for ``replay``.

A transcript has one connection. After a lost connection the next one gets a new file.
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
from uac_trio.ami_client.client import AMIClient, run_ami_client
from uac_trio.ami_client.listener import WireEvent
from uac_trio.ami_client.server import AMIServer
from uac_trio.anonymise import Anonymiser, without_secret
from uac_trio.transcript import Chunk, Direction, epoch_note, format_chunk

MAX_UNWRITTEN = 10_000
"""Reads held in memory while the disk is slow: 20 s of a very busy PBX."""


class RecordError(Exception):
    """The transcript cannot be written; the text says which file and why."""


@attrs.frozen(kw_only=True)
class Recorded:
    """The result of ``record``."""

    paths: tuple[Path, ...]
    never_connected: tuple[tuple[str, str], ...]
    """PBXes without a transcript: name and why."""
    lost_reads: int
    """Reads dropped because the disk was too slow; the transcript then has gaps."""


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

    The file is ``out``; with several PBXes each file has the PBX's name before the suffix, and further connections get
    a number. Raises RecordError, also if a file exists: nothing is overwritten.
    """
    anonymiser = Anonymiser(secrets.token_bytes(32)) if anonymise else None
    writers = [_TranscriptWriter(server, _path_of(out, server, servers), anonymiser) for server in servers]
    clients: list[AMIClient] = []
    for writer in writers:
        writer.check()
    async with trio.open_nursery() as nursery:
        for writer in writers:
            run = partial(run_ami_client, writer.server, _DiscardListener(), now=now, on_wire=writer.on_wire)
            clients.append(await nursery.start(run))
            nursery.start_soon(writer.write)
        with trio.move_on_after(seconds):
            await stop.wait()
        nursery.cancel_scope.cancel()
    return Recorded(
        paths=tuple(path for writer in writers for path in writer.paths),
        never_connected=tuple(
            (client.server.name, client.status.last_error or "no answer yet")
            for client in clients
            if not client.status.sessions
        ),
        lost_reads=sum(writer.lost_reads for writer in writers),
    )


def _path_of(out: Path, server: AMIServer, servers: Sequence[AMIServer]) -> Path:
    return out if len(servers) == 1 else out.with_name(f"{out.stem}.{server.name}{out.suffix}")


class _DiscardListener:
    """Discards the parsed messages: only the bytes are recorded."""

    def connected(self, pbx: str, banner: str, at: float) -> None:
        pass

    def received(self, pbx: str, messages: Sequence[Message], at: float) -> None:
        pass

    def lost(self, pbx: str, reason: str, at: float) -> None:
        pass


@attrs.define(eq=False)
class _TranscriptWriter:
    """Writes the transcripts of one PBX. Its client calls ``on_wire``, which does not wait for the disk."""

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
                raise RecordError(f"{self.path.parent} is not a directory")
        except OSError as why:
            raise RecordError(f"{self.path}: {why.strerror}") from why

    def on_wire(self, event: WireEvent, data: bytes, at: float) -> None:
        match event:
            case "open":
                self._began = at
                self._rest.clear()
                self._keep("new", epoch_note(at))
                return
            case "eof":
                self._keep("", Chunk(t=at - self._began, direction="eof", data=b""))
                return
            case "recv" | "send" as way:
                pass
        whole, end, rest = (self._rest.get(way, b"") + data).rpartition(b"\n")
        self._rest[way] = rest
        if end:
            lines = (whole + end).splitlines(keepends=True)
            self._keep("", Chunk(t=at - self._began, direction=way, data=b"".join(map(self._cleaned, lines))))

    def _cleaned(self, line: bytes) -> bytes:
        line = without_secret(line)
        return self.anonymiser.line(line) if self.anonymiser else line

    def _keep(self, mark: str, chunk: Chunk) -> None:
        try:
            self._send.send_nowait((mark, chunk))
        except trio.WouldBlock:
            self.lost_reads += 1

    async def write(self) -> None:
        """Write the kept chunks until cancelled, then the rest. Raises RecordError."""
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
        """Wait until a chunk was kept. Polls, so that writes are few and large."""
        while not self._receive.statistics().current_buffer_used:  # noqa: ASYNC110 - four times a second
            await trio.sleep(0.25)

    def _write_kept(self) -> None:
        with self._as_record_error():
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
            with self._as_record_error():
                file.close()

    @contextmanager
    def _as_record_error(self) -> Iterator[None]:
        """Turns OSError into RecordError."""
        try:
            yield
        except OSError as why:
            raise RecordError(f"{self.paths[-1]}: {why.strerror}; it has only what was written before") from why

    def _new_file(self) -> TextIO:
        number = len(self.paths) + 1
        path = self.path if number == 1 else self.path.with_name(f"{self.path.stem}_{number}{self.path.suffix}")
        try:
            # Private to this user: it has telephone numbers.
            file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8")
        except OSError as why:
            raise RecordError(f"{path}: {why.strerror}") from why
        self.paths.append(path)
        return file
