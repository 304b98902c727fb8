"""The queues in which the caller of one call waits, or waited."""

from __future__ import annotations

import attrs

from uac_trio.calls.channel import Channel


@attrs.frozen
class QueueVisit:
    """A caller went into a queue."""

    queue: str
    waiting: Channel | None = None
    """The channel that waits there now."""
    has_given_up: bool = False
    """The caller hung up while they waited."""


@attrs.define
class Queueing:
    """The latest visit, and the queue that counts for the whole call."""

    visit: QueueVisit | None = None
    """The latest."""
    entry: str = ""
    """The queue the call came in through: the last before an answer, else the first of all."""

    @property
    def waiting(self) -> Channel | None:
        """The channel that waits in a queue now."""
        return self.visit.waiting if self.visit is not None else None

    @property
    def has_given_up(self) -> bool:
        """The caller hung up while they waited."""
        return self.visit is not None and self.visit.has_given_up

    def has_let_through(self, channel: Channel) -> bool:
        """There was a visit, and the channel does not wait any more."""
        return self.visit is not None and self.visit.waiting is not channel

    def join(self, queue: str, channel: Channel, *, is_answered: bool) -> None:
        """The channel waits in ``queue`` from now on. ``is_answered``: a person answered the call before."""
        self.visit = QueueVisit(queue, channel)
        if not is_answered or not self.entry:
            self.entry = queue

    def leave(self, channel: Channel) -> None:
        """The channel does not wait any more, if it did."""
        if self.visit is not None and self.visit.waiting is channel:
            self.visit = attrs.evolve(self.visit, waiting=None)

    def give_up(self, channel: Channel) -> None:
        """The channel's user hangs up: while they wait they leave without an answer."""
        if self.visit is not None and self.visit.waiting is channel:
            self.visit = attrs.evolve(self.visit, has_given_up=True)

    def take_over(self, other: Queueing) -> None:
        """Another call became part of this one: who waits there now counts more than who waited here."""
        if self.visit is None or other.waiting is not None:
            self.visit = other.visit
        self.entry = self.entry or other.entry
