"""Timed files (.jsonl): one JSON object a line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uac_trio.transcript import Chunk, Direction, TranscriptError, format_chunk, read_transcript


def test_a_timed_transcript() -> None:
    """Lines become chunks with their times; bytes that are no text come out of base64; blank lines mean nothing."""
    transcript = read_transcript(
        "x.jsonl",
        b'{"t": 0, "dir": "recv", "data": "Asterisk\\r\\n"}\n'
        b"\r\n"
        b'{"t": 0.5, "dir": "send", "data": "\xd0\x98"}\n'
        b'{"t": 0.5, "dir": "recv", "b64": "0A=="}\n'
        b'{"t": 1.25, "dir": "note", "data": "101 rings"}\n'
        b'{"t": 2, "dir": "eof"}',
    )

    assert transcript.name == "x.jsonl"
    assert transcript.epoch is None
    chunks = tuple(transcript.chunks)
    assert chunks == (
        Chunk(t=0.0, direction="recv", data=b"Asterisk\r\n"),
        Chunk(t=0.5, direction="send", data="И".encode()),
        Chunk(t=0.5, direction="recv", data=b"\xd0"),
        Chunk(t=1.25, direction="note", data=b"101 rings"),
        Chunk(t=2.0, direction="eof", data=b""),
    )
    assert transcript.at(chunks[3]) == 1.25


@given(
    st.lists(
        st.tuples(st.integers(0, 10**9), st.sampled_from(["recv", "send", "note", "eof"]), st.binary(max_size=20)),
        min_size=1,
        max_size=8,
    )
)
def test_what_is_written_is_read(entries: list[tuple[int, Direction, bytes]]) -> None:
    """Any bytes at any times come back as they were, to the microsecond."""
    chunks = [Chunk(t=t / 1e6, direction=direction, data=data) for t, direction, data in sorted(entries)]

    text = "".join(map(format_chunk, chunks))

    assert list(read_transcript("x", text.encode()).chunks) == chunks
    assert text.count("\n") == len(chunks)


GOOD = b'{"t": 0, "dir": "recv", "data": "x"}\n'


def test_a_file_whose_last_line_is_cut_off() -> None:
    """A killed recorder leaves half a line: what is before it is read, with a note."""
    transcript = read_transcript("x.jsonl", GOOD + b'{"t": 1, "dir": "re')
    assert [chunk.data for chunk in transcript.chunks] == [b"x"]
    assert transcript.cut == "the last line is cut off after 19 bytes; the lines before it are read"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "x.jsonl: the file is empty"),
        (b"\n \n", "x.jsonl: the file is empty"),
        (GOOD + b"{]\n", "x.jsonl:2: not a JSON object: "),
        (b'{"t": 1, "dir": "re', "x.jsonl:1: not a JSON object"),
        (GOOD + b"\xff\xfe\n", "x.jsonl:2: not a JSON object"),
        (GOOD + b"[" * 100_000 + b"\n", "x.jsonl:2: not a JSON object"),
        (GOOD + b'{"t": ' + b"9" * 5000 + b"}\n", "x.jsonl:2: not a JSON object"),
        (b"[]\n", 'x.jsonl:1: expected an object {"t", "dir", "data"}, found list'),
        (b"1\n", "found int"),
        (b'{"dir": "recv", "data": "x"}\n', '"t" must be seconds since the connection, a number, found nothing'),
        (b'{"t": "1", "dir": "recv", "data": "x"}\n', "found '1'"),
        (b'{"t": true, "dir": "recv", "data": "x"}\n', "found True"),
        (b'{"t": -1, "dir": "recv", "data": "x"}\n', "found -1"),
        (b'{"t": NaN, "dir": "recv", "data": "x"}\n', "found nan"),
        (b'{"t": 1e999, "dir": "recv", "data": "x"}\n', "found inf"),
        (b'{"t": 1' + b"0" * 400 + b', "dir": "recv", "data": "x"}\n', "found 1000"),
        (b'{"t": 0, "data": "x"}\n', '"dir" must be one of recv, send, note, eof, found nothing'),
        (b'{"t": 0, "dir": ["recv"], "data": "x"}\n', "found ['recv']"),
        (b'{"t": 0, "dir": "up", "data": "' + b"x" * 200 + b'"}\n', "found 'up'"),
        (b'{"t": 0, "dir": "recv"}\n', '"data" must be text (or bytes in "b64"), found nothing'),
        (b'{"t": 0, "dir": "recv", "data": [1]}\n', "found [1]"),
        (b'{"t": 0, "dir": "recv", "data": "\\ud800"}\n', "half of a surrogate pair"),
        (b'{"t": 0, "dir": "recv", "b64": "?"}\n', '"b64" is not base64'),
        (b'{"t": 0, "dir": "recv", "b64": 7}\n', '"b64" is not base64'),
        (b'{"t": 0, "dir": "recv", "b64": "\xd0\x98"}\n', '"b64" is not base64'),
        (
            b'{"t": 2, "dir": "recv", "data": "x"}\n' + GOOD,
            "x.jsonl:2: time goes back from 2.0 to 0.0; one connection a file, in order",
        ),
    ],
)
def test_what_cannot_be_read(data: bytes, words: str) -> None:
    """Each fault is reported with the file, the line and what was expected."""
    with pytest.raises(TranscriptError) as caught:
        read_transcript("x.jsonl", data)

    assert words in str(caught.value)
    assert len(str(caught.value)) < 250
