"""One change of the call graph: when and why it happened, and what it touched."""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from uac_trio.calls.call import Call
from uac_trio.calls.channel import Channel, Leg


@attrs.frozen
class Merge:
    """Two calls became one."""

    absorbed: Call
    survivor: Call
    because: str


@attrs.define
class Change:
    """What one event, or one item of a listing, changed."""

    at: float
    """Seconds since the epoch."""
    because: str
    """The event's name, for people."""
    channels: dict[Channel, None] = attrs.field(factory=dict)
    """Their state, ring, bridge, hold or audience is another, or they hung up."""
    legs: list[Leg] = attrs.field(factory=list)
    """Begun by it."""
    rang: list[Leg] = attrs.field(factory=list)
    """They ring, and what was dialled there is known, one of the two since now."""
    merges: list[Merge] = attrs.field(factory=list)
    reopened: list[Call] = attrs.field(factory=list)
    """They seemed to be over, and have a live channel again."""

    def reopen(self, call: Call) -> None:
        """The call has a live channel again, if it seemed to be over."""
        if call.end is not None:
            call.end = None
            self.reopened.append(call)

    def touch(self, channels: Iterable[Channel]) -> None:
        self.channels.update(dict.fromkeys(channels))
