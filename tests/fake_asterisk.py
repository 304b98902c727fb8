"""An Asterisk that says what the test wants: its side of AMI on any stream, in memory or on loopback."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import md5

import attrs
import trio
import trio.testing

BANNER = b"Asterisk Call Manager/11.0.0\r\n"
CHALLENGE = "840415273"
Headers = dict[str, str]
Reaction = Callable[["FakeSession", Headers], bytes | None]


def block(*lines: str) -> bytes:
    return "".join(f"{line}\r\n" for line in lines).encode() + b"\r\n"


def event(name: str, *lines: str) -> bytes:
    return block(f"Event: {name}", "Privilege: call,all", *lines)


def answer(action: Headers, *lines: str, response: str = "Success") -> bytes:
    """A response with the action's ActionID."""
    return block(f"Response: {response}", f"ActionID: {action['ActionID']}", *lines)


def error(action: Headers, message: str) -> bytes:
    return answer(action, f"Message: {message}", response="Error")


def log_in(session: FakeSession, action: Headers) -> bytes:
    pbx = session.pbx
    key = md5((CHALLENGE + pbx.secret).encode(), usedforsecurity=False).hexdigest()
    proof = action.get("Key") == key if "Key" in action else action.get("Secret") == pbx.secret
    if action["Username"] != pbx.username or not proof:
        session.closing = True
        return error(action, "Authentication failed")
    return answer(action, "Message: Authentication accepted") + block(
        "Event: FullyBooted", "Privilege: system,all", "Status: Fully Booted"
    )


def show_channels(session: FakeSession, action: Headers) -> bytes:
    action_id = f"ActionID: {action['ActionID']}"
    items = [block("Event: CoreShowChannel", action_id, *lines) for lines in session.pbx.channels]
    end = block("Event: CoreShowChannelsComplete", action_id, "EventList: Complete", f"ListItems: {len(items)}")
    return answer(action, "EventList: start", "Message: Channels will follow") + b"".join(items) + end


def silence(session: FakeSession, action: Headers) -> None:
    """Never answers."""


def hang_up(session: FakeSession, action: Headers) -> None:
    """Closes the connection in place of an answer."""
    session.closing = True


REACTIONS: dict[str, Reaction] = {
    "Challenge": lambda _, action: answer(action, f"Challenge: {CHALLENGE}"),
    "Login": log_in,
    "Events": lambda _, action: answer(action, "Events: On"),
    "Filter": lambda _, action: error(action, "Permission denied"),
    "CoreShowChannels": show_channels,
    "Ping": lambda _, action: answer(action, "Ping: Pong", "Timestamp: 1795413713.245000"),
    "Originate": lambda _, action: answer(action, "Message: Originate successfully queued"),
}


@attrs.define(eq=False)
class FakeSession:
    """One connection, from the PBX's side. ``actions`` are all that were heard, in order; a header that an action has
    several times has a line for each."""

    pbx: FakeAsterisk
    stream: trio.abc.Stream
    actions: list[Headers] = attrs.field(factory=list)
    closing: bool = False
    closed: trio.Event = attrs.field(factory=trio.Event)

    def names(self) -> list[str]:
        return [action["Action"] for action in self.actions]

    async def say(self, data: bytes) -> None:
        await self.stream.send_all(data)

    async def run(self) -> None:
        try:
            await self.say(self.pbx.banner)
            heard = b""
            while not self.closing and (data := await self.stream.receive_some(65536)):
                *blocks, heard = (heard + data).split(b"\r\n\r\n")
                for each in blocks:
                    action: Headers = {}
                    for name, value in (line.split(": ", 1) for line in each.decode().split("\r\n")):
                        action[name] = f"{action[name]}\n{value}" if name in action else value
                    self.actions.append(action)
                    reply = self.pbx.reactions[action["Action"]](self, action)
                    if reply is not None:
                        await self.say(reply)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        finally:
            self.closed.set()
            await trio.aclose_forcefully(self.stream)


@attrs.define(eq=False)
class FakeAsterisk:
    """``reactions`` may be changed for a test: what to say to an action; None says nothing.

    ``open_stream`` is a door for AMIClient; ``failures`` are raised first by it, one a try.
    """

    nursery: trio.Nursery
    username: str = "crm"
    secret: str = "s3cret"
    banner: bytes = BANNER
    channels: list[tuple[str, ...]] = attrs.field(factory=list)
    reactions: dict[str, Reaction] = attrs.field(factory=lambda: dict(REACTIONS))
    failures: list[Exception] = attrs.field(factory=list)
    tried_at: list[float] = attrs.field(factory=list)
    sessions: list[FakeSession] = attrs.field(factory=list)

    async def open_stream(self, _: object) -> trio.abc.Stream:
        self.tried_at.append(trio.current_time())
        await trio.lowlevel.checkpoint()
        if self.failures:
            raise self.failures.pop(0)
        theirs, ours = trio.testing.memory_stream_pair()
        self.nursery.start_soon(self.serve, ours)
        return theirs

    async def serve(self, stream: trio.abc.Stream) -> None:
        session = FakeSession(self, stream)
        self.sessions.append(session)
        await session.run()
