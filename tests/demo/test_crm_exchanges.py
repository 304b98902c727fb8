"""The stand-in CRM against 395 real exchanges with two vTigers (fixtures/vtiger_exchanges.jsonl).

Each recorded request is replayed onto the rows that were there before it; reply and rows must be those of the real CRM.
Lines of kind ``callback`` (PBXManager.php), ``owner`` (SPAgi.php) and ``poll`` (the popup poll; its rows are in the
callbacks before it). 76 further exchanges of that recording are not in the file, since they are no single requests to
these two scripts: 40 click2call and 23 ListenRecord requests of the CRM to a connector, 8 races (two requests at once,
which this stand-in cannot have), 3 views of one row in several time zones, 1 popup's Save button, 1 table of latencies.

Columns not compared: the row's number, ``sp_*``, tags, label, created and modified times, which no callback touches.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from uac_trio.demo.crm import CallRow, CRMContact, CRMUser, StandInCRM

FIXTURE = Path(__file__).parents[2] / "fixtures" / "vtiger_exchanges.jsonl"
SECRET = "labsecret123"

# Who was in the recorded CRMs: from the rows and the popups that the exchanges led to.
USERS = (
    CRMUser(id=1, name="Administrator"),
    CRMUser(id=5, name="Иван Первый", extension="101"),
    CRMUser(id=6, name="Bob Second", extension="102"),
    CRMUser(id=7, name="Carol Third", extension="103", other_phones=("79169990000",)),
)
CONTACTS = (
    CRMContact(id=2, name="Пётр Иванов", owner=5, phones=("+79161234567",)),
    CRMContact(id=3, name="Anna Smith", owner=6, phones=("89162223344",)),
    CRMContact(id=4, name="Лид Третьей", kind="Leads", owner=7, phones=("8 (916) 555-66-77",)),
    CRMContact(id=5, name="ООО Ромашка", kind="Accounts", owner=5, phones=("+7 (495) 123-45-67",)),
    CRMContact(id=6, name="Dup OfIvanov", owner=6, phones=("8 (916) 123 45 67",)),
    CRMContact(id=7, name="Ext WithSuffix", owner=5, phones=("+7 916 777-88-99 доб. 12",)),
    CRMContact(id=8, name="Short", kind="Leads", owner=1, phones=("234-56-78",)),
    CRMContact(id=9, name="Dot Separated", owner=7, phones=("7.916.333.22.11", "+1 (202) 555-0147")),
)
NEW_CONTACT = CRMContact(id=1490, name="Made in the popup", owner=5, phones=("79165550001",))

# What an administrator had changed in the CRM before these exchanges.
OTHER_SETTINGS: dict[str, dict[str, Any]] = {
    "gateway not configured, no signature": {"secret": ""},
    "gateway not configured, some signature": {"secret": ""},
    "two users with extension 102": {"users": (*USERS, CRMUser(id=9, name="Second Bob", extension="102"))},
    "next DialBegin replay picks the new contact": {"contacts": (*CONTACTS, NEW_CONTACT)},
    "StartApp when no user has an extension": {"users": (CRMUser(id=1, name="Administrator"),)},
    "SPAgi owner is a group (id 3)": {
        "contacts": tuple(attrs.evolve(contact, owner=3 if contact.id == 8 else contact.owner) for contact in CONTACTS)
    },
}
AFTER_POISON = {*(f"after poison DialBegin {n}" for n in range(5)), "DialBegin 60s later"}
SHOWS_ERRORS = "fatal with display_errors=On"


def exchanges() -> list[dict[str, Any]]:
    return [json.loads(line) for line in FIXTURE.read_text(encoding="utf-8").splitlines()]


def crm_of(exchange: dict[str, Any]) -> StandInCRM:
    settings: dict[str, Any] = {"users": USERS, "contacts": CONTACTS, "secret": SECRET}
    crm = StandInCRM(
        **settings | OTHER_SETTINGS.get(exchange["case"], {}),
        flavour="stock" if exchange["crm"].startswith("vtiger") else "salesplatform",
        fresh_install=exchange["crm"] == "sp72-fresh-install",
    )
    crm.load(CallRow(**row) for row in exchange.get("before", ()))
    crm.poisoned = exchange["case"] in AFTER_POISON
    return crm


def seen(rows: list[CallRow], uuid: str) -> Iterator[dict[str, Any]]:
    """The rows as the recording looked at them: by the exact uuid that was sent."""
    for row in rows:
        if row.sourceuuid.casefold() == uuid.rstrip(" ").casefold():
            values = attrs.asdict(row)
            del values["pbxmanagerid"]
            yield values


def expected(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"incominglinename": None} | {k: v for k, v in row.items() if k != "pbxmanagerid"} for row in rows]


PLAIN = [x for x in exchanges() if x["kind"] == "callback" and "raw" not in x and x["case"] != SHOWS_ERRORS]


def test_nothing_was_dropped_from_the_recording() -> None:
    """The fixture holds the whole recording of the two scripts: 381 callbacks, 11 owner look-ups and 3 polls."""
    kinds = [exchange["kind"] for exchange in exchanges()]
    assert {kind: kinds.count(kind) for kind in set(kinds)} == {"callback": 381, "owner": 11, "poll": 3}
    assert len(PLAIN) == 374  # 6 more need HTTP itself (test_crm_app.py), 1 has PHP set to print its errors


@pytest.mark.parametrize("exchange", PLAIN, ids=lambda x: f"{x['n']}-{x['crm']}-{x['case']}")
def test_same_request_same_reply_same_rows(exchange: dict[str, Any]) -> None:
    """A recorded request, replayed onto the recorded rows, is answered alike and leaves the same rows."""
    crm = crm_of(exchange)
    reply = crm.callback(exchange["form"], exchange["at"])
    assert (reply.status, reply.body) == (exchange["status"], exchange["body"])
    if reply.status != -1:
        assert reply.content_type == exchange["type"]
    assert list(seen(crm.rows, exchange["form"].get("callUUID", "-"))) == expected(exchange["after"])


@pytest.mark.parametrize("exchange", [x for x in exchanges() if x["kind"] == "owner"], ids=lambda x: x["case"])
def test_owner_of_a_caller(exchange: dict[str, Any]) -> None:
    """SPAgi.php returns the extension of the contact's owner, null without one, and its own error for a bad request."""
    reply = crm_of(exchange).owner_extension(exchange["form"])
    assert (reply.status, reply.content_type, reply.body) == (exchange["status"], exchange["type"], exchange["body"])


def test_polls_show_and_then_clean_up() -> None:
    """The first poll still shows what it then ends for having rung too long; the second and other users do not."""
    recording = exchanges()
    crm = crm_of({"crm": "sp72", "case": "polls"})
    polls = [x for x in recording if x["kind"] == "poll"]
    for exchange in recording:
        if exchange["case"].startswith(("poll setup", "p-old")):
            crm.callback(exchange["form"], exchange["at"])
    for poll, extension in zip(polls, ("101", "101", "102"), strict=True):
        shown = [
            {
                "uuid": p.call_uuid,
                "status": p.status,
                "number": p.number,
                "caller": p.caller,
                "assigned_to": p.assigned_to,
            }
            for p in crm.popups(extension, poll["at"])
        ]
        assert shown == poll["popups"]
    states = {row.sourceuuid: row.callstatus for row in crm.rows}
    assert states["p-utc"] == states["p-none"] == "no-response"
    assert states["p-old"] == "in-progress"
    assert states["p-out"] == "ringing"
