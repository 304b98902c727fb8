"""Every recorded call: replayed as it went at the phones, and shown so by the CRM, in both flavours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tests.recorded import NAMES, STAFF, TRUTH_LACKS_CALLS, replayed, rules_of, truth_of
from uac_trio.crm.vtiger import Flavour
from uac_trio.demo.crm import CallRow, CRMUser, StandInCRM

TOLERANCE = 1.0
"""Seconds, by which the ground truth may be off."""

SAME = ("direction", "customer", "status", "did", "caller", "called", "queue", "answered_by", "final_agent")
"""Keys that must agree to the letter wherever the ground truth has them."""

CRM_STATUS = {
    "completed": "completed", "transferred": "completed", "no-answer": "no-answer", "cancelled": "no-answer",
    "voicemail": "no-answer", "busy": "busy", "rejected": "busy", "failed": "failed",
    "answered-elsewhere": "Answered elsewhere",
}  # fmt: skip


def near(one: float | None, other: float | None) -> bool:
    return abs((one or 0.0) - (other or 0.0)) <= TOLERANCE


@pytest.mark.parametrize("name", NAMES)
def test_calls(name: str) -> None:
    """Direction, customer, status, who rang, who answered, transfers, durations, recording: as at the phones."""
    records = {record["linkedid"]: record for record in (call.as_json() for call in replayed(name).calls)}
    truths = truth_of(name)

    for truth in truths:
        record = records.pop(truth["linkedid"])
        known = [key for key in SAME if key in truth]
        assert {key: record.get(key) for key in known} == {key: truth[key] for key in known}
        assert sorted(record["rang"]) == sorted(truth["rang"])
        assert record["transfers"] == truth["transfers"]
        assert record["merged_into_first"] == truth.get("merged_into_first", False)
        assert truth.get("ring_secs") is None or near(record["ring_secs"], truth["ring_secs"])
        assert truth["talk_secs"] is None or near(record["talk_secs"], truth["talk_secs"])
        if truth.get("participations"):
            assert outcomes(record) == outcomes(truth)
        if truth["recording"] == "in the Cdr":
            assert record["recording"]
        elif truth["recording"] != "not in the transcript":
            assert record["recording"] in (truth["files"] or [None])
    assert not records or name.endswith(TRUTH_LACKS_CALLS)
    assert replayed(name).problems == []


def has_recording(recording: str | None) -> bool:
    return recording not in (None, "not in the transcript")


def outcomes(call: Mapping[str, Any]) -> dict[str, str]:
    return {part["extension"]: part["outcome"] for part in call.get("participations") or ()}


def employees(name: str) -> set[str]:
    """The staff of this recording's company."""
    return {extension for extension in STAFF if rules_of(name).is_extension(extension)}


def did_of(truth: Mapping[str, Any]) -> str:
    """The extension that a direct number leads to: 49510001XX goes straight to 1XX."""
    return (truth.get("did") or "")[-3:]


def crm_after(name: str, flavour: Flavour) -> StandInCRM:
    users = tuple(CRMUser(id=int(extension), name=extension, extension=extension) for extension in employees(name))
    crm = StandInCRM(flavour=flavour, users=users, secret="s", timezone="Europe/Moscow")
    for each in replayed(name, flavour).requests:
        reply = crm.callback({**each.request.about, "vtigersignature": "s"}, each.at)
        assert reply.status == 200
        assert "Sorry" not in reply.body
        assert "Input array" not in reply.body
    assert crm.hazards == []
    assert not +crm.unmatched
    return crm


def talkers(name: str, truth: dict[str, Any]) -> set[str]:
    """The employees who certainly talked to the customer."""
    if truth["status"] != "completed" or not truth["answered_by"]:
        return set()
    if truth.get("participations"):
        return {who for who, outcome in outcomes(truth).items() if outcome in ("completed", "transferred")}
    people = {truth["answered_by"], truth.get("final_agent"), truth.get("caller")}
    people |= {transfer["to"] for transfer in truth["transfers"] if transfer["answered"]}
    return people & employees(name)


