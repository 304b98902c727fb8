"""The facts about one call that its rows show: by the call model, as of a call that was watched."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from uac_trio.calls.call import ClickOrder, Direction
from uac_trio.calls.click import CHANNEL_ID_PREFIX
from uac_trio.calls.fact import CallEnded, Fact, ParticipationEnded
from uac_trio.calls.names import known, parse_channel_name
from uac_trio.calls.rules import TrackerRules
from uac_trio.calls.tracker import CallTracker
from uac_trio.cdr.call_rows import CallRows
from uac_trio.cdr.cel import CelRow
from uac_trio.cdr.from_cel import CelEvents, is_enough
from uac_trio.cdr.from_rows import Names, RowEvents, Timed, uniqueids_of
from uac_trio.cdr.grouping import Group
from uac_trio.cdr.people import Devices, devices_of
from uac_trio.cdr.reading import CONFERENCES, in_call, is_talk_known
from uac_trio.cdr.row import CdrRow, Disposition
from uac_trio.cdr.zone import placed_cel

_OWN_PHONES = "FMPR-"
"""Of FreePBX's findmefollow module (functions.inc.php)."""


@attrs.frozen
class Reader:
    """Reads the calls of one PBX."""

    pbx: str
    devices: Devices

    @property
    def rules(self) -> TrackerRules:
        return self.devices.rules

    def facts(self, group: Group, cel: Sequence[CelRow] = ()) -> list[Fact]:
        """What the rows of one call show, in order. Of nothing that people did: none. ``cel``: the call's, as they were
        stored; none where the PBX keeps none."""
        group = attrs.evolve(group, rows=self._with_own_phones(group.rows))
        extensions = self._extensions(group)
        originated = _originated(group)
        rows = CallRows(in_call(group.rows, originated, lambda name: bool(extensions.get(name))))
        uniqueids = {row.channel: row.uniqueid for row in cel if row.type == "CHAN_START"}
        names = Names(uniqueids={**uniqueids, **uniqueids_of(group.rows)}, extensions=extensions)
        source = RowEvents(rows, names, originated)
        order = self._order(group, originated, extensions)
        if is_enough(rows, cel):
            events = CelEvents(source, placed_cel(cel, group.offset), originated).events()
            return self._played(group, events, order, frozenset())
        return self._played(group, source.events(), order, _unsure(rows, extensions))

    def _with_own_phones(self, rows: Sequence[CdrRow]) -> tuple[CdrRow, ...]:
        """FreePBX's follow-me rings the extension's own phones behind ``Local/FMPR-206@from-internal``, which goes out
        of the way: where no row names such a phone, this one stands for it (fm_mobile_confirms)."""
        named = {self.devices.extension(parse_channel_name(row.dstchannel).endpoint) for row in rows if row.dstchannel}
        found: list[CdrRow] = []
        for row in rows:
            name = parse_channel_name(row.dstchannel)
            extension = name.endpoint.removeprefix(_OWN_PHONES)
            is_own = name.half == "1" and extension != name.endpoint and self.rules.is_extension(extension)
            if is_own and extension not in named and row.disposition is not Disposition.ANSWERED:
                row = attrs.evolve(row, dstchannel=f"Phone/{extension}-{row.sequence}")
            found.append(row)
        return tuple(found)

    def _extensions(self, group: Group) -> dict[str, str]:
        found: dict[str, str] = {}
        for name in {name for row in group.rows for name in (row.channel, row.dstchannel) if name}:
            parsed = parse_channel_name(name)
            extension = self.devices.extension(parsed.endpoint) if parsed.is_person else ""
            if extension:
                found[name] = extension
        return found

    def _order(self, group: Group, originated: str, extensions: dict[str, str]) -> ClickOrder | None:
        """Who clicked on which number, as far as rows show it. The line's row has the number that was dialled, the row
        of the employee's phone the one it showed."""
        if not originated:
            return None
        rules, number, employee = self.rules, "", ""
        for row in group.rows:
            own = parse_channel_name(row.channel)
            called = own.endpoint if own.half and rules.is_extension(own.endpoint) else ""
            if row.uniqueid == originated:
                employee = employee or extensions.get(row.channel, called)
                number = number or (known(row.dst) if row.dst not in (called, employee) else "")
            elif own.half == "2":
                employee = employee or called or extensions.get(row.dstchannel, "")
        if not number:  # the line was never called; the employee's phone showed the number
            number = next((row.src for row in group.rows if parse_channel_name(row.channel).half == "2"), "")
        if not rules.is_extension(number):
            number = number.removeprefix(rules.outside_prefix)
        return ClickOrder(originated, employee, number) if employee and number and number != employee else None

    def _played(
        self, group: Group, events: Sequence[Timed], order: ClickOrder | None, unsure: frozenset[str]
    ) -> list[Fact]:
        extensions = {parse_channel_name(name).endpoint: ext for name, ext in self._extensions(group).items()}
        tracker = CallTracker(self.pbx, devices_of(self.rules, extensions))
        tracker.graph.expect_bridges(is_certain=True)
        found: list[Fact] = []
        if order is not None:
            tracker.ordered(order, group.start)
        at = group.start
        for timed in events:
            at = max(at, timed.at)
            found += tracker.take([timed.event], at)
        at += self.rules.linger
        found += tracker.tick(at)
        found += tracker.finish(at)
        left_at = max((row.end for row in group.rows if row.uniqueid == group.rows[0].linkedid), default=at)
        return [_less_sure(_ended(fact, left_at), unsure) for fact in found]


