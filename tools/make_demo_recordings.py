"""Makes uac_trio/demo/recordings/ from transcripts of real calls. Run it in the project's folder:

    python tools/make_demo_recordings.py [FOLDER OF TRANSCRIPTS]

Only events about a call are kept, numbers are replaced so that the demo has several customers, and of the ground truth
what the demo compares with.
"""

from __future__ import annotations

import json
import re
import sys
from functools import partial
from pathlib import Path

from uac_trio.demo.recording import encoded, read_recording

SOURCE = Path("fixtures/ami_transcripts/asterisk22")
TARGET = Path("uac_trio/demo/recordings")
RECORDED_CUSTOMER = "+79161234567"

# Which calls, and who calls (or is called by) whom in place of the one recorded customer and the one recorded employee.
# Numbers keep their length, so that widths stay as recorded.
PEOPLE = {
    "click2call_answered": ("+74951234567", "101"),
    "inbound_answered": ("+79161234567", "101"),
    "inbound_busy": ("+79031112233", "101"),
    "inbound_no_answer": ("+74951234567", "102"),
    "inbound_rejected": ("+12025550147", "103"),
    "inbound_ringgroup_answered": ("+79162223344", "101"),
    "inbound_ringgroup_nobody": ("+79990001122", "101"),
    "inbound_utf8_name": ("+79165556677", "102"),
    "outbound_answered": ("+79162223344", "103"),
    "outbound_busy": ("+79161234567", "101"),
}
NAMES = {"101": "Anna", "102": "Boris", "103": "Vera"}
# Left out: what happens inside the PBX rather than to a call.
DROPPED = {
    "VarSet", "Newexten", "TestEvent", "QueueMemberStatus", "DeviceStateChange", "RTCPSent", "RTCPReceived",
    "ContactStatus", "PeerStatus", "ExtensionStatus", "PresenceStateChange",
}  # fmt: skip
TRUTH = ("direction", "customer", "status", "rang", "answered_by", "caller", "talk_secs", "linkedid", "recording")


def renumbered(text: str, *, customer: str, employee: str) -> str:
    """The text of an event or of the truth, with other people in it."""
    text = text.replace(RECORDED_CUSTOMER, customer).replace(RECORDED_CUSTOMER[1:], customer[1:])
    if employee != "101":
        text = re.sub(r"(?<!\d)(4951000)?101(?!\d)", rf"\g<1>{employee}", text)
        text = text.replace(NAMES["101"], NAMES[employee])
    return (
        text.replace("/asterisk-lab/", "/asterisk/")
        .replace("Name: Lab\r", "Name: Office\r")
        .replace('"Lab"', '"Office"')
    )


def main() -> None:
    source = Path(sys.argv[1]) if len(sys.argv) > 1 else SOURCE
    TARGET.mkdir(exist_ok=True)
    for name, (customer, employee) in PEOPLE.items():
        said = partial(renumbered, customer=customer, employee=employee)
        recording = read_recording(f"{name}.jsonl", (source / f"{name}.jsonl").read_bytes())
        lines = [{"t": 0.0, "dir": "recv", "data": "Asterisk Call Manager/11.0.0\r\n"}]
        lines += [
            {"t": round(timed.at, 3), "dir": "recv", "data": said(encoded(timed.event).decode())}
            for timed in recording.events
            if timed.event.name not in DROPPED
        ]
        text = "".join(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n" for line in lines)
        (TARGET / f"{name}.jsonl").write_text(text, encoding="utf-8")

        whole = json.loads(said((source / f"{name}.expect.json").read_text(encoding="utf-8")))
        calls = []
        for call in whole["calls"]:
            kept = {key: call[key] for key in TRUTH if call.get(key) is not None}
            if call["direction"] == "inbound" and not call["rang"]:
                # A phone that refused at once never rang. The dialplan that was recorded gives 4951000NNN to phone NNN.
                kept["tried"] = [call["did"][-3:]]
            calls.append(kept)
        truth = {"description": whole["description"], "calls": calls}
        text = json.dumps(truth, ensure_ascii=False, indent=1) + "\n"
        (TARGET / f"{name}.expect.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
