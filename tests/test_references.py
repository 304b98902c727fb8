"""The pages of reference have what the program has: every log event with its level, every metric with its meaning."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.daemon.test_metrics import standing
from uac_trio.daemon.metrics import Metrics
from uac_trio.web.streams import StreamsStatus

ROOT = Path(__file__).parent.parent
LEVELS: Mapping[str, str] = {
    "debug": "debug",
    "info": "info",
    "warning": "warning",
    "error": "error",
    "exception": "error",
    "critical": "error",
}
"""The method of a logger to the level that its line has."""

EVENT = re.compile(r"[a-z0-9_]+\.[a-z0-9_]+")


def logged() -> Iterator[tuple[str, str]]:
    """(event, level) of each line that the package can log."""
    for path in (ROOT / "uac_trio").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or not node.args:
                continue
            event = node.args[0]
            if node.func.attr in LEVELS and isinstance(event, ast.Constant) and EVENT.fullmatch(str(event.value)):
                yield str(event.value), LEVELS[node.func.attr]


def table(page: str) -> list[list[str]]:
    """The cells of all rows whose first is a name in code."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    rows = [line.strip("|").split(" | ") for line in text.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in row] for row in rows]


def test_log_events() -> None:
    """docs/logs.md has each once, with its level, and no other."""
    shown = [(event.strip("`"), level) for event, level, _ in table("logs.md")]
    assert set(shown) ^ set(logged()) == set()
    assert len(shown) == len(set(shown))


def test_metrics() -> None:
    """docs/metrics.md has each with its type, and no other."""
    streams = StreamsStatus(open=1, opened=1, events=1, dropped=0, refused={"expired": 1}, last_seen_at=None)
    page = Metrics().page(standing(streams=streams), 1, {"ready": 1}).decode()
    kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)$", page, re.MULTILINE))
    shown = {name.strip("`"): kind for name, kind, *_ in table("metrics.md")}
    assert shown == kinds
