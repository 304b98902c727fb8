"""Compressed files, read as what is in them."""

from __future__ import annotations

import bz2
import gzip
import lzma
from collections.abc import Callable

import pytest

from tests.transcript.chunks import block, received
from uac_trio.transcript import TranscriptError, open_transcript, read_transcript

GOOD = b'{"t": 0, "dir": "recv", "data": "x"}\n'
ZSTD = b"\x28\xb5\x2f\xfd" + b"\x00" * 8


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress, bz2.compress], ids=["gzip", "xz", "bzip2"])
@pytest.mark.parametrize("name", ["x.jsonl", "x.ami"])
@pytest.mark.parametrize("size", [1, 7, 1 << 20])
def test_a_compressed_file(pack: Callable[[bytes], bytes], name: str, size: int) -> None:
    """It is read as what is in it, in pieces of any size, of one member or of several."""
    data = (GOOD if name == "x.jsonl" else block("Event: A").encode()) * 3
    packed = pack(data) + pack(data)
    plain = read_transcript(name, data + data)
    for named in (name, name + ".gz"):
        transcript = open_transcript(named, lambda: (packed[at : at + size] for at in range(0, len(packed), size)))
        assert received(transcript.chunks) == received(plain.chunks)
        assert transcript.cut == ""


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress, bz2.compress], ids=["gzip", "xz", "bzip2"])
@pytest.mark.parametrize("name", ["x.jsonl", "x.ami"])
def test_a_compressed_file_that_is_cut_off(pack: Callable[[bytes], bytes], name: str) -> None:
    """What was written before is read, and the end is noted."""
    line = GOOD if name == "x.jsonl" else block("Event: A").encode()
    packed = pack(line) + pack(line * 3)[:-9]
    transcript = read_transcript(name, packed)
    assert received(transcript.chunks).startswith(received(read_transcript(name, line).chunks))
    assert transcript.cut.endswith(
        "the program that wrote it was killed, or writes it still; what is before that is read"
    )


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\x1f\x8b\x08\x00" + b"\xff" * 40, "x.jsonl: damaged gzip after 0 bytes of its content: "),
        (gzip.compress(GOOD, mtime=0)[:-8] + b"12345678", "x.jsonl: damaged gzip after 0 bytes of its content: "),
        (ZSTD, "x.jsonl: compressed with zstd; unpack it first: zstd -d x.jsonl"),
        (gzip.compress(b"", mtime=0), "x.jsonl: the file is empty"),
    ],
    ids=["header", "checksum", "zstd", "nothing"],
)
def test_a_damaged_compressed_file(data: bytes, words: str) -> None:
    """The fault is reported with the file, the format and the place."""
    with pytest.raises(TranscriptError) as caught:
        read_transcript("x.jsonl", data)
    assert words in str(caught.value)
