"""deploy/prometheus: alerts that Prometheus accepts and that fire, a dashboard of metrics that exist."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.daemon.test_metrics import standing
from uac_trio.daemon.conditions import Condition, Severity
from uac_trio.daemon.metrics import Metrics

HERE = Path(__file__).parent.parent / "deploy" / "prometheus"
RULES = HERE / "uac-trio.rules.yml"
TESTS = HERE / "uac-trio.rules.test.yml"
DASHBOARD = HERE / "uac-trio.dashboard.json"
PROMTOOL = shutil.which("promtool")

needs_promtool = pytest.mark.skipif(
    PROMTOOL is None, reason="promtool, of Debian's package prometheus, is not installed"
)


def known() -> set[str]:
    """The names of all series that a scrape gives, the parts of histograms too."""
    page = Metrics().page(standing(), 1, {"ready": 1}).decode()
    names = set()
    for name, kind in re.findall(r"^# TYPE (\S+) (\S+)$", page, re.MULTILINE):
        names |= {f"{name}_{part}" for part in ("bucket", "sum", "count")} if kind == "histogram" else {name}
    return names


def named(text: str) -> set[str]:
    """The metrics in an expression."""
    return set(re.findall(r"\b(?:uac|process)_[a-z0-9_]+(?=[\[{)\s,]|$)", text))


def expressions(panel: Any) -> Iterator[str]:
    """All PromQL of a dashboard or a part of it."""
    if isinstance(panel, dict):
        for key, value in panel.items():
            if key in ("expr", "query", "definition") and isinstance(value, str):
                yield value
            else:
                yield from expressions(value)
    elif isinstance(panel, list):
        for each in panel:
            yield from expressions(each)


def promtool(*arguments: str | Path) -> None:
    done = subprocess.run(
        [str(PROMTOOL), *arguments], cwd=HERE, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
def test_rules_are_valid() -> None:
    """Prometheus accepts them."""
    promtool("check", "rules", RULES)


@needs_promtool
def test_rules_fire() -> None:
    """Each fires when what it is for goes on long enough, and none when all is well."""
    promtool("test", "rules", TESTS)


def test_rules_name_metrics() -> None:
    """Each metric in an alert is one that the program has."""
    found = set()
    for block in re.findall(r"expr: (?:\|\n((?: {10}.+\n)+)|(.+))", RULES.read_text()):
        found |= named("".join(block))
    assert found
    assert found - known() == set()


def test_every_alert_is_tested() -> None:
    """The tests for promtool expect each alert once."""
    alerts = re.findall(r"- alert: (\w+)", RULES.read_text())
    assert sorted(alerts) == sorted(re.findall(r'alertname="(\w+)"\}', TESTS.read_text()))


def test_every_problem_is_an_alert() -> None:
    """A condition that is left out of the general alert has one of its own, and is one that there is."""
    (left_out,) = re.findall(r'severity="problem", condition!~"([a-z_|]+)"', RULES.read_text())
    of_their_own = {
        "pbx_away": "uac_pbx_connected == 0",
        "crm_away": "uac_crm_up == 0",
        "store_fails": "uac_store_up == 0",
        "dead_letters": 'uac_outbox_rows{state="parked"} > 0',
        "may_be_lost": "uac_deliveries_may_be_lost_total",
    }
    assert set(left_out.split("|")) == of_their_own.keys()
    assert of_their_own.keys() <= {each.value for each in Condition if each.severity is Severity.PROBLEM}
    assert all(expression in RULES.read_text() for expression in of_their_own.values())


def test_dashboard_names_metrics() -> None:
    """Each metric in the dashboard is one that the program has, and all panels have one."""
    dashboard = json.loads(DASHBOARD.read_text())
    found = {name for expression in expressions(dashboard) for name in named(expression)}
    assert len(found) > 20
    assert found - known() == set()
    for panel in dashboard["panels"]:
        assert panel["type"] == "row" or all(named(query) or "up{" in query for query in expressions(panel)), panel


@needs_promtool
def test_dashboard_is_valid_promql(tmp_path: Path) -> None:
    """Prometheus can read every query of the dashboard, with Grafana's variables filled in."""
    queries = [query for query in expressions(json.loads(DASHBOARD.read_text())) if named(query) or "up{" in query]
    filled = [query.replace("$__rate_interval", "5m") for query in queries if not query.startswith("label_values")]
    rules = [{"record": f"query:{number}", "expr": query} for number, query in enumerate(filled)]
    (tmp_path / "queries.yml").write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    promtool("check", "rules", tmp_path / "queries.yml")


def test_panels_do_not_overlap() -> None:
    """Each panel of the dashboard has its own place on Grafana's grid of 24 columns."""
    taken: set[tuple[int, int]] = set()
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert at["x"] + at["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells
