from __future__ import annotations

import re
from ipaddress import ip_network
from typing import Any

import pytest
import structlog.testing
import trio

from tests.web.clicking import CLICK, SECRET, FakePBX, app_with, ask
from uac_trio.crm.click import Click2CallRules, Dial, Originated
from uac_trio.web.app import Health


@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_click_is_dialled(method: str) -> None:
    """vTiger's request, parameters in the query and an empty body, becomes one order and Success."""
    pbx = FakePBX()
    assert await ask(app_with(pbx), CLICK, method) == (200, "Success")
    (dial,) = pbx.orders
    assert (dial.channel, dial.exten) == ("PJSIP/101", "+79161234567")
    assert re.fullmatch(r"uac-1764000000-[0-9a-f]{8}", dial.channel_id)


async def test_form_body() -> None:
    """The same parameters in a form body do as well."""
    pbx = FakePBX()
    form = {"event": "OutgoingCall", "secret": SECRET, "from": "101", "to": "102"}
    assert await ask(app_with(pbx), "/makecall", form=form) == (200, "Success")
    assert pbx.orders[0].exten == "102"


async def test_gateway_address_with_a_slash() -> None:
    """A gateway saved as http://host:5000/ makes vTiger ask for //makecall, which is answered, not redirected."""
    pbx = FakePBX()
    assert await ask(app_with(pbx), "/" + CLICK) == (200, "Success")
    assert len(pbx.orders) == 1


async def test_wrong_secret_is_logged_without_it() -> None:
    """A wrong secret gets Authentication Failure; the log names the client and not the secret."""
    pbx = FakePBX()
    with structlog.testing.capture_logs() as logs:
        assert await ask(app_with(pbx), CLICK.replace(SECRET, "guessed-one")) == (200, "Authentication Failure")
    assert pbx.orders == []
    assert logs[0]["event"] == "click2call.refused"
    assert logs[0]["client"] == "127.0.0.1"
    assert "guessed-one" not in str(logs)


async def test_stranger_is_refused_before_the_secret() -> None:
    """A client outside the allowed networks learns nothing, not even that its secret was right."""
    pbx = FakePBX()
    app = app_with(pbx, Click2CallRules(networks=(ip_network("192.0.2.0/24"),)))
    assert await ask(app, CLICK) == (200, "Error")
    assert await ask(app, CLICK, client="192.0.2.7") == (200, "Success")
    assert len(pbx.orders) == 1


@pytest.mark.parametrize("outcome", [Originated.REFUSED, Originated.UNKNOWN])
async def test_order_that_was_not_taken(outcome: Originated) -> None:
    """When the PBX refuses, or the outcome is unknown, vTiger gets Error."""
    assert await ask(app_with(FakePBX(answer=outcome)), CLICK) == (200, "Error")


async def test_double_click() -> None:
    """Two clicks at once make one call, and both get Success."""
    pbx = FakePBX(delay=0.01)
    app = app_with(pbx)
    answers = []

    async def one() -> None:
        answers.append(await ask(app, CLICK))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(one)
        nursery.start_soon(one)
    assert answers == [(200, "Success")] * 2
    assert len(pbx.orders) == 1


async def test_too_many_calls_of_one_employee() -> None:
    """Over the limit a minute, an employee's click gets Error and dials nothing."""
    pbx = FakePBX()
    app = app_with(pbx, Click2CallRules(per_minute=1))
    assert await ask(app, CLICK) == (200, "Success")
    assert await ask(app, CLICK.replace("123-45-67", "123-45-68")) == (200, "Error")
    assert len(pbx.orders) == 1


async def test_too_many_calls_in_all() -> None:
    """Over the limit of all employees a colleague's click gets Error and dials nothing."""
    pbx = FakePBX()
    app = app_with(pbx, Click2CallRules(total_per_minute=1))
    assert await ask(app, CLICK) == (200, "Success")
    with structlog.testing.capture_logs() as logs:
        assert await ask(app, CLICK.replace("from=101", "from=102")) == (200, "Error")
    assert [line["event"] for line in logs] == ["click2call.too_many_in_all"]
    assert len(pbx.orders) == 1


async def test_slow_pbx(autojump_clock: trio.testing.MockClock) -> None:
    """vTiger's user waits at most answer_seconds; the order, perhaps sent, is not repeated by their next click."""
    pbx = FakePBX(delay=60)
    app = app_with(pbx)
    start = trio.current_time()
    assert await ask(app, CLICK) == (200, "Error")
    assert trio.current_time() - start == 3
    assert await ask(app, CLICK) == (200, "Error")
    assert len(pbx.orders) == 1


async def test_head_dials_nothing() -> None:
    """HEAD, which frameworks let in where GET is allowed, places no call."""
    pbx = FakePBX()
    assert (await ask(app_with(pbx), CLICK, "HEAD"))[0] == 200
    assert pbx.orders == []


@pytest.mark.parametrize(
    ("url", "method", "more"),
    [
        ("/", "GET", {}),
        ("/makecal?event=OutgoingCall", "POST", {}),
        ("/makecall/", "POST", {}),
        (CLICK, "PUT", {}),
        (CLICK, "DELETE", {}),
        (
            "/makecall",
            "POST",
            {"data": b"x" * 20_000, "headers": {"Content-Type": "application/x-www-form-urlencoded"}},
        ),
        ("/makecall", "POST", {"data": b"\xff\xfe", "headers": {"Content-Type": "application/x-www-form-urlencoded"}}),
        ("/makecall", "POST", {"data": b"--x", "headers": {"Content-Type": "multipart/form-data; boundary=x"}}),
        ("/makecall", "POST", {"data": b"--x", "headers": {"Content-Type": "multipart/form-data"}}),
        ("/makecall?event=%FF%FE&secret=%00", "GET", {}),
        ("/makecall?" + "a=1&" * 2000, "GET", {}),
    ],
)
async def test_bad_request_is_an_error_to_vtiger(url: str, method: str, more: dict[str, Any]) -> None:
    """Whatever is wrong, it is no 5xx, and the body is one that vTiger takes for a failure."""
    pbx = FakePBX()
    status, body = await ask(app_with(pbx), url, method, **more)
    assert status < 500
    assert body in ("Error", "Authentication Failure")
    assert pbx.orders == []


async def test_our_own_fault_is_an_error_to_vtiger() -> None:
    """A fault in the program is logged in full and still a failure to vTiger."""

    class BrokenPBX(FakePBX):
        async def originate(self, dial: Dial) -> Originated:
            raise RuntimeError("a fault")

    with structlog.testing.capture_logs() as logs:
        assert await ask(app_with(BrokenPBX()), CLICK) == (500, "Error")
    assert logs[-1]["event"] == "web.failed"


@pytest.mark.parametrize(
    ("works", "ready", "healthz", "readyz"), [(True, True, 200, 200), (True, False, 200, 503), (False, True, 503, 503)]
)
async def test_health(works: bool, ready: bool, healthz: int, readyz: int) -> None:
    """healthz shows whether the process works, readyz whether all parties are there too; both give the details."""
    app = app_with(FakePBX(), health=lambda: Health(works=works, ready=ready, details={"pbx": {"main": "lost"}}))
    status, body = await ask(app, "/healthz", "GET")
    assert (status, '"main":"lost"' in body.replace(" ", "")) == (healthz, True)
    assert (await ask(app, "/readyz", "GET"))[0] == readyz
