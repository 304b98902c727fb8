"""What a transcript is made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Literal

import attrs

Direction = Literal["recv", "send", "note", "eof"]

Source = Callable[[], Iterator[bytes]]
"""The bytes of a file from its beginning, in pieces of any length, at each call."""


class TranscriptError(Exception):
    """A transcript cannot be read. The text names the file, the line and what was expected there."""


@attrs.frozen(kw_only=True)
class Chunk:
    """Bytes in one direction at one time. ``t``: seconds since the connection began."""

    t: float
    direction: Direction
    data: bytes


@attrs.frozen(kw_only=True)
class Transcript:
    """One connection. ``epoch``: the time of ``t`` = 0 in seconds since 1970, None if unknown."""

    name: str
    chunks: Iterable[Chunk]
    """In order of time; can be iterated over more than once."""
    epoch: float | None
    continues: str = ""
    """The name of the file whose connection goes on in this one; "" = a connection of its own."""
    cut: str = ""
    """How the file ends early, what is before that being good; "" = it is whole."""

    def at(self, chunk: Chunk) -> float:
        """The time of a chunk in seconds since 1970 (since the connection if ``epoch`` is unknown)."""
        return (self.epoch or 0.0) + chunk.t


def split(pieces: Iterable[bytes], separator: bytes) -> Iterator[bytes]:
    """What is between separators, and at last the rest, which may be empty."""
    rest = b""
    for piece in pieces:
        *whole, rest = (rest + piece).split(separator)
        yield from whole
    yield rest
