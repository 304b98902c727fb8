"""Writes docs/calls.md from the recorded calls: what each kind of call looks like in the CRM, and why.

    python -m tools.make_calls_doc

The words are here; rows and timelines are what the pipeline and the stand-in CRM make of the recordings, so that the
page cannot say what the program does not do. tests/test_docs.py holds the committed page to this.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import attrs

from uac_trio.calls.fact import Fact, Oddity
from uac_trio.calls.rules import TrackerRules
from uac_trio.crm.protocol import Surroundings
from uac_trio.crm.vtiger import VtigerSettings
from uac_trio.demo.crm import CRMUser, StandInCRM
from uac_trio.replay import Rendered, Replay, fact_words, replay
from uac_trio.transcript import read_transcript

ROOT = Path(__file__).resolve().parent.parent
RECORDINGS = ROOT / "fixtures" / "ami_transcripts" / "asterisk22"
PAGE = ROOT / "docs" / "calls.md"

HEAD = """\
# How every kind of call looks in the CRM

vTiger (SalesPlatform's edition) keeps one row for each call and user. So what it shows is each employee's *part* in a
call: from the first ring of their phone to the last word they said. A part ends in exactly one of these ways:

| what happened to the employee's part | status in the CRM |
|---|---|
| they talked | `completed` |
| they talked and handed the customer on | `completed` |
| their phone rang until Asterisk gave up, the caller gave up, or voicemail took the call | `no-answer` |
| they were busy, or pressed Decline | `busy` |
| they could not be reached at all | `failed` |
| a colleague took the call | `Answered elsewhere` |

If a phone rings several times in one call (a queue tries again, a parked customer comes back), that is one row: having
talked outweighs a later ring that was not answered. Times of a row are those of the part: from its first ring to its
end; the talk time is without hold, music and consultations. A stock vTiger keeps one row for a whole call; it belongs
to the employee who talked last.

Below is one recorded call of each kind: what the CRM's list shows afterwards, and the timeline that `uac-trio replay
FILE --timeline` prints, shortened: on the right what the CRM was sent. 101, 102 and 103 are employees.
"""


@attrs.frozen
class Kind:
    """One recorded call and the words to it."""

    recording: str
    title: str
    words: str
    unreached: str = ""


SECTIONS: dict[str, tuple[Kind, ...]] = {
    "Incoming calls": (
        Kind("inbound_answered", "Answered", "The popup comes when the phone rings, not when it is dialled."),
        Kind("inbound_no_answer", "The caller gives up", "A missed call."),
        Kind("inbound_busy", "Busy", "The phone never rang; the row says so at once."),
        Kind("inbound_rejected", "Declined", "The employee pressed Decline while it rang."),
        Kind(
            "inbound_no_answer_forward",
            "Not answered, goes on to a colleague",
            "The dialplan (or follow-me) tries the next phone: the first employee missed the call, the second had it.",
        ),
        Kind("inbound_hold", "Put on hold", "The customer heard music for a while: that is not talk."),
    ),
    "Ring groups": (
        Kind(
            "inbound_ringgroup_answered",
            "Three phones ring, one answers",
            "All get a popup; with the answer the others' popups go, and their rows do not count as missed.",
        ),
        Kind("inbound_ringgroup_nobody", "None of them answers", "A missed call of each of them."),
        Kind("inbound_ringgroup_one_busy", "One is busy, one declines, one answers", "Each has an end of their own."),
        Kind(
            "inbound_ringgroup_local",
            "Through Local channels, as FreePBX makes them",
            "Local channels are transparent: the same rows as if the phones had been dialled directly.",
        ),
    ),
    "Queues": (
        Kind("queue_ringall_answered", "All agents ring, one answers", "The row's line is the queue."),
        Kind(
            "queue_rrmemory_second_answers",
            "One agent after another",
            "The first did not answer in time: a missed call of theirs. The second talked.",
        ),
        Kind("queue_abandoned", "The caller gives up", "A missed call of every agent whose phone rang."),
        Kind("queue_timeout", "The queue gives up", "The same rows; only who gave up differs."),
        Kind(
            "queue_then_blind_transfer",
            "Answered, then handed on",
            "102 first lost the race in the queue, then had the customer: one row, completed.",
        ),
    ),
    "Outgoing calls": (
        Kind("outbound_answered", "Answered", "The row is the caller's; it begins when the line is dialled."),
        Kind("outbound_busy", "Busy", "The customer's line said busy."),
        Kind("outbound_no_answer", "Not answered", "It rang until Asterisk gave up."),
        Kind("outbound_not_found", "No such number", "Nothing rang at the other end."),
        Kind("outbound_cancelled", "The employee hangs up first", "They gave up while it rang."),
        Kind("outbound_prefix", "With a prefix", "They dialled 9 before the number; the row has the customer's own."),
    ),
    "Clicks in the CRM": (
        Kind(
            "click2call_answered",
            "Answered",
            "The employee's phone rings first, then the customer's: one outgoing call of the employee.",
        ),
        Kind("click2call_operator_no_answer", "The employee does not answer", "The customer was never called."),
        Kind("click2call_customer_busy", "The customer is busy", "The employee hears the busy tone."),
        Kind("click2call_local", "Several devices", "Dialled through `Local/101@...`: the same row."),
    ),
    "Transfers": (
        Kind(
            "blind_transfer_refer",
            "Blind",
            "Both rows show the customer. The second popup comes when the second phone rings.",
        ),
        Kind("blind_transfer_no_answer", "Blind, not answered", "The second employee missed the customer's call."),
        Kind(
            "attended_transfer_feature",
            "Attended, by feature code",
            "While 101 asks 102, 102's popup already shows the customer; 102's talk time counts from the hand-over.",
        ),
        Kind(
            "attended_transfer_refer",
            "Attended, by the phone",
            'The consultation is a call between employees (not delivered, unless `internal = "report"`); with the'
            " hand-over it becomes part of the customer's call.",
        ),
        Kind(
            "attended_transfer_refer_blond",
            "Handed on while the colleague's phone still rings",
            "From then on it rings for the customer.",
        ),
        Kind(
            "attended_transfer_abandoned",
            "Asked, not answered, taken back",
            "101 has the customer again; 102 missed a ring.",
        ),
        Kind("blind_transfer_outbound_call", "Of an outgoing call", "102 gets an incoming row from the customer."),
        Kind(
            "redirect_ami", "Redirected by another program", "No transfer event exists for it; the rows are the same."
        ),
    ),
    "Pickup and parking": (
        Kind("pickup_group", "Picked up by a colleague", "It rang at 102's, and 103 took it."),
        Kind("park_and_retrieve", "Parked and retrieved", "101 parks the customer, 102 takes them from there."),
        Kind("park_timeout", "Parked and returned", "No colleague took them; 101's phone rang again: still one row."),
    ),
    "Calls that no employee's phone rang for": (
        Kind(
            "inbound_ivr_hangup",
            "The caller hangs up in the menu",
            'vTiger needs a user for a row. With `[calls] unreached = "103"` the missed call is 103\'s; without it the'
            " call is only counted.",
            unreached="103",
        ),
        Kind("inbound_voicemail", "Straight to voicemail", "The same.", unreached="103"),
        Kind(
            "inbound_forward_mobile",
            "Forwarded to a mobile",
            "It was answered, but no employee's phone took part. With `unreached` it is delivered as a completed call.",
            unreached="103",
        ),
    ),
    "When the connector was not watching": (
        Kind(
            "proto_disconnect_mid_call",
            "The connection is lost in mid-call",
            "The next connection's list of channels shows the call is still up: it goes on.",
        ),
        Kind(
            "proto_restart",
            "Asterisk restarts",
            "No Hangup is ever sent for such calls; the server's uptime shows that they are gone. The end is inferred.",
        ),
    ),
}


def replayed(kind: Kind) -> Replay:
    names = [kind.recording, f"{kind.recording}_2"]
    paths = [path for name in names if (path := RECORDINGS / f"{name}.jsonl").exists()]
    settings = VtigerSettings(url="http://crm.example/", secret="doc", timezone="UTC")  # noqa: S106 - nothing is sent
    crm = settings.crm(Surroundings(public_url="http://c.example"))
    transcripts = [read_transcript(path.name, path.read_bytes()) for path in paths]
    return replay(transcripts, TrackerRules(unreached=kind.unreached), crm)


def row_lines(result: Replay) -> Iterator[str]:
    users = tuple(CRMUser(id=number, name=str(number), extension=str(number)) for number in (101, 102, 103))
    crm = StandInCRM(users=users, secret="doc", timezone="UTC")  # noqa: S106 - a stand-in
    for each in result.requests:
        crm.callback({**each.request.about, "vtigersignature": "doc"}, each.at)
    yield "| user | direction | status | customer | duration, s | talk, s | recording | line |"
    yield "|---|---|---|---|---|---|---|---|"
    for row in sorted(crm.rows, key=lambda row: (row.starttime or "", row.pbxmanagerid)):
        recording = "yes" if row.recordingurl else ""
        yield (
            f"| {row.user} | {row.direction} | {row.callstatus} | {row.customernumber} | {row.totalduration} "
            f"| {row.billduration} | {recording} | {row.incominglinename or ''} |"
        )


def timeline(result: Replay) -> Iterator[str]:
    facts: list[tuple[Fact, list[str]]] = []
    for item in result.story:
        if isinstance(item, Rendered):
            facts[-1][1].append(item.request.name)
        elif not isinstance(item, Oddity):
            facts.append((item, []))
    began = facts[0][0].at
    for fact, steps in facts:
        arrow = f"-> {', '.join(steps)}" if steps else ""
        yield f"{fact.at - began:+8.2f}  {fact_words(fact).partition(' /var')[0]:<62}{arrow}".rstrip()


def page() -> str:
    lines = [HEAD]
    for section, kinds in SECTIONS.items():
        lines.append(f"## {section}\n")
        for kind in kinds:
            result = replayed(kind)
            lines += [
                f"### {kind.title}\n",
                f"{kind.words}\n",
                *row_lines(result),
                "",
                "```",
                *timeline(result),
                "```",
                "",
            ]
    return "\n".join(lines)


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(), encoding="utf-8")
