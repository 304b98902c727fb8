"""The stand-in CRM's page of one user, with the companion module installed: what its PHP answers, answered here.

Each desk has a path of its own, as if it were the root of a CRM, so that one browser can be several users.
"""

from __future__ import annotations

import base64
import hmac
import json
import secrets
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from importlib import resources
from typing import Any
from urllib.parse import quote

import attrs
import jinja2
from quart import Response, request
from quart_trio import QuartTrio

from uac_trio.crm.vtiger.module_package import module_files
from uac_trio.demo.crm import CRMUser, StandInCRM
from uac_trio.http_client import NoReplyError, NotSentError, open_http_client

COOKIE = "PHPSESSID"
TOKEN_LASTS = 60
FAILED = frozenset({"", "Error", "Authentication Failure"})
"""What the connector answers to a click that is not placed."""
PBX_TIMEOUT = 10.0


@attrs.define(kw_only=True)
class Desks:
    """The part of the CRM that browsers use."""

    crm: StandInCRM
    now: Callable[[], float]
    connector: str = ""
    """``webappurl`` of the gateway's settings."""
    language: str = "en_us"
    polling: str = "never"
    """Of the CRM itself: ``never`` as SalesPlatform's is shipped, ``once`` a page as stock, ``always`` every 4 s."""
    has_module: bool = True
    is_module_on: bool = True
    sessions: dict[str, int] = attrs.field(factory=dict)
    """Session id to user id."""
    received: Counter[str] = attrs.field(factory=Counter)
    """Requests of browsers by module, action and mode."""

    def log_in(self, user: CRMUser) -> str:
        """A new session's id."""
        session = secrets.token_hex(8)
        self.sessions[session] = user.id
        return session

    def user_of(self, session: str) -> CRMUser | None:
        return self.crm.tables.user(self.sessions.get(session))

    def token(self, user: CRMUser | None) -> Mapping[str, Any]:
        """actions/Token.php."""
        if user is None:
            return {"off": "logged-out"}
        if not self.is_module_on:
            return {"off": "switched-off"}
        expires = int(self.now()) + TOKEN_LASTS
        signed = sign_token(user.id, user.extension, expires, secrets.token_hex(16), self.crm.secret)
        return {"token": signed, "url": f"{self.connector}/crm/events"}

    def look(self, user: CRMUser | None) -> Any:  # noqa: ANN401 - JSON
        """actions/Look.php."""
        if user is None:
            return {"off": "logged-out"}
        return self.calls(user) if self.is_module_on else {"off": "switched-off"}

    def calls(self, user: CRMUser) -> list[Mapping[str, Any]]:
        """searchIncomingCalls of PBXManager's IncomingCallPoll.php."""
        return list(self._calls(user))

    def _calls(self, user: CRMUser) -> Iterator[Mapping[str, Any]]:
        rows = {row.pbxmanagerid: row for row in self.crm.rows}
        for popup in self.crm.popups(user.extension, self.now()):
            yield {
                "pbxmanagerid": str(popup.row),
                "sourceuuid": popup.call_uuid,
                "callstatus": popup.status,
                "customernumber": popup.number,
                "callername": popup.caller or None,
                "customer": popup.customer,
                "user": rows[popup.row].user,
                "current_user_id": str(user.id),
            }


def sign_token(user: int, extension: str, expires: int, nonce: str, secret: str) -> str:
    """As Token.php of the module."""
    fields = {"v": 1, "u": user, "x": extension, "e": expires, "n": nonce}
    payload = _base64(json.dumps(fields, separators=(",", ":")).encode())
    signature = hmac.digest(secret.encode(), b"uac-companion\n" + payload.encode(), "sha256")
    return f"{payload}.{_base64(signature)}"


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def add_desks(app: QuartTrio, desks: Desks) -> None:
    """Add ``/desk/EXTENSION/`` to ``app``."""
    template = _template()
    files = module_files()

    async def page(extension: str) -> Response:
        user = next((user for user in desks.crm.users if user.extension == extension), None)
        if user is None:
            return Response("", status=HTTPStatus.NOT_FOUND)
        script = next(path for path in files if "/companion-" in path) if desks.has_module else ""
        reply = Response(
            template.render(
                name=user.name, extension=extension, user=user.id, language=desks.language, polling=desks.polling,
                contacts=desks.crm.contacts, script=script if desks.is_module_on else "",
            ),
            content_type="text/html; charset=utf-8",
        )  # fmt: skip
        if desks.user_of(request.cookies.get(COOKIE, "")) is None:
            reply.set_cookie(COOKIE, desks.log_in(user), path=f"/desk/{extension}/")
        return reply

    async def index(extension: str) -> Response:
        user = desks.user_of(request.cookies.get(COOKIE, ""))
        asked = tuple(request.args.get(name, "") for name in ("module", "action", "mode"))
        desks.received[" ".join(filter(None, asked))] += 1
        return _json(await _answer(desks, user, asked))

    async def script(extension: str, name: str) -> Response:
        content = files.get(f"modules/UacCompanion/resources/{name}") if desks.has_module else None
        if content is None:
            return Response("", status=HTTPStatus.NOT_FOUND)
        return Response(content, content_type="text/javascript" if name.endswith(".js") else "text/plain")

    app.add_url_rule("/desk/<extension>/", "desk", page)
    app.add_url_rule("/desk/<extension>/index.php", "desk_index", index, methods=["GET", "POST"])
    app.add_url_rule("/desk/<extension>/modules/UacCompanion/resources/<name>", "desk_script", script)


async def _answer(desks: Desks, user: CRMUser | None, asked: tuple[str, ...]) -> Any:  # noqa: ANN401 - JSON
    match asked:
        case ("UacCompanion", "Token", _):
            return desks.token(user)
        case ("UacCompanion", "Look", _):
            return desks.look(user)
        case ("PBXManager", "IncomingCallPoll", "checkPermissionForPolling"):
            return user is not None
        case ("PBXManager", "IncomingCallPoll", "searchIncomingCalls") if user is not None:
            return desks.calls(user)
        case ("PBXManager", "OutgoingCall", _) if user is not None:
            return await _place_call(desks, user, request.args.get("number", ""))
        case _:
            return None


async def _place_call(desks: Desks, user: CRMUser, number: str) -> bool:
    """PBXManager's OutgoingCall.php: true unless the connector's answer says that it failed."""
    query = f"event=OutgoingCall&secret={quote(desks.crm.secret)}&from={user.extension}&to={quote(number)}&context="
    client = open_http_client(connect_timeout=PBX_TIMEOUT, reply_timeout=PBX_TIMEOUT, connections=1, ca_file=None)
    async with client as http:
        try:
            reply = await http.post(f"{desks.connector}/makecall?{query}", b"", {}, most=1000, within=PBX_TIMEOUT)
        except (NotSentError, NoReplyError):
            return False
    return reply.body.decode(errors="replace").strip() not in FAILED


def _json(result: Any) -> Response:  # noqa: ANN401
    body = json.dumps({"success": True, "result": result}, ensure_ascii=False)
    return Response(body, content_type="text/json; charset=utf-8")


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    text = (resources.files("uac_trio.demo") / "page" / "desk.html").read_text(encoding="utf-8")
    return environment.from_string(text)
