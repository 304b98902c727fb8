"""The recorded PBX as an AMI client sees it, over real sockets on loopback."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import attrs
import trio

from uac_trio.ami.message import Event, Message, Response
from uac_trio.ami.parser import MessageParser
from uac_trio.demo.recorded_pbx import Play, RecordedPBX, serve_recorded_pbx
from uac_trio.demo.recording import shipped_recordings

NOW = 1_800_000_000.0


@attrs.define
class Client:
    stream: trio.SocketStream
    parser: MessageParser = attrs.field(factory=MessageParser)

    async def ask(self, text: str) -> None:
        await self.stream.send_all(text.replace("\n", "\r\n").encode() + b"\r\n\r\n")

    async def next(self) -> Message:
        with trio.fail_after(5):
            while (message := self.parser.next_message()) is None:
                data = await self.stream.receive_some()
                if not data:
                    raise EOFError
                self.parser.receive_data(data)
        assert isinstance(message, Message)
        return message

    async def response(self, text: str) -> Message:
        await self.ask(text)
        while not isinstance(message := await self.next(), Response):
            pass
        return message

    async def log_in(self) -> None:
        assert (await self.response("Action: Login\nUsername: demo\nSecret: demo")).get("Response") == "Success"
        assert (await self.next()).headers[0] == ("Event", "FullyBooted")


@asynccontextmanager
async def client_of(pbx: RecordedPBX) -> AsyncIterator[Client]:
    async with trio.open_nursery() as nursery:
        port: int = await nursery.start(lambda task_status: serve_recorded_pbx(pbx, task_status=task_status))
        async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
            client = Client(stream)
            with trio.fail_after(5):
                banner = await stream.receive_some()
            assert banner == b"Asterisk Call Manager/11.0.0\r\n"
            client.parser.receive_data(banner)
            client.parser.next_message()
            yield client
        nursery.cancel_scope.cancel()


def pbx() -> RecordedPBX:
    return RecordedPBX(now=lambda: NOW)


async def test_md5_login() -> None:
    """A challenge is answered by the MD5 of challenge and secret."""
    async with client_of(pbx()) as client:
        challenge = (await client.response("Action: Challenge\nAuthType: MD5")).get("Challenge")
        key = hashlib.md5((challenge + "demo").encode()).hexdigest()
        answer = await client.response(f"Action: Login\nAuthType: MD5\nUsername: demo\nKey: {key}\nActionID: 7")
        assert (answer.get("Message"), answer.get("ActionID")) == ("Authentication accepted", "7")


async def test_wrong_secret_is_shown_the_door() -> None:
    """A failed login gets its error, then the connection ends."""
    async with client_of(pbx()) as client:
        answer = await client.response("Action: Login\nUsername: demo\nSecret: no")
        assert (answer.get("Response"), answer.get("Message")) == ("Error", "Authentication failed")
        with trio.fail_after(5):
            assert await client.stream.receive_some() == b""


async def test_actions() -> None:
    """Every action gets an answer with its ActionID, unknown ones and those before the login an error."""
    async with client_of(pbx()) as client:
        assert (await client.response("Action: Ping")).get("Message") == "Permission denied"
        await client.log_in()
        for action, key, value in (
            ("Ping", "Ping", "Pong"),
            ("Events\nEventMask: call,cdr", "Events", "On"),
            ("Events\nEventMask: off", "Events", "Off"),
            ("Filter\nOperation: Add\nFilter: !Event: VarSet", "Response", "Success"),
            ("Nonsense", "Response", "Error"),
            ("Logoff", "Response", "Goodbye"),
        ):  # fmt: skip
            answer = await client.response(f"Action: {action}\nActionID: {key}")
            assert (answer.get("ActionID"), answer.get(key)) == (key, value)


async def test_originate_is_taken_and_fails() -> None:
    """There is no phone behind it: an Originate is queued and then reported as failed."""
    recorded = pbx()
    async with client_of(recorded) as client:
        await client.log_in()
        asked = "Action: Originate\nActionID: 9\nChannel: PJSIP/101\nContext: c\nExten: 5\nPriority: 1\nAsync: true"
        asked += "\nChannelId: uac-1"
        assert (await client.response(asked)).get("Response") == "Success"
        event = await client.next()
        assert event.headers[0] == ("Event", "OriginateResponse")
        assert event.get("Uniqueid") == "uac-1"
        assert (event.get("ActionID"), event.get("Response")) == ("9", "Failure")
        assert [action.get("Channel") for action in recorded.originates] == ["PJSIP/101"]


async def test_a_pass_is_sent_as_new_calls() -> None:
    """Two overlapping playings of one recording reach the client as two calls of the present time, in order."""
    recorded = pbx()
    recording = shipped_recordings()["inbound_answered"]
    async with client_of(recorded) as client:
        await client.log_in()
        played = await recorded.play([Play(recording=recording, at=0), Play(recording=recording, at=0.5)], pace=50)
        received = [await client.next() for _ in range(2 * len(recording.events))]
        starts = [
            m for m in received if m.headers[0] == ("Event", "Newchannel") and m.get("Uniqueid") == m.get("Linkedid")
        ]
        new_ids = [p.rewriter.text(recording.calls[0]["linkedid"]) for p in played]
        assert sorted(m.get("Linkedid") for m in starts) == sorted(new_ids)
        assert all(abs(float(new_id.split(".")[0]) - NOW) <= 1 for new_id in new_ids)
        assert len({m.get("Channel") for m in received if m.headers[0][1] == "Newchannel"}) == 4
        assert recorded.channels() == []


async def test_channels_of_a_call_in_progress_are_listed() -> None:
    """CoreShowChannels in the middle of a call shows its channels with the bridge they are in."""
    recorded = pbx()
    recording = shipped_recordings()["inbound_answered"]
    async with client_of(recorded) as client:
        await client.log_in()
        assert not recorded.watched.is_set()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(recorded.play, [Play(recording=recording, at=0)], 10)
            entered = 0
            while entered < 2:
                entered += (await client.next()).headers[0] == ("Event", "BridgeEnter")
            await client.ask("Action: CoreShowChannels\nActionID: 5")
            listed = []
            while (message := await client.next()).headers[0][1] != "CoreShowChannelsComplete":
                if isinstance(message, Event) and message.name == "CoreShowChannel":
                    listed.append(message)
            nursery.cancel_scope.cancel()
        assert message.get("ListItems") == "2"
        assert {m.get("ActionID") for m in listed} == {"5"}
        assert {m.get("Channel").split("-")[0] for m in listed} == {"PJSIP/trunk", "PJSIP/101"}
        assert len({m.get("BridgeId") for m in listed}) == 1
        assert recorded.watched.is_set()


async def test_mask_keeps_events_away() -> None:
    """A client that asked for cdr alone gets no call events, one that asked for none gets none."""
    recorded = pbx()
    recording = shipped_recordings()["inbound_answered"]
    async with client_of(recorded) as client:
        await client.log_in()
        await client.response("Action: Events\nEventMask: cdr")
        await recorded.play([Play(recording=recording, at=0)], pace=100)
        assert (await client.next()).headers[0] == ("Event", "Cdr")
        await client.response("Action: Events\nEventMask: off")
        await recorded.play([Play(recording=recording, at=0)], pace=100)
        await client.ask("Action: Ping")
        assert (await client.next()).get("Ping") == "Pong"


async def test_a_client_that_does_not_read_is_cut_off() -> None:
    """As in Asterisk: a client that lets events pile up loses the connection, the others go on."""
    recorded = pbx()
    async with client_of(recorded) as client:
        await client.log_in()
        flood = Event((("Event", "X"), ("Privilege", "call,all"), ("Fill", "x" * 60_000)))
        with trio.fail_after(5):
            while recorded._sessions:
                recorded.emit_nowait(flood)
                await trio.lowlevel.checkpoint()


async def test_endless_action_is_cut_off() -> None:
    """Bytes that never become an action end the connection at the limit."""
    recorded = pbx()
    async with client_of(recorded) as client:
        with trio.fail_after(5):
            await client.stream.send_all(b"x" * 70_000)
            assert await client.stream.receive_some() == b""
