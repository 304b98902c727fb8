"""What may stand in a field of a callback. Values come from strangers; vTiger trusts them.

It pastes numbers into SQL without escaping and JSON-decodes every value: a list in a name field kills the request
inside a transaction whose locks then stay (modules/PBXManager, by experiment). So numbers pass a whitelist, names lose
what could be JSON or markup, and both are cut to their columns.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from datetime import datetime
from zoneinfo import ZoneInfo

ANONYMOUS = "anonymous"
"""Stands for a number that is withheld or holds what vTiger's SQL must not see."""

MAX_NUMBER = 100
"""Columns customernumber and incominglinename of vtiger_pbxmanager."""

MAX_NAME = 100
MAX_LINK = 200
"""Column recordingurl: vTiger cuts a longer one silently."""

_NUMBER = re.compile(r"[0-9+*#A-Za-z.-]+")
_CALL_UUID = re.compile(r"[0-9A-Za-z._:;@+*#-]{1,100}")
_FORMATTING = re.compile(r"[\s()]")
_UNFIT_IN_NAME = re.compile(
    r"[\x00-\x1f\x7f-\x9f<>\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\U00010000-\U0010ffff\ud800-\udfff]"
)
_FILLERS = "\u115f\u1160\u2800\u3164\uffa0"
"""Letters and a symbol by their category, and blank."""
_JSON_WORDS = ("null", "true", "false")
"""PHP takes them in any case."""


def call_uuid(call_id: str) -> str:
    """The call's identity as it fits into sourceuuid (100 wide; what is cut would never be found again).

    Only a Linkedid that an Originate chose (its ChannelId) can be longer or odd; it becomes a digest.
    """
    if _CALL_UUID.fullmatch(call_id):
        return call_id
    return "call-" + hashlib.sha256(call_id.encode("utf-8", "surrogatepass")).hexdigest()[:40]


def number(text: str) -> str:
    """A phone number of nothing but ``[0-9+*#A-Za-z.-]``; more than formatting besides makes it ``anonymous``."""
    bare = _FORMATTING.sub("", text)
    if not _NUMBER.fullmatch(bare) or bare.lower() in _JSON_WORDS:
        return ANONYMOUS
    return bare[:MAX_NUMBER]


def name(text: str) -> str:
    """A name as plain text: no control characters, nothing that turns the direction of what is around it, no ``<tag>``
    (vTiger's purifier eats those), nothing outside utf8mb3. It is no word of JSON's, and begins with a visible
    character that begins no JSON text."""
    fit = _UNFIT_IN_NAME.sub("", text)
    start = next((place for place, letter in enumerate(fit) if letter not in '[{"' and _is_seen(letter)), len(fit))
    cut = fit[start : start + MAX_NAME]
    end = next((place for place in range(len(cut), 0, -1) if _is_seen(cut[place - 1], after=True)), 0)
    return "" if cut[:end].lower() in _JSON_WORDS else cut[:end]


def _is_seen(letter: str, *, after: bool = False) -> bool:
    """Is no separator (Z*), control or format character (C*), nor, but ``after`` another letter, a mark (M*).

    PHP's ``trim`` and ``json_decode`` know ASCII's white space only, but a purifier or a column may drop the others.
    """
    return letter not in _FILLERS and unicodedata.category(letter)[0] not in ("ZC" if after else "ZCM")


def clock(at: float, zone: ZoneInfo) -> str:
    """``YYYY-MM-DD HH:MM:SS`` on the CRM's wall clock: it reads every time in its own ``$default_timezone``."""
    return datetime.fromtimestamp(at, zone).strftime("%Y-%m-%d %H:%M:%S")


def whole_seconds(secs: float) -> str:
    return str(max(0, round(secs)))
