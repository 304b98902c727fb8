"""What ``/live`` and ``/live.json`` answer: why did the popup not come? Numbers are masked as in the log.

Pure: values in, JSON out. How it looks is web/live.html's affair. Times are seconds since the epoch.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Sequence
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


class DeliveryState(enum.StrEnum):
    """How a delivery stands."""

    DELIVERED = "delivered"
    PROBABLY = "probably"
    """The CRM answered with an error and was taken to have written it."""
    AGAIN = "again"
    AWAY = "away"
    SECRET = "secret"  # noqa: S105 - no secret but the trouble with one
    ADDRESS = "address"
    PARKED = "parked"
    UNKNOWN = "unknown"
    """No answer: not known whether the CRM has it."""
    SUPERSEDED = "superseded"
    FILE = "file"
    """A recording waits until its file is complete."""
    ELSEWHERE = "elsewhere"
    """An earlier run or another connector delivered it."""
    NOT_SENT = "not_sent"
    DRY_RUN = "dry_run"
    """It would have been sent."""


class WhyNothing(enum.StrEnum):
    """Why nothing of a call is delivered."""

    INTERNAL = "internal"
    NO_EMPLOYEE = "no_employee"
    """The phones that rang are no employee's."""
    NO_PHONE = "no_phone"
    OTHER_KIND = "other_kind"
    """Nothing of it is for this kind of CRM."""


STATES = {
    Ruling.DELIVERED: DeliveryState.DELIVERED,
    Ruling.PROBABLY: DeliveryState.PROBABLY,
    Ruling.AGAIN: DeliveryState.AGAIN,
    Ruling.AWAY: DeliveryState.AWAY,
    Ruling.AUTH_FAILED: DeliveryState.SECRET,
    Ruling.MISCONFIGURED: DeliveryState.ADDRESS,
    Ruling.PARKED: DeliveryState.PARKED,
    Ruling.UNKNOWN: DeliveryState.UNKNOWN,
}
COLOURS = {
    DeliveryState.DELIVERED: "good",
    DeliveryState.PROBABLY: "good",
    DeliveryState.AWAY: "bad",
    DeliveryState.SECRET: "bad",
    DeliveryState.ADDRESS: "bad",
    DeliveryState.PARKED: "bad",
    DeliveryState.SUPERSEDED: "idle",
    DeliveryState.ELSEWHERE: "idle",
    DeliveryState.DRY_RUN: "idle",
}
"""On the page; what is not here is "wait"."""


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
        "queues": _queues(calls, standing.now),
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
        "queue_position": call.queue_position,
        "queued_at": call.queued_at,
        "waits_in_queue": call.is_waiting,
        "began_at": call.began_at,
        "ended_at": call.ended_at,
        "status": call.status,
        "click": text(call.click),
        "transfers": [{"type": each.type, "by": number(each.by), "to": number(each.to)} for each in call.transfers],
        "merged_into": call.merged_into,
        "parts": [_share(share) for share in call.shares],
        "deliveries": [_delivery(each, call, around) for each in call.deliveries.values()],
        "why_nothing": "" if call.deliveries else _why_nothing(call, around) or "",
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
    state = _state(each, call, around)
    after = None if each.sent_at is None else max(0.0, each.sent_at - each.made_at)
    return {
        "kind": each.kind.value,
        "extension": each.extension,
        "at": each.made_at,
        "state": state.value,
        "colour": COLOURS.get(state, "wait"),
        "after_secs": round(after, 3) if after is not None else None,
        "tries": each.tries,
        "words": each.words,
    }


def _state(each: Followed, call: WatchedCall, around: Circumstances) -> DeliveryState:
    is_superseded = each.superseded_by in call.deliveries
    if each.ruling is not None:
        if is_superseded and not each.is_settled:
            return DeliveryState.SUPERSEDED
        is_not_sent = around.is_dry_run and each.ruling is Ruling.DELIVERED
        return DeliveryState.DRY_RUN if is_not_sent else STATES[each.ruling]
    if each.awaits_file:
        return DeliveryState.FILE
    if is_superseded:
        return DeliveryState.SUPERSEDED
    standing, rows = around.standing, around.standing.outbox
    nothing_waits = rows is not None and not rows.waiting + rows.sending + standing.in_memory
    if nothing_waits and standing.now - each.made_at > SETTLES_WITHIN:
        return DeliveryState.ELSEWHERE
    return DeliveryState.NOT_SENT


def _why_nothing(call: WatchedCall, around: Circumstances) -> WhyNothing | None:
    """Why nothing of a call is delivered; None while that may still come."""
    if call.direction is Direction.INTERNAL and around.internal == "ignore":
        return WhyNothing.INTERNAL
    if call.not_employees and not call.shares:
        return WhyNothing.NO_EMPLOYEE
    if call.ended_at is None:
        return None
    return WhyNothing.OTHER_KIND if call.shares else WhyNothing.NO_PHONE


def _queues(calls: Iterable[WatchedCall], now: float) -> list[dict[str, Any]]:
    """The callers who wait in each queue, by its name."""
    waiting: dict[str, list[float]] = {}
    for call in calls:
        if call.is_waiting and call.queued_at is not None:
            waiting.setdefault(call.queue, []).append(max(0.0, now - call.queued_at))
    return [
        {"queue": queue, "waiting": len(spans), "longest_secs": round(max(spans), 1)}
        for queue, spans in sorted(waiting.items())
    ]
