"""Describes a valid configuration in words, for ``uac-trio check``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from uac_trio.store.settings import parse_url, shown

if TYPE_CHECKING:
    from uac_trio.calls.rules import TrackerRules
    from uac_trio.config.loading import Config


def describe(config: Config, at: float) -> Iterator[str]:
    """Lines for a terminal. ``at``, seconds since the epoch, is shown in the CRM's time zone."""
    yield f"{config.path} is valid. It says:"
    for server, route in zip(config.pbx, config.routes, strict=True):
        how = "encrypted" if server.tls else "not encrypted"
        yield f"  PBX {server.name}: {server.username} at {server.host}:{server.port}, {how}."
        whose = f" of {_numbers(route.extensions)}" if route.extensions is not None else ""
        yield f"    A click{whose} calls {route.channel} and continues in context {route.context}."
        if route.caller_id != "{extension}":
            yield f"    The caller id there is {route.caller_id}."
        if route.variables:
            yield f"    On its channel are set: {_some(route.variables)}."
        if roots := config.recordings.get(server.name):
            yield f"    Its recordings are beneath {_some(roots)}."
        for host in config.hosts:
            if host.pbx == server.name:
                yield f"    Its recordings are fetched from {host.url}."
    rules = config.calls
    who = _numbers(rules.extensions)
    delivered = "delivered" if rules.internal == "report" else "not delivered"
    yield f"  Employees: {who}. Calls between them are {delivered} to the CRM."
    if rules.unreached:
        yield f"  Calls for which no phone rang belong to {rules.unreached}."
    for what, owner in rules.unreached_by.items():
        yield f"  Calls to {what} for which no phone rang belong to {owner}."
    yield f"  Numbers without a country code belong to {rules.region}."
    if rules.mobiles:
        owners = _some(sorted(set(rules.mobiles.values())))
        yield f"  Calls to an employee's external number are theirs: {len(rules.mobiles)} such numbers, of {owners}."
    if rules.is_shared():
        yield f"  The PBX is shared with other companies; ours are {' and '.join(_limits(rules))}."
    for line in config.crm.describe(at):
        yield f"  {line}"
    if config.click2call.enabled:
        networks = _some(str(network) for network in config.click2call.networks)
        yield f"  Clicks come to http://{config.http.bind}/makecall from {networks}."
    else:
        yield "  Clicks on numbers are disabled."
    if config.companion.enabled:
        pages = (
            f"pages of {_some(config.companion.origins)}" if config.companion.origins else "the CRM's web server alone"
        )
        yield f"  Events for the CRM's users' browsers are at http://{config.http.bind}/crm/events, for {pages}."
    asked = config.responsible
    ways = [f"agi://{asked.bind}/route"] * bool(asked.bind) + [f"http://{config.http.bind}/route"] * bool(asked.secret)
    if ways:
        where = config.crm.owner_address
        yield f"  The employee responsible for a caller is served at {_some(ways)} and looked up in the CRM at {where}."
    yield f"  Deliveries wait in {shown(parse_url(config.store.url))}."
    if (recorder := config.flight_recorder).enabled:
        yield (
            f"  AMI of the last {recorder.hours} hours, {recorder.megabytes} MB at most, is kept in "
            f"{config.flight_recorder_directory}."
        )
    else:
        yield "  AMI is not kept: uac-trio explain will lack the events of calls."
    for warning in config.warnings:
        yield f"  Warning: {warning}"


def _limits(rules: TrackerRules) -> Iterator[str]:
    """The rules that limit a shared PBX to this company."""
    if rules.only_endpoints is not None:
        yield f"endpoints that match {rules.only_endpoints.pattern}"
    if rules.only_contexts is not None:
        yield f"contexts that match {rules.only_contexts.pattern}"
    if rules.only_dids:
        yield f"the numbers called {_some(sorted(rules.only_dids))}"
    if rules.only_tenants:
        yield f"the tenants {_some(sorted(rules.only_tenants))}"


def _numbers(extensions: re.Pattern[str] | frozenset[str]) -> str:
    if isinstance(extensions, frozenset):
        return f"the numbers {_some(sorted(extensions))}"
    return f"numbers that match {extensions.pattern}"


def _some(items: Iterable[str]) -> str:
    listed = list(items)
    return ", ".join(listed[:10]) + (f" and {len(listed) - 10} more" if len(listed) > 10 else "")
