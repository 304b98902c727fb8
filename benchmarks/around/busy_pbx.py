"""python benchmarks/around/busy_pbx.py RATE|inf SECONDS [peer]: an AMI server with many calls at once, a process.

All event classes are sent, as by an Asterisk that takes an event mask and does not obey: some 125 events a call, of
which four requests to vTiger follow, or three. Their order, names, headers and values are those of Asterisk 22
(main/manager_channels.c, manager_bridges.c, res/res_rtp_asterisk.c, cdr/cdr_manager.c).

Prints its port; ``begun`` when the calls go on as at any other time, which is when the measuring begins; in the end a
line of JSON: how many events were sent since, and when what each request follows from was written to the socket.
With ``peer`` those requests are the peer's.
"""

from __future__ import annotations

import gc
import json
import random
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import attrs

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from uac_trio.ami import Event, MessageParser
from uac_trio.calls.rules import TrackerRules
from uac_trio.crm.protocol import Surroundings
from uac_trio.crm.vtiger import VtigerSettings
from uac_trio.pipeline import Pipeline

BANNER = b"Asterisk Call Manager/11.0.0\r\n"
CALL_SECONDS = 5.0
"""How long a call takes on average: short ones, so that a measurement of seconds sees many of them whole."""
EVENTS_A_CALL = 125
FLAT_OUT = 40_000
"""Events a second of which there are as many calls, where RATE is inf: as quick as the client takes them."""
PIECE = 200
"""Events in one write at most."""
SLICE = 0.001
"""Seconds between two writes at most, if there is something to send."""

Lines = list[tuple[str, object]]


def event(name: str, kind: str, *groups: Lines) -> bytes:
    lines = "".join(f"{key}: {value}\r\n" for group in groups for key, value in group)
    return f"Event: {name}\r\nPrivilege: {kind},all\r\n{lines}\r\n".encode()


@attrs.define(kw_only=True)
class Channel:
    name: str
    uniqueid: str
    linkedid: str
    number: str
    caller_name: str
    context: str
    exten: str
    state: str = "Down"
    connected: str = "<unknown>"
    priority: int = 1

    def shown(self, prefix: str = "") -> Lines:
        states = {"Down": 0, "Ring": 4, "Ringing": 5, "Up": 6}
        return [
            (f"{prefix}Channel", self.name),
            (f"{prefix}ChannelState", states[self.state]),
            (f"{prefix}ChannelStateDesc", self.state),
            (f"{prefix}CallerIDNum", self.number),
            (f"{prefix}CallerIDName", self.caller_name),
            (f"{prefix}ConnectedLineNum", self.connected),
            (f"{prefix}ConnectedLineName", "<unknown>"),
            (f"{prefix}Language", "en"),
            (f"{prefix}AccountCode", ""),
            (f"{prefix}Context", self.context),
            (f"{prefix}Exten", self.exten),
            (f"{prefix}Priority", self.priority),
            (f"{prefix}Uniqueid", self.uniqueid),
            (f"{prefix}Linkedid", self.linkedid),
        ]


