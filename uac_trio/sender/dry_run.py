"""A dry run: what the sender has in place of the CRM. Every request is taken, and none is sent."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import attrs
import trio

from uac_trio.crm.protocol import CRMRequest, Doubt, PastBegin, Sent
from uac_trio.crm.reply import NoReply, Reply, Ruling, Verdict


@attrs.frozen
class SendsNothing:
    """In place of ``CRMClient``."""

    async def post(self, request: CRMRequest) -> Reply | NoReply:
        """An empty reply; ``request`` goes nowhere."""
        await trio.lowlevel.checkpoint()
        return Reply(status=200)


@asynccontextmanager
async def open_nothing() -> AsyncIterator[SendsNothing]:
    """In place of ``open_client``: opens no connection."""
    yield SendsNothing()


@attrs.frozen
class TakesAll:
    """A judge to whom every request is delivered, since a CRM's own would ask what an empty reply means."""

    is_usual: bool = False

    def recall(self, begins: Iterable[PastBegin]) -> None:
        """Nothing was answered before."""

    def judge(self, sent: Sent, answer: Reply | NoReply) -> Verdict:
        return Verdict(ruling=Ruling.DELIVERED)

    def doubt(self, sent: Sent, verdict: Verdict) -> Doubt | None:
        """Nothing is asked."""
        return None

    def settled(self, sent: Sent, verdict: Verdict) -> None:
        """Nothing is learned."""
