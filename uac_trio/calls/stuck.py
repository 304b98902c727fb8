"""Calls whose last Hangup never came: found by what the graph shows, ended after a listing of channels.

A lost Hangup would keep a call, and its recording, open for as long as the connection lives. Frequent listings are no
way out: under load they can block Asterisk together with Originate. So a call becomes doubtful by evidence, one rare
listing is asked for, and what that does not show ends (tracker, reconciliation). Where listings are refused, evidence
and time must do.
"""

from __future__ import annotations

import attrs

from uac_trio.calls.call import Call
from uac_trio.calls.channel import Channel
from uac_trio.calls.deadlines import Deadlines

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

    _suspects: Deadlines[Call] = attrs.field(factory=Deadlines, init=False)
    """By call id: nothing is left to do for their channels; doubtful when they are due."""
    _doubtful: Deadlines[Call] = attrs.field(factory=Deadlines, init=False)
    """A listing was asked for; they end when they are due, if it did not show them."""
    _listing_wanted: bool = attrs.field(default=False, init=False)
    _listed_at: float = attrs.field(default=-LISTING_EVERY, init=False)

    def look(self, call: Call, at: float) -> None:
        """An event changed the call."""
        self.forget(call)
        live = call.channels.live
        if live and not call.conversation.talkers and all(is_spent(channel) for channel in live):
            self._suspects.add(call.id, call, at + DOUBTED_AFTER)

    def forget(self, call: Call) -> None:
        self._suspects.pop(call.id)
        self._doubtful.pop(call.id)

    @property
    def next_deadline(self) -> float:
        """When ``due`` has something to return or to do; infinity = never."""
        return min(self._suspects.first, self._doubtful.first)

    def due(self, at: float) -> list[Call]:
        """The calls that end now."""
        for call_id, call, _ in self._suspects.due(at):
            self._suspects.pop(call_id)
            self._doubtful.add(call_id, call, at + ENDED_AFTER)
            self._listing_wanted = True
        ending: list[Call] = []
        for call_id, call, deadline in self._doubtful.due(at):
            self._doubtful.pop(call_id)
            if call.seen_at > deadline - ENDED_AFTER:  # a listing has shown it meanwhile
                self._suspects.add(call_id, call, at + DOUBTED_AFTER)
            else:
                ending.append(call)
        return ending

    def take_listing_request(self, at: float) -> bool:
        """Whether to ask the PBX for its channels now; once for each request, and rarely."""
        if not self._listing_wanted or at - self._listed_at < LISTING_EVERY:
            return False
        self._listing_wanted, self._listed_at = False, at
        return True
