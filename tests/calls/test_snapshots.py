"""Lists of channels and restarts of Asterisk: who is gone, who is new, who goes on."""

from __future__ import annotations

import math

import pytest

from tests.calls.invariants import broken, left_over
from tests.calls.scenes import ends, event, feed, list_channels, ringing
from tests.calls.simulator import Asterisk
from tests.calls.streams import due
from uac_trio.ami.message import Event
from uac_trio.calls.fact import (
    CallEnded,
    Fact,
    Oddity,
    ParticipationBegan,
    ParticipationEnded,
)
from uac_trio.calls.outcome import Outcome
from uac_trio.calls.participation import Role
from uac_trio.calls.tracker import LISTED_WITHIN, CallTracker


def test_a_channel_that_vanished_ended_when_the_connection_was_lost() -> None:
    """The time without a connection is not counted as talk, and the end is marked as inferred."""
    pbx, _, (leg,) = ringing("101")
    pbx.answers(leg)
    tracker = CallTracker("main")
    feed(tracker, pbx)
    tracker.lost(pbx.now + 5.0)
    tracker.connected(pbx.now + 100.0)
    end = Event((("Event", "CoreShowChannelsComplete"), ("ListItems", "0")))
    facts = tracker.process(end, pbx.now + 100.0)
    facts += due(tracker, pbx.now + 200.0)
    (ended,) = [fact for fact in facts if isinstance(fact, ParticipationEnded)]
    assert (ended.at, ended.talk_secs, ended.inferred) == (pbx.now + 5.0, 5.0, True)
    assert sum(isinstance(fact, Oddity) for fact in facts) == 2
    assert left_over(tracker) == {}


def test_an_answer_that_was_not_seen() -> None:
    """101 answered while the connection was away: 101 talks since the snapshot, and 102 lost the call to 101."""
    pbx, _, (first, _) = ringing("101", "102")
    tracker = CallTracker("main")
    facts = feed(tracker, pbx)
    lost_at = pbx.now
    tracker.lost(lost_at)
    seen = len(pbx.events)
    pbx.now += 4.0
    pbx.answers(first)
    back_at = pbx.now + 3.0
    tracker.connected(back_at)
    for item in pbx.listing():
        facts += tracker.process(item, back_at)
    pbx.now = back_at + 10.0
    seen = len(pbx.events)
    pbx.hangs_up_talk(first)
    facts += feed(tracker, pbx, seen)
    facts += due(tracker, pbx.now + 60.0)
    assert ends(facts) == {
        "102": (Outcome.ANSWERED_ELSEWHERE, lost_at),
        "101": (Outcome.COMPLETED, back_at + 10.0),
    }
    assert broken(facts) == []


def test_a_channel_missing_from_the_list_is_only_suspected() -> None:
    """The list may be ahead of the events: its Hangup, if it comes in time, has the true end."""
    pbx, customer, (leg,) = ringing("101")
    tracker = CallTracker("main")
    tracker.connected(pbx.now - 10.0)
    feed(tracker, pbx)
    end = Event((("Event", "CoreShowChannelsComplete"), ("ListItems", "0")))
    assert tracker.process(end, pbx.now) == []
    seen = len(pbx.events)
    pbx.now += 0.5
    pbx.gives_up(customer)
    facts = feed(tracker, pbx, seen)
    facts += due(tracker, pbx.now + 60.0)
    assert ends(facts) == {"101": (Outcome.CANCELLED, pbx.now)}
    assert not [fact for fact in facts if isinstance(fact, Oddity)]
    assert leg.uniqueid not in tracker.graph.channels


def test_a_suspect_that_stays_silent_is_gone() -> None:
    """A Hangup that was lost leaves no ghost: a moment after the list the channel is taken for ended."""
    pbx, _, _ = ringing("101")
    tracker = CallTracker("main")
    tracker.connected(pbx.now - 10.0)
    feed(tracker, pbx)
    end = Event((("Event", "CoreShowChannelsComplete"), ("ListItems", "0")))
    tracker.process(end, pbx.now)
    assert tracker.next_deadline < math.inf
    facts = due(tracker, pbx.now + 60.0)
    assert [type(fact) for fact in facts if isinstance(fact, CallEnded)] == [CallEnded]
    assert left_over(tracker) == {}


def test_a_suspect_that_speaks_is_cleared() -> None:
    """An event of the channel after the list proves that it lives."""
    pbx, _, (leg,) = ringing("101")
    tracker = CallTracker("main")
    tracker.connected(pbx.now - 10.0)
    feed(tracker, pbx)
    tracker.process(Event((("Event", "CoreShowChannelsComplete"), ("ListItems", "0"))), pbx.now)
    seen = len(pbx.events)
    pbx.now += 0.5
    pbx.answers(leg)
    feed(tracker, pbx, seen)
    assert tracker.next_deadline == math.inf
    assert len(tracker.live_calls()) == 1


