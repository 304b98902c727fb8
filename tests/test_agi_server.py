"""FastAGI over real sockets, with requests as Asterisk sends them, and hostile ones."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Iterator, Mapping, MutableMapping
from contextlib import asynccontextmanager, suppress
from functools import partial
from ipaddress import ip_network
from typing import Any

import attrs
import pytest
import structlog.testing
import trio
import trio.testing

from tests.test_agi import ENVIRONMENT
from uac_trio import agi_server
from uac_trio.agi_server import serve_agi
from uac_trio.crm.responsible import Finding, Responsible, ResponsibleRules
from uac_trio.web.settings import CannotListenError

CALLER = ENVIRONMENT.replace(b"agi_arg_1: 79990001122\n", b"")
SET = b'SET VARIABLE UAC_RESPONSIBLE "101"\n'
SET_NOTHING = b'SET VARIABLE UAC_RESPONSIBLE ""\n'
DONE = b"200 result=1\n"
OWNED = Responsible(finding=Finding.OWNED, extension="101")
WAIT = 5.0  # for what comes at once


@attrs.define
class FakeLookup:
    """Returns ``answer`` after ``delay``; keeps its own deadline, as the real one does, unless ``is_slow``."""

    answer: Responsible = OWNED
    delay: float = 0.0
    is_slow: bool = False
    asked: list[tuple[str, float]] = attrs.field(factory=list)

    async def ask(self, number: str, within: float) -> Responsible:
        self.asked.append((number, within))
        with trio.move_on_after(3600 if self.is_slow else within):
            await trio.sleep(self.delay)
            return self.answer
        return Responsible(finding=Finding.FAILED, reason="no answer in time")


@attrs.define
class Served:
    lookup: FakeLookup
    port: int
    shutdown: trio.Event

    async def connect(self, client: str = "127.0.0.1") -> trio.SocketStream:
        return await trio.open_tcp_stream("127.0.0.1", self.port, local_address=client)

    async def commands(self, environment: bytes = CALLER, result: bytes = DONE, client: str = "127.0.0.1") -> bytes:
        """The commands that Asterisk at ``client`` receives until the connection ends."""
        stream = await self.connect(client)
        async with stream:
            await stream.send_all(environment)
            with trio.fail_after(WAIT):
                said = await until_end(stream, b"\n")
                if said.endswith(b"\n"):
                    await stream.send_all(result)
                return said + await until_end(stream)


async def until_end(stream: trio.SocketStream, end: bytes = b"never") -> bytes:
    """What is said until ``end`` or until the connection is closed or broken."""
    said = b""
    try:
        while not said.endswith(end) and (more := await stream.receive_some(4096)):
            said += more
    except trio.BrokenResourceError:
        pass  # closed with unread data: as good an end as any
    return said


@asynccontextmanager
async def serving(lookup: FakeLookup | None = None, **rules: Any) -> AsyncIterator[Served]:
    lookup = lookup or FakeLookup()
    shutdown = trio.Event()
    settings = ResponsibleRules(bind="127.0.0.1:0", **{"deadline_seconds": 2.0, **rules})
    async with trio.open_nursery() as nursery:
        (address,) = await nursery.start(partial(serve_agi, lookup.ask, settings, shutdown=shutdown))
        assert address.startswith("agi://127.0.0.1:")
        yield Served(lookup, int(address.removesuffix("/route").rpartition(":")[2]), shutdown)
        nursery.cancel_scope.cancel()


@pytest.fixture
def logged() -> Iterator[list[MutableMapping[str, Any]]]:
    with structlog.testing.capture_logs() as entries:
        yield entries


async def test_answer(logged: list[Mapping[str, Any]]) -> None:
    """The caller's number is asked for, the variable set, the connection closed; the log has one line of it."""
    async with serving() as served:
        assert await served.commands() == SET
        assert served.lookup.asked[0][0] == "+79161234567"
    (entry,) = logged
    assert (entry["event"], entry["via"], entry["number"]) == ("route.answered", "agi", "+79161234567")
    assert (entry["extension"], entry["reason"]) == ("101", "")
    assert 0 <= entry["seconds"] < 2


