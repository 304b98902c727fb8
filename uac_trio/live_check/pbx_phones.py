"""Checks the rule for employees' numbers against the phones that the PBX lists.

The right to list them differs: hints and device states come with ``write=reporting``, peers of chan_sip too, endpoints
of PJSIP with ``write=system`` alone. What no list shows is the CallerID of an endpoint, by which phones with other
names are recognised as well.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable

import attrs

from uac_trio.ami import Action, DeviceStateList, Event, ExtensionStateList, PJSIPShowEndpoints, SIPpeers
from uac_trio.calls.rules import TrackerRules
from uac_trio.crm.click import Route
from uac_trio.live_check.finding import Findings
from uac_trio.live_check.pbx_session import PBXSession

SHOWN = 8
"""Most names in one line."""

_LISTS: tuple[Action, ...] = (PJSIPShowEndpoints(), SIPpeers(), DeviceStateList(), ExtensionStateList())
_PHONE = re.compile(r"(PJSIP|SIP|IAX2|SCCP)/([^@/&,]+)")
_NUMBER = re.compile(r"\d{2,6}")


@attrs.define
class Phones:
    """What the lists show."""

    endpoints: dict[str, str] = attrs.field(factory=dict)
    """Name to technology: 101 to PJSIP."""
    hints: dict[str, str] = attrs.field(factory=dict)
    """Endpoint to the number of its hint, where these differ: anna to 101."""
    registering: set[str] = attrs.field(factory=set)
    """Endpoints that log in at another server, as trunks do."""

    def of_company(self, only: re.Pattern[str]) -> Phones:
        """Those whose endpoint is ours."""
        ours = {name: technology for name, technology in self.endpoints.items() if only.search(name)}
        return Phones(
            ours, {name: self.hints[name] for name in self.hints if name in ours}, self.registering & set(ours)
        )


async def check_phones(
    session: PBXSession, rules: TrackerRules, route: Route | None, allowed: Collection[str], findings: Findings
) -> None:
    """Raises SessionError."""
    asked = [action for action in _LISTS if action.name in allowed]
    phones = Phones()
    for action in asked:
        for item in (await session.ask(action)).items:
            _note(phones, item)
    if rules.only_endpoints is not None:
        phones = phones.of_company(rules.only_endpoints)
    if not phones.endpoints:
        _nothing_listed(rules, "it lists none of ours" if asked else "our user may not list phones", findings)
    elif rules.is_shared() and rules.only_endpoints is None:
        _nothing_listed(rules, "it lists those of other companies as well", findings)
    else:
        _compare(phones, rules, findings)
    _trunks(phones, rules, findings)
    if route is not None:
        _technology(phones, rules, route, findings)


def _note(phones: Phones, item: Event) -> None:
    name = item.get("ObjectName")
    match item.name:
        case "EndpointList":
            phones.endpoints[name] = "PJSIP"
            if item.get("OutboundAuths"):
                phones.registering.add(name)
        case "PeerEntry":
            phones.endpoints[name] = item.get("Channeltype") or "SIP"
        case "DeviceStateChange":
            if found := _PHONE.fullmatch(item.get("Device")):
                phones.endpoints.setdefault(found[2], found[1])
        case "ExtensionStatus":
            if found := _PHONE.match(item.get("Hint")):
                phones.endpoints.setdefault(found[2], found[1])
                if found[2] != item.get("Exten"):
                    phones.hints[found[2]] = item.get("Exten")
        case _:
            pass


def _nothing_listed(rules: TrackerRules, why: str, findings: Findings) -> None:
    findings.unknown(
        "pbx.extensions",
        f"whether [calls] extensions ({_rule(rules)}) fits the phones of this PBX cannot be seen: {why}",
        "compare it with `asterisk -rx 'pjsip show endpoints'` or 'sip show peers'",
    )


def _compare(phones: Phones, rules: TrackerRules, findings: Findings) -> None:
    numbers = sorted(filter(_NUMBER.fullmatch, phones.endpoints))
    ours = [number for number in numbers if rules.is_extension(number)]
    named = [name for name in phones.endpoints if name in rules.devices]
    others = [number for number in numbers if not rules.is_extension(number) and _is_open(number, rules)]
    if (ours or named) and not others:
        findings.ok("pbx.extensions", f"{len(ours) + len(named)} phones are employees' by [calls]")
    elif ours or named:
        findings.warn(
            "pbx.extensions",
            f"{len(ours) + len(named)} phones are employees' by [calls]; {_listed(others)} are not: their calls are "
            "not shown in the CRM",
            f"if employees have them, widen [calls] extensions = {_rule(rules)}, else name lines in [calls] trunks",
        )
    elif others:
        findings.problem(
            "pbx.extensions",
            f"no phone of this PBX is an employee's: {_listed(others)} do not match [calls] extensions = "
            f"{_rule(rules)}, so no call is shown in the CRM",
            f"set [calls] extensions = '{_fitting(others)}', the numbers that users have in the CRM as their extension",
        )
    else:
        findings.unknown(
            "pbx.extensions",
            f"no phone of this PBX is named like an extension by [calls] extensions = {_rule(rules)}: "
            f"{_listed(sorted(phones.endpoints))}. Each is an employee's if its CallerID is an extension, which no "
            "list shows",
            f"otherwise name it: [calls] devices = {{ {_devices(phones, rules)} }}",
        )


def _devices(phones: Phones, rules: TrackerRules) -> str:
    """The first endpoints with the numbers of their hints, as the configuration takes them."""
    known = {name: number for name, number in sorted(phones.hints.items()) if rules.is_extension(number)}
    named = known or {min(phones.endpoints): "101"}
    return ", ".join(f'"{name}" = "{number}"' for name, number in list(named.items())[:SHOWN])


def _is_open(number: str, rules: TrackerRules) -> bool:
    """Nothing in the configuration says whose it is."""
    return number not in rules.devices and number not in rules.trunks


def _trunks(phones: Phones, rules: TrackerRules, findings: Findings) -> None:
    """Lines whose name looks like an employee's number."""
    lines = sorted(name for name in phones.registering if rules.is_extension(name) and _is_open(name, rules))
    if lines:
        findings.warn(
            "pbx.trunks",
            f"{_listed(lines)} log in at another server, so they are lines, and their names look like extensions: "
            "calls over them could be taken for internal ones",
            f"set [calls] trunks = {json.dumps(lines)}",
        )


