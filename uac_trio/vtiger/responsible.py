"""Who in the CRM is responsible for a caller: the question to vTiger's SPAgi.php, and what its answer means.

SalesPlatform's vTiger, and 7.3 with its patch, have the script beside PBXManager.php; a stock vTiger has none. It takes
``vtigersignature`` and ``callerNumber``, pastes the number into SQL as all callbacks do, and answers with JSON
(modules/PBXManager/callbacks/SPAgi.php, by experiment): the extension of the user who owns the first record with that
number; null for an unknown number, for a record that a group owns, and for a user without an extension.

What it names is dialled, so it has to be an extension by ``[calls] extensions`` and pass a whitelist of characters.
"""

from __future__ import annotations

import enum
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import urljoin

import attrs

from uac_trio.vtiger import field
from uac_trio.vtiger.click2call import PRIVATE_NETWORKS, Network
from uac_trio.vtiger.reply import NoReply, Reply, excerpt

MAX_ANSWER = 4096
"""Characters. The script's own answers have less than 100; PHP's warnings before them some hundred more."""

ASKING = 0.9
"""Share of a deadline that the CRM has; the rest is for telling Asterisk."""

_DIALLABLE = re.compile(r"[0-9A-Za-z_.-]{1,32}")
_BEGIN = '{"success"'


@attrs.frozen(kw_only=True)
class ResponsibleRules:
    """``[route]`` of the configuration."""

    bind: str = ""
    """Address and port for FastAGI, ``0.0.0.0:4574``; "": none."""
    secret: str = attrs.field(default="", repr=False)
    """What ``GET /route`` must be asked with; "": there is none. Not vTiger's, for it stands in the dialplan."""
    networks: tuple[Network, ...] = PRIVATE_NETWORKS
    """Where questions are listened to, by FastAGI and by HTTP: the addresses of the PBXes."""
    variable: str = "UAC_RESPONSIBLE"
    """The channel variable that FastAGI sets."""
    deadline_seconds: float = 1.0
    """The whole of an answer, from the connection on. The caller hears nothing meanwhile."""
    cache_seconds: float = 60.0
    """How long an answer of the CRM is taken for true; 0: not at all."""
    url: str = ""
    """Address of SPAgi.php; "": beside ``[vtiger] url``."""

    @property
    def is_on(self) -> bool:
        return bool(self.bind or self.secret)

    def address(self, callback: str) -> str:
        """Where to ask, ``callback`` being ``[vtiger] url``."""
        return self.url or urljoin(callback, "SPAgi.php")


class Finding(enum.Enum):
    """What came of a question."""

    OWNED = "owned"
    NOBODY = "nobody"
    """There is no employee to send the caller to, and asking again soon would bring nothing."""
    FAILED = "failed"
    """It is not known, for this number."""
    AWAY = "away"
    """It is not known, nor would it be for any other number: nobody answers, or refuses us as such."""


@attrs.frozen(kw_only=True)
class Responsible:
    """The answer: ``extension`` if ``finding`` is OWNED, else "" and ``reason`` in words for an administrator."""

    finding: Finding
    extension: str = ""
    reason: str = ""


Ask = Callable[[str, float], Awaitable[Responsible]]
"""Who is responsible for this caller's number, to be answered within so many seconds. Raises nothing."""


def number_to_ask(told: str, is_extension: Callable[[str], bool]) -> str | Responsible:
    """The number to ask the CRM for, as it may stand in a callback; or the answer, where there is nothing to ask."""
    number = field.number(told)
    if number == field.ANONYMOUS or not any(letter in "0123456789" for letter in number):
        return Responsible(finding=Finding.NOBODY, reason="the caller shows no number, or one that is none")
    if is_extension(number):
        return Responsible(finding=Finding.NOBODY, reason="the caller is an employee by [calls] extensions")
    return number


def question(number: str, secret: str) -> Mapping[str, str]:
    """The form to post for a number from ``number_to_ask``."""
    return {"vtigersignature": secret, "callerNumber": number}


def read_answer(answer: Reply | NoReply, is_extension: Callable[[str], bool]) -> Responsible:
    """What SPAgi.php, or whatever answered in its place, has said."""
    if isinstance(answer, NoReply):
        return _away(f"the CRM does not answer: {answer.detail}")
    if answer.status != 200:
        return _refused(answer)
    if len(answer.text) > MAX_ANSWER:
        return _away(f"something else than SPAgi.php answers, at length: {excerpt(answer.text)!r}; check [route] url")
    told = _decoded(answer.text)
    if told is None:
        return _senseless(answer)
    result = told.get("result")
    if told.get("success") is True and isinstance(result, dict):
        return _named(result.get("crmUserExtension"), is_extension)
    if told.get("success") is False:
        return _away(
            f"vTiger refuses the question [{excerpt(answer.text)}]: [vtiger] secret differs from the secret key in "
            "vTiger's PBXManager settings, or none is set there"
        )
    return _senseless(answer)


def _decoded(text: str) -> Mapping[str, object] | None:
    """The script's object. PHP may print its warnings before it (display_errors=On)."""
    try:
        told = json.loads(text[max(0, text.rfind(_BEGIN)) :])
    except (ValueError, RecursionError):
        return None
    return told if isinstance(told, dict) else None


def _named(extension: object, is_extension: Callable[[str], bool]) -> Responsible:
    if extension is None or extension == "":
        return Responsible(
            finding=Finding.NOBODY,
            reason="the CRM knows no record with this number, or its owner is a group or has no extension",
        )
    if isinstance(extension, int) and not isinstance(extension, bool):
        extension = str(extension)
    if not isinstance(extension, str) or not _DIALLABLE.fullmatch(extension) or not is_extension(extension):
        return Responsible(
            finding=Finding.NOBODY,
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
