"""Which adapter reads which server."""

from __future__ import annotations

import pytest

from tests.calls.scenes import event
from uac_trio.calls.adapters import WANTED_EVENTS, AmiGeneration, adapter_for, generation_of, is_wanted
from uac_trio.calls.ami1 import WANTED_AMI1, Ami1Adapter
from uac_trio.calls.ami2 import WANTED_AMI2, Ami2Adapter
from uac_trio.calls.call import ClickOrder
from uac_trio.calls.channel_events import Lack
from uac_trio.calls.fact import Fact, NotShown
from uac_trio.calls.rules import TrackerRules
from uac_trio.calls.tracker import CallTracker

AMI_1, AMI_2 = "Asterisk Call Manager/1.3", "Asterisk Call Manager/11.0.0"


@pytest.mark.parametrize(
    ("banner", "generation", "adapter"),
    [
        ("Asterisk Call Manager/1.0", AmiGeneration.AMI_1, Ami1Adapter),
        ("Asterisk Call Manager/1.1", AmiGeneration.AMI_1, Ami1Adapter),
        (AMI_1, AmiGeneration.AMI_1, Ami1Adapter),
        ("Asterisk Call Manager/2.6.0", AmiGeneration.AMI_2, Ami2Adapter),
        ("Asterisk Call Manager/5.0.4", AmiGeneration.AMI_2, Ami2Adapter),
        ("Asterisk Call Manager/10.0.0", AmiGeneration.AMI_2, Ami2Adapter),
        (AMI_2, AmiGeneration.AMI_2, Ami2Adapter),
        ("Asterisk Call Manager/13.0.0", AmiGeneration.AMI_2, Ami2Adapter),
        ("Asterisk Call Manager Proxy/1.21", AmiGeneration.UNKNOWN, Ami2Adapter),
        ("Asterisk Call Manager/", AmiGeneration.UNKNOWN, Ami2Adapter),
        ("SSH-2.0-OpenSSH_9.2", AmiGeneration.UNKNOWN, Ami2Adapter),
        ("", AmiGeneration.UNKNOWN, Ami2Adapter),
    ],
)
def test_the_banner_chooses(banner: str, generation: AmiGeneration, adapter: type[object]) -> None:
    """1.x is AMI 1.x, which is not 10 or 11; an unknown version is read as AMI 2."""
    assert generation_of(banner) is generation
    assert type(adapter_for(banner, TrackerRules())) is adapter


def test_what_either_reads_is_not_dropped() -> None:
    """The parser drops unread what no adapter reads; it does not know which server it reads from."""
    assert {"Dial", "Bridge"} <= WANTED_AMI1 <= WANTED_EVENTS
    assert {"DialBegin", "BridgeEnter"} <= WANTED_AMI2 <= WANTED_EVENTS


def new_channel(tracker: CallTracker, at: float) -> list[Fact]:
    return tracker.process(
        event(
            "Newchannel", Channel="SIP/trunk-00000001", Uniqueid="1795413713.1", ChannelState="4", Exten="4951000101",
            CallerIDNum="+79161234567", Context="from-trunk",
        ),
        at,
    )  # fmt: skip


def dial(tracker: CallTracker, at: float) -> list[Fact]:
    """AMI 1.x: the trunk dials 101."""
    facts = tracker.process(
        event("Newchannel", Channel="SIP/101-00000002", Uniqueid="1795413713.2", ChannelState="0"), at
    )
    return facts + tracker.process(
        event(
            "Dial", SubEvent="Begin", Channel="SIP/trunk-00000001", Destination="SIP/101-00000002",
            UniqueID="1795413713.1", DestUniqueID="1795413713.2", Dialstring="101",
        ),
        at,
    )  # fmt: skip


def legs(tracker: CallTracker) -> list[str]:
    return [leg.channel.extension for call in tracker.calls.values() for leg in call.legs]


def test_a_server_is_read_by_its_banner() -> None:
    """Dial is of AMI 1.x alone."""
    for banner, found in ((AMI_2, []), (AMI_1, ["101"])):
        tracker = CallTracker("main")
        tracker.connected(1.0, banner)
        new_channel(tracker, 20.0)
        dial(tracker, 20.1)
        assert legs(tracker) == found


