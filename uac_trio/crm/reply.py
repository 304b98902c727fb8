"""What a CRM answers, and what that means for a delivery. Values; which answer means what is the CRM's own."""

from __future__ import annotations

import enum
import re
from email.utils import parsedate_to_datetime

import attrs


class Ruling(enum.Enum):
    """What the sender has to do now."""

    DELIVERED = "delivered"
    PROBABLY = "probably delivered"
    """An error that this CRM answers after it has written: go on with the call's next request."""
    AGAIN = "again"
    """Send this request again after a pause. No other delivery waits."""
    AWAY = "away"
    """Not applied, nor would the next request be: the CRM is not there. All deliveries wait, none is lost."""
    AUTH_FAILED = "authentication failed"
    """Not applied: the secret is wrong, for this request and all others. All deliveries wait for an administrator."""
    MISCONFIGURED = "misconfigured"
    """Not applied: something else than the CRM answers at this address. All deliveries wait for an administrator."""
    PARKED = "parked"
    """The CRM will refuse this request however often it is sent: a dead letter."""
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
    is_own: bool = False
    """For AWAY: perhaps this request alone fails, so another one goes first."""
    cause: enum.Enum | None = None
    """The kind of answer, by a judge's own table; for its doubts."""
    seen: str = ""
    """What was seen, in brackets; ``words`` ends with it."""


def retry_after_seconds(header: str, now: float) -> float:
    """What a ``Retry-After`` (RFC 9110, 10.2.3: seconds or a date) asks for; 0 if it is missing or makes no sense."""
    text = header.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now)
    except (ValueError, OverflowError):
        return 0.0


def shown(words: str, reply: Reply) -> str:
    """``words`` with what was seen, for an administrator."""
    return f"{words} {seen_in(reply)}" if words else ""


def seen_in(reply: Reply) -> str:
    """What an administrator may see of it, in brackets."""
    seen = f"HTTP {reply.status}"
    if reply.location:
        seen += f", Location: {excerpt(reply.location)}"
    if reply.text.strip():
        seen += f", {excerpt(reply.text)!r}"
    return f"[{seen}]"


_EXCERPT = 120


def excerpt(text: str) -> str:
    """The beginning of a page as one line without tags, long numbers masked: an error page may quote a caller's."""
    plain = re.sub(r"<[^<>]*>", " ", text[: 20 * _EXCERPT])
    plain = " ".join(plain.split())
    plain = "".join(letter if letter.isprintable() else "?" for letter in plain)
    plain = re.sub(r"\d[\d ().-]{5,}\d", _masked, plain)
    return plain if len(plain) <= _EXCERPT else plain[: _EXCERPT - 3] + "..."


def _masked(number: re.Match[str]) -> str:
    return re.sub(r"\d", "*", number[0][:-2]) + number[0][-2:]
