"""Checks a PBX's CDR: whether calls that no connector watched can be filled in from it, and what is missing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

import trio

from uac_trio.backfill.opening import open_source
from uac_trio.backfill.settings import CdrSettings
from uac_trio.backfill.source import CdrError, CdrSource
from uac_trio.cdr.layout import NO_LINKEDID
from uac_trio.cdr.row import CdrRow, Disposition
from uac_trio.cdr.zone import offset_at, offsets
from uac_trio.live_check.finding import Findings

ROWS = 500
"""The latest rows, of which the check concludes."""

OLD = 3 * 86400.0
"""Seconds after which the newest row is too old for a PBX that is in use."""

MASTER = Path("/var/log/asterisk/cdr-csv/Master.csv")


async def check_cdr(settings: CdrSettings, now: Callable[[], float], findings: Findings) -> None:
    """Reads the latest rows and the description of the table."""
    try:
        source = open_source(settings)
        # In a thread that can be abandoned: a database may hang for longer than the check may take.
        look = partial(_look, source)
        rows, remarks = await trio.to_thread.run_sync(look, abandon_on_cancel=True)
    except CdrError as why:
        findings.problem("cdr.unreadable", f"calls cannot be filled in: {why}")
        return
    for remark in remarks:
        if remark == NO_LINKEDID:
            findings.problem("cdr.linkedid", f"calls cannot be filled in from {source.where}: {remark}")
        else:
            findings.warn("cdr.lacks", remark)
    if rows:
        _rows(settings, source, rows, now(), findings)
    elif NO_LINKEDID not in remarks:
        findings.warn(
            "cdr.empty", f"{source.where} can be read, and has no rows", "is it this PBX's, and has a call ended since?"
        )


def _look(source: CdrSource) -> tuple[Sequence[CdrRow], Sequence[str]]:
    return source.latest(ROWS), source.remarks()


def _rows(settings: CdrSettings, source: CdrSource, rows: Sequence[CdrRow], at: float, findings: Findings) -> None:
    shown = offsets(rows)
    configured = offset_at(ZoneInfo(settings.zone), rows[-1].start) if settings.zone else None
    if not shown and not all(row.is_absolute for row in rows) and configured is None:
        findings.problem(
            "cdr.zone",
            "its time zone cannot be found from its uniqueids",
            'name it in cdr_zone of this [[pbx]], such as cdr_zone = "Europe/Moscow"',
        )
    elif shown and configured is not None and configured not in shown:
        findings.warn(
            "cdr.zone",
            f"cdr_zone is {settings.zone}, UTC{configured / 3600:+g}, but the rows are in "
            f"UTC{next(iter(shown)) / 3600:+g}, which is used",
            "take cdr_zone out, or look at usegmtime in cdr.conf",
        )
    if not any(row.dstchannel for row in rows):
        findings.problem(
            "cdr.dials",
            "no row names who was called, so calls cannot be filled in",
            "set ignoredialchanges=no in cdr.conf (Asterisk 22)",
        )
    newest = rows[-1].start - next(iter(shown), configured or 0)
    if at - newest > OLD:
        days = (at - newest) / 86400
        findings.warn(
            "cdr.old", f"its newest row is {days:.0f} days old", "does Asterisk still write it (cdr show status)?"
        )
    has_unanswered = any(row.disposition is not Disposition.ANSWERED and not row.dstchannel for row in rows)
    lacks = (
        "" if has_unanswered else "; calls for which no phone was tried have no row there (unanswered=no in cdr.conf)"
    )
    findings.ok("cdr.readable", f"{source.where}: calls that no connector watched are filled in from it{lacks}")


async def check_no_cdr(findings: Findings, master: Path = MASTER) -> None:
    """Back-fill is off everywhere: whether one line would switch it on."""
    source = open_source(CdrSettings(pbx="", address=f"csv://{master}"))
    try:
        rows, remarks = await trio.to_thread.run_sync(partial(_look, source), abandon_on_cancel=True)
    except CdrError:
        rows, remarks = (), ()
    line = f'cdr = "csv://{master}"' if rows else "docs/backfill.md has the line"
    why = f"; {master} would not do: {NO_LINKEDID}" if NO_LINKEDID in remarks else ""
    findings.ok(
        "cdr.off", f"calls are not filled in that happen while no connector is connected; to switch it on: {line}{why}"
    )
