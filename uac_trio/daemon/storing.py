"""From the pipeline to the outbox: a hand-over that never waits, and a store that may be away."""

from __future__ import annotations

import math
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

import attrs
import structlog
import trio

from uac_trio.journal import Heard, write_line
from uac_trio.outbox import Outbox, OutboxError, OutboxStatistics, Page, new_page
from uac_trio.recordings import split_told
from uac_trio.vtiger.request import CallbackRequest

log = structlog.get_logger()

T = TypeVar("T")

MAX_WAITING = 20_000
"""Requests held in memory while the store takes none: 30 MB, half an hour of a PBX with two calls a second."""
MAX_JOURNAL = 32 * 1024 * 1024
"""Characters of the journal held in memory while the store takes none; of more, only the requests are."""
BATCH = 500
"""Things told that are put into the outbox in one transaction."""
JOURNAL_WITHIN = 0.2
"""Seconds that events of which no request follows may wait to be written down together."""
STORE_PAUSE = 1.0
STORE_SLOW = 5.0
"""Seconds without an answer after which the store is said to hang; it is waited for all the same."""
STATISTICS_EVERY = 10.0
PURGE_EVERY = 3600.0


@attrs.frozen
class _Told:
    """What the pipeline was told once, and what followed."""

    requests: Sequence[CallbackRequest]
    pbx: str = ""
    at: float = 0.0
    line: str = ""
    """Of the journal; "" = there is none."""
    is_first: bool = False
    """Lines before it were left out."""