@pytest.mark.parametrize(
    ("environment", "number"),
    [
        (ENVIRONMENT, "79990001122"),
        (CALLER.replace(b"_script: route", b"_script: route?number=%2B7999"), "+7999"),
        (CALLER.replace(b"_script: route", b"_script: "), "+79161234567"),
        (CALLER.replace(b"+79161234567", b"unknown"), ""),
        (b"agi_callerid: 79161234567\n\n", "79161234567"),
    ],
)
async def test_number(environment: bytes, number: str) -> None:
    """An argument, or a parameter of the address, goes before the caller's number; who has none is asked for as ""."""
    async with serving() as served:
        assert await served.commands(environment) == SET
        assert served.lookup.asked[0][0] == number


async def test_no_responsible_employee(logged: list[Mapping[str, Any]]) -> None:
    """Then the variable is emptied, so that an earlier one does not stand; the log says why."""
    lookup = FakeLookup(Responsible(finding=Finding.NO_OWNER, reason="the CRM knows no record"))
    async with serving(lookup, variable="__OWNER") as served:
        assert await served.commands() == b'SET VARIABLE __OWNER ""\n'
    assert logged[0]["reason"] == "the CRM knows no record"


async def test_deadline_with_a_crm_that_never_answers() -> None:
    """The variable is set and the connection closed within the deadline."""
    async with serving(FakeLookup(delay=3600), deadline_seconds=0.2) as served:
        began = trio.current_time()
        assert await served.commands() == SET_NOTHING
        assert trio.current_time() - began < 1
        assert served.lookup.asked[0][1] <= 0.2 * 0.9


async def test_lookup_that_keeps_no_deadline() -> None:
    """Even then the connection is closed in time."""
    async with serving(FakeLookup(delay=3600, is_slow=True), deadline_seconds=0.1) as served:
        assert await served.commands() == b""


@pytest.mark.parametrize(
    ("environment", "event"),
    [
        (b"", "route.cut_off"),
        (CALLER[:-1], "route.cut_off"),
        (b"agi_network: yes\n" + b"\x00\xff" * 50, "route.cut_off"),
        (b"agi_network: yes\n" + b"agi_arg_1: x\n" * 10_000, "route.refused"),
        (b"agi_network: " + b"x" * 100_000, "route.refused"),
        (b"GET /route?number=1 HTTP/1.1\r\nHost: x\r\n\r\n", "route.refused"),
        (bytes(range(256)) * 8, "route.refused"),
        (CALLER.replace(b"route", b"other"), "route.refused"),
    ],
    ids=["silence", "no end", "binary", "many lines", "a long line", "http", "bytes", "another script"],
)
async def test_hostile_environment(environment: bytes, event: str, logged: list[Mapping[str, Any]]) -> None:
    """A client that sends too much, too little or something else is cut off within the deadline, without a lookup."""
    async with serving(deadline_seconds=0.1) as served:
        stream = await served.connect()
        with trio.fail_after(WAIT):
            with suppress(trio.BrokenResourceError):  # it may have had enough
                await stream.send_all(environment)
            assert await until_end(stream) == b""
        await stream.aclose()
        assert served.lookup.asked == []
        await trio.testing.wait_all_tasks_blocked(0.01)
    assert [entry["event"] for entry in logged] == [event]


async def test_number_with_a_line_break_of_its_own() -> None:
    """A caller whose number ends the environment early harms only their own call."""
    environment = CALLER.replace(b"+79161234567", b"+7916\n\nSET VARIABLE X 1\n200 result=0")
    async with serving() as served:
        assert await served.commands(environment) == SET
        assert served.lookup.asked[0][0] == "+7916"
        assert await served.commands() == SET


@pytest.mark.parametrize("result", [b"510 Invalid or unknown command\n", b"511 Command Not Permitted\n"])
async def test_command_that_asterisk_does_not_take(result: bytes, logged: list[Mapping[str, Any]]) -> None:
    """A refused command is logged."""
    async with serving() as served:
        assert await served.commands(result=result) == SET
    assert [entry["event"] for entry in logged] == ["route.answered", "route.not_set"]


async def test_caller_hangs_up_while_we_ask() -> None:
    """Asterisk's urgent HANGUP in between changes nothing: it still waits for us, and is answered."""
    async with serving(FakeLookup(delay=0.05)) as served:
        stream = await served.connect()
        async with stream:
            await stream.send_all(CALLER)
            await trio.sleep(0.01)
            await stream.socket.send(b"HANGUP\n", socket.MSG_OOB)
            with trio.fail_after(WAIT):
                assert await until_end(stream, b"\n") == SET
                await stream.send_all(DONE)
                assert await until_end(stream) == b""


