"""How a call as a whole ended, and which legs ring whom: the employee who clicked, or the other side."""

from __future__ import annotations

from collections.abc import Callable

import attrs

from uac_trio.calls.call import Call, Direction
from uac_trio.calls.channel import HangupCause, Leg
from uac_trio.calls.channel_events import ChannelState
from uac_trio.calls.outcome import Outcome, legs_outcome


def is_near(call: Call, leg: Leg) -> bool:
    """The leg rings the employee for whom an Originate was made, through any number of Local channels (main/dial.c);
    all others try the other side."""
    source = call.source
    return source is not None and source.is_originated and source.leg is not None and leg.chain[-1] is source.leg


def near_legs(call: Call) -> list[Leg]:
    """The legs that ring the devices of who clicked. Without an Originate there are none."""
    if call.source is None or not call.source.is_originated:
        return []
    return [leg for leg in call.legs if is_near(call, leg)]


def far_legs(call: Call) -> list[Leg]:
    """The attempts to reach the other side."""
    if call.source is None or not call.source.is_originated:
        return list(call.legs)
    return [leg for leg in call.legs if not is_near(call, leg)]


@attrs.frozen
class Rule:
    outcome: Outcome
    when: str
    """For people."""
    applies: Callable[[Call, bool], bool]
    source: str
    """Where it is known from: a file of Asterisk's, or a recording."""


def _has_left_after_pick_up(call: Call, shows_hangup_requests: bool) -> bool:
    """All phones that rang were picked up in vain, and the caller waited on, until they hung up."""
    source = call.source
    rang = [leg for leg in far_legs(call) if leg.rang_at is not None]
    return (
        shows_hangup_requests
        and bool(rang)
        and source is not None
        and source.has_hung_up
        and not source.is_originated
        and all(call.legs.is_picked_up(leg) for leg in rang)
    )


STATUS_RULES: tuple[Rule, ...] = (
    Rule(Outcome.COMPLETED, "a person answered", lambda call, _: call.conversation.answer is not None, "main/bridge.c"),
    Rule(
        Outcome.VOICEMAIL, "VoiceMail() took the call", lambda call, _: call.recordings.has_voicemail,
        "apps/app_voicemail.c; inbound_timeout_voicemail",
    ),
    Rule(
        Outcome.COMPLETED, "people heard each other in a conference",
        lambda call, _: call.conversation.talk.total > 0.0,
        "apps/app_confbridge.c; conference_did",
    ),
    Rule(
        Outcome.CANCELLED, "the caller left the queue", lambda call, _: call.queue.has_given_up,
        "apps/app_queue.c; queue_abandoned",
    ),
    Rule(
        Outcome.CANCELLED, "a consultation whose caller handed the place on while it rang",
        lambda call, _: bool(call.merged_into and call.legs),
        "attended_transfer_refer_blond",
    ),
    Rule(
        Outcome.CANCELLED, "all phones were picked up in vain, and the caller waited on until they hung up",
        _has_left_after_pick_up,
        "confirm_declined",
    ),
)  # fmt: skip
"""The first that applies decides; without one, what the attempts to reach the other side say."""


def call_status(call: Call, shows_hangup_requests: bool) -> Outcome:
    for rule in STATUS_RULES:
        if rule.applies(call, shows_hangup_requests):
            return rule.outcome
    return outward_outcome(call, shows_hangup_requests)


def outward_outcome(call: Call, shows_hangup_requests: bool) -> Outcome:
    """How it ended for a caller whom no person answered."""

    legs = far_legs(call)
    far = legs_outcome([leg for leg in legs if leg.status != "FORWARDED"] or legs, shows_hangup_requests)
    if far is not None:
        return Outcome.NO_ANSWER if far is Outcome.ANSWERED_ELSEWHERE else far
    near = near_legs(call)
    if near and not any(_is_picked_up(leg) for leg in near):
        return legs_outcome(near, shows_hangup_requests) or Outcome.NO_ANSWER
    return _without_legs(call, bool(near))


def _is_picked_up(leg: Leg) -> bool:
    return leg.channel.up_at is not None or leg.status == "ANSWER"


def _without_legs(call: Call, has_near: bool) -> Outcome:
    """No phone of the other side was tried: the dialplan alone dealt with the caller."""
    source = call.source
    if source is None:
        return Outcome.FAILED
    was_up = source.up_at is not None and not has_near
    if was_up and call.direction is Direction.INTERNAL:
        return Outcome.COMPLETED  # a conference room, a service number
    if source.view.state == ChannelState.BUSY and source.end is not None and source.end.cause == HangupCause.BUSY:
        return Outcome.BUSY  # the dialplan said so: do not disturb
    if source.has_hung_up:
        return Outcome.CANCELLED
    return Outcome.NO_ANSWER if was_up or call.is_adopted else Outcome.FAILED