def employees_rung(name: str, truth: dict[str, Any]) -> set[str]:
    """Who must have a row: whose phone rang for the customer, who took the call, who called out."""
    if truth.get("participations"):
        return set(outcomes(truth))
    people = set(truth["rang"]) | talkers(name, truth) | {truth.get("caller", "")}
    if truth["direction"] == "inbound" and truth["status"] == "busy" and not truth["rang"]:
        people.add(did_of(truth))  # 486 before it could ring
    return people & employees(name)


def rows_by_call(crm: StandInCRM) -> dict[str, list[CallRow]]:
    found: dict[str, list[CallRow]] = {}
    for row in crm.rows:
        found.setdefault(row.sourceuuid, []).append(row)
    return found


def sent_to_crm(name: str) -> Iterator[dict[str, Any]]:
    """The calls that are sent to the CRM: those with a customer and an employee."""
    for truth in truth_of(name):
        if truth["direction"] != "internal" and employees_rung(name, truth):
            yield truth


@pytest.mark.parametrize("name", NAMES)
def test_salesplatform_rows(name: str) -> None:
    """One row for each employee's part, right status, times, customer and recording, nothing left ringing."""
    crm = crm_after(name, Flavour.SALESPLATFORM)
    by_call = rows_by_call(crm)

    for truth in sent_to_crm(name):
        rows = by_call.pop(f"main-{truth['linkedid']}")
        users = [row.user for row in rows]
        assert len(users) == len(set(users))
        assert employees_rung(name, truth) <= set(users) <= employees(name)
        for row in rows:
            _check_row(name, row, truth)
    assert not by_call or name.endswith(TRUTH_LACKS_CALLS)
    assert [row for row in crm.rows if row.callstatus in ("ringing", "in-progress")] == []


def shown(name: str, number: str) -> str:
    """A customer's number in the CRM: one that looks like an employee's must not be taken for that employee."""
    return f"+{number}" if rules_of(name).is_extension(number) else number


def _check_row(name: str, row: CallRow, truth: dict[str, Any]) -> None:
    assert row.customernumber == shown(name, truth["customer"])
    assert row.starttime
    assert row.endtime
    if truth.get("participations"):
        assert row.callstatus == CRM_STATUS[outcomes(truth)[row.user or ""]]
    if row.user in talkers(name, truth):
        assert row.callstatus == "completed"
        assert row.totalduration >= row.billduration
        if has_recording(truth["recording"]):
            assert row.recordingurl
        alone = len(talkers(name, truth)) == 1 and not truth["transfers"]
        if alone and truth["talk_secs"] is not None and truth["answered_by"] in employees(name):
            assert near(row.billduration, truth["talk_secs"])
    elif truth["status"] == "completed":
        assert row.callstatus in ("Answered elsewhere", "busy", "no-answer", "failed")
        assert row.billduration == 0
    elif row.user in employees_rung(name, truth) or len(truth["rang"]) == 0:
        own = (CRM_STATUS[truth["status"]],) if len(truth["rang"]) < 2 else ("no-answer", "busy")
        assert row.callstatus in own
        assert row.billduration == 0


@pytest.mark.parametrize("name", NAMES)
def test_stock_rows(name: str) -> None:
    """One row for a call, held by whom talked last, right status and times, nothing left ringing."""
    crm = crm_after(name, Flavour.STOCK)
    by_call = rows_by_call(crm)

    for truth in sent_to_crm(name):
        [row] = by_call.pop(f"main-{truth['linkedid']}")
        assert row.customernumber == shown(name, truth["customer"])
        assert row.callstatus == CRM_STATUS[truth["status"]]
        assert row.starttime
        assert row.endtime
        if talkers(name, truth):
            assert row.user in talkers(name, truth)
            assert bool(row.recordingurl) == has_recording(truth["recording"])
        if truth["talk_secs"] is not None:
            assert near(row.billduration, truth["talk_secs"])
    assert not by_call or name.endswith(TRUTH_LACKS_CALLS)
    assert [row for row in crm.rows if row.callstatus in ("ringing", "in-progress")] == []


@pytest.mark.parametrize("name", [name for name in NAMES if "attended" in name or "conference" in name])
def test_same_facts_every_time(name: str) -> None:
    """A replay is deterministic, also where one event changes what several people hear; no two requests share a key."""
    once = replayed(name)
    keys = [each.request.key for each in once.requests]
    replayed.cache_clear()

    assert replayed(name).story == once.story
    assert len(set(keys)) == len(keys)
