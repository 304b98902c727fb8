"""Every recorded call: told as the people at the phones lived it, and shown so by the CRM, in both flavours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tests.recorded import NAMES, TRUTH_LACKS_CALLS, replayed, truth_of
from uac_trio.demo.crm import CallRow, CRMUser, StandInCRM
from uac_trio.vtiger import Flavour

TOLERANCE = 1.0
"""Seconds, by which the ground truth may be off."""

EMPLOYEES = ("101", "102", "103", "104", "2001", "2002", "2003", "2004", "2005", "2006")

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
    told = {record["linkedid"]: record for record in (call.as_json() for call in replayed(name).calls)}
    truths = truth_of(name)

    for truth in truths:
        record = told.pop(truth["linkedid"])
        assert {key: record[key] for key in SAME if key in truth} == {key: truth[key] for key in SAME if key in truth}
        assert sorted(record["rang"]) == sorted(truth["rang"])
        assert record["transfers"] == truth["transfers"]
        assert record["merged_into_first"] == truth.get("merged_into_first", False)
        assert truth["ring_secs"] is None or near(record["ring_secs"], truth["ring_secs"])
        assert truth["talk_secs"] is None or near(record["talk_secs"], truth["talk_secs"])
        if truth.get("participations"):
            assert outcomes(record) == outcomes(truth)
        if truth["recording"] == "told by the Cdr":
            assert record["recording"]
        elif truth["recording"] != "not told":
            assert record["recording"] == truth["recording"]
    assert not told or name.endswith(TRUTH_LACKS_CALLS)
    assert replayed(name).problems == []


def is_told(recording: str | None) -> bool:
    return recording not in (None, "not told")


def outcomes(call: Mapping[str, Any]) -> dict[str, str]:
    return {part["extension"]: part["outcome"] for part in call["participations"]}


def crm_after(name: str, flavour: Flavour) -> StandInCRM:
    users = tuple(CRMUser(id=int(extension), name=extension, extension=extension) for extension in EMPLOYEES)
    crm = StandInCRM(flavour=flavour, users=users, secret="s", timezone="Europe/Moscow")
    for request in replayed(name, flavour).requests:
        reply = crm.callback({**request.form, "vtigersignature": "s"}, request.at)
        assert reply.status == 200
        assert "Sorry" not in reply.body
        assert "Input array" not in reply.body
    assert crm.hazards == []
    assert not +crm.unmatched
    return crm


def talkers(truth: dict[str, Any]) -> set[str]:
    """The employees who certainly talked to the customer."""
    if truth["status"] != "completed" or not truth["answered_by"]:
        return set()
    if truth.get("participations"):
        return {who for who, outcome in outcomes(truth).items() if outcome in ("completed", "transferred")}
    people = {truth["answered_by"], truth.get("final_agent"), truth.get("caller")}
    people |= {transfer["to"] for transfer in truth["transfers"] if transfer["answered"]}
    return people & set(EMPLOYEES)


def employees_rung(truth: dict[str, Any]) -> set[str]:
    """Who must have a row: whose phone rang for the customer, who took the call, who called out."""
    if truth.get("participations"):
        return set(outcomes(truth))
    people = set(truth["rang"]) | talkers(truth) | {truth.get("caller", "")}
    if truth["direction"] == "inbound" and truth["status"] == "busy" and not truth["rang"]:
        people.add(truth["did"][-3:])  # 486 before it could ring; 49510001XX goes straight to 1XX
    return people & set(EMPLOYEES)


def rows_by_call(crm: StandInCRM) -> dict[str, list[CallRow]]:
    found: dict[str, list[CallRow]] = {}
    for row in crm.rows:
        found.setdefault(row.sourceuuid, []).append(row)
    return found


def told_to_crm(name: str) -> Iterator[dict[str, Any]]:
    """The calls that the CRM is told of: those with a customer and an employee."""
    for truth in truth_of(name):
        if truth["direction"] != "internal" and employees_rung(truth):
            yield truth


@pytest.mark.parametrize("name", NAMES)
def test_salesplatform_rows(name: str) -> None:
    """One row for each employee's part, right status, times, customer and recording, nothing left ringing."""
    crm = crm_after(name, Flavour.SALESPLATFORM)
    by_call = rows_by_call(crm)

    for truth in told_to_crm(name):
        rows = by_call.pop(f"main-{truth['linkedid']}")
        users = [row.user for row in rows]
        assert len(users) == len(set(users))
        assert employees_rung(truth) <= set(users)
        for row in rows:
            _check_row(row, truth)
    assert not by_call or name.endswith(TRUTH_LACKS_CALLS)
    assert [row for row in crm.rows if row.callstatus in ("ringing", "in-progress")] == []


def _check_row(row: CallRow, truth: dict[str, Any]) -> None:
    assert row.customernumber == truth["customer"]
    assert row.starttime
    assert row.endtime
    if truth.get("participations"):
        assert row.callstatus == CRM_STATUS[outcomes(truth)[row.user or ""]]
    if row.user in talkers(truth):
        assert row.callstatus == "completed"
        assert row.totalduration >= row.billduration
        if is_told(truth["recording"]):
            assert row.recordingurl
        alone = len(talkers(truth)) == 1 and not truth["transfers"]
        if alone and truth["talk_secs"] is not None and truth["answered_by"] in EMPLOYEES:
            assert near(row.billduration, truth["talk_secs"])
    elif truth["status"] == "completed":
        assert row.callstatus in ("Answered elsewhere", "busy", "no-answer", "failed")
        assert row.billduration == 0
    elif row.user in employees_rung(truth) or len(truth["rang"]) == 0:
        own = (CRM_STATUS[truth["status"]],) if len(truth["rang"]) < 2 else ("no-answer", "busy")
        assert row.callstatus in own
        assert row.billduration == 0


@pytest.mark.parametrize("name", NAMES)
def test_stock_rows(name: str) -> None:
    """One row for a call, held by whom talked last, right status and times, nothing left ringing."""
    crm = crm_after(name, Flavour.STOCK)
    by_call = rows_by_call(crm)

    for truth in told_to_crm(name):
        [row] = by_call.pop(f"main-{truth['linkedid']}")
        assert row.customernumber == truth["customer"]
        assert row.callstatus == CRM_STATUS[truth["status"]]
        assert row.starttime
        assert row.endtime
        if talkers(truth):
            assert row.user in talkers(truth)
            assert bool(row.recordingurl) == is_told(truth["recording"])
        if truth["talk_secs"] is not None:
            assert near(row.billduration, truth["talk_secs"])
    assert not by_call or name.endswith(TRUTH_LACKS_CALLS)
    assert [row for row in crm.rows if row.callstatus in ("ringing", "in-progress")] == []


@pytest.mark.parametrize("name", ["asterisk22/inbound_ringgroup_answered", "asterisk16/click2call_answered"])
def test_same_requests_every_time(name: str) -> None:
    """A replay is deterministic, and no two requests of it share a key."""
    once = [(request.key, dict(request.form)) for request in replayed(name).requests]
    replayed.cache_clear()

    assert [(request.key, dict(request.form)) for request in replayed(name).requests] == once
    assert len({key for key, _ in once}) == len(once)
