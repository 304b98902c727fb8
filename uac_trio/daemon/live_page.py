"""What ``/live`` and ``/live.json`` answer: why did the popup not come? Numbers are masked as in the log.

Pure: values in, JSON out. How it looks is web/live.html's affair. Times are seconds since the epoch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import attrs

from uac_trio.ami_client.status import AMIStatus
from uac_trio.calls.adapters import generation_of
from uac_trio.calls.call import Direction
from uac_trio.calls.participation import Role
from uac_trio.crm.reply import Ruling
from uac_trio.daemon.conditions import Finding
from uac_trio.daemon.standing import Standing
from uac_trio.daemon.watching import Followed, Share, WatchedCall, Watching
from uac_trio.logs import mask_number, mask_text, strip_bidi
from uac_trio.store.rows import ParkedRow

SHOWN_CALLS = 100
"""Calls in progress on the page."""
SETTLES_WITHIN = 30.0
"""Seconds after which a request that nothing in the outbox waits for is taken to have gone another way."""

NO_EMPLOYEE = (
    "The phones that rang are no employee's, so no user has a popup; [calls] extensions, devices, mobiles, trunks and "
    "only_... decide that, as follows."
)

WORDS = {
    Ruling.DELIVERED: ("delivered", "good"),
    Ruling.PROBABLY: ("probably delivered", "good"),
    Ruling.AGAIN: ("is tried again", "wait"),
    Ruling.AWAY: ("waits for the CRM", "bad"),
    Ruling.AUTH_FAILED: ("waits: wrong secret", "bad"),
    Ruling.MISCONFIGURED: ("waits: wrong address", "bad"),
    Ruling.PARKED: ("refused by the CRM, parked", "bad"),
    Ruling.UNKNOWN: ("no answer: not known whether the CRM has it", "wait"),
}
"""State in words, and its colour on the page."""


@attrs.frozen(kw_only=True)
class Circumstances:
    """Everything but the calls."""

    standing: Standing
    started_at: float
    parked: Sequence[ParkedRow]
    """The oldest few."""
    crm: str
    """Its host."""
    internal: str
    """``[calls] internal``."""
    mask: bool
    is_dry_run: bool = False


def live_state(watching: Watching, around: Circumstances) -> dict[str, Any]:
    """The page's contents, JSON."""
    number: Callable[[str], str] = mask_number if around.mask else str
    text: Callable[[str], str] = mask_text if around.mask else str
    standing, sender = around.standing, around.standing.sender
    calls = list(watching.calls_in_progress())
    state: dict[str, Any] = {
        "version": standing.version,
        "now": standing.now,
        "started_at": around.started_at,
        "dry_run": around.is_dry_run,
        "findings": [_finding(one, text) for one in standing.findings],
        "pbx": [_pbx(name, standing.pbxes.get(name)) for name in standing.configured],
        "crm": {
            "host": around.crm,
            "trouble": sender.trouble,
            "since": sender.trouble_since,
            "in_flight": sender.in_flight,
            "at_once": int(sender.at_once),
            "usual_ms": round(sender.usual_seconds * 1000),
            "last_delivered_at": watching.last_delivered_at,
        },
        "outbox": _outbox(standing),
        "parked": [
            {
                "id": row.id,
                "call_id": row.delivery.call_id,
                "extension": row.delivery.extension,
                "kind": row.delivery.kind.value,
                "parked_at": row.parked_at,
                "tries": row.attempt,
                "reason": text(row.reason),
            }
            for row in around.parked
        ],
        "live_calls": standing.live_calls,
        "calls": [_call(call, around, number, text) for call in calls[-SHOWN_CALLS:]],
        "ended": [_call(call, around, number, text) for call in reversed(watching.ended.values())],
        "clicks": [
            {
                "at": click.at,
                "pbx": click.pbx,
                "extension": click.extension,
                "number": number(click.number),
                "words": text(click.words),
            }
            for click in reversed(watching.clicks)
        ],
        "odd": [{"at": odd.at, "call_id": odd.call_id, "because": text(odd.because)} for odd in reversed(watching.odd)],
    }
    plain: dict[str, Any] = strip_bidi(state)
    return plain


