"""What an answer of vTiger's callback means: delivered, once more, later, never, or not known.

PBXManager.php gives no sign of success: it says 200 with an empty body to what was stored and to what was ignored.
"""

from __future__ import annotations

import enum
import re
from http import HTTPStatus

import attrs

from uac_trio.crm.reply import Failure, NoReply, Reply, Ruling, Verdict, seen_in, shown
from uac_trio.crm.vtiger.request import Step, repeatable
from uac_trio.crm.vtiger.server_errors import Evidence


class Cause(enum.Enum):
    """Kinds of answers that are not believed by themselves (``judging.py``)."""

    FAILED = "a 500 that may hide a written row"
    PRINTED_FATAL = "PHP's failure as text with status 200"
    UNKNOWN_TEXT = "status 200 with none of the texts that we know"
    NOT_LET_THROUGH = "refused by the web server, or by something before it"


@attrs.frozen
class _Rule:
    statuses: range
    pattern: str
    """Searched in the body, any case, over line ends."""
    ruling: Ruling
    words: str
    tries: int = 0
    """For AGAIN: from this attempt on ``finally_`` holds."""
    finally_: Ruling = Ruling.PARKED
    when: frozenset[Evidence] = frozenset(Evidence)
    """The evidence with which it holds."""
    cause: Cause | None = None


def _only(status: int) -> range:
    return range(status, status + 1)


_ANY = range(1000)
_EMPTY = r"\A\s*\Z"
_ANYTHING = r""
_PAGE = r"<!DOCTYPE|<html"
_FATAL = r"\bFatal error\b[^:]{0,100}:"
_FATAL_ADVICE = (
    "PHP failed inside vTiger, as a rule after the row was written; its web server's error log has the reason"
)
_PRINTED_ADVICE = (
    "PHP failed inside vTiger, as a rule after the row was written, and prints it into the answer: it says there what "
    "to mend; set display_errors=Off in the CRM's php.ini"
)
_FAILS = (
    "vTiger fails: its database is away or cannot be written, or PHP is broken there; its web server's error log "
    "has the reason (requests wait, none is lost)"
)
_FAILS_HERE = (
    "vTiger fails at this request and not at others; its web server's error log has the reason; once that is mended, "
    "uac-trio outbox retry sends the request again"
)

_NOT_LET_THROUGH = (
    "the web server does not let the request through to vTiger's callback: check [vtiger] url and the access rules of "
    "the CRM's web server"
)

