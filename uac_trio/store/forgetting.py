"""What is kept of a customer, removed when they ask for it."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import sqlalchemy as sa

from uac_trio.store.deliveries import significant, unended
from uac_trio.store.dialect import CHUNK
from uac_trio.store.recordings import RecordingRow, RecordingState, as_value
from uac_trio.store.tables import UNSETTLED, delivery, event_log, recording


@attrs.frozen(kw_only=True)
class Forgotten:
    calls: int
    deliveries: int
    recordings: Sequence[RecordingRow]
    """Their rows are gone; their files are the caller's to delete."""
    left: int
    """Calls of that number that stay, since they go on or have deliveries that wait: ask again later."""


def forget(connection: sa.Connection, number: str) -> Forgotten:
    """In the caller's transaction: delete all rows of the calls with ``number``, what waits for delivery excepted.

    Calls that go on stay as they are, with their event logs.
    """
    wanted = significant(number)
    if not wanted:
        return Forgotten(calls=0, deliveries=0, recordings=(), left=0)
    calls = _calls(connection, wanted)
    busy = {call for some in _chunks(calls) for call in _busy(connection, some)}
    gone = [call for call in calls if call not in busy]
    deliveries = 0
    recordings: list[RecordingRow] = []
    for some in _chunks(gone):
        rows = connection.execute(sa.select(recording).where(recording.c.call_id.in_(some)))
        recordings += [as_value(row) for row in rows]
        connection.execute(sa.delete(recording).where(recording.c.call_id.in_(some)))
        connection.execute(sa.delete(event_log).where(event_log.c.call_id.in_(some)))
        deliveries += connection.execute(sa.delete(delivery).where(delivery.c.call_id.in_(some))).rowcount
    return Forgotten(calls=len(gone), deliveries=deliveries, recordings=recordings, left=len(busy))


def _calls(connection: sa.Connection, wanted: str) -> list[str]:
    tables = (delivery, recording)
    found = (connection.scalars(sa.select(each.c.call_id).where(each.c.customer_digits == wanted)) for each in tables)
    return sorted({call for calls in found for call in calls})


def _busy(connection: sa.Connection, calls: Sequence[str]) -> set[str]:
    unsettled = sa.select(delivery.c.call_id).where(
        delivery.c.call_id.in_(calls), sa.or_(delivery.c.state.in_(UNSETTLED), unended(delivery))
    )
    awaited = sa.select(recording.c.call_id).where(
        recording.c.call_id.in_(calls), recording.c.state == RecordingState.WAITING
    )
    return {*connection.scalars(unsettled), *connection.scalars(awaited)}


def _chunks(calls: Sequence[str]) -> list[Sequence[str]]:
    return [calls[start : start + CHUNK] for start in range(0, len(calls), CHUNK)]
