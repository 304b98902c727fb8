"""What we keep of a customer, removed when he asks for it."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

import attrs
import sqlalchemy as sa

from uac_trio.outbox.dialect import CHUNK
from uac_trio.outbox.recordings import RecordingRow, RecordingState, as_value
from uac_trio.outbox.requests import unended
from uac_trio.outbox.tables import UNSETTLED, journal, recording, request

SAME_DIGITS = 10
"""Numbers whose last ten digits agree are one number, as vTiger sees it; shorter ones must be the same."""

_NUMBERS = ("callerIdNumber", "callerIdName", "callerId", "dialString", "callerid1", "callerid2")
"""Fields of a request that may hold an outside number."""


@attrs.frozen(kw_only=True)
class Forgotten:
    calls: int
    requests: int
    recordings: Sequence[RecordingRow]
    """Their rows are gone; their files are the caller's to delete."""
    left: int
    """Calls of that number that stay, since they go on or the CRM has still to be told of them: ask again later."""


def significant(number: str) -> str:
    """The digits that say whose number it is; "" for what is none."""
    return re.sub(r"[^0-9]", "", number)[-SAME_DIGITS:]


def forget(connection: sa.Connection, number: str) -> Forgotten:
    """In the caller's transaction: delete all rows of the calls with ``number``, what the CRM was not told excepted.

    The journal goes as a whole: calls that go on now are told all the same, only a restart would know less of them.
    """
    wanted = significant(number)
    if not wanted:
        return Forgotten(calls=0, requests=0, recordings=(), left=0)
    calls = sorted({*_calls_of_requests(connection, wanted), *_calls_of_recordings(connection, wanted)})
    busy = {call for some in _chunks(calls) for call in _busy(connection, some)}
    gone = [call for call in calls if call not in busy]
    requests = 0
    recordings: list[RecordingRow] = []
    for some in _chunks(gone):
        rows = connection.execute(sa.select(recording).where(recording.c.call_id.in_(some)))
        recordings += [as_value(row) for row in rows]
        connection.execute(sa.delete(recording).where(recording.c.call_id.in_(some)))
        requests += connection.execute(sa.delete(request).where(request.c.call_id.in_(some))).rowcount
    if calls:
        connection.execute(sa.delete(journal))
    return Forgotten(calls=len(gone), requests=requests, recordings=recordings, left=len(busy))


def _calls_of_requests(connection: sa.Connection, wanted: str) -> set[str]:
    query = sa.select(request.c.call_id, request.c.extension, request.c.form)
    rows = connection.execute(query.where(request.c.form.contains(wanted)))
    return {row.call_id for row in rows if _is_about(json.loads(row.form), row.extension, wanted)}


def _is_about(form: dict[str, Any], extension: str, wanted: str) -> bool:
    numbers = {str(form.get(name, "")) for name in _NUMBERS} - {extension}
    return any(significant(number) == wanted for number in numbers)


def _calls_of_recordings(connection: sa.Connection, wanted: str) -> set[str]:
    rows = connection.execute(
        sa.select(recording.c.call_id, recording.c.customer).where(recording.c.customer.contains(wanted))
    )
    return {row.call_id for row in rows if significant(row.customer) == wanted}


def _busy(connection: sa.Connection, calls: Sequence[str]) -> set[str]:
    unsettled = sa.select(request.c.call_id).where(
        request.c.call_id.in_(calls), sa.or_(request.c.state.in_(UNSETTLED), unended(request))
    )
    awaited = sa.select(recording.c.call_id).where(
        recording.c.call_id.in_(calls), recording.c.state == RecordingState.WAITING
    )
    return {*connection.scalars(unsettled), *connection.scalars(awaited)}


def _chunks(calls: Sequence[str]) -> list[Sequence[str]]:
    return [calls[start : start + CHUNK] for start in range(0, len(calls), CHUNK)]