def test_a_list_with_items_missing_is_not_used() -> None:
    """Else half a list would end the other half's calls."""
    pbx, _, _ = ringing("101")
    tracker = CallTracker("main")
    feed(tracker, pbx)
    tracker.connected(pbx.now + 1.0)
    (fact,) = tracker.process(Event((("Event", "CoreShowChannelsComplete"), ("ListItems", "3"))), pbx.now + 1.0)
    assert isinstance(fact, Oddity)
    assert "announced 3 channels and listed 0" in fact.because
    assert not tracker.is_synced
    assert len(tracker.live_calls()) == 1


def test_a_call_in_progress_is_adopted_with_its_age() -> None:
    """A call that is there at our start is reported as of when it began, not as of now."""
    pbx, customer, (leg,) = ringing("101")
    pbx.answers(leg)
    pbx.now += 100.0
    tracker = CallTracker("main")
    tracker.connected(pbx.now)
    facts: list[Fact] = [fact for event in pbx.listing() for fact in tracker.process(event, pbx.now)]
    (began,) = [fact for fact in facts if isinstance(fact, ParticipationBegan)]
    assert began.customer == "+79161234567"
    assert began.began_at == pytest.approx(pbx.now - 101.0, abs=1.0)
    assert {call.id for call in tracker.live_calls()} == {f"main-{customer.uniqueid}"}


def test_a_call_goes_on_that_seemed_over_before_the_list() -> None:
    """All that was seen of it when we came was a phone that rang in vain; the list shows the caller, who waits on."""
    pbx = Asterisk(lambda _: 0)
    customer = pbx.calls_in("+79161234567", "4951000702")
    pbx.joins_queue(customer, "sales")
    seen = len(pbx.events)
    tracker = CallTracker("main")
    tracker.connected(pbx.now)
    (leg,) = pbx.dial(customer, ["101"], queue="sales").legs
    pbx.rings(leg)
    pbx.ends_dial(leg, "NOANSWER", 0)
    facts = feed(tracker, pbx, seen)
    facts += [fact for item in pbx.listing() for fact in tracker.process(item, pbx.now)]
    facts += tracker.tick(pbx.now + 10.0)
    assert {call.id for call in tracker.live_calls()} == {f"main-{customer.uniqueid}"}
    seen = len(pbx.events)
    pbx.now += 10.0
    pbx.gives_up(customer)
    facts += feed(tracker, pbx, seen)
    facts += due(tracker, pbx.now + 60.0)
    assert [fact.ended_at for fact in facts if isinstance(fact, CallEnded)] == [pbx.now]
    assert left_over(tracker) == {}


@pytest.mark.parametrize(("uptime", "is_over"), [("3", True), ("100000", False), ("", False)])
def test_a_restart_of_asterisk_ends_what_is_older(uptime: str, is_over: bool) -> None:
    """FullyBooted says for how long the server is up: a channel older than that is of its last life."""
    pbx, _, _ = ringing("101")
    tracker = CallTracker("main")
    feed(tracker, pbx)
    tracker.lost(pbx.now + 1.0)
    tracker.connected(pbx.now + 60.0)
    tracker.process(Event((("Event", "FullyBooted"), ("Uptime", uptime))), pbx.now + 60.0)
    assert (tracker.live_calls() == []) is is_over


def test_a_call_that_comes_back_to_life() -> None:
    """A new channel with the Linkedid of a call that seemed over opens it again; after its end is emitted, another."""
    pbx, customer, (leg,) = ringing("101")
    tracker = CallTracker("main")
    pbx.gives_up(customer)
    facts = feed(tracker, pbx)
    seen = len(pbx.events)
    pbx.now += 0.5
    late = pbx.new("PJSIP", "102", 0, of=customer)
    facts += feed(tracker, pbx, seen)
    assert tracker.next_deadline == math.inf
    seen = len(pbx.events)
    pbx.hang_up(late)
    facts += feed(tracker, pbx, seen)
    facts += due(tracker, pbx.now + 10.0)
    seen = len(pbx.events)
    pbx.now += 20.0
    pbx.hang_up(pbx.new("PJSIP", "103", 0, of=leg))
    facts += feed(tracker, pbx, seen)
    facts += due(tracker, pbx.now + 10.0)
    assert broken(facts) == []
    assert len({fact.call_id for fact in facts if isinstance(fact, CallEnded)}) == 2
    assert left_over(tracker) == {}


def test_late_events_of_an_ended_call_revive_nothing() -> None:
    """A Cdr, a NewCallerid long after the Hangup: the channel stays gone."""
    pbx, customer, _ = ringing("101")
    tracker = CallTracker("main")
    pbx.gives_up(customer)
    feed(tracker, pbx)
    due(tracker, pbx.now + 60.0)
    assert [fact for at, event in pbx.events for fact in tracker.process(event, pbx.now + 61.0)] == []
    assert left_over(tracker) == {}


def test_a_suspect_that_a_restart_ended_first() -> None:
    """Suspected by a listing, then gone with Asterisk: it ends once."""
    pbx, _, _ = ringing("101")
    tracker = CallTracker("main")
    tracker.connected(pbx.now - 10.0)
    facts = feed(tracker, pbx)
    tracker.process(event("CoreShowChannelsComplete", ListItems="0"), pbx.now)
    facts += tracker.process(event("FullyBooted", Uptime="0"), pbx.now + 30.0)
    facts += due(tracker, pbx.now + 60.0)
    assert broken(facts) == []
    assert left_over(tracker) == {}


