"""Who called whom: the direction of a call, its customer and its operator, concluded from the graph in one place."""

from __future__ import annotations

import re
from collections.abc import Iterator

import attrs

from uac_trio.calls.call import Call, ClickOrder, Direction, Orientation, Remembered
from uac_trio.calls.call_outcome import is_near, near_legs
from uac_trio.calls.channel import Channel, Leg
from uac_trio.calls.channel_events import CALLING
from uac_trio.calls.click import is_click
from uac_trio.calls.endpoint import Evidence, Identity
from uac_trio.calls.names import known
from uac_trio.calls.participation import Role
from uac_trio.calls.rules import TrackerRules

_OUTSIDE_NUMBER = re.compile(r"\+?\d{6,}")


def orient(call: Call, channel: Channel, rules: TrackerRules) -> Orientation:
    """What the call's orientation is once ``channel`` is as it is now."""
    if call.click.order is not None and call.direction is None:
        return _ordered(call.click.order, rules)
    leg = channel.leg
    if leg is None or not channel.is_person:
        return _by_source(call, channel)
    if is_near(call, leg):
        return _by_near_leg(call, leg, rules)
    return _by_far_leg(call, leg)


def _by_source(call: Call, channel: Channel) -> Orientation:
    """A line that calls us begins an incoming call."""
    if call.direction is None and call.is_adopted and channel.extension:
        source = call.source
        if source is not None and source in channel.bridge_mates and source.is_line and not source.is_originated:
            return inbound(source)  # who called whom was over before we came: as ``at_the_end``
    is_calling = channel.view.state in CALLING and channel is call.source
    if call.direction is not None or not is_calling or not channel.is_line or channel.is_originated:
        now = call.orientation
        if channel is call.source and now.direction is Direction.INBOUND and not now.customer:
            return attrs.evolve(now, customer=channel.view.number)  # an analogue line learns the number later
        return now
    return inbound(channel)


def by_listing(call: Call, channel: Channel) -> Orientation:
    """A line that a listing shows, and that no channel dialled: it called us, though the call may have the identity of
    an agent's channel that waited for it."""
    is_calling = channel.view.state in CALLING and channel.leg is None
    return inbound(channel) if call.direction is None and is_calling and channel.is_line else call.orientation


def inbound(source: Channel) -> Orientation:
    return Orientation(
        direction=Direction.INBOUND,
        customer=source.origin.number or source.view.number,
        customer_name=source.origin.caller_name,
        did=known(source.origin.exten),
    )


def _by_near_leg(call: Call, leg: Leg, rules: TrackerRules) -> Orientation:
    """The first leg of an Originate: the employee who clicked, on all their devices; or a customer first."""
    now, source = call.orientation, call.source or leg.channel
    customer = now.customer
    if not leg.channel.extension:
        return attrs.evolve(now, direction=Direction.OUTBOUND, customer=customer or leg.number)
    # What the employee's phone shows is the customer: of ours the connected line, of others' orders the CallerID.
    # Once they have picked up, the dialplan sets the CallerID for the other side.
    shown = source.view.connected if is_click(call) else source.view.number if leg.channel.up_at is None else ""
    if not customer and not rules.is_extension(shown):
        customer = shown
    if now.direction is Direction.INTERNAL:
        return attrs.evolve(now, operator=_operator(call, now))
    return attrs.evolve(now, direction=Direction.OUTBOUND, customer=customer, operator=_operator(call, now))


def _operator(call: Call, now: Orientation) -> str:
    """Who clicked: as ordered; else who picked up, else whose phone rang first, else whose phone was tried first."""
    if call.click.order is not None:
        return call.click.order.employee
    legs = [leg for leg in near_legs(call) if leg.channel.extension]
    picked_up = [leg for leg in legs if call.legs.is_picked_up(leg)]
    rang = [leg for leg in legs if leg.rang_at is not None]
    candidates = [leg.channel.extension for leg in picked_up or rang or legs]
    return now.operator if now.operator in candidates or not candidates else candidates[0]


def _by_far_leg(call: Call, leg: Leg) -> Orientation:
    """A leg to the other side shows the direction by who is at its ends."""
    now, source = call.orientation, call.source or leg.channel
    if now.customer and now.direction in (Direction.INBOUND, Direction.OUTBOUND):
        return now
    if now.direction is None and source is leg.channel:  # the first that was seen of the call is whom it called
        if leg.caller is None:
            return now
        source = leg.caller
    if now.direction is None and source.is_line and not source.is_originated:
        return inbound(source)
    return _to_colleague(call, leg, source) if leg.channel.extension else _to_line(now, leg, source)


def _to_line(now: Orientation, leg: Leg, source: Channel) -> Orientation:
    if not _is_number_certain(leg):
        return now
    operator = now.operator
    if now.direction in (None, Direction.INTERNAL):
        operator = operator or source.extension
    return attrs.evolve(now, direction=Direction.OUTBOUND, operator=operator, customer=leg.number)