@attrs.define(eq=False, kw_only=True)
class Storing:
    """What is on its way into the outbox, and how the store is."""

    outbox: Outbox
    roots: Mapping[str, Sequence[str]]
    """Directories of each PBX's recordings, by its name."""
    now: Callable[[], float]
    requests_stored: Callable[[], None]
    """Called when there are new requests to be sent."""
    recordings_stored: Callable[[], None]
    """Called when there are new recordings to be waited for."""
    statistics: OutboxStatistics | None = None
    trouble: str = ""
    """Why the store takes nothing now; "" = it works."""
    run: str = ""
    """Names our journals; another for each pipeline."""
    in_memory: int = 0
    """Requests that would be lost with this process."""
    _journal: int = 0
    """Characters of the journal in memory."""
    _asked_at: float = math.inf
    """Since when an answer of the store is awaited, by trio's clock; infinite: none is."""
    _torn: set[str] = attrs.field(factory=set)
    """PBXes of whose journal the last line was left out."""
    _send: trio.MemorySendChannel[_Told] = attrs.field(init=False)
    _receive: trio.MemoryReceiveChannel[_Told] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._send, self._receive = trio.open_memory_channel[_Told](math.inf)  # what is in it is counted here

    def begin_run(self) -> None:
        """Another pipeline begins: its journals have another name."""
        self.run = secrets.token_hex(8)
        self._torn.clear()

    def hand_over_nowait(self, requests: Sequence[CallbackRequest], pbx: str = "", heard: Heard | None = None) -> int:
        """Take ``requests`` and, for the journal of ``pbx``, what they follow from.

        How many requests there was no room for (all of them, or none): their calls are no longer told rightly.
        """
        if self.in_memory and self.in_memory + len(requests) > MAX_WAITING:
            return len(requests)
        line = write_line(heard) if heard is not None else ""
        if self._journal + len(line) > MAX_JOURNAL:
            self._torn.add(pbx)
            line = ""
        told = _Told(requests, pbx, heard.at if heard is not None else 0.0, line, bool(line) and pbx in self._torn)
        if told.is_first:
            self._torn.discard(pbx)
        if requests or line:
            self.in_memory += len(requests)
            self._journal += len(line)
            self._send.send_nowait(told)
        return 0

    def end_nowait(self) -> None:
        """Nothing more will be handed over: ``store`` ends when the rest is committed."""
        self._send.close()

    async def store(self) -> None:
        """Put into the outbox whatever is handed over; hold it while the store is away."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._say_when_it_hangs)
            async for first in self._receive:
                batch = [first]
                await self._gather(batch)
                while not await self._put(batch):  # noqa: ASYNC110 - this is the retry, not a poll
                    await trio.sleep(STORE_PAUSE)
                self.in_memory -= sum(len(told.requests) for told in batch)
                self._journal -= sum(len(told.line) for told in batch)
            nursery.cancel_scope.cancel()

    async def _gather(self, batch: list[_Told]) -> None:
        """Add what is there; if there are only lines of the journal, wait a moment for more."""
        try:
            with trio.move_on_after(JOURNAL_WITHIN):
                while not batch[-1].requests and len(batch) < BATCH:
                    batch.append(await self._receive.receive())
            while len(batch) < BATCH:
                batch.append(self._receive.receive_nowait())
        except (trio.WouldBlock, trio.EndOfChannel):
            pass

    async def all_committed(self) -> None:
        """Wait until nothing is held in memory."""
        while self.in_memory or self._journal:  # noqa: ASYNC110 - two numbers, once a second
            await trio.sleep(STORE_PAUSE)

    async def keep_asking(self, question: Callable[[], Awaitable[T]]) -> T:
        """The store's answer, however long it is away."""
        while True:
            try:
                return await question()
            except OutboxError as why:
                self.fails(why)
            await trio.sleep(STORE_PAUSE)

    async def look_after_store(self) -> None:
        """Keep the figures for /healthz fresh and throw old rows away."""
        purge_at = trio.current_time()
        while True:
            try:
                self.statistics = await self.outbox.statistics()
                if trio.current_time() >= purge_at:
                    purge_at = trio.current_time() + PURGE_EVERY
                    purged = await self.outbox.purge(self.now() - self.outbox.settings.keep_delivered)
                    log.debug("outbox.purged", rows=purged)
                if not self.in_memory:
                    self.works()
            except OutboxError as why:
                self.fails(why)
            await trio.sleep(STATISTICS_EVERY)

    def fails(self, why: OutboxError) -> None:
        """Somebody's work with the store failed."""
        if str(why) != self.trouble:
            log.error("outbox.fails", reason=str(why), in_memory=self.in_memory)
        self.trouble = str(why)

    def works(self) -> None:
        """Somebody's work with the store was done."""
        if self.trouble:
            log.info("outbox.works_again")
        self.trouble = ""

    async def _put(self, batch: Sequence[_Told]) -> bool:
        told = [request for one in batch for request in one.requests]
        requests, recordings = split_told(told, self.roots)
        pages = self._pages(batch)
        try:
            self._asked_at = trio.current_time()
            new = await self.outbox.put(requests, self.now(), recordings, pages)
        except OutboxError as why:
            self.fails(why)
            return False
        finally:
            self._asked_at = math.inf
        self.works()
        log.debug("outbox.put", requests=len(told), new=new)
        if requests:
            self.requests_stored()
        if recordings:
            self.recordings_stored()
        return True

    async def _say_when_it_hangs(self) -> None:
        """No answer is no error either, and somebody has to say it."""
        while True:
            await trio.sleep(STORE_PAUSE)
            if trio.current_time() - self._asked_at > STORE_SLOW:
                self.fails(
                    OutboxError(
                        f"{self.outbox.where} has given no answer for {STORE_SLOW:g} s: does its host or its disk hang?"
                    )
                )

    def _pages(self, batch: Sequence[_Told]) -> list[Page]:
        by_pbx: dict[str, list[_Told]] = {}
        for told in batch:
            if told.is_first:
                by_pbx[told.pbx] = [told]  # what is before the gap is of no use
            elif told.line:
                by_pbx.setdefault(told.pbx, []).append(told)
        return [
            new_page(
                pbx,
                self.run,
                [told.line for told in lines],
                at=lines[0].at,
                until=max(told.at for told in lines),
                is_first=lines[0].is_first,
            )
            for pbx, lines in by_pbx.items()
        ]
