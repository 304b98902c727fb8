"""What a client calls with what it received."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, Protocol

from uac_trio.ami import Message

WireEvent = Literal["open", "recv", "send", "eof"]
"""``open``: a new connection; ``eof``: its end. Both without bytes."""

OnWire = Callable[[WireEvent, bytes, float], None]
"""Called with every read and write: what it is, the bytes, seconds since 1970."""


class SessionListener(Protocol):
    """Called by the reader between two reads: it must not block. ``at`` is seconds since 1970."""

    def connected(self, pbx: str, banner: str, at: float) -> None:
        """Logged in to the server that sent ``banner`` first. What it sends from now on follows; a snapshot of the
        channels has been asked for."""
        ...

    def received(self, pbx: str, messages: Sequence[Message], at: float) -> None:
        """What one read gave, in the order of the wire: events, items of listings, responses."""
        ...

    def lost(self, pbx: str, reason: str, at: float) -> None:
        """The session that ``connected()`` reported is over."""
        ...
