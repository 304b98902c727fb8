"""What became of the clicks in the CRM, for the log."""

from __future__ import annotations

import structlog

from uac_trio.calls.fact import CallEnded, Fact

log = structlog.get_logger()


def log_click(fact: Fact) -> None:
    """A line for each call that we originated and that is over, and for each that never came about."""
    if not isinstance(fact, CallEnded):
        return
    click = fact.record.get("click2call")
    if click is None:
        return
    log.info(
        "click2call.ended",
        call=fact.call_id,
        extension=fact.record["caller"],
        customer=fact.record["customer"] or fact.record["called"],
        outcome=click["outcome"],
        words=click["words"],
    )
