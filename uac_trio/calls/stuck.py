"""Calls whose last Hangup never came: found by what the graph shows, ended after a listing of channels.

A lost Hangup would keep a call, and its recording, open for as long as the connection lives. Frequent listings are no
way out: under load they can block Asterisk together with Originate. So a call becomes doubtful by evidence, one rare
listing is asked for, and what that does not show ends (tracker, reconciliation). Where listings are refused, evidence
and time must do.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import takewhile

import attrs

from uac_trio.calls.call import Call
from uac_trio.calls.channel import Channel

DOUBTED_AFTER = 60.0
"""Seconds without an event after which a call is doubtful whose remaining channels have nothing left to do."""

ENDED_AFTER = 600.0
"""Seconds from then on after which it ends, if no listing shows it."""

LISTING_EVERY = 300.0
"""Seconds between two listings that are asked for, at least."""


def is_spent(channel: Channel) -> bool:
    """Nothing is left for the channel but its Hangup: it left its bridge, was refused, or its end hung up."""
    leg = channel.leg
    is_refused = leg is not None and leg.status not in ("", "ANSWER")
    return is_refused or channel.has_hung_up or (channel.was_bridged and channel.bridge is None)


@attrs.define
class StuckCalls:
    """The doubtful calls of one PBX. All times are seconds since the epoch."""

    _doubted_at: dict[str, tuple[Call, float]] = attrs.field(factory=dict, init=False)
    """Call id to deadline, in order of time."""
    _ended_at: dict[str, tuple[Call, float]] = attrs.field(factory=dict, init=False)
    """The same of calls for which a listing was asked."""
    _listing_wanted: bool = attrs.field(default=False, init=False)
    _listed_at: float = attrs.field(default=-LISTING_EVERY, init=False)

    def look(self, call: Call, at: float) -> None:
        """An event changed the call."""
        self._doubted_at.pop(call.id, None)
        self._ended_at.pop(call.id, None)
        live = call.channels.live
        if live and not call.conversation.talkers and all(is_spent(channel) for channel in live):
            self._doubted_at[call.id] = (call, at + DOUBTED_AFTER)

    def forget(self, call: Call) -> None:
        self._doubted_at.pop(call.id, None)
        self._ended_at.pop(call.id, None)

    @property
    def next_deadline(self) -> float | None:
        """When ``due`` has something to return or to do."""
        if not self._doubted_at and not self._ended_at:
            return None
        firsts = (next(iter(each.values()), None) for each in (self._doubted_at, self._ended_at))
        return min(deadline for first in firsts if first is not None for deadline in first[1:])

    def due(self, at: float) -> list[Call]:
        """The calls that end now."""
        for call_id in _due(self._doubted_at, at):
            call, _ = self._doubted_at.pop(call_id)
            self._ended_at[call_id] = (call, at + ENDED_AFTER)
            self._listing_wanted = True
        ending: list[Call] = []
        for call_id in _due(self._ended_at, at):
            call, deadline = self._ended_at.pop(call_id)
            if call.seen_at > deadline - ENDED_AFTER:  # a listing has shown it meanwhile
                self._doubted_at[call_id] = (call, at + DOUBTED_AFTER)
            else:
                ending.append(call)
        return ending

    def take_listing_request(self, at: float) -> bool:
        """Whether to ask the PBX for its channels now; once for each request, and rarely."""
        if not self._listing_wanted or at - self._listed_at < LISTING_EVERY:
            return False
        self._listing_wanted, self._listed_at = False, at
        return True


def _due(deadlines: Mapping[str, tuple[Call, float]], at: float) -> list[str]:
    """What is not due yet ends the search, so that the cost does not grow with the calls that wait."""
    return [call_id for call_id, _ in takewhile(lambda entry: entry[1][1] <= at, deadlines.items())]
