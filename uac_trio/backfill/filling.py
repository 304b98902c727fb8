"""One pass over a span of a PBX's CDR: what the CRM lacks of its calls is put into the outbox.

A pass may be repeated at will: what is there is left as it is. Calls that may still go on are left to a later pass.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from zoneinfo import ZoneInfo

import attrs
import structlog
import trio

from uac_trio.backfill.source import CdrSource
from uac_trio.calls.fact import RecordingKnown
from uac_trio.calls.rules import TrackerRules
from uac_trio.cdr.facts import Reader
from uac_trio.cdr.grouping import Group, cel_by_call, groups
from uac_trio.cdr.missing import deliveries_of, missing
from uac_trio.cdr.people import Devices
from uac_trio.cdr.zone import offset_at, offsets
from uac_trio.crm.delivery import Delivery, DeliveryMaker
from uac_trio.crm.protocol import CRM
from uac_trio.recordings.archive import split_recordings
from uac_trio.store.outbox import Outbox

log = structlog.get_logger()

LONGEST_CALL = 6 * 3600.0
"""Seconds: a row of a call that ends in a span may begin so long before it, and is written when it ends."""

SLICE = 6 * 3600.0
"""Seconds of CDR that are in memory at a time, with ``LONGEST_CALL`` before and after."""

SETTLED = 30.0
"""Seconds after a call's last row, with none of its channels left, until it is over."""

SETTLED_UNSEEN = 900.0
"""The same where the PBX's channels are not known: its rows may be hours apart (a transferred call)."""

HISTORY = 5000
"""Rows that show whose devices are whose."""

SOME = 200
"""Calls that are compared with the outbox at a time."""


@attrs.frozen
class Span:
    """From ``since`` to ``until``, in seconds since the epoch."""

    since: float
    until: float


@attrs.frozen(kw_only=True)
class PBXCdr:
    """What is read of one PBX, and by which rules."""

    pbx: str
    source: CdrSource
    rules: TrackerRules
    crm: CRM
    token: Callable[[RecordingKnown], str]
    """What the link to a recording ends with; "" = there are no links."""
    zone: str = ""
    """``[[pbx]] cdr_zone``."""


@attrs.define
class Filled:
    """What a pass found."""

    rows: int = 0
    calls: int = 0
    """Calls in the span that CDR has."""
    open: int = 0
    """Of these, calls that may still go on."""
    filled: int = 0
    """Calls of which something was missing."""
    deliveries: list[Delivery] = attrs.field(factory=list)
    """What was missing."""
    unread: int = 0
    """Lines that are no rows."""
    zones: dict[int, int] = attrs.field(factory=dict)
    """Seconds the PBX's clock is ahead of UTC, and how many channels show it."""
    zone_differs: str = ""
    """In words, where the configured zone is not that of the data."""


@attrs.frozen
class _Found:
    """A call of the span."""

    group: Group
    deliveries: Sequence[Delivery]


