"""One session: log in, ask for events and a snapshot, read, write, and end it when the server is silent.

Asterisk disconnects a client that cannot take a write within 100 ms (``writetimeout``). So the reader waits for the
socket alone, and calls the listener synchronously between two reads. One task writes: an action whose caller was
cancelled is never cut in the middle.
"""

from __future__ import annotations

import contextlib
import math
import secrets
from collections.abc import Callable

import attrs
import structlog
import trio

from uac_trio.ami import (
    AMIConnection,
    Answer,
    Challenge,
    CoreShowChannels,
    Events,
    Filter,
    LocalProtocolError,
    MD5Login,
    Message,
    MessageParser,
    Ping,
    PlainLogin,
    RemoteProtocolError,
    State,
    Wanted,
    md5_key,
)
from uac_trio.ami_client.listener import OnWire, SessionListener
from uac_trio.ami_client.order import Order
from uac_trio.ami_client.server import AMIServer, noise_filter
from uac_trio.ami_client.status import AMIStatus
from uac_trio.socket_errors import socket_reason

READ_SIZE = 65536
"""One read takes what a busy server writes in about 30 ms; larger reads are not faster."""

LATE = 1.0
"""Seconds given to read what is here already when an answer is overdue or nothing can be sent any more: we may have
been frozen for a while, and what is not read before we hang up is lost."""

MAX_WAITING = 100
"""Actions not written yet. People click; a PBX that has not taken this many is not taking any."""

_SNAPSHOT = ("CoreShowChannel", "CoreShowChannelsComplete")


