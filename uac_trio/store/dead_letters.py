"""Dead letters: what the CRM refused for good, and what an administrator does about it."""

from __future__ import annotations

import sqlalchemy as sa

from uac_trio.store.deliveries import as_delivery
from uac_trio.store.dialect import LEASE_LOCK, lock
from uac_trio.store.rows import ParkedRow
from uac_trio.store.settings import OutboxError
from uac_trio.store.tables import State, delivery


def parked(connection: sa.Connection, limit: int) -> list[ParkedRow]:
    rows = connection.execute(
        sa.select(delivery).where(delivery.c.state == State.PARKED).order_by(delivery.c.id).limit(limit)
    )
    return [
        ParkedRow(
            id=row.id, delivery=as_delivery(row), parked_at=row.settled_at, attempt=row.attempt, reason=row.reason
        )
        for row in rows
    ]


def retry(connection: sa.Connection, row_id: int, now: float) -> int:
    lock(connection, LEASE_LOCK)
    call_id = connection.scalar(
        sa.select(delivery.c.call_id).where(delivery.c.id == row_id, delivery.c.state == State.PARKED)
    )
    if call_id is None:
        return 0
    of_call = delivery.c.call_id == call_id
    if connection.scalar(sa.select(sa.exists().where(of_call, delivery.c.state == State.SENDING))):
        raise OutboxError(f"call {call_id} is being sent at this moment; try again in a minute or two")
    follows = sa.and_(delivery.c.id > row_id, delivery.c.state == State.DELIVERED)
    return connection.execute(
        sa.update(delivery)
        .where(of_call, sa.or_(delivery.c.id == row_id, follows))
        .values(state=State.WAITING, accepted=0, attempt=0, next_try_at=now, settled_at=None, in_doubt=False)
    ).rowcount


def drop(connection: sa.Connection, row_id: int, now: float) -> bool:
    dropped = connection.execute(
        sa.update(delivery)
        .where(delivery.c.id == row_id, delivery.c.state == State.PARKED)
        .values(state=State.SUPERSEDED, settled_at=now, reason="dropped by hand: " + delivery.c.reason)
    )
    return dropped.rowcount == 1
