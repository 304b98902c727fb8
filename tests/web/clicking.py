"""An application with click2call alone, asked in process, and a PBX that takes its orders."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import attrs
import trio
from quart_trio import QuartTrio

from uac_trio.crm.click import Click2CallRules, Dial, Originated, Route
from uac_trio.crm.protocol import CRM, Surroundings
from uac_trio.crm.vtiger import VtigerSettings
from uac_trio.web.app import Health, create_app
from uac_trio.web.click2call import Click2Call
from uac_trio.web.events import Events
from uac_trio.web.wrong_secrets import WrongSecrets

SECRET = "labsecret123"
CLICK = f"/makecall?event=OutgoingCall&secret={SECRET}&from=101&to=%2B7+%28916%29+123-45-67&context=from-internal"


@attrs.define
class FakePBX:
    """Takes orders and returns ``answer`` after ``delay`` seconds."""

    answer: Originated = Originated.QUEUED
    delay: float = 0
    orders: list[Dial] = attrs.field(factory=list)

    async def originate(self, dial: Dial) -> Originated:
        self.orders.append(dial)
        await trio.sleep(self.delay)
        return self.answer


def vtiger(secret: str = SECRET) -> CRM:
    return VtigerSettings(url="http://crm.invalid/c.php", secret=secret).crm(Surroundings())


def healthy() -> Health:
    return Health(works=True, ready=True, details={"pbx": {"main": "ready"}})


def app_with(
    pbx: FakePBX,
    rules: Click2CallRules | None = None,
    health: Callable[[], Health] = healthy,
    wrong_secrets: WrongSecrets | None = None,
    events: Events | None = None,
    failed: Callable[[str, str], None] = lambda _extension, _outcome: None,
) -> QuartTrio:
    return create_app(
        click2call=Click2Call(
            originate=pbx.originate,
            crm=vtiger(),
            rules=rules or Click2CallRules(),
            routes=[Route(pbx="main")],
            is_extension=lambda number: re.fullmatch(r"\d{2,5}", number) is not None,
            region="RU",
            now=lambda: 1764000000.5,
            wrong_secrets=wrong_secrets or WrongSecrets(),
            failed=failed,
        ),
        health=health,
        events=events,
    )


async def ask(
    app: QuartTrio, url: str, method: str = "POST", client: str = "127.0.0.1", **more: Any
) -> tuple[int, str]:
    reply = await app.test_client().open(url, method=method, scope_base={"client": (client, 40000)}, **more)
    return reply.status_code, (await reply.get_data(as_text=True))
