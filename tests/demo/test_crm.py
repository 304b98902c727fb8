"""What the stand-in CRM reports about its client beyond the rows: hazards, doubles, rows left open."""

from __future__ import annotations

import pytest

from uac_trio.demo.crm import NO_ANSWER, CallRow, CRMContact, CRMUser, StandInCRM

NOW = 1_795_413_600.0  # 2026-11-23 09:00:00 in Moscow
USERS = (CRMUser(id=5, name="Ivan", extension="101"), CRMUser(id=6, name="Bob", extension="102"))
CONTACTS = (CRMContact(id=2, name="Pyotr", owner=5, phones=("+79161234567",)),)


def salesplatform() -> StandInCRM:
    return StandInCRM(users=USERS, contacts=CONTACTS, secret="s")


def begin(uuid: str = "a", caller: str = "79161234567", **more: str) -> dict[str, str]:
    form = {"vtigersignature": "s", "callstatus": "DialBegin", "callUUID": uuid, "callerIdNumber": caller}
    return form | {"dialString": "101", "StartTime": "2026-11-23 09:00:00"} | more


def test_ten_digits_make_a_customer() -> None:
    """SalesPlatform compares the last ten digits, no fewer: a number that differs in the tenth is another customer."""
    crm = salesplatform()
    for uuid, caller in (("same", "89161234567"), ("other", "78161234567")):
        crm.callback(begin(uuid, caller), NOW)
    assert [row.customer for row in crm.rows] == ["2", ""]


def test_json_in_a_name_hangs_the_next_call() -> None:
    """A JSON list in a name is refused with a 500 and from then on no call's row can be created."""
    crm = salesplatform()
    assert crm.callback(begin("before"), NOW).status == 200
    assert crm.callback(begin("bad", connectedLineName="[1,2]"), NOW).body.startswith("Input array has 25 params")
    assert crm.poisoned
    assert crm.callback(begin("after"), NOW) == NO_ANSWER
    assert crm.callback(begin("before"), NOW).status == 200  # rows that exist can still be updated
    assert [row.sourceuuid for row in crm.rows] == ["before"]


@pytest.mark.parametrize(
    ("changes", "hazard"),
    [
        ({"connectedLineName": "[1,2]"}, "DialBegin.connectedLineName: is decoded as JSON"),
        ({"callerIdName": "{}"}, "DialBegin.callerIdName: is decoded as JSON"),
        ({"callerIdNumber": "O'Brien"}, "DialBegin.callerIdNumber: is pasted into SQL"),
        ({"callerIdNumber": "79%"}, "DialBegin.callerIdNumber: is pasted into SQL"),
        ({"callUUID": "u" * 101}, "DialBegin.callUUID: is cut to 100 characters"),
    ],
)
def test_hazards_are_remembered(changes: dict[str, str], hazard: str) -> None:
    """A value that would harm a real CRM is on record even where this one survives it."""
    crm = salesplatform()
    crm.callback(begin(**changes), NOW)
    assert crm.hazards == [hazard]


def test_harmless_request_is_no_hazard() -> None:
    """An ordinary call in Russian, brackets in its middle, leaves no hazard."""
    crm = salesplatform()
    crm.callback(begin(connectedLineName="Линия [1]", callerIdName="Пётр {2}"), NOW)
    assert crm.hazards == []


def test_uuid_too_long_doubles_the_row() -> None:
    """A callUUID longer than its column is never found again: each event makes a row, and doubles() shows it."""
    crm = salesplatform()
    crm.callback(begin("u" * 101), NOW)
    crm.callback(begin("u" * 101), NOW)
    assert len(crm.rows) == 2
    assert crm.doubles() == [crm.rows[1]]


def test_one_row_for_each_user_is_no_double() -> None:
    """A ring group has a row for each user under one callUUID; in stock a second row of a uuid is a double."""
    crm = salesplatform()
    crm.callback(begin(), NOW)
    crm.callback(begin(dialString="102"), NOW)
    assert crm.doubles() == []
    stock = StandInCRM(flavour="stock", users=USERS, contacts=CONTACTS, secret="s")
    for _ in range(2):
        stock.callback({"vtigersignature": "s", "callstatus": "StartApp", "callUUID": "a"}, NOW)
    assert stock.doubles() == [stock.rows[1]]


