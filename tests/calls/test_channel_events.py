"""What channel events show of themselves."""

from __future__ import annotations

import pytest

from tests.calls.pieces import view
from uac_trio.calls import channel_events
from uac_trio.calls.channel_events import (
    AttendedTransferred,
    BlindTransferred,
    CdrWritten,
    ChannelCreated,
    ChannelEvent,
    ChannelState,
    DialBegan,
    PickedUp,
    ServerBooted,
    Unparked,
)

ONE, OTHER = view("1.1", "PJSIP/101-01"), view("1.2", "PJSIP/102-02")


@pytest.mark.parametrize(
    ("event", "because"),
    [
        (ChannelCreated(event="Newchannel", channel=ONE), "Newchannel PJSIP/101-01"),
        (DialBegan(event="DialBegin", dialled=ONE, caller=OTHER), "DialBegin PJSIP/101-01"),
        (PickedUp(event="Pickup", picker=ONE, target=OTHER), "Pickup PJSIP/101-01"),
        (Unparked(event="UnParkedCall", parkee=OTHER, retriever=ONE), "UnParkedCall PJSIP/101-01"),
        (BlindTransferred(event="BlindTransfer", transferer=ONE, to="102"), "BlindTransfer PJSIP/101-01"),
        (AttendedTransferred(event="AttendedTransfer", first=ONE, second=OTHER), "AttendedTransfer PJSIP/101-01"),
        (CdrWritten(event="Cdr", uniqueid="1.1"), "Cdr"),
        (ServerBooted(event="FullyBooted", uptime=1), "FullyBooted"),
    ],
)
def test_because(event: ChannelEvent, because: str) -> None:
    """AMI's name of the event, and the channel that it is about."""
    assert event.because == because


def test_states() -> None:
    """Numbers of Asterisk's ChannelState: a new state of AMI is read by its number."""
    assert [state.value for state in ChannelState] == list(range(8))
    assert channel_events.CALLING == (4, 6)


def test_every_event_is_frozen() -> None:
    """A channel event is a value: it may be kept and compared."""
    kinds = [
        kind for kind in vars(channel_events).values() if isinstance(kind, type) and issubclass(kind, ChannelEvent)
    ]
    assert len(kinds) > 20
    assert all(kind.__hash__ is not None for kind in kinds)
    assert ChannelCreated(event="Newchannel", channel=ONE) == ChannelCreated(event="Newchannel", channel=ONE)
