"""The journal of calls in progress, in the same database as their requests.

A page is written in the transaction that stores the requests which followed from it, so the two never differ: whoever
reads the journal after a crash is where the outbox is. A run is one life of one connector's pipeline; it begins with a
copy of the freshest journal there is of the PBX, its own of before the crash or that of a connector that lives on.
"""

from __future__ import annotations

import zlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import attrs
import sqlalchemy as sa

from uac_trio.outbox.tables import journal

KEPT_RUNS = 4
"""Journals of one PBX that stay in PostgreSQL, the freshest: connectors that live, and the one that died last."""
STALE = 86400.0
"""Seconds after which pages of a connector that is gone for good are of no use; they have telephone numbers in them."""
MAX_BYTES = 8 * 1024 * 1024
"""Compressed, of one run and PBX: some 90,000 events, read in five seconds. Of calls that are older than the oldest
page the outbox tells what was begun."""


@attrs.frozen(kw_only=True)
class Page:
    """What one PBX told us in one stretch. Times are seconds since the epoch, by our clock."""

    pbx: str
    run: str
    at: float
    until: float
    lines: Sequence[str]
    """ASCII, without line ends."""
    is_first: bool = False
    """Something is missing before it: the pages before it are of no use."""


Work = Callable[..., Awaitable[Any]]
"""Runs a function with a connection as its first argument in a transaction, in a worker thread."""


class JournalRows:
    """``Outbox.journal``. Every method may raise OutboxError; what it was to do is then not done at all."""

    def __init__(self, write: Work, *, shared: bool) -> None:
        self._write = write
        self._kept = KEPT_RUNS if shared else 1

    async def begin(self, pbx: str, run: str) -> list[list[Page]]:
        """Begin a new ``run`` with the freshest journal of ``pbx``; the journals there were, that one first.

        Raises ValueError if one is damaged; the run begins with none.
        """
        journals: list[list[Page]] = await self._write(self._begin, pbx, run)
        return journals

    async def prune(self, pbx: str, run: str, before: float) -> None:
        """Forget what was heard ``before`` then, and more if there is too much; of other runs, what is ``STALE``."""
        await self._write(self._prune, pbx, run, before)

    def write(self, connection: sa.Connection, pages: Sequence[Page]) -> None:
        """In the caller's transaction."""
        for page in pages:
            if page.is_first:
                connection.execute(sa.delete(journal).where(_of(page.pbx, page.run)))
            data = zlib.compress("\n".join(page.lines).encode("ascii"))
            connection.execute(
                sa.insert(journal).values(
                    pbx=page.pbx, run=page.run, at=page.at, until=page.until, size=len(data), data=data
                )
            )

    def _begin(self, connection: sa.Connection, pbx: str, run: str) -> list[list[Page]]:
        latest = sa.func.max(journal.c.until)
        runs = list(
            connection.scalars(
                sa.select(journal.c.run).where(journal.c.pbx == pbx).group_by(journal.c.run).order_by(latest.desc())
            )
        )
        if not runs:
            return []
        columns = [column for column in journal.c if column is not journal.c.id]
        pages = {
            each: connection.execute(sa.select(*columns).where(_of(pbx, each)).order_by(journal.c.id)).mappings().all()
            for each in runs
        }
        connection.execute(sa.insert(journal), [{**page, "run": run} for page in pages[runs[0]]])
        gone = runs[self._kept - 1 :]
        if gone:
            connection.execute(sa.delete(journal).where(journal.c.pbx == pbx, journal.c.run.in_(gone)))
        return [[_page(row) for row in pages[each]] for each in runs]

    def _prune(self, connection: sa.Connection, pbx: str, run: str, before: float) -> None:
        stale = sa.and_(journal.c.pbx == pbx, journal.c.until < before - STALE)
        connection.execute(sa.delete(journal).where(sa.or_(sa.and_(_of(pbx, run), journal.c.until < before), stale)))
        total = sa.func.sum(journal.c.size).over(order_by=journal.c.id.desc())
        sizes = sa.select(journal.c.id, total.label("total")).where(_of(pbx, run)).subquery()
        beyond = connection.scalar(sa.select(sa.func.max(sizes.c.id)).where(sizes.c.total > MAX_BYTES))
        if beyond is not None:
            connection.execute(sa.delete(journal).where(_of(pbx, run), journal.c.id <= beyond))


def _page(row: sa.RowMapping) -> Page:
    try:
        lines = zlib.decompress(row["data"]).decode("ascii").split("\n")
    except zlib.error as why:
        raise ValueError(f"a page is damaged: {why}") from why
    return Page(pbx=row["pbx"], run=row["run"], at=row["at"], until=row["until"], lines=lines)


def _of(pbx: str, run: str) -> sa.ColumnElement[bool]:
    return sa.and_(journal.c.pbx == pbx, journal.c.run == run)
