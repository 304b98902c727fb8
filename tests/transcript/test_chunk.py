"""What a transcript is made of."""

from __future__ import annotations

import attrs
import pytest

from tests.transcript.chunks import recv
from uac_trio.transcript.chunk import Transcript, split


def test_chunks_are_values() -> None:
    """A chunk cannot be changed once it is read."""
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        recv("x").t = 1.0  # type: ignore[misc]


@pytest.mark.parametrize(("epoch", "at"), [(None, 2.5), (1_795_413_713.0, 1_795_413_715.5)])
def test_the_time_of_a_chunk(epoch: float | None, at: float) -> None:
    """Since 1970, or since the connection where its beginning is not known."""
    chunk = recv("x", 2.5)
    assert Transcript(name="x", chunks=[chunk], epoch=epoch).at(chunk) == at


@pytest.mark.parametrize(
    ("pieces", "parts"),
    [
        ([], [b""]),
        ([b"ab"], [b"ab"]),
        ([b"a\r\n", b"b"], [b"a", b"b"]),
        ([b"a\r", b"\nb\r\n"], [b"a", b"b", b""]),
        ([b"\r\n\r\n"], [b"", b"", b""]),
    ],
)
def test_split(pieces: list[bytes], parts: list[bytes]) -> None:
    """However the bytes were cut; the rest comes last, and may be empty."""
    assert list(split(pieces, b"\r\n")) == parts
