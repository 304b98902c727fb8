"""The two halves of Local channels: what enters one comes out of the other (core_local.c)."""

from __future__ import annotations

import attrs

from uac_trio.calls.channel import Channel


@attrs.define
class LocalPairs:
    """Finds the other half of a Local channel by its name."""

    _halves: dict[str, dict[str, Channel]] = attrs.field(factory=dict, init=False)
    """By the name that both share, then by half."""

    def add(self, channel: Channel) -> None:
        """Join the channel with its other half, if that is known."""
        if not channel.name.pair:
            return
        pair = self._halves.setdefault(channel.name.pair, {})
        pair[channel.name.half] = channel
        for other in pair.values():
            if other is not channel:
                channel.half, other.half = other, channel

    def remove(self, channel: Channel) -> None:
        """The channel is gone; its name may come again."""
        pair = self._halves.get(channel.name.pair)
        if pair is not None and pair.pop(channel.name.half, None) is not None and not pair:
            del self._halves[channel.name.pair]
