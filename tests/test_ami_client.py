"""The client that stays connected: sessions, logging in, losing it, settings."""

from __future__ import annotations

import ssl
from collections.abc import Sequence

import attrs
import pytest
import structlog.testing
import trio
import trio.testing

from tests.ami_scene import EPOCH, Heard, now, scene, server, start
from tests.fake_asterisk import (
    BANNER,
    FakeAsterisk,
    FakeSession,
    Headers,
    answer,
    error,
    event,
    silence,
)
from uac_trio.ami import Message
from uac_trio.ami_client.client import AMIClient
from uac_trio.ami_client.server import AMIServer

# ---- a session


async def test_a_session(autojump_clock: trio.testing.MockClock) -> None:
    """After an MD5 login it asks for fewer events and for a snapshot; the listener hears all from the login on."""
    async with scene() as stage:
        stage.pbx.channels = [("Channel: PJSIP/101-00000001", "Uniqueid: 1795413700.1")]
        await start(stage)
        await stage.session().say(event("Newchannel") + event("Hangup"))
        await trio.testing.wait_all_tasks_blocked()

        actions = stage.session().actions
        assert stage.session().names() == ["Challenge", "Login", "Events", "Filter", "CoreShowChannels"]
        assert "Secret" not in actions[1]
        assert actions[2]["EventMask"] == "system,call,agent,cdr"
        assert actions[3]["Filter"].startswith("!^Event: (")
        assert stage.heard.changes == [("connected", EPOCH)]
        assert stage.heard.names() == [
            "FullyBooted", "CoreShowChannel", "CoreShowChannelsComplete", "Newchannel", "Hangup",
        ]  # fmt: skip
        assert stage.client.status.state == "connected"
        assert stage.client.status.connected_since == EPOCH
        assert stage.client.status.banner == stage.heard.banner == "Asterisk Call Manager/11.0.0"
        assert stage.client.status.last_message_at == EPOCH
        assert stage.client.status.messages == 1 + len(stage.heard.messages)
        (connected,) = stage.logged("ami.connected")
        assert connected["banner"] == "Asterisk Call Manager/11.0.0"
        assert "s3cret" not in str(stage.log)


async def test_stopping_ends_the_session(autojump_clock: trio.testing.MockClock) -> None:
    """Cancellation closes the socket, leaves no task, and calls the listener."""
    async with scene() as stage:
        await start(stage)
        session = stage.session()

    assert session.closed.is_set()
    assert stage.heard.changes == [("connected", EPOCH), ("lost", EPOCH)]
    assert stage.heard.reasons == ["this program is stopping"]
    assert stage.client.status.connected_since is None


async def test_plaintext_login(autojump_clock: trio.testing.MockClock) -> None:
    """The secret is sent only where it is configured."""
    async with scene(server(plaintext_login=True)) as stage:
        await start(stage)

        assert stage.session().names()[0] == "Login"
        assert stage.session().actions[0]["Secret"] == "s3cret"
        assert stage.client.status.state == "connected"


async def test_dialplan_class(autojump_clock: trio.testing.MockClock) -> None:
    """Class dialplan is two thirds of all traffic, and is asked for only where it is wanted."""
    async with scene(server(want_dialplan=True, noise=())) as stage:
        await start(stage)

        assert stage.session().actions[2]["EventMask"] == "system,call,agent,cdr,dialplan"
        assert "Filter" not in stage.session().names()


@pytest.mark.parametrize("refusal", ["error", "off", "silence"])
async def test_event_mask_refused(autojump_clock: trio.testing.MockClock, refusal: str) -> None:
    """A server that will not send less is asked for all, and the session goes on."""

    def react(_: FakeSession, action: Headers) -> bytes | None:
        if refusal == "silence":
            return None
        if action["EventMask"] == "on":
            return answer(action, "Events: On")
        return error(action, "Invalid event mask") if refusal == "error" else answer(action, "Events: Off")

    async with scene() as stage:
        stage.pbx.reactions["Events"] = react
        await start(stage)
        await trio.sleep(11)

        masks = [action["EventMask"] for action in stage.session().actions if action["Action"] == "Events"]
        assert masks == ["system,call,agent,cdr"] + ([] if refusal == "silence" else ["on"])
        assert [name for name in stage.session().names() if name != "Ping"][-1] == "CoreShowChannels"
        assert len(stage.logged("ami.event_mask_refused")) == (refusal != "silence")


