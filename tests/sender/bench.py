"""A sender between a real outbox and a real HTTP server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import trio

from tests.fake_vtiger import (
    FAILURE,
    Answer,
    Behaviour,
    FakeVtiger,
    Script,
    fake_vtiger,
)
from uac_trio.calls.call import Direction
from uac_trio.calls.outcome import Outcome
from uac_trio.calls.participation import Role
from uac_trio.crm.delivery import WHOLE_CALL, Delivery, Kind
from uac_trio.crm.protocol import Surroundings
from uac_trio.crm.vtiger import Flavour, VtigerSettings
from uac_trio.sender.breaker import SenderSettings
from uac_trio.sender.delivery import Sender, run_sender
from uac_trio.store.outbox import Outbox, open_outbox
from uac_trio.store.rows import LeasedRow
from uac_trio.store.settings import OutboxError, OutboxSettings
from uac_trio.store.writer import StoreWriter

SECRET = "abracadabra"
INBOUND = (Kind.BEGIN, Kind.ANSWER, Kind.END)
NAMES = ["DialBegin", "DialAnswer", "Hangup", "EndCall"]
"""What SalesPlatform is sent for INBOUND."""
QUICK = SenderSettings(
    connect_timeout=1.0,
    reply_timeout=0.3,
    retry_min=0.02,
    retry_max=0.05,
    away_max=0.05,
    unknown_pause=0.1,
    shutdown_grace=2.0,
)


def now() -> float:
    return 1_790_000_000.0 + trio.current_time()


def a_call(
    call: str, kinds: Sequence[Kind] = INBOUND, extension: str = "101", *, is_whole: bool = False
) -> list[Delivery]:
    """``is_whole``: for a CRM that keeps a row of the call, not of each employee's part."""
    return [
        Delivery(
            kind=kind,
            pbx="main",
            call_id=f"main-{call}",
            subject="" if is_whole else extension,
            # The end is that of a second part, so it does not supersede the answer in the first.
            occurrence=WHOLE_CALL if is_whole and kind is not Kind.ANSWER else "1.2" if kind is Kind.END else "1.1",
            extension=extension,
            role=Role.CALLEE,
            direction=Direction.INBOUND,
            customer="+79161234567",
            at=now(),
            began_at=now(),
            ended_at=now() if kind is Kind.END else None,
            outcome=Outcome.COMPLETED if kind is Kind.END else None,
        )
        for kind in kinds
    ]


@attrs.define
class FakeHealth:
    """Keeps what is noted of the store."""

    noted: list[str] = attrs.field(factory=list)
    """The reason of each failure; "" for work that succeeded after one."""

    def fails(self, why: OutboxError) -> None:
        self.noted.append(str(why))

    def works(self) -> None:
        if self.noted and self.noted[-1]:
            self.noted.append("")


@attrs.define
class Bench:
    """A CRM, an outbox and a sender between them."""

    crm: FakeVtiger
    outbox: Outbox
    sender: Sender
    health: FakeHealth
    lost: list[tuple[LeasedRow, str]]
    """What the sender says may be lost."""
    cancel: Callable[[], None]

    async def put(self, *calls: list[Delivery]) -> None:
        await self.outbox.put([delivery for call in calls for delivery in call], now())
        self.sender.wake_nowait()

    async def settled(self, seconds: float = 5.0) -> None:
        """Wait until nothing is left to be sent."""
        with trio.fail_after(seconds):
            while True:
                statistics = await self.outbox.statistics()
                if not statistics.waiting and not statistics.sending:
                    return
                await trio.sleep(0.005)

    async def troubled(self, seconds: float = 5.0) -> str:
        """Wait until nothing is delivered any more, and say why."""
        with trio.fail_after(seconds):
            while not self.sender.status().trouble:  # noqa: ASYNC110  the status is polled by its readers too
                await trio.sleep(0.005)
        return self.sender.status().trouble

    async def until_stored(self, *, sending: int, seconds: float = 5.0) -> None:
        """Wait until so many rows are leased."""
        with trio.fail_after(seconds):
            while (await self.outbox.statistics()).sending != sending:  # noqa: ASYNC110  another task writes them
                await trio.sleep(0.005)


@asynccontextmanager
async def bench(
    directory: Path,
    script: Script | None = None,
    settings: SenderSettings = QUICK,
    *,
    url: str = "",
    clock: Callable[[], float] = now,
    flavour: Flavour = Flavour.SALESPLATFORM,
) -> AsyncIterator[Bench]:
    """When the block is left, the sender is stopped, and then the store's writer, when all is written."""
    chosen = OutboxSettings(url=f"sqlite:///{directory}/c.db")
    async with fake_vtiger(script) as fake, open_outbox(chosen) as outbox, trio.open_nursery() as writing:
        crm = VtigerSettings(url=url or fake.url, secret=SECRET, flavour=flavour, timezone="UTC").crm(Surroundings())
        health = FakeHealth()
        writer = StoreWriter(outbox=outbox, now=clock, health=health)
        writing.start_soon(writer.run)
        lost: list[tuple[LeasedRow, str]] = []
        async with trio.open_nursery() as nursery:

            async def run(task_status: trio.TaskStatus[Sender]) -> None:
                await run_sender(
                    writer,
                    crm,
                    settings,
                    now=clock,
                    may_be_lost=lambda row, why: lost.append((row, why)),
                    random=lambda: 0.5,
                    task_status=task_status,
                )

            sender: Sender = await nursery.start(run)
            yield Bench(fake, outbox, sender, health, lost, nursery.cancel_scope.cancel)
            nursery.cancel_scope.cancel()
        writer.end_nowait()


def events(entries: list[Mapping[str, object]], least: str = "info") -> list[str]:
    """Less the lines of what was delivered."""
    levels = ["debug", "info", "warning", "error"]
    chosen = levels[levels.index(least) :]
    found = [str(entry["event"]) for entry in entries if entry["log_level"] in chosen]
    return [event for event in found if event != "sender.delivered"]


def in_turn(*behaviours: Behaviour) -> Script:
    """Each behaviour in turn, then success; for signed requests, as in ``where_signed``."""
    rest = iter(behaviours)
    return where_signed(lambda _: next(rest, Answer()))


def where_signed(script: Script) -> Script:
    """``script`` for what is signed with our secret; the rest as a vTiger does that works."""
    return lambda form: script(form) if form.get("vtigersignature") == SECRET else FAILURE
