"""How an attempt to reach a device ended: an ordered table of rules over what is known of the leg.

Asterisk's DialStatus is coarse (NOANSWER covers SIP 480, 404, 403 and 603; main/dial.c, ``hanguphandler``), so the
cause of the called leg decides where it has one. And it is early: Queue() and FollowMe() report ANSWER when a device is
picked up, before announcements and confirmation. So a conversation is what people could hear, never a status.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import attrs

from uac_trio.calls.channel import Channel, HangupCause, Leg

if TYPE_CHECKING:
    from uac_trio.calls.call import Call


class Outcome(enum.Enum):
    """How one employee's part in a call ended. Also how a call ended, less the last two."""

    COMPLETED = "completed"
    NO_ANSWER = "no-answer"
    """It rang until Asterisk gave up."""
    BUSY = "busy"
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    """The caller gave up."""
    FAILED = "failed"
    """Could not be reached at all."""
    VOICEMAIL = "voicemail"
    ANSWERED_ELSEWHERE = "answered-elsewhere"
    """Another employee talked to the caller."""
    TRANSFERRED = "transferred"


TALKED = (Outcome.COMPLETED, Outcome.TRANSFERRED)
"""The employee talked to the other side."""

SAME_MOMENT = 0.5
"""Seconds within which cause and effect come, under load too."""


@attrs.frozen(kw_only=True)
class LegEnd:
    """What is known of a leg that is over: all that the rules may ask."""

    is_connected: bool = False
    """Its user and the other side heard each other."""
    is_picked_up: bool = False
    """The device was picked up."""
    is_picked_from: bool = False
    """Pickup took the call from it."""
    is_lost_to_another: bool = False
    """Another leg of the same caller was connected meanwhile."""
    is_pick_up_failed: bool = False
    """Another leg of the same caller was picked up meanwhile, and no conversation followed."""
    status: str = ""
    """DialStatus."""
    cause: int = 0
    """Q.850, of the Hangup."""
    tech_cause: str = ""
    """SIP status (header TechCause, Asterisk 20.17, 22.7 and later)."""
    is_cancelled_through: bool = False
    """It and the Local legs around it say CANCEL, one of them with cause 26."""
    is_timed_out_around: bool = False
    """A Local leg around it says NOANSWER, or is an Originate's."""
    is_ringing_seen: bool = False
    is_employee: bool = False
    has_hung_up: bool = False
    """Its own end hung up."""
    has_caller_left: bool = False
    """Who dialled hung up before the ringing stopped, or in that moment."""
    has_person_hung_up: bool = False
    """Another person of the call hung up in the moment the ringing stopped."""
    shows_hangup_requests: bool = False
    """This server shows HangupRequest, so that its absence means something."""


@attrs.frozen
class Rule:
    outcome: Outcome
    when: str
    """For people."""
    applies: Callable[[LegEnd], bool]
    source: str
    """Where it is known from: a file of Asterisk's, or a recording."""


UNREACHABLE = frozenset(
    {
        HangupCause.UNALLOCATED, HangupCause.NO_ROUTE_TRANSIT, HangupCause.NO_ROUTE, HangupCause.SUBSCRIBER_ABSENT,
        HangupCause.NUMBER_CHANGED, HangupCause.OUT_OF_ORDER, HangupCause.INVALID_NUMBER,
        HangupCause.FACILITY_REJECTED, HangupCause.CONGESTION, HangupCause.NETWORK_OUT_OF_ORDER,
        HangupCause.TEMPORARY_FAILURE, HangupCause.SWITCH_CONGESTION, HangupCause.NO_SUCH_LINE,
        HangupCause.NOT_AVAILABLE, HangupCause.TIMER_EXPIRED,
    }
)  # fmt: skip
"""Causes that say the device or number cannot be reached (include/asterisk/causes.h)."""