@pytest.mark.parametrize("reaction", ["accepted", "silence"])
async def test_filter(autojump_clock: trio.testing.MockClock, reaction: str) -> None:
    """A filter that is taken, or not answered, changes nothing else."""
    async with scene() as stage:
        stage.pbx.reactions["Filter"] = silence if reaction == "silence" else lambda _, action: answer(action)
        await start(stage)
        await trio.sleep(11)

        assert [name for name in stage.session().names() if name != "Ping"][-1] == "CoreShowChannels"
        assert len(stage.logged("ami.filter")) == (reaction == "accepted")


async def test_snapshot_refused(autojump_clock: trio.testing.MockClock) -> None:
    """Without the right to a snapshot the session goes on, and the log says what to add."""
    async with scene() as stage:
        stage.pbx.reactions["CoreShowChannels"] = lambda _, action: error(action, "Permission denied")
        await start(stage)

        (entry,) = stage.logged("ami.snapshot_refused")
        assert "add reporting to write= of user crm" in str(entry["hint"])
        assert stage.client.status.state == "connected"


async def test_unwanted_events(autojump_clock: trio.testing.MockClock) -> None:
    """Only wanted events reach the listener, those of the snapshot always."""
    async with scene(wanted=lambda name, _: name == "Hangup") as stage:
        stage.pbx.channels = [("Channel: x",)]
        await start(stage)
        await stage.session().say(event("VarSet") * 2 + event("Hangup"))
        await trio.testing.wait_all_tasks_blocked()

        assert stage.heard.names() == ["CoreShowChannel", "CoreShowChannelsComplete", "Hangup"]
        assert stage.client.status.dropped == 3


async def test_every_byte_can_be_recorded(autojump_clock: trio.testing.MockClock) -> None:
    """What goes over the wire is shown as it is, both ways, with the time."""
    wire: list[tuple[str, bytes, float]] = []
    async with scene(on_wire=lambda *seen: wire.append(seen)) as stage:
        await start(stage)

        assert wire[:2] == [("open", b"", EPOCH), ("recv", BANNER, EPOCH)]
        assert wire[2][0] == "send"
        assert wire[2][1].startswith(b"Action: Challenge\r\n")
        assert b"".join(data for direction, data, _ in wire if direction == "send").count(b"\r\n\r\n") == 5
    assert wire[-1][:2] == ("eof", b"")


async def test_listener_is_called_before_the_next_read(autojump_clock: trio.testing.MockClock) -> None:
    """What the listener raises is a fault of this program: it is let through, and the socket closed."""

    @attrs.define
    class Faulty(Heard):
        def received(self, pbx: str, messages: Sequence[Message], at: float) -> None:
            raise ZeroDivisionError

    async with trio.open_nursery() as nursery:
        pbx = FakeAsterisk(nursery)
        client = AMIClient(server=server(), listener=Faulty(), now=now, open_stream=pbx.open_stream)
        with pytest.raises(ExceptionGroup) as caught:
            await client.run()
        assert caught.group_contains(ZeroDivisionError)
        await trio.testing.wait_all_tasks_blocked()
        assert pbx.sessions[0].closed.is_set()


# ---- logging in


async def test_login_refused_then_accepted(autojump_clock: trio.testing.MockClock) -> None:
    """A refused login is explained, and tried again until manager.conf is put right."""
    async with scene(server(backoff_min=4.0)) as stage:
        stage.pbx.secret = "another"
        await start(stage)
        (entry,) = stage.logged("ami.login_refused")
        assert (entry["pbx"], entry["user"], entry["host"]) == ("main", "crm", "127.0.0.1")
        assert entry["reason"] == "Authentication failed"
        assert "manager.conf" in str(entry["hint"])
        assert stage.client.status.last_error == "login refused: Authentication failed"
        assert stage.client.status.state == "waiting"
        assert stage.heard.changes == []

        stage.pbx.secret = "s3cret"
        await trio.sleep(5)
        assert stage.heard.changes == [("connected", EPOCH + 4)]
        assert stage.client.status.last_error == ""


