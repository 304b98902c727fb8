"""The daemon asks the CRM who is responsible, and is asked by FastAGI and HTTP: everything real but the far ends."""

from __future__ import annotations

import socket
from collections.abc import Mapping

import structlog.testing
import trio

from tests.daemon.world import World, asked, running
from tests.fake_vtiger import Answer, Behaviour, Silence
from tests.test_agi_server import SET, SET_NOTHING, FakeLookup, Served

ROUTE = '[route]\nbind = "127.0.0.1:{port}"\nsecret = "hush"\ndeadline_seconds = 0.3\n'
URL = "/route?secret=hush&number=79161234567"
OWNED = Answer(body='{"success":true,"result":{"crmUserExtension":"101"}}')


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def asterisk(port: int) -> Served:
    """What asks the daemon by FastAGI."""
    return Served(FakeLookup(), port, trio.Event())


async def test_both_ways(world: World) -> None:
    """FastAGI and CURL() get the CRM's answer, the second from the cache; /healthz says that all is well."""
    world.crm.script = lambda _: OWNED
    port = free_port()
    async with running(world.config(ROUTE.format(port=port))) as address:
        assert await asterisk(port).commands() == SET
        assert await asked(address, URL.replace("7916", "%2B7916")) == (200, "101")
        assert (await asked(address, "/route?number=79161234567&secret=crm-secret"))[0] == 403
        assert (await asked(address, "/healthz"))[1]["route"] == {"trouble": ""}
    (seen,) = world.crm.seen
    assert seen.target.endswith("/SPAgi.php")
    assert seen.form == {"vtigersignature": "crm-secret", "callerNumber": "+79161234567"}


async def test_crm_that_never_answers(world: World) -> None:
    """The call goes on in time by both ways, deliveries too, and a stop in the middle of a question takes no time."""

    def script(form: Mapping[str, str]) -> Behaviour:
        return Silence() if "callerNumber" in form else Answer()

    world.crm.script = script
    port = free_port()
    with structlog.testing.capture_logs() as logs, trio.fail_after(5):
        async with trio.open_nursery() as callers:
            async with running(world.config(ROUTE.format(port=port))) as address:
                assert await asterisk(port).commands() == SET_NOTHING
                assert await asterisk(port).commands() == SET_NOTHING
                assert await asked(address, URL) == (200, "")
                trouble = (await asked(address, "/healthz"))[1]["route"]["trouble"]
                assert trouble.startswith("no answer of the CRM within")
                callers.start_soon(asterisk(port).commands)
                await world.until(lambda: sum(line["event"] == "route.answered" for line in logs) == 4)
    answered = [line for line in logs if line["event"] == "route.answered"]
    assert [line["extension"] for line in answered] == [""] * 4
    assert answered[0]["seconds"] < 0.5
    assert "daemon.shutdown_cut_short" not in [line["event"] for line in logs]


async def test_stop_while_a_caller_waits(world: World) -> None:
    """No connection is accepted after the stop; a caller who waits gets their answer before the end."""
    world.crm.script = lambda _: Answer(body=OWNED.body, delay=0.15)
    port = free_port()
    answers: list[bytes] = []

    async def caller() -> None:
        answers.append(await asterisk(port).commands())

    async with trio.open_nursery() as callers:
        async with running(world.config(ROUTE.format(port=port))):
            callers.start_soon(caller)
            await world.until(lambda: world.crm.seen)
    assert answers == [SET]


async def test_off_by_default(world: World) -> None:
    """Without [route] nothing listens and nothing is asked."""
    async with running(world.config()) as address:
        assert await asked(address, URL) == (404, "")
        assert "route" not in (await asked(address, "/healthz"))[1]
    assert world.crm.seen == []
