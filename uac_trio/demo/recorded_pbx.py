"""A small AMI server on TCP that replays recorded calls as new calls, now and at their own pace.

It supports the actions that a client needs (Challenge, Login, Events, Filter, Ping, CoreShowChannels, Originate,
Logoff) and refuses others with Asterisk's error message. An Originate is queued and fails, as there are no phones.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable, Iterable, Sequence

import attrs
import trio

from uac_trio.ami.message import Event, Message, Response
from uac_trio.demo.recording import Recording, Rewriter, encoded

BANNER = b"Asterisk Call Manager/11.0.0\r\n"
MAX_ACTION = 64 * 1024
"""Bytes of one action; Asterisk allows 128 lines of 1024 (include/asterisk/manager.h)."""
MAX_UNSENT = 2000
"""Unsent messages after which a client is disconnected, as Asterisk disconnects clients that do not read."""
GOODBYE = 1.0
"""Seconds to send the last answer."""

_SHOWN = (
    "Channel", "ChannelState", "ChannelStateDesc", "CallerIDNum", "CallerIDName", "ConnectedLineNum",
    "ConnectedLineName", "AccountCode", "Context", "Exten", "Priority", "Uniqueid", "Linkedid", "Application",
)  # fmt: skip


@attrs.frozen(kw_only=True)
class Play:
    """A recording to replay ``at`` seconds after the pass begins."""

    recording: Recording
    at: float


@attrs.frozen(kw_only=True)
class Played:
    """A recording that has been replayed; ``rewriter`` maps its ids and times to the new ones."""

    recording: Recording
    rewriter: Rewriter
    began_at: float
    """The time of its first event, seconds since the epoch."""


@attrs.define
class RecordedPBX:
    """The PBX behind ``serve_recorded_pbx``. ``now`` returns seconds since the epoch."""

    now: Callable[[], float]
    username: str = "demo"
    secret: str = "demo"  # noqa: S105 - it serves recorded calls on loopback
    observe: Callable[[Event], None] = lambda _: None
    """Gets every event before the clients do."""
    originates: list[Message] = attrs.field(factory=list, init=False)
    """Every Originate that was received."""
    watched: trio.Event = attrs.field(factory=trio.Event, init=False)
    """Set once a client has logged in and listed the channels; from then on it follows the events."""
    _sessions: set[_Session] = attrs.field(factory=set, init=False)
    _channels: dict[str, dict[str, str]] = attrs.field(factory=dict, init=False)
    _created: dict[str, float] = attrs.field(factory=dict, init=False)
    _serial: int = attrs.field(default=0, init=False)

    async def play(self, plays: Iterable[Play], pace: float = 1.0) -> list[Played]:
        """Replay every recording once, starting each as ``plays`` says, and return after the last event.

        ``pace`` 2 is twice as fast; it changes when events are sent, not the times within them (Cdr).
        """
        played: list[Played] = []
        async with trio.open_nursery() as nursery:
            for play in plays:
                self._serial += 1
                nursery.start_soon(self._play, play, pace, self._serial, played)
        return played

    async def _play(self, play: Play, pace: float, serial: int, played: list[Played]) -> None:
        await trio.sleep(play.at / pace)
        recording, started, began_at = play.recording, trio.current_time(), self.now()
        shift = int(began_at) - recording.epoch
        rewriter = Rewriter(epoch=recording.epoch, shift=shift, serial=serial)
        for timed in recording.events:
            await trio.sleep_until(started + (timed.at - recording.began) / pace)
            self.emit_nowait(rewriter.event(timed.event))
        played.append(Played(recording=recording, rewriter=rewriter, began_at=began_at))

    def emit_nowait(self, event: Event) -> None:
        """Send an event to every client that is logged in."""
        self.observe(event)
        self._follow(event)
        for session in self._sessions:
            session.emit_nowait(event)

    def _follow(self, event: Event) -> None:
        """Keep the channels for CoreShowChannels: the latest values of each existing channel."""
        uniqueid = event.get("Uniqueid")
        match event.name:
            case "Newchannel":
                self._channels[uniqueid] = {}
                self._created[uniqueid] = self.now()
            case "Hangup":
                self._channels.pop(uniqueid, None)
                self._created.pop(uniqueid, None)
            case "DialBegin" if event.get("DestUniqueid") in self._channels:
                caller = self._channels.get(uniqueid)  # None for an Originate
                in_queue = caller is not None and caller.get("Application") == "Queue"
                application = "AppDial2" if caller is None else "AppQueue" if in_queue else "AppDial"
                self._channels[event.get("DestUniqueid")]["Application"] = application
            case "BridgeEnter" | "BridgeLeave" if uniqueid in self._channels:
                bridge = event.get("BridgeUniqueid") if event.name == "BridgeEnter" else ""
                self._channels[uniqueid]["BridgeId"] = bridge
        if uniqueid in self._channels:
            self._channels[uniqueid] |= {name: event.get(name) for name in _SHOWN if name in event}

    def forget_channels(self) -> None:
        """Drop all channels without events, as a restart of Asterisk does."""
        self._channels.clear()
        self._created.clear()

    def channels(self) -> list[dict[str, str]]:
        now = self.now()
        return [
            {"Application": "", **channel, "Duration": _clock(now - self._created[uniqueid])}
            for uniqueid, channel in self._channels.items()
        ]

    async def _serve_client(self, stream: trio.SocketStream) -> None:
        to_send, outgoing = trio.open_memory_channel[bytes](MAX_UNSENT)
        async with stream, outgoing, trio.open_nursery() as nursery:
            session = _Session(self, to_send, nursery.cancel_scope.cancel)
            nursery.start_soon(_write, stream, outgoing, nursery.cancel_scope)
            to_send.send_nowait(BANNER)
            self._sessions.add(session)
            try:
                await _read(stream, session)
            finally:
                self._sessions.discard(session)
            to_send.close()  # the writer sends what is queued, then ends
            nursery.cancel_scope.deadline = trio.current_time() + GOODBYE


@attrs.define(eq=False)
class _Session:
    """The session of one client: its login, its event mask, the answers to its actions."""

    pbx: RecordedPBX
    _to_send: trio.MemorySendChannel[bytes]
    _cut_off: Callable[[], None]
    _challenge: str = attrs.field(factory=lambda: str(secrets.randbelow(10**9)), init=False)
    _logged_in: bool = attrs.field(default=False, init=False)
    _classes: frozenset[str] | None = attrs.field(default=None, init=False)  # None: everything
    over: bool = attrs.field(default=False, init=False)

    def emit_nowait(self, event: Event) -> None:
        """Queue an event if the client's mask admits it. A client that does not read is disconnected."""
        wanted = self._classes is None or bool(self._classes & {*event.get("Privilege").split(",")} - {"all"})
        if self._logged_in and wanted:
            self._send_nowait(event)

    def answer_nowait(self, action: Message) -> None:
        name = action.get("Action").lower()
        match name:
            case "challenge" if not self._logged_in:
                self._respond(action, "Success", ("Challenge", self._challenge))
            case "login" if not self._logged_in:
                self._login(action)
            case "logoff":
                self._respond(action, "Goodbye", ("Message", "Thanks for all the fish."))
                self.over = True
            case _ if not self._logged_in:
                self._respond(action, "Error", ("Message", "Permission denied"))
            case "events":
                mask = action.get("EventMask").strip().lower()
                self._classes = None if mask in {"on", "all", ""} else frozenset(mask.split(",")) - {"off"}
                self._respond(action, "Success", ("Events", "Off" if mask == "off" else "On"))
            case "filter":
                self._respond(action, "Success", ("Message", "Filter added successfully"))
            case "ping":
                self._respond(action, "Success", ("Ping", "Pong"), ("Timestamp", f"{self.pbx.now():.6f}"))
            case "coreshowchannels":
                self._list_channels(action)
            case "originate":
                self._originate(action)
            case _:
                hint = "Use Action: ListCommands to show available commands."
                self._respond(action, "Error", ("Message", f"Invalid/unknown command: {action.get('Action')}. {hint}"))

    def _login(self, action: Message) -> None:
        if action.get("AuthType").lower() == "md5":
            key = hashlib.md5((self._challenge + self.pbx.secret).encode(), usedforsecurity=False).hexdigest()
            accepted = hmac.compare_digest(key.encode(), action.get("Key").lower().encode())
        else:
            accepted = hmac.compare_digest(self.pbx.secret.encode(), action.get("Secret").encode())
        if not accepted or action.get("Username") != self.pbx.username:
            self._respond(action, "Error", ("Message", "Authentication failed"))
            self.over = True
            return
        self._logged_in = True
        if action.get("Events").lower() == "off":
            self._classes = frozenset()
        self._respond(action, "Success", ("Message", "Authentication accepted"))
        self.emit_nowait(Event((("Event", "FullyBooted"), ("Privilege", "system,all"), ("Status", "Fully Booted"))))

    def _list_channels(self, action: Message) -> None:
        listed = self.pbx.channels()
        tag = _tag(action)
        self._respond(action, "Success", ("EventList", "start"), ("Message", "Channels will follow"))
        for channel in listed:
            self._send_nowait(Event((("Event", "CoreShowChannel"), *tag, *channel.items())))
        done = (("EventList", "Complete"), ("ListItems", str(len(listed))))
        self._send_nowait(Event((("Event", "CoreShowChannelsComplete"), *tag, *done)))
        self.pbx.watched.set()

    def _originate(self, action: Message) -> None:
        self.pbx.originates.append(action)
        self._respond(action, "Success", ("Message", "Originate successfully queued"))
        given = [(name, action.get(name)) for name in ("Channel", "Context", "Exten")]
        uniqueid = ("Uniqueid", action.get("ChannelId") or "<null>")
        ending = (("Reason", "0"), uniqueid, ("CallerIDNum", "<unknown>"), ("CallerIDName", "<unknown>"))
        head = (("Event", "OriginateResponse"), ("Privilege", "call,all"), *_tag(action), ("Response", "Failure"))
        self._send_nowait(Event((*head, *given, *ending)))

    def _respond(self, action: Message, how: str, *headers: tuple[str, str]) -> None:
        self._send_nowait(Response((("Response", how), *_tag(action), *headers)))

    def _send_nowait(self, message: Message) -> None:
        try:
            self._to_send.send_nowait(encoded(message))
        except (trio.WouldBlock, trio.ClosedResourceError, trio.BrokenResourceError):
            self.over = True
            self._cut_off()


