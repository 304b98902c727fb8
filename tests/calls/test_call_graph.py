"""What each channel event changes in the graph."""

from __future__ import annotations

import math

import pytest

from tests.calls.pieces import view
from uac_trio.calls import channel_events
from uac_trio.calls.call_graph import CallGraph
from uac_trio.calls.channel import Channel, HangUp
from uac_trio.calls.channel_events import (
    AttendedTransferred,
    BlindTransferred,
    BridgeEntered,
    BridgeLeft,
    CdrWritten,
    ChannelChanged,
    ChannelCreated,
    ChannelEvent,
    ChannelHungUp,
    ChannelRenamed,
    ChannelView,
    DialBegan,
    DialEnded,
    DialProgressed,
    HangupRequested,
    HoldChanged,
    Lack,
    ListedChannel,
    Parked,
    PickedUp,
    QueueJoined,
    QueueLeft,
    ServerLacks,
    SnapshotEvent,
    Unparked,
    VoicemailStarted,
)
from uac_trio.calls.rules import TrackerRules

LINE = view("1.1", "PJSIP/trunk-01", linkedid="1.1", state=4, number="+79161234567")
PHONE = view("1.2", "PJSIP/101-02", linkedid="1.1", state=0, number="101")
COLLEAGUE = view("2.1", "PJSIP/102-03", linkedid="2.1", state=4, number="102")
OLD = view("9.9", "PJSIP/109-09", linkedid="9.9")


@pytest.fixture
def graph() -> CallGraph:
    """A line calls; other channels begin as they are needed."""
    made = CallGraph("main", TrackerRules())
    made.apply(ChannelCreated(event="Newchannel", channel=LINE), 1.0)
    return made


def channel(graph: CallGraph, of: ChannelView) -> Channel:
    found = graph.find(of)
    assert found is not None
    return found


def rings(graph: CallGraph) -> Channel:
    graph.apply(ChannelCreated(event="Newchannel", channel=PHONE), 2.0)
    graph.apply(DialBegan(event="DialBegin", dialled=PHONE, caller=LINE, dial_string="101"), 2.0)
    graph.apply(ChannelChanged(event="Newstate", channel=PHONE._replace(state=5)), 3.0)
    return channel(graph, PHONE)


def bridge(graph: CallGraph, *views: ChannelView, at: float = 5.0, name: str = "b", kind: str = "basic") -> None:
    for each in views:
        graph.apply(BridgeEntered(event="BridgeEnter", channel=each, bridge=name, bridge_type=kind), at)


def test_every_event_has_its_meaning() -> None:
    """All that an adapter may give, but for snapshots, which are reconciled."""
    defined = [each for each in vars(channel_events).values() if isinstance(each, type)]
    kinds = {each for each in defined if issubclass(each, ChannelEvent) and not issubclass(each, SnapshotEvent)}
    assert set(CallGraph._APPLY) == kinds - {ChannelEvent}


def test_a_dial(graph: CallGraph) -> None:
    """It ties the two, and the phone rings."""
    phone = rings(graph)
    assert phone.leg is not None
    assert (phone.leg.caller, phone.leg.dial_string, phone.leg.rang_at) == (channel(graph, LINE), "101", 3.0)
    assert phone.call is channel(graph, LINE).call
    assert not phone.is_originated


def test_an_originate(graph: CallGraph) -> None:
    """A dial without a caller, of the first channel of its call."""
    graph.apply(DialBegan(event="DialBegin", dialled=COLLEAGUE), 2.0)
    assert channel(graph, COLLEAGUE).is_originated
    graph.apply(ChannelCreated(event="Newchannel", channel=PHONE), 2.0)
    graph.apply(DialBegan(event="DialBegin", dialled=PHONE), 2.0)
    assert not channel(graph, PHONE).is_originated


def test_progress(graph: CallGraph) -> None:
    """A DialState rings also where the DialBegin did not reach us."""
    graph.apply(DialProgressed(event="DialState", dialled=PHONE, caller=LINE), 3.0)
    leg = channel(graph, PHONE).leg
    assert leg is not None
    assert (leg.caller, leg.rang_at) == (channel(graph, LINE), 3.0)


def test_the_end_of_a_dial(graph: CallGraph) -> None:
    """Its status and its time; of a channel that is gone only if it was dialled before."""
    phone = rings(graph)
    graph.apply(DialEnded(event="DialEnd", dialled=PHONE, caller=LINE, status="BUSY"), 4.0)
    assert phone.leg is not None
    assert (phone.leg.status, phone.leg.ended_at) == ("BUSY", 4.0)
    graph.apply(DialEnded(event="DialEnd", dialled=OLD._replace(uniqueid=""), status="BUSY"), 4.0)
    assert len(graph.channels) == 2