def test_stuck_until_hung_up() -> None:
    """A row counts as stuck while it rings or talks, EndCall alone does not end it, Hangup does."""
    crm = salesplatform()
    crm.callback(begin(), NOW)
    assert [row.callstatus for row in crm.stuck()] == ["ringing"]
    crm.callback({"vtigersignature": "s", "callstatus": "EndCall", "callUUID": "a", "callerNumber": "101"}, NOW)
    assert len(crm.stuck()) == 1
    hangup = {"vtigersignature": "s", "callstatus": "Hangup", "callUUID": "a", "callerIdNum": "101", "causetxt": "busy"}
    crm.callback(hangup, NOW)
    assert crm.stuck() == []


def test_requests_are_counted() -> None:
    """Requests are counted by step, those that fitted no row or no user once more."""
    crm = salesplatform()
    crm.callback(begin(), NOW)
    crm.callback(begin(dialString="999"), NOW)
    crm.callback({"vtigersignature": "s", "callstatus": "Nonsense"}, NOW)
    crm.callback({"vtigersignature": "wrong", "callstatus": "DialBegin"}, NOW)
    assert crm.received == {"DialBegin": 2, "Nonsense": 1}
    assert crm.unmatched == {"DialBegin": 1, "Nonsense": 1}


def test_stock_shows_an_unanswered_call_to_every_user() -> None:
    """Stock: a call without a user pops up at every desk, an answered one only at the desk that answered."""
    crm = StandInCRM(flavour="stock", users=USERS, contacts=CONTACTS, secret="s")
    start = {"vtigersignature": "s", "callstatus": "StartApp", "callUUID": "a", "callerIdNumber": "+79161234567"}
    crm.callback(start | {"StartTime": crm.clock(NOW)}, NOW)
    assert [popup.caller for popup in crm.popups("101", NOW)] == ["Pyotr"]
    assert [popup.assigned_to for popup in crm.popups("102", NOW)] == ["Ivan"]
    answer = {"vtigersignature": "s", "callstatus": "DialAnswer", "callUUID": "a", "callerid2": "102"}
    crm.callback(answer, NOW)
    assert crm.popups("101", NOW) == []
    assert [popup.status for popup in crm.popups("102", NOW)] == ["in-progress"]
    assert crm.popups("999", NOW) == []


def test_stock_refuses_lists() -> None:
    """Stock: a list as number is a bare 500 without a row, as link a refusal in words."""
    crm = StandInCRM(flavour="stock", users=USERS, contacts=CONTACTS, secret="s")
    base = {"vtigersignature": "s", "callUUID": "a"}
    assert crm.callback(base | {"callstatus": "StartApp", "callerIdNumber": "[1,2]"}, NOW).status == 500
    assert crm.rows == []
    crm.callback(base | {"callstatus": "StartApp"}, NOW)
    refused = crm.callback(base | {"callstatus": "Record", "recordinglink": "[1,2]"}, NOW)
    assert refused.body.startswith("Input array has 3 params")
    assert crm.owner_extension({}).status == 404


def test_hangup_of_a_wiped_start_ends_without_a_duration() -> None:
    """A row whose start was wiped by an empty EndCall gets an end from the clock but no length of centuries."""
    crm = salesplatform()
    row = CallRow(pbxmanagerid=1, direction="inbound", callstatus="ringing", starttime="0000-00-00 00:00:00", user="5",
                  sourceuuid="a")  # fmt: skip
    crm.load([row])
    hangup = {"vtigersignature": "s", "callstatus": "Hangup", "callUUID": "a", "callerIdNum": "101", "causetxt": "busy"}
    crm.callback(hangup, NOW)
    assert (row.endtime, row.totalduration) == ("2026-11-23 09:00:00", 0)