@attrs.define
class Calls:
    """Generates the events of calls from outside to employees and back; three of four are answered."""

    chance: random.Random
    epoch: int
    _serial: int = 0

    def stream(self, events: int, at_once: int) -> Iterator[bytes]:
        """The events of ``at_once`` calls at a time, in the short bursts of their channels' threads."""
        live = [self._call() for _ in range(at_once)]
        count = 0
        while count < events:
            which = self.chance.randrange(at_once)
            for _ in range(self.chance.randint(1, 8)):
                one = next(live[which], None)
                if one is None:
                    live[which] = self._call()
                    break
                count += 1
                yield one

    def ring_all(self, phones: int) -> Iterator[bytes]:
        """One call from outside that rings so many phones at once; the caller gives up."""
        a = self._channel("trunk-main", number="79161234567", caller_name="", context="from-pstn", exten="74951000101")
        yield event("Newchannel", "call", a.shown())
        called = []
        for number in range(phones):
            employee = str(10_000 + number)
            b = self._channel(employee, a.linkedid, number=employee, caller_name="", context="from-internal", exten="s")
            called.append(b)
            yield event("Newchannel", "call", b.shown())
            dial: Lines = [("DialString", f"{employee}/sip:{employee}@10.8.0.31:5060")]
            yield event("DialBegin", "call", a.shown(), b.shown("Dest"), dial)
        for b in called:
            b.state = "Ringing"
            yield event("Newstate", "call", b.shown())
        for b in called:
            yield event("DialEnd", "call", a.shown(), b.shown("Dest"), [("DialStatus", "CANCEL")])
            yield event("Hangup", "call", b.shown(), [("Cause", 16), ("Cause-txt", "Normal Clearing")])
        yield event("Hangup", "call", a.shown(), [("Cause", 16), ("Cause-txt", "Normal Clearing")])

    def _channel(self, endpoint: str, linkedid: str = "", **more: str) -> Channel:
        self._serial += 1
        uniqueid = f"{self.epoch}.{self._serial}"
        name = f"PJSIP/{endpoint}-{self._serial:08x}"
        return Channel(name=name, uniqueid=uniqueid, linkedid=linkedid or uniqueid, **more)

    def _call(self) -> Iterator[bytes]:
        chance = self.chance
        employee, customer = str(chance.randint(1000, 4999)), f"79{chance.randint(10**8, 10**9 - 1)}"
        name = chance.choice(["Ivan Petrov", "ООО «Ромашка»", "Müller GmbH", "Acme: Sales dept", "<unknown>", ""])
        if chance.random() < 0.6:
            a = self._channel("trunk-main", number=customer, caller_name=name, context="from-pstn", exten="74951000101")
            b = self._channel(employee, a.linkedid, number=employee, caller_name="", context="from-internal", exten="s")
        else:
            a = self._channel(employee, number=employee, caller_name="", context="from-internal", exten=customer)
            b = self._channel(
                "trunk-main", a.linkedid, number=customer, caller_name="", context="from-pstn", exten=customer
            )
        yield event("Newchannel", "call", a.shown())
        a.state = "Ring"
        yield event("Newstate", "call", a.shown())
        yield from self._dialplan(a, chance.randint(15, 45))
        yield event("Newchannel", "call", b.shown())
        b.connected = a.number
        yield event("NewConnectedLine", "call", b.shown())
        dial: Lines = [("DialString", f"{b.exten}/sip:{b.exten}@10.8.0.31:5060")]
        yield event("DialBegin", "call", a.shown(), b.shown("Dest"), dial)
        b.state = "Ringing"
        yield event("Newstate", "call", b.shown())
        yield event("DialState", "call", a.shown(), b.shown("Dest"), [("DialStatus", "RINGING")])
        yield from self._device(b, "RINGING")
        is_answered = chance.random() < 0.75
        if is_answered:
            yield from self._talk(a, b)
        else:
            status = chance.choice(["NOANSWER", "BUSY", "CANCEL"])
            yield event("DialEnd", "call", a.shown(), b.shown("Dest"), [("DialStatus", status)])
        cause: Lines = [("Cause", 16), ("Cause-txt", "Normal Clearing")]
        yield event("Hangup", "call", b.shown(), cause)
        yield from self._dialplan(a, chance.randint(5, 12))
        yield event("SoftHangupRequest", "call", a.shown(), [("Cause", 16)])
        yield event("Hangup", "call", a.shown(), cause)
        yield from self._device(b, "NOT_INUSE")
        yield event("Cdr", "cdr", self._cdr(a, b, "ANSWERED" if is_answered else "NO ANSWER"))

    def _talk(self, a: Channel, b: Channel) -> Iterator[bytes]:
        b.state = "Up"
        yield event("Newstate", "call", b.shown())
        yield event("DialEnd", "call", a.shown(), b.shown("Dest"), [("DialStatus", "ANSWER")])
        a.state = "Up"
        yield event("Newstate", "call", a.shown())
        yield from self._device(b, "INUSE")
        bridge = f"{self.chance.getrandbits(32):08x}-0000-4000-8000-{self.chance.getrandbits(48):012x}"
        yield event("BridgeCreate", "call", self._bridge(bridge, 0))
        yield event("BridgeEnter", "call", self._bridge(bridge, 1), b.shown())
        yield event("BridgeEnter", "call", self._bridge(bridge, 2), a.shown())
        for _ in range(int(self.chance.expovariate(1 / 10))):
            for channel in (a, b):
                yield from self._rtcp(channel)
        yield event("HangupRequest", "call", b.shown(), [("Cause", 16)])
        yield event("BridgeLeave", "call", self._bridge(bridge, 1), b.shown())
        yield event("BridgeLeave", "call", self._bridge(bridge, 0), a.shown())
        yield event("BridgeDestroy", "call", self._bridge(bridge, 0))

    def _dialplan(self, channel: Channel, steps: int) -> Iterator[bytes]:
        for _ in range(steps):
            channel.priority += 1
            what: Lines = [("Extension", channel.exten), ("Application", "GotoIf"), ("AppData", "0?sub-fmfm,s,1")]
            yield event("Newexten", "dialplan", channel.shown(), what)
            if self.chance.random() < 0.8:
                value: Lines = [("Variable", "__FROM_DID"), ("Value", channel.exten)]
                yield event("VarSet", "dialplan", channel.shown(), value)

    def _device(self, channel: Channel, state: str) -> Iterator[bytes]:
        device = channel.name.rpartition("-")[0]
        yield event("DeviceStateChange", "call", [("Device", device), ("State", state)])
        about: Lines = [("Exten", channel.exten), ("Context", "ext-local"), ("Hint", device), ("StatusText", state)]
        yield event("ExtensionStatus", "call", about)

    def _bridge(self, bridge: str, channels: int) -> Lines:
        return [
            ("BridgeUniqueid", bridge),
            ("BridgeType", "basic"),
            ("BridgeTechnology", "simple_bridge"),
            ("BridgeCreator", "<unknown>"),
            ("BridgeName", "<unknown>"),
            ("BridgeNumChannels", channels),
            ("BridgeVideoSourceMode", "none"),
        ]

    def _rtcp(self, channel: Channel) -> Iterator[bytes]:
        ssrc = f"0x{self.chance.getrandbits(32):08x}"
        report: Lines = [
            ("SSRC", ssrc),
            ("PT", "200(SR)"),
            ("ReportCount", 1),
            ("SentNTP", f"{self.epoch}.123456"),
            ("SentPackets", self.chance.randint(1, 90000)),
            ("Report0SourceSSRC", ssrc),
            ("Report0FractionLost", 0),
            ("Report0IAJitter", self.chance.randint(0, 90)),
        ]
        for name in ("RTCPSent", "RTCPReceived"):
            yield event(
                name, "reporting", channel.shown(), [("To", "10.8.0.31:11801"), ("From", "10.8.0.2:15003")], report
            )

    def _cdr(self, a: Channel, b: Channel, disposition: str) -> Lines:
        return [
            ("AccountCode", ""),
            ("Source", a.number),
            ("Destination", b.exten),
            ("DestinationContext", "ext-local"),
            ("CallerID", f'"{a.caller_name}" <{a.number}>'),
            ("Channel", a.name),
            ("DestinationChannel", b.name),
            ("LastApplication", "Dial"),
            ("LastData", f"PJSIP/{b.exten},30,tT"),
            ("StartTime", "2026-11-28 12:00:00"),
            ("EndTime", "2026-11-28 12:03:00"),
            ("Duration", 180),
            ("BillableSeconds", 171),
            ("Disposition", disposition),
            ("AMAFlags", "DOCUMENTATION"),
            ("UniqueID", a.uniqueid),
            ("UserField", ""),
        ]


