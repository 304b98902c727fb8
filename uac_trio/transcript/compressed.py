"""Compressed transcripts: gzip, xz, bzip2, known by their first bytes.

A process that is killed leaves a file without its end. Everything before the last flush can be read.
"""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

import attrs

from uac_trio.transcript.chunk import Source, TranscriptError

SUFFIXES = (".gz", ".xz", ".bz2")
"""Of compressed files: NAME.jsonl.gz."""

_SLICE = 1 << 14
"""Bytes that are unpacked at once: a thousand times as many may come out of them."""
_ZSTD = b"\x28\xb5\x2f\xfd"


class _Decompressor(Protocol):
    """One member of a file; a file may have several, one after another."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, /) -> bytes: ...


@attrs.frozen
class _Format:
    name: str
    new: Callable[[], _Decompressor]


_FORMATS: Mapping[bytes, _Format] = {
    b"\x1f\x8b": _Format("gzip", lambda: zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)),
    b"\xfd7zXZ\x00": _Format("xz", lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ)),
    b"BZh": _Format("bzip2", bz2.BZ2Decompressor),
}
"""By the first bytes of a file."""
_LONGEST_MAGIC = max(map(len, _FORMATS))


@attrs.define
class Decompressed:
    """A ``Source`` of what is in the file that ``source`` reads, compressed or not.

    Raises TranscriptError for a damaged file, and for a format that is not known.
    """

    name: str
    source: Source
    cut: str = attrs.field(default="", init=False)
    """How the compressed file ends early, known when it was read once; "" = it is whole, or not compressed."""

    def __call__(self) -> Iterator[bytes]:
        pieces = self.source()
        first = b""
        for piece in pieces:
            first += piece
            if len(first) >= _LONGEST_MAGIC:
                break
        if first.startswith(_ZSTD):
            raise TranscriptError(f"{self.name}: compressed with zstd; unpack it first: zstd -d {self.name}")
        form = next((form for magic, form in _FORMATS.items() if first.startswith(magic)), None)
        if form is None:
            if first:
                yield first
            yield from pieces
            return
        yield from self._unpacked(form, _after(first, pieces))

    def _unpacked(self, form: _Format, pieces: Iterator[bytes]) -> Iterator[bytes]:
        member, count, is_begun = form.new(), 0, False
        for data in _sliced(pieces):
            while data:
                if member.eof:
                    member = form.new()
                try:
                    found = member.decompress(data)
                except (zlib.error, lzma.LZMAError, OSError, EOFError) as error:
                    where = f"after {count} bytes of its content"
                    raise TranscriptError(f"{self.name}: damaged {form.name} {where}: {error}") from error
                count += len(found)
                if found:
                    yield found
                is_begun, data = True, member.unused_data if member.eof else b""
        if is_begun and not member.eof:
            self.cut = (
                f"the {form.name} data has no end: the program that wrote it was killed, or writes it still; "
                "what is before that is read"
            )


def _sliced(pieces: Iterator[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        for start in range(0, len(piece), _SLICE):
            yield piece[start : start + _SLICE]


def _after(first: bytes, pieces: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from pieces


def plain_name(name: str) -> str:
    """The name without the suffix of a compressed file."""
    return next((name.removesuffix(suffix) for suffix in SUFFIXES if name.endswith(suffix)), name)
