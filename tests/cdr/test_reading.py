"""The rules' own cases; what they make of real calls is in test_facts.py."""

from __future__ import annotations

import attrs
import pytest

from tests.cdr.rows import EPOCH, row
from uac_trio.cdr.reading import CONNECTED, TALK_KNOWN, RowInCall, in_call, is_connected, is_talk_known

ONE = RowInCall(
    row=row(),
    index=0,
    before=None,
    before_index=-1,
    is_answered_again=False,
    is_dialled=False,
    is_originated=False,
    is_employees=False,
    has_consulted=False,
    is_doubled=False,
)
PICKED_UP_FROM = attrs.evolve(ONE, row=row(billsec=0), is_answered_again=True)
LONG = row(duration=20, billsec=20)


@pytest.mark.parametrize(
    ("each", "connected"),
    [
        (ONE, True),
        (attrs.evolve(ONE, row=row(dstchannel="", lastapp="VoiceMail")), False),
        (attrs.evolve(ONE, row=row(disposition="NO ANSWER", billsec=5)), False),
        (PICKED_UP_FROM, False),
        (attrs.evolve(PICKED_UP_FROM, is_answered_again=False), True),  # a talk of less than a second
        (attrs.evolve(PICKED_UP_FROM, is_answered_again=False, is_dialled=True), False),
        (attrs.evolve(ONE, row=row(lastapp="ConfBridge")), False),
    ],
)
def test_connected(each: RowInCall, connected: bool) -> None:
    assert is_connected(each) is connected


@pytest.mark.parametrize(
    ("each", "known"),
    [
        (attrs.evolve(ONE, row=row(duration=25, billsec=20)), True),
        (attrs.evolve(ONE, row=LONG), False),  # a menu may have answered
        (attrs.evolve(ONE, row=row(duration=2, billsec=2)), True),
        (attrs.evolve(ONE, row=LONG, is_employees=True), True),
        (attrs.evolve(ONE, row=row(duration=25, billsec=20, lastapp="Queue")), False),
        (attrs.evolve(ONE, row=row(duration=25, billsec=20), is_originated=True), False),
        (attrs.evolve(ONE, row=row(duration=25, billsec=20), has_consulted=True), False),
        (attrs.evolve(ONE, row=row(duration=25, billsec=20), is_doubled=True), False),
        (attrs.evolve(ONE, row=LONG, before=row(sequence=6)), True),  # picked up, joined
        (attrs.evolve(ONE, row=LONG, before=row(sequence=6, lastdata="PJSIP/102")), False),  # transferred blindly
        (attrs.evolve(ONE, row=row(duration=20, billsec=20, channel="Local/101@queue-1;2")), True),
    ],
)
def test_talk_known(each: RowInCall, known: bool) -> None:
    assert is_talk_known(each) is known


def test_the_last_rule_applies_always_and_each_names_its_source() -> None:
    for rules in (CONNECTED, TALK_KNOWN):
        assert rules[-1].applies(ONE)
        assert all(rule.when and rule.source for rule in rules)


def test_another_line_of_the_same_device_is_a_consultation() -> None:
    rows = [
        row(duration=30, billsec=28),
        row(
            uniqueid=f"{EPOCH + 5}.5",
            calldate="2026-11-28 03:53:30",
            channel="PJSIP/101-00000009",
            dstchannel="PJSIP/102-1",
        ),
    ]

    assert [each.has_consulted for each in in_call(rows, "", lambda _: False)] == [True, False]


def test_rows_of_one_channel_that_overlap_are_doubled() -> None:
    rows = [row(duration=10, billsec=10), row(dstchannel="PJSIP/102-1", duration=10, billsec=10, sequence=8)]

    assert [each.is_doubled for each in in_call(rows, "", lambda _: False)] == [True, True]
