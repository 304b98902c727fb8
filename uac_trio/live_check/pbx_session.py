"""A session with one PBX that sends one action after another, and keeps the events that come meanwhile."""

from __future__ import annotations

import secrets

import attrs
import trio

from uac_trio.ami import Action, AMIConnection, Answer, Event, LocalProtocolError, RemoteProtocolError
from uac_trio.socket_errors import socket_reason

ANSWERS_WITHIN = 4.0
"""Seconds; a refused login takes Asterisk one."""


class SessionError(Exception):
    """The session failed; the text says why."""


@attrs.define(eq=False)
class PBXSession:
    """Made with a stream that is connected and not yet greeted."""

    stream: trio.abc.Stream
    connection: AMIConnection = attrs.field(factory=lambda: AMIConnection(id_prefix=f"uac-{secrets.token_hex(4)}"))
    events: list[Event] = attrs.field(factory=list)
    """Events that are not part of an answer to us."""
    _answers: dict[str, Answer] = attrs.field(factory=dict)

    async def ask(self, action: Action) -> Answer:
        """Raises SessionError."""
        try:
            sent = self.connection.send(action)
        except LocalProtocolError as why:
            raise SessionError(str(why)) from why
        with _as_session_error(f"no answer to {action.name} within {ANSWERS_WITHIN:g} s"):
            with trio.fail_after(ANSWERS_WITHIN):
                await self.stream.send_all(sent.data)
                while sent.action_id not in self._answers:
                    await self._receive()
        return self._answers.pop(sent.action_id)

    async def greeting(self) -> str:
        """The server's first line. Raises SessionError."""
        missed = (
            "it sends no greeting: is this the manager's port (port in manager.conf), and is TLS configured as there?"
        )
        with _as_session_error(missed):
            with trio.fail_after(ANSWERS_WITHIN):
                while not self.connection.banner:
                    await self._receive()
        return self.connection.banner

    async def listen(self, seconds: float) -> None:
        """Raises SessionError."""
        with trio.move_on_after(seconds), _as_session_error(""):
            while True:
                await self._receive()

    async def _receive(self) -> None:
        data = bytes(await self.stream.receive_some(65536))
        if not data:
            raise SessionError("the server closes the connection")
        self.connection.receive_data(data)
        while (message := self.connection.next_message()) is not None:
            if isinstance(message, Event) and "ActionID" not in message:
                self.events.append(message)
        self._answers |= {answer.sent.action_id: answer for answer in self.connection.take_answers()}


class _as_session_error:  # noqa: N801  a context manager, used like a function
    """Turns errors of the stream and of the protocol into SessionError."""

    def __init__(self, too_slow: str) -> None:
        self._too_slow = too_slow

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        match error:
            case trio.TooSlowError():
                raise SessionError(self._too_slow) from error
            case trio.BrokenResourceError():
                raise SessionError(f"the connection broke: {socket_reason(error)}") from error
            case RemoteProtocolError():
                raise SessionError(f"it does not speak AMI: {error}") from error
            case _:
                pass
