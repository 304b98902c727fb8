"""The result of a click on a number in the CRM, in a word for counters and in words for people.

A click is known by the identity of its first channel, which we choose. It has two stages, the employee's phone and the
customer's, and the word says in which it ended.
"""

from __future__ import annotations

import attrs

from uac_trio.calls.call import Call, ClickOrder, Direction, OriginateFailure
from uac_trio.calls.call_outcome import far_legs, near_legs
from uac_trio.calls.channel import Channel, HangupCause, Leg
from uac_trio.calls.channel_events import OriginateEnded
from uac_trio.calls.names import parse_channel_name
from uac_trio.calls.outcome import Outcome, legs_outcome
from uac_trio.calls.rules import TrackerRules

CHANNEL_ID_PREFIX = "uac-"
"""How the calls we originate differ from all others: their first channel's Uniqueid begins so."""

OUTCOMES = (
    "completed", "transferred",
    "employee-no-answer", "employee-busy", "employee-rejected", "employee-unreachable", "employee-hung-up",
    "not-dialled",
    "customer-no-answer", "customer-busy", "customer-rejected", "customer-invalid-number", "customer-unreachable",
    "unknown",
)  # fmt: skip
"""Every word that ``click_result`` may return."""

_CAUSES = {
    HangupCause.UNALLOCATED: "the number does not exist",
    HangupCause.NO_ROUTE_TRANSIT: "there is no route to it",
    HangupCause.NO_ROUTE: "there is no route to it",
    HangupCause.SUBSCRIBER_ABSENT: "the phone is not registered",
    HangupCause.NUMBER_CHANGED: "the number has changed",
    HangupCause.OUT_OF_ORDER: "the line is out of order",
    HangupCause.INVALID_NUMBER: "the number is incomplete or wrong",
    HangupCause.FACILITY_REJECTED: "the provider does not allow it",
    HangupCause.CONGESTION: "no line is free",
    HangupCause.NETWORK_OUT_OF_ORDER: "the network is out of order",
    HangupCause.TEMPORARY_FAILURE: "a failure that may pass",
    HangupCause.SWITCH_CONGESTION: "the switch is overloaded",
    HangupCause.NO_SUCH_LINE: "no such line is free",
    HangupCause.NOT_AVAILABLE: "no codec in common, or not available",
    HangupCause.TIMER_EXPIRED: "it did not react in time",
    HangupCause.REJECTED: "the call was refused",
}
_WRONG_NUMBER = (HangupCause.UNALLOCATED, HangupCause.NUMBER_CHANGED, HangupCause.INVALID_NUMBER)

_REASONS = {1: "hung up", 3: "no answer", 5: "busy", 8: "congestion, or refused"}
"""OriginateResponse's Reason (main/pbx.c); 0 is every other failure, busy ones of today's versions included."""


def is_click(call: Call) -> bool:
    """We originated it."""
    return call.click.order is not None or call.linkedid.startswith(CHANNEL_ID_PREFIX)


def order_of(event: OriginateEnded, order: ClickOrder | None, rules: TrackerRules) -> OriginateFailure:
    """What a failed Originate was asked for: as ordered, or as its response names channel and number."""
    if order is not None:
        return OriginateFailure(event.reason, order.employee, order.number)
    endpoint = parse_channel_name(event.asked.removesuffix("/n") + "-").endpoint
    employee = rules.devices.get(endpoint) or (endpoint if rules.is_extension(endpoint) else "")
    is_internal = rules.is_extension(event.exten)
    number = event.exten if is_internal else event.exten.removeprefix(rules.outside_prefix)
    return OriginateFailure(event.reason, employee, number)


@attrs.frozen
class ClickResult:
    """The end of a click."""

    outcome: str
    """One of OUTCOMES."""
    words: str
    """A sentence for people."""


def click_result(call: Call, at: float, shows_hangup_requests: bool) -> ClickResult | None:
    """The result of a call that is over; None if it was no click of ours. ``at``: seconds since the epoch."""
    return ClickResult(*_result(call, at, shows_hangup_requests)) if is_click(call) else None


