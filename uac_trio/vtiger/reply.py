"""What an answer of vTiger's callback means: delivered, once more, later, never, or nobody knows.

PBXManager.php gives no sign of success: it says 200 with an empty body to what was stored and to what was ignored.
"""

from __future__ import annotations

import enum
import re
from email.utils import parsedate_to_datetime

import attrs

from uac_trio.vtiger.request import Step
from uac_trio.vtiger.server_errors import Evidence


class Ruling(enum.Enum):
    """What the sender has to do now."""

    DELIVERED = "delivered"
    PROBABLY = "probably delivered"
    """A PHP error that comes after the row was written: go on with the call's next request."""
    AGAIN = "again"
    """Send this request again after a pause. Nobody else waits."""
    AWAY = "away"
    """Not applied, nor would the next request be: the CRM is not there. Everybody waits, nothing is lost."""
    AUTH_FAILED = "authentication failed"
    """Not applied: the secret is wrong, for this request and all others. Everybody waits for an administrator."""
    MISCONFIGURED = "misconfigured"
    """Not applied: something else than the callback answers at this address. Everybody waits for an administrator."""
    PARKED = "parked"
    """vTiger will refuse this request however often it is sent."""
    UNKNOWN = "unknown"
    """It may have been applied, or may still be running in the CRM."""


class Failure(enum.Enum):
    """Why there is no reply."""

    NOT_SENT = "not sent"
    """No byte of the request reached the CRM (connection refused, no such host, TLS refused)."""
    UNKNOWN = "unknown"
    """The request was written, wholly or in part, and no complete reply came."""


@attrs.frozen(kw_only=True)
class Reply:
    """An HTTP reply, its body decoded and cut by the sender."""

    status: int
    content_type: str = ""
    text: str = ""
    location: str = ""
    retry_after: float = 0.0
    """Seconds for which it asks to be left alone (``retry_after_seconds``); 0: it does not."""
    date: str = ""
    """The server's clock, as its ``Date`` header says it."""


@attrs.frozen(kw_only=True)
class NoReply:
    failure: Failure
    detail: str
    """For people: "connection refused", "no reply in 15 s"."""


@attrs.frozen(kw_only=True)
class Verdict:
    ruling: Ruling
    words: str = ""
    """For an administrator: what was seen, what it means, what to do. No personal data, no secret."""
    retry_after: float = 0.0
    """For AWAY: seconds for which the CRM asked to be left alone."""


def retry_after_seconds(header: str, now: float) -> float:
    """What a ``Retry-After`` (RFC 9110, 10.2.3: seconds or a date) asks for; 0 if it is missing or makes no sense."""
    text = header.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now)
    except (ValueError, OverflowError):
        return 0.0


def repeatable(step: Step) -> bool:
    """May ``step`` be sent a second time, after the first is certainly over?

    Stock vTiger inserts another row for every StartApp (seen in 8.2; modules/PBXManager/callbacks/PBXManager.php);
    all other steps write the same values into the same row.
    """
    return step is not Step.START_APP


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


def _only(status: int) -> range:
    return range(status, status + 1)


_ANY = range(1000)
_EMPTY = r"\A\s*\Z"
_ANYTHING = r""
_PAGE = r"<!DOCTYPE|<html"
_FATAL_ADVICE = (
    "PHP failed inside vTiger, as a rule after the row was written; its web server's error log has the reason"
)
_FAILS_HERE = (
    "vTiger fails at this request and not at others; its web server's error log has the reason; once that is mended, "
    "uac-trio outbox retry sends the request again"
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
    # display_errors=On turns PHP's failures into text with status 200.
    _Rule(_only(200), r"\bFatal error\b[^:]{0,100}:", Ruling.AGAIN, _FATAL_ADVICE, tries=2, finally_=Ruling.PROBABLY),
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
    _Rule(_only(200), _ANYTHING, Ruling.AGAIN, "vTiger answered with an unknown text", tries=5),
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
        "the web server does not let the request through to vTiger's callback: check [vtiger] url and the access rules "
        "of the CRM's web server",
    ),
    _Rule(
        _only(500),
        _ANYTHING,
        Ruling.AWAY,
        "vTiger fails: its database is away or cannot be written, or PHP is broken there; its web server's error log "
        "has the reason (requests wait, none is lost)",
        when=frozenset({Evidence.OUTAGE}),
    ),
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
    _Rule(_only(500), _ANYTHING, Ruling.AGAIN, _FATAL_ADVICE, tries=2, finally_=Ruling.PROBABLY),
    _Rule(
        range(502, 504),
        _ANYTHING,
        Ruling.AWAY,
        "the proxy before the CRM finds nobody who answers, or the CRM is in maintenance: is PHP running there?",
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

    ``evidence`` is what this CRM's earlier answers say of a 500.
    Never AGAIN for a step that is not ``repeatable``.
    """
    if isinstance(answer, NoReply):
        if answer.failure is Failure.NOT_SENT:
            return Verdict(ruling=Ruling.AWAY, words=f"the CRM cannot be reached: {answer.detail}")
        return Verdict(ruling=Ruling.UNKNOWN, words=f"it is not known whether vTiger has this: {answer.detail}")
    rule = next((rule for rule in RULES if evidence in rule.when and _fits(rule, answer)), None)
    if rule is None:
        return Verdict(ruling=Ruling.MISCONFIGURED, words=f"HTTP status {answer.status} is none; check [vtiger] url")
    ruling = rule.ruling
    if ruling is Ruling.AGAIN:
        pointless = evidence is Evidence.USUAL and rule.finally_ is Ruling.PROBABLY
        if attempt >= rule.tries or pointless or not repeatable(step):
            ruling = rule.finally_
    retry_after = answer.retry_after if ruling is Ruling.AWAY else 0.0
    return Verdict(ruling=ruling, words=_words(rule.words, answer), retry_after=retry_after)


def _fits(rule: _Rule, reply: Reply) -> bool:
    return reply.status in rule.statuses and re.search(rule.pattern, reply.text, re.IGNORECASE | re.DOTALL) is not None


_EXCERPT = 120


def _words(words: str, reply: Reply) -> str:
    if not words:
        return ""
    seen = f"HTTP {reply.status}"
    if reply.location:
        seen += f", Location: {excerpt(reply.location)}"
    if reply.text.strip():
        seen += f", {excerpt(reply.text)!r}"
    return f"{words} [{seen}]"


def excerpt(text: str) -> str:
    """The beginning of a page as one line without tags, long numbers masked: an error page may quote a caller's."""
    plain = re.sub(r"<[^<>]*>", " ", text[: 20 * _EXCERPT])
    plain = " ".join(plain.split())
    plain = "".join(letter if letter.isprintable() else "?" for letter in plain)
    plain = re.sub(r"\d[\d ().-]{5,}\d", _masked, plain)
    return plain if len(plain) <= _EXCERPT else plain[: _EXCERPT - 3] + "..."


def _masked(number: re.Match[str]) -> str:
    return re.sub(r"\d", "*", number[0][:-2]) + number[0][-2:]