async def test_challenge_refused(autojump_clock: trio.testing.MockClock) -> None:
    """A user that is logged in elsewhere with allowmultiplelogin=no is refused at the challenge."""
    async with scene() as stage:
        stage.pbx.reactions["Challenge"] = lambda _, action: error(action, "Login Already In Use")
        await start(stage)

        (entry,) = stage.logged("ami.login_refused")
        assert entry["reason"] == "Login Already In Use"


@pytest.mark.parametrize(
    ("banner", "silent", "reason"),
    [
        (b"", "", "no greeting (is this the manager port, and TLS or not as configured?) within 15 s"),
        (BANNER, "Challenge", "no answer to the login within 15 s"),
        (BANNER, "Login", "no answer to the login within 15 s"),
    ],
)
async def test_silent_pbx(autojump_clock: trio.testing.MockClock, banner: bytes, silent: str, reason: str) -> None:
    """A server that takes the connection and says nothing is left after ``login_timeout``, and tried again."""
    async with scene(server(answer_timeout=60.0)) as stage:
        stage.pbx.banner = banner
        stage.pbx.reactions[silent] = silence
        await start(stage)
        await trio.sleep(15.5)

        (entry,) = stage.logged("ami.login_failed")
        assert entry["reason"] == reason
        assert stage.pbx.sessions[0].closed.is_set()
        assert stage.heard.changes == []
        await trio.sleep(1)
        assert len(stage.pbx.sessions) == 2


async def test_no_ami_at_all(autojump_clock: trio.testing.MockClock) -> None:
    """A server of another kind is reported as one."""
    async with scene() as stage:
        stage.pbx.banner = b"\x16\x03\x01" * 1000
        await start(stage)

        assert "not the port of an Asterisk manager interface" in stage.client.status.last_error
        assert len(stage.logged("ami.protocol_error")) == 1


async def test_challenge_that_is_none(autojump_clock: trio.testing.MockClock) -> None:
    """A server that breaks the protocol while logging in is left."""
    async with scene() as stage:
        stage.pbx.reactions["Challenge"] = lambda _, action: answer(action)
        await start(stage)

        assert "has no challenge" in stage.client.status.last_error


# ---- losing it


async def test_a_silent_server_is_pinged(autojump_clock: trio.testing.MockClock) -> None:
    """After each 8 s without a byte; while events flow there is no need to."""
    async with scene() as stage:
        await start(stage)
        await trio.sleep(17)
        assert stage.session().names().count("Ping") == 2
        for _ in range(30):
            await stage.session().say(event("Newstate"))
            await trio.sleep(1)
        assert stage.session().names().count("Ping") == 2
        assert stage.heard.reasons == []


async def test_any_byte_is_a_sign_of_life(autojump_clock: trio.testing.MockClock) -> None:
    """A line so full of events that answers come minutes late, or not at all, is not cut."""
    async with scene() as stage:
        await start(stage)
        for name in ("Ping", "CoreShowChannels", "Events"):
            stage.pbx.reactions[name] = silence
        for _ in range(20):
            await trio.sleep(17)  # pinged, and nearly given up
            await stage.session().say(b"Ev")
            await trio.sleep(0.1)
            await stage.session().say(b"ent: Newstate\r\n\r\n")
        assert stage.session().names().count("Ping") == 20
        assert stage.heard.reasons == []
        assert len(stage.pbx.sessions) == 1


@pytest.mark.parametrize("busy_until", [0.0, 5.0, 7.9, 8.1, 17.5, 24.0, 31.3])
async def test_half_open_is_noticed(autojump_clock: trio.testing.MockClock, busy_until: float) -> None:
    """A connection that dies silently is closed within 20 s of its last byte, whenever that was."""
    async with scene() as stage:
        await start(stage)
        stage.pbx.reactions["Ping"] = silence
        while trio.current_time() < busy_until:
            await trio.sleep(min(0.7, busy_until - trio.current_time()))
            await stage.session().say(event("Newstate"))
        await trio.sleep(18.9)
        assert stage.heard.reasons == []
        await trio.sleep(0.2)
        assert stage.heard.reasons == ["no answer to a ping within 10 s, and nothing else received"]
        (entry,) = stage.logged("ami.lost")
        assert entry["reason"] == stage.heard.reasons[0]


