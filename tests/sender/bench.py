"""A sender between a real outbox and a real HTTP server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import trio

from tests.fake_vtiger import (
    Answer,
    Behaviour,
    FakeVtiger,
    Script,
    fake_vtiger,
)
from uac_trio.outbox import Outbox, OutboxSettings, open_outbox
from uac_trio.sender import Sender, SenderSettings, run_sender
from uac_trio.vtiger.account import Flavour, VtigerAccount
from uac_trio.vtiger.request import CallbackRequest, Step

SECRET = "abracadabra"
INBOUND = (Step.DIAL_BEGIN, Step.DIAL_ANSWER, Step.HANGUP, Step.END_CALL)
NAMES = [step.value for step in INBOUND]
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


def a_call(call: str, steps: Sequence[Step] = INBOUND, extension: str = "101") -> list[CallbackRequest]:
    return [
        CallbackRequest(
            key=f"main-{call}/{extension}/{step.value}/1",
            call_id=f"main-{call}",
            extension=extension,
            step=step,
            form={"callUUID": f"main-{call}", "callstatus": step.value, "callerIdNumber": "79161234567"},
            at=now(),
        )
        for step in steps
    ]


@attrs.define
class Bench:
    """A CRM, an outbox and a sender between them."""

    crm: FakeVtiger
    outbox: Outbox
    sender: Sender
    cancel: Callable[[], None]

    async def put(self, *calls: list[CallbackRequest]) -> None:
        await self.outbox.put([request for call in calls for request in call], now())
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
    chosen = OutboxSettings(url=f"sqlite:///{directory}/c.db")
    async with fake_vtiger(script) as crm, open_outbox(chosen) as outbox, trio.open_nursery() as nursery:
        account = VtigerAccount(url=url or crm.url, secret=SECRET, flavour=flavour)

        async def run(task_status: trio.TaskStatus[Sender]) -> None:
            await run_sender(outbox, account, settings, now=clock, random=lambda: 0.5, task_status=task_status)

        sender: Sender = await nursery.start(run)
        yield Bench(crm, outbox, sender, nursery.cancel_scope.cancel)
        nursery.cancel_scope.cancel()


def events(entries: list[Mapping[str, object]], least: str = "info") -> list[str]:
    levels = ["debug", "info", "warning", "error"]
    chosen = levels[levels.index(least) :]
    return [str(entry["event"]) for entry in entries if entry["log_level"] in chosen]


def in_turn(*behaviours: Behaviour) -> Script:
    """Each in its turn, then all is well."""
    rest = iter(behaviours)
    return lambda _: next(rest, Answer())
