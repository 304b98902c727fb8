"""The event logs of calls in progress, in the same database as their deliveries.

They are written in the transaction that stores the deliveries which followed from them, so the two never differ:
a log that is replayed after a crash leads to where the outbox is. A run is one life of one connector's pipeline.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import sqlalchemy as sa

from uac_trio.event_log import LogChanges, LogPart, read_entry, write_entry
from uac_trio.store.dialect import PUT_LOCK, lock
from uac_trio.store.tables import event_log

STALE = 86400.0
"""Seconds after which the log of a call that no connector ended is of no use; it has telephone numbers in it."""

Work = Callable[..., Awaitable[Any]]
"""Runs a function with a connection as its first argument in a transaction, in a worker thread."""

_c = event_log.c
_other = event_log.alias("other")
_DROP = sa.delete(event_log).where(_c.call_id == sa.bindparam("of"))
_LEAVE = _DROP.where(_c.run == sa.bindparam("of_run"))
_MOVE = sa.update(event_log).where(_c.run == sa.bindparam("of_run"), _c.call_id == sa.bindparam("of"))
_COPY = sa.select(_c.pbx, _c.run, _c.banner, _c.is_whole, _c.until, _c.entries)


class EventLogRows:
    """``Outbox.event_logs``. Every method may raise OutboxError; what it was to do is then not done at all."""

    def __init__(self, read: Work, write: Work, *, shared: bool) -> None:
        self._read = read
        self._write = write
        self._shared = shared

    async def of_pbx(self, pbx: str, now: float) -> list[LogPart]:
        """The logs of all runs without those that are stale ``now``: their calls are over, and what was delivered of
        them may be purged, so that a replay would deliver it again. Raises ValueError for one that is damaged."""
        parts: list[LogPart] = await self._read(self._of_pbx, pbx, now - STALE)
        return parts

    async def forget(self, pbx: str, but: str, now: float) -> None:
        """Delete the logs of other runs than ``but``: of all in SQLite, which one connector has; else what is stale."""
        await self._write(self._forget, pbx, but, now)

    def write(self, connection: sa.Connection, changes: Sequence[LogChanges]) -> None:
        """In the caller's transaction."""
        if any(each.dropped for each in changes):
            lock(connection, PUT_LOCK)  # the logs of other runs go too, and two that drop the same must not deadlock
        for each in changes:
            for source, target in each.copied:
                _copy(connection, each.run, source, target)
            for absorbed, survivor in each.moved:
                connection.execute(_MOVE.values(call_id=survivor), {"of_run": each.run, "of": absorbed})
            if each.dropped:
                connection.execute(_DROP, [{"of": call_id} for call_id in each.dropped])
            if each.left:
                connection.execute(_LEAVE, [{"of": call_id, "of_run": each.run} for call_id in each.left])
            if each.added:
                connection.execute(sa.insert(event_log), [_as_row(part) for part in each.added])

    def _of_pbx(self, connection: sa.Connection, pbx: str, since: float) -> list[LogPart]:
        last = sa.select(sa.func.max(_other.c.until)).where(_other.c.call_id == _c.call_id).scalar_subquery()
        rows = connection.execute(sa.select(event_log).where(_c.pbx == pbx, last >= since).order_by(_c.id))
        return [_as_part(row) for row in rows]

    def _forget(self, connection: sa.Connection, pbx: str, but: str, now: float) -> None:
        others = sa.and_(_c.pbx == pbx, _c.run != but)
        old = _c.until < now - STALE
        connection.execute(sa.delete(event_log).where(sa.and_(others, old) if self._shared else others))


def _copy(connection: sa.Connection, run: str, source: str, target: str) -> None:
    rows = connection.execute(_COPY.where(_c.run == run, _c.call_id == source).order_by(_c.id)).mappings().all()
    if rows:
        connection.execute(sa.insert(event_log), [{**row, "call_id": target} for row in rows])


def _as_row(part: LogPart) -> dict[str, Any]:
    return {
        "pbx": part.pbx,
        "run": part.run,
        "call_id": part.call_id,
        "banner": part.banner,
        "is_whole": part.is_whole,
        "until": part.entries[-1].at,
        "entries": "\n".join(map(write_entry, part.entries)),
    }


def _as_part(row: sa.Row[Any]) -> LogPart:
    entries = [read_entry(line) for line in row.entries.split("\n")]
    return LogPart(
        pbx=row.pbx, call_id=row.call_id, run=row.run, banner=row.banner, is_whole=row.is_whole, entries=entries
    )
