"""The stand-in CRM over HTTP: requests as bytes, the page's data, a real server."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio

from uac_trio.crm.vtiger.popups import SCRIPT, Polling, polling_of
from uac_trio.demo.crm import CRMContact, CRMUser, StandInCRM
from uac_trio.demo.crm_app import CALLBACK_PATH, OWNER_PATH, create_crm_app, crm_state, serve_crm_app, status_colour
from uac_trio.web.settings import CannotListenError

FIXTURE = Path(__file__).parents[2] / "fixtures" / "vtiger_exchanges.jsonl"
RAW = [x for x in map(json.loads, FIXTURE.read_text(encoding="utf-8").splitlines()) if "raw" in x]
NOW = 1_795_413_600.0
USERS = (
    CRMUser(id=5, name="Ivan", extension="101"),
    CRMUser(id=6, name="Bob", extension="102"),
    CRMUser(id=9, name="No Phone"),
)
CONTACTS = (CRMContact(id=2, name="<b>Pyotr</b>", owner=6, phones=("+79161234567",)),)


def a_crm() -> StandInCRM:
    return StandInCRM(users=USERS, contacts=CONTACTS, secret="labsecret123")


def begin(crm: StandInCRM, uuid: str, caller: str = "79161234567", dialled: str = "101") -> None:
    form = {"callstatus": "DialBegin", "callUUID": uuid, "callerIdNumber": caller, "dialString": dialled}
    crm.callback(form | {"vtigersignature": "labsecret123", "StartTime": crm.clock(NOW)}, NOW)


@pytest.mark.parametrize("exchange", RAW, ids=lambda x: x["case"])
async def test_odd_bodies_as_recorded(exchange: dict[str, Any]) -> None:
    """JSON, multipart, bytes that are no UTF-8, HEAD and PUT are read as PHP reads them: the recorded rows come out."""
    crm = a_crm()
    client = create_crm_app(crm, now=lambda: NOW, headline=str).test_client()
    send = getattr(client, exchange.get("method", "POST").lower())
    headers = {"Content-Type": exchange["raw"]["content_type"]}
    reply = await send(CALLBACK_PATH, headers=headers, data=exchange["raw"]["body"].encode())
    assert reply.status_code == exchange["status"]
    if exchange.get("method") != "HEAD":  # whose body the server drops
        assert await reply.get_data(as_text=True) == exchange["body"]
    kept = ("sourceuuid", "callstatus", "customernumber", "incominglinename", "starttime")
    assert [[getattr(row, name) for name in kept] for row in crm.rows] == [
        [row[name] for name in kept] for row in exchange["after"]
    ]


async def test_raw_utf8_and_query() -> None:
    """Cyrillic that was sent without percent signs is kept, and a query counts like a form."""
    crm = a_crm()
    client = create_crm_app(crm, now=lambda: NOW, headline=str).test_client()
    body = "callUUID=a&callerIdNumber=79161234567&dialString=101&connectedLineName=Линия".encode()
    reply = await client.post(
        CALLBACK_PATH,
        query_string={"vtigersignature": "labsecret123", "callstatus": "DialBegin"},
        headers={"Content-Type": "application/x-www-form-urlencoded; charset=UTF-8"},
        data=body,
    )
    assert reply.headers["Content-Type"] == "text/html; charset=UTF-8"
    assert [row.incominglinename for row in crm.rows] == ["Линия"]


async def test_owner_of_a_caller() -> None:
    """SPAgi.php answers on its own path."""
    client = create_crm_app(a_crm(), now=lambda: NOW, headline=str).test_client()
    reply = await client.post(OWNER_PATH, form={"vtigersignature": "labsecret123", "callerNumber": "89161234567"})
    assert await reply.get_json(force=True) == {"success": True, "result": {"crmUserExtension": "102"}}


async def test_script_of_its_pages() -> None:
    """``check --live`` sees that the stand-in looks for calls, as in a real CRM."""
    client = create_crm_app(a_crm(), now=lambda: NOW, headline=str).test_client()
    reply = await client.get(f"/{SCRIPT}")
    assert polling_of(await reply.get_data(as_text=True)) is Polling.REPEATED


async def test_a_poisoned_crm_does_not_answer(autojump_clock: trio.testing.MockClock) -> None:
    """After a JSON list in a name the next call's request hangs for as long as real clients waited."""
    crm = a_crm()
    crm.poisoned = True
    client = create_crm_app(crm, now=lambda: NOW, headline=str).test_client()
    form = {"vtigersignature": "labsecret123", "callstatus": "DialBegin", "callUUID": "a", "callerIdNumber": "79",
            "dialString": "101"}  # fmt: skip
    asked = trio.current_time()
    assert (await client.post(CALLBACK_PATH, form=form)).status_code == 504
    assert trio.current_time() - asked >= 130


