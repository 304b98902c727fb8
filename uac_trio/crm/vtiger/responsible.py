"""Who in the CRM is responsible for a caller: the question to vTiger's SPAgi.php, and what its answer means.

SalesPlatform's vTiger, and 7.3 with its patch, have the script beside PBXManager.php; a stock vTiger has none. It takes
``vtigersignature`` and ``callerNumber``, pastes the number into SQL as all callbacks do, and answers with JSON
(modules/PBXManager/callbacks/SPAgi.php, by experiment): the extension of the user who owns the first record with that
number; null for an unknown number, for a record that a group owns, and for a user without an extension.

What it names is dialled, so it has to be an extension by ``[calls] extensions`` and pass a whitelist of characters.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from urllib.parse import urljoin

from uac_trio.crm.reply import NoReply, Reply, excerpt
from uac_trio.crm.responsible import Finding, Responsible
from uac_trio.crm.vtiger import field
from uac_trio.crm.vtiger.account import VtigerAccount

MAX_ANSWER = 4096
"""Characters. The script's own answers have less than 100; PHP's warnings before them some hundred more."""

_DIALLABLE = re.compile(r"[0-9A-Za-z_.-]{1,32}")
_BEGIN = '{"success"'


def owner_url(account: VtigerAccount, given: str) -> str:
    """Where to ask: as ``given``, else beside the callback."""
    return given or urljoin(account.url, "SPAgi.php")


def question(shown: str, is_extension: Callable[[str], bool]) -> Mapping[str, str] | Responsible:
    """The form to post for a caller's number, less our secret; or the answer, where there is nothing to ask."""
    number = field.number(shown)
    if number == field.ANONYMOUS or not any(letter in "0123456789" for letter in number):
        return Responsible(finding=Finding.NO_OWNER, reason="the caller shows no number, or one that is none")
    if is_extension(number):
        return Responsible(finding=Finding.NO_OWNER, reason="the caller is an employee by [calls] extensions")
    return {"callerNumber": number}


def read_answer(answer: Reply | NoReply, is_extension: Callable[[str], bool]) -> Responsible:
    """What SPAgi.php, or whatever answered in its place, has said."""
    if isinstance(answer, NoReply):
        return _away(f"the CRM does not answer: {answer.detail}")
    if answer.status != 200:
        return _refused(answer)
    if len(answer.text) > MAX_ANSWER:
        return _away(f"something else than SPAgi.php answers, at length: {excerpt(answer.text)!r}; check [route] url")
    script = _decoded(answer.text)
    if script is None:
        return _senseless(answer)
    result = script.get("result")
    if script.get("success") is True and isinstance(result, dict):
        return _named(result.get("crmUserExtension"), is_extension)
    if script.get("success") is False:
        return _away(
            f"vTiger refuses the question [{excerpt(answer.text)}]: [vtiger] secret differs from the secret key in "
            "vTiger's PBXManager settings, or none is set there"
        )
    return _senseless(answer)


def _decoded(text: str) -> Mapping[str, object] | None:
    """The script's object. PHP may print its warnings before it (display_errors=On)."""
    try:
        decoded = json.loads(text[max(0, text.rfind(_BEGIN)) :])
    except (ValueError, RecursionError):
        return None
    return decoded if isinstance(decoded, dict) else None


def _named(extension: object, is_extension: Callable[[str], bool]) -> Responsible:
    if extension is None or extension == "":
        return Responsible(
            finding=Finding.NO_OWNER,
            reason="the CRM knows no record with this number, or its owner is a group or has no extension",
        )
    if isinstance(extension, int) and not isinstance(extension, bool):
        extension = str(extension)
    if not isinstance(extension, str) or not _DIALLABLE.fullmatch(extension) or not is_extension(extension):
        return Responsible(
            finding=Finding.NO_OWNER,
            reason=f"the CRM names {excerpt(str(extension))!r}, which is no extension by [calls] extensions",
        )
    return Responsible(finding=Finding.OWNED, extension=extension)


_MISSING = (
    "there is no SPAgi.php at this address: a stock vTiger has none, a SalesPlatform one has it beside PBXManager.php "
    "([route] url)"
)


def _refused(reply: Reply) -> Responsible:
    match reply.status:
        case 404 | 410:
            return _away(f"{_MISSING} [HTTP {reply.status}]")
        case status if 500 <= status < 600 and status not in (502, 503, 504) and not 520 <= status < 530:
            # PHP's own failure: perhaps at this number only.
            return Responsible(
                finding=Finding.FAILED,
                reason=f"PHP failed inside vTiger, whose web server's error log has the reason {_seen(reply)}",
            )
        case _:
            return _away(f"the CRM's web server does not let the question through {_seen(reply)}")


def _senseless(reply: Reply) -> Responsible:
    if not reply.text.strip():
        return Responsible(
            finding=Finding.FAILED,
            reason="vTiger answers with nothing: PHP failed, and its web server's error log has the reason",
        )
    return _away(
        f"a web page or another script answers where SPAgi.php should be: check [route] url, or [vtiger] url "
        f"{_seen(reply)}"
    )


def _away(reason: str) -> Responsible:
    return Responsible(finding=Finding.AWAY, reason=reason)


def _seen(reply: Reply) -> str:
    seen = f"HTTP {reply.status}"
    if reply.location:
        seen += f", Location: {excerpt(reply.location)}"
    if reply.text.strip():
        seen += f", {excerpt(reply.text)!r}"
    return f"[{seen}]"
