"""Facts of one incoming call of +79161234567 to 101, for tests of what follows from them."""

from __future__ import annotations

from typing import Any

from tests.calls.scenes import summary
from uac_trio.calls.call import Direction
from uac_trio.calls.fact import (
    CallEnded,
    OfParticipation,
    ParticipationAnswered,
    ParticipationBegan,
    ParticipationEnded,
    RecordingKnown,
)
from uac_trio.calls.outcome import Outcome
from uac_trio.calls.participation import Role

T0 = 1795413713.0
OUTWARD: dict[str, Any] = {"role": Role.CALLER, "direction": Direction.OUTBOUND}
SECOND_PHONE: dict[str, Any] = {"extension": "102", "occurrence": "1.2"}
NOT_TAKEN: dict[str, Any] = {"answered_at": None, "talk_secs": 0.0}


def _fact(kind: type[OfParticipation], at: float, **more: Any) -> OfParticipation:
    common: dict[str, Any] = {
        "call_id": "main-1.0", "because": "test", "extension": "101", "occurrence": "1.1", "role": Role.CALLEE,
        "direction": Direction.INBOUND, "customer": "+79161234567", "began_at": T0,
    }  # fmt: skip
    return kind(at=at, **(common | more))


def began(at: float = T0, **more: Any) -> OfParticipation:
    return _fact(ParticipationBegan, at, **({"customer_name": "Иван", "line": "4951000101"} | more))


def answered(at: float = T0 + 2, **more: Any) -> OfParticipation:
    return _fact(ParticipationAnswered, at, **more)


def ended(at: float = T0 + 5, **more: Any) -> OfParticipation:
    end: dict[str, Any] = {"outcome": Outcome.COMPLETED, "answered_at": T0 + 2, "talk_secs": 3.0, "inferred": False}
    return _fact(ParticipationEnded, at, **({"ended_at": at} | end | more))


def recorded(at: float = T0 + 7, **more: Any) -> OfParticipation:
    return _fact(RecordingKnown, at, **({"path": "/var/spool/x.wav"} | more))


def over(status: Outcome = Outcome.COMPLETED) -> CallEnded:
    record = summary(status=status, talk_secs=3.0 if status is Outcome.COMPLETED else None)
    return CallEnded(call_id="main-1.0", at=T0 + 7, because="test", ended_at=T0 + 5, summary=record)