@attrs.define(kw_only=True)
class Filling:
    """Runs passes over one PBX's CDR."""

    cdr: PBXCdr
    now: Callable[[], float]
    live: Callable[[], Collection[str] | None]
    """Uniqueids, Linkedids and names of the PBX's channels now; None: not known."""
    roots: Mapping[str, Sequence[str]]
    """Directories of each PBX's recordings, by its name."""

    async def fill(self, span: Span, outbox: Outbox | None, *, dry: bool = False, restarted: bool = False) -> Filled:
        """Put what is missing, unless ``dry``. Without an outbox all is missing. ``restarted``: calls that went on at
        the end of the span were found then by a connector that knew nothing of them.

        Raises CdrError, OutboxError.
        """
        result = Filled()
        found_at = span.until if restarted else None
        devices = Devices(self.cdr.rules)
        # Abandoned when cancelled: a database or a mount may hang for longer than a shutdown may take.
        result.zones = await trio.to_thread.run_sync(self._learn, devices, abandon_on_cancel=True)
        offset = self._offset(result, span)
        begin = span.since
        while begin < span.until:
            part = Span(begin, min(begin + SLICE, span.until))
            is_first = begin == span.since
            read = partial(self._read, part, devices, offset, result, self.live(), is_first=is_first)
            found = await trio.to_thread.run_sync(read, abandon_on_cancel=True)
            for index in range(0, len(found), SOME):
                await self._put(found[index : index + SOME], outbox, result, found_at, dry=dry)
            begin = part.until
        result.unread = self.cdr.source.unread
        return result

    # -- in a worker thread -------------------------------------------------------------------------------------------

    def _learn(self, devices: Devices) -> dict[int, int]:
        rows = self.cdr.source.latest(HISTORY)
        devices.learn(rows)
        return offsets(rows)

    def _offset(self, result: Filled, span: Span) -> int:
        """Seconds by which the wall clock is ahead of UTC where a call does not show it: as the data, else as the
        configuration has it."""
        configured = offset_at(ZoneInfo(self.cdr.zone), span.since) if self.cdr.zone else None
        shown = next(iter(result.zones), None)
        if configured is not None and shown is not None and configured not in result.zones:
            result.zone_differs = (
                f"cdr_zone is {self.cdr.zone}, UTC{configured / 3600:+g}, but the data are in UTC{shown / 3600:+g}, "
                "which is used: take the setting out, or look at usegmtime in cdr.conf"
            )
        return shown if shown is not None else configured or 0

    def _read(
        self,
        span: Span,
        devices: Devices,
        offset: int,
        result: Filled,
        live: Collection[str] | None,
        *,
        is_first: bool,
    ) -> list[_Found]:
        """The calls that end in ``span``, or began in the first one's; those that are over, with what they show."""
        known = [*result.zones, offset]
        low, high = min(known), max(known)
        rows = list(self.cdr.source.rows(span.since - LONGEST_CALL + low, span.until + LONGEST_CALL + high))
        result.rows += len(rows)
        devices.learn(rows)
        chosen: list[Group] = []
        for group in groups(rows, offset):
            if not (span.since < group.end and group.start < span.until) or (not is_first and group.start < span.since):
                continue  # of another slice
            result.calls += 1
            if self._may_go_on(group, live):
                result.open += 1
            else:
                chosen.append(group)
        return list(self._show(chosen, devices))

    def _may_go_on(self, group: Group, live: Collection[str] | None) -> bool:
        silent = self.now() - group.end
        if live is None:
            return silent < SETTLED_UNSEEN
        named = {name for row in group.rows for name in (row.uniqueid, row.linkedid, row.channel, row.dstchannel)}
        return silent < SETTLED or not named.isdisjoint(live)

    def _show(self, chosen: Sequence[Group], devices: Devices) -> Iterator[_Found]:
        cdr = self.cdr
        reader = Reader(cdr.pbx, devices)
        for index in range(0, len(chosen), SOME):
            some = chosen[index : index + SOME]
            linkedids = {linkedid for group in some for linkedid in group.linkedids}
            uniqueids = {row.uniqueid for group in some for row in group.rows}
            cel = cel_by_call(some, cdr.source.cel(linkedids, uniqueids))
            for group, of_group in zip(some, cel, strict=True):
                maker = DeliveryMaker(cdr.pbx, cdr.crm.scope, cdr.crm.wants, cdr.token)
                facts = reader.facts(group, of_group)
                found = deliveries_of(facts, maker, cdr.rules)
                if found:
                    yield _Found(group, found)

    # -- the outbox ---------------------------------------------------------------------------------------------------

    async def _put(
        self, found: Sequence[_Found], outbox: Outbox | None, result: Filled, found_at: float | None, *, dry: bool
    ) -> None:
        call_ids = sorted({each.call_id for one in found for each in one.deliveries})
        known = await outbox.known_of(call_ids) if outbox is not None else []
        for one in found:
            ids = {each.call_id for each in one.deliveries}
            lacking = missing(one.deliveries, [each for each in known if each.delivery.call_id in ids], found_at)
            if not lacking:
                continue
            if outbox is not None and not dry:
                new, recordings = split_recordings(lacking, self.roots)
                await outbox.back_fill(new, self.now(), recordings)
            result.filled += 1
            result.deliveries += lacking