@attrs.define(kw_only=True, eq=False)
class Session:
    """From an open connection to its end. ``run()`` it once."""

    server: AMIServer
    stream: trio.abc.Stream
    listener: SessionListener
    now: Callable[[], float]
    wanted: Wanted | None
    on_wire: OnWire | None
    status: AMIStatus
    log: structlog.stdlib.BoundLogger
    connection: AMIConnection = attrs.field(init=False)
    ready: bool = attrs.field(default=False, init=False)
    """Logged in."""
    reason: str = attrs.field(default="", init=False)
    """Why the session ended."""
    _scope: trio.CancelScope = attrs.field(factory=trio.CancelScope, init=False)
    _send_orders: trio.MemorySendChannel[Order] = attrs.field(init=False)
    _receive_orders: trio.MemoryReceiveChannel[Order] = attrs.field(init=False)
    _sent: dict[str, Order] = attrs.field(factory=dict, init=False)
    """Orders without an answer so far, by ActionID."""
    _greeted: trio.Event = attrs.field(factory=trio.Event, init=False)
    _received_at: float = attrs.field(default=-math.inf, init=False)
    """When bytes were last received, by trio's clock."""
    _waiting_for_bytes: trio.lowlevel.ParkingLot = attrs.field(factory=trio.lowlevel.ParkingLot, init=False)

    def __attrs_post_init__(self) -> None:
        self._send_orders, self._receive_orders = trio.open_memory_channel[Order](MAX_WAITING)
        parser = MessageParser(wanted=self._is_wanted if self.wanted is not None else None)
        self.connection = AMIConnection(id_prefix=f"uac-{secrets.token_hex(4)}", parser=parser)

    async def run(self) -> None:
        """Returns when the session is over; ``reason`` says why. The stream stays open."""
        self.status.state = "logging in"
        if self.on_wire is not None:
            self.on_wire("open", b"", self.now())
        try:
            with self._scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._read)
                    nursery.start_soon(self._write)
                    nursery.start_soon(self._keep)
        finally:
            self.status.connected_since = None
            report = self.log.warning if self.reason else self.log.info
            self.reason = self.reason or "this program is stopping"
            self._settle_all()
            if self.on_wire is not None:
                self.on_wire("eof", b"", self.now())
            if self.ready:
                report("ami.lost", reason=self.reason)
                self.listener.lost(self.server.name, self.reason, self.now())

    async def ask(self, order: Order) -> Answer | None:
        """The answer; None if there is none in time, or ever. Why is in ``order.failure``."""
        try:
            self._send_orders.send_nowait(order)
        except trio.WouldBlock:
            order.failure = "too many actions wait already"
            return None
        with trio.move_on_after(self.server.answer_timeout) as scope:
            await order.done.wait()
        if scope.cancelled_caught:
            order.failure = f"no answer within {self.server.answer_timeout:g} s"
        return order.answer

    def _lose(self, reason: str) -> None:
        """End the session; the first reason is kept."""
        self.reason = self.reason or reason
        self._scope.cancel()

    def _settle_all(self) -> None:
        for order in self._sent.values():
            order.settle(None, self.reason)
        while True:
            try:
                self._receive_orders.receive_nowait().settle(None, self.reason)
            except (trio.WouldBlock, trio.EndOfChannel):
                return

    def _is_wanted(self, event: str, banner: str) -> bool | bytes:
        return event in _SNAPSHOT or self.wanted is None or self.wanted(event, banner)

    # ---- the three tasks

    async def _read(self) -> None:
        connection = self.connection
        while True:
            try:
                data = bytes(await self.stream.receive_some(READ_SIZE))
            except trio.BrokenResourceError as error:
                self._lose(f"the connection broke: {socket_reason(error)}")
                return
            at = self.now()
            if not data:
                connection.receive_eof()
                cut = connection.parser.unfinished
                where = f" in the middle of a message ({cut} bytes)" if cut else ""
                self._lose(f"the PBX closed the connection{where}")
                return
            self._received_at = trio.current_time()
            self._waiting_for_bytes.unpark_all()
            if self.on_wire is not None:
                self.on_wire("recv", data, at)
            fault = self._digest(data, at)
            if fault:
                self._lose(fault)
                return

    def _digest(self, data: bytes, at: float) -> str:
        """Everything that one read leads to; why the session is over, if it is. No await in here."""
        connection = self.connection
        messages: list[Message] = []
        fault = ""
        dropped = connection.parser.dropped
        connection.receive_data(data)
        try:
            while (message := connection.next_message()) is not None:
                messages.append(message)
        except RemoteProtocolError as error:
            fault = f"the PBX broke the protocol: {error}"
            self.status.protocol_errors += 1
            self.log.error("ami.protocol_error", reason=str(error))
        self.status.messages += len(messages)
        self.status.dropped += connection.parser.dropped - dropped
        self.status.last_message_at = at
        if connection.banner:
            self._greeted.set()
        answers = connection.take_answers()
        if not self.ready and any(
            isinstance(answer.sent.action, MD5Login | PlainLogin) and answer.success for answer in answers
        ):
            self._logged_in(at)
        if self.ready and messages:
            self.listener.received(self.server.name, messages, at)
        for answer in answers:
            self._sent.pop(answer.sent.action_id).settle(answer)
        if connection.refused is not None:
            fault = fault or f"login refused: {connection.refused}"
        return fault

    def _logged_in(self, at: float) -> None:
        self.ready = True
        self.status.state = "connected"
        self.status.connected_since = at
        self.status.banner = self.connection.banner
        self.status.sessions += 1
        self.status.last_error = ""
        self.log.info("ami.connected", host=self.server.host, port=self.server.port, banner=self.connection.banner)
        self.listener.connected(self.server.name, self.connection.banner, at)

    async def _write(self) -> None:
        async for order in self._receive_orders:
            if order.dropped:
                continue
            try:
                sent = self.connection.send(order.action)
            except LocalProtocolError as error:
                order.settle(None, str(error))
                continue
            order.begun = True
            self._sent[sent.action_id] = order
            if self.on_wire is not None:
                self.on_wire("send", sent.data, self.now())
            whole = False
            try:
                with trio.move_on_after(self.server.send_timeout):
                    await self.stream.send_all(sent.data)
                    whole = True
            except trio.BrokenResourceError as error:
                # What came before can still be read; then that fails as well, which ends the session.
                await trio.sleep(LATE)
                self._lose(f"the connection broke: {socket_reason(error)}")
            finally:
                if not whole:
                    self.connection.send_failed()
            if not whole:
                self._lose(f"the PBX took no action for {self.server.send_timeout:g} s")
                return

    async def _keep(self) -> None:
        """Log in, ask for the events and the snapshot, and end the session when the server falls silent."""
        server = self.server
        with trio.move_on_after(server.login_timeout):
            await self._log_in()
        if not self.ready:
            silent = self.connection.state is State.GREETING
            missed = (
                "greeting (is this the manager port, and TLS or not as configured?)"
                if silent
                else "answer to the login"
            )
            self._lose(f"no {missed} within {server.login_timeout:g} s")
            return
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._end_when_silent)
            await self._ask_for_less()
            order = Order(CoreShowChannels())
            snapshot = await self.ask(order)
            if snapshot is None:  # it is read when it comes
                self.log.warning("ami.snapshot_late", reason=order.failure)
            elif not snapshot.success:
                hint = f"add reporting to write= of user {server.username} in manager.conf"
                self.log.warning("ami.snapshot_refused", reason=snapshot.text, hint=hint)

    async def _end_when_silent(self) -> None:
        """Ping a silent server; end the session if it stays silent.

        Any byte received is a sign of life: the answer to a Ping comes after all events that are queued before it.
        """
        server = self.server
        while True:
            silent_at = self._received_at + server.ping_interval
            if trio.current_time() < silent_at:
                await trio.sleep_until(silent_at)
                continue
            pinged_at = trio.current_time()
            with contextlib.suppress(trio.WouldBlock):  # so many actions wait that one more shows nothing new
                self._send_orders.send_nowait(Order(Ping()))
            with trio.move_on_after(server.answer_timeout) as waiting:
                await self._waiting_for_bytes.park()
            if not waiting.cancelled_caught:
                continue
            await trio.sleep(LATE)
            if self._received_at < pinged_at:
                self._lose(f"no answer to a ping within {server.answer_timeout:g} s, and nothing else received")
                return

    async def _log_in(self) -> None:
        server = self.server
        await self._greeted.wait()
        if server.plaintext_login:
            await self.ask(Order(PlainLogin(username=server.username, secret=server.secret)))
            return
        challenged = await self.ask(Order(Challenge()))
        if challenged is not None and self.connection.state is State.CHALLENGED:
            key = md5_key(self.connection.challenge, server.secret)
            await self.ask(Order(MD5Login(username=server.username, key=key)))

    async def _ask_for_less(self) -> None:
        """What the server leaves out need not be read. It may refuse, or take it and not obey: both are well."""
        server = self.server
        mask = (*server.events, "dialplan") if server.want_dialplan else server.events
        answer = await self.ask(Order(Events(mask=mask)))
        if answer is not None and (not answer.success or answer.response.get("Events").lower() == "off"):
            self.log.warning("ami.event_mask_refused", mask=",".join(mask), reason=answer.text)
            await self.ask(Order(Events(mask=("on",))))
        if server.noise:
            answer = await self.ask(Order(Filter(expression=noise_filter(server.noise))))
            if answer is not None:
                self.log.debug("ami.filter", accepted=answer.success, reason=answer.text)
