from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from uac_trio.live_check.finding import Finding, Findings, Level
from uac_trio.live_check.report import Loss, as_json, closing_lines, finding_lines, loss, verdict

PACKAGE = Path(__file__).parents[2] / "uac_trio"
DOCS = Path(__file__).parents[2] / "docs"

ID = r'"((?:pbx|cdr|crm|call|http|fastagi|store|recordings|secrets|user|check|config|daemon)\.[a-z_.]+)"'
JSON_KEYS = {"uac_trio", "config", "calls", "verdict", "findings", "watched"}

OK = Finding(Level.OK, "pbx.login", "fine")
UNKNOWN = Finding(Level.UNKNOWN, "pbx.unseen", "not seen", "look")
CLICKS = Finding(Level.PROBLEM, "pbx.click.rights", "no clicks", "add originate")
CALLS = Finding(Level.PROBLEM, "pbx.login", "no login", "mend manager.conf")
NO_CALL = Finding(Level.PROBLEM, "call.none", "no call", "make a call")
SECRET = Finding(Level.PROBLEM, "secrets.readable", "open", "chmod 600")
FREE = Finding(Level.OK, "http.free", "no daemon")


def test_lines() -> None:
    """Findings are lines for a terminal, the worst last, long ones broken between words, the remedy below."""
    part = Findings("PBX main", [Finding(Level.PROBLEM, "x.y", "word " * 40, "do it"), OK])
    lines = "\n".join(finding_lines([part])).splitlines()
    assert lines[0] == "ok       PBX main: fine"
    assert lines[1].startswith("problem  PBX main: word word")
    assert lines[2].startswith("           word")
    assert lines[-1] == "         > do it"
    assert max(map(len, lines)) <= 110


def test_closing_lines() -> None:
    """What was found is counted, and the last line is the verdict."""
    lines = list(closing_lines([Findings("PBX main", [OK, UNKNOWN, CALLS])]))
    assert lines[0] == "1 problem, no warnings, 1 not seen."
    assert lines[1].startswith("Calls will not be shown")


@pytest.mark.parametrize(
    ("found", "calls", "words"),
    [
        ([OK], "shown", "Calls will be shown in the CRM; uac-trio check --live --call 60 watches a real one."),
        ([OK, UNKNOWN], "unknown", "No reason is seen why calls would not be shown in the CRM; uac-trio check"),
        ([OK, FREE], "not shown", "Calls will be shown once the daemon runs: systemctl enable --now uac-trio"),
        ([CALLS, CLICKS], "not shown", "as they should; begin with PBX main: no login"),
        ([Finding(Level.OK, "config.valid", "valid")], "unknown", "Only the configuration was read"),
        ([Finding(Level.PROBLEM, "config.invalid", "u.toml:5: x")], "not shown", "begin with PBX main: u.toml:5: x"),
        ([NO_CALL], "unknown", "No call was seen, so whether calls will be shown is not known yet"),
        ([NO_CALL, CALLS], "not shown", "begin with PBX main: no login"),
        ([CLICKS], "shown", "in the CRM, but clicks will be missing: begin with PBX main: no clicks"),
        ([SECRET], "shown", "Calls will be shown in the CRM, but see PBX main: open"),
    ],
)
def test_verdict(found: list[Finding], calls: str, words: str) -> None:
    """One line says whether calls will be shown, and what to do first."""
    end = verdict([Findings("PBX main", found)])
    assert end.calls == calls
    assert words in end.text


@pytest.mark.parametrize(
    ("id_", "what"),
    [
        ("pbx.read.call", Loss.CALLS),
        ("crm.popups", Loss.CALLS),
        ("pbx.recording.name", Loss.RECORDINGS),
        ("call.recording.file", Loss.RECORDINGS),
        ("http.in_use", Loss.CLICKS),
        ("fastagi.bind", Loss.ROUTING),
    ],
)
def test_loss(id_: str, what: Loss) -> None:
    """The id of a problem shows what is lost by it."""
    assert loss(id_) is what


def test_json() -> None:
    """The shape that docs/check.md promises."""
    about = json.loads(as_json("/etc/u.toml", [Findings("PBX main", [CALLS, OK])]))
    assert list(about) == ["uac_trio", "config", "calls", "verdict", "findings", "watched"]
    assert about["findings"][1] == {
        "id": "pbx.login",
        "severity": "problem",
        "subject": "PBX main",
        "text": "no login",
        "remedy": "mend manager.conf",
    }
    assert (about["config"], about["calls"], about["watched"]) == ("/etc/u.toml", "not shown", [])


def test_every_id_is_described() -> None:
    """docs/check.md lists the ids of all findings, and no other."""
    sources = [*(PACKAGE / "live_check").glob("*.py"), PACKAGE / "cli" / "check.py"]
    sources += [PACKAGE / "crm" / "webhook.py", PACKAGE / "crm" / "vtiger" / "examining.py"]
    used = {found for path in sources for found in re.findall(ID, path.read_text())}
    described = set(re.findall(r"^\| `([a-z_.]+)` \|", (DOCS / "check.md").read_text(), re.MULTILINE))
    assert described == used | {level.value for level in Level} | JSON_KEYS
