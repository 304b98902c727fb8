"""From what happened at the phones to the rows a CRM must show, and how a difference is reported."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from uac_trio.demo.crm import CallRow, CRMContact, CRMUser, StandInCRM
from uac_trio.demo.recording import shipped_recordings
from uac_trio.demo.truth import ExpectedRow, differences, expected_rows

CRM = StandInCRM(
    users=(CRMUser(id=5, name="Ivan", extension="101"), CRMUser(id=6, name="Bob", extension="102")),
    contacts=(CRMContact(id=2, name="Pyotr", phones=("+79161234567",)),),
    secret="s",
)
WANT = ExpectedRow(
    extension="101", direction="inbound", status="completed", number="+79161234567", talk_secs=3, recorded=True
)
ROW = CallRow(
    pbxmanagerid=1, direction="inbound", callstatus="completed", starttime="2026-11-23 09:00:00",
    endtime="2026-11-23 09:00:05", totalduration=5, billduration=3, recordingurl="http://x/?id=1", sourceuuid="a",
    customer="2", user="5", customernumber="89161234567",
)  # fmt: skip


@pytest.mark.parametrize(
    ("call", "shares"),
    [
        ({"direction": "inbound", "status": "completed", "rang": ["101", "102"], "answered_by": "102"},
         {"101": "Answered elsewhere", "102": "completed"}),
        ({"direction": "inbound", "status": "cancelled", "rang": ["101", "102"], "answered_by": None},
         {"101": "no-answer", "102": "no-answer"}),
        ({"direction": "inbound", "status": "rejected", "rang": ["101"]}, {"101": "busy"}),
        ({"direction": "inbound", "status": "busy", "rang": [], "tried": ["101"]}, {"101": "busy"}),
        ({"direction": "inbound", "status": "failed", "rang": []}, {}),
        ({"direction": "outbound", "status": "completed", "rang": ["+7916"], "answered_by": "+7916", "caller": "103"},
         {"103": "completed"}),
    ],
)  # fmt: skip
def test_shares_of_a_call(call: dict[str, Any], shares: dict[str, str]) -> None:
    """One row for each employee whose phone was tried, or who dialled, with the status of their own part."""
    rows = expected_rows({"customer": "+79161234567", "talk_secs": 3, "recording": "/x.wav", **call})
    assert {row.extension: row.status for row in rows} == shares
    assert all(row.recorded == (row.status == "completed") for row in rows)


def test_shipped_recordings_expect_fourteen_rows() -> None:
    """The truth of every shipped recording can be read: 10 calls, 14 rows."""
    rows = [
        row for recording in shipped_recordings().values() for call in recording.calls for row in expected_rows(call)
    ]
    assert len(rows) == 14


def test_agreeing_rows() -> None:
    """A row that says what happened differs in nothing, whichever way the number is written."""
    assert differences(CRM, [ROW], [WANT]) == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"callstatus": "no-answer"}, "101: status is 'no-answer', expected 'completed'"),
        ({"direction": "outbound"}, "101: direction is 'outbound', expected 'inbound'"),
        ({"customer": None}, "101: customer is '', expected '2'"),
        ({"customernumber": None}, "101: customer number is '', expected '9161234567'"),
        ({"recordingurl": ""}, "101: recording is 'no', expected 'yes'"),
        ({"endtime": None}, "101: it has no start or no end"),
        ({"billduration": 5}, "101: 5 s of talk, expected 3"),
    ],
)
def test_a_difference_is_reported_in_words(changes: dict[str, Any], words: str) -> None:
    """Each thing that is wrong about a row is named with what was expected."""
    assert differences(CRM, [attrs.evolve(ROW, **changes)], [WANT]) == [words]


def test_rows_missing_and_too_many() -> None:
    """A missing row, a row of another user and two rows of one employee are differences."""
    assert differences(CRM, [], [WANT]) == ["no row of 101, expected completed"]
    assert differences(CRM, [ROW, attrs.evolve(ROW, user="6")], [WANT]) == ["an unexpected row of 102"]
    assert differences(CRM, [ROW, ROW], [WANT]) == ["2 rows, several of them of one employee"]


def test_talk_is_not_compared_off_pace() -> None:
    """A recording that was played faster has shorter talk."""
    assert differences(CRM, [attrs.evolve(ROW, billduration=0)], [WANT], timed=False) == []
