"""What a row shows, and what it only seems to show: ordered rules, each with where it is known from.

The scenarios named as sources are those of the recordings that the tests play.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs

from uac_trio.calls.names import parse_channel_name
from uac_trio.cdr.row import CdrRow, Disposition

CONFERENCES = ("ConfBridge", "MeetMe")
"""Applications whose rows pair people who are in one room (apps/app_confbridge.c)."""

CERTAIN = 2.0
"""Seconds by which a talk time may be off to be given at all."""

AT_ONCE = 0.05
"""Seconds within which no phone answers, but Answer() in the dialplan does."""


@attrs.frozen(kw_only=True)
class RowInCall:
    """A row among the other rows of its call: all that the rules may ask."""

    row: CdrRow
    index: int
    """Of this row, by their order."""
    before: CdrRow | None
    """The row before it of the same channel."""
    before_index: int
    """-1: none."""
    is_answered_again: bool
    """A row of the same channel follows that was answered by another one."""
    is_dialled: bool
    """Its channel was called itself: a callee who asks a colleague, or whose Local channel went out of the way."""
    is_originated: bool
    """Its channel is the first of an Originate: a click."""
    is_employees: bool
    """Its channel is an employee's own device, which called."""
    has_consulted: bool
    """The employee called a colleague meanwhile, on another line or by a feature code."""
    is_doubled: bool
    """Its channel was connected with another one at the same time, as its rows have it."""

    @property
    def far(self) -> str:
        """Name of the channel it was connected with."""
        return self.row.dstchannel

    @property
    def is_local(self) -> bool:
        """The half of a Local channel that runs the dialplan."""
        return parse_channel_name(self.row.channel).half == "2"


@attrs.frozen
class Rule:
    result: bool
    when: str
    """For people."""
    applies: Callable[[RowInCall], bool]
    source: str
    """Where it is known from: a file of Asterisk's, or a recording."""


CONNECTED: tuple[Rule, ...] = (
    Rule(
        False, "no other channel: a voicemail, a menu, a queue, a busy tone answered",
        lambda each: not each.far,
        "main/cdr.c; click_customer_busy, park_retrieved",
    ),
    Rule(
        False, "not ANSWERED, whatever its billsec: the channel was answered before",
        lambda each: each.row.disposition is not Disposition.ANSWERED,
        "main/cdr.c, billsec is the channel's; q_ringall_abandoned",
    ),
    Rule(
        False, "answered for less than a second, and then by another: a pickup, a Local channel out of the way",
        lambda each: each.row.billsec < 1 and each.is_answered_again,
        "main/pickup.c; pickup_directed, fm_desk_answers",
    ),
    Rule(
        False, "a callee's own row of no length: their Local channel went out of the way",
        lambda each: each.row.billsec < 1 and each.is_dialled,
        "core_unreal.c; fm_desk_answers",
    ),
    Rule(
        False, "two people in one conference room: neither called the other",
        lambda each: each.row.app in CONFERENCES,
        "apps/app_confbridge.c; conference_did",
    ),
    Rule(True, "answered by this channel", lambda _: True, "main/cdr.c"),
)  # fmt: skip
"""Whether the two channels of the row were connected. The first that applies decides; the last applies always."""