RULES: tuple[Rule, ...] = (
    Rule(
        Outcome.COMPLETED, "both sides heard each other",
        lambda end: end.is_connected,
        "main/bridge.c",
    ),
    Rule(
        Outcome.ANSWERED_ELSEWHERE, "a colleague picked the call up from this phone",
        lambda end: end.is_picked_from,
        "main/pickup.c; pickup_group",
    ),
    Rule(
        Outcome.ANSWERED_ELSEWHERE, "another leg of the same caller was connected meanwhile",
        lambda end: end.is_lost_to_another and (end.is_picked_up or end.status in ("", "CANCEL")),
        "apps/app_dial.c, hanguptree; inbound_ringgroup_answered, heard_confirm_by_another",
    ),
    Rule(
        Outcome.ANSWERED_ELSEWHERE, "cancelled with cause 26, and no pick-up came to nothing",
        lambda end: end.is_cancelled_through and not end.is_pick_up_failed,
        "apps/app_dial.c: the cause is set for the losers only; office_ringgroup_local",
    ),
    Rule(
        Outcome.CANCELLED, "picked up, and the caller left before they heard each other",
        lambda end: end.is_picked_up and end.has_caller_left,
        "apps/app_queue.c, announcement and memberdelay; queue_delay_customer_leaves",
    ),
    Rule(
        Outcome.NO_ANSWER, "picked up, and declined or never confirmed",
        lambda end: end.is_picked_up,
        "apps/app_followme.c; apps/app_dial.c, GOSUB_RESULT: DialStatus is what the confirmation's dialplan returned; "
        "followme_declined, confirm_outside_not",
    ),
    Rule(
        Outcome.CANCELLED, "silent since another phone was picked up in vain, until the caller left",
        lambda end: end.is_pick_up_failed and end.status in ("", "CANCEL") and end.has_caller_left,
        "queue_delay_customer_leaves",
    ),
    Rule(
        Outcome.NO_ANSWER, "cancelled because the outer Dial, or the Originate, timed out",
        lambda end: end.status == "CANCEL" and end.is_timed_out_around,
        "apps/app_dial.c; inbound_ringgroup_local_nobody",
    ),
    Rule(
        Outcome.NO_ANSWER, "cancelled, and no person hung up: Asterisk gave up",
        lambda end: end.status == "CANCEL" and end.shows_hangup_requests and not end.has_person_hung_up,
        "main/features.c, atxfernoanswertimeout; apps/app_followme.c; followme_declined",
    ),
    Rule(
        Outcome.CANCELLED, "cancelled: the caller hung up",
        lambda end: end.status == "CANCEL",
        "apps/app_dial.c; inbound_no_answer",
    ),
    Rule(
        Outcome.REJECTED, "BUSY with cause 21: SIP 603 over chan_sip",
        lambda end: end.status == "BUSY" and end.cause == HangupCause.REJECTED,
        "channels/chan_sip.c, hangup_sip2cause; inbound_rejected",
    ),
    Rule(Outcome.BUSY, "BUSY", lambda end: end.status == "BUSY", "apps/app_dial.c; inbound_busy"),
    Rule(
        Outcome.FAILED, "CONGESTION, CHANUNAVAIL",
        lambda end: end.status in ("CONGESTION", "CHANUNAVAIL"),
        "apps/app_dial.c; outbound_congestion",
    ),
    Rule(
        Outcome.REJECTED, "DONTCALL, TORTURE: the callee screens their calls",
        lambda end: end.status in ("DONTCALL", "TORTURE"),
        "apps/app_dial.c, privacy",
    ),
    Rule(
        Outcome.NO_ANSWER, "any other word but NOANSWER",
        lambda end: end.status not in ("", "NOANSWER"),
        "apps/app_dial.c: an open set of words; inbound_forward_local",
    ),
    # From here on DialStatus is NOANSWER, or none came: an Originate that timed out, a caller who is gone.
    Rule(
        Outcome.NO_ANSWER, "NOANSWER, and the device did not hang up: Dial timed out",
        lambda end: end.status == "NOANSWER" and end.shows_hangup_requests and not end.has_hung_up,
        "main/dial.c: the cause may be copied from another leg; inbound_timeout_voicemail",
    ),
    Rule(
        Outcome.FAILED, "cause 21, SIP 403",
        lambda end: end.cause == HangupCause.REJECTED and end.tech_cause == "403",
        "res_pjsip_session.c; outbound_forbidden",
    ),
    Rule(
        Outcome.REJECTED, "cause 21 of an employee's phone, or after ringing, or SIP 603",
        lambda end: end.cause == HangupCause.REJECTED
        and (end.tech_cause == "603" or end.is_employee or end.is_ringing_seen),
        "res_pjsip_session.c: 603 and 403 share the cause; outbound_declined",
    ),
    Rule(
        Outcome.FAILED, "cause 21 without ringing",
        lambda end: end.cause == HangupCause.REJECTED,
        "res_pjsip_session.c; outbound_forbidden",
    ),
    Rule(
        Outcome.FAILED, "NOANSWER with cause 19 at once: SIP 480",
        lambda end: end.cause == HangupCause.NO_ANSWER and not end.is_ringing_seen and end.status != "",
        "res_pjsip_session.c; outbound_unavailable",
    ),
    Rule(
        Outcome.ANSWERED_ELSEWHERE, "cause 26",
        lambda end: end.cause == HangupCause.ANSWERED_ELSEWHERE,
        "causes.h; pickup_directed",
    ),
    Rule(
        Outcome.BUSY, "cause 17",
        lambda end: end.cause == HangupCause.BUSY,
        "causes.h; click_employee_busy: an Originate has no DialEnd",
    ),
    Rule(
        Outcome.FAILED, "a cause of what cannot be reached",
        lambda end: end.cause in UNREACHABLE,
        "causes.h; outbound_not_found",
    ),
    Rule(
        Outcome.CANCELLED, "no DialStatus, and the caller left",
        lambda end: end.status == "" and end.has_caller_left,
        "main/pickup.c; internal_cancelled",
    ),
    Rule(Outcome.NO_ANSWER, "else", lambda _: True, "main/dial.c: Hangup 19, on Asterisk 16: 0"),
)  # fmt: skip
"""The first that applies decides. The last applies always."""


def outcome_of(end: LegEnd) -> Outcome:
    return next(rule.outcome for rule in RULES if rule.applies(end))