async def test_half_open_right_after_the_login(autojump_clock: trio.testing.MockClock) -> None:
    """Also while the answers to the first actions are awaited, each of which has 10 s."""
    async with scene() as stage:
        for name in ("Events", "Filter", "CoreShowChannels", "Ping"):
            stage.pbx.reactions[name] = silence
        await start(stage)
        await trio.sleep(19.1)
        assert len(stage.heard.reasons) == 1


async def test_late_snapshot(autojump_clock: trio.testing.MockClock) -> None:
    """A list of channels that is not there in time is reported, and read when it comes."""
    asked: list[Headers] = []

    def late(_: FakeSession, action: Headers) -> None:
        asked.append(action)

    async with scene() as stage:
        stage.pbx.reactions["CoreShowChannels"] = late
        await start(stage)
        await trio.sleep(11)
        (entry,) = stage.logged("ami.snapshot_late")
        assert entry["reason"] == "no answer within 10 s"
        await stage.session().say(answer(asked[0]) + event("CoreShowChannelsComplete"))
        await trio.testing.wait_all_tasks_blocked()
        assert stage.heard.names()[-1] == "CoreShowChannelsComplete"


async def test_a_ping_is_answered_while_we_are_held_up(autojump_clock: trio.testing.MockClock) -> None:
    """What is here when the wait is over is read first: a host that was frozen loses neither events nor connection."""
    async with scene() as stage:
        await start(stage)

        def late(session: FakeSession, action: Headers) -> None:
            stage.nursery.start_soon(say_late, session, event("Newstate") + answer(action, "Ping: Pong"))

        async def say_late(session: FakeSession, data: bytes) -> None:
            await trio.sleep(10.1)
            await session.say(data)

        stage.pbx.reactions["Ping"] = late
        await trio.sleep(60)
        assert stage.heard.reasons == []
        assert "Newstate" in stage.heard.names()


@pytest.mark.parametrize(
    ("last", "reason"),
    [
        (b"", "the PBX closed the connection"),
        (event("Newchannel") + b"Event: Hang", "the PBX closed the connection in the middle of a message (11 bytes)"),
    ],
)
async def test_closed_by_the_pbx(autojump_clock: trio.testing.MockClock, last: bytes, reason: str) -> None:
    """Whole messages before the end are heard, half of one is not, and a new session begins."""
    async with scene() as stage:
        await start(stage)
        heard = len(stage.heard.messages)
        if last:
            await stage.session().say(last)
        await stage.session().stream.aclose()
        await trio.testing.wait_all_tasks_blocked()

        assert stage.heard.reasons == [reason]
        assert len(stage.heard.messages) == heard + (1 if last else 0)
        await trio.sleep(1.5)
        assert [what for what, _ in stage.heard.changes] == ["connected", "lost", "connected"]
        assert stage.client.status.sessions == 2


async def test_broken_protocol(autojump_clock: trio.testing.MockClock) -> None:
    """Messages before a fault of the server's are heard; then the session is given up."""
    async with scene() as stage:
        await start(stage)
        await stage.session().say(event("Newchannel") + BANNER + b"\r\n" + event("Hangup"))
        await trio.testing.wait_all_tasks_blocked()

        assert stage.heard.names()[-1] == "Newchannel"
        assert stage.heard.reasons[0].startswith("the PBX broke the protocol: greeting does not belong here")


async def test_slow_server(autojump_clock: trio.testing.MockClock) -> None:
    """Bytes that drip in are as good as any."""
    async with scene(server(login_timeout=600.0, ping_interval=6000.0)) as stage:
        await start(stage)
        for byte in event("CallerIDName", "CallerIDName: Иван"):
            await stage.session().say(bytes([byte]))
            await trio.sleep(1)

        assert stage.heard.messages[-1].get("CallerIDName") == "Иван"


