"""``/route``: the employee to ring first, for ``CURL()`` in a dialplan.

The body is an extension or empty, because ``CURL()`` returns the body of any reply, error pages included
(funcs/func_curl.c). Who owns which contact is confidential: a request must come from ``[route] networks`` and have
``[route] secret``.
"""

from __future__ import annotations

import hmac
from http import HTTPStatus

import attrs
import structlog
import trio
from quart import Response, request
from quart_trio import QuartTrio

from uac_trio.crm.responsible import ASKING, Ask, Responsible, ResponsibleRules
from uac_trio.networks import is_allowed_address

log = structlog.get_logger()


@attrs.frozen(kw_only=True)
class Routing:
    """The dependencies of ``/route``."""

    ask: Ask
    rules: ResponsibleRules
    """Has a secret."""


def add_route(app: QuartTrio, routing: Routing) -> None:
    """Add ``/route`` to ``app``."""

    async def route() -> Response:
        seconds = routing.rules.deadline_seconds
        with trio.move_on_after(seconds) as deadline:
            return await _answer(routing, deadline.deadline)
        log.warning("route.cut_off", client=request.remote_addr, reason=f"no complete request within {seconds:g} s")
        return _reply("")

    app.add_url_rule("/route", "route", route, methods=["GET", "POST"])


async def _answer(routing: Routing, deadline: float) -> Response:
    began = trio.current_time()
    client = request.remote_addr
    if not is_allowed_address(client, routing.rules.networks):
        return _refused(client, "not in [route] networks")
    form = await request.form
    secrets = [*request.args.getlist("secret"), *form.getlist("secret")]
    numbers = [*request.args.getlist("number"), *form.getlist("number")]
    expected = routing.rules.secret.encode(errors="replace")
    if len(secrets) != 1 or not hmac.compare_digest(secrets[0].encode(errors="replace"), expected):
        return _refused(client, "the secret is not that of [route] secret" if secrets else "no secret")
    number = numbers[0] if len(numbers) == 1 else ""
    answer = await routing.ask(number, (deadline - trio.current_time()) * ASKING)
    log_answer("http", client, number, answer, began)
    return _reply(answer.extension)


def log_answer(via: str, client: str | None, number: str, answer: Responsible, began: float) -> None:
    """Log one answer. ``via``: ``http`` or ``agi``. ``began``: the start by trio's clock."""
    log.info(
        "route.answered",
        via=via,
        client=client,
        number=number,
        extension=answer.extension,
        seconds=round(trio.current_time() - began, 3),
        reason=answer.reason,
    )


def _refused(client: str | None, reason: str) -> Response:
    log.warning("route.refused", client=client, reason=reason)
    return _reply("", HTTPStatus.FORBIDDEN)


def _reply(body: str, status: HTTPStatus = HTTPStatus.OK) -> Response:
    return Response(
        body, status=status, content_type="text/plain; charset=utf-8", headers={"Cache-Control": "no-store"}
    )
