"""Which form a transcript has."""

from __future__ import annotations

from tests.transcript.chunks import first
from uac_trio.transcript import read_transcript

GOOD = b'{"t": 0, "dir": "recv", "data": "x"}\n'


def test_the_name_decides_the_form() -> None:
    """An ending decides; without one, the first byte."""
    assert first(read_transcript("x", GOOD)) == b"x"
    assert first(read_transcript("x.ami", GOOD)) == GOOD
    assert first(read_transcript("x", b"Asterisk\r\n")) == b"Asterisk\r\n"
