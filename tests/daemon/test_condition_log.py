from __future__ import annotations

import structlog.testing

from uac_trio.daemon.condition_log import log_changes
from uac_trio.daemon.conditions import Changes, Condition, Finding


def test_one_line_for_the_beginning_and_one_for_the_end() -> None:
    """The first has the words, in a field whose numbers are masked, and the remedy; the second how long it lasted."""
    one = Finding(condition=Condition.NO_CALLS, pbx="main", words="no call", remedy="make one", since=100.0)
    with structlog.testing.capture_logs() as logs:
        log_changes(Changes(began=[one], ended=[]), 100.0)
        log_changes(Changes(began=[], ended=[one]), 163.4)
    assert logs == [
        {
            "event": "condition.began",
            "log_level": "warning",
            "condition": "no_calls",
            "severity": "warning",
            "pbx": "main",
            "reason": "no call",
            "remedy": "make one",
        },
        {"event": "condition.ended", "log_level": "info", "condition": "no_calls", "pbx": "main", "seconds": 63},
    ]
