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
    # By the notes the phones of 2002 are not called: their queue had them in use.
    "asterisk11/office_queue_abandoned_ringing": {
        "rang": ["2001", "2003"],
        "participations": [{"extension": who, "outcome": "cancelled"} for who in ("2001", "2003")],
    },
    "asterisk11/office_queue_to_queue": {
        "rang": ["2005", "2001", "2003"],
        "participations": [
            {"extension": "2005", "outcome": "no-answer"},
            {"extension": "2001", "outcome": "answered-elsewhere"},
            {"extension": "2003", "outcome": "completed"},
        ],
    },
    # The lab read one channel's variables; the Cdr of the Local half has the path, as on Asterisk 16 and 22.
    "asterisk11/rarely_out_through_local": {"recording": "told by the Cdr"},
    # AMI 1.x has no event for a ringing H.323 phone.
    "asterisk11-iax2-h323/h323_outbound_busy": {"rang": []},
}
"""Where the recording's own notes prove its ``expect.json`` wrong, or no event can show it, by name or scenario."""

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
        call.update(TRUTH_AMENDED.get(name, {}))
        if "/no_cdr/" in name and call["recording"]:
            call["recording"] = "not told"  # neither Cdr nor VarSet is in these
    return calls


@functools.cache
def replayed(name: str, flavour: Flavour = Flavour.SALESPLATFORM) -> Replay:
    account = VtigerAccount(
        url="http://crm.invalid/callback.php", secret="s", flavour=flavour, timezone="Europe/Moscow"
    )
    read = [read_transcript(path.name, path.read_bytes()) for path in transcripts_of(name)]
    return replay(read, rules_of(name), account, link)


def rules_of(name: str) -> TrackerRules:
    """The ``[calls]`` part that a recording needs."""
    given = json.loads((ROOT / f"{name}.expect.json").read_text(encoding="utf-8")).get("rules") or {}
    return TrackerRules(**{"outside_prefix": "9" if name.startswith("office") or "/office" in name else "", **given})


def link(fact: RecordingKnown) -> str:
    return f"http://connector.invalid:5000/recording?id={fact.call_id}.{fact.extension}"
