"""Who of a call's people hear the other side, how long they talk, and who answered."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import attrs

from uac_trio.calls.channel import Channel
from uac_trio.calls.participation import Stopwatch


@attrs.frozen
class Answer:
    """The first person to answer."""

    at: float
    by: str
    """The extension, or the outside number."""


@attrs.define
class Conversation:
    """All the talk of one call. Times are seconds since the epoch."""

    talkers: Final[dict[Channel, None]] = attrs.field(factory=dict)
    """Who hears the other side now."""
    talk: Final[Stopwatch] = attrs.field(factory=Stopwatch)
    """Runs while there are talkers."""
    answer: Answer | None = None
    final_agent: str = ""
    """The employee who talked last."""

    @property
    def answered_by(self) -> str:
        """The extension, or the outside number; "" without an answer."""
        return self.answer.by if self.answer is not None else ""

    @property
    def has_taken_place(self) -> bool:
        """People heard each other, or a person answered at least."""
        return self.answer is not None or self.talk.total > 0.0

    def includes(self, channels: Iterable[Channel]) -> bool:
        """One of them talks now."""
        return any(channel in self.talkers for channel in channels)

    def join(self, channel: Channel) -> None:
        """The channel's user hears the other side; ``keep_time`` has to follow."""
        self.talkers[channel] = None
        if channel.extension:
            self.final_agent = channel.extension

    def leave(self, channel: Channel) -> None:
        """They do not, or not any more; ``keep_time`` has to follow."""
        self.talkers.pop(channel, None)

    def keep_time(self, at: float) -> None:
        self.talk.run(bool(self.talkers), at)

    def resume(self, answer: Answer) -> None:
        """An earlier run of ours saw the answer, and no end."""
        self.talk.since, self.answer = answer.at, answer

    def end(self, at: float) -> None:
        """No one talks any more."""
        self.talkers.clear()
        self.keep_time(at)
