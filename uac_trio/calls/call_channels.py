"""The channels of one call: those alive, those that were, and when their users hung up."""

from __future__ import annotations

import bisect
from collections.abc import Iterator
from typing import Final

import attrs

from uac_trio.calls.channel import Channel


@attrs.define
class CallChannels:
    """In the order in which they joined the call; those that went over to another call stay among them."""

    live: Final[dict[Channel, None]] = attrs.field(factory=dict)
    """Those that have not hung up. In an hour in a queue thousands of others gather beside them."""
    _all: Final[dict[Channel, None]] = attrs.field(factory=dict)
    hangups: Final[list[float]] = attrs.field(factory=list)
    """When people asked for the end of their channels, in order."""

    def __iter__(self) -> Iterator[Channel]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)

    @property
    def latest(self) -> Channel:
        """The one that joined last. Raises StopIteration if there is none."""
        return next(reversed(self._all))

    @property
    def people(self) -> list[Channel]:
        """Those that a person may be behind."""
        return [channel for channel in self._all if channel.is_person]

    @property
    def are_idle(self) -> bool:
        """All that is left are agents who wait on the line for their next customer."""
        return bool(self.live) and all(channel.is_waiting_agent for channel in self.live)

    def last_end(self, default: float) -> float:
        """When the last of those that are over ended; ``default`` if none is."""
        return max((channel.end.at for channel in self._all if channel.end is not None), default=default)

    def add(self, channel: Channel) -> None:
        self._all[channel] = self.live[channel] = None

    def remove(self, channel: Channel) -> None:
        """It hung up, or goes over to another call."""
        self.live.pop(channel, None)

    def take_over(self, other: CallChannels) -> list[Channel]:
        """Add the live channels of another call, which loses them, and what is known of hangups there. Returns them."""
        moved = list(other.live)
        for channel in moved:
            self.add(channel)
        other.live.clear()
        for at in other.hangups:
            bisect.insort(self.hangups, at)
        return moved

    def request_hangup(self, channel: Channel, at: float) -> None:
        """The channel's own end hangs up. In order of time."""
        channel.hangup_asked_at = at
        if channel.is_person:
            self.hangups.append(at)

    def has_hangup_near(self, at: float, within: float) -> bool:
        """A person hung up within so many seconds of that time."""
        first = bisect.bisect_right(self.hangups, at - within)
        return first < len(self.hangups) and self.hangups[first] < at + within
