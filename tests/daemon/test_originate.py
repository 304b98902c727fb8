"""From vTiger's click to an order for the right PBX."""

from __future__ import annotations

import attrs
import pytest
import structlog.testing
import trio
import trio.testing

from tests.daemon.world import (
    CLICK,
    World,
    asked,
    running,
)


async def test_click_reaches_the_pbx(world: World) -> None:
    """vTiger's click becomes an asynchronous Originate whose channel id is ours; a PBX that refuses makes an Error."""
    async with running(world.config()) as address:
        session = await world.session()
        assert await asked(address, CLICK) == (200, "Success")
        order = next(action for action in session.actions if action["Action"] == "Originate")
        world.pbx.reactions["Originate"] = lambda _, action: (
            f"Response: Error\r\nActionID: {action['ActionID']}\r\nMessage: Extension does not exist.\r\n\r\n".encode()
        )
        assert await asked(address, CLICK.replace("123-45-67", "123-45-68")) == (200, "Error")
    assert order["Channel"] == "PJSIP/101"
    assert (order["Context"], order["Exten"], order["Async"]) == ("from-internal", "+79161234567", "true")
    assert order["Variable"] == "CONNECTEDLINE(all,i)=+79161234567 <+79161234567>\nCALLERID(all)=101"
    assert order["ChannelId"].startswith("uac-")


@pytest.mark.parametrize(
    ("configured", "said", "dialled", "event"),
    [
        (
            "from-internal",
            "Did not find extension x@originate-skipvm",
            "originate-skipvm",
            "click2call.voicemail_skipped",
        ),
        ("from-internal", "Did not find context originate-skipvm", "from-internal", ""),
        ("from-internal", "Permission denied", "from-internal", "click2call.voicemail_may_answer"),
        ("originate-skipvm", "", "originate-skipvm", ""),
        ("employees", "", "employees", ""),
    ],
)
async def test_click_that_a_mailbox_would_answer(
    world: World, configured: str, said: str, dialled: str, event: str
) -> None:
    """On a FreePBX the employee is called without their mailbox: what it answers would have the customer called."""
    config = world.config()
    config = attrs.evolve(config, routes=(attrs.evolve(config.routes[0], channel=f"Local/{{extension}}@{configured}"),))
    if said:
        world.pbx.reactions["ShowDialPlan"] = lambda _, action: (
            f"Response: Error\r\nActionID: {action['ActionID']}\r\nMessage: {said}\r\n\r\n".encode()
        )
    with structlog.testing.capture_logs() as logs:
        async with running(config) as address:
            session = await world.session()
            assert await asked(address, CLICK) == (200, "Success")
            orders = [action["Channel"] for action in session.actions if action["Action"] == "Originate"]
    assert orders == [f"Local/101@{dialled}"]
    assert [line["event"] for line in logs if "voicemail" in line["event"]] == ([event] if event else [])


async def test_click_for_one_of_several_pbxes(world: World) -> None:
    """The order goes to the PBX that has the extension, though another is connected as well; none has 301."""
    config = world.config()
    first, route = config.pbx[0], config.routes[0]
    config = attrs.evolve(
        config,
        pbx=(first, attrs.evolve(first, name="village")),
        routes=(
            attrs.evolve(route, extensions=frozenset({"101"})),
            attrs.evolve(route, pbx="village", extensions=frozenset({"201"}), channel="SIP/{extension}"),
        ),
    )
    async with running(config) as address:
        await world.session(2)
        assert await asked(address, CLICK.replace("from=101", "from=201")) == (200, "Success")
        assert await asked(address, CLICK.replace("from=101", "from=301")) == (200, "Error")
        assert await asked(address, CLICK) == (200, "Success")
        orders = [one["Channel"] for session in world.pbx.sessions for one in session.actions if "Channel" in one]
    assert sorted(orders) == ["PJSIP/101", "SIP/201"]


async def test_click_goes_to_the_pbx_that_is_there(world: World) -> None:
    """Of two PBXes that have the extension the connected one gets the Originate."""
    config = world.config()
    away = attrs.evolve(config.pbx[0], name="away", port=1)
    route = config.routes[0]
    config = attrs.evolve(config, pbx=(away, *config.pbx), routes=(attrs.evolve(route, pbx="away"), route))
    async with running(config) as address:
        session = await world.session()
        assert await asked(address, CLICK) == (200, "Success")
    assert "Originate" in session.names()


async def test_click_as_vtiger_sends_it(world: World) -> None:
    """vTiger's request byte for byte: parameters in the query of a POST, no body, read until the connection closes."""
    async with running(world.config()) as address:
        await world.session()
        host, port = address.removeprefix("http://").split(":")
        async with await trio.open_tcp_stream(host, int(port)) as stream:
            await stream.send_all(
                f"POST {CLICK} HTTP/1.1\r\nUser-Agent: Mozilla/5.0\r\nConnection: close\r\n"
                "Accept-Encoding: gzip\r\nReferer: http://crm/index.php\r\nHost: 127.0.0.1:5000\r\n"
                "Content-Length: 0\r\n\r\n".encode()
            )
            reply = b""
            with trio.fail_after(2):
                while data := await stream.receive_some():
                    reply += data
    head, _, body = reply.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    assert b"content-length: 7" in head
    assert body == b"Success"


async def test_click_that_the_pbx_could_not_take(world: World) -> None:
    """An order that no action can be made of is refused, not sent."""
    config = attrs.evolve(world.config(), routes=(attrs.evolve(world.config().routes[0], context="a b"),))
    async with running(config) as address:
        session = await world.session()
        assert await asked(address, CLICK) == (200, "Error")
        assert "Originate" not in session.names()