def _originated(group: Group) -> str:
    """Uniqueid of the first channel of an Originate; "": people called by themselves. Ours are named so; else a Local
    channel begins the call, which no line and no phone does."""
    linkedid = group.rows[0].linkedid
    if linkedid.startswith(CHANNEL_ID_PREFIX):
        return linkedid
    own = [row for row in group.rows if row.uniqueid == row.linkedid]
    for row in own or group.rows[:1]:
        name = parse_channel_name(row.channel)
        if name.half == "1" or (name.half == "2" and not own):
            return row.linkedid if name.half == "1" else _other_half(row)
    return ""


def _other_half(row: CdrRow) -> str:
    """The uniqueid of ``;1``, which has no row: the call's linkedid, unless that is ``;2``'s own."""
    return row.linkedid if row.linkedid != row.uniqueid else f"{row.linkedid};1"


def _unsure(rows: CallRows, extensions: dict[str, str]) -> frozenset[str]:
    """The employees of whom the rows do not show how long they talked; "" among them: others do not show it either."""
    found: set[str] = set()
    for each in rows:
        if rows.is_connected(each) and not each.is_dialled and not is_talk_known(each):
            found |= {extensions.get(each.row.channel, ""), extensions.get(each.row.dstchannel, "")}
        elif each.row.app in CONFERENCES:
            found.add("")
    return frozenset(found)


def _ended(fact: Fact, left_at: float) -> Fact:
    """An incoming call is over when the customer has left, though a mailbox they were sent to listens on
    (fm_machine_then_desk). ``left_at``: when the channel did with which the call began."""
    if isinstance(fact, CallEnded) and fact.summary.direction is Direction.INBOUND:
        return attrs.evolve(fact, ended_at=min(fact.ended_at, left_at + 1))
    return fact


def _less_sure(fact: Fact, unsure: frozenset[str]) -> Fact:
    """The fact without a talk time that is not known."""
    if isinstance(fact, ParticipationEnded) and fact.extension in unsure:
        return attrs.evolve(fact, talk_secs=0.0)
    if isinstance(fact, CallEnded) and unsure:
        return attrs.evolve(fact, summary=attrs.evolve(fact.summary, talk_secs=None))
    return fact
