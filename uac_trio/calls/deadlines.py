"""What is due at a time, the first one at hand at once."""

from __future__ import annotations

import math
from itertools import takewhile
from typing import Generic, TypeVar

import attrs

T = TypeVar("T")


@attrs.define
class Deadlines(Generic[T]):
    """Values by a key, each with the time (seconds since the epoch) at which it is due.

    All are added with the same delay, so they are in order of time, and ``first``, which is asked with every event, is
    at hand, and ``due`` looks no further than what is due.
    """

    first: float = attrs.field(default=math.inf, init=False)
    """When the first one is due; infinity if there is none."""
    _entries: dict[str, tuple[T, float]] = attrs.field(factory=dict, init=False)

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: str) -> bool:
        return key in self._entries

    def add(self, key: str, value: T, at: float) -> None:
        """``value`` is due at ``at``, also if it was due at another time before."""
        self.pop(key)
        if not self._entries:
            self.first = at
        self._entries[key] = value, at

    def pop(self, key: str) -> T | None:
        """It is not due any more."""
        entry = self._entries.pop(key, None)
        if entry is None:
            return None
        if entry[1] == self.first:
            self.first = next((at for _, at in self._entries.values()), math.inf)
        return entry[0]

    def due(self, at: float) -> list[tuple[str, T, float]]:
        """What is due by ``at``: key, value, and when it was due. It stays until it is popped."""
        entries = takewhile(lambda entry: entry[1][1] <= at, self._entries.items())
        return [(key, value, due_at) for key, (value, due_at) in entries]
