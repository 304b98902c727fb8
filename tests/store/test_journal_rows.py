"""The journal beside the deliveries: written with them, read by the next run, never longer than needed."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import pytest
import sqlalchemy as sa

from tests.store.calls import NUMBER, delivery
from uac_trio.crm.delivery import Delivery, Kind
from uac_trio.store import Exchange, OutboxError, OutboxSettings, Page, new_page, open_outbox
from uac_trio.store.journal import GONE, STALE, JournalRows
from uac_trio.store.outbox import Outbox
from uac_trio.store.tables import journal

BEGIN = delivery(Kind.BEGIN)


def page(*lines: str, run: str = "one", at: float = 1.0, pbx: str = "main", is_first: bool = False) -> Page:
    return new_page(pbx, run, lines, at=at, until=at, is_first=is_first)


async def put(outbox: Outbox, *pages: Page, deliveries: Sequence[Delivery] = (), at: float = 1.0) -> int:
    return (await outbox.exchange(Exchange(put=deliveries, pages=pages), at)).new


async def lines_of(outbox: Outbox, run: str, pbx: str = "main", now: float = 10.0) -> list[str]:
    """Of the freshest journal, with which ``run`` begins."""
    journals = await outbox.journal.begin(pbx, run, now)
    return [line for page in journals[0] for line in page.lines] if journals else []


async def runs_of(outbox: Outbox) -> set[str]:
    return await outbox._read(lambda connection: set(connection.scalars(sa.select(journal.c.run))))


async def test_next_run(store_url: str) -> None:
    """It reads what the one before wrote, in order, of the same PBX; and so does the run after it."""
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        assert await lines_of(outbox, "one") == []
        await put(outbox, page("a", "b"), page("x", pbx="other"))
        await put(outbox, page("c", at=2.0), at=2.0)
        assert await lines_of(outbox, "two") == ["a", "b", "c"]
        await put(outbox, page("d", run="two", at=3.0), at=3.0)
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        assert await lines_of(outbox, "three") == ["a", "b", "c", "d"]
        assert await lines_of(outbox, "three", "other") == ["x"]


async def test_freshest(store_url: str) -> None:
    """Of two connectors the one that heard the latest event is believed; few journals are kept."""
    shared = store_url.startswith("postgresql")
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        await put(outbox, page("old", run="a", at=5.0), page("new", run="b", at=6.0))
        await put(outbox, page("older", run="a", at=4.0))
        assert [[page.lines for page in pages] for pages in await outbox.journal.begin("main", "c", 10.0)] == [
            [["new"]],
            [["old"], ["older"]],
        ]
        assert await runs_of(outbox) == ({"a", "b", "c"} if shared else {"c"})
        await lines_of(outbox, "d", now=9.0 + GONE)
        assert await runs_of(outbox) == {"d"}


async def test_with_the_deliveries(store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both are stored, or none."""
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:

        def fails(*_: object) -> None:
            raise OutboxError("no room")

        with monkeypatch.context() as patched, suppress(OutboxError):
            patched.setattr(JournalRows, "write", fails)
            await put(outbox, page("a"), deliveries=[BEGIN])
        assert (await outbox.statistics()).waiting == 0
        assert await put(outbox, page("a"), deliveries=[BEGIN]) == 1
        assert await lines_of(outbox, "two") == ["a"]


async def test_what_is_before_a_gap(store_url: str) -> None:
    """A journal with a hole in it would lead to a state that never was: it begins after the hole."""
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        await put(outbox, page("a"), page("b"))
        await put(outbox, page("d", is_first=True), page("e"))
        assert await lines_of(outbox, "two") == ["d", "e"]


async def test_prune(store_url: str) -> None:
    """What was heard before the oldest call in progress goes; other runs' pages stay, but not for ever."""
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        await put(outbox, *(page(str(at), at=at) for at in (0.5, 1.9, 2.0, 3.0)))
        await outbox.journal.prune("main", "another", 9.0, 10.0)
        await outbox.journal.prune("other", "another", 9.0, 1.5 + STALE)
        assert await lines_of(outbox, "two") == ["1.9", "2.0", "3.0"]
        for run in ("one", "two"):
            await outbox.journal.prune("main", run, 2.0, 10.0)
        assert await lines_of(outbox, "three") == ["2.0", "3.0"]


async def test_too_much(store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside a call that lasts for days the oldest pages go, one by one, not the newest."""
    monkeypatch.setattr("uac_trio.store.journal.MAX_BYTES", 40)
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        await put(outbox, *(page(f"line {number}") for number in range(9)))
        await outbox.journal.prune("main", "one", 0.0, 10.0)
        kept = await lines_of(outbox, "two")
        assert kept == [f"line {number}" for number in range(9)][-len(kept) :]
        assert 0 < len(kept) < 9


async def test_forget(store_url: str) -> None:
    """Who is forgotten is in no journal; where nobody is, nothing goes."""
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        await put(outbox, page(NUMBER), deliveries=[delivery(Kind.END)])
        await outbox.forget("79990000000")
        assert await lines_of(outbox, "two") == [NUMBER]
        await outbox.forget(NUMBER)
        assert await lines_of(outbox, "three") == []


async def test_one_run_of_its_own(store_url: str) -> None:
    """What is cleared is one run's; to begin a run again, after a commit whose answer was lost, is to begin it."""
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        await put(outbox, page("a"), page("b", run="two"))
        await outbox.journal.clear("main", "two")
        assert await lines_of(outbox, "three") == ["a"]
        if store_url.startswith("postgresql"):
            assert await lines_of(outbox, "three") == ["a"]
