"""The stand-in CRM over HTTP: callback scripts at the paths of a real vTiger, and a page that shows its users' view."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from importlib import resources
from typing import Any
from urllib.parse import parse_qsl

import trio
from quart import Response, jsonify, request
from quart_trio import QuartTrio

from uac_trio.crm.vtiger.account import Flavour
from uac_trio.demo.crm import CallRow, CRMReply, StandInCRM
from uac_trio.demo.crm_tables import OPEN_STATES
from uac_trio.demo.desk import Desks, add_desks
from uac_trio.demo.listen import listen
from uac_trio.web.server import serve_web
from uac_trio.web.settings import WebSettings

CALLBACK_PATH = "/modules/PBXManager/callbacks/PBXManager.php"
SCRIPT_PATH = "/modules/PBXManager/resources/PBXManagerJS.js"
OWNER_PATH = "/modules/PBXManager/callbacks/SPAgi.php"
LISTEN_PATH = "/index.php"
SHOWN_CALLS = 100
GIVES_UP = 130.0
"""Seconds after which the hanging reply of a poisoned CRM ends; by then clients of the real one have timed out."""

_PAGE = {
    "/": ("index.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    "/page.js": ("page.js", "text/javascript"),
    "/vtiger.js": ("vtiger.js", "text/javascript"),
}
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "connect-src 'self' http://127.0.0.1:*; media-src 'self' http://127.0.0.1:*; img-src data:",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_LOOKS_FOR_CALLS = b"""// The page of this stand-in looks for calls by itself; so does the real one, by this file.
registerPBXCall();
setInterval("registerPBXCall()", 1000);
"""
"""For ``check --live``, which reads it."""
_NOT_ASCII = re.compile(rb"[\x80-\xff]")


def create_crm_app(
    crm: StandInCRM, *, now: Callable[[], float], headline: Callable[[], str], desks: Desks | None = None
) -> QuartTrio:
    """The application. ``headline``: the status text at the top of the page. ``desks``: the users' own pages."""
    app = QuartTrio("uac_trio.demo", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = 1 << 20

    async def callback() -> Response:
        return await _php_reply(crm.callback(await _php_request(), now()))

    async def owner() -> Response:
        return await _php_reply(crm.owner_extension(await _php_request()))

    async def listen_record() -> Response:
        is_known = (request.args.get("module"), request.args.get("action")) == ("PBXManager", "ListenRecord")
        record = request.args.get("record", "")
        row = next((row for row in crm.rows if is_known and str(row.pbxmanagerid) == record), None)
        heard = await listen(row.recordingurl, crm.secret) if row is not None and row.recordingurl else None
        # PHP's default, unless the connector's type was passed on.
        reply = Response(heard.body if heard else b"", content_type="text/html; charset=UTF-8")
        reply.headers.update(heard.headers if heard else {})
        return reply

    async def state() -> Response:
        return jsonify(crm_state(crm, now(), headline()))

    for path, script in ((CALLBACK_PATH, callback), (OWNER_PATH, owner)):
        app.add_url_rule(path, path, script, methods=["GET", "POST", "PUT"])
    app.add_url_rule(LISTEN_PATH, "listen", listen_record)
    app.add_url_rule("/state", "state", state)
    app.add_url_rule(SCRIPT_PATH, "script", _file(_LOOKS_FOR_CALLS, "text/javascript"))
    folder = resources.files("uac_trio.demo") / "page"
    for path, (name, content_type) in _PAGE.items():
        app.add_url_rule(path, path, _file((folder / name).read_bytes(), content_type))
    if desks is not None:
        add_desks(app, desks)
    app.after_request(_with_headers)
    return app


async def serve_crm_app(
    crm: StandInCRM,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    now: Callable[[], float],
    headline: Callable[[], str] = lambda: "",
    desks: Desks | None = None,
    shutdown: trio.Event | None = None,
    task_status: trio.TaskStatus[list[str]] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until ``shutdown`` or cancelled; ``task_status`` gets the addresses (``http://127.0.0.1:8080``).

    Raises CannotListenError for a port that is taken.
    """
    app = create_crm_app(crm, now=now, headline=headline, desks=desks)
    settings = WebSettings(
        bind=f"[{host}]:{port}" if ":" in host else f"{host}:{port}", stall_seconds=5, grace_seconds=1
    )
    ended = shutdown if shutdown is not None else trio.Event()
    await serve_web(app, settings, shutdown=ended, task_status=task_status)


def crm_state(crm: StandInCRM, now: float, headline: str) -> dict[str, Any]:
    """The page's content as JSON: the popups of each user with a phone (this is their poll), calls newest first."""
    rows = crm.rows
    return {
        "headline": headline,
        "clock": crm.clock(now),
        "zone": crm.zone,
        "flavour": crm.flavour.value,
        "desks": [_desk(crm, user.extension, user.name, now) for user in crm.users if user.extension],
        "calls": [call_columns(crm, row) for row in reversed(rows[-SHOWN_CALLS:])],
        "total": len(rows),
        "open": len(crm.stuck()),
        "doubles": len(crm.doubles()),
        "hazards": len(crm.hazards),
        "customers": [
            {"id": contact.id, "name": contact.name, "kind": contact.kind, "owner": _user_name(crm, contact.owner),
             "phones": list(contact.phones)}
            for contact in crm.contacts
        ],
    }  # fmt: skip


def call_columns(crm: StandInCRM, row: CallRow) -> dict[str, Any]:
    """A row as PBXManager's list shows it; the recording only when the call is ``completed``, as vTiger does."""
    customer = crm.tables.contact(row.customer)
    return {
        "id": row.pbxmanagerid,
        "status": row.callstatus,
        "colour": status_colour(row.callstatus),
        "direction": row.direction,
        "number": row.customernumber or "",
        "customer": customer.name if customer is not None else "",
        "customer_id": row.customer or "",
        "user": _user_name(crm, row.user),
        "recording": (row.recordingurl or "") if row.callstatus == "completed" else "",
        "listen": _listen_address(crm, row) if row.callstatus == "completed" else "",
        "duration": row.totalduration,
        "start": row.starttime or "",
        "uuid": row.sourceuuid,
    }


def _listen_address(crm: StandInCRM, row: CallRow) -> str:
    """The URL for the page's player: SalesPlatform's own script, which fetches the recording, or the link itself."""
    if crm.flavour is Flavour.STOCK or not row.recordingurl:
        return row.recordingurl or ""
    return f"index.php?module=PBXManager&action=ListenRecord&record={row.pbxmanagerid}"


def status_colour(status: str) -> str:
    """The list's colours: blue while the call goes on, green, red, and yellow for everything else."""
    if status in OPEN_STATES:
        return "blue"
    return {"completed": "green", "no-answer": "red"}.get(status, "yellow")


def _desk(crm: StandInCRM, extension: str, name: str, now: float) -> dict[str, Any]:
    popups = crm.popups(extension, now)
    user = next(user for user in crm.users if user.extension == extension)
    open_rows = [row for row in crm.stuck() if row.user == str(user.id)]
    is_for_all = crm.flavour is Flavour.STOCK and bool(popups)
    phone = "idle"
    if open_rows or is_for_all:
        talks = any(row.callstatus == "in-progress" for row in open_rows)
        dials = any(row.direction == "outbound" for row in open_rows)
        phone = "talking" if talks else "dialling" if dials else "ringing"
    return {
        "extension": extension,
        "name": name,
        "phone": phone,
        "with": open_rows[-1].customernumber if open_rows else "",
        "popups": [
            {"row": popup.row, "status": popup.status, "number": popup.number, "caller": popup.caller,
             "customer": popup.customer, "assigned_to": popup.assigned_to}
            for popup in popups
        ],
    }  # fmt: skip


def _user_name(crm: StandInCRM, user_id: str | int | None) -> str:
    user = crm.tables.user(user_id)
    return user.name if user is not None else ""


async def _php_request() -> Mapping[str, str]:
    """PHP's $_REQUEST: the query and the form of a POST; other bodies and methods add nothing."""
    found = _pairs(request.query_string)
    if request.method == "POST" and request.mimetype == "application/x-www-form-urlencoded":
        body = await request.get_data(as_text=False)
        found |= _pairs(body if isinstance(body, bytes) else body.encode())
    elif request.method == "POST" and request.mimetype == "multipart/form-data":
        found |= (await request.form).to_dict()
    return found


def _pairs(encoded: bytes) -> dict[str, str]:
    """Percent-encoded pairs; invalid UTF-8 bytes become lone surrogates."""
    ascii_only = _NOT_ASCII.sub(lambda found: b"%%%02X" % found.group()[0], encoded).decode("ascii")
    return dict(parse_qsl(ascii_only, keep_blank_values=True, encoding="utf-8", errors="surrogateescape"))


async def _php_reply(reply: CRMReply) -> Response:
    if reply.status < 0:
        await trio.sleep(GIVES_UP)
        return Response("", status=504)
    return Response(reply.body, status=reply.status, content_type=reply.content_type)


def _file(content: bytes, content_type: str) -> Callable[[], Any]:
    async def answer() -> Response:
        return Response(content, content_type=f"{content_type}; charset=utf-8")

    return answer


async def _with_headers(response: Response) -> Response:
    response.headers.extend(_HEADERS)
    return response
