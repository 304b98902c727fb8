from __future__ import annotations

import json
import socket
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import httpx
import pytest
import structlog.testing
import trio
import trio.testing

from tests.fake_asterisk import FakeAsterisk, FakeSession, silence
from tests.fake_vtiger import FakeVtiger, Silence, fake_vtiger
from uac_trio import daemon
from uac_trio.config import Config, load_config
from uac_trio.daemon import run_daemon
from uac_trio.outbox import Outbox, OutboxError
from uac_trio.pipeline import Pipeline
from uac_trio.web import CannotListenError

CALL_ID = "main-1795413713.0"
FIXTURE = Path(__file__).parent.parent / "fixtures" / "ami_transcripts" / "asterisk22" / "inbound_answered.ami"
WHOLE_CALL = ["DialBegin", "DialAnswer", "Hangup", "EndCall"]


def events_of_call() -> list[bytes]:
    """The events of a recorded incoming call: 101 rings, answers, hangs up."""
    blocks = FIXTURE.read_bytes().split(b"\r\n\r\n")
    return [one + b"\r\n\r\n" for one in blocks if one.startswith(b"Event: ") and b"FullyBooted" not in one]


def part_of_call(begin: Callable[[bytes], bool] | None, end: Callable[[bytes], bool] | None) -> bytes:
    """Its events after the first that fits ``begin``, up to and with the first that fits ``end``."""
    events = events_of_call()
    first = 0 if begin is None else next(i for i, event in enumerate(events) if begin(event)) + 1
    last = len(events) if end is None else next(i for i, event in enumerate(events) if end(event)) + 1
    return b"".join(events[first:last])


def ringing(event: bytes) -> bool:
    return event.startswith(b"Event: Newstate") and b"ChannelState: 5" in event


def answered(event: bytes) -> bool:
    return event.startswith(b"Event: DialEnd")


@attrs.define
class World:
    """A PBX and a CRM on loopback, and a place for a configuration and an outbox."""

    pbx: FakeAsterisk
    pbx_port: int
    crm: FakeVtiger
    tmp_path: Path

    def config(self, more: str = "", **changed: str) -> Config:
        values = {"secret": "s3cret", "crm": self.crm.url, "pbx_port": str(self.pbx_port), **changed}
        path = self.tmp_path / "uac-trio.toml"
        path.write_text(
            f"""
[[pbx]]
name = "main"
host = "127.0.0.1"
port = {values["pbx_port"]}
username = "crm"
secret = "{values["secret"]}"
backoff_min = 0.1
backoff_max = 0.1
[calls]
linger = 0.05
[vtiger]
url = "{values["crm"]}"
secret = "crm-secret"
[http]
bind = "{values.get("bind", "127.0.0.1:0")}"
grace_seconds = 0.2
[store]
url = "sqlite:///{self.tmp_path}/connector.db"
busy_timeout = 0.1
[sender]
retry_min = 0.1
retry_max = 1
away_max = 1
shutdown_grace = 0.2
{more}
"""
        )
        return load_config(path, {})

    async def session(self, number: int = 1) -> FakeSession:
        """The daemon's ``number``-th connection to the PBX, logged in and with its snapshot."""
        await self.until(lambda: len(self.pbx.sessions) >= number)
        session = self.pbx.sessions[number - 1]
        await self.until(lambda: "CoreShowChannels" in session.names())
        await trio.testing.wait_all_tasks_blocked(0.01)  # its answer is out: nobody else is speaking
        return session

    async def until(self, fact: Callable[[], object], seconds: float = 4) -> None:
        await self.crm.until(lambda: bool(fact()), seconds)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with fake_vtiger() as crm, trio.open_nursery() as nursery:
        pbx = FakeAsterisk(nursery)
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, pbx.serve, [listener])
        yield World(pbx, listener.socket.getsockname()[1], crm, tmp_path)
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def running(config: Config, **more: Any) -> AsyncIterator[str]:
    """The daemon; gives its HTTP address. Leaving the block is a SIGTERM, and waits for the end."""
    async with trio.open_nursery() as nursery:
        (address,) = await nursery.start(partial(run_daemon, config, **more))
        yield address
        nursery.cancel_scope.cancel()


async def asked(address: str, path: str) -> tuple[int, Any]:
    async with httpx.AsyncClient() as client:
        reply = await client.get(address + path)
    return reply.status_code, reply.json() if path.startswith(("/healthz", "/readyz")) else reply.text


