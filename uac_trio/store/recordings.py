"""What is known of recordings: whose they are, where the PBX says the file is, whether the CRM has the link.

The token of the link finds the row; the row says which file. A row that waits for its file becomes a delivery in the
same transaction that makes it ready.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import attrs
import sqlalchemy as sa

from uac_trio.crm.delivery import Delivery, Kind
from uac_trio.store import deliveries
from uac_trio.store.deliveries import as_part, of_participation
from uac_trio.store.dialect import PUT_LOCK, insert_new, lock
from uac_trio.store.tables import recording


class RecordingState(enum.StrEnum):
    WAITING = "waiting"
    """The file is not there or not complete yet; the CRM has no link."""
    READY = "ready"
    """The file was seen complete, and the link is delivered."""
    MISSING = "missing"
    """Given up; no link is delivered. ``reason`` says what was wrong in the end."""
    UNSEEN = "unseen"
    """The PBX's files are out of this host's reach; the link is delivered at once."""


@attrs.frozen(kw_only=True)
class NewRecording:
    """A recording that became known."""

    delivery: Delivery
    """Its RECORDING; ``recording`` is the token, ``path`` nothing that may be opened as it stands."""
    is_awaited: bool
    """The delivery is held back until ``RecordingRows.release``; otherwise it is put with the others."""


@attrs.frozen(kw_only=True)
class RecordingRow:
    """Times are seconds since the epoch, ``size`` is in bytes."""

    token: str
    pbx: str
    call_id: str
    extension: str
    path: str
    at: float
    """When the recording became known: the call's end."""
    state: RecordingState
    size: int | None
    reason: str
    created_at: float


Work = Callable[..., Awaitable[Any]]
"""Runs a function with a connection as its first argument in a transaction, in a worker thread."""


class RecordingRows:
    """``Outbox.recordings``. Every method may raise OutboxError; what it was to do is then not done at all."""

    def __init__(self, read: Work, write: Work) -> None:
        self._read = read
        self._write = write

    async def find(self, token: str) -> RecordingRow | None:
        """The recording that a link's token means."""
        found: RecordingRow | None = await self._read(self._find, token)
        return found

    async def awaited(self, pbx: str, limit: int = 2000) -> list[RecordingRow]:
        """Those of a PBX that wait for their file, oldest first."""
        found: list[RecordingRow] = await self._read(self._awaited, pbx, limit)
        return found

    async def release(self, token: str, size: int, now: float) -> bool:
        """The file is complete: put its delivery into the outbox. False: it waits no longer."""
        released: bool = await self._write(self._release, token, size, now)
        return released

    async def give_up(self, token: str, reason: str, now: float) -> bool:
        """The file did not come. False: it waits no longer."""
        given_up: bool = await self._write(self._give_up, token, reason, now)
        return given_up

    async def count_by_state(self) -> dict[str, int]:
        """How many are in each ``RecordingState``, by its value."""
        counts: dict[str, int] = await self._read(self._count_by_state)
        return counts

    async def older(self, before: float, limit: int = 500, *, after: RecordingRow | None = None) -> list[RecordingRow]:
        """Recordings made ``before`` then, oldest first; of these the ones that come ``after`` another."""
        found: list[RecordingRow] = await self._read(self._older, before, limit, after)
        return found

    async def delete(self, rows: Sequence[RecordingRow]) -> None:
        """Remember these no more."""
        await self._write(self._delete, [row.token for row in rows])

    def put(self, connection: sa.Connection, recordings: Sequence[NewRecording], now: float) -> None:
        """In the caller's transaction. One that is known already, by its token, is dropped."""
        lock(connection, PUT_LOCK)
        statement = insert_new(connection, recording, "token")
        connection.execute(statement, [_as_row(each, now) for each in recordings])

    # -- In worker threads ------------------------------------------------------------------------------------------

    def _count_by_state(self, connection: sa.Connection) -> dict[str, int]:
        rows = connection.execute(sa.select(recording.c.state, sa.func.count()).group_by(recording.c.state))
        return {str(state): count for state, count in rows}

    def _find(self, connection: sa.Connection, token: str) -> RecordingRow | None:
        row = connection.execute(sa.select(recording).where(recording.c.token == token)).one_or_none()
        return None if row is None else as_value(row)

    def _awaited(self, connection: sa.Connection, pbx: str, limit: int) -> list[RecordingRow]:
        waits = sa.and_(recording.c.state == RecordingState.WAITING, recording.c.pbx == pbx)
        rows = connection.execute(sa.select(recording).where(waits).order_by(recording.c.created_at).limit(limit))
        return [as_value(row) for row in rows]

    def _release(self, connection: sa.Connection, token: str, size: int, now: float) -> bool:
        waits = sa.and_(recording.c.token == token, recording.c.state == RecordingState.WAITING)
        lock(connection, PUT_LOCK)  # first, as in put
        row = connection.execute(sa.select(recording).where(waits).with_for_update()).one_or_none()
        if row is None:
            return False
        connection.execute(
            sa.update(recording).where(waits).values(state=RecordingState.READY, size=size, reason="", settled_at=now)
        )
        deliveries.put(connection, [_as_delivery(row)], now)
        return True

    def _give_up(self, connection: sa.Connection, token: str, reason: str, now: float) -> bool:
        given_up = connection.execute(
            sa.update(recording)
            .where(recording.c.token == token, recording.c.state == RecordingState.WAITING)
            .values(state=RecordingState.MISSING, reason=reason, settled_at=now)
        )
        return given_up.rowcount == 1

    def _older(
        self, connection: sa.Connection, before: float, limit: int, after: RecordingRow | None
    ) -> list[RecordingRow]:
        old = sa.select(recording).where(recording.c.at < before)
        if after is not None:
            same_time = sa.and_(recording.c.at == after.at, recording.c.token > after.token)
            old = old.where(recording.c.at >= after.at, sa.or_(recording.c.at > after.at, same_time))
        rows = connection.execute(old.order_by(recording.c.at, recording.c.token).limit(limit))
        return [as_value(row) for row in rows]

    def _delete(self, connection: sa.Connection, tokens: Sequence[str]) -> None:
        connection.execute(sa.delete(recording).where(recording.c.token.in_(tokens)))


def _as_row(each: NewRecording, now: float) -> dict[str, Any]:
    return {
        "token": each.delivery.recording,
        **of_participation(each.delivery),
        "path": json.dumps(each.delivery.path),  # ASCII: not every path is Unicode
        "state": (RecordingState.WAITING if each.is_awaited else RecordingState.UNSEEN).value,
        "size": None,
        "reason": "",
        "created_at": now,
        "settled_at": None,
    }


def _as_delivery(row: sa.Row[Any]) -> Delivery:
    return attrs.evolve(as_part(row, Kind.RECORDING), recording=row.token)


def as_value(row: sa.Row[Any]) -> RecordingRow:
    return RecordingRow(
        token=row.token,
        pbx=row.pbx,
        call_id=row.call_id,
        extension=row.extension,
        path=json.loads(row.path),
        at=row.at,
        state=RecordingState(row.state),
        size=row.size,
        reason=row.reason,
        created_at=row.created_at,
    )
