from __future__ import annotations

from pathlib import Path

import pytest
import trio

from tests.sender.bench import NAMES, FakeHealth, a_call, now
from uac_trio.crm.protocol import CRM, Surroundings
from uac_trio.crm.vtiger import Flavour, VtigerSettings
from uac_trio.crm.webhook import WebhookSettings
from uac_trio.sender.breaker import SenderSettings
from uac_trio.sender.delivery import run_sender
from uac_trio.store.outbox import open_outbox
from uac_trio.store.settings import OutboxSettings
from uac_trio.store.writer import StoreWriter

NOWHERE = "http://127.0.0.1:9/x"
VTIGER = VtigerSettings(url=NOWHERE, secret="abracadabra", flavour=Flavour.SALESPLATFORM, timezone="UTC")


@pytest.mark.parametrize(
    ("crm", "names"),
    [
        (VTIGER.crm(Surroundings()), NAMES),
        (WebhookSettings(url=NOWHERE, secret="s" * 32).crm(Surroundings()), ["begin", "answer", "end"]),
    ],
    ids=["vtiger", "webhook"],
)
async def test_each_request_is_rendered_and_none_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, crm: CRM, names: list[str]
) -> None:
    """Whatever the CRM, each delivery is watched and settled; no connection is opened."""

    async def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(trio, "open_tcp_stream", refuse)
    seen: list[str] = []
    async with open_outbox(OutboxSettings(url=f"sqlite:///{tmp_path}/c.db")) as outbox, trio.open_nursery() as nursery:
        writer = StoreWriter(outbox=outbox, now=now, health=FakeHealth())
        nursery.start_soon(writer.run)

        async def run(task_status: trio.TaskStatus[object]) -> None:
            await run_sender(
                writer,
                crm,
                SenderSettings(),
                now=now,
                watch=lambda _row, request, _verdict, _took: seen.append(request.name),
                is_dry_run=True,
                task_status=task_status,
            )

        await outbox.put(a_call("1", is_whole=crm.scope.value == "call"), now())
        await nursery.start(run)
        with trio.fail_after(5):
            while (await outbox.statistics()).delivered != 3:  # noqa: ASYNC110  another task writes them
                await trio.sleep(0.005)
        nursery.cancel_scope.cancel()
    assert seen == names
