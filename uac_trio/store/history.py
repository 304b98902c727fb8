"""What is kept of calls, whatever its state: for ``uac-trio explain``."""

from __future__ import annotations

from collections.abc import Collection

import attrs
import sqlalchemy as sa

from uac_trio.store.deliveries import as_delivery
from uac_trio.store.dialect import CHUNK
from uac_trio.store.rows import StoredRow
from uac_trio.store.tables import State, delivery


@attrs.frozen(kw_only=True)
class Wanted:
    """The calls of one customer or employee, and others by their ids."""

    digits: str = ""
    """The customer's, as ``deliveries.significant`` has them."""
    extension: str = ""
    call_ids: Collection[str] = ()
    since: float
    """Seconds since the epoch. Does not hold for ``call_ids``."""
    most: int
    """Calls of the customer or employee; the latest."""


def history(connection: sa.Connection, wanted: Wanted) -> list[StoredRow]:
    """All rows of these calls, in the order in which they were put."""
    calls = sorted({*wanted.call_ids, *_calls_of(connection, wanted)})
    found: list[StoredRow] = []
    for start in range(0, len(calls), CHUNK):
        rows = connection.execute(sa.select(delivery).where(delivery.c.call_id.in_(calls[start : start + CHUNK])))
        found += [_as_value(row) for row in rows]
    return sorted(found, key=lambda row: row.id)


def _calls_of(connection: sa.Connection, wanted: Wanted) -> list[str]:
    who = []
    if wanted.digits:
        who.append(delivery.c.customer_digits == wanted.digits)
    if wanted.extension:
        who.append(delivery.c.extension == wanted.extension)
    if not who:
        return []
    latest = sa.func.max(delivery.c.at)
    calls = (
        sa.select(delivery.c.call_id)
        .where(sa.or_(*who), delivery.c.at >= wanted.since)
        .group_by(delivery.c.call_id)
        .order_by(latest.desc())
        .limit(wanted.most)
    )
    return list(connection.scalars(calls))


def _as_value(row: sa.Row[tuple[object, ...]]) -> StoredRow:
    return StoredRow(
        id=row.id,
        delivery=as_delivery(row),
        state=State(row.state),
        attempt=row.attempt,
        reason=row.reason,
        is_probable=row.is_probable,
        in_doubt=row.in_doubt,
        created_at=row.created_at,
        next_try_at=row.next_try_at,
        settled_at=row.settled_at,
    )
