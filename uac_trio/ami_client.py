"""Stays connected to a PBX, for ever, and tells a listener what it says.

The reader waits for the socket and for nothing else: Asterisk cuts off a client that cannot take a write within 100 ms
(``writetimeout``). So the listener is called in between, synchronously, and must not block. One task writes, so that an
action whose caller was cancelled is not cut in the middle.
"""

from __future__ import annotations

import contextlib
import enum
import math
import secrets
import ssl
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import NoReturn, Protocol

import attrs
import structlog
import trio

from uac_trio.ami import (
    Action,
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
    Originate,
    Ping,
    PlainLogin,
    RemoteProtocolError,
    ShowDialPlan,
    State,
    md5_key,
)
from uac_trio.socket_errors import socket_reason

READ_SIZE = 65536
"""One read takes what a busy server writes in about 30 ms; larger reads are not faster."""

LATE = 1.0
"""Seconds given to read what is here already when an answer is overdue or nothing can be sent any more: we may have
been frozen for a while, and what is not read before we hang up is lost."""

MAX_WAITING = 100
"""Actions not written yet. People click; a PBX that has not taken this many is not taking any."""

NOISE = (
    "ChannelTalkingStart",
    "ChannelTalkingStop",
    "ContactStatus",
    "DeviceStateChange",
    "ExtensionStatus",
    "MessageWaiting",
    "Newexten",
    "PeerStatus",
    "PresenceStateChange",
    "PresenceStatus",
    "QueueMemberStatus",
    "RTCPReceived",
    "RTCPSent",
    "Registry",
    "TestEvent",
)
"""Events that come often and say nothing of calls."""


_SNAPSHOT = ("CoreShowChannel", "CoreShowChannelsComplete")


class SessionListener(Protocol):
    """Called by the reader between two reads: it must not block. ``at`` is seconds since 1970."""

    def connected(self, pbx: str, banner: str, at: float) -> None:
        """Logged in to the server that sent ``banner`` first. What it sends from now on follows; a snapshot of the
        channels has been asked for."""
        ...

    def received(self, pbx: str, messages: Sequence[Message], at: float) -> None:
        """What one read gave, in the order of the wire: events, items of listings, responses."""
        ...

    def lost(self, pbx: str, reason: str, at: float) -> None:
        """The session that ``connected()`` told of is over."""
        ...


def _filter(noise: Sequence[str]) -> str:
    return f"!^Event: ({'|'.join(noise)})"


def _positive(_: object, attribute: attrs.Attribute[float], value: float) -> None:
    if not value > 0:
        raise ValueError(f"{attribute.name} must be greater than 0")


@attrs.frozen(kw_only=True)
class AMIServer:
    """How to reach one PBX. Times are in seconds."""

    name: str
    """Part of every call's identity, so it never changes."""
    host: str
    port: int = 5038
    tls: bool = False
    """The server's certificate is verified, always; Asterisk's TLS port is 5039 by default."""
    tls_ca: Path | None = None
    """Certificates to trust instead of the system's, PEM."""
    tls_name: str | None = None
    """The name in the certificate, where it is not ``host``."""
    username: str
    secret: str = attrs.field(repr=False)
    plaintext_login: bool = False
    """Send the secret as it is. Only for proxies that know no MD5 challenge."""
    events: tuple[str, ...] = ("system", "call", "agent", "cdr")
    """Classes of events to ask for; the user's ``read=`` bounds them."""
    want_dialplan: bool = False
    """Ask for class dialplan as well, two thirds of all traffic: variables such as MIXMONITOR_FILENAME."""
    noise: tuple[str, ...] = NOISE
    """Events the server is asked to leave out. It obeys users with ``write=system`` only, which nobody needs to be."""
    connect_timeout: float = attrs.field(default=10.0, validator=_positive)
    login_timeout: float = attrs.field(default=15.0, validator=_positive)
    """From the connection to the accepted login. A refusal takes Asterisk a second."""
    ping_interval: float = attrs.field(default=8.0, validator=_positive)
    """A server that has sent nothing for so long gets a Ping. With ``answer_timeout`` and ``LATE``: a connection that
    is dead without a word (half-open) is noticed within 20 s."""
    answer_timeout: float = attrs.field(default=10.0, validator=_positive)
    """For the answer to any action. If nothing at all comes for so long after a Ping, the session ends."""
    send_timeout: float = attrs.field(default=10.0, validator=_positive)
    backoff_min: float = attrs.field(default=1.0, validator=_positive)
    backoff_max: float = attrs.field(default=60.0, validator=_positive)
    """Waits between attempts double from the one to the other, less up to a half at random. A session that lasted
    ``backoff_max`` begins anew."""

    def __attrs_post_init__(self) -> None:
        # Raises LocalProtocolError, a ValueError, for what could not be said to the server.
        PlainLogin(username=self.username, secret=self.secret)
        Events(mask=self.events)
        if self.noise:
            Filter(expression=_filter(self.noise))

    def backoff(self, failures: int, fraction: float) -> float:
        """Seconds to wait after so many failures in a row. ``fraction``: 0 to 1, at random."""
        wait = min(self.backoff_max, self.backoff_min * 2.0 ** min(failures - 1, 30))
        return wait * (1.0 - fraction / 2.0)


