"""A line in the log when a condition begins, and one when it ends."""

from __future__ import annotations

import structlog

from uac_trio.daemon.conditions import Changes

log = structlog.get_logger()


def log_changes(changes: Changes, at: float) -> None:
    """``at``: seconds since the epoch. The words go into ``reason``, where numbers are masked."""
    for one in changes.began:
        log.warning(
            "condition.began",
            condition=one.condition.value,
            severity=one.severity.value,
            pbx=one.pbx or None,
            reason=one.words,
            remedy=one.remedy or None,
        )
    for one in changes.ended:
        seconds = round(at - (one.since if one.since is not None else at))
        log.info("condition.ended", condition=one.condition.value, pbx=one.pbx or None, seconds=seconds)
