"""Deliveries for the tests of the store, and who sends them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from uac_trio.ami.message import Event
from uac_trio.calls.call import Direction
from uac_trio.calls.outcome import Outcome
from uac_trio.calls.participation import Role
from uac_trio.crm.delivery import Delivery, Kind
from uac_trio.event_log import Entry, LogPart
from uac_trio.store.outbox import Outbox
from uac_trio.store.recordings import NewRecording
from uac_trio.store.rows import Delivered, LeasedRow, LeaseRequest

NOW = 1_790_000_000.0
NUMBER = "79161234567"
LEASE = 70.0
WHOLE = (Kind.BEGIN, Kind.ANSWER, Kind.END)


def delivery(kind: Kind, call: str = "main-1", extension: str = "101", **more: Any) -> Delivery:
    """Of a customer's call to ``extension``; ``more``: what is otherwise."""
    of_kinds: dict[Kind, dict[str, Any]] = {
        Kind.BEGIN: {"customer_name": "Анна [1]", "line": "sales"},
        Kind.ANSWER: {},
        Kind.END: {"ended_at": NOW + 9, "outcome": Outcome.COMPLETED, "talk_secs": 5.5},
        Kind.RECORDING: {"recording": f"{call:x>32}", "path": "a.wav"},
    }
    usual: dict[str, Any] = {
        "pbx": call.partition("-")[0],
        "subject": extension,
        "occurrence": "1",
        "extension": extension,
        "role": Role.CALLEE,
        "direction": Direction.INBOUND,
        "customer": NUMBER,
        "at": NOW,
        "began_at": NOW - 1,
    }
    return Delivery(kind=kind, call_id=call, **{**usual, **of_kinds[kind], **more})


def a_call(call: str = "main-1", kinds: Sequence[Kind] = WHOLE, extension: str = "101", **more: Any) -> list[Delivery]:
    return [delivery(kind, call, extension, **more) for kind in kinds]


def log_of(
    call: str, *numbers: int, run: str = "one", at: float = NOW, text: str = "Newchannel", **more: Any
) -> LogPart:
    """Some of a call's event log; ``more``: what is otherwise."""
    entries = [Entry(number, "event", at, Event((("Event", text),))) for number in numbers]
    return LogPart(**{"pbx": "main", "banner": "", "is_whole": True, **more}, call_id=call, run=run, entries=entries)


def recording_of(call: str, customer: str = NUMBER, *, is_awaited: bool = False, **more: Any) -> NewRecording:
    record = delivery(Kind.RECORDING, call, **{"customer": customer, "path": f"{customer}.wav", **more})
    return NewRecording(delivery=record, is_awaited=is_awaited)


async def lease(
    outbox: Outbox, now: float = NOW, limit: int = 10, owner: str = "me", begun: Sequence[str] = ()
) -> list[LeasedRow]:
    return await outbox.lease(LeaseRequest(owner=owner, limit=limit, seconds=LEASE, begun=tuple(begun)), now)


def what(row: LeasedRow) -> str:
    """For comparisons: "main-1 begin"."""
    return f"{row.delivery.call_id} {row.delivery.kind.value}"


async def deliver(outbox: Outbox, now: float = NOW) -> list[str]:
    """Deliver all that may be sent now; what that was, in its order."""
    sent = []
    while rows := await lease(outbox, now):
        for row in rows:
            sent.append(what(row))
            assert await outbox.settle(row, Delivered(), now)
    return sent


async def only(outbox: Outbox, now: float = NOW, owner: str = "me") -> LeasedRow:
    """The one row that may be sent now."""
    (row,) = await lease(outbox, now, owner=owner)
    return row