async def test_asterisk_that_hangs_up_first(logged: list[Mapping[str, Any]]) -> None:
    """A connection that ends early, or is reset, is no fault."""
    async with serving() as served:
        stream = await served.connect()
        await stream.send_all(CALLER[:100])
        await stream.aclose()
        assert await served.commands() == SET
    assert [entry["event"] for entry in logged] == ["route.hung_up", "route.answered"]


async def test_network_that_is_not_allowed(logged: list[Mapping[str, Any]]) -> None:
    """A client outside of the networks gets no answer, and no lookup is made."""
    async with serving(networks=(ip_network("10.0.0.0/8"),)) as served:
        assert await served.commands() == b""
        assert served.lookup.asked == []
    assert (logged[0]["event"], logged[0]["client"]) == ("route.refused", "127.0.0.1")


async def test_too_many_at_once(monkeypatch: pytest.MonkeyPatch, logged: list[Mapping[str, Any]]) -> None:
    """One more than fit is closed at once; when they are done there is room again."""
    monkeypatch.setattr(agi_server, "MAX_CONNECTIONS", 2)
    async with serving() as served:
        streams = [await served.connect() for _ in range(2)]
        await trio.testing.wait_all_tasks_blocked(0.01)
        assert await served.commands() == b""
        assert logged[0]["reason"] == "more than 2 connections"
        for stream in streams:
            await stream.aclose()
        await trio.testing.wait_all_tasks_blocked(0.01)
        assert await served.commands() == SET


async def test_too_many_of_one_client(monkeypatch: pytest.MonkeyPatch, logged: list[Mapping[str, Any]]) -> None:
    """One PBX cannot take the places of another; the log has one line of many refusals."""
    monkeypatch.setattr(agi_server, "MAX_PER_CLIENT", 2)
    async with serving() as served:
        streams = [await served.connect("127.0.0.2") for _ in range(2)]
        await trio.testing.wait_all_tasks_blocked(0.01)
        for _ in range(3):
            assert await served.commands(client="127.0.0.2") == b""
        assert await served.commands(client="127.0.0.3") == SET
        for stream in streams:
            await stream.aclose()
    refused = [entry for entry in logged if entry["event"] == "route.refused"]
    assert [(entry["client"], entry["reason"]) for entry in refused] == [
        ("127.0.0.2", "more than 2 connections from this address")
    ]


async def test_shutdown() -> None:
    """At a stop no connection is accepted, the connected ones get their answer, and then it ends."""
    shutdown = trio.Event()
    lookup = FakeLookup(delay=0.1)
    rules = ResponsibleRules(bind="127.0.0.1:0")
    with trio.fail_after(WAIT):
        async with trio.open_nursery() as nursery:
            (address,) = await nursery.start(partial(serve_agi, lookup.ask, rules, shutdown=shutdown))
            served = Served(lookup, int(address.removesuffix("/route").rpartition(":")[2]), shutdown)

            async def caller() -> None:
                assert await served.commands() == SET

            nursery.start_soon(caller)
            while not lookup.asked:  # noqa: ASYNC110
                await trio.sleep(0.005)
            shutdown.set()
            await trio.testing.wait_all_tasks_blocked(0.01)
            with pytest.raises(OSError, match="connect"):
                await served.connect()


async def test_cancelled_in_the_middle_of_an_answer() -> None:
    """Cancelling closes what is open."""
    async with serving(FakeLookup(delay=3600), deadline_seconds=60) as served:
        stream = await served.connect()
        await stream.send_all(CALLER)
        while not served.lookup.asked:  # noqa: ASYNC110
            await trio.sleep(0.005)
    with trio.fail_after(WAIT):
        assert await until_end(stream) == b""
    await stream.aclose()


async def test_address_that_is_taken() -> None:
    """The message names the key."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        rules = ResponsibleRules(bind=f"127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(CannotListenError, match=r"\[route\] bind = '127.0.0.1:\d+': Address already in use"):
            await serve_agi(FakeLookup().ask, rules, shutdown=trio.Event())


async def test_fault_of_ours() -> None:
    """A fault while serving one caller is logged; they go on without an answer, and the next one gets theirs."""

    class Faulty(FakeLookup):
        async def ask(self, number: str, within: float) -> Responsible:
            if not self.asked:
                self.asked.append((number, within))
                raise ValueError("a fault of ours")
            return await super().ask(number, within)

    with structlog.testing.capture_logs() as logs:
        async with serving(Faulty()) as server:
            assert await server.commands() == b""
            assert await server.commands() == SET
    assert [line["event"] for line in logs if line["log_level"] == "error"] == ["route.failed"]
