"""The client: connects to one PBX, connects again whenever a session ends, and has calls made."""

from __future__ import annotations

import secrets
import ssl
from collections.abc import Callable
from typing import NoReturn

import attrs
import structlog
import trio

from uac_trio.ami import CoreShowChannels, Originate, ShowDialPlan, Wanted
from uac_trio.ami_client.listener import OnWire, SessionListener
from uac_trio.ami_client.order import Order, OriginateOutcome, Outcome
from uac_trio.ami_client.server import AMIServer
from uac_trio.ami_client.session import Session
from uac_trio.ami_client.status import AMIStatus
from uac_trio.ami_client.stream import OpenStream, open_stream
from uac_trio.socket_errors import socket_reason

NO_EXTENSION = "uac-trio-check"
"""An extension that no dialplan has."""


class _ConnectError(Exception):
    """No connection; the text says why, and has been logged."""


@attrs.define(kw_only=True, eq=False)
class AMIClient:
    """One PBX. ``run()`` it in a nursery; ``originate()`` may be called from any task meanwhile.

    ``now`` gives the seconds since 1970 that the listener gets. ``wanted`` says which events are read, as in
    ``MessageParser``. ``on_wire`` is handed every read and write (see ``OnWire``), the login with
    its secret among them. ``random`` gives 0 to 1.
    """

    server: AMIServer
    listener: SessionListener
    now: Callable[[], float]
    random: Callable[[], float] = secrets.SystemRandom().random
    wanted: Wanted | None = None
    on_wire: OnWire | None = None
    open_stream: OpenStream = open_stream
    status: AMIStatus = attrs.field(factory=AMIStatus, init=False)
    _session: Session | None = attrs.field(default=None, init=False)
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
        session = self._ready_session()
        if session is None:
            return OriginateOutcome(outcome=Outcome.REFUSED, reason=f"not connected to PBX {self.server.name}")
        order = Order(action)
        try:
            await session.ask(order)
        finally:
            order.dropped = True  # if it has not been written yet, it will not be
        if order.answer is not None and order.answer.success:
            return OriginateOutcome(outcome=Outcome.QUEUED)
        if order.answer is not None:
            return OriginateOutcome(outcome=Outcome.REFUSED, reason=order.answer.text)
        return OriginateOutcome(outcome=Outcome.UNKNOWN if order.begun else Outcome.REFUSED, reason=order.failure)

    async def list_channels(self) -> None:
        """Ask for a list of all channels; its items arrive as events. Nothing where there is no session."""
        session = self._ready_session()
        if session is not None:
            await session.ask(Order(CoreShowChannels()))

    async def has_context(self, context: str, within: float) -> bool | None:
        """Is there such a context in the dialplan? None: not known, or no answer in time (``within``, seconds).

        Needs ``write=reporting``.
        """
        session = self._ready_session()
        if session is None:
            return None
        order = Order(ShowDialPlan(context=context, exten=NO_EXTENSION))
        with trio.move_on_after(within):
            await session.ask(order)
        order.dropped = True  # if it has not been written yet, it will not be
        if order.answer is None:
            return None
        # main/pbx.c, manager_show_dialplan: "Did not find context x", "Did not find extension y@x"
        if order.answer.success or "extension" in order.answer.text:
            return True
        return False if "context" in order.answer.text else None

    def _ready_session(self) -> Session | None:
        session = self._session
        return session if session is not None and session.ready else None

    async def _run_session(self) -> tuple[str, bool]:
        """From the connection to its end: why it ended, and whether it ever was of use."""
        self.status.state = "connecting"
        try:
            stream = await self._connect()
        except _ConnectError as error:
            return str(error), False
        try:
            session = Session(
                server=self.server,
                stream=stream,
                listener=self.listener,
                now=self.now,
                wanted=self.wanted,
                on_wire=self.on_wire,
                status=self.status,
                log=self._log,
            )
            self._session = session
            try:
                await session.run()
            finally:
                self._session = None
        finally:
            await trio.aclose_forcefully(stream)
        if not session.ready:
            self._explain_failed_login(session)
        return session.reason, session.ready

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

    def _explain_failed_login(self, session: Session) -> None:
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
    wanted: Wanted | None = None,
    on_wire: OnWire | None = None,
    task_status: trio.TaskStatus[AMIClient] = trio.TASK_STATUS_IGNORED,
) -> NoReturn:
    """Start and run an AMIClient; ``await nursery.start(run_ami_client, ...)`` gives it."""
    client = AMIClient(server=server, listener=listener, now=now, wanted=wanted, on_wire=on_wire)
    task_status.started(client)
    await client.run()
