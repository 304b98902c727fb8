"""The whole path of a call without I/O: AMI messages and the time in, CRM requests out.

The daemon and ``replay`` both run this, so they cannot differ. Several PBXes go side by side, with a tracker each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import attrs

from uac_trio.ami.message import Event, Message
from uac_trio.calls.call import Direction
from uac_trio.calls.fact import Fact, OfParticipation
from uac_trio.calls.rules import TrackerRules
from uac_trio.calls.tracker import CallTracker
from uac_trio.vtiger.account import VtigerAccount
from uac_trio.vtiger.request import CallbackRequest, Step
from uac_trio.vtiger.translate import Link, Translator, occurrence_of

MAX_SKEW = 5.0
"""Seconds the PBX's clock may seem to differ from what we think of it before we think again: under load an event is
that late at most."""


def _ignore(_: Fact) -> None:
    """Nobody observes."""


@attrs.frozen
class Begun:
    """A DialBegin or StartApp of an earlier run that no Hangup followed."""

    request: CallbackRequest
    answered_at: float | None


@attrs.define
class _Exchange:
    """One PBX: its calls, its clock, and what an earlier run left open there."""

    tracker: CallTracker
    ahead: float = 0.0
    """Seconds by which its clock is ahead of ours; 0 while its events carry no Timestamp."""
    last_at: float = 0.0
    left_open: list[Begun] = attrs.field(factory=list)


@attrs.define
class Pipeline:
    """Times handed in are ours, in seconds since the epoch; times in requests are the PBX's own where its events carry
    a ``Timestamp`` (``timestampevents=yes`` in manager.conf)."""

    rules: TrackerRules
    account: VtigerAccount
    link: Link
    observe: Callable[[Fact], None] = _ignore
    """Is shown every fact: for logs, timelines, metrics."""
    _exchanges: dict[str, _Exchange] = attrs.field(factory=dict, init=False)
    _translator: Translator = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._translator = Translator(self.account, self.link)

    def connected(self, pbx: str, at: float) -> list[CallbackRequest]:
        """Logged in. The snapshot that is asked for arrives through ``received`` like everything."""
        exchange = self._exchange(pbx)
        exchange.tracker.connected(max(at + exchange.ahead, exchange.last_at))
        return []

    def received(self, pbx: str, messages: Sequence[Message], at: float) -> list[CallbackRequest]:
        """What the PBX said, in the order of the wire."""
        exchange = self._exchange(pbx)
        requests: list[CallbackRequest] = []
        for message in messages:
            if not isinstance(message, Event):
                continue
            event_at = self._time_of(exchange, message, at)
            requests += self._due(exchange, event_at)
            requests += self._translate(exchange.tracker.process(message, event_at))
            if message.name == "CoreShowChannelsComplete" and exchange.left_open:
                requests += self._close_left_open(exchange, event_at)
        return requests

    def lost(self, pbx: str, at: float) -> list[CallbackRequest]:
        """The connection is gone; its calls go on until a snapshot tells what became of them."""
        exchange = self._exchange(pbx)
        exchange.tracker.lost(max(at + exchange.ahead, exchange.last_at))
        return []

    def tick(self, at: float) -> list[CallbackRequest]:
        """Do what is due by the clock."""
        requests: list[CallbackRequest] = []
        for exchange in self._exchanges.values():
            requests += self._due(exchange, at + exchange.ahead)
        return requests

    def finish(self, at: float) -> list[CallbackRequest]:
        """The end of a replay: nothing more will come."""
        requests: list[CallbackRequest] = []
        for exchange in self._exchanges.values():
            requests += self._translate(exchange.tracker.finish(max(at + exchange.ahead, exchange.last_at)))
        return requests

    @property
    def next_deadline(self) -> float | None:
        """When ``tick`` has something to do, by our clock."""
        deadlines = ((exchange.tracker.next_deadline, exchange.ahead) for exchange in self._exchanges.values())
        return min((deadline - ahead for deadline, ahead in deadlines if deadline is not None), default=None)

    @property
    def live_calls(self) -> int:
        return sum(len(exchange.tracker.live_calls()) for exchange in self._exchanges.values())

    def restore(self, pbx: str, left_open: Iterable[Begun]) -> None:
        """Tell what an earlier run began on this PBX and did not end.

        With the first snapshot those still in progress are carried on, the others ended at its time.
        """
        exchange = self._exchange(pbx)
        exchange.left_open = list(left_open)
        exchange.tracker.remember(
            {
                (begun.request.call_id, begun.request.extension): occurrence_of(begun.request)
                for begun in exchange.left_open
            }
        )

    def _exchange(self, pbx: str) -> _Exchange:
        exchange = self._exchanges.get(pbx)
        if exchange is None:
            exchange = self._exchanges[pbx] = _Exchange(CallTracker(pbx, self.rules))
        return exchange

    def _time_of(self, exchange: _Exchange, event: Event, at: float) -> float:
        """The event's own time, never before the one before it."""
        stamp = event.get("Timestamp")
        event_at = at + exchange.ahead
        if stamp:
            try:
                event_at = float(stamp)
            except ValueError:
                pass  # some event's own header of that name; the arrival time is good enough
            else:
                if abs(event_at - at - exchange.ahead) > MAX_SKEW:
                    exchange.ahead = event_at - at
                    exchange.last_at = min(exchange.last_at, event_at)
        exchange.last_at = max(event_at, exchange.last_at)
        return exchange.last_at

    def _due(self, exchange: _Exchange, at: float) -> list[CallbackRequest]:
        requests: list[CallbackRequest] = []
        while (deadline := exchange.tracker.next_deadline) is not None and deadline <= at:
            requests += self._translate(exchange.tracker.tick(deadline))
        return requests

    def _close_left_open(self, exchange: _Exchange, at: float) -> list[CallbackRequest]:
        taking_part = exchange.tracker.taking_part()
        alive = {call.id for call in exchange.tracker.live_calls()}
        requests: list[CallbackRequest] = []
        for begun in exchange.left_open:
            request = begun.request
            if request.step is Step.START_APP:
                goes_on = request.call_id in alive
            else:
                goes_on = (request.call_id, request.extension) in taking_part
            if not goes_on:
                requests += self._translator.close(request, begun.answered_at, at)
        exchange.left_open = []
        return requests

    def _translate(self, facts: Iterable[Fact]) -> list[CallbackRequest]:
        requests: list[CallbackRequest] = []
        for fact in facts:
            self.observe(fact)
            is_internal = isinstance(fact, OfParticipation) and fact.direction is Direction.INTERNAL
            if not (is_internal and self.rules.internal == "ignore"):
                requests += self._translator.translate(fact)
        return requests
