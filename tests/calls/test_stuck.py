"""Calls whose last Hangup never came: doubted, looked up once, ended."""

from __future__ import annotations

import math

from tests.calls.invariants import left_over
from tests.calls.scenes import ends, event, feed, list_channels, ringing
from tests.calls.simulator import Asterisk, Line
from tests.calls.streams import due
from uac_trio.calls.outcome import Outcome
from uac_trio.calls.stuck import DOUBTED_AFTER, ENDED_AFTER
from uac_trio.calls.tracker import CallTracker


def without_last_hangup() -> tuple[CallTracker, Asterisk, Line]:
    """A customer and 101 talked; the customer hung up, and the Hangup of 101's channel is lost."""
    pbx, _, (leg,) = ringing("101")
    pbx.answers(leg)
    pbx.now += 30.0
    pbx.hangs_up_talk(leg)
    last = max(number for number, (_, one) in enumerate(pbx.events) if one.name == "Hangup" and is_of(one.get, leg))
    del pbx.events[last]
    tracker = CallTracker("main")
    feed(tracker, pbx)
    return tracker, pbx, leg


def is_of(get: object, leg: Line) -> bool:
    return callable(get) and get("Uniqueid") == leg.uniqueid


def test_a_list_that_lacks_the_channel_ends_the_call() -> None:
    """The list is asked for a minute after the last event, once."""
    tracker, pbx, _ = without_last_hangup()
    silent_at = pbx.now
    assert not tracker.take_listing_request(silent_at + DOUBTED_AFTER - 1)
    due(tracker, silent_at + DOUBTED_AFTER + 1)
    assert tracker.take_listing_request(silent_at + DOUBTED_AFTER + 1)
    assert not tracker.take_listing_request(silent_at + DOUBTED_AFTER + 2)
    list_channels(tracker, [], silent_at + DOUBTED_AFTER + 2)
    facts = due(tracker, silent_at + DOUBTED_AFTER + 10)
    assert ends(facts)["101"][0] is Outcome.COMPLETED
    assert left_over(tracker) == {}


def test_evidence_and_time_end_the_call_where_listings_are_refused() -> None:
    tracker, pbx, _ = without_last_hangup()
    assert ends(due(tracker, pbx.now + DOUBTED_AFTER + ENDED_AFTER - 1)) == {}
    facts = due(tracker, pbx.now + DOUBTED_AFTER + ENDED_AFTER + 10)
    outcome, _ = ends(facts)["101"]
    assert outcome is Outcome.COMPLETED
    assert left_over(tracker) == {}


def test_a_channel_that_a_list_shows_goes_on() -> None:
    """Who is still on the line (a survey, a voicemail after the talk) is left alone, and looked up rarely."""
    tracker, pbx, leg = without_last_hangup()
    at = pbx.now + DOUBTED_AFTER + 1
    due(tracker, at)
    item = event(
        "CoreShowChannel", Uniqueid=leg.uniqueid, Linkedid=leg.linkedid, Channel=leg.name, ChannelState="6",
        Duration="00:02:00", Application="Playback",
    )  # fmt: skip
    asked = 0
    while at < pbx.now + 3600.0:
        assert ends(due(tracker, at)) == {}
        if tracker.take_listing_request(at):
            asked += 1
            list_channels(tracker, [item], at)
        at += 10.0
    assert len(tracker.live_calls()) == 1
    assert 5 < asked < 13


def test_who_waits_in_the_dialplan_is_not_doubted() -> None:
    """An IVR, a queue, a voicemail have no events for long."""
    pbx = Asterisk(lambda _: 0)
    pbx.calls_in("+79160000001", "4951000101")
    tracker = CallTracker("main")
    feed(tracker, pbx)
    assert tracker.next_deadline == math.inf
