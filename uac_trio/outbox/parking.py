"""What the CRM refused for good, and what an administrator does about it."""

from __future__ import annotations

import json

import sqlalchemy as sa

from uac_trio.outbox.dialect import LEASE_LOCK, lock
from uac_trio.outbox.leasing import UNREPEATABLE
from uac_trio.outbox.opening import OutboxError
from uac_trio.outbox.rows import ParkedRow
from uac_trio.outbox.tables import State, request
from uac_trio.vtiger.request import Step


def parked(connection: sa.Connection, limit: int) -> list[ParkedRow]:
    rows = connection.execute(
        sa.select(request).where(request.c.state == State.PARKED).order_by(request.c.id).limit(limit)
    )
    return [
        ParkedRow(
            id=row.id,
            call_id=row.call_id,
            extension=row.extension,
            step=Step(row.step),
            form=json.loads(row.form),
            at=row.at,
            parked_at=row.settled_at,
            attempt=row.attempt,
            reason=row.reason,
        )
        for row in rows
    ]


def retry(connection: sa.Connection, row_id: int, now: float) -> int:
    lock(connection, LEASE_LOCK)
    call_id = connection.scalar(
        sa.select(request.c.call_id).where(request.c.id == row_id, request.c.state == State.PARKED)
    )
    if call_id is None:
        return 0
    of_call = request.c.call_id == call_id
    if connection.scalar(sa.select(sa.exists().where(of_call, request.c.state == State.SENDING))):
        raise OutboxError(f"call {call_id} is being sent at this moment; try again in a minute or two")
    follows = sa.and_(request.c.id > row_id, request.c.state == State.DELIVERED, request.c.step.not_in(UNREPEATABLE))
    return connection.execute(
        sa.update(request)
        .where(of_call, sa.or_(request.c.id == row_id, follows))
        .values(state=State.WAITING, attempt=0, next_try_at=now, settled_at=None)
    ).rowcount


def drop(connection: sa.Connection, row_id: int, now: float) -> bool:
    dropped = connection.execute(
        sa.update(request)
        .where(request.c.id == row_id, request.c.state == State.PARKED)
        .values(state=State.MOOT, settled_at=now, reason="dropped by hand: " + request.c.reason)
    )
    return dropped.rowcount == 1
