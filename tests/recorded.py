"""The recorded calls of fixtures/ami_transcripts: where they are, and what is odd about their ground truth."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

from uac_trio.calls.rules import TrackerRules
from uac_trio.crm.protocol import Surroundings
from uac_trio.crm.vtiger import Flavour, VtigerSettings
from uac_trio.replay import Replay, replay
from uac_trio.transcript import read_transcript

ROOT = Path(__file__).resolve().parent.parent / "fixtures" / "ami_transcripts"

NAMES = sorted(str(path.relative_to(ROOT)).removesuffix(".expect.json") for path in ROOT.glob("**/*.expect.json"))

STAFF = tuple(map(str, (*range(101, 105), *range(201, 208), 500, *range(2001, 2007))))
"""Extensions of all recorded companies."""

TRUTH_AMENDED: dict[str, dict[str, Any]] = {
    # The lab took the recording from VarSet events, which these sessions had masked; the Cdr names it.
    "proto_eventmask": {"recording": "in the Cdr"},
    "proto_filter": {"recording": "in the Cdr"},
    # By the notes 101 answers at 0.56, REFER at 2.06, 102 answers at 3.12, BYE at 5.12: 1.5 + 2.0 s.
    "queue_then_blind_transfer": {"talk_secs": 3.5},
    # Ended between two sessions: the path was in a VarSet that was not recorded, or in a Cdr between the sessions.
    "session_lost_ended_meanwhile": {"recording": "not in the transcript"},
    # The lab looked for a file and found none; the VarSet of MixMonitor names one, as it does on Asterisk 23.
    "asterisk13.1/rarely_out_through_local": {"recording": "in the Cdr"},
    # By the notes 202 rings from 0.08 to 30.04, twice the 15 s of the truth.
    "click_local_noanswer": {"ring_secs": 30.0},
    # The final agent of a call without a transfer is the one who answered, as in every other truth.
    "click_local": {"final_agent": "89161234567"},
    # It counts from the answers of a conference, whose bridge they enter later: 201 alone at 2.05, 202 at 3.06, the
    # customer at 4.19 (BridgeEnter); all leave at 5.06.
    "1795835833.1273": {"talk_secs": 0.9},
    "1795835834.1274": {"talk_secs": 2.0},
    "1795835835.1277": {"talk_secs": 2.0},
    # By the notes 2003 and the mobile rang as well, until the dialplan gave the customer up.
    "followme_declined": {"rang": ["2004", "2003", "89260000001"], "ring_secs": None},
    # The agent is put through at 6.50 (BridgeEnter); by the notes the customer's BYE is at 7.05.
    "1795832977.1": {"talk_secs": 0.55},
    # Made by hand, without who called: the channel is SIP/500's.
    "numtrunk_out": {"caller": "500"},
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
    "asterisk11/rarely_out_through_local": {"recording": "in the Cdr"},
    # AMI 1.x has no event for a ringing H.323 phone.
    "asterisk11-iax2-h323/h323_outbound_busy": {"rang": []},
}
"""Where a recording's own notes and events prove its ``expect.json`` wrong, or no event can show it: by scenario,
recording or Linkedid."""

TRUTH_LACKS_CALLS = ("proto_originate_errors",)
"""Its notes show 101 ringing and answering twice, and the customer ringing once; ``calls`` is empty all the same."""


def transcripts_of(name: str) -> list[Path]:
    """The files of one scenario: one connection, or two when the first was cut off."""
    second = ROOT / f"{name}_2.jsonl"
    return [ROOT / f"{name}.jsonl", *([second] if second.exists() else [])]


@functools.cache
def _expected(name: str) -> str:
    return (ROOT / f"{name}.expect.json").read_text(encoding="utf-8")


def is_ami_1(name: str) -> bool:
    """The recorded server speaks AMI 1.x."""
    return name.startswith(("asterisk1.8/", "asterisk11"))


def has_rules(name: str) -> bool:
    """The recording needs others than the default rules."""
    return bool(json.loads(_expected(name)).get("rules"))


def rules_of(name: str) -> TrackerRules:
    """The ``[calls]`` part that the recording needs."""
    given = json.loads(_expected(name)).get("rules") or {}
    is_office = name.startswith("office") or name.rpartition("/")[2].startswith("office")
    return TrackerRules(**{"outside_prefix": "9" if is_office else "", **given})


def truth_of(name: str) -> list[dict[str, Any]]:
    """What the people at the phones did, a dictionary to a call.

    ``files``: the names under which the call's recording may be linked. FreePBX makes several of one call, and its
    Cdr names them without their directory.
    """
    scenario = json.loads(_expected(name))
    calls: list[dict[str, Any]] = scenario["calls"]
    is_freepbx = "pbx" in scenario
    for call in calls:
        call.update(dict.fromkeys(call.get("inexact", ())))
        for key in (name.rpartition("/")[2], name, call["linkedid"]):
            call.update(TRUTH_AMENDED.get(key, {}))
        files = [call["recording"]] if call["recording"] else []
        if is_freepbx and call["status"] == "completed":
            files += [each["path"] for each in call["recordings"]]
        if "/no_cdr/" in name and files:
            call["recording"] = "not in the transcript"  # neither Cdr nor VarSet is in these
        call["recording"], call["files"] = call["recording"] or next(iter(files), None), files
    return calls


@functools.cache
def replayed(name: str, flavour: Flavour = Flavour.SALESPLATFORM) -> Replay:
    settings = VtigerSettings(
        url="http://crm.invalid/callback.php", secret="s", flavour=flavour, timezone="Europe/Moscow"
    )
    rules = rules_of(name)
    crm = settings.crm(Surroundings(public_url="http://connector.invalid:5000", is_extension=rules.is_extension))
    return replay([read_transcript(path.name, path.read_bytes()) for path in transcripts_of(name)], rules, crm)
