"""What ``uac-trio replay`` prints, and that broken recordings lose nothing that can be read."""

from __future__ import annotations

import json

import attrs
import pytest

from tests.calls.crm_office import crm_of
from tests.recorded import ROOT, replayed, rules_of, transcripts_of
from uac_trio.calls.call import Direction
from uac_trio.calls.fact import CallBegan, CallMerged
from uac_trio.calls.rules import TrackerRules
from uac_trio.replay import Concluded, Replay, call_lines, of_call, play, replay, request_lines, timeline_lines
from uac_trio.transcript import read_transcript

KEYS = (
    "call_id", "linkedid", "direction", "customer", "status", "rang", "answered_by", "final_agent", "ring_secs",
    "talk_secs", "transfers", "recording", "queue", "did", "caller", "called", "merged_into_first", "participations",
)  # fmt: skip


def replay_bytes(*files: tuple[str, bytes], rules: TrackerRules | None = None) -> Replay:
    return replay([read_transcript(name, data) for name, data in files], rules or TrackerRules(), crm_of())


def test_call_lines() -> None:
    """One JSON object a call, with the documented keys."""
    [line] = call_lines(replayed("asterisk22/inbound_ringgroup_answered").facts)
    call = json.loads(line)
    assert set(KEYS) <= set(call)
    assert {part["extension"]: part["outcome"] for part in call["participations"]} == {
        "101": "answered-elsewhere", "102": "completed", "103": "answered-elsewhere",
    }  # fmt: skip


def test_request_lines() -> None:
    """One JSON object a request, in the order they are made."""
    requests = [json.loads(line) for line in request_lines(replayed("asterisk22/inbound_answered").story)]
    assert [request["callstatus"] for request in requests] == [
        "DialBegin", "DialAnswer", "Hangup", "EndCall", "Record",
    ]  # fmt: skip
    assert all(set(request) == {"at", "callstatus", "call_id", "extension", "key", "form"} for request in requests)
    assert "vtigersignature" not in requests[0]["form"]
    times = [request["at"] for request in requests]
    assert times == sorted(times)


def test_timeline_shows_cause_and_decision() -> None:
    """Each fact stands with the event that caused it and the request that followed."""
    text = "\n".join(timeline_lines(replayed("asterisk22/queue_then_blind_transfer").story))
    assert "inbound call, customer +79161234567 to 4951000701" in text
    assert "waits in queue support" in text
    assert "blind transfer by 101 to 102" in text
    assert "(BlindTransfer to 102)" in text
    assert "-> CRM: Hangup callerIdNum=103, causetxt=Answered elsewhere" in text


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("asterisk22/click_customer_busy", "call over: outbound, busy; a click: the customer was busy"),
        (
            "asterisk16/click_phone_off",
            "call over: outbound, failed; a click: the employee's phone could not be called",
        ),
        ("asterisk22/attended_transfer_refer", "merged into main-"),
        ("asterisk22/click2call_answered", "101 calls +79161234567"),
        ("asterisk22/proto_restart", "end not seen but inferred"),
        ("asterisk22/proto_restart", "ended unseen"),
    ],
)
def test_timeline_words(name: str, words: str) -> None:
    """Every kind of fact has words of its own."""
    assert words in "\n".join(timeline_lines(replayed(name).story))


@pytest.mark.parametrize("name", ["asterisk22/inbound_answered", "asterisk22/inbound_ringgroup_local"])
def test_raw_bytes_give_the_same_people(name: str) -> None:
    """A .ami file has no times of its own, yet who called, rang and answered is the same."""
    path = ROOT / f"{name}.ami"
    [raw] = replay_bytes((path.name, path.read_bytes())).calls
    [timed] = replayed(name).calls
    for key in ("direction", "customer", "status", "answered_by", "recording", "did"):
        assert getattr(raw, key) == getattr(timed, key)
    assert set(raw.rang) == set(timed.rang)


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_cut_transcript(share: float) -> None:
    """A recording that ends in mid-message is replayed as far as it goes, and the cut is reported."""
    data = (ROOT / "asterisk22/inbound_answered.ami").read_bytes()
    result = replay_bytes(("cut.ami", data[: int(len(data) * share)]))
    assert len(result.calls) == 1
    assert any("mid-message" in problem for problem in result.problems)


def test_hostile_transcript() -> None:
    """What was said before a protocol error counts; the error names the file."""
    data = (ROOT / "asterisk22/inbound_answered.ami").read_bytes()
    result = replay_bytes(("bad.ami", data + b"A: " + b"x" * 10_000_000))
    assert [call.status.value for call in result.calls] == ["completed"]
    assert any(problem.startswith("bad.ami: ") for problem in result.problems)


def test_steps_of_one_call() -> None:
    """``of_call`` keeps what was concluded of a call and of those merged into it, asked for by the id of any."""
    name = "asterisk22/attended_transfer_refer"
    crm = crm_of()
    steps = list(
        play([read_transcript(path.name, path.read_bytes()) for path in transcripts_of(name)], rules_of(name), crm, [])
    )
    (merged,) = [step.fact for step in steps if isinstance(step.fact, CallMerged)]
    whole = {merged.call_id, merged.into}
    expected = sorted((step for step in steps if step.fact.call_id in whole), key=lambda step: step.fact.call_id)
    for wanted in (*whole, merged.into.removeprefix("main-")):
        found = list(of_call(steps, wanted))
        assert sorted(found, key=lambda step: step.fact.call_id) == expected
    others = {step.fact.call_id for step in steps} - whole - {""}
    for other in others:
        assert {step.fact.call_id for step in of_call(steps, other)} == {other}
    assert list(of_call(steps, "main-1.1")) == []


def test_steps_of_a_call_that_goes_on() -> None:
    """A call without an end is kept too."""
    began = CallBegan(call_id="main-1.1", at=1.0, because="", direction=Direction.INBOUND, customer="", did="")
    assert list(of_call([Concluded(began, [])], "1.1")) == [Concluded(began, [])]


def test_open_calls_are_returned_as_they_stand() -> None:
    """A call that is up when the recording ends is returned, marked as not ended."""
    lines = (ROOT / "asterisk22/inbound_answered.jsonl").read_bytes().splitlines(keepends=True)
    bye = next(number for number, line in enumerate(lines) if b"trunk: BYE" in line)
    [call] = replay_bytes(("cut.jsonl", b"".join(lines[:bye]))).calls
    assert call.ended is False
    assert call.answered_by == "101"


def test_rules_change_the_story() -> None:
    """With a list of extensions that lacks 102 the transfer's target is no employee and gets no row."""
    data = (ROOT / "asterisk22/blind_transfer_refer.jsonl").read_bytes()
    result = replay_bytes(("x.jsonl", data), rules=TrackerRules(extensions=["101"]))
    assert {each.delivery.extension for each in result.requests} == {"101"}


def test_internal_calls_are_reported_on_request() -> None:
    """``internal = "report"`` makes one row of a call between employees: the caller's."""
    data = (ROOT / "asterisk22/internal_answered.jsonl").read_bytes()
    assert replay_bytes(("x.jsonl", data)).requests == []
    requests = replay_bytes(("x.jsonl", data), rules=TrackerRules(internal="report")).requests
    assert {each.delivery.extension for each in requests} == {"101"}
    assert requests[0].request.about["dialString"] == "102"


@pytest.mark.parametrize(
    "rules",
    [
        TrackerRules(unreached="103"),
        TrackerRules(unreached_by={"4951000800": "103"}),
        TrackerRules(unreached="101", unreached_by={"4951000800": "103", "support": "102"}),
    ],
)
def test_unreached_calls_get_an_owner(rules: TrackerRules) -> None:
    """A customer who gives up in the IVR is a missed call of the employee that ``unreached`` names."""
    data = (ROOT / "asterisk22/inbound_ivr_hangup.jsonl").read_bytes()
    assert replay_bytes(("x.jsonl", data)).requests == []
    requests = replay_bytes(("x.jsonl", data), rules=rules).requests
    assert [each.request.name for each in requests] == ["DialBegin", "Hangup", "EndCall"]
    assert {each.delivery.extension for each in requests} == {"103"}
    assert requests[1].request.about["HangupCause"] == "NO ANSWER"


@pytest.mark.parametrize(("mobiles", "parts"), [({}, []), ({"+79262223344": "202"}, [("202", "completed")])])
def test_a_call_forwarded_to_an_employees_mobile(mobiles: dict[str, str], parts: list[tuple[str, str]]) -> None:
    """*72 of FreePBX: with [calls] mobiles who answers there is the employee, and has the row."""
    name = "freepbx15/forward_all_mobile"
    rules = attrs.evolve(rules_of(name), mobiles=mobiles)
    result = replay_bytes(("x.jsonl", (ROOT / f"{name}.jsonl").read_bytes()), rules=rules)
    [call] = result.calls
    assert [(part.extension, part.outcome.value) for part in call.participations if part.outcome] == parts
    assert {each.delivery.extension for each in result.requests} == {extension for extension, _ in parts}


def test_calls_of_another_company_are_not_ours() -> None:
    """On a shared PBX a call that rings none of our endpoints is no call of ours."""
    data = (ROOT / "asterisk22/inbound_answered.jsonl").read_bytes()
    assert len(replay_bytes(("x.jsonl", data), rules=TrackerRules(only_endpoints="^101$")).calls) == 1
    assert replay_bytes(("x.jsonl", data), rules=TrackerRules(only_endpoints="^t1_")).calls == []