def _technology(phones: Phones, rules: TrackerRules, route: Route, findings: Findings) -> None:
    """A click that rings SIP/101 where the phones are PJSIP's rings nothing."""
    wanted = route.channel.partition("/")[0].upper()
    listed = {technology.upper() for name, technology in phones.endpoints.items() if rules.is_extension(name)}
    if wanted in ("PJSIP", "SIP", "IAX2") and listed and wanted not in listed:
        (there, *_) = sorted(listed)
        findings.problem(
            "pbx.click.technology",
            f"clicks ring {route.channel}, but the employees' phones are {', '.join(sorted(listed))}: none would ring",
            f'set [[pbx]] originate_channel = "{there}/{{extension}}"',
        )


def _listed(names: Iterable[str]) -> str:
    every = list(names)
    more = f" and {len(every) - SHOWN} more" if len(every) > SHOWN else ""
    return ", ".join(every[:SHOWN]) + more


def _rule(rules: TrackerRules) -> str:
    if isinstance(rules.extensions, frozenset):
        return f"[{_listed(sorted(rules.extensions))}]"
    return f"'{rules.extensions.pattern}'"


def _fitting(numbers: Iterable[str]) -> str:
    r"""A pattern for numbers of these lengths: ``^\d{3,4}$``."""
    lengths = sorted({len(number) for number in numbers})
    return rf"^\d{{{lengths[0]}}}$" if len(lengths) == 1 else rf"^\d{{{lengths[0]},{lengths[-1]}}}$"
