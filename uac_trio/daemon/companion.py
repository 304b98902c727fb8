"""Events for the CRM's users' browsers: from the pipeline, the sender, clicks and other connectors to the streams.

A browser is connected to one of several connectors that share the outbox: what one delivered, the others have to know.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence

import attrs
import structlog
import trio

from uac_trio.calls.fact import Fact
from uac_trio.crm.stream_events import Settled, StreamEvent, StreamEvents, decoded, encoded
from uac_trio.daemon.watching import harmless
from uac_trio.logs import LogLimit
from uac_trio.store.notifying import Notices
from uac_trio.store.rows import LeasedRow
from uac_trio.store.settings import OutboxError
from uac_trio.web.streams import Streams
from uac_trio.web.wrong_secrets import WrongSecrets

log = structlog.get_logger()

MOST_UNSENT = 500
"""News that wait to be sent to other connectors; a store that is away has no room for more."""


@attrs.define(eq=False, kw_only=True)
class Companion:
    """Made once, for all pipelines that this process makes. Nothing in here waits or raises."""

    streams: Streams
    events: StreamEvents
    wrong_secrets: WrongSecrets = attrs.field(factory=WrongSecrets)
    """Of tokens alone: all browsers may come from the CRM's address, and forged tokens must not block its clicks."""
    name: str = attrs.field(factory=lambda: secrets.token_hex(8))
    """Of this process, among the connectors on this store."""
    _is_shared: bool = attrs.field(default=False, init=False)
    _unsent: list[str] = attrs.field(factory=list, init=False)
    _woken: trio.Event = attrs.field(factory=trio.Event, init=False)
    _complaints: LogLimit = attrs.field(factory=LogLimit, init=False)

    def observe(self, fact: Fact) -> None:
        """From the pipeline. Other connectors see the same from their own."""
        with harmless():
            self._put(self.events.fact(fact))

    def recall(self, fact: Fact) -> None:
        """From the pipeline: an earlier run observed it."""
        with harmless():
            self.events.recall(fact)

    def start_over(self) -> None:
        """What the pipeline knew is dropped."""
        self.events.start_over()

    def delivered(self, row: LeasedRow) -> None:
        """From the sender: the CRM has answered."""
        with harmless():
            settled = Settled.of(row.delivery)
            self._put(self.events.settled(settled))
            self._share(encoded(self.name, settled))

    def click_failed(self, extension: str, outcome: str) -> None:
        """From the web: there is no call that would show it."""
        with harmless():
            event = StreamEvent(extension=extension, click=outcome)
            self._put([event])
            self._share(encoded(self.name, event))

    def received(self, texts: Sequence[str]) -> None:
        """From other connectors."""
        with harmless():
            for news in decoded(texts, self.name):
                self._put(self.events.settled(news) if isinstance(news, Settled) else [news])

    def missed(self) -> None:
        """What other connectors sent may be lost: every browser looks."""
        with harmless():
            self._put([self.events.first(extension) for extension in self.streams.extensions()])

    def deaf(self, why: OutboxError) -> None:
        """What other connectors send is missed: browsers look once a minute anyway."""
        self._complain(why)

    async def share(self, notices: Notices) -> None:
        """Send to other connectors, and listen to them, until cancelled."""
        self._is_shared = True
        async with trio.open_nursery() as nursery:
            nursery.start_soon(notices.listen, self)
            while True:
                await self._woken.wait()
                self._woken = trio.Event()
                texts, self._unsent = self._unsent, []
                try:
                    await notices.send(texts)
                except OutboxError as why:
                    self._complain(why)

    def _share(self, text: str) -> None:
        if self._is_shared and len(self._unsent) < MOST_UNSENT:
            self._unsent.append(text)
            self._woken.set()

    def _complain(self, why: OutboxError) -> None:
        if (left_out := self._complaints.due(trio.current_time())) is not None:
            log.warning("companion.not_shared", reason=str(why), left_out=left_out)

    def first(self, extension: str) -> str:
        """What a stream begins with."""
        return self.events.first(extension).data()

    def _put(self, events: Sequence[StreamEvent]) -> None:
        for event in events:
            self.streams.put_nowait(event.extension, event.data())
