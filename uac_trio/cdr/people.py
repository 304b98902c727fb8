"""Which device is whose, as CDR shows it: it has the names of devices, and extensions only as numbers that called or
were called."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import attrs

from uac_trio.calls.endpoint import is_outside
from uac_trio.calls.names import dialled_number, parse_channel_name
from uac_trio.calls.rules import TrackerRules
from uac_trio.cdr.row import CdrRow


@attrs.define
class Devices:
    """What the rows of one PBX show of its endpoints."""

    rules: TrackerRules
    _called_with: dict[str, dict[str, int]] = attrs.field(factory=dict, init=False)
    """Endpoint to the numbers it called with, and how often."""
    _called_as: dict[str, dict[str, int]] = attrs.field(factory=dict, init=False)
    """Endpoint to the extensions at which it alone was dialled."""
    _groups: set[str] = attrs.field(factory=set, init=False)
    """Numbers at which several people's devices ring."""
    _lines: set[str] = attrs.field(factory=set, init=False)
    _contexts: dict[str, str] = attrs.field(factory=dict, init=False)
    """Endpoint to the dialplan context in which it calls."""

    def learn(self, rows: Iterable[CdrRow]) -> None:
        """Take in rows, in any order."""
        first: dict[str, CdrRow] = {}
        for row in sorted(rows, key=lambda row: row.order):
            begun = first.setdefault(row.uniqueid, row)
            name = parse_channel_name(row.channel)
            number = row.own_number if self.rules.is_extension(row.own_number) else row.src
            if name.is_person and number and row is begun:
                self._learn_caller(name.endpoint, number, row.context)
            far = parse_channel_name(row.dstchannel)
            if row.dstchannel and far.is_person and row.app in ("Dial", "Queue"):
                self._learn_dialled(row, far.endpoint, is_first=row.data == begun.data)

    def _learn_caller(self, endpoint: str, number: str, context: str) -> None:
        if is_outside(context) and self.rules.is_extension(number):
            return  # a stranger, or an employee from outside, who shows an employee's number
        self._contexts.setdefault(endpoint, context)
        _count(self._called_with, endpoint, number)

    def _learn_dialled(self, row: CdrRow, endpoint: str, *, is_first: bool) -> None:
        number = dialled_number(part_of(row.data, row.dstchannel), endpoint)
        if number and number != endpoint and not self.rules.is_extension(number):
            self._lines.add(endpoint)
        if row.app == "Queue":
            self._groups.add(row.dst)
            return
        extension = row.dst.rpartition("-")[2]
        if not is_first or not self.rules.is_extension(extension) or not part_of(row.data, row.dstchannel):
            return
        named = self._named(endpoint)
        if named and named != extension:
            self._groups.add(extension)
        _count(self._called_as, endpoint, extension)

    def _named(self, endpoint: str) -> str:
        return endpoint if self.rules.is_extension(endpoint) else ""

    def extension(self, endpoint: str) -> str:
        """Whose device it is; "": a line's, another company's on a shared PBX, or not known."""
        rules = self.rules
        if endpoint in rules.devices:
            return rules.devices[endpoint]
        if rules.is_shared() and not rules.is_our_device(endpoint, self._contexts.get(endpoint, ""), ""):
            return ""
        if endpoint in rules.trunks or endpoint in self._lines:
            return ""
        called_with = self._called_with.get(endpoint, {})
        own = [number for number in called_with if rules.is_extension(number)]
        if len(own) == 1 and called_with[own[0]] >= len(called_with) - 1:
            return own[0]
        if named := self._named(endpoint):
            return named
        leading = endpoint.partition("-")[0].partition("_")[0]
        if leading != endpoint and rules.is_extension(leading) and not called_with:
            return leading
        called_as = self._called_as.get(endpoint, {})
        alone = [number for number in called_as if number not in self._groups]
        return alone[0] if len(alone) == 1 else ""


def _count(counts: dict[str, dict[str, int]], key: str, number: str) -> None:
    of_key = counts.setdefault(key, {})
    of_key[number] = of_key.get(number, 0) + 1


def part_of(data: str, channel: str) -> str:
    """Of ``PJSIP/101&PJSIP/0916...@trunk,30,tT`` what dialled this channel, without the technology; "": nothing there
    did."""
    name = parse_channel_name(channel)
    for part in data.partition(",")[0].split("&"):
        technology, _, string = part.partition("/")
        names = {*string.split("/"), string.rpartition("@")[2].partition("/")[0], string.partition("@")[0]}
        if technology == name.technology and name.endpoint in names:
            return string
    return ""


def devices_of(rules: TrackerRules, extensions: Mapping[str, str]) -> TrackerRules:
    """The rules, with the devices that were learned: the call model then knows them as if they were written there."""
    return attrs.evolve(rules, devices={**extensions, **rules.devices})
