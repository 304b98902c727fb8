"""Checks the store: can it be written, whose is its file, what waits in it, and what the CRM answered to calls."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import trio

from uac_trio.live_check.finding import Findings
from uac_trio.logs import mask_text
from uac_trio.store.inspecting import StoreLook, inspect_store
from uac_trio.store.settings import OutboxError, OutboxSettings
from uac_trio.users import user_name

LITTLE, ALMOST_NONE = 1 << 30, 100 << 20
"""Free bytes at the store, below which there is a warning, a problem."""
OLD = 300.0
"""Seconds after which a waiting delivery gets a warning."""


async def check_store(settings: OutboxSettings, now: Callable[[], float], findings: Findings) -> None:
    """Neither makes nor changes anything."""
    try:
        look = await inspect_store(settings)
    except OutboxError as why:
        findings.problem("store.unusable", str(why))
        return
    if not look.exists:
        findings.ok("store.new", f"{look.file} does not exist yet and can be created; the first start creates it")
    elif look.schema != look.newest:
        findings.ok(
            "store.writable", f"{look.where} can be written; the next start updates its schema to {look.newest}"
        )
    else:
        findings.ok("store.writable", f"{look.where} can be written, and its schema is current ({look.schema})")
    _rows(look, now(), findings)
    _believed(look, findings)
    if look.file is not None:
        await trio.to_thread.run_sync(_owner, look.file, findings)
        _disk(look.file.parent, findings)


def _rows(look: StoreLook, now: float, findings: Findings) -> None:
    counts = look.statistics
    if counts is None:
        return
    waits = 0.0 if counts.oldest_waiting_at is None else max(0.0, now - counts.oldest_waiting_at)
    numbers = f"{counts.waiting} deliveries wait, {counts.delivered} are delivered and still kept"
    if waits > OLD:
        findings.warn(
            "store.waiting",
            f"{numbers}; the oldest waits for {waits / 60:.0f} minutes",
            "does the daemon run (systemctl status uac-trio), and is the CRM reachable?",
        )
    else:
        findings.ok("store.waiting", numbers)
    if counts.parked:
        reasons = dict.fromkeys(mask_text(row.reason) for row in look.parked)
        findings.warn(
            "store.dead_letters",
            f"{counts.parked} dead letters: {'; '.join(reasons)}",
            "uac-trio outbox list shows them; once the reason is mended, uac-trio outbox retry --all sends them again",
        )


def _believed(look: StoreLook, findings: Findings) -> None:
    """What the CRM answered to the calls of this store: an error that was taken for written is one to mend."""
    believed = sorted({begin.extension for begin in look.begins if begin.is_probable})
    if believed:
        findings.warn(
            "crm.errors",
            f"the CRM answered an error (HTTP 500) to calls of {', '.join(believed[:5])}, and they were taken for "
            "written: a fresh SalesPlatform 7.2 answers so to all that it writes",
            "its web server's error log has the reason; where it names Record.php of PBXManager, put the "
            "modules/PBXManager/models/Record.php of SalesPlatform's repository in its place",
        )


def _owner(file: Path, findings: Findings) -> None:
    """A file of another user than its directory's is one that a command made as root."""
    try:
        owner = file.parent.stat().st_uid
        foreign = [path for path in (file, *(file.with_name(file.name + end) for end in ("-wal", "-shm")))
                   if path.exists() and path.stat().st_uid != owner]  # fmt: skip
    except OSError:
        return  # reported by what opens it
    if not foreign:
        return
    theirs, name = user_name(foreign[0].stat().st_uid), user_name(owner)
    words = f"{foreign[0]} belongs to {theirs}, its directory to {name}: the daemon of {name} cannot write it"
    report = findings.warn if owner == os.geteuid() != 0 or owner == 0 else findings.problem
    report("store.owner", words, f"chown {name}: {' '.join(map(str, foreign))}")


def _disk(directory: Path, findings: Findings) -> None:
    free = shutil.disk_usage(directory).free
    words = f"{free / (1 << 30):.1f} GiB are free where the store is ({directory})"
    if free < ALMOST_NONE:
        findings.problem("store.disk", words, "make room: without it no delivery can be stored")
    elif free < LITTLE:
        findings.warn("store.disk", words, "make room")
    else:
        findings.ok("store.disk", words)
