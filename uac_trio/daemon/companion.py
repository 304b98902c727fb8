"""Events for the CRM's users' browsers: from the pipeline, the sender, clicks and other connectors to the streams."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Sequence

import attrs

from uac_trio.calls.fact import Fact
from uac_trio.crm.stream_events import Settled, StreamEvent, StreamEvents, decoded, encoded
from uac_trio.daemon.watching import harmless
from uac_trio.store.rows import LeasedRow
from uac_trio.web.streams import Streams


def _alone(_text: str) -> None:
    """There are no other connectors."""


@attrs.define(eq=False, kw_only=True)
class Companion:
    """Made once, for all pipelines that this process makes. Nothing in here waits or raises."""

    streams: Streams
    events: StreamEvents
    announce: Callable[[str], None] = _alone
    """To other connectors on this store."""
    name: str = attrs.field(factory=lambda: secrets.token_hex(8))
    """Of this process, among them."""

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
            self.announce(encoded(self.name, settled))

    def click_failed(self, extension: str, outcome: str) -> None:
        """From the web: there is no call that would show it."""
        with harmless():
            event = StreamEvent(extension=extension, click=outcome)
            self._put([event])
            self.announce(encoded(self.name, event))

    def received(self, texts: Iterable[str]) -> None:
        """From other connectors."""
        with harmless():
            for news in decoded(texts, self.name):
                self._put(self.events.settled(news) if isinstance(news, Settled) else [news])

    def missed(self) -> None:
        """What other connectors sent may be lost: every browser looks."""
        with harmless():
            self._put([self.events.first(extension) for extension in self.streams.extensions()])

    def first(self, extension: str) -> str:
        """What a stream begins with."""
        return self.events.first(extension).data()

    def _put(self, events: Sequence[StreamEvent]) -> None:
        for event in events:
            self.streams.put_nowait(event.extension, event.data())