def leading_to_deliveries(events: list[bytes], rate: float) -> dict[int, list[str]]:
    """By the number of an event: the first request of each delivery that follows from it, as ``CALLSTATUS CALLUUID``.
    Deliveries of the clock follow from no event."""
    crm = VtigerSettings(url="http://127.0.0.1/", secret="benchmark").crm(Surroundings())
    pipeline = Pipeline(TrackerRules(), crm, lambda _: "")
    pipeline.connected("main", 0.0, BANNER.decode().rstrip())
    found: dict[int, list[str]] = {}
    for number, message in enumerate(parsed(events)):
        at = 1 + number / rate
        pipeline.tick(at)
        for delivery in pipeline.received("main", [message], at):
            about = crm.requests(delivery)[0].about
            found.setdefault(number, []).append(f"{about['callstatus']} {about['callUUID']}")
    return found


def leading_to_posts(events: list[bytes]) -> dict[int, list[str]]:
    """The same of the peer, as ``EVENT UNIQUEID``."""
    return {
        number: [f"{message.name} {message.get('DestUniqueid') or message.get('Uniqueid')}"]
        for number, message in enumerate(parsed(events))
        if message.name in ("DialBegin", "DialEnd", "Hangup")
    }


def parsed(events: list[bytes]) -> Iterator[Event]:
    parser = MessageParser()
    parser.receive_data(BANNER)
    parser.next_message()
    for data in events:
        parser.receive_data(data)
        message = parser.next_message()
        assert isinstance(message, Event)
        yield message


