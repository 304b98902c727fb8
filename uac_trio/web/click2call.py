"""``/makecall``: a click on a number in the CRM, over HTTP. The CRM's package parses the request;
``uac_trio.crm.click`` decides what is dialled."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Sequence

import attrs
import structlog
import trio
from quart import Response, request
from quart_trio import QuartTrio

from uac_trio.crm.click import (
    Click2CallRules,
    ClickAnswer,
    ClickGuard,
    Dial,
    Originated,
    Refusal,
    Route,
    Verdict,
    plan_click,
)
from uac_trio.crm.protocol import CRM
from uac_trio.crm.stream_events import FORBIDDEN, REFUSED, TOO_MANY, UNKNOWN
from uac_trio.networks import is_allowed_address
from uac_trio.web.wrong_secrets import WrongSecrets

log = structlog.get_logger()

Originate = Callable[[Dial], Awaitable[Originated]]
"""Sends an Originate to its PBX. May be cancelled: the outcome is then UNKNOWN."""


@attrs.define(eq=False, kw_only=True)
class Click2Call:
    """The dependencies of ``/makecall``."""

    originate: Originate
    crm: CRM
    rules: Click2CallRules
    routes: Sequence[Route]
    is_extension: Callable[[str], bool]
    region: str
    now: Callable[[], float]
    """Seconds since the epoch; part of the call's identity."""
    is_connected: Callable[[str], bool] = lambda _: True
    """Whether the PBX of this name accepts actions now."""
    wrong_secrets: WrongSecrets = attrs.field(factory=WrongSecrets)
    failed: Callable[[str, str], None] = lambda _extension, _outcome: None
    """Is shown whose click came to nothing before there was a call, and the outcome in a word (crm.stream_events)."""
    guard: ClickGuard = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        rules = self.rules
        self.guard = ClickGuard(
            guard_seconds=rules.guard_seconds, per_minute=rules.per_minute, total_per_minute=rules.total_per_minute
        )

    def reconfigure(self, rules: Click2CallRules, routes: Sequence[Route]) -> None:
        """For the next click."""
        self.rules, self.routes = rules, routes
        self.guard.limit(rules)


def add_click2call(app: QuartTrio, click2call: Click2Call) -> None:
    """Add ``/makecall`` to ``app``."""

    def reply(answer: ClickAnswer) -> Response:
        status, body = click2call.crm.click_reply(answer)
        return Response(
            body, status=status, content_type="text/plain; charset=utf-8", headers={"Cache-Control": "no-store"}
        )

    async def makecall() -> Response:
        # werkzeug allows HEAD wherever GET is allowed; a HEAD request must not place a call.
        if request.method == "HEAD":
            return reply(ClickAnswer.ERROR)
        if not is_allowed_address(request.remote_addr, click2call.rules.networks):
            log.warning("click2call.refused", client=request.remote_addr, reason="not in [click2call] networks")
            return reply(ClickAnswer.ERROR)
        if click2call.wrong_secrets.refuses(request.remote_addr):
            return reply(ClickAnswer.AUTHENTICATION_FAILURE)
        pairs = [*request.args.items(multi=True), *(await request.form).items(multi=True)]
        click = _read(click2call, pairs)
        if isinstance(click, Refusal):
            is_wrong = click.answer is ClickAnswer.AUTHENTICATION_FAILURE
            if not is_wrong or click2call.wrong_secrets.count(request.remote_addr):
                log.warning("click2call.refused", client=request.remote_addr, reason=click.reason)
            return reply(click.answer)
        click2call.wrong_secrets.accept(request.remote_addr)
        return reply(await _place(click, click2call))

    app.add_url_rule("/makecall", "makecall", makecall, methods=["GET", "POST"])
    # For a gateway address in the CRM that ends in a slash.
    app.add_url_rule("//makecall", "makecall", makecall, methods=["GET", "POST"])


async def _place(dial: Dial, click2call: Click2Call) -> ClickAnswer:
    guard = click2call.guard
    bound = log.bind(pbx=dial.pbx, extension=dial.extension, to=dial.number)
    match guard.admit(dial, trio.current_time()):
        case Verdict.DOUBLE:
            bound.info("click2call.double")
            return guard.answer_to_double(dial)
        case Verdict.TOO_MANY:
            bound.warning("click2call.too_many", per_minute=click2call.rules.per_minute)
            click2call.failed(dial.extension, TOO_MANY)
            return ClickAnswer.ERROR
        case Verdict.TOO_MANY_IN_ALL:
            bound.warning("click2call.too_many_in_all", total_per_minute=click2call.rules.total_per_minute)
            click2call.failed(dial.extension, TOO_MANY)
            return ClickAnswer.ERROR
        case Verdict.NEW:
            pass
    outcome = Originated.UNKNOWN
    with trio.move_on_after(click2call.rules.answer_seconds):
        outcome = await click2call.originate(dial)
    if outcome is Originated.QUEUED:
        bound.info("click2call.placed", channel_id=dial.channel_id, exten_context=dial.context)
    else:
        bound.warning("click2call.not_placed", outcome=outcome.value, channel_id=dial.channel_id)
        click2call.failed(dial.extension, REFUSED if outcome is Originated.REFUSED else UNKNOWN)
    return guard.settle(dial, outcome)


def _read(click2call: Click2Call, pairs: Sequence[tuple[str, str]]) -> Dial | Refusal:
    click = click2call.crm.read_click(pairs)
    if isinstance(click, Refusal):
        return click
    dial = plan_click(
        click,
        rules=click2call.rules,
        routes=click2call.routes,
        is_extension=click2call.is_extension,
        region=click2call.region,
        token=f"{int(click2call.now())}-{secrets.token_hex(4)}",
        is_connected=click2call.is_connected,
    )
    if isinstance(dial, Refusal):
        click2call.failed(click.extension, FORBIDDEN)
    return dial
