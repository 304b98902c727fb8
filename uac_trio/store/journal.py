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

from uac_trio.store.tables import journal

OTHERS = 3
"""Journals that are read beside the freshest, the next fresh ones: of what their connectors, now dead, had seen."""
GONE = 600.0
"""Seconds of silence after which a journal in PostgreSQL is taken for that of a connector that is gone."""
STALE = 86400.0
"""Seconds after which no journal is of use, whosever it is; they have telephone numbers in them."""
MAX_BYTES = 4 * 1024 * 1024
"""Compressed, of one run and PBX: some 40,000 events, read in two seconds. Of calls that are older than the oldest
page the outbox tells what was begun."""


@attrs.frozen(kw_only=True)
class Page:
    """What one PBX told us in one stretch. Times are seconds since the epoch, by our clock."""

    pbx: str
    run: str
    at: float
    until: float
    data: bytes
    """Lines of ASCII, compressed."""
    is_first: bool = False
    """Something is missing before it: the pages before it are of no use."""

    @property
    def lines(self) -> list[str]:
        """Raises ValueError if it is damaged."""
        try:
            return zlib.decompress(self.data).decode("ascii").split("\n")
        except zlib.error as why:
            raise ValueError(f"a page is damaged: {why}") from why


def new_page(pbx: str, run: str, lines: Sequence[str], *, at: float, until: float, is_first: bool = False) -> Page:
    """``lines`` of ASCII, without line ends."""
    data = zlib.compress("\n".join(lines).encode("ascii"))
    return Page(pbx=pbx, run=run, at=at, until=until, data=data, is_first=is_first)


Work = Callable[..., Awaitable[Any]]
"""Runs a function with a connection as its first argument in a transaction, in a worker thread."""


class JournalRows:
    """``Outbox.journal``. Every method may raise OutboxError; what it was to do is then not done at all."""

    def __init__(self, write: Work, *, shared: bool) -> None:
        self._write = write
        self._gone = GONE if shared else 0.0

    async def begin(self, pbx: str, run: str, now: float) -> list[list[Page]]:
        """Begin a new ``run`` with the freshest journal of ``pbx``; that one, and some others."""
        journals: list[list[Page]] = await self._write(self._begin, pbx, run, now)
        return journals

    async def prune(self, pbx: str, run: str, before: float, now: float) -> None:
        """Forget what was heard ``before`` then, and more if there is too much; and what is ``STALE`` of anybody."""
        await self._write(self._prune, pbx, run, before, now)

    async def clear(self, pbx: str, run: str) -> None:
        """Forget all of one run."""
        await self._write(self._clear, pbx, run)

    def write(self, connection: sa.Connection, pages: Sequence[Page]) -> None:
        """In the caller's transaction."""
        for page in pages:
            if page.is_first:
                self._clear(connection, page.pbx, page.run)
            connection.execute(
                sa.insert(journal).values(
                    pbx=page.pbx, run=page.run, at=page.at, until=page.until, size=len(page.data), data=page.data
                )
            )

    def _begin(self, connection: sa.Connection, pbx: str, run: str, now: float) -> list[list[Page]]:
        latest = sa.func.max(journal.c.until)
        found = connection.execute(
            sa.select(journal.c.run, latest.label("until"))
            .where(journal.c.pbx == pbx, journal.c.run != run)
            .group_by(journal.c.run)
            .order_by(latest.desc())
        ).all()
        self._clear(connection, pbx, run)  # this very method may have been cut off when its work was done
        if not found:
            return []
        journals = [_pages(connection, pbx, each.run) for each in found[: 1 + OTHERS]]
        self.write(connection, [attrs.evolve(page, run=run) for page in journals[0]])
        gone = [each.run for each in found if each.until <= now - self._gone]
        if gone:
            connection.execute(sa.delete(journal).where(journal.c.pbx == pbx, journal.c.run.in_(gone)))
        return journals

    def _prune(self, connection: sa.Connection, pbx: str, run: str, before: float, now: float) -> None:
        stale = journal.c.until < now - STALE
        connection.execute(sa.delete(journal).where(sa.or_(sa.and_(_of(pbx, run), journal.c.until < before), stale)))
        total = sa.func.sum(journal.c.size).over(order_by=journal.c.id.desc())
        sizes = sa.select(journal.c.id, total.label("total")).where(_of(pbx, run)).subquery()
        beyond = connection.scalar(sa.select(sa.func.max(sizes.c.id)).where(sizes.c.total > MAX_BYTES))
        if beyond is not None:
            connection.execute(sa.delete(journal).where(_of(pbx, run), journal.c.id <= beyond))

    def _clear(self, connection: sa.Connection, pbx: str, run: str) -> None:
        connection.execute(sa.delete(journal).where(_of(pbx, run)))


def _pages(connection: sa.Connection, pbx: str, run: str) -> list[Page]:
    rows = connection.execute(sa.select(journal).where(_of(pbx, run)).order_by(journal.c.id))
    return [Page(pbx=row.pbx, run=row.run, at=row.at, until=row.until, data=row.data) for row in rows]


def _of(pbx: str, run: str) -> sa.ColumnElement[bool]:
    return sa.and_(journal.c.pbx == pbx, journal.c.run == run)
