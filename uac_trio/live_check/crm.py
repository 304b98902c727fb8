"""Checks the CRM with the requests of its own package (``CRM.examine``). Changes nothing there."""

from __future__ import annotations

from collections.abc import Callable

import attrs

from uac_trio.crm.protocol import CRM
from uac_trio.live_check.finding import Findings
from uac_trio.sender.breaker import SenderSettings
from uac_trio.sender.client import ask_once

CONNECTS_WITHIN = 3.0
ANSWERS_WITHIN = 8.0
"""Seconds."""


async def check_crm(crm: CRM, settings: SenderSettings, now: Callable[[], float], findings: Findings) -> None:
    """Send the requests one after another, each with a deadline."""
    patience = attrs.evolve(
        settings,
        connect_timeout=min(settings.connect_timeout, CONNECTS_WITHIN),
        reply_timeout=min(settings.reply_timeout, ANSWERS_WITHIN),
    )
    look = crm.examine(now, findings)
    try:
        request = next(look)
        while True:
            request = look.send(await ask_once(request, crm, patience, now()))
    except StopIteration:
        return
