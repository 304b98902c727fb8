"""A call to begin with, and how a tracker is fed with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs

from tests.calls.simulator import Asterisk, Line
from tests.calls.streams import due
from uac_trio.ami.message import Event
from uac_trio.calls.call import Direction
from uac_trio.calls.fact import Fact, ParticipationEnded
from uac_trio.calls.outcome import Outcome
from uac_trio.calls.summary import CallSummary
from uac_trio.calls.tracker import CallTracker

MISSED = CallSummary(
    call_id="main-1.0", linkedid="1.0", direction=Direction.INBOUND, customer="+79161234567", customer_name="",
    status=Outcome.NO_ANSWER, rang=("101",), answered_by="", final_agent="", ring_secs=5.0, talk_secs=None,
    transfers=(), recording="", queue="", did="", caller="", called="", merged_into_first=False, ended=True,
    participations=(), click=None,
)  # fmt: skip
"""An incoming call that 101 did not answer."""


def summary(**changed: Any) -> CallSummary:
    """That of a missed call, with other attributes."""
    return attrs.evolve(MISSED, **changed)


def feed(tracker: CallTracker, pbx: Asterisk, since: int = 0) -> list[Fact]:
    return [fact for at, event in pbx.events[since:] for fact in (*due(tracker, at), *tracker.process(event, at))]


def ringing(*extensions: str) -> tuple[Asterisk, Line, list[Line]]:
    pbx = Asterisk(lambda _: 0)
    customer = pbx.calls_in("+79161234567", "4951000101")
    legs = pbx.dial(customer, extensions).legs
    pbx.now += 1.0
    for leg in legs:
        pbx.rings(leg)
    return pbx, customer, list(legs)


def ends(facts: list[Fact]) -> dict[str, tuple[Outcome, float]]:
    return {fact.extension: (fact.outcome, fact.at) for fact in facts if isinstance(fact, ParticipationEnded)}


def list_channels(tracker: CallTracker, items: Sequence[Event], at: float) -> list[Fact]:
    """A complete listing: its items, and the event that closes it."""
    facts = [fact for item in items for fact in tracker.process(item, at)]
    return facts + tracker.process(event("CoreShowChannelsComplete", ListItems=str(len(items))), at)


def event(name: str, **headers: str) -> Event:
    return Event((("Event", name), *headers.items()))