def _finding(one: Finding, text: Callable[[str], str]) -> dict[str, Any]:
    return {
        "condition": one.condition.value,
        "severity": one.severity.value,
        "pbx": one.pbx,
        "since": one.since,
        "words": text(one.words),
        "remedy": one.remedy,
    }


def _pbx(name: str, status: AMIStatus | None) -> dict[str, Any]:
    status = status or AMIStatus()
    return {
        "name": name,
        "state": status.state,
        "connected": status.state == "connected",
        "since": status.connected_since,
        "ami": generation_of(status.banner).value if status.banner else "",
        "last_message_at": status.last_message_at,
        "last_error": status.last_error,
        "sessions": status.sessions,
        "messages": status.messages,
    }


def _outbox(standing: Standing) -> dict[str, Any]:
    counts = attrs.asdict(standing.outbox) if standing.outbox is not None else {}
    return {**counts, "in_memory": standing.in_memory, "trouble": standing.store_trouble}


def _call(
    call: WatchedCall, around: Circumstances, number: Callable[[str], str], text: Callable[[str], str]
) -> dict[str, Any]:
    return {
        "call_id": call.id,
        "direction": call.direction.value if call.direction else "",
        "customer": number(call.customer),
        "did": number(call.did),
        "queue": call.queue,
        "began_at": call.began_at,
        "ended_at": call.ended_at,
        "status": call.status,
        "click": text(call.click),
        "notes": [text(note) for note in call.notes],
        "merged_into": call.merged_into,
        "parts": [_share(share) for share in call.shares],
        "deliveries": [_delivery(each, call, around) for each in call.deliveries.values()],
        "why_nothing": "" if call.deliveries else _why_nothing(call, around),
        "not_employees": [text(because) for because in call.not_employees],
    }


def _share(share: Share) -> dict[str, Any]:
    return {
        "extension": share.extension,
        "does": "calls" if share.role is Role.CALLER and share.state == "ringing" else share.state,
        "began_at": share.began_at,
        "since": share.answered_at if share.answered_at is not None else share.began_at,
        "outcome": share.outcome.value if share.outcome else "",
        "talk_secs": round(share.talk_secs, 1),
        "inferred": share.inferred,
    }


def _delivery(each: Followed, call: WatchedCall, around: Circumstances) -> dict[str, Any]:
    words, colour = _state(each, call, around)
    after = None if each.sent_at is None else max(0.0, each.sent_at - each.made_at)
    return {
        "kind": each.kind.value,
        "extension": each.extension,
        "at": each.made_at,
        "state": words,
        "colour": colour,
        "after_secs": round(after, 3) if after is not None else None,
        "tries": each.tries,
        "words": each.words,
    }


def _state(each: Followed, call: WatchedCall, around: Circumstances) -> tuple[str, str]:
    if each.ruling is not None:
        if each.superseded_by in call.deliveries and not each.is_settled:
            return "superseded: that part of the call is over", "idle"
        if around.is_dry_run and each.ruling is Ruling.DELIVERED:
            return "would have been sent", "idle"
        return WORDS[each.ruling]
    if each.awaits_file:
        return "waits until its file is complete", "wait"
    if each.superseded_by in call.deliveries:
        return "superseded: that part of the call is over", "idle"
    standing, rows = around.standing, around.standing.outbox
    nothing_waits = rows is not None and not rows.waiting + rows.sending + standing.in_memory
    if nothing_waits and standing.now - each.made_at > SETTLES_WITHIN:
        return "delivered by an earlier run, or by another connector", "idle"
    return "not sent yet", "wait"


def _why_nothing(call: WatchedCall, around: Circumstances) -> str:
    """Why nothing of a call is delivered; "" while that may still come."""
    if call.direction is Direction.INTERNAL and around.internal == "ignore":
        return 'Between employees: not delivered ([calls] internal = "ignore").'
    if call.not_employees and not call.shares:
        return NO_EMPLOYEE
    if call.ended_at is None:
        return ""
    if not call.shares:
        return "No employee's phone rang, so there is no popup; [calls] unreached may name who owns such calls."
    return "Nothing of it is for this kind of CRM."