NO_EXTENSION = "uac-trio-check"
"""An extension that no dialplan has."""


class Outcome(enum.Enum):
    QUEUED = "queued"
    """The PBX has taken the order; the call's own events tell the rest."""
    REFUSED = "refused"
    """Nothing was dialled: the PBX said no, or nothing was sent."""
    UNKNOWN = "unknown"
    """Sent, at least in part, and not answered. It may be done; it is never sent again."""


@attrs.frozen(kw_only=True)
class OriginateOutcome:
    outcome: Outcome
    reason: str = ""


@attrs.define(kw_only=True)
class AMIStatus:
    """For ``/healthz``. Times are seconds since 1970."""

    state: str = "not started"
    """connecting, logging in, connected, waiting (to try again)"""
    connected_since: float | None = None
    banner: str = ""
    """The server's first line, of the last login."""
    last_message_at: float | None = None
    last_error: str = ""
    sessions: int = 0
    messages: int = 0
    dropped: int = 0
    """Events not wanted, dropped unread."""
    protocol_errors: int = 0


class _ConnectError(Exception):
    """No connection; the text says why, and has been logged."""


@attrs.define(eq=False)
class _Order:
    """An action, and what became of it."""

    action: Action
    done: trio.Event = attrs.field(factory=trio.Event)
    begun: bool = False
    dropped: bool = False
    answer: Answer | None = None
    failure: str = ""

    def settle(self, answer: Answer | None, failure: str = "") -> None:
        self.answer = answer
        self.failure = failure
        self.done.set()


@attrs.define(kw_only=True, eq=False)
class _Session:
    connection: AMIConnection
    stream: trio.abc.Stream
    scope: trio.CancelScope
    send_orders: trio.MemorySendChannel[_Order]
    receive_orders: trio.MemoryReceiveChannel[_Order]
    greeted: trio.Event = attrs.field(factory=trio.Event)
    orders: dict[str, _Order] = attrs.field(factory=dict)
    ready: bool = False
    received_at: float = -math.inf
    """When bytes were last received, by trio's clock."""
    waiting_for_bytes: trio.lowlevel.ParkingLot = attrs.field(factory=trio.lowlevel.ParkingLot)
    reason: str = ""

    def lose(self, reason: str) -> None:
        """End the session; the first reason is the one that is told."""
        self.reason = self.reason or reason
        self.scope.cancel()

    def settle_all(self) -> None:
        for order in self.orders.values():
            order.settle(None, self.reason)
        while True:
            try:
                self.receive_orders.receive_nowait().settle(None, self.reason)
            except (trio.WouldBlock, trio.EndOfChannel):
                return


OpenStream = Callable[[AMIServer], Awaitable[trio.abc.Stream]]
OnWire = Callable[[str, bytes, float], None]


async def open_stream(server: AMIServer) -> trio.abc.Stream:
    """TCP, or TLS with the certificate verified.

    Raises OSError, or ssl.SSLError where it is TLS that failed; UnicodeError if the host cannot be a name.
    """
    context: ssl.SSLContext | None = None
    if server.tls:
        try:
            context = ssl.create_default_context(cafile=str(server.tls_ca) if server.tls_ca else None)
        except OSError as error:
            why = "holds no certificate" if isinstance(error, ssl.SSLError) else error.strerror
            raise ssl.SSLError(0, f"tls_ca {server.tls_ca} cannot be read: {why}") from error
    stream: trio.abc.Stream = await trio.open_tcp_stream(server.host, server.port)
    if context is None:
        return stream
    tls = trio.SSLStream(stream, context, server_hostname=server.tls_name or server.host)
    agreed = False
    try:
        await tls.do_handshake()
        agreed = True
    except trio.BrokenResourceError as error:
        raise ssl.SSLError(0, socket_reason(error)) from error
    finally:
        if not agreed:
            await trio.aclose_forcefully(stream)
    return tls


