"""Every recording with its AMI cut out: back-filled, the CRM shows what it shows of the whole, as far as rows can."""

from __future__ import annotations

import pytest

from tests.cdr.evaluation import TALK, Cut, after_backfill, cdr_of, found_in_cdr, names
from uac_trio.crm.delivery import Kind
from uac_trio.crm.vtiger import Flavour
from uac_trio.demo.crm import CallRow, StandInCRM

UNKNOWN_CALLS = {
    # Asterisk writes no row of a click that was not answered, or only that of ;2, without the customer's number.
    "asterisk22/click_employee_no_answer",
    "asterisk16/unanswered/tangled_click_local_nobody",
}

UNKNOWN_ROWS = {
    # Of 206's follow-me behind a queue no row names a phone.
    ("freepbx15/q_dynamic_agent_followme", "206"),
}

UNKNOWN_STATUS = {
    # 603 is NO ANSWER in CDR; the cause is in CEL.
    ("asterisk22/click_customer_rejects", "101"),
    ("freepbx15/q_linear_reject", "201"),
}

ADOPTED = {
    # What rang before the middle is not in the snapshot, so to the connector one phone alone was called.
    "freepbx15/q_timeout_voicemail"
}

CASES = [(name, cut, with_cel) for name in names() for cut in Cut for with_cel in (False, True)]


def rows_of(crm: StandInCRM) -> dict[tuple[str, str], CallRow]:
    found = {(row.sourceuuid, row.user or ""): row for row in crm.rows}
    assert len(found) == len(crm.rows)  # none doubled
    return found


@pytest.mark.parametrize(("name", "cut", "with_cel"), CASES)
def test_salesplatform_rows(name: str, cut: Cut, with_cel: bool) -> None:
    whole, filled = after_backfill(name, Flavour.SALESPLATFORM, cut, with_cel=with_cel)
    expected, actual = rows_of(whole), rows_of(filled)

    assert actual.keys() <= expected.keys()  # none too many
    if name not in UNKNOWN_CALLS:
        lacking = {(name, user) for _, user in expected.keys() - actual.keys()}
        assert lacking <= (set() if with_cel else UNKNOWN_ROWS)
    for key, row in actual.items():
        assert row.callstatus not in ("ringing", "in-progress")
        assert (row.direction, row.customernumber) == (expected[key].direction, expected[key].customernumber)
        if with_cel or (name, row.user) not in UNKNOWN_STATUS:
            assert row.callstatus == expected[key].callstatus
        if row.billduration:
            assert abs(row.billduration - expected[key].billduration) <= TALK


@pytest.mark.parametrize(("name", "cut", "with_cel"), CASES)
def test_stock_rows(name: str, cut: Cut, with_cel: bool) -> None:
    if name in ADOPTED and cut is Cut.FROM_THE_MIDDLE:
        pytest.skip("the connector itself saw less than there was")
    whole, filled = after_backfill(name, Flavour.STOCK, cut, with_cel=with_cel)
    expected = {row.sourceuuid: row for row in whole.rows}
    actual = {row.sourceuuid: row for row in filled.rows}

    assert len(actual) == len(filled.rows)
    assert actual.keys() <= expected.keys()
    if name not in UNKNOWN_CALLS:
        assert actual.keys() == expected.keys()
    for call_id, row in actual.items():
        other = expected[call_id]
        assert (row.user, row.direction, row.customernumber) == (other.user, other.direction, other.customernumber)
        assert (row.callstatus == "completed") == (other.callstatus == "completed")
        assert row.callstatus not in ("ringing", "in-progress")
        if row.billduration:
            assert abs(row.billduration - other.billduration) <= TALK


@pytest.mark.parametrize("name", names())
def test_keys_are_the_same_each_time(name: str) -> None:
    """In whatever order the rows come."""
    once = [each.key for each in found_in_cdr(name, Flavour.SALESPLATFORM, with_cel=False)]
    rows = list(cdr_of(name))
    again = [
        each.key for each in found_in_cdr(name, Flavour.SALESPLATFORM, with_cel=False, rows=[*reversed(rows), *rows])
    ]

    assert again == once
    assert len(set(once)) == len(once)


@pytest.mark.parametrize("name", ["freepbx15/in_chan_sip", "freepbx15/rg_v2_mobile_confirms"])
def test_recording_is_of_who_talked(name: str) -> None:
    found = found_in_cdr(name, Flavour.SALESPLATFORM, with_cel=False)

    talked = {each.extension for each in found if each.kind is Kind.END and each.talk_secs}
    assert {each.extension for each in found if each.kind is Kind.RECORDING} == talked


def test_rows_without_talk_have_no_recording() -> None:
    found = found_in_cdr("freepbx15/in_cancelled", Flavour.SALESPLATFORM, with_cel=False)

    assert cdr_of("freepbx15/in_cancelled")[0].recording
    assert [each.kind for each in found] == [Kind.BEGIN, Kind.END]
