"""The recorded calls of fixtures/ami_transcripts: where they are, and what is odd about their ground truth."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

from uac_trio.calls.fact import RecordingKnown
from uac_trio.calls.rules import TrackerRules
from uac_trio.replay import Replay, replay
from uac_trio.transcript import read_transcript
from uac_trio.vtiger import Flavour, VtigerAccount

ROOT = Path(__file__).resolve().parent.parent / "fixtures" / "ami_transcripts"

NAMES = sorted(str(path.relative_to(ROOT)).removesuffix(".expect.json") for path in ROOT.glob("**/*.expect.json"))

TRUTH_AMENDED: dict[str, dict[str, Any]] = {
    # The lab took the recording from VarSet events, which these sessions had masked; MixMonitor ran, the Cdr tells.
    "proto_eventmask": {"recording": "told by the Cdr"},
    "proto_filter": {"recording": "told by the Cdr"},
    # By the notes 101 answers at 0.56, REFER at 2.06, 102 answers at 3.12, BYE at 5.12: 1.5 + 2.0 s.
    "queue_then_blind_transfer": {"talk_secs": 3.5},
    # Ended between two sessions: the path was in a VarSet that was not recorded, or in a Cdr that nobody heard.
    "session_lost_ended_meanwhile": {"recording": "not told"},
}
"""Where the recording's own notes prove its ``expect.json`` wrong, by scenario and key."""

TRUTH_LACKS_CALLS = ("proto_originate_errors",)
"""Its notes show 101 ringing and answering twice, and the customer ringing once; ``calls`` is empty all the same."""


def transcripts_of(name: str) -> list[Path]:
    """The files of one scenario: one connection, or two when the first was cut off."""
    second = ROOT / f"{name}_2.jsonl"
    return [ROOT / f"{name}.jsonl", *([second] if second.exists() else [])]


def truth_of(name: str) -> list[dict[str, Any]]:
    calls: list[dict[str, Any]] = json.loads((ROOT / f"{name}.expect.json").read_text(encoding="utf-8"))["calls"]
    scenario = name.rpartition("/")[2]
    for call in calls:
        call.update(dict.fromkeys(call.get("inexact", ())))
        call.update(TRUTH_AMENDED.get(scenario, {}))
        if "/no_cdr/" in name and call["recording"]:
            call["recording"] = "not told"  # neither Cdr nor VarSet is in these
    return calls


@functools.cache
def replayed(name: str, flavour: Flavour = Flavour.SALESPLATFORM) -> Replay:
    account = VtigerAccount(
        url="http://crm.invalid/callback.php", secret="s", flavour=flavour, timezone="Europe/Moscow"
    )
    read = [read_transcript(path.name, path.read_bytes()) for path in transcripts_of(name)]
    rules = TrackerRules(outside_prefix="9" if name.startswith("office") else "")
    return replay(read, rules, account, link)


def link(fact: RecordingKnown) -> str:
    return f"http://connector.invalid:5000/recording?id={fact.call_id}.{fact.extension}"