def leg_outcome(leg: Leg, shows_hangup_requests: bool) -> Outcome:
    """How a leg ended that is over. Its channel must be gone, since the cause comes with the Hangup."""
    return outcome_of(leg_end(leg, shows_hangup_requests))


def leg_end(leg: Leg, shows_hangup_requests: bool) -> LegEnd:
    """What the graph shows of a leg that is over.

    A cause is believed only of a channel whose own end hung up (HangupRequest): Asterisk copies the cause of one failed
    leg to the caller and from there to the legs it gives up later, through Local channels too.
    """
    channel, chain = leg.channel, leg.chain
    call, root = channel.call, chain[-1].caller
    rivals = [other for other in call.legs.latest_picked_up() if other is not leg and other.chain[-1].caller is root]
    failed = [other for other in rivals if other.connected_at is None and _ended_by(other) >= leg.began_at]
    return LegEnd(
        is_connected=leg.connected_at is not None,
        is_picked_up=channel.up_at is not None or leg.status == "ANSWER",
        is_picked_from=leg.is_picked_from,
        is_lost_to_another=any(_was_connected_during(other, leg) for other in rivals),
        is_pick_up_failed=bool(failed),
        status=leg.status,
        cause=channel.end.cause if channel.end is not None else 0,
        tech_cause=channel.end.tech_cause if channel.end is not None else "",
        is_cancelled_through=_is_cancelled_through(chain),
        is_timed_out_around=any(outer.status == "NOANSWER" or outer.channel.is_originated for outer in chain[1:]),
        is_ringing_seen=leg.rang_at is not None,
        is_employee=bool(channel.extension),
        has_hung_up=channel.has_hung_up,
        has_caller_left=_has_caller_left(leg, root, failed, shows_hangup_requests),
        has_person_hung_up=_has_person_hung_up(call, leg),
        shows_hangup_requests=shows_hangup_requests,
    )


def _was_connected_during(other: Leg, leg: Leg) -> bool:
    return other.connected_at is not None and other.connected_at >= leg.began_at


def _ended_by(leg: Leg) -> float:
    """When a leg that was picked up was over; far ahead while it is not."""
    if leg.channel.end is not None:
        return leg.channel.end.at
    return leg.ended_at if leg.ended_at is not None and leg.status not in ("", "ANSWER") else float("inf")


def _is_cancelled_through(chain: list[Leg]) -> bool:
    for leg in chain:
        if leg.status != "CANCEL":
            return False
        end = leg.channel.end
        if end is not None and end.cause == HangupCause.ANSWERED_ELSEWHERE:
            return True
    return False


def _has_caller_left(leg: Leg, root: Channel | None, failed: Iterable[Leg], shows_hangup_requests: bool) -> bool:
    left_at = None if root is None else _left_at(root, shows_hangup_requests)
    if left_at is None:
        return False
    ends = [_ended_by(each) for each in (leg, *failed)] if leg.status == "ANSWER" or failed else [leg.ended_at]
    # Without HangupRequest the caller's Hangup shows it: where the dialplan refused, it follows the refusal.
    slack = SAME_MOMENT if shows_hangup_requests or leg.status in ("", "ANSWER", "CANCEL") else 0.0
    return any(end is None or left_at < end + slack for end in ends)


def _left_at(root: Channel, shows_hangup_requests: bool) -> float | None:
    """When who dials left: the channel itself, or all whose phones were picked up behind it (a click through Local)."""
    own = _gone_at(root, shows_hangup_requests)
    if own is not None or root.half is None:
        return own
    behind = [leg.channel for leg in root.call.legs.latest_picked_up() if leg.chain[-1].channel is root]
    left = [at for each in behind if (at := _gone_at(each, shows_hangup_requests)) is not None]
    return max(left) if left and len(left) == len(behind) else None


def _gone_at(channel: Channel, shows_hangup_requests: bool) -> float | None:
    if shows_hangup_requests:
        return channel.hangup_asked_at
    return channel.end.at if channel.end is not None else None


def _has_person_hung_up(call: Call, leg: Leg) -> bool:
    """A person hung up in the moment the ringing stopped."""
    return leg.ended_at is not None and call.channels.has_hangup_near(leg.ended_at, SAME_MOMENT)


_LOUDEST = (
    Outcome.CANCELLED, Outcome.NO_ANSWER, Outcome.REJECTED, Outcome.BUSY, Outcome.FAILED, Outcome.ANSWERED_ELSEWHERE
)  # fmt: skip


def legs_outcome(legs: Sequence[Leg], shows_hangup_requests: bool) -> Outcome | None:
    """One outcome for all attempts to reach a side of the call; None without any. A phone that sent the call on (302)
    counts only where nothing else was tried."""
    tried = [leg for leg in legs if leg.status != "FORWARDED"] or legs
    return together(leg_outcome(leg, shows_hangup_requests) for leg in tried)


def together(outcomes: Iterable[Outcome]) -> Outcome | None:
    """One outcome for several attempts of which none was answered: the most that was reached."""
    present = set(outcomes)
    return next((outcome for outcome in _LOUDEST if outcome in present), None)