def test_a_hangup(graph: CallGraph) -> None:
    """Out of its bridge and its queue, kept in its call; those who heard it are touched."""
    phone = rings(graph)
    bridge(graph, LINE, PHONE)
    phone.call.queue.join("sales", phone, is_answered=True)
    now = graph.apply(ChannelHungUp(event="Hangup", channel=PHONE, cause=16, tech_cause="200"), 6.0)
    assert phone.end == HangUp(6.0, 16, "200")
    assert (phone.bridge, phone.call.queue.waiting) == (None, None)
    assert set(now.channels) == {phone, channel(graph, LINE)}
    assert phone in phone.call.channels
    assert graph.live_channels == [channel(graph, LINE)]
    assert graph.apply(ChannelHungUp(event="Hangup", channel=PHONE), 7.0).channels == {}
    assert phone.end == HangUp(6.0, 16, "200")


def test_a_hangup_request(graph: CallGraph) -> None:
    """The channel's own end asked for it; who waits in a queue has given up, unless the call was answered."""
    assert not graph.shows_hangup_requests
    line = channel(graph, LINE)
    line.call.queue.join("sales", line, is_answered=False)
    graph.apply(HangupRequested(event="HangupRequest", channel=OLD), 5.0)
    assert graph.shows_hangup_requests
    graph.apply(HangupRequested(event="HangupRequest", channel=LINE), 6.0)
    assert (line.hangup_asked_at, line.call.queue.has_given_up) == (6.0, True)


def test_a_rename(graph: CallGraph) -> None:
    """The name changes, the channel stays."""
    graph.apply(ChannelRenamed(event="Rename", uniqueid="1.1", name="PJSIP/trunk-99"), 2.0)
    graph.apply(ChannelRenamed(event="Rename", uniqueid="9.9", name="x"), 2.0)
    assert channel(graph, LINE).full_name == "PJSIP/trunk-99"


def test_bridges(graph: CallGraph) -> None:
    """Who enters and who leaves hears others; a swap takes the other out."""
    phone = rings(graph)
    bridge(graph, LINE, PHONE)
    line = channel(graph, LINE)
    assert graph.audible(line) == (line, phone)
    assert not graph.is_alone(line)
    now = graph.apply(BridgeLeft(event="BridgeLeave", channel=PHONE, bridge="b"), 6.0)
    assert set(now.channels) == {line, phone}
    assert graph.is_alone(phone)
    graph.apply(BridgeEntered(event="BridgeEnter", channel=PHONE, bridge="b", bridge_type="basic", swapped="1.1"), 7.0)
    assert line.bridge is None


def test_hold(graph: CallGraph) -> None:
    """Those who hear the channel are touched."""
    phone = rings(graph)
    bridge(graph, LINE, PHONE)
    now = graph.apply(HoldChanged(event="Hold", channel=PHONE, is_held=True), 6.0)
    assert (phone.is_on_hold, len(now.channels)) == (True, 2)


def test_transfers(graph: CallGraph) -> None:
    """The transferers are known, and all channels of an attended one are one call."""
    phone = rings(graph)
    graph.apply(BlindTransferred(event="BlindTransfer", transferer=PHONE, to="102"), 6.0)
    assert phone.is_transferer
    second, target = view("2.0", "PJSIP/101-07", linkedid="2.0"), COLLEAGUE
    for each in (second, target):
        graph.apply(ChannelCreated(event="Newchannel", channel=each), 6.0)
    now = graph.apply(
        AttendedTransferred(event="AttendedTransfer", first=PHONE, second=second, transferee=LINE, target=target), 7.0
    )
    assert len(now.merges) == 2
    assert channel(graph, second).is_transferer
    assert not channel(graph, target).is_transferer
    assert len({each.call.id for each in graph.live_channels}) == 1


def test_a_pickup(graph: CallGraph) -> None:
    """The picker is answered in the target's place."""
    phone = rings(graph)
    graph.apply(ChannelCreated(event="Newchannel", channel=COLLEAGUE), 3.0)
    graph.apply(PickedUp(event="Pickup", picker=COLLEAGUE, target=PHONE), 4.0)
    picker = channel(graph, COLLEAGUE)
    assert phone.leg is not None
    assert picker.leg is not None
    assert phone.leg.is_picked_from
    assert (picker.leg.status, picker.leg.caller, picker.call) == ("ANSWER", channel(graph, LINE), phone.call)


