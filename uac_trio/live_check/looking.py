"""Runs all checks concurrently, each with a timeout."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

import trio

from uac_trio.config.loading import Config
from uac_trio.live_check.addresses import check_agi, check_http
from uac_trio.live_check.cdr import check_cdr, check_no_cdr
from uac_trio.live_check.credentials import check_credentials, check_user
from uac_trio.live_check.crm import check_crm
from uac_trio.live_check.finding import Findings
from uac_trio.live_check.pbx import PBXUse, check_pbx
from uac_trio.live_check.recordings import check_recordings
from uac_trio.live_check.store import check_store

WITHIN = 25.0
"""Timeout in seconds of each check. A PBX takes 1 s to refuse a login; a CRM without PHP's opcache answers slowly."""

Part = tuple[Findings, Callable[[Findings], Awaitable[None]]]


async def look(config: Config, *, now: Callable[[], float], within: float = WITHIN) -> list[Findings]:
    """Check everything that ``config`` names. Changes nothing; the daemon may run meanwhile.

    ``now``: seconds since the epoch.
    """
    parts: list[Part] = [(Findings(f"PBX {use.server.name}"), partial(check_pbx, use, now)) for use in pbx_uses(config)]
    parts += [
        (Findings("CRM"), partial(check_crm, config.crm, config.sender, now)),
        (Findings("store"), partial(check_store, config.store, now)),
        (Findings("recordings"), partial(check_recordings, config, now)),
        *((Findings(f"CDR of {cdr.pbx}"), partial(check_cdr, cdr, now)) for cdr in config.cdr),
        (Findings("HTTP"), partial(check_http, config.http, now)),
        (Findings("secrets"), partial(check_credentials, config.secret_files)),
        (Findings("user"), check_user),
    ]
    if not config.cdr:
        parts.insert(-3, (Findings("CDR"), check_no_cdr))
    if config.responsible.bind:
        parts.insert(-2, (Findings("FastAGI"), partial(check_agi, config.responsible)))
    async with trio.open_nursery() as nursery:
        for findings, check in parts:
            nursery.start_soon(_look_at, findings, check, within)
    all_found = [findings for findings, _ in parts]
    _compare_with_daemon(config, all_found)
    return all_found


def _compare_with_daemon(config: Config, all_found: list[Findings]) -> None:
    """A daemon that runs has made its store: one that is not there is another's."""
    by_id = {finding.id: (findings, finding) for findings in all_found for finding in findings.found}
    if ("http.daemon" in by_id or "daemon.health" in by_id) and "store.new" in by_id:
        store, new = by_id["store.new"]
        store.found.remove(new)
        store.problem(
            "store.other",
            f"a daemon runs here, and {config.store.url.removeprefix('sqlite:///')} does not exist: it works with "
            "another configuration than this check, so outbox and forget would not find its rows",
            "systemctl show uac-trio -p ExecStart shows its --config; give the same to this command",
        )


def pbx_uses(config: Config) -> list[PBXUse]:
    """What is wanted of each PBX."""
    far = {host.pbx for host in config.hosts}
    return [
        PBXUse(
            server=server,
            route=route if config.click2call.enabled else None,
            rules=config.calls,
            wants_recordings=bool(config.recordings.get(server.name)) or server.name in far,
        )
        for server, route in zip(config.pbx, config.routes, strict=True)
    ]


async def _look_at(findings: Findings, check: Callable[[Findings], Awaitable[None]], within: float) -> None:
    with trio.move_on_after(within) as patience:
        await check(findings)
    if patience.cancelled_caught:
        findings.problem(
            "check.timeout", f"the check timed out after {within:g} s; the findings above are what it saw until then"
        )
