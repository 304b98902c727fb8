"""An AMI client and a scripted Asterisk, joined by a stream in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import attrs
import structlog.testing
import trio
import trio.testing

from tests.fake_asterisk import (
    FakeAsterisk,
    FakeSession,
)
from uac_trio.ami import Event, Message, Originate
from uac_trio.ami_client.client import AMIClient
from uac_trio.ami_client.server import AMIServer

EPOCH = 1_795_413_713.0
ORDER = Originate(channel="PJSIP/101", context="from-internal", exten="+79161234567", channel_id="crm-1")


def now() -> float:
    return EPOCH + trio.current_time()


def server(**changes: object) -> AMIServer:
    given: dict[str, object] = {"name": "main", "host": "127.0.0.1", "username": "crm", "secret": "s3cret", **changes}
    return AMIServer(**given)  # type: ignore[arg-type]


@attrs.define
class Heard:
    """A listener that keeps its calls, and when they came."""

    changes: list[tuple[str, float]] = attrs.field(factory=list)
    messages: list[Message] = attrs.field(factory=list)
    reasons: list[str] = attrs.field(factory=list)
    banner: str = ""

    def connected(self, pbx: str, banner: str, at: float) -> None:
        assert pbx == "main"
        self.banner = banner
        self.changes.append(("connected", at))

    def received(self, pbx: str, messages: Sequence[Message], at: float) -> None:
        assert self.changes
        assert self.changes[-1][0] == "connected"
        assert messages
        self.messages += messages

    def lost(self, pbx: str, reason: str, at: float) -> None:
        self.changes.append(("lost", at))
        self.reasons.append(reason)

    def names(self) -> list[str]:
        return [message.name for message in self.messages if isinstance(message, Event)]


@attrs.define
class Scene:
    pbx: FakeAsterisk
    client: AMIClient
    heard: Heard
    nursery: trio.Nursery
    log: list[dict[str, object]]

    def session(self) -> FakeSession:
        return self.pbx.sessions[-1]

    def logged(self, name: str) -> list[dict[str, object]]:
        return [entry for entry in self.log if entry["event"] == name]


@asynccontextmanager
async def scene(settings: AMIServer | None = None, **client: object) -> AsyncIterator[Scene]:
    """A client beside its PBX; nothing runs until ``start()``."""
    with structlog.testing.capture_logs() as log:
        async with trio.open_nursery() as nursery:
            pbx = FakeAsterisk(nursery)
            heard = Heard()
            ours = AMIClient(
                server=settings or server(),
                listener=heard,
                now=now,
                random=lambda: 0.0,
                open_stream=pbx.open_stream,
                **client,  # type: ignore[arg-type]
            )
            yield Scene(pbx, ours, heard, nursery, log)  # type: ignore[arg-type]
            nursery.cancel_scope.cancel()


async def start(stage: Scene) -> None:
    """Run the client until it and the PBX have nothing more to say."""
    await stage.nursery.start(stage.client.run)
    await trio.testing.wait_all_tasks_blocked()