def _result(call: Call, at: float, shows_hangup_requests: bool) -> tuple[str, str]:
    far, near = far_legs(call), near_legs(call)
    if call.conversation.answer is not None:
        return _answered(call, at)
    if far:
        return _other_side(call, far, shows_hangup_requests)
    source = call.source
    is_up = any(call.legs.is_picked_up(leg) for leg in near)
    if is_up or (source is not None and source.up_at is not None):
        if any(channel.has_hung_up and channel.extension for channel in call.channels):
            return "employee-hung-up", "the employee hung up before the number was dialled"
        if call.is_inferred or call.is_adopted:
            return "unknown", "the employee answered; what followed was not seen"
        return "not-dialled", "the employee answered, but the dialplan dialled no number (see its context)"
    return _employee(call, near, shows_hangup_requests)


def _answered(call: Call, at: float) -> tuple[str, str]:
    secs = round(call.conversation.talk.read(at))
    who = _who(call)
    if any(transfer.answered for transfer in call.transfers):
        return "transferred", f"{who} answered and was transferred; {secs} s of talk in all"
    return "completed", f"{who} answered; they talked {secs} s"


def _other_side(call: Call, legs: list[Leg], shows_hangup_requests: bool) -> tuple[str, str]:
    """The employee answered, the other side was dialled and did not answer."""
    who = _who(call)
    match legs_outcome(legs, shows_hangup_requests):
        case Outcome.BUSY:
            return "customer-busy", f"{who} was busy"
        case Outcome.REJECTED:
            return "customer-rejected", f"{who} rejected the call"
        case Outcome.CANCELLED:
            return "employee-hung-up", f"the employee hung up before {who} answered"
        case Outcome.FAILED:
            cause = _cause([leg.channel for leg in legs])
            word = "customer-invalid-number" if cause in _WRONG_NUMBER else "customer-unreachable"
            return word, f"{who} could not be reached: {_in_words(cause)}"
        case _:
            rang = _rang(legs)
            return "customer-no-answer", f"{who} did not answer{f' within {rang} s' if rang else ''}"


def _employee(call: Call, legs: list[Leg], shows_hangup_requests: bool) -> tuple[str, str]:
    """The employee's phone was called, or was to be, and they did not answer."""
    channels = [leg.channel for leg in legs]
    match legs_outcome(legs, shows_hangup_requests):
        case Outcome.BUSY:
            return "employee-busy", "the employee's phone was busy"
        case Outcome.REJECTED:
            return "employee-rejected", "the employee rejected the call"
        case Outcome.FAILED:
            return "employee-unreachable", f"the employee's phone could not be reached: {_in_words(_cause(channels))}"
        case Outcome():
            rang = _rang(legs)
            return "employee-no-answer", f"the employee did not answer{f' within {rang} s' if rang else ''}"
        case None:
            pass
    # No phone of theirs was called: not registered, no such device, or nothing that the Local channel led to.
    cause = _cause([channel for channel in (call.source,) if channel is not None])
    reason = call.click.failure.reason if call.click.failure is not None else 0
    why = _in_words(cause) if cause else _REASONS.get(reason, "")
    hint = f": {why}" if why else "; is it registered, and is there such a device?"
    return "employee-unreachable", f"the employee's phone could not be called{hint}"


def _who(call: Call) -> str:
    return "the colleague" if call.direction is Direction.INTERNAL else "the customer"


def _rang(legs: list[Leg]) -> int:
    """Seconds from the first ring to the end of the last."""
    rang = [leg for leg in legs if leg.rang_at is not None and leg.ended_at is not None]
    if not rang:
        return 0
    return round(max(leg.ended_at or 0.0 for leg in rang) - min(leg.rang_at or 0.0 for leg in rang))


def _cause(channels: list[Channel]) -> int:
    """The last that says anything."""
    ends = (channel.end for channel in reversed(channels) if channel.end is not None)
    return next((end.cause for end in ends if end.cause), 0)


def _in_words(cause: int) -> str:
    words = _CAUSES.get(HangupCause(cause)) if cause in HangupCause._value2member_map_ else None
    return f"{words} (cause {cause})" if words else f"cause {cause}" if cause else "no cause was given"
