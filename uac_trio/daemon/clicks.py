"""The outcomes of clicks in the CRM, for the log."""

from __future__ import annotations

import structlog

from uac_trio.calls.fact import CallEnded, Fact

log = structlog.get_logger()


def log_click(fact: Fact) -> None:
    """A line for each call that we originated and that is over, and for each that never came about."""
    if not isinstance(fact, CallEnded):
        return
    summary = fact.summary
    click = summary.click
    if click is None:
        return
    log.info(
        "click2call.ended",
        call=fact.call_id,
        extension=summary.caller or None,
        customer=summary.customer or summary.called or None,
        outcome=click.outcome,
        words=click.words,
    )