@attrs.define(kw_only=True, eq=False)
class AMIClient:
    """One PBX. ``run()`` it in a nursery; ``originate()`` may be called from any task meanwhile.

    ``now`` gives the seconds since 1970 that the listener is told. ``wanted`` says by its name whether an event is
    worth reading. ``on_wire`` is handed every read and write (``recv`` or ``send``, bytes, time), the login with its
    secret among them. ``random`` gives 0 to 1.
    """

    server: AMIServer
    listener: SessionListener
    now: Callable[[], float]
    random: Callable[[], float] = secrets.SystemRandom().random
    wanted: Callable[[str], bool] | None = None
    on_wire: OnWire | None = None
    open_stream: OpenStream = open_stream
    status: AMIStatus = attrs.field(factory=AMIStatus, init=False)
    _session: _Session | None = attrs.field(default=None, init=False)
    _log: structlog.stdlib.BoundLogger = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._log = structlog.get_logger().bind(pbx=self.server.name)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> NoReturn:
        """Connect, log in, listen; when it ends, wait and begin again, until cancelled.

        What the listener raises is let through.
        """
        task_status.started()
        failures = 0
        while True:
            began = trio.current_time()
            reason, logged_in = await self._run_session()
            lasted = trio.current_time() - began
            failures = 1 if logged_in and lasted >= self.server.backoff_max else failures + 1
            self.status.state = "waiting"
            self.status.last_error = reason
            wait = self.server.backoff(failures, self.random())
            self._log.info("ami.waiting", seconds=round(wait, 1), failures=failures)
            await trio.sleep(wait)

    async def originate(self, action: Originate) -> OriginateOutcome:
        """Have a call made. Never raises for the PBX's sake, never sends anything twice, ends in ``answer_timeout``."""
        await trio.lowlevel.checkpoint_if_cancelled()
        session = self._session
        if session is None or not session.ready:
            return OriginateOutcome(outcome=Outcome.REFUSED, reason=f"not connected to PBX {self.server.name}")
        order = _Order(action)
        try:
            await self._ask(session, order)
        finally:
            order.dropped = True  # if it has not been written yet, it will not be
        if order.answer is not None and order.answer.success:
            return OriginateOutcome(outcome=Outcome.QUEUED)
        if order.answer is not None:
            return OriginateOutcome(outcome=Outcome.REFUSED, reason=order.answer.text)
        return OriginateOutcome(outcome=Outcome.UNKNOWN if order.begun else Outcome.REFUSED, reason=order.failure)

    async def list_channels(self) -> None:
        """Ask for a list of all channels; its items arrive as events. Nothing where there is no session."""
        session = self._session
        if session is not None and session.ready:
            await self._ask(session, _Order(CoreShowChannels()))

    async def has_context(self, context: str, within: float) -> bool | None:
        """Is there such a context in the dialplan? None: not known, or no answer in time (``within``, seconds).

        Needs ``write=reporting``.
        """
        session = self._session
        if session is None or not session.ready:
            return None
        order = _Order(ShowDialPlan(context=context, exten=NO_EXTENSION))
        with trio.move_on_after(within):
            await self._ask(session, order)
        order.dropped = True  # if it has not been written yet, it will not be
        if order.answer is None:
            return None
        # main/pbx.c, manager_show_dialplan: "Did not find context x", "Did not find extension y@x"
        if order.answer.success or "extension" in order.answer.text:
            return True
        return False if "context" in order.answer.text else None

    # ---- one session

    async def _run_session(self) -> tuple[str, bool]:
        """From the connection to its end: why it ended, and whether it ever was of use."""
        self.status.state = "connecting"
        try:
            stream = await self._connect()
        except _ConnectError as error:
            return str(error), False
        try:
            send_orders, receive_orders = trio.open_memory_channel[_Order](MAX_WAITING)
            parser = MessageParser(wanted=self._is_wanted if self.wanted is not None else None)
            session = _Session(
                connection=AMIConnection(id_prefix=f"uac-{secrets.token_hex(4)}", parser=parser),
                stream=stream,
                scope=trio.CancelScope(),
                send_orders=send_orders,
                receive_orders=receive_orders,
            )
            await self._serve(session)
        finally:
            await trio.aclose_forcefully(stream)
        if not session.ready:
            self._explain_failed_login(session)
        return session.reason, session.ready

    async def _serve(self, session: _Session) -> None:
        self._session = session
        self.status.state = "logging in"
        try:
            with session.scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._read, session)
                    nursery.start_soon(self._write, session)
                    nursery.start_soon(self._keep, session)
        finally:
            self._session = None
            self.status.connected_since = None
            tell = self._log.warning if session.reason else self._log.info
            session.reason = session.reason or "this program is stopping"
            session.settle_all()
            if session.ready:
                tell("ami.lost", reason=session.reason)
                self.listener.lost(self.server.name, session.reason, self.now())

    def _is_wanted(self, event: str) -> bool:
        return event in _SNAPSHOT or self.wanted is None or self.wanted(event)

    async def _connect(self) -> trio.abc.Stream:
        server = self.server
        where = f"{server.host}:{server.port}"
        try:
            with trio.fail_after(server.connect_timeout):
                return await self.open_stream(server)
        except trio.TooSlowError:
            reason = f"no connection to {where} within {server.connect_timeout:g} s"
            self._log.warning("ami.unreachable", reason=reason)
        except ssl.SSLError as error:
            reason = f"TLS with {where} failed: {socket_reason(error)}"
            hint = "is this the TLS port (tlsbindaddr), and is its certificate for this host and signed by tls_ca?"
            self._log.error("ami.tls_failed", reason=reason, hint=hint)
        except (OSError, UnicodeError) as error:
            reason = f"cannot connect to {where}: {socket_reason(error)}"
            hint = "is Asterisk running, with enabled=yes and this address in bindaddr of manager.conf?"
            self._log.warning("ami.unreachable", reason=reason, hint=hint)
        raise _ConnectError(reason)

    async def _read(self, session: _Session) -> None:
        connection = session.connection
        while True:
            try:
                data = bytes(await session.stream.receive_some(READ_SIZE))
            except trio.BrokenResourceError as error:
                session.lose(f"the connection broke: {socket_reason(error)}")
                return
            at = self.now()
            if not data:
                connection.receive_eof()
                cut = connection.parser.unfinished
                where = f" in the middle of a message ({cut} bytes)" if cut else ""
                session.lose(f"the PBX closed the connection{where}")
                return
            session.received_at = trio.current_time()
            session.waiting_for_bytes.unpark_all()
            if self.on_wire is not None:
                self.on_wire("recv", data, at)
            fault = self._digest(session, data, at)
            if fault:
                session.lose(fault)
                return

    def _digest(self, session: _Session, data: bytes, at: float) -> str:
        """Everything that one read leads to; why the session is over, if it is. No await in here."""
        connection = session.connection
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
            self._log.error("ami.protocol_error", reason=str(error))
        self.status.messages += len(messages)
        self.status.dropped += connection.parser.dropped - dropped
        self.status.last_message_at = at
        if connection.banner:
            session.greeted.set()
        answers = connection.take_answers()
        if not session.ready and any(
            isinstance(answer.sent.action, MD5Login | PlainLogin) and answer.success for answer in answers
        ):
            self._logged_in(session, at)
        if session.ready and messages:
            self.listener.received(self.server.name, messages, at)
        for answer in answers:
            session.orders.pop(answer.sent.action_id).settle(answer)
        if connection.refused is not None:
            fault = fault or f"login refused: {connection.refused}"
        return fault

    def _logged_in(self, session: _Session, at: float) -> None:
        session.ready = True
        self.status.state = "connected"
        self.status.connected_since = at
        self.status.banner = session.connection.banner
        self.status.sessions += 1
        self.status.last_error = ""
        self._log.info("ami.connected", host=self.server.host, port=self.server.port, banner=session.connection.banner)
        self.listener.connected(self.server.name, session.connection.banner, at)

    async def _write(self, session: _Session) -> None:
        async for order in session.receive_orders:
            if order.dropped:
                continue
            try:
                sent = session.connection.send(order.action)
            except LocalProtocolError as error:
                order.settle(None, str(error))
                continue
            order.begun = True
            session.orders[sent.action_id] = order
            if self.on_wire is not None:
                self.on_wire("send", sent.data, self.now())
            whole = False
            try:
                with trio.move_on_after(self.server.send_timeout):
                    await session.stream.send_all(sent.data)
                    whole = True
            except trio.BrokenResourceError as error:
                # What came before can still be read; then that fails as well, which ends the session.
                await trio.sleep(LATE)
                session.lose(f"the connection broke: {socket_reason(error)}")
            finally:
                if not whole:
                    session.connection.send_failed()
            if not whole:
                session.lose(f"the PBX took no action for {self.server.send_timeout:g} s")
                return

    async def _keep(self, session: _Session) -> None:
        """Log in, ask for the events and the snapshot, and end the session when the server falls silent."""
        server = self.server
        with trio.move_on_after(server.login_timeout):
            await self._log_in(session)
        if not session.ready:
            silent = session.connection.state is State.GREETING
            missed = (
                "greeting (is this the manager port, and TLS or not as configured?)"
                if silent
                else "answer to the login"
            )
            session.lose(f"no {missed} within {server.login_timeout:g} s")
            return
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._end_when_silent, session)
            await self._ask_for_less(session)
            order = _Order(CoreShowChannels())
            snapshot = await self._ask(session, order)
            if snapshot is None:  # it is read when it comes
                self._log.warning("ami.snapshot_late", reason=order.failure)
            elif not snapshot.success:
                hint = f"add reporting to write= of user {server.username} in manager.conf"
                self._log.warning("ami.snapshot_refused", reason=snapshot.text, hint=hint)

    async def _end_when_silent(self, session: _Session) -> None:
        """Ping a silent server; end the session if it stays silent.

        Any byte received is a sign of life: the answer to a Ping comes after all events that are queued before it.
        """
        server = self.server
        while True:
            silent_at = session.received_at + server.ping_interval
            if trio.current_time() < silent_at:
                await trio.sleep_until(silent_at)
                continue
            pinged_at = trio.current_time()
            with contextlib.suppress(trio.WouldBlock):  # so many actions wait that one more shows nothing new
                session.send_orders.send_nowait(_Order(Ping()))
            with trio.move_on_after(server.answer_timeout) as waiting:
                await session.waiting_for_bytes.park()
            if not waiting.cancelled_caught:
                continue
            await trio.sleep(LATE)
            if session.received_at < pinged_at:
                session.lose(f"no answer to a ping within {server.answer_timeout:g} s, and nothing else received")
                return

    async def _log_in(self, session: _Session) -> None:
        server = self.server
        await session.greeted.wait()
        if server.plaintext_login:
            await self._ask(session, _Order(PlainLogin(username=server.username, secret=server.secret)))
            return
        challenged = await self._ask(session, _Order(Challenge()))
        if challenged is not None and session.connection.state is State.CHALLENGED:
            key = md5_key(session.connection.challenge, server.secret)
            await self._ask(session, _Order(MD5Login(username=server.username, key=key)))

    async def _ask_for_less(self, session: _Session) -> None:
        """What the server leaves out need not be read. It may refuse, or take it and not obey: both are well."""
        server = self.server
        mask = (*server.events, "dialplan") if server.want_dialplan else server.events
        answer = await self._ask(session, _Order(Events(mask=mask)))
        if answer is not None and (not answer.success or answer.response.get("Events").lower() == "off"):
            self._log.warning("ami.event_mask_refused", mask=",".join(mask), reason=answer.text)
            await self._ask(session, _Order(Events(mask=("on",))))
        if server.noise:
            answer = await self._ask(session, _Order(Filter(expression=_filter(server.noise))))
            if answer is not None:
                self._log.debug("ami.filter", accepted=answer.success, reason=answer.text)

    async def _ask(self, session: _Session, order: _Order) -> Answer | None:
        """The answer; None if there is none in time, or ever. Why is in ``order.failure``."""
        try:
            session.send_orders.send_nowait(order)
        except trio.WouldBlock:
            order.failure = "too many actions wait already"
            return None
        with trio.move_on_after(self.server.answer_timeout) as scope:
            await order.done.wait()
        if scope.cancelled_caught:
            order.failure = f"no answer within {self.server.answer_timeout:g} s"
        return order.answer

    def _explain_failed_login(self, session: _Session) -> None:
        server = self.server
        refused = session.connection.refused
        if refused is None:
            self._log.warning("ami.login_failed", host=server.host, port=server.port, reason=session.reason)
            return
        hint = (
            "check in manager.conf that the section has this name, its secret is the same, deny/permit/acl let this "
            "host in, and that `manager reload` was run"
        )
        self._log.error("ami.login_refused", user=server.username, host=server.host, reason=refused, hint=hint)


async def run_ami_client(
    server: AMIServer,
    listener: SessionListener,
    *,
    now: Callable[[], float],
    wanted: Callable[[str], bool] | None = None,
    on_wire: OnWire | None = None,
    task_status: trio.TaskStatus[AMIClient] = trio.TASK_STATUS_IGNORED,
) -> NoReturn:
    """Start and run an AMIClient; ``await nursery.start(run_ami_client, ...)`` gives it."""
    client = AMIClient(server=server, listener=listener, now=now, wanted=wanted, on_wire=on_wire)
    task_status.started(client)
    await client.run()