async def test_waits_between_attempts(autojump_clock: trio.testing.MockClock) -> None:
    """Waits double up to a limit; a session that lasted begins anew, one that did not does not."""
    async with scene(server(backoff_min=1.0, backoff_max=8.0)) as stage:
        stage.pbx.failures = [OSError("refused") for _ in range(6)]
        await start(stage)
        await trio.sleep(40)
        waits = [after - before for before, after in zip(stage.pbx.tried_at, stage.pbx.tried_at[1:], strict=False)]
        assert waits == [1.0, 2.0, 4.0, 8.0, 8.0, 8.0]

        await stage.session().stream.aclose()
        await trio.sleep(1.5)
        assert stage.client.status.state == "connected"
        await stage.session().stream.aclose()
        await trio.sleep(1.5)
        assert stage.client.status.state == "waiting"
        await trio.sleep(1)
        assert stage.client.status.state == "connected"


def test_backoff() -> None:
    """A wait is between a half and the whole of its step, whatever the number of failures."""
    settings = server(backoff_min=1.0, backoff_max=60.0)

    assert settings.backoff(1, 0.0) == 1.0
    assert settings.backoff(1, 1.0) == 0.5
    assert settings.backoff(3, 0.5) == 3.0
    assert settings.backoff(100_000, 0.0) == 60.0


def both_addresses() -> OSError:
    """What trio raises when no address of a name accepts a connection."""
    error = OSError("all attempts to connect failed")
    error.__cause__ = ExceptionGroup("", [OSError("[::1] refused"), OSError("127.0.0.1 refused")])
    return error


@pytest.mark.parametrize(
    ("failure", "event_name", "words"),
    [
        (both_addresses(), "ami.unreachable", "cannot connect to 127.0.0.1:5038: [::1] refused; 127.0.0.1 refused"),
        (OSError("all attempts failed"), "ami.unreachable", "cannot connect to 127.0.0.1:5038: all attempts failed"),
        (UnicodeError("label too long"), "ami.unreachable", "label too long"),
        (ssl.SSLError("bad certificate"), "ami.tls_failed", "TLS with 127.0.0.1:5038 failed"),
    ],
)
async def test_unreachable(
    autojump_clock: trio.testing.MockClock, failure: Exception, event_name: str, words: str
) -> None:
    """Why there is no connection is said, with what to look at, and it is tried again."""
    async with scene() as stage:
        stage.pbx.failures = [failure]
        await start(stage)
        (entry,) = stage.logged(event_name)
        assert words in str(entry["reason"])
        assert "hint" in entry
        await trio.sleep(2)
        assert stage.client.status.state == "connected"


async def test_no_connection_in_time(autojump_clock: trio.testing.MockClock) -> None:
    """A host that drops packets costs ``connect_timeout``, no more."""

    async def hang(_: AMIServer) -> trio.abc.Stream:
        await trio.sleep_forever()
        raise AssertionError

    with structlog.testing.capture_logs() as log, trio.move_on_after(10.5):
        await AMIClient(server=server(), listener=Heard(), now=now, open_stream=hang).run()
    assert log[0]["reason"] == "no connection to 127.0.0.1:5038 within 10 s"


# ---- settings


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"username": "crm\nAction: Command"}, "Username may not hold a line end"),
        ({"username": ""}, "Username is empty"),
        ({"secret": ""}, "Secret is empty"),
        ({"secret": "x\r\n"}, "Secret may not hold a line end"),
        ({"events": ()}, "event classes"),
        ({"events": ("call", "a,b")}, "event classes"),
        ({"noise": ("RTCPSent", "x\r\n")}, "Filter may not hold a line end"),
    ],
)
def test_settings_that_cannot_be(changes: dict[str, object], words: str) -> None:
    """What could not be said to the server is refused when the settings are made."""
    with pytest.raises(ValueError, match=words):
        server(**changes)


def test_secret_is_not_shown() -> None:
    """The settings may be logged."""
    assert "s3cret" not in repr(server())
