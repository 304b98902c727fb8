"""How an attempt to reach somebody ended: DialStatus and hangup cause to one word.

DialStatus is coarse (NOANSWER covers SIP 480, 404, 403 and 603; main/dial.c, ``hanguphandler``), so the cause of the
called leg decides where it has one to tell.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable

from uac_trio.calls.channel import HangupCause, Leg


class Outcome(enum.Enum):
    """How one employee's part in a call ended. Also how a call ended, less the last three."""

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
    TRANSFERRED = "transferred"


TALKED = (Outcome.COMPLETED, Outcome.TRANSFERRED)
"""The employee talked to the other side."""

SAME_MOMENT = 0.5
"""Seconds within which cause and effect come, under load too."""

BY_CAUSE = {
    HangupCause.ANSWERED_ELSEWHERE: Outcome.ANSWERED_ELSEWHERE,
    HangupCause.BUSY: Outcome.BUSY,
    HangupCause.UNALLOCATED: Outcome.FAILED,
    HangupCause.NO_ROUTE_TRANSIT: Outcome.FAILED,
    HangupCause.NO_ROUTE: Outcome.FAILED,
    HangupCause.SUBSCRIBER_ABSENT: Outcome.FAILED,
    HangupCause.NUMBER_CHANGED: Outcome.FAILED,
    HangupCause.OUT_OF_ORDER: Outcome.FAILED,
    HangupCause.INVALID_NUMBER: Outcome.FAILED,
    HangupCause.FACILITY_REJECTED: Outcome.FAILED,
    HangupCause.CONGESTION: Outcome.FAILED,
    HangupCause.NETWORK_OUT_OF_ORDER: Outcome.FAILED,
    HangupCause.TEMPORARY_FAILURE: Outcome.FAILED,
    HangupCause.SWITCH_CONGESTION: Outcome.FAILED,
    HangupCause.NO_SUCH_LINE: Outcome.FAILED,
    HangupCause.NOT_AVAILABLE: Outcome.FAILED,
    HangupCause.TIMER_EXPIRED: Outcome.FAILED,
}
"""What the far end's cause says where DialStatus is the catch-all NOANSWER, or none came."""

BY_STATUS = {
    "BUSY": Outcome.BUSY,
    "CONGESTION": Outcome.FAILED,
    "CHANUNAVAIL": Outcome.FAILED,
    "DONTCALL": Outcome.REJECTED,
    "TORTURE": Outcome.REJECTED,
    "FORWARDED": Outcome.NO_ANSWER,
}
"""DialStatus (apps/app_dial.c) that speaks for itself; an open set: what is not here counts as no answer."""

BY_TECH_CAUSE = {"603": Outcome.REJECTED, "403": Outcome.FAILED}
"""SIP status (header TechCause, Asterisk 20.17, 22.7 and later) of the two that share cause 21."""


def leg_outcome(leg: Leg) -> Outcome:
    """What became of a leg that is over. Call it once its channel is gone: the cause comes with the Hangup.

    A cause is believed only of a channel whose own end hung up (HangupRequest): Asterisk copies the cause of one failed
    leg to the caller and from there to the legs it gives up later, through Local channels too.
    """
    if leg.answered_at is not None:
        return Outcome.COMPLETED
    if leg.lost_race:
        return Outcome.ANSWERED_ELSEWHERE
    match leg.status:
        case "CANCEL":
            return _given_up(leg)
        case "NOANSWER" | "":
            return _unanswered(leg)
        case "BUSY" if leg.channel.cause == HangupCause.REJECTED:  # chan_sip's 603
            return Outcome.REJECTED
        case status:
            return BY_STATUS.get(status, Outcome.NO_ANSWER)


def _given_up(leg: Leg) -> Outcome:
    """CANCEL: another took the call, or whoever dialled gave up; behind a Local channel its outer leg tells which."""
    for each in leg.chain:
        if each is not leg and (each.status == "NOANSWER" or each.channel.originated):
            return Outcome.NO_ANSWER  # the outer Dial, or the Originate, timed out
        if each.status != "CANCEL":
            break
        if each.channel.cause == HangupCause.ANSWERED_ELSEWHERE:
            return Outcome.ANSWERED_ELSEWHERE
    outermost = leg.chain[-1]
    # main/features.c: the Local channel of a consultation by feature code is dialled by no channel.
    is_consultation = outermost.caller is None or outermost.caller.half is not None
    if is_consultation and not _somebody_hung_up(leg):
        return Outcome.NO_ANSWER  # features.conf, atxfernoanswertimeout
    return Outcome.CANCELLED


def _somebody_hung_up(leg: Leg) -> bool:
    """A person hung up in the moment the ringing stopped."""
    moments = (channel.hangup_asked_at for channel in leg.channel.call.channels.values() if channel.is_person)
    return any(at is not None and leg.ended_at is not None and abs(at - leg.ended_at) < SAME_MOMENT for at in moments)


def _unanswered(leg: Leg) -> Outcome:
    channel = leg.channel
    if leg.status and not channel.asked_to_hang_up and channel.call.saw_hangup_request:
        return Outcome.NO_ANSWER  # we hung up on it: Dial timed out
    if channel.cause == HangupCause.REJECTED:
        # 603 (the person pressed Decline) and 403 (the far end forbids) share a cause: SIP status tells, else ringing.
        heard = bool(channel.extension) or leg.rang_at is not None
        return BY_TECH_CAUSE.get(channel.tech_cause, Outcome.REJECTED if heard else Outcome.FAILED)
    if channel.cause == HangupCause.NO_ANSWER and leg.rang_at is None and leg.status:
        return Outcome.FAILED  # SIP 480 at once: nothing rang
    if channel.cause in BY_CAUSE:
        return BY_CAUSE[HangupCause(channel.cause)]
    # No DialEnd: an Originate that timed out (Hangup 19, on Asterisk 16: 0), or its caller is gone.
    return Outcome.CANCELLED if not leg.status and _caller_left(leg) else Outcome.NO_ANSWER


def _caller_left(leg: Leg) -> bool:
    """Who dialled hung up before the ringing stopped, or in that moment."""
    if leg.caller is None or leg.ended_at is None:
        return False
    left_at = leg.caller.hangup_asked_at if leg.caller.call.saw_hangup_request else leg.caller.hungup_at
    return left_at is not None and left_at < leg.ended_at + SAME_MOMENT


_LOUDEST = (
    Outcome.CANCELLED, Outcome.NO_ANSWER, Outcome.REJECTED, Outcome.BUSY, Outcome.FAILED, Outcome.ANSWERED_ELSEWHERE
)  # fmt: skip


def together(outcomes: Iterable[Outcome]) -> Outcome | None:
    """One word for several attempts of which none was answered: the most that was reached."""
    present = set(outcomes)
    return next((outcome for outcome in _LOUDEST if outcome in present), None)