async def until_health(address: str, fact: Callable[[dict[str, Any]], bool]) -> Any:
    """/healthz, asked until ``fact`` holds of it."""
    with trio.fail_after(4):
        while True:
            _, health = await asked(address, "/healthz")
            if fact(health):
                return health
            await trio.sleep(0.01)


async def until_pbx(address: str, fact: Callable[[dict[str, Any]], bool]) -> Any:
    """The same of its PBX: the daemon answers before it has connected."""
    return await until_health(address, lambda health: "main" in health["pbx"] and fact(health["pbx"]["main"]))


async def until_in_memory(address: str, requests: int) -> None:
    """Until so many requests were handed over to the store and are not committed."""
    await until_health(address, lambda health: health["store"]["in_memory"] == requests)


def stored(world: World) -> list[str]:
    """The steps in the outbox, in their order."""
    with sqlite3.connect(world.tmp_path / "connector.db") as connection:
        steps = [step for (step,) in connection.execute("SELECT step FROM request ORDER BY id")]
    connection.close()
    return steps


async def test_call_from_the_wire_to_the_crm(world: World) -> None:
    """What the PBX says of a call arrives at the CRM in order, in real time, and once."""
    async with running(world.config()):
        session = await world.session()
        await session.say(part_of_call(None, ringing))
        await world.until(lambda: world.crm.steps(CALL_ID) == ["DialBegin"])
        await session.say(part_of_call(ringing, answered))
        await world.until(lambda: world.crm.steps(CALL_ID) == ["DialBegin", "DialAnswer"])
        await session.say(part_of_call(answered, None))
        await world.until(lambda: world.crm.steps(CALL_ID) == WHOLE_CALL)
    assert world.crm.steps(CALL_ID) == WHOLE_CALL
    assert world.crm.seen[0].form["vtigersignature"] == "crm-secret"
    assert world.crm.overlaps == []


async def test_recordings_are_linked_below_the_public_address(world: World) -> None:
    """With a public address the CRM gets a link of one parameter for the recording."""
    config = world.config()
    config = attrs.evolve(config, http=attrs.evolve(config.http, public_url="http://172.16.1.1:5000"))
    async with running(config):
        await (await world.session()).say(part_of_call(None, None))
        await world.until(lambda: "Record" in world.crm.steps(CALL_ID))
    link = world.crm.seen[-1].form["recordinglink"]
    assert link.startswith("http://172.16.1.1:5000/recording?id=")
    assert len(link) < 200
    assert "&" not in link


async def test_stop_in_mid_call_loses_nothing_that_was_seen(world: World) -> None:
    """All that was seen before a stop is in the outbox after it, with the CRM away; the next run ends what is over."""
    with structlog.testing.capture_logs() as logs:
        async with running(world.config(crm="http://127.0.0.1:9/nobody.php")):
            await (await world.session()).say(part_of_call(None, answered))
            await world.until(lambda: stored(world) == ["DialBegin", "DialAnswer"])
            await world.until(lambda: any(line["event"] == "sender.crm_away" for line in logs))
    async with running(world.config()):
        await world.session(2)  # whose list of channels is empty
        await world.until(lambda: stored(world) == WHOLE_CALL)
        await world.until(lambda: world.crm.steps(CALL_ID)[-1:] == ["EndCall"])
    assert world.crm.steps(CALL_ID)[0] == "DialBegin"
    assert world.crm.steps(CALL_ID).count("Hangup") == 1


async def test_event_in_the_moment_of_the_stop(world: World) -> None:
    """Requests that were handed over and not committed yet when the stop came are committed before the end."""
    config = world.config(crm="http://127.0.0.1:9/nobody.php")
    async with running(config) as address:
        session = await world.session()
        locked = sqlite3.connect(world.tmp_path / "connector.db", isolation_level=None)
        locked.execute("BEGIN EXCLUSIVE")
        await session.say(part_of_call(None, ringing))
        await until_in_memory(address, 1)
        locked.execute("ROLLBACK")
        locked.close()
    assert stored(world) == ["DialBegin"]


async def test_call_goes_on_over_a_restart(world: World) -> None:
    """A call that is still up at the restart is carried on: one DialBegin, one end, with the whole duration."""
    async with running(world.config()):
        await (await world.session()).say(part_of_call(None, answered))
        await world.until(lambda: world.crm.steps(CALL_ID) == ["DialBegin", "DialAnswer"])
    world.pbx.channels = [
        channel("PJSIP/trunk-00000000", "1795413713.0", "+79161234567", "4951000101"),
        channel("PJSIP/101-00000001", "1795413713.1", "101", "101"),
    ]
    async with running(world.config()):
        session = await world.session(2)
        await session.say(part_of_call(answered, None))
        await world.until(lambda: world.crm.steps(CALL_ID) == WHOLE_CALL)
    assert stored(world) == world.crm.steps(CALL_ID) == WHOLE_CALL  # nothing waits that would follow