def answer_actions(connection: socket.socket, writing: threading.Lock, is_followed: threading.Event) -> None:
    """What a client asks for. It follows events once it has asked for the channels, or has been silent since its login
    for a second."""
    heard = b""
    while data := connection.recv(65536):
        *blocks, heard = (heard + data).split(b"\r\n\r\n")
        for each in blocks:
            lines = dict(line.split(": ", 1) for line in each.decode().split("\r\n"))
            lines = {name.lower(): value for name, value in lines.items()}
            action, action_id = lines["action"].lower(), f"ActionID: {lines.get('actionid', '')}\r\n"
            more = {
                "challenge": "Challenge: 840415273\r\n",
                "events": "Events: On\r\n",
                "ping": "Ping: Pong\r\n",
                "coreshowchannels": "EventList: start\r\nMessage: Channels will follow\r\n",
                "login": "Message: Authentication accepted\r\n",
            }.get(action, "")
            said = f"Response: Success\r\n{action_id}{more}\r\n"
            if action == "coreshowchannels":
                end = "EventList: Complete\r\nListItems: 0\r\n\r\n"
                said += f"Event: CoreShowChannelsComplete\r\n{action_id}{end}"
                is_followed.set()
            if action == "login":
                said += "Event: FullyBooted\r\nPrivilege: system,all\r\nStatus: Fully Booted\r\n\r\n"
                threading.Timer(1.0, is_followed.set).start()
            with writing:
                connection.sendall(said.encode())


def send(
    connection: socket.socket, writing: threading.Lock, events: list[bytes], rate: float, first: int
) -> list[float]:
    """When each event was written, seconds since the epoch; says when the ``first`` that counts is."""
    written: list[float] = []
    began = time.perf_counter()
    while len(written) < len(events):
        sent = len(written)
        passed = (time.perf_counter() - began) * rate
        due = min(len(events), sent + PIECE if passed > sent + PIECE else int(passed) + 1)
        if due > sent:
            data = b"".join(events[sent:due])
            with writing:
                at = time.time()
                connection.sendall(data)
            written += [at] * (due - sent)
            if sent <= first < due:
                print("begun", flush=True)
        if (pause := began + len(written) / rate - time.perf_counter()) > 0:
            time.sleep(max(SLICE, pause))
    return written


def main() -> None:
    rate, seconds = float(sys.argv[1]), float(sys.argv[2])
    paced = min(rate, FLAT_OUT)
    at_once = max(8, round(paced / EVENTS_A_CALL * CALL_SECONDS))
    before = at_once * EVENTS_A_CALL  # then the first calls are over, which all began at one time
    events = list(Calls(random.Random(1), 1795867200).stream(before + int(paced * seconds), at_once))
    causes = leading_to_posts(events) if "peer" in sys.argv else leading_to_deliveries(events, rate)
    gc.freeze()
    gc.disable()
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    connection, _ = listener.accept()
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.sendall(BANNER)
    writing, is_followed = threading.Lock(), threading.Event()
    threading.Thread(target=answer_actions, args=(connection, writing, is_followed), daemon=True).start()
    is_followed.wait()
    time.sleep(0.5)
    written = send(connection, writing, events, rate, before)
    noted = {key: written[number] for number, keys in causes.items() if number >= before for key in keys}
    print(json.dumps({"events": len(events) - before, "seconds": written[-1] - written[before], "noted": noted}))
    sys.stdout.flush()
    sys.stdin.read()  # until the benchmark closes it


if __name__ == "__main__":
    main()
