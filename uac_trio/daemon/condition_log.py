"""A line in the log when a condition begins, and one when it ends."""

from __future__ import annotations

import structlog

from uac_trio.daemon.conditions import Changes, Finding

log = structlog.get_logger()


def log_changes(changes: Changes, at: float) -> None:
    """``at``: seconds since the epoch. The words go into ``reason``, where numbers are masked."""
    for one in changes.began:
        log.warning("condition.began", **_about(one), severity=one.severity.value, reason=one.words, remedy=one.remedy)
    for one in changes.ended:
        seconds = round(at - (one.since if one.since is not None else at))
        log.info("condition.ended", **_about(one), seconds=seconds)


def _about(one: Finding) -> dict[str, str]:
    return {"condition": one.condition.value} | ({"pbx": one.pbx} if one.pbx else {})
