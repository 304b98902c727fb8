"""Runs all checks concurrently, each with a timeout."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

import trio

from uac_trio.config.loading import Config
from uac_trio.live_check.crm import check_crm
from uac_trio.live_check.finding import Findings
from uac_trio.live_check.here import check_agi, check_http, check_recordings, check_store, check_user
from uac_trio.live_check.pbx import check_pbx

WITHIN = 14.0
"""Timeout in seconds of each check. A PBX takes 1 s to refuse a login; a CRM without PHP's opcache answers slowly."""

Part = tuple[Findings, Callable[[Findings], Awaitable[None]]]


async def look(config: Config, *, now: Callable[[], float], within: float = WITHIN) -> list[Findings]:
    """Check everything that ``config`` names. Changes nothing; the daemon may run meanwhile.

    ``now``: seconds since the epoch.
    """
    clicks = config.click2call.enabled
    parts: list[Part] = [
        (Findings(f"PBX {server.name}"), partial(check_pbx, server, route if clicks else None, now))
        for server, route in zip(config.pbx, config.routes, strict=True)
    ]
    parts += [
        (Findings("CRM"), partial(check_crm, config.crm, config.sender, now)),
        (Findings("store"), partial(check_store, config.store, now)),
        (Findings("recordings"), partial(check_recordings, config, now)),
        (Findings("HTTP"), partial(check_http, config.http, now)),
        (Findings("user"), check_user),
    ]
    if config.responsible.bind:
        parts.insert(-1, (Findings("FastAGI"), partial(check_agi, config.responsible)))
    async with trio.open_nursery() as nursery:
        for findings, check in parts:
            nursery.start_soon(_look_at, findings, check, within)
    return [findings for findings, _ in parts]


async def _look_at(findings: Findings, check: Callable[[Findings], Awaitable[None]], within: float) -> None:
    with trio.move_on_after(within) as patience:
        await check(findings)
    if patience.cancelled_caught:
        findings.problem(f"the check timed out after {within:g} s; the findings above are what it saw until then")