def _clock(seconds: float) -> str:
    whole = int(seconds)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}"


def _tag(action: Message) -> tuple[tuple[str, str], ...]:
    return (("ActionID", action.get("ActionID")),) if "ActionID" in action else ()


async def serve_recorded_pbx(
    pbx: RecordedPBX,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    task_status: trio.TaskStatus[int] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until cancelled; ``task_status`` gets the port. Raises OSError when the port is taken."""
    listeners = await trio.open_tcp_listeners(port, host=host)
    bound: int = listeners[0].socket.getsockname()[1]
    async with trio.open_nursery() as nursery:
        await nursery.start(trio.serve_listeners, pbx._serve_client, listeners)  # noqa: SLF001 - one thing in two halves
        task_status.started(bound)


async def _write(
    stream: trio.SocketStream, outgoing: trio.MemoryReceiveChannel[bytes], scope: trio.CancelScope
) -> None:
    try:
        async for data in outgoing:
            await stream.send_all(data)
    except trio.BrokenResourceError:
        pass  # the client has disconnected; the reader would notice only later
    scope.cancel()


async def _read(stream: trio.SocketStream, session: _Session) -> None:
    """Answer actions until the client disconnects, is refused or sends too long an action."""
    waiting = b""
    while not session.over:
        try:
            data = await stream.receive_some()
        except trio.BrokenResourceError:
            return
        waiting += data
        *blocks, waiting = waiting.split(b"\r\n\r\n")
        for block in blocks:
            if not session.over:
                session.answer_nowait(_action(block))
        if not data or len(waiting) > MAX_ACTION:
            return


def _action(block: bytes) -> Message:
    lines: Sequence[str] = block.decode(errors="replace").split("\r\n")
    pairs = (line.partition(":") for line in lines if line)
    return Message(tuple((name.strip(), value.strip()) for name, _, value in pairs))
