"""``/route``: what a dialplan's CURL() gets."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

import pytest
import structlog.testing
import trio
from quart_trio import QuartTrio

from tests.test_agi_server import FakeLookup
from tests.web.clicking import FakePBX, ask, healthy, vtiger
from uac_trio.crm.click import Click2CallRules
from uac_trio.crm.responsible import Finding, Responsible, ResponsibleRules
from uac_trio.web.app import create_app
from uac_trio.web.click2call import Click2Call
from uac_trio.web.route import Routing

SECRET = "route-secret"
URL = f"/route?number=%2B79161234567&secret={SECRET}"


def app_with(lookup: FakeLookup | None, **rules: Any) -> QuartTrio:
    click2call = Click2Call(
        originate=FakePBX().originate,
        crm=vtiger("crm-secret"),
        rules=Click2CallRules(),
        routes=[],
        is_extension=str.isdigit,
        region="RU",
        now=lambda: 0.0,
    )
    routing = Routing(ask=lookup.ask, rules=ResponsibleRules(secret=SECRET, **rules)) if lookup else None
    return create_app(click2call=click2call, health=healthy, routing=routing)


async def test_answer() -> None:
    """The body is the extension and nothing else; the log has the question, and no secret."""
    lookup = FakeLookup()
    with structlog.testing.capture_logs() as logged:
        reply = await app_with(lookup).test_client().get(URL, scope_base={"client": ("127.0.0.1", 40000)})
    assert (reply.status_code, await reply.get_data(as_text=True)) == (200, "101")
    assert reply.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert reply.headers["Cache-Control"] == "no-store"
    assert lookup.asked[0][0] == "+79161234567"
    (entry,) = logged
    assert (entry["event"], entry["via"], entry["extension"]) == ("route.answered", "http", "101")
    assert SECRET not in str(entry)


async def test_form() -> None:
    """CURL(url,data) posts: the secret then is in no address."""
    form = {"number": "79161234567", "secret": SECRET}
    assert await ask(app_with(FakeLookup()), "/route", form=form) == (200, "101")


@pytest.mark.parametrize(
    "answer",
    [
        Responsible(finding=Finding.NO_OWNER, reason="no record"),
        Responsible(finding=Finding.AWAY, reason="refused"),
        Responsible(finding=Finding.FAILED, reason="late"),
    ],
)
async def test_no_owner(answer: Responsible) -> None:
    """Whatever the reason, the dialplan gets an empty value and no error page."""
    assert await ask(app_with(FakeLookup(answer)), URL, "GET") == (200, "")


@pytest.mark.parametrize(
    ("query", "status", "asked"),
    [
        (f"secret={SECRET}", 200, [""]),
        (f"number=&secret={SECRET}", 200, [""]),
        (f"number=1&number=2&secret={SECRET}", 200, [""]),
        (f"number=%00%0d%0a%27&secret={SECRET}", 200, ["\x00\r\n'"]),
        (f"number={'7' * 5000}&secret={SECRET}", 200, ["7" * 5000]),
        ("number=1", 403, []),
        ("number=1&secret=", 403, []),
        ("number=1&secret=crm-secret", 403, []),
        ("number=1&secret=%d0%ba%ff", 403, []),
        (f"number=1&secret={SECRET}&secret={SECRET}", 403, []),
        (f"number=1&secret=x&secret={SECRET}", 403, []),
    ],
)
async def test_parameters(query: str, status: int, asked: list[str]) -> None:
    """Without the one secret 403 and an empty body, for CURL() takes the body of an error for the value."""
    lookup = FakeLookup(Responsible(finding=Finding.NO_OWNER))
    assert await ask(app_with(lookup), f"/route?{query}", "GET") == (status, "")
    assert [number for number, _ in lookup.asked] == asked


async def test_network_that_is_not_allowed() -> None:
    """A client outside of the networks gets nothing, even with the secret."""
    lookup = FakeLookup()
    app = app_with(lookup, networks=(ip_network("192.168.1.5"),))
    assert await ask(app, URL, "GET") == (403, "")
    assert await ask(app, URL, "GET", client="192.168.1.5") == (200, "101")
    assert len(lookup.asked) == 1


async def test_deadline() -> None:
    """With a CRM that never answers, and with a lookup that keeps no deadline, the reply comes in time, empty."""
    for is_slow in (False, True):
        lookup = FakeLookup(delay=3600, is_slow=is_slow)
        with trio.fail_after(1):
            assert await ask(app_with(lookup, deadline_seconds=0.1), URL, "GET") == (200, "")


async def test_off() -> None:
    """Without [route] secret there is no such page."""
    assert await ask(app_with(None), URL, "GET") == (404, "")


async def test_any_error_is_an_empty_body() -> None:
    """CURL() makes a variable of whatever the body is, an error's too: empty, also without that page."""
    for app in (app_with(FakeLookup()), app_with(None)):
        reply = await app.test_client().put("/route", scope_base={"client": ("127.0.0.1", 40000)})
        assert reply.status_code >= 400
        assert await reply.get_data() == b""