def test_a_suspicion_that_a_late_tick_confirms() -> None:
    """The clock's tick may come late: the channel ended when it was due, not when the session broke after that."""
    pbx, _, _ = ringing("101")
    tracker = CallTracker("main")
    tracker.connected(pbx.now - 10.0)
    facts = feed(tracker, pbx)
    tracker.process(event("CoreShowChannelsComplete", ListItems="0"), pbx.now)
    tracker.lost(pbx.now + 50.0)
    facts += due(tracker, pbx.now + 60.0)
    assert broken(facts) == []
    assert max(fact.at for fact in facts) < pbx.now + 50.0


def test_a_click_through_local_whose_phone_rings() -> None:
    """In a click from before our start the employee is the caller; no fact is emitted until the customer is known."""
    base = {"Linkedid": "1.1", "Context": "click", "Exten": "101", "Duration": "00:00:00"}
    items = [
        event(name="CoreShowChannel", Uniqueid=uniqueid, Channel=channel, ChannelState=state, Application=application,
              CallerIDNum="101", ConnectedLineNum="", **base)
        for uniqueid, channel, state, application in (
            ("1.1", "Local/101@click-00000001;1", "5", "AppDial2"),
            ("1.2", "Local/101@click-00000001;2", "4", "Dial"),
            ("1.3", "PJSIP/101-00000001", "5", "AppDial"),
        )
    ]  # fmt: skip
    tracker = CallTracker("main")
    tracker.connected(1000.0)
    list_channels(tracker, items, 1000.0)
    dialled = event(
        name="DialBegin", Uniqueid="1.1", Channel="Local/101@click-00000001;1", Linkedid="1.1",
        DialString="79161234567@trunk",
        DestUniqueid="1.4", DestChannel="PJSIP/trunk-00000002", DestLinkedid="1.1", DestChannelState="0",
        DestCallerIDNum="79161234567",
    )  # fmt: skip
    facts = tracker.process(dialled, 1001.0)
    (began,) = [fact for fact in facts if isinstance(fact, ParticipationBegan)]
    assert (began.extension, began.role, began.customer) == ("101", Role.CALLER, "79161234567")


def test_events_between_the_login_and_the_list() -> None:
    """An event in passing shows little of a channel that is older than the connection; the list, which follows, shows
    what it is for. Else this click would be the employee's call to themselves."""
    phone = {"Uniqueid": "1.1", "Linkedid": "1.1", "Channel": "PJSIP/101-00000001", "CallerIDNum": "101"}
    tracker = CallTracker("main")
    tracker.connected(1000.0)
    early = event(name="Newstate", ChannelState="5", ChannelStateDesc="Ringing", ConnectedLineNum="101", **phone)
    assert tracker.process(early, 1000.1) == []
    assert not tracker.graph.channels
    item = event(name="CoreShowChannel", ChannelState="5", Application="AppDial2", Duration="00:00:01", **phone)
    list_channels(tracker, [item], 1000.2)
    tracker.process(event(name="Newstate", ChannelState="6", ChannelStateDesc="Up", **phone), 1001.0)
    dialled = event(
        name="DialBegin", DialString="79161234567@trunk", DestUniqueid="1.2", DestChannel="PJSIP/trunk-00000002",
        DestLinkedid="1.1", DestChannelState="0", DestCallerIDNum="79161234567", ChannelState="6", **phone,
    )  # fmt: skip
    (began,) = [fact for fact in tracker.process(dialled, 1002.0) if isinstance(fact, ParticipationBegan)]
    assert (began.extension, began.role, began.customer) == ("101", Role.CALLER, "79161234567")


def test_a_list_that_never_comes() -> None:
    """Where it is refused (the user may not read it), an older channel is taken from what is said of it."""
    phone = {"Uniqueid": "1.1", "Linkedid": "1.1", "Channel": "PJSIP/101-00000001", "CallerIDNum": "101"}
    tracker = CallTracker("main")
    tracker.connected(1000.0)
    tracker.process(event(name="Newstate", ChannelState="6", **phone), 1000.0 + LISTED_WITHIN)
    assert list(tracker.graph.channels) == ["1.1"]


def test_a_click_that_was_listed_before_it_rang() -> None:
    """Its only channel is the employee's phone, and shows the customer: it is no line that calls in."""
    pbx = Asterisk(lambda _: 0)
    leg = pbx.originates("105", "+79161234567")
    tracker = CallTracker("main")
    tracker.connected(pbx.now)
    facts = [fact for item in pbx.listing() for fact in tracker.process(item, pbx.now)]
    seen = len(pbx.events)
    pbx.now += 2.0
    pbx.rings(leg)
    facts += feed(tracker, pbx, seen)
    (began,) = [fact for fact in facts if isinstance(fact, ParticipationBegan)]
    assert (began.extension, began.role, began.customer) == ("105", Role.CALLER, "+79161234567")