def test_page_data() -> None:
    """Desks show their own user's popups, the list the newest first with vTiger's columns."""
    crm = a_crm()
    begin(crm, "in")
    begin(crm, "out", caller="102", dialled="79990001122")
    state = crm_state(crm, NOW, "pass 1")
    ivan, bob = state["desks"]
    assert (ivan["phone"], ivan["popups"][0]["caller"], ivan["popups"][0]["assigned_to"]) == (
        "ringing",
        "<b>Pyotr</b>",
        "Bob",
    )
    assert (bob["phone"], bob["with"], bob["popups"]) == ("dialling", "79990001122", [])
    newest, oldest = state["calls"]
    assert (newest["direction"], newest["customer"], newest["user"]) == ("outbound", "", "Bob")
    assert (oldest["status"], oldest["colour"], oldest["start"]) == ("ringing", "blue", "2026-11-23 09:00:00")
    assert (state["clock"], state["zone"], state["open"], state["total"]) == (
        "2026-11-23 09:00:00", "Europe/Moscow", 2, 2,
    )  # fmt: skip


def test_recording_is_shown_only_when_completed() -> None:
    """As in vTiger, the list has no recording for a call that is not ``completed``."""
    crm = a_crm()
    begin(crm, "a")
    row = crm.rows[0]
    row.recordingurl = "http://x/recording?id=1"
    assert crm_state(crm, NOW, "")["calls"][0]["recording"] == ""
    row.callstatus = "completed"
    assert crm_state(crm, NOW, "")["calls"][0]["recording"] == "http://x/recording?id=1"


def test_stock_desk_rings_for_every_user() -> None:
    """In stock vTiger a call without a user rings on every desk."""
    crm = StandInCRM(flavour="stock", users=USERS, contacts=CONTACTS, secret="s")
    crm.callback({"vtigersignature": "s", "callstatus": "StartApp", "callUUID": "a", "StartTime": crm.clock(NOW)}, NOW)
    assert [desk["phone"] for desk in crm_state(crm, NOW, "")["desks"]] == ["ringing", "ringing"]


def test_status_colours() -> None:
    """vTiger's four colours."""
    statuses = ("ringing", "in-progress", "completed", "no-answer", "busy", "Answered elsewhere", "")
    assert [status_colour(status) for status in statuses] == [
        "blue", "blue", "green", "red", "yellow", "yellow", "yellow",
    ]  # fmt: skip


async def test_served_for_real() -> None:
    """Over a socket: callback, page with a policy that allows no foreign or inline code, data, and a bounded end."""
    crm = a_crm()
    shutdown = trio.Event()
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            (address,) = await nursery.start(partial(serve_crm_app, crm, now=lambda: NOW, shutdown=shutdown))
            async with httpx.AsyncClient(base_url=address) as client:
                form = {"vtigersignature": "labsecret123", "callstatus": "DialBegin", "callUUID": "a",
                        "callerIdNumber": "79161234567", "dialString": "101"}  # fmt: skip
                assert (await client.post(CALLBACK_PATH, data=form)).status_code == 200
                page = await client.get("/")
                assert "<script src=" in page.text
                assert page.headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self'")
                assert (await client.get("/page.js")).headers["Content-Type"] == "text/javascript; charset=utf-8"
                assert (await client.get("/page.css")).headers["Content-Type"] == "text/css; charset=utf-8"
                assert (await client.get("/state")).json()["total"] == 1
                assert (await client.get("/nothing")).status_code == 404
            with pytest.raises(CannotListenError):
                await serve_crm_app(a_crm(), port=int(address.rpartition(":")[2]), now=lambda: NOW)
            shutdown.set()