TALK_KNOWN: tuple[Rule, ...] = (
    Rule(
        False, "the employee asked a colleague: how long the customer was held is not written down",
        lambda each: each.has_consulted,
        "attended_refer, attended_feature",
    ),
    Rule(
        False, "a transfer that came back: its rows overlap",
        lambda each: each.is_doubled,
        "main/features.c, atxfernoanswertimeout; rarely_recalled",
    ),
    Rule(
        True, "too short to be wrong by more than that",
        lambda each: each.row.billsec <= CERTAIN,
        "whole seconds",
    ),
    Rule(
        False, "a queue's member: the queue had answered before, so the ringing counts",
        lambda each: each.row.app == "Queue" and not each.is_local,
        "apps/app_queue.c; office_queue_ringall",
    ),
    Rule(
        False, "a click: the employee had answered before, so the customer's ringing counts",
        lambda each: each.is_originated,
        "main/pbx.c, Originate; click_then_blind_transfer",
    ),
    Rule(
        True, "it goes on with another channel, and nothing was dialled: joined, picked up, retrieved",
        lambda each: each.before is not None and (each.before.app, each.before.data) == (each.row.app, each.row.data),
        "main/cdr.c, a row for each pair; pickup_directed, attended_feature",
    ),
    Rule(
        False, "the channel had been answered before this was dialled, so the ringing counts",
        lambda each: each.before is not None,
        "blind_refer",
    ),
    Rule(
        True, "the employee's own call",
        lambda each: each.is_employees,
        "out_answered",
    ),
    Rule(
        True, "the inner half of a Local channel begins unanswered",
        lambda each: each.is_local,
        "core_local.c; q_linear_reject",
    ),
    Rule(
        False, "answered as it began: the dialplan did, and a menu and the ringing count",
        lambda each: each.row.answered_at - each.row.start < AT_ONCE,
        "apps/app_read.c; office_ivr_two_levels",
    ),
    Rule(True, "it rang, and was answered", lambda _: True, "in_answered"),
)  # fmt: skip
"""Whether the billsec of a connected row is the talk. The first that applies decides; the last applies always."""


def is_connected(each: RowInCall) -> bool:
    return next(rule.result for rule in CONNECTED if rule.applies(each))


def is_talk_known(each: RowInCall) -> bool:
    return next(rule.result for rule in TALK_KNOWN if rule.applies(each))


def in_call(rows: Sequence[CdrRow], originated: str, is_device: Callable[[str], bool]) -> list[RowInCall]:
    """The rows of one call, which are in order, as the rules see them.

    ``originated``: uniqueid of the first channel of an Originate, "" without one. ``is_device``: is a channel of this
    name an employee's?
    """
    dialled = {row.dstchannel for row in rows if row.app not in CONFERENCES}
    of_channel: dict[str, list[int]] = {}
    for index, row in enumerate(rows):
        of_channel.setdefault(row.uniqueid, []).append(index)
    answered = {
        uniqueid: [rows[index] for index in indexes if rows[index].disposition is Disposition.ANSWERED]
        for uniqueid, indexes in of_channel.items()
    }
    asking = [row for row in rows if row.channel in dialled or row.linkedid != rows[0].linkedid]
    if any(row.linkedid != rows[0].linkedid for row in rows):
        asking = list(rows)  # seen from a consultation, the call itself is the other one
    places = {index: place for indexes in of_channel.values() for place, index in enumerate(indexes)}
    found = []
    for index, row in enumerate(rows):
        own, place = of_channel[row.uniqueid], places[index]
        before = own[place - 1] if place else -1
        found.append(
            RowInCall(
                row=row,
                index=index,
                before=rows[before] if place else None,
                before_index=before,
                is_answered_again=any(
                    other.order > row.order and other.dstchannel not in ("", row.dstchannel)
                    for other in answered[row.uniqueid]
                ),
                is_dialled=row.channel in dialled,
                is_originated=bool(originated) and row.uniqueid == originated,
                is_employees=not place and row.channel not in dialled and is_device(row.channel),
                has_consulted=any(_consults(other, row) for other in asking),
                is_doubled=any(_overlaps(other, row) for other in answered[row.uniqueid]),
            )
        )
    return found


def _consults(other: CdrRow, row: CdrRow) -> bool:
    """``other`` begins while an employee of ``row`` talks: by a feature code, or from their device on another line."""
    if other.channel == row.dstchannel and other.billsec >= 1 and other.dstchannel != row.channel:
        return row.start <= other.start <= row.end + 1
    return bool(on_another_line(other, row)) and row.answered_at - 1 <= other.start <= row.end


def on_another_line(other: CdrRow, row: CdrRow) -> str:
    """Of the two channels of ``row`` the one whose device made the call of ``other``; "": neither did."""
    if other.linkedid == row.linkedid:
        return ""
    device = other.channel.rpartition("-")[0]
    ends = (row.dstchannel, row.channel)
    return next((end for end in ends if end != other.channel and end.rpartition("-")[0] == device), "")


def _overlaps(other: CdrRow, row: CdrRow) -> bool:
    if other is row:
        return False
    return min(other.end, row.end) - max(other.answered_at, row.answered_at) > CERTAIN
