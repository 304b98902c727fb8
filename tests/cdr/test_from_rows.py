"""Rows of CDR as channel events."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.cdr.rows import EPOCH, row
from uac_trio.calls.channel_events import CdrWritten, ChannelCreated, ChannelHungUp, DialBegan, DialEnded
from uac_trio.cdr.call_rows import CallRows
from uac_trio.cdr.from_rows import Names, RowEvents, Timed
from uac_trio.cdr.reading import in_call
from uac_trio.cdr.row import CdrRow

PHONE, LINE = "PJSIP/101-00000002", "PJSIP/trunk-00000001"
NAMES = Names(uniqueids={LINE: f"{EPOCH}.1"}, extensions={PHONE: "101"})


def events(*rows: CdrRow, originated: str = "") -> list[Timed]:
    of_call = in_call(rows, originated, lambda name: "/101-" in name)
    return RowEvents(CallRows(of_call), NAMES, originated).events()


def named(found: list[Timed]) -> list[str]:
    return [type(timed.event).__name__ for timed in found]


def times(found: list[Timed], kind: type) -> list[float]:
    return [round(timed.at - EPOCH, 2) for timed in found if isinstance(timed.event, kind)]


def test_an_answered_call() -> None:
    """Rung at the start of the row, answered by its billsec, over at its end."""
    found = events(row())
    assert Counter(named(found)) == {
        "ChannelCreated": 2, "DialBegan": 1, "DialProgressed": 1, "ChannelChanged": 2, "DialEnded": 1,
        "BridgeEntered": 2, "BridgeLeft": 2, "CdrWritten": 1, "ChannelHungUp": 2,
    }  # fmt: skip
    assert (times(found, DialBegan), times(found, DialEnded)) == ([0.0], [2.0])
    assert times(found, CdrWritten) == [5.0]
    assert times(found, ChannelHungUp) == [5.0, 5.0]
    assert [timed.at for timed in found] == sorted(timed.at for timed in found)


def test_what_a_row_shows_of_its_channels() -> None:
    """The caller's number and what they dialled; the employee's extension; a made uniqueid where there is none."""
    line, phone = (each.event.channel for each in events(row()) if isinstance(each.event, ChannelCreated))
    assert (line.name, line.number, line.uniqueid, line.state) == (LINE, "79161234567", f"{EPOCH}.1", 4)
    assert (phone.name, phone.number, phone.uniqueid, phone.state) == (PHONE, "101", f"{PHONE}-{EPOCH}.7", 0)


@pytest.mark.parametrize(
    ("disposition", "status"),
    [
        ("NO ANSWER", "NOANSWER"),
        ("BUSY", "BUSY"),
        ("FAILED", "CHANUNAVAIL"),
        ("CONGESTION", "CONGESTION"),
        ("CANCEL", "CANCEL"),
    ],
)
def test_an_attempt_in_vain(disposition: str, status: str) -> None:
    """The disposition is all that a row holds of it."""
    found = events(row(disposition=disposition, billsec=0))
    (ended,) = (each.event for each in found if isinstance(each.event, DialEnded))
    assert ended.status == status
    assert times(found, DialEnded) == [5.0]


def test_refused_at_once() -> None:
    """A phone that was busy did not ring."""
    assert "DialProgressed" not in named(events(row(disposition="BUSY", billsec=0, duration=0)))
    assert "DialProgressed" in named(events(row(disposition="BUSY", billsec=0, duration=3)))


def test_a_queue() -> None:
    """The caller joined it before its member rang, and left it with the answer; the member's interface is named."""
    found = events(row(lastapp="Queue", lastdata="sales,tT,,30"))
    assert "QueueJoined" in named(found)
    assert "QueueLeft" in named(found)
    (began,) = (each.event for each in found if isinstance(each.event, DialBegan))
    assert began.dial_string.startswith("PJSIP/")


def test_a_conference() -> None:
    """Two people in one room: neither called the other."""
    assert "DialBegan" not in named(events(row(lastapp="ConfBridge")))


def test_an_originate() -> None:
    """Its first channel is dialled by no other."""
    found = events(row(), originated=f"{EPOCH}.1")
    first = next(each.event for each in found if isinstance(each.event, DialBegan))
    assert (first.dialled.name, first.caller) == (LINE, None)


def test_notes_alone() -> None:
    """Where CEL shows the channels, rows show the recording, the queue, the voicemail."""
    of_call = in_call([row()], "", lambda _: False)
    assert named(RowEvents(CallRows(of_call), NAMES).notes_and_holds()) == ["CdrWritten"]