def channel(name: str, uniqueid: str, number: str, exten: str) -> tuple[str, ...]:
    return (
        f"Channel: {name}",
        "ChannelState: 6",
        "ChannelStateDesc: Up",
        f"CallerIDNum: {number}",
        "CallerIDName: <unknown>",
        "ConnectedLineNum: <unknown>",
        "ConnectedLineName: <unknown>",
        "Context: from-trunk",
        f"Exten: {exten}",
        "Priority: 1",
        f"Uniqueid: {uniqueid}",
        "Linkedid: 1795413713.0",
        "BridgeId: 7b5ba1a5-1a5b-4d0c-8d26-0f5e0d1b9b11",
        "Application: Dial",
        "ApplicationData: PJSIP/101",
        "Duration: 00:00:05",
    )


async def test_crm_away(world: World) -> None:
    """While the CRM is away the PBX is listened to and the web answers; when it is back it is told everything."""
    crm_port = unused_port()
    async with running(world.config(crm=f"http://127.0.0.1:{crm_port}/x.php")) as address:
        await (await world.session()).say(part_of_call(None, None))
        await world.until(lambda: stored(world) == WHOLE_CALL)
        status, health = await asked(address, "/readyz")
        assert status == 200
        assert health["pbx"]["main"]["state"] == "connected"
        async with fake_vtiger(port=crm_port) as back:
            await back.until(lambda: "EndCall" in back.steps(CALL_ID))
            # The call was over before anything could be told: no popup now, the history is right.
            assert back.steps(CALL_ID)[0] == "DialBegin"
            assert back.steps(CALL_ID)[-2:] == ["Hangup", "EndCall"]


async def test_pbx_away(world: World) -> None:
    """Without its PBX the daemon is alive but not ready, refuses clicks, and finds the PBX when it comes."""
    port = unused_port()
    async with running(world.config(pbx_port=str(port))) as address:
        # Requests are accepted before the first attempt to connect has begun, let alone failed.
        await until_pbx(address, lambda pbx: "cannot connect" in pbx["last_error"])
        assert (await asked(address, "/healthz"))[0] == 200
        status, health = await asked(address, "/readyz")
        assert (status, health["ok"]) == (503, False)
        assert await asked(address, CLICK) == (200, "Error")
        async with trio.open_nursery() as nursery:
            (listener,) = await trio.open_tcp_listeners(port, host="127.0.0.1")
            nursery.start_soon(trio.serve_listeners, world.pbx.serve, [listener])
            await world.session()
            await until_pbx(address, lambda pbx: pbx["state"] == "connected")
            assert (await asked(address, "/readyz"))[0] == 200
            nursery.cancel_scope.cancel()


async def test_wrong_secret_of_the_pbx(world: World) -> None:
    """A refused login does not end the daemon; the reason is in the log and in /healthz, the secret in neither."""
    with structlog.testing.capture_logs() as logs:
        async with running(world.config(secret="not-the-one")) as address:
            await world.until(lambda: len(world.pbx.sessions) >= 2)
            health = await until_pbx(address, lambda pbx: "login refused" in pbx["last_error"])
    assert any(line["event"] == "ami.login_refused" for line in logs)
    assert "not-the-one" not in str(logs) + str(health)


CLICK = "/makecall?event=OutgoingCall&secret=crm-secret&from=101&to=%2B7+%28916%29+123-45-67&context=x"


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
    """On a FreePBX the employee is called without his mailbox: what it answers would have the customer called."""
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
    """Of two PBXes that have the extension the one that is connected is told to call."""
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


async def test_log_of_a_call(world: World) -> None:
    """The log follows a call: ringing, part ended, ended, what was concluded without being seen."""
    with structlog.testing.capture_logs() as logs:
        async with running(world.config()):
            await (await world.session()).say(part_of_call(None, ringing))
            await world.until(lambda: world.crm.steps(CALL_ID) == ["DialBegin"])
            await world.pbx.sessions[0].stream.aclose()
            await world.session(2)  # in whose snapshot the call is not
            await world.until(lambda: any(line["event"] == "calls.ended" for line in logs))
    told = [line["event"] for line in logs if line["event"].startswith("calls.")]
    assert told[0] == "calls.ringing"
    assert {"calls.part_ended", "calls.ended", "calls.odd"} <= set(told)