def test_parking(graph: CallGraph) -> None:
    """The parker's channel handed on; who retrieves the parkee is of its call."""
    phone = rings(graph)
    graph.apply(Parked(event="ParkedCall", parkee=LINE, parker="PJSIP/101"), 5.0)
    assert (phone.is_transferer, channel(graph, LINE).is_transferer) == (True, False)
    graph.apply(Unparked(event="UnParkedCall", parkee=LINE, retriever=COLLEAGUE), 6.0)
    assert channel(graph, COLLEAGUE).call is phone.call


def test_queues(graph: CallGraph) -> None:
    """The caller waits until they leave; then an answer that was reported may be heard."""
    line = channel(graph, LINE)
    graph.apply(QueueJoined(event="QueueCallerJoin", channel=LINE, queue="sales"), 2.0)
    assert (line.call.queue.waiting, line.call.queue.entry) == (line, "sales")
    graph.apply(DialBegan(event="DialBegin", dialled=PHONE, caller=LINE, dial_string="PJSIP/101"), 2.0)
    graph.apply(DialEnded(event="DialEnd", dialled=PHONE, caller=LINE, status="ANSWER"), 4.0)
    assert graph.bridge_due == math.inf
    graph.apply(QueueLeft(event="QueueCallerLeave", channel=LINE), 5.0)
    assert line.call.queue.waiting is None
    assert graph.bridge_due == 5.5


@pytest.mark.parametrize(
    "event",
    [
        ChannelChanged(event="NewCallerid", channel=OLD),
        HangupRequested(event="HangupRequest", channel=OLD),
        ChannelHungUp(event="Hangup", channel=OLD),
        BridgeLeft(event="BridgeLeave", channel=OLD, bridge="b"),
        HoldChanged(event="Hold", channel=OLD, is_held=True),
        BlindTransferred(event="BlindTransfer", transferer=OLD, to="1"),
        AttendedTransferred(event="AttendedTransfer", first=OLD),
        Parked(event="ParkedCall", parkee=OLD, parker="x"),
        QueueLeft(event="QueueCallerLeave", channel=OLD),
        VoicemailStarted(event="Newexten", channel=OLD),
        CdrWritten(event="Cdr", uniqueid="9.9"),
        ServerLacks(event="x", lack=Lack.QUEUE_MEMBERS),
    ],
)
def test_what_adopts_no_channel(graph: CallGraph, event: ChannelEvent) -> None:
    """An event in passing of a channel that is not known makes none."""
    assert graph.apply(event, 2.0).channels == {}
    assert list(graph.channels) == ["1.1"]


def test_missing_bridges(graph: CallGraph) -> None:
    """A first answer without a BridgeEnter: overdue once an answered Local channel goes away; then dials count."""
    phone = rings(graph)
    graph.apply(DialEnded(event="DialEnd", dialled=PHONE, caller=LINE, status="ANSWER"), 4.0)
    gone = ChannelHungUp(event="Hangup", channel=PHONE)
    assert not graph.is_bridge_overdue(gone)
    phone.half, phone.up_at = channel(graph, LINE), 4.0
    assert graph.is_bridge_overdue(gone)
    assert not graph.is_bridge_overdue(ChannelHungUp(event="Hangup", channel=OLD))
    assert not graph.is_bridge_overdue(BridgeLeft(event="BridgeLeave", channel=PHONE, bridge=""))
    phone.half = None
    graph.miss_bridges()
    assert graph.bridge_due == math.inf
    assert graph.audible(phone) == (phone, channel(graph, LINE))
    graph.expect_bridges(True)
    bridge(graph, LINE, PHONE)
    assert not graph._hearing.by_dial


def test_a_finished_call(graph: CallGraph) -> None:
    """It and its channels are dropped, and do not come again."""
    phone = rings(graph)
    bridge(graph, LINE, PHONE)
    graph.forget(phone.call)
    assert (graph.calls, graph.channels) == ({}, {})
    assert graph.is_gone("1.2")
    assert graph.find_call("1.1") is None
    assert graph.call_of_click("uac-1", 9.0).id == "main-uac-1"


def test_a_listed_channel(graph: CallGraph) -> None:
    """Adopted with its age, and with who dialled it."""
    found, _ = graph.restore(ListedChannel(view=COLLEAGUE, duration=30.0), 100.0)
    assert found is not None
    assert found.created_at == 70.0
    assert not graph.restore_leg(found, "", 100.0)
    graph.expect_listing(200.0)
    graph.apply(ChannelChanged(event="Newstate", channel=OLD), 150.0)
    assert graph.find(OLD) is None
    assert graph.find(None) is None
