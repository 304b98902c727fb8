"""Rows of CEL as channel events, with the dials of CDR."""

from __future__ import annotations

import json

import pytest

from tests.cdr.rows import EPOCH, row
from uac_trio.calls.channel_events import BridgeEntered, ChannelHungUp, DialBegan, DialEnded
from uac_trio.cdr.call_rows import CallRows
from uac_trio.cdr.cel import CelRow, cel_row
from uac_trio.cdr.from_cel import CelEvents, is_enough
from uac_trio.cdr.from_rows import Names, RowEvents, Timed
from uac_trio.cdr.reading import in_call

PHONE, LINE = "PJSIP/101-00000002", "PJSIP/trunk-00000001"
ANNAS, CUSTOMERS = f"{EPOCH}.2", f"{EPOCH}.1"


def cel(
    kind: str, uniqueid: str, after: float, *, exten: str = "", app: str = "", data: str = "", **extra: str
) -> CelRow:
    name = PHONE if uniqueid == ANNAS else LINE
    return cel_row(
        {
            "eventtype": kind, "eventtime": EPOCH + after, "uniqueid": uniqueid, "linkedid": CUSTOMERS,
            "channame": name, "exten": exten, "appname": app, "appdata": data, "extra": json.dumps(extra),
        },
        0,
    )  # fmt: skip


CALL = [
    cel("CHAN_START", CUSTOMERS, 0, exten="4951000101"),
    cel("CHAN_START", ANNAS, 0),
    cel("ANSWER", ANNAS, 2),
    cel("BRIDGE_ENTER", ANNAS, 2, bridge_id="b"),
    cel("BRIDGE_ENTER", CUSTOMERS, 2, bridge_id="b"),
    cel("BRIDGE_EXIT", ANNAS, 5, bridge_id="b"),
    cel("HANGUP", ANNAS, 5, hangupcause="16", hangupsource=PHONE),
    cel("HANGUP", CUSTOMERS, 5, hangupcause="16", hangupsource=PHONE, dialstatus="ANSWER"),
]


def events(rows: list[CelRow], originated: str = "", **columns: object) -> list[Timed]:
    of_call = in_call([row(**columns)], originated, lambda _: False)
    names = Names(uniqueids={}, extensions={})
    return CelEvents(RowEvents(CallRows(of_call), names, originated), rows, originated).events()


def named(found: list[Timed]) -> list[str]:
    return [type(timed.event).__name__ for timed in found]


def test_a_call() -> None:
    """Channels, bridges and ends of CEL, the dial of CDR; who hung up asked for it once."""
    assert named(events(CALL)) == [
        "ChannelCreated", "ChannelCreated", "DialBegan", "DialProgressed", "ChannelChanged", "DialEnded",
        "BridgeEntered", "BridgeEntered", "CdrWritten", "BridgeLeft", "HangupRequested", "ChannelHungUp",
        "ChannelHungUp",
    ]  # fmt: skip


def test_the_dial() -> None:
    """Who dialled whom, with what stood behind the technology."""
    (began,) = (each.event for each in events(CALL) if isinstance(each.event, DialBegan))
    assert began.caller is not None
    assert (began.dialled.name, began.caller.name, began.dial_string) == (PHONE, LINE, "101")


@pytest.mark.parametrize(
    ("cause", "source", "dial_status", "status"),
    [
        ("17", "", "", "BUSY"),
        ("26", "", "ANSWER", "CANCEL"),
        ("21", PHONE, "BUSY", "NOANSWER"),
        ("16", "", "NOANSWER", "NOANSWER"),
        ("16", "", "", "CANCEL"),
        ("16", "", "ANSWER", "CANCEL"),
    ],
)
def test_an_attempt_in_vain(cause: str, source: str, dial_status: str, status: str) -> None:
    """By its own cause, by itself, else by what its caller's Dial() came to."""
    rows = [
        *CALL[:2],
        cel("HANGUP", ANNAS, 4, hangupcause=cause, hangupsource=source),
        cel("HANGUP", CUSTOMERS, 5, hangupcause="16", dialstatus=dial_status),
    ]
    found = events(rows, disposition="NO ANSWER", billsec=0)
    (ended,) = (each.event for each in found if isinstance(each.event, DialEnded))
    assert ended.status == status
    assert next(each.event.cause for each in found if isinstance(each.event, ChannelHungUp)) == int(cause)


@pytest.mark.parametrize(
    ("extra", "app", "kind"),
    [({}, "Dial", "basic"), ({"bridge_technology": "holding_bridge"}, "Park", "holding"), ({}, "ConfBridge", "base")],
)
def test_bridges(extra: dict[str, str], app: str, kind: str) -> None:
    """Parking and queues play music; a conference has people of many calls."""
    rows = [*CALL[:2], cel("BRIDGE_ENTER", ANNAS, 2, app=app, bridge_id="b", **extra)]
    (entered,) = (each.event for each in events(rows) if isinstance(each.event, BridgeEntered))
    assert (entered.bridge, entered.bridge_type) == ("b", kind)


def test_a_queue() -> None:
    """The caller waits from the application on until a bridge."""
    rows = [CALL[0], cel("APP_START", CUSTOMERS, 1, app="Queue", data="sales,tT"), CALL[4]]
    assert [each for each in named(events(rows)) if each.startswith("Queue")] == ["QueueJoined", "QueueLeft"]


def test_an_originate() -> None:
    """No channel dials its first one."""
    found = events([cel("CHAN_START", ANNAS, 0), cel("ANSWER", ANNAS, 2)], originated=ANNAS)
    shown = [each for each in named(found) if each != "CdrWritten"]
    assert shown == ["ChannelCreated", "DialBegan", "DialProgressed", "ChannelChanged", "DialEnded"]


@pytest.mark.parametrize(
    ("rows", "connected", "enough"),
    [
        (CALL, True, True),
        ([], False, False),
        (CALL[1:], True, False),  # a channel is missing
        (CALL[:6], True, False),  # nothing ended
        ([each for each in CALL if "BRIDGE" not in each.type], True, False),
        ([each for each in CALL if "BRIDGE" not in each.type], False, True),
    ],
)
def test_whether_it_is_enough(rows: list[CelRow], connected: bool, enough: bool) -> None:
    """``events`` of cel.conf may leave out channels, ends or bridges."""
    one = row() if connected else row(disposition="NO ANSWER", billsec=0)
    assert is_enough(CallRows(in_call([one], "", lambda _: False)), rows) is enough
