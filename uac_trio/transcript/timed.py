"""Timed transcripts, ``.jsonl``."""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Iterator
from typing import get_args

import attrs

from uac_trio.transcript.chunk import Chunk, Direction, Source, Transcript, TranscriptError, split
from uac_trio.transcript.epoch import infer_epoch, read_continuation

_DIRECTIONS: tuple[Direction, ...] = get_args(Direction)


def read_timed(name: str, source: Source) -> Transcript:
    """Reads all of the file, so that a fault in it shows before anything of it is used. Raises TranscriptError."""
    chunks = _TimedChunks(name, source)
    epoch, continues = infer_epoch(chunks), read_continuation(chunks)
    return Transcript(name=name, chunks=chunks, epoch=epoch, continues=continues, cut=chunks.cut)


def format_chunk(chunk: Chunk) -> str:
    """One line of a ``.jsonl`` file, with its line end."""
    entry: dict[str, object] = {"t": round(chunk.t, 6), "dir": chunk.direction}
    try:
        entry["data"] = chunk.data.decode()
    except UnicodeDecodeError:
        entry["b64"] = base64.b64encode(chunk.data).decode("ascii")
    return json.dumps(entry, ensure_ascii=False) + "\n"


@attrs.define
class _TimedChunks:
    name: str
    source: Source
    cut: str = attrs.field(default="", init=False)
    """How the file ends early, known when it was read once."""

    def __iter__(self) -> Iterator[Chunk]:
        before = 0.0
        for number, (line, is_whole) in enumerate(_lines(self.source), start=1):
            if not line.strip():
                continue
            where = f"{self.name}:{number}"
            try:
                entry = json.loads(line)
            except (ValueError, RecursionError) as error:
                if not is_whole and number > 1:
                    self.cut = f"the last line is cut off after {len(line)} bytes; the lines before it are read"
                    return
                raise TranscriptError(f"{where}: not a JSON object: {_shown(error)}") from error
            chunk = _read_entry(where, entry)
            if chunk.t < before:
                raise TranscriptError(
                    f"{where}: time goes back from {before} to {chunk.t}; one connection a file, in order"
                )
            before = chunk.t
            yield chunk


def _lines(source: Source) -> Iterator[tuple[bytes, bool]]:
    """Each line, and whether it has an end."""
    before: bytes | None = None
    for line in split(source(), b"\n"):
        if before is not None:
            yield before, True
        before = line
    if before is not None:
        yield before, False


def _read_entry(where: str, entry: object) -> Chunk:
    if not isinstance(entry, dict):
        raise TranscriptError(f'{where}: expected an object {{"t", "dir", "data"}}, found {type(entry).__name__}')
    direction = entry.get("dir")
    if direction not in _DIRECTIONS:
        raise TranscriptError(f'{where}: "dir" must be one of {", ".join(_DIRECTIONS)}, found {_shown(direction)}')
    t = entry.get("t")
    if isinstance(t, bool) or not isinstance(t, int | float) or not 0 <= t < 1e9 or not math.isfinite(t):
        raise TranscriptError(f'{where}: "t" must be seconds since the connection, a number, found {_shown(t)}')
    return Chunk(t=float(t), direction=direction, data=_read_data(where, direction, entry))


def _read_data(where: str, direction: Direction, entry: dict[str, object]) -> bytes:
    if "b64" in entry:
        try:
            return base64.b64decode(str(entry["b64"]), validate=True)
        except (binascii.Error, ValueError) as error:
            raise TranscriptError(f'{where}: "b64" is not base64: {_shown(error)}') from error
    data = entry.get("data", "" if direction == "eof" else None)
    if not isinstance(data, str):
        raise TranscriptError(f'{where}: "data" must be text (or bytes in "b64"), found {_shown(data)}')
    try:
        return data.encode()
    except UnicodeEncodeError as error:
        raise TranscriptError(f'{where}: "data" has half of a surrogate pair; give such bytes in "b64"') from error


def _shown(value: object) -> str:
    text = "nothing" if value is None else str(value) if isinstance(value, Exception) else repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
