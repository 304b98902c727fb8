"""From the pipeline to the outbox: a hand-over that never waits, and a store that may be away."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

import attrs
import structlog
import trio

from uac_trio.outbox import Outbox, OutboxError, OutboxStatistics
from uac_trio.recordings import split_told
from uac_trio.vtiger.request import CallbackRequest

log = structlog.get_logger()

T = TypeVar("T")

MAX_WAITING = 20_000
"""Requests held in memory while the store takes none: 30 MB, half an hour of a PBX with two calls a second."""
BATCH = 500
"""Requests put into the outbox in one transaction."""
STORE_PAUSE = 1.0
STATISTICS_EVERY = 10.0
PURGE_EVERY = 3600.0


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
    _send: trio.MemorySendChannel[CallbackRequest] = attrs.field(init=False)
    _receive: trio.MemoryReceiveChannel[CallbackRequest] = attrs.field(init=False)
    _uncommitted: int = 0
    """Requests taken out of the channel and not yet in the outbox."""

    def __attrs_post_init__(self) -> None:
        self._send, self._receive = trio.open_memory_channel[CallbackRequest](MAX_WAITING)

    @property
    def in_memory(self) -> int:
        """Requests that would be lost with this process."""
        return self._uncommitted + self._receive.statistics().current_buffer_used

    def hand_over_nowait(self, requests: Sequence[CallbackRequest]) -> int:
        """Take ``requests``; how many there was no room for: their calls are no longer told rightly."""
        for number, request in enumerate(requests):
            try:
                self._send.send_nowait(request)
            except trio.WouldBlock:
                return len(requests) - number
        return 0

    def end_nowait(self) -> None:
        """Nothing more will be handed over: ``run`` ends when the rest is committed."""
        self._send.close()

    async def run(self) -> None:
        """Put into the outbox whatever is handed over; hold it while the store is away."""
        async for first in self._receive:
            batch = [first]
            self._uncommitted = 1
            try:
                while len(batch) < BATCH:
                    batch.append(self._receive.receive_nowait())
            except (trio.WouldBlock, trio.EndOfChannel):
                pass
            self._uncommitted = len(batch)
            while not await self._put(batch):  # noqa: ASYNC110 - this is the retry, not a poll
                await trio.sleep(STORE_PAUSE)
            self._uncommitted = 0

    async def all_committed(self) -> None:
        """Wait until nothing is held in memory."""
        while self.in_memory:  # noqa: ASYNC110 - two numbers, once a second
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
                if not self._uncommitted:
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

    async def _put(self, batch: Sequence[CallbackRequest]) -> bool:
        requests, recordings = split_told(batch, self.roots)
        try:
            new = await self.outbox.put(requests, self.now(), recordings)
        except OutboxError as why:
            self.fails(why)
            return False
        self.works()
        log.debug("outbox.put", requests=len(batch), new=new)
        self.requests_stored()
        if recordings:
            self.recordings_stored()
        return True