def _to_colleague(call: Call, leg: Leg, source: Channel) -> Orientation:
    now = call.orientation
    if now.direction is None and source.extension:
        # A source that did not begin the call: its beginning was over before we came.
        operator = source.extension if source.uniqueid == call.linkedid else now.operator
        called = known(source.origin.exten) or leg.channel.extension
        return attrs.evolve(now, direction=Direction.INTERNAL, operator=operator, called=called)
    if now.direction is Direction.OUTBOUND and now.operator:  # a click on a colleague's number
        return attrs.evolve(now, direction=Direction.INTERNAL, called=leg.channel.extension)
    return now


def _is_number_certain(leg: Leg) -> bool:
    """An IAX2 channel rings before its DialBegin (chan_iax2.c, iax2_call), with the dialled digits as its CallerID. So
    without a DialString the number waits until the leg is answered or over."""
    return bool(leg.dial_string) or leg.channel.up_at is not None or leg.ended_at is not None


def _ordered(order: ClickOrder, rules: TrackerRules) -> Orientation:
    """A click of ours: employee and number are known before any phone rings."""
    if rules.is_extension(order.number):
        return Orientation(direction=Direction.INTERNAL, operator=order.employee, called=order.number)
    return Orientation(direction=Direction.OUTBOUND, operator=order.employee, customer=order.number)


def shown_by(call: Call, leg: Leg, rules: TrackerRules) -> Iterator[tuple[Channel, Identity]]:
    """Whose channels they are, as the ends of this leg show."""
    device = _device_of_click(call, leg, rules)
    if device is not None:
        yield leg.channel, device
    if call.source is not None and _is_line_that_calls_in(call, call.source, leg, rules):
        yield call.source, Identity("", Evidence.CALLS_IN)


def _device_of_click(call: Call, leg: Leg, rules: TrackerRules) -> Identity | None:
    """The identity of a device that an Originate rang for an employee: of a click of ours any device, since we know who
    clicked; else one that nothing shows to be of another, such as their mobile."""
    source = call.source
    if source is None or not is_near(call, leg):
        return None
    if source.up_at is not None and leg.began_at > source.up_at:
        return None  # they have answered, and handed the call on
    if call.click.order is not None:
        return Identity(call.click.order.employee, Evidence.CLICK)
    if leg.channel.extension:
        return None
    asked = source.name.endpoint  # of Local/101@from-internal
    if source is not leg.channel and rules.is_extension(asked):
        return Identity(asked, Evidence.CLICK)
    return None


def _is_line_that_calls_in(call: Call, source: Channel, leg: Leg, rules: TrackerRules) -> bool:
    """Only its name makes the source an employee (``33915``), though it calls as a line does: with an outside number,
    and to an outside number at which an employee's phone rings. What is originated shows the customer, and is itself
    the employee's phone."""
    is_open = call.direction is None and source.identity.evidence is Evidence.NAME and not source.is_originated
    if not is_open or not leg.channel.extension:
        return False
    number, dialled = source.origin.number, source.origin.exten
    return number != "" and not rules.is_extension(number) and _OUTSIDE_NUMBER.fullmatch(dialled) is not None


def at_the_end(call: Call, rules: TrackerRules) -> Orientation:
    """The orientation of a call that is over, where nothing concluded it while it went on."""
    now, source = call.orientation, call.source
    if now.direction is not None:
        return now
    if source is not None and source.is_line and not source.is_originated:
        return inbound(source)
    if source is not None and source.extension:
        called = known(source.origin.exten)
        return attrs.evolve(now, direction=Direction.INTERNAL, operator=source.extension, called=called)
    return _of_failed_click(call, rules) if is_click(call) else now


def _of_failed_click(call: Call, rules: TrackerRules) -> Orientation:
    """No phone was ever called: all that is known is what was asked for."""
    now, failure = call.orientation, call.click.failure
    if failure is None:
        return attrs.evolve(now, direction=Direction.OUTBOUND)
    if rules.is_extension(failure.number):
        return attrs.evolve(now, direction=Direction.INTERNAL, operator=failure.employee, called=failure.number)
    customer = now.customer or failure.number
    return attrs.evolve(now, direction=Direction.OUTBOUND, operator=failure.employee, customer=customer)


def remembered(parts: list[Remembered]) -> Orientation:
    """As an earlier run reported it."""
    first = next((part for part in parts if part.role is Role.CALLER), parts[0])
    operator = first.extension if first.role is Role.CALLER else ""
    if first.direction is Direction.INTERNAL:
        return Orientation(direction=first.direction, operator=operator, called=first.customer)
    return Orientation(direction=first.direction, operator=operator, customer=first.customer)
