"""FastAGI: while a caller waits, Asterisk asks which employee to ring first.

    AGI(agi://connector:4574/route)                     asks for CALLERID(num)
    AGI(agi://connector:4574/route,${NUMBER})           or for another number
    AGI(agi://connector:4574/route?number=${NUMBER})    the same

The server sets one variable, to an extension or "", and closes the connection, always within ``[route]
deadline_seconds``: Asterisk itself waits for a script without a timeout (res/res_agi.c, ``run_agi``).
"""

from __future__ import annotations

from collections import Counter
from functools import partial

import attrs
import structlog
import trio

from uac_trio.agi import AGIConnection, AGIError, AGIRequest, set_variable
from uac_trio.crm.responsible import ASKING, Ask, ResponsibleRules
from uac_trio.logs import LogLimit
from uac_trio.networks import is_allowed_address, parse_bind
from uac_trio.web.route import log_answer
from uac_trio.web.settings import CannotListenError

log = structlog.get_logger()

SCRIPT = "route"
MAX_PER_CLIENT = 50
"""Connections of one PBX at once. One more is closed, and its call goes on in the dialplan."""
MAX_CONNECTIONS = 200
"""Connections of all PBXes at once."""


async def serve_agi(
    ask: Ask,
    rules: ResponsibleRules,
    *,
    shutdown: trio.Event,
    task_status: trio.TaskStatus[list[str]] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Answer until ``shutdown`` is set; ``task_status`` gets the addresses listened on.

    After ``shutdown`` no connection is accepted; open ones get their answer within the deadline. Raises
    CannotListenError.
    """
    host, port = parse_bind(rules.bind)
    try:
        listeners = await trio.open_tcp_listeners(port, host=host)
    except OSError as why:
        raise CannotListenError.at("[route]", rules.bind, why) from why
    server = _Server(ask, rules)
    async with trio.open_nursery() as conversations, trio.open_nursery() as accepting:
        accepting.start_soon(partial(trio.serve_listeners, server.serve, listeners, handler_nursery=conversations))
        task_status.started([_address(listener) for listener in listeners])
        await shutdown.wait()
        accepting.cancel_scope.cancel()


def _address(listener: trio.SocketListener) -> str:
    host, port = listener.socket.getsockname()[:2]
    return f"agi://[{host}]:{port}/{SCRIPT}" if ":" in host else f"agi://{host}:{port}/{SCRIPT}"


@attrs.define(eq=False)
class _Server:
    ask: Ask
    rules: ResponsibleRules
    _open: Counter[str] = attrs.field(factory=Counter, init=False)
    """Open connections by the client's address."""
    _refused: LogLimit = attrs.field(factory=LogLimit, init=False)

    async def serve(self, stream: trio.SocketStream) -> None:
        try:
            client = str(stream.socket.getpeername()[0])
        except OSError:  # gone already
            client = ""
        refusal = self._refusal(client)
        if refusal:
            if (left_out := self._refused.due(trio.current_time())) is not None:
                log.warning("route.refused", client=client, reason=refusal, left_out=left_out)
            await trio.aclose_forcefully(stream)
            return
        self._open[client] += 1
        try:
            await self._within_deadline(stream, client)
        finally:
            self._open[client] -= 1
            if not self._open[client]:
                del self._open[client]
            await trio.aclose_forcefully(stream)

    def _refusal(self, client: str) -> str:
        if not is_allowed_address(client, self.rules.networks):
            return "not in [route] networks"
        if self._open[client] >= MAX_PER_CLIENT:
            return f"more than {MAX_PER_CLIENT} connections from this address"
        return f"more than {MAX_CONNECTIONS} connections" if self._open.total() >= MAX_CONNECTIONS else ""

    async def _within_deadline(self, stream: trio.SocketStream, client: str) -> None:
        connection = AGIConnection()
        seconds = self.rules.deadline_seconds
        try:
            with trio.move_on_after(seconds) as deadline:
                await self._converse(stream, connection, client, deadline.deadline)
            if deadline.cancelled_caught:
                log.warning("route.cut_off", client=client, reason=f"Asterisk did not finish within {seconds:g} s")
        except AGIError as why:
            log.warning("route.refused", client=client, reason=str(why))
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            log.info("route.hung_up", client=client)
        except Exception:
            # An internal error ends this connection, not the daemon; the call goes on in the dialplan.
            log.exception("route.failed", client=client)

    async def _converse(
        self, stream: trio.SocketStream, connection: AGIConnection, client: str, deadline: float
    ) -> None:
        began = trio.current_time()
        while (request := connection.request()) is None:
            await _receive(stream, connection)
        if request.script not in (SCRIPT, ""):
            log.warning("route.refused", client=client, reason=f"asked for another script than {SCRIPT}")
            return
        number = _number(request)
        answer = await self.ask(number, (deadline - trio.current_time()) * ASKING)
        await stream.send_all(set_variable(self.rules.variable, answer.extension))
        log_answer("agi", client, number, answer, began)
        # Wait for the result: closing the connection before Asterisk has read the command would lose it.
        while (result := connection.result()) is None:
            await _receive(stream, connection)
        if result.code != 200:
            log.warning("route.not_set", client=client, code=result.code, reason=result.text)


def _number(request: AGIRequest) -> str:
    """The number in question: an argument, a parameter of the address, or else the caller."""
    argument = request.arguments[0] if request.arguments else ""
    return argument or request.parameters.get("number", "") or request.caller


async def _receive(stream: trio.SocketStream, connection: AGIConnection) -> None:
    """Raises AGIError and what trio raises for a connection that broke or ended."""
    data = await stream.receive_some(4096)
    if not data:
        raise trio.BrokenResourceError
    connection.receive_data(data)
