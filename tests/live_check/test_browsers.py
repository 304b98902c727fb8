from __future__ import annotations

import json
from typing import Any

import pytest

from uac_trio.live_check.browsers import RECENT, check_browsers
from uac_trio.live_check.finding import Findings, Level

NOW = 1764000000.0


def found(companion: Any) -> Findings:
    findings = Findings("HTTP")
    check_browsers(json.dumps({"companion": companion} if companion is not None else {}).encode(), NOW, findings)
    return findings


@pytest.mark.parametrize(
    ("companion", "level", "words"),
    [
        ({"streams": 3, "last_seen": NOW}, Level.OK, "3 browsers"),
        ({"streams": 0, "last_seen": None}, Level.WARNING, "since the daemon started"),
        ({"streams": 0, "last_seen": NOW - 60}, Level.OK, "the last had one"),
        ({"streams": 0, "last_seen": NOW - RECENT - 1}, Level.WARNING, "the last had one"),
    ],
)
def test_streams_of_the_daemon(companion: dict[str, Any], level: Level, words: str) -> None:
    (finding,) = found(companion).found
    assert (finding.level, finding.id) == (level, "http.browsers")
    assert words in finding.words


@pytest.mark.parametrize("companion", [None, "x", {"streams": 3}, {"streams": "many", "last_seen": 1}, []])
def test_off_or_another_version(companion: Any) -> None:
    """There is nothing to report."""
    assert found(companion).found == []


def test_no_json() -> None:
    findings = Findings("HTTP")
    check_browsers(b"<html>", NOW, findings)
    assert findings.found == []