RULES: tuple[_Rule, ...] = (
    _Rule(
        _ANY,
        r"<Authentication>\s*Failure\s*</Authentication>",
        Ruling.AUTH_FAILED,
        "vTiger answers Authentication Failure: [vtiger] secret differs from the secret key in vTiger's PBXManager "
        "settings, or none is set there; make them equal (requests wait, none is lost)",
    ),
    # Before the other 500s: here the row was certainly not written, and PHP's persistent connection may still hold the
    # locks of the broken transaction.
    _Rule(
        _only(500),
        r"Input array has \d+ params",
        Ruling.PARKED,
        "vTiger took a value of this request for a list and failed in the middle of a transaction; if the CRM hangs "
        "when records are created, restart its php-fpm or Apache",
    ),
    _Rule(_only(200), _EMPTY, Ruling.DELIVERED, ""),
    _Rule(_only(200), r"<Authentication>\s*Success\s*</Authentication>", Ruling.DELIVERED, ""),
    _Rule(
        _only(200),
        r"Sorry! Attempt to access restricted file",
        Ruling.PARKED,
        "vTiger refused this request with its text about a restricted file: it found no user or record to work with",
    ),
    _Rule(_only(200), r"Input array has \d+ params", Ruling.PARKED, "vTiger refused a value of this request"),
    # display_errors=On makes such a text, with status 200, of what would be an empty 500: the same evidence holds.
    _Rule(_only(200), _FATAL, Ruling.AWAY, _FAILS, when=frozenset({Evidence.OUTAGE}), cause=Cause.PRINTED_FATAL),
    _Rule(
        _only(200),
        _FATAL,
        Ruling.AGAIN,
        _FAILS_HERE,
        tries=5,
        when=frozenset({Evidence.OWN}),
        cause=Cause.PRINTED_FATAL,
    ),
    _Rule(
        _only(200),
        _FATAL,
        Ruling.AGAIN,
        _PRINTED_ADVICE,
        tries=2,
        finally_=Ruling.PROBABLY,
        cause=Cause.PRINTED_FATAL,
    ),
    _Rule(
        _only(200),
        r"\A\s*(<br\s*/?>\s*)*(<b>)?(Warning|Notice|Deprecated)\b",
        Ruling.DELIVERED,
        "accepted, but PHP prints its warnings into the answer: set display_errors=Off in the CRM's php.ini",
    ),
    _Rule(
        _only(200),
        r"\A\s*([\[{]|<!DOCTYPE|<html)",
        Ruling.MISCONFIGURED,
        "a web page or JSON is answered where vTiger's callback should be (login page, proxy, other script): "
        "check that [vtiger] url ends in /modules/PBXManager/callbacks/PBXManager.php",
    ),
    # Not one of the texts we know of a refusal: perhaps the CRM's database is away for a moment.
    _Rule(
        _only(200),
        r"\A\s*Invalid request\b",
        Ruling.MISCONFIGURED,
        "vTiger itself answers, not its callback: check that [vtiger] url ends in "
        "/modules/PBXManager/callbacks/PBXManager.php",
    ),
    _Rule(
        _only(200),
        _ANYTHING,
        Ruling.AGAIN,
        "vTiger answered with an unknown text",
        tries=5,
        cause=Cause.UNKNOWN_TEXT,
    ),
    _Rule(
        range(201, 300),
        _ANYTHING,
        Ruling.MISCONFIGURED,
        "vTiger's callback never answers so; something else does: check [vtiger] url",
    ),
    _Rule(
        range(300, 400),
        _ANYTHING,
        Ruling.MISCONFIGURED,
        "the address redirects, and a redirected POST loses its parameters: put the final address into [vtiger] url",
    ),
    _Rule(
        _only(400),
        r"HTTPS port|plain HTTP",
        Ruling.MISCONFIGURED,
        "that port speaks HTTPS: write https:// in [vtiger] url",
    ),
    _Rule(_only(400), _ANYTHING, Ruling.PARKED, "the CRM does not accept a parameter of this request"),
    _Rule(_only(408), _ANYTHING, Ruling.AWAY, "the CRM's web server did not wait for the request"),
    _Rule(_only(425), _ANYTHING, Ruling.AWAY, "the CRM's web server asks to try again later"),
    _Rule(_only(429), _ANYTHING, Ruling.AWAY, "a proxy before the CRM limits the rate of requests"),
    _Rule(
        range(400, 500),
        _ANYTHING,
        Ruling.MISCONFIGURED,
        _NOT_LET_THROUGH,
        cause=Cause.NOT_LET_THROUGH,
    ),
    _Rule(_only(500), _ANYTHING, Ruling.AWAY, _FAILS, when=frozenset({Evidence.OUTAGE})),
    _Rule(_only(500), _ANYTHING, Ruling.AGAIN, _FAILS_HERE, tries=5, when=frozenset({Evidence.OWN})),
    _Rule(_only(500), _PAGE, Ruling.AGAIN, _FAILS_HERE, tries=5, when=frozenset({Evidence.DOUBT})),
    _Rule(
        _only(500),
        _PAGE,
        Ruling.AWAY,
        "the CRM's web server answers with an error page of its own: PHP does not run there, or fails at once; its "
        "error log has the reason (requests wait, none is lost)",
    ),
    # Every event that touches a row is answered so by a fresh web installation of 7.2, and the row IS written.
    _Rule(_only(500), _ANYTHING, Ruling.AGAIN, _FATAL_ADVICE, tries=2, finally_=Ruling.PROBABLY, cause=Cause.FAILED),
    _Rule(
        range(502, 504),
        _ANYTHING,
        Ruling.AWAY,
        "the proxy before the CRM gets no answer from it, or the CRM is in maintenance: is PHP running there?",
    ),
    _Rule(
        range(521, 524),
        _ANYTHING,
        Ruling.AWAY,
        "the proxy service before the CRM cannot reach it",
    ),
    # 504 and its kin: the proxy gave up waiting, PHP did not.
    _Rule(range(500, 1000), _ANYTHING, Ruling.UNKNOWN, "the proxy before the CRM gave up waiting for it"),
)


def judge(step: Step, answer: Reply | NoReply, *, attempt: int, evidence: Evidence = Evidence.NONE) -> Verdict:
    """What ``answer`` to the ``attempt``-th (from 1) sending of a ``step`` means.

    ``evidence`` is what this CRM's earlier answers say of a failure of PHP (``is_php_failure``).
    Never AGAIN for a step that is not ``repeatable``.
    """
    if isinstance(answer, NoReply):
        if answer.failure is Failure.NOT_SENT:
            return Verdict(ruling=Ruling.AWAY, words=f"the CRM cannot be reached: {answer.detail}")
        return Verdict(ruling=Ruling.UNKNOWN, words=f"it is not known whether vTiger has this: {answer.detail}")
    rule = _rule(answer, evidence)
    if rule is None:
        return Verdict(ruling=Ruling.MISCONFIGURED, words=f"HTTP status {answer.status} is none; check [vtiger] url")
    ruling = rule.ruling
    if ruling is Ruling.AGAIN:
        pointless = evidence is Evidence.USUAL and rule.cause is Cause.FAILED
        if attempt >= rule.tries or pointless or not repeatable(step):
            ruling = rule.finally_
    retry_after = answer.retry_after if ruling is Ruling.AWAY else 0.0
    return Verdict(
        ruling=ruling,
        words=shown(rule.words, answer),
        retry_after=retry_after,
        cause=rule.cause,
        seen=seen_in(answer),
    )


def is_php_failure(reply: Reply) -> bool:
    """A 500, or the text that display_errors=On makes of it."""
    rule = _rule(reply, Evidence.NONE)
    is_printed = rule is not None and rule.cause is Cause.PRINTED_FATAL
    return is_printed or reply.status == HTTPStatus.INTERNAL_SERVER_ERROR


def _rule(reply: Reply, evidence: Evidence) -> _Rule | None:
    return next((rule for rule in RULES if evidence in rule.when and _fits(rule, reply)), None)


def _fits(rule: _Rule, reply: Reply) -> bool:
    return reply.status in rule.statuses and re.search(rule.pattern, reply.text, re.IGNORECASE | re.DOTALL) is not None
