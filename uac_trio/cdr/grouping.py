"""Which rows are of one call: those of one linkedid, and those of a consultation that a transfer made part of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import attrs

from uac_trio.cdr.cel import CelRow
from uac_trio.cdr.row import CdrRow
from uac_trio.cdr.zone import placed

SLACK = 2.0
"""Seconds within which rows with one channel's name are of the same channel: names begin anew when Asterisk does."""


@attrs.frozen
class Group:
    """The rows of a call, with their moments, in order."""

    rows: tuple[CdrRow, ...]
    offset: int
    """Seconds the wall clock was ahead of UTC, where a row does not show it."""

    @property
    def linkedids(self) -> frozenset[str]:
        return frozenset(row.linkedid for row in self.rows)

    @property
    def start(self) -> float:
        return min(row.start for row in self.rows)

    @property
    def end(self) -> float:
        return max(row.end for row in self.rows)


def cel_by_call(calls: Sequence[Group], cel: Iterable[CelRow]) -> list[list[CelRow]]:
    """The CEL rows of each call. A channel has another linkedid before it joins the call and after."""
    owner: dict[str, int] = {}
    by_linkedid = {linkedid: index for index, group in enumerate(calls) for linkedid in group.linkedids}
    rows = list(cel)
    for row in rows:
        if row.linkedid in by_linkedid:
            owner.setdefault(row.uniqueid, by_linkedid[row.linkedid])
    owner |= {row.uniqueid: index for index, group in enumerate(calls) for row in group.rows}
    found: list[list[CelRow]] = [[] for _ in calls]
    for row in rows:
        if row.uniqueid in owner:
            found[owner[row.uniqueid]].append(row)
    return found


def groups(rows: Iterable[CdrRow], offset: int) -> list[Group]:
    """The calls that these rows are of, in the order in which they began. ``offset``: of a wall clock that no uniqueid
    of its call shows, in seconds ahead of UTC."""
    by_linkedid: dict[str, dict[tuple[str, int, float, str], CdrRow]] = {}
    for row in rows:
        by_linkedid.setdefault(row.linkedid, {}).setdefault(row.identity, row)
    single = [placed(list(of_call.values()), offset) for of_call in by_linkedid.values()]
    found = [Group(tuple(sorted(each, key=lambda row: row.order)), offset) for each in _joined(single)]
    return sorted(found, key=lambda group: (group.start, group.rows[0].linkedid))


@attrs.frozen
class _Seen:
    """A channel's name stands in the rows of a linkedid, by its number, from ``start`` to ``end``."""

    start: float
    end: float
    index: int


def _joined(single: Sequence[list[CdrRow]]) -> Iterator[list[CdrRow]]:
    """CDR gives a consultation a linkedid of its own. The customer's last row names the same channel of the colleague
    as the consultation does (attended_refer)."""
    leader = list(range(len(single)))

    def find(index: int) -> int:
        while leader[index] != index:
            leader[index] = leader[leader[index]]
            index = leader[index]
        return index

    by_name: dict[str, list[_Seen]] = {}
    for index, rows in enumerate(single):
        for row in rows:
            for name in {row.channel, row.dstchannel} - {""}:
                by_name.setdefault(name, []).append(_Seen(row.start, row.end, index))
    for seen in by_name.values():
        seen.sort(key=lambda each: each.start)
        until, first = seen[0].end, seen[0].index
        for each in seen[1:]:
            if each.start <= until + SLACK:
                leader[find(each.index)] = find(first)
                until = max(until, each.end)
            else:
                until, first = each.end, each.index
    together: dict[int, list[CdrRow]] = {}
    for index, rows in enumerate(single):
        together.setdefault(find(index), []).extend(rows)
    yield from together.values()