def test_what_an_adapter_knows_outlives_a_connection() -> None:
    """The same server, or one whose banner is not shown again, keeps its adapter: the channel is known to it."""
    for again in (AMI_1, ""):
        tracker = CallTracker("main")
        tracker.connected(1.0, AMI_1)
        new_channel(tracker, 20.0)
        tracker.lost(20.0)
        tracker.connected(20.05, again)
        dial(tracker, 40.0)
        assert legs(tracker) == ["101"]


def test_a_server_that_was_replaced_is_read_anew() -> None:
    """After an upgrade of the PBX the next connection has another banner."""
    tracker = CallTracker("main")
    tracker.connected(1.0, AMI_2)
    tracker.connected(1.0, AMI_1)
    new_channel(tracker, 20.0)
    dial(tracker, 20.1)
    assert legs(tracker) == ["101"]


@pytest.mark.parametrize("refused", [False, True])
def test_an_order_to_a_server_without_channel_ids(refused: bool) -> None:
    """AMI 1.x gives a channel an identity of its own: the adapter gives it that of our order, unless it was refused."""
    tracker = CallTracker("main")
    tracker.connected(1.0, AMI_1)
    tracker.ordered(ClickOrder("uac-1", "101", "+79161234567", "SIP/101"), 20.0)
    if refused:
        tracker.order_refused("uac-1")
    for state in ("0", "5"):
        name = "Newchannel" if state == "0" else "Newstate"
        tracker.process(event(name, Channel="SIP/101-00000002", Uniqueid="17.2", ChannelState=state), 20.1)
    ((call_id, call),) = tracker.calls.items()
    assert (call_id, call.orientation.customer, call.click.order is None) == (
        ("main-17.2", "", True) if refused else ("main-uac-1", "+79161234567", False)
    )


def test_what_a_server_lacks_is_a_fact() -> None:
    """A queue of AMI 1.x that rings phones without AgentCalled: the fact names the setting, each time."""
    tracker = CallTracker("main")
    tracker.connected(1.0, AMI_1)
    lacking: list[Lack] = []
    for number in (1, 2):
        caller = {"Channel": f"SIP/trunk-0000000{number}", "Uniqueid": f"17.{number}0"}
        headers = {"CallerIDNum": f"+7916123456{number}", "Context": "from-trunk", "Exten": "4951000101"}
        events = [
            event("Newchannel", ChannelState="4", **caller, **headers),
            event("Join", Queue="sales", Position="1", **caller),
            event("Newchannel", Channel=f"SIP/101-{number}", Uniqueid=f"17.{number}1", ChannelState="0"),
            event(
                "Newstate", Channel=f"SIP/101-{number}", Uniqueid=f"17.{number}1", ChannelState="5",
                ConnectedLineNum=headers["CallerIDNum"],
            ),
        ]  # fmt: skip
        facts = [fact for one in events for fact in tracker.process(one, 20.0 + number)]
        lacking += [fact.lack for fact in facts if isinstance(fact, NotShown)]
    assert lacking == [Lack.QUEUE_MEMBERS] * 2
    assert "eventwhencalled = yes in queues.conf" in Lack.QUEUE_MEMBERS.value


@pytest.mark.parametrize(
    ("name", "banner", "expected"),
    [
        ("Hangup", "Asterisk Call Manager/11.0.0", True),
        ("RTCPSent", "Asterisk Call Manager/11.0.0", False),
        ("Newexten", "Asterisk Call Manager/11.0.0", b"VoiceMail"),
        ("VarSet", "", b"MIXMONITOR_FILENAME"),
        ("Newexten", "Asterisk Call Manager/1.3", True),
        ("VarSet", "Asterisk Call Manager/1.1", True),
        ("RTCPSent", "Asterisk Call Manager/1.1", False),
    ],
)
def test_what_is_read(name: str, banner: str, expected: bool | bytes) -> None:
    """Of the dialplan's events few mean anything; AMI 1.x shows transfers by nothing but them."""
    assert is_wanted(name, banner) == expected
