"""The legs to the people of one call, and which of them were picked up."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Final

import attrs

from uac_trio.calls.channel import Leg

MOST_PICKED_UP = 100
"""Devices of one call that were picked up: people pick up a few, and to look at thousands would take minutes."""


@attrs.define
class CallLegs:
    """In the order in which they began."""

    _all: Final[dict[Leg, None]] = attrs.field(factory=dict)
    _picked_up: Final[dict[Leg, None]] = attrs.field(factory=dict)
    """Those whose device was picked up, whether or not a conversation followed."""

    def __iter__(self) -> Iterator[Leg]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)

    def __contains__(self, leg: Leg) -> bool:
        return leg in self._all

    def add(self, leg: Leg) -> None:
        self._all[leg] = None

    def pick_up(self, leg: Leg) -> None:
        self._picked_up[leg] = None

    def is_picked_up(self, leg: Leg) -> bool:
        return leg in self._picked_up

    def latest_picked_up(self) -> Iterator[Leg]:
        """The latest first, as many as are looked at for each leg that ends."""
        return islice(reversed(self._picked_up), MOST_PICKED_UP)

    def take_over(self, leg: Leg, other: CallLegs) -> None:
        """Add a leg of another call, as it is known there."""
        self.add(leg)
        if other.is_picked_up(leg):
            self.pick_up(leg)
