from __future__ import annotations

import socket
from functools import partial

import pytest
import trio

from tests.daemon.world import World, running, world
from uac_trio.agi_server import serve_agi
from uac_trio.crm.responsible import Responsible, ResponsibleRules
from uac_trio.crm.vtiger.responsible import question
from uac_trio.live_check import addresses as looked_at
from uac_trio.live_check.addresses import check_agi, check_http
from uac_trio.live_check.finding import Findings, Level
from uac_trio.web.settings import WebSettings

__all__ = ["world"]

NOW = 1795413713.0


def said(findings: Findings, level: Level) -> str:
    return "\n".join(finding.words for finding in findings.found if finding.level is level)


async def http_of(**settings: str) -> Findings:
    findings = Findings("HTTP")
    await check_http(WebSettings(**settings), lambda: NOW, findings)  # type: ignore[arg-type]
    return findings


async def test_address_that_is_free() -> None:
    """An address that can be had is well."""
    assert "127.0.0.1:0 is free" in said(await http_of(bind="127.0.0.1:0"), Level.OK)


async def test_address_of_our_daemon(world: World) -> None:
    """An address that a daemon of ours has is well; a daemon that is not well is a problem."""
    async with running(world.config()) as address:
        await world.session()
        bind = address.removeprefix("http://")
        assert f"{bind} is in use by a daemon of ours, which is ready" in said(await http_of(bind=bind), Level.OK)


async def test_what_the_daemon_has_seen(world: World) -> None:
    """The conditions that a running daemon has seen are findings of the check, with their remedies."""
    async with running(world.config(pbx_port="1")) as address:
        found = Findings("HTTP")
        with trio.fail_after(10):
            while not said(found, Level.PROBLEM).count("the daemon has seen"):
                found = await http_of(bind=address.removeprefix("http://"))
    problem = said(found, Level.PROBLEM)
    assert "which is not ready" in problem
    assert "the daemon has seen: PBX main" in problem
    assert "PBX main: PBX main" not in problem


async def test_address_of_another_program() -> None:
    """An address that another program has is a problem."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        bind = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(looked_at, "HEALTH_WITHIN", 0.1)
            findings = await http_of(bind=bind)
    assert f"{bind} is in use by another program" in said(findings, Level.PROBLEM)


async def test_address_of_another_machine() -> None:
    """An address that this machine does not have is a problem."""
    findings = await http_of(bind="192.0.2.1:5000")
    assert "this machine has no such address: 0.0.0.0:5000 is every one" in said(findings, Level.PROBLEM)


async def agi_of(bind: str) -> Findings:
    findings = Findings("FastAGI")
    await check_agi(ResponsibleRules(bind=bind), findings)
    return findings


async def test_port_for_fastagi_that_is_free() -> None:
    """A port that can be had is well; an address that this machine does not have is a problem."""
    assert "127.0.0.1:0 is free for FastAGI" in said(await agi_of("127.0.0.1:0"), Level.OK)
    assert "this machine has no such address" in said(await agi_of("192.0.2.1:4574"), Level.PROBLEM)


async def test_port_for_fastagi_of_our_daemon() -> None:
    """A daemon of ours is known by its answer, and the CRM is not asked for it."""

    async def ask(number: str, _within: float) -> Responsible:
        answer = question(number, lambda _: False)
        assert isinstance(answer, Responsible), "the CRM would be asked"
        return answer

    async with trio.open_nursery() as nursery:
        stop = trio.Event()
        serve = partial(serve_agi, ask, ResponsibleRules(bind="127.0.0.1:0"), shutdown=stop)
        (address,) = await nursery.start(serve)
        bind = address.removeprefix("agi://").removesuffix("/route")
        findings = await agi_of(bind)
        stop.set()
    assert said(findings, Level.OK) == f"{bind} is in use by a daemon of ours, which answers FastAGI"


@pytest.mark.parametrize("says", [b"", b"SET VARIABLE X 1\n", b"500 what?\n" * 10])
async def test_port_for_fastagi_of_another_program(says: bytes) -> None:
    """FreePBX's own server, or any other program, is a problem that is reported with its remedy."""

    async def another(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        await stream.send_all(says)
        await stream.aclose()

    async with trio.open_nursery() as nursery:
        (listener,) = await nursery.start(partial(trio.serve_tcp, another, 0, host="127.0.0.1"))
        bind = f"127.0.0.1:{listener.socket.getsockname()[1]}"
        findings = await agi_of(bind)
        nursery.cancel_scope.cancel()
    problem = said(findings, Level.PROBLEM)
    assert f"{bind} is in use by another program: `ss -ltnp" in problem
    assert problem.endswith("end it, or set another port in [route] bind")


async def test_public_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """The public address must have a name that is known; loopback behind it wants a proxy."""
    findings = await http_of(bind="127.0.0.1:0", public_url="http://192.0.2.1:5000")
    assert "192.0.2.1 is 192.0.2.1" in said(findings, Level.OK)
    assert "is there a proxy in front?" in said(findings, Level.WARNING)
    findings = await http_of(bind="127.0.0.1:0", public_url="http://localhost:5000")
    assert said(findings, Level.WARNING) == ""

    async def unknown(*_: object, **__: object) -> list[object]:
        await trio.lowlevel.checkpoint()
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(trio.socket, "getaddrinfo", unknown)
    findings = await http_of(bind="127.0.0.1:0", public_url="http://pbx.invalid")
    assert "resolver does not know pbx.invalid" in said(findings, Level.PROBLEM)


def port_of(address: str) -> int:
    return int(address.rpartition(":")[2])


async def test_public_url_without_our_port(world: World) -> None:
    """public_url with another port than bind must lead to the daemon all the same, through a proxy."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        nowhere = f"http://127.0.0.1:{unused.getsockname()[1]}"
    async with running(world.config()) as address:
        await world.session()
        bind = address.removeprefix("http://")
        lost = said(await http_of(bind=bind, public_url=nowhere), Level.PROBLEM)
        assert f"no server answers at {nowhere}" in lost
        assert f"add the port to public_url (:{port_of(address)})" in lost
        found = await http_of(bind="127.0.0.1:0", public_url=address)
        assert f"{address} reaches the daemon" in said(found, Level.OK)


async def test_public_url_of_another_server() -> None:
    """A web server that does not pass our addresses on is named, before and after the daemon's start."""

    async def another(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        await stream.send_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await stream.aclose()

    async with trio.open_nursery() as nursery:
        (listener,) = await nursery.start(partial(trio.serve_tcp, another, 0, host="127.0.0.1"))
        url = f"http://127.0.0.1:{listener.socket.getsockname()[1]}"
        findings = await http_of(bind="127.0.0.1:0", public_url=url)
        nursery.cancel_scope.cancel()
    assert "does not pass our addresses on (HTTP 404)" in said(findings, Level.WARNING)