async def test_click_that_the_pbx_could_not_take(world: World) -> None:
    """An order that no action can be made of is refused, not sent."""
    config = attrs.evolve(world.config(), routes=(attrs.evolve(world.config().routes[0], context="a b"),))
    async with running(config) as address:
        session = await world.session()
        assert await asked(address, CLICK) == (200, "Error")
        assert "Originate" not in session.names()


async def test_store_that_fails(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the store takes nothing, requests wait in memory and /healthz says so; then they are stored and sent."""
    monkeypatch.setattr("uac_trio.daemon.storing.STORE_PAUSE", 0.05)
    async with running(world.config()) as address:
        session = await world.session()
        locked = sqlite3.connect(world.tmp_path / "connector.db", isolation_level=None)
        locked.execute("BEGIN EXCLUSIVE")
        await session.say(part_of_call(None, ringing))
        with trio.fail_after(3):
            while (await asked(address, "/healthz"))[0] == 200:  # noqa: ASYNC110 - as a supervisor does
                await trio.sleep(0.05)
        _, health = await asked(address, "/healthz")
        assert health["store"]["in_memory"] == 1
        assert "locked" in health["store"]["trouble"]
        locked.execute("ROLLBACK")
        locked.close()
        await world.until(lambda: world.crm.steps(CALL_ID) == ["DialBegin"])
        assert (await asked(address, "/healthz"))[0] == 200


async def test_store_that_cannot_be_read(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that fails while the daemon reads it at the start, or its figures later, is asked again."""
    monkeypatch.setattr("uac_trio.daemon.storing.STORE_PAUSE", 0.02)
    monkeypatch.setattr("uac_trio.daemon.storing.STATISTICS_EVERY", 0.02)
    for method, after in (("open_participations", 0), ("statistics", 1)):
        monkeypatch.setattr(Outbox, method, failing_once(getattr(Outbox, method), after))
    with structlog.testing.capture_logs() as logs:
        async with running(world.config()):
            await (await world.session()).say(part_of_call(None, ringing))
            await world.until(lambda: world.crm.steps(CALL_ID) == ["DialBegin"])
            await world.until(lambda: any(line["event"] == "outbox.works_again" for line in logs))
    assert [line["event"] for line in logs].count("outbox.fails") == 2


def failing_once(method: Callable[..., Any], after: int) -> Callable[..., Any]:
    calls = iter(range(1000))

    async def wrapper(*arguments: Any) -> Any:
        if next(calls) == after:
            raise OutboxError(f"no {method.__name__} now")
        return await method(*arguments)

    return wrapper


async def test_too_much_for_the_memory(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """When requests had to be dropped, the daemon starts over from the outbox and a snapshot, and says so."""
    monkeypatch.setattr("uac_trio.daemon.storing.STORE_PAUSE", 0.05)
    monkeypatch.setattr("uac_trio.daemon.intake.START_OVER_PAUSE", 0.05)
    monkeypatch.setattr("uac_trio.daemon.storing.MAX_WAITING", 1)
    with structlog.testing.capture_logs() as logs:
        async with running(world.config()) as address:
            session = await world.session()
            locked = sqlite3.connect(world.tmp_path / "connector.db", isolation_level=None)
            locked.execute("BEGIN EXCLUSIVE")
            await session.say(part_of_call(None, ringing))
            await until_in_memory(address, 1)
            await session.say(part_of_call(ringing, None))
            await world.until(lambda: any(line["event"] == "daemon.starting_over" for line in logs))
            locked.execute("ROLLBACK")
            locked.close()
            await world.session(2)
            await world.until(lambda: world.crm.steps(CALL_ID)[-1:] == ["EndCall"])
    assert world.crm.steps(CALL_ID).count("DialBegin") == world.crm.steps(CALL_ID).count("Hangup") == 1


async def test_fault_in_digesting(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault of ours over one event is logged with its traceback; the daemon starts over and goes on."""
    monkeypatch.setattr("uac_trio.daemon.intake.START_OVER_PAUSE", 0.05)
    healthy = Pipeline.received
    faults = iter([RuntimeError("a fault of ours")])

    def faulty(self: Pipeline, *arguments: Any) -> Any:
        if any(message.get("Event") == "Newstate" for message in arguments[1]):
            for fault in faults:
                raise fault
        return healthy(self, *arguments)

    monkeypatch.setattr(Pipeline, "received", faulty)
    with structlog.testing.capture_logs() as logs:
        async with running(world.config()):
            await (await world.session()).say(part_of_call(None, ringing))
            session = await world.session(2)
            await session.say(part_of_call(None, None))
            await world.until(lambda: world.crm.steps(CALL_ID)[-1:] == ["EndCall"])
    assert [line["event"] for line in logs if line["log_level"] == "error"] == [
        "daemon.digest_failed",
        "daemon.starting_over",
    ]


async def test_stop_with_a_crm_that_says_nothing(world: World) -> None:
    """A request on the wire gets the sender's grace at a stop, no more, and stays in the outbox."""
    world.crm.script = lambda _: Silence()
    async with running(world.config()):
        await (await world.session()).say(part_of_call(None, ringing))
        await world.until(lambda: world.crm.seen)
        began = trio.current_time()
    assert trio.current_time() - began < 2
    assert stored(world) == ["DialBegin"]


@pytest.mark.parametrize(("limit", "said"), [("COMMIT_WITHIN", []), ("END_WITHIN", ["daemon.shutdown_cut_short"])])
async def test_stop_that_takes_too_long(
    world: World, monkeypatch: pytest.MonkeyPatch, limit: str, said: list[str]
) -> None:
    """With a store that is stuck, the end comes within its limits, and the log says how many requests are lost."""
    monkeypatch.setattr(f"uac_trio.daemon.run.{limit}", 0.3)
    with structlog.testing.capture_logs() as logs:
        async with running(world.config()):
            session = await world.session()
            locked = sqlite3.connect(world.tmp_path / "connector.db", isolation_level=None)
            locked.execute("BEGIN EXCLUSIVE")
            await session.say(part_of_call(None, ringing))
            await world.until(lambda: any(line["event"] == "outbox.fails" for line in logs))
            began = trio.current_time()
        assert trio.current_time() - began < 2
    locked.close()
    errors = [line["event"] for line in logs if line["event"].startswith("daemon.") and line["log_level"] == "error"]
    assert errors == [*said, "daemon.requests_lost"]


async def test_stop_with_a_click_that_waits(world: World) -> None:
    """A click whose order the PBX has not answered is told Error at once at a stop."""
    world.pbx.reactions["Originate"] = silence
    replies: list[tuple[int, str]] = []

    async def click(address: str) -> None:
        replies.append(await asked(address, CLICK))

    async with trio.open_nursery() as clients:
        async with running(world.config()) as address:
            session = await world.session()
            clients.start_soon(click, address)
            await world.until(lambda: "Originate" in session.names())
    assert replies == [(200, "Error")]


async def test_address_that_is_taken(world: World) -> None:
    """A daemon whose HTTP address is taken ends with an error that names the setting, and touches no PBX."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        config = world.config(bind=f"127.0.0.1:{taken.getsockname()[1]}")
        with pytest.RaisesGroup(CannotListenError, flatten_subgroups=True):
            await run_daemon(config)
    assert world.pbx.sessions == []


async def test_store_that_cannot_be_opened(world: World) -> None:
    """A daemon whose outbox cannot be opened ends with an error about it."""
    (world.tmp_path / "connector.db").write_text("this is no database, but somebody's text file " * 100)
    with pytest.RaisesGroup(OutboxError, flatten_subgroups=True):
        await run_daemon(world.config())


async def test_old_rows_are_purged(world: World) -> None:
    """Delivered rows older than keep_delivered are gone after the start."""
    async with running(world.config()):
        await (await world.session()).say(part_of_call(None, None))
        await world.until(lambda: world.crm.steps(CALL_ID)[-1:] == ["EndCall"])
    later = daemon.now() + 30 * 86400
    async with running(world.config(), now=lambda: later):
        await world.until(lambda: stored(world) == [])


def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


async def test_health_tells_no_secret_and_no_number(world: World) -> None:
    """What anybody may read at /healthz holds no secret and no telephone number."""
    async with running(world.config()) as address:
        await (await world.session()).say(part_of_call(None, None))
        await world.until(lambda: world.crm.steps(CALL_ID)[-1:] == ["EndCall"])
        _, health = await asked(address, "/healthz")
    told = json.dumps(health)
    assert not any(word in told for word in ("s3cret", "crm-secret", "79161234567"))
    assert health["outbox"] is not None
