"""What was found, as lines for people and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime

import attrs

from uac_trio.calls.call import Direction
from uac_trio.calls.fact import CallBegan, CallEnded
from uac_trio.explain.explaining import ExplainedCall, Mention
from uac_trio.explain.popup import Seen
from uac_trio.explain.subject import Subject
from uac_trio.replay import Rendered, fact_words, item_words
from uac_trio.store.rows import StoredRow
from uac_trio.store.tables import State

NOT_SEEN = (
    "Accepted and not seen? The CRM accepts what it ignores as well: has its user this extension, may they receive "
    "calls, was a page of the CRM open?"
)


@attrs.frozen(kw_only=True)
class LookedAt:
    """Where was looked, for the end of the answer."""

    since: float | None
    """Seconds since the epoch; None: all that there is."""
    files: Sequence[str]
    """One line for each PBX, or the given files."""
    store: str
    """Its address, or why it was not looked at."""


def call_lines(call: ExplainedCall) -> Iterator[str]:
    """Local times of this machine."""
    yield f"call {call.call_id}, {_date(call.at)}{_heading(call)}"
    yield "  popup"
    for popup in call.popups:
        yield f"    {popup.extension + ': ' if popup.extension else ''}{popup.words}"
    if any(popup.seen is Seen.SHOWN for popup in call.popups):
        yield f"    {NOT_SEEN}"
    if call.story:
        yield "  events and decisions, and the requests that follow"
        for item in call.story:
            yield f"    {_clock(item.at)} {item.at - call.at:+8.3f}  {item_words(item)}"
    else:
        yield "  events: not recorded (any more); what follows is the store's"
    if call.rows:
        yield "  deliveries, as the store has them"
        for row in call.rows:
            yield f"    {_row_words(row)}"
    yield ""


def call_json(call: ExplainedCall) -> str:
    return json.dumps(
        {
            "call_id": call.call_id,
            "at": round(call.at, 3),
            "popups": [
                {"extension": popup.extension, "seen": popup.seen.value, "words": popup.words} for popup in call.popups
            ],
            "events": [
                {"at": round(item.at, 3), "words": fact_words(item), "because": item.because}
                for item in call.story
                if not isinstance(item, Rendered)
            ],
            "requests": [
                {"at": round(item.at, 3), "key": item.request.key, "name": item.request.name,
                 "form": dict(item.request.about)}
                for item in call.story
                if isinstance(item, Rendered)
            ],
            "deliveries": [_row_json(row) for row in call.rows],
        },
        ensure_ascii=False,
    )  # fmt: skip


def nothing_lines(subject: Subject, looked: LookedAt, seen: Sequence[Mention]) -> Iterator[str]:
    """What was looked at, and what to do."""
    what = "call" if subject.call else f"extension {subject.extension}" if subject.extension else "number"
    yield f"Nothing was found: no call of {what if subject.extension else what + ' ' + subject.text}."
    yield from looked_lines(looked)
    if seen:
        yield f"The PBX did show {subject.text}, in events of which no call of yours follows:"
        for mention in seen:
            where = ", ".join(filter(None, (mention.channel, mention.context and f"context {mention.context}")))
            yield f"  {_date(mention.at)} PBX {mention.pbx}: {mention.event}{' of ' + where if where else ''}"
        yield (
            "Either these are another company's ([calls] only_...), or no event shows how the call goes on: "
            "uac-trio check --live looks whether the AMI user may read=call."
        )
        return
    yield "What to do: ask for a longer time (--since 7d); by another writing of the number, or by the extension;"
    yield "make a call and open /live meanwhile; uac-trio check --live shows what the AMI user may see."


def looked_lines(looked: LookedAt) -> Iterator[str]:
    yield f"Looked at, since {_date(looked.since)}:" if looked.since is not None else "Looked at:"
    for line in (*looked.files, looked.store):
        yield f"  {line}"


def _heading(call: ExplainedCall) -> str:
    ended = next((item.summary for item in reversed(call.story) if isinstance(item, CallEnded)), None)
    began = next((item for item in reversed(call.story) if isinstance(item, CallBegan)), None)
    if ended is not None:
        who = f"{ended.caller or '?'} to {ended.called or '?'}"
        if ended.direction is not Direction.INTERNAL:
            who = f"customer {ended.customer or 'withheld'}{' to ' + ended.did if ended.did else ''}"
        return f": {ended.direction.value}, {who}, {ended.status.value}"
    if began is not None:
        return f": {began.direction.value}, customer {began.customer or 'withheld'}, goes on"
    row = next(iter(call.rows), None)
    return "" if row is None else f": {row.delivery.direction.value}, customer {row.delivery.customer or 'withheld'}"


def _row_words(row: StoredRow) -> str:
    delivery = row.delivery
    when = f" at {_clock(row.settled_at)}" if row.settled_at is not None else ""
    state = "probably delivered" if row.is_probable else "dead letter" if row.state is State.PARKED else row.state.value
    tries = f", sent {row.attempt} times" if row.attempt > 1 else ""
    later = f", next try at {_clock(row.next_try_at)}" if row.state is State.WAITING else ""
    why = f": {row.reason}" if row.reason else ""
    return f"{row.id}  {delivery.kind.value} {delivery.extension or 'of the call'}: {state}{when}{tries}{later}{why}"


def _row_json(row: StoredRow) -> dict[str, object]:
    return {
        "id": row.id,
        "key": row.delivery.key,
        "kind": row.delivery.kind.value,
        "extension": row.delivery.extension,
        "customer": row.delivery.customer,
        "state": row.state.value,
        "tries": row.attempt,
        "reason": row.reason,
        "is_probable": row.is_probable,
        "in_doubt": row.in_doubt,
        "created_at": row.created_at,
        "settled_at": row.settled_at,
    }


def _date(at: float) -> str:
    return datetime.fromtimestamp(at).astimezone().strftime("%Y-%m-%d %H:%M:%S %z")


def _clock(at: float) -> str:
    return datetime.fromtimestamp(at).astimezone().strftime("%H:%M:%S.%f")[:-3]
