"""The token with which a CRM lets a user's browser open a stream of events.

    BASE64URL({"v":1,"u":USER,"x":EXTENSION,"e":EXPIRES,"n":NONCE}) . BASE64URL(HMAC-SHA256(secret, LABEL payload))

``e`` is in seconds since the epoch, ``payload`` the first part as it stands, padding is left out. The CRM makes one for
each opening of a stream and signs it with the secret that it shares with us. Any CRM may make them.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
from collections import OrderedDict

import attrs

LASTS = 60.0
"""Seconds for which a token is good for opening a stream."""
CLOCKS_DIFFER = 30.0
"""Seconds by which the CRM's clock and ours may differ."""
LONGEST = 512
"""Characters. An extension has 32 at most, a nonce 64."""
MOST_USED = 10_000
"""Nonces that are remembered: 55 openings a second for as long as a token may be good."""

_LABEL = b"uac-companion\n"
_PART = re.compile(r"[A-Za-z0-9_-]+")
_EXTENSION = re.compile(r"[0-9A-Za-z_.-]{0,32}")
_NONCE = re.compile(r"[0-9A-Za-z]{16,64}")


@attrs.frozen(kw_only=True)
class StreamToken:
    """What a CRM vouches for."""

    user: str
    """The CRM's own id of the user."""
    extension: str
    """Whose events they may see; "" = an administrator who tries whether a stream can be opened."""
    expires_at: float
    """Seconds since the epoch, by the CRM's clock."""
    nonce: str


class TokenError(ValueError):
    """Why a token is refused."""

    def __init__(self, reason: str, words: str, *, is_forged: bool = False) -> None:
        super().__init__(words)
        self.reason = reason
        """A word for metrics."""
        self.is_forged = is_forged
        """Its signature is not made with our secret: it may be an attempt to guess it."""


def read_token(text: str, secret: str, now: float) -> StreamToken:
    """The token in ``text``, if it is signed with ``secret`` and in time. Raises TokenError.

    The signature is compared in constant time, before anything else is looked at. ``now``: seconds since the epoch.
    """
    payload, _, signature = text.partition(".")
    if len(text) > LONGEST or not _PART.fullmatch(payload) or not _PART.fullmatch(signature):
        raise TokenError("malformed", "it is no token", is_forged=True)
    expected = hmac.new(secret.encode(), _LABEL + payload.encode(), hashlib.sha256).digest()
    if not hmac.compare_digest(_decoded(signature), expected):
        raise TokenError("signature", "it is not signed with our secret", is_forged=True)
    token = _read_payload(_decoded(payload))
    late = now - token.expires_at
    if not -(LASTS + CLOCKS_DIFFER) <= late <= CLOCKS_DIFFER:
        differ = f"it expires {-late:.0f} s from now" if late < 0 else f"it expired {late:.0f} s ago"
        raise TokenError("expired", f"{differ}; do the clocks of the CRM and of this machine agree?")
    return token


def _decoded(part: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except binascii.Error:
        return b""


def _read_payload(payload: bytes) -> StreamToken:
    """Signed by the CRM: another form than ours is of another version of its module."""
    try:
        given = json.loads(payload)
        token = StreamToken(user=str(given["u"]), extension=given["x"], expires_at=float(given["e"]), nonce=given["n"])
        is_known = given["v"] == 1 and _EXTENSION.fullmatch(token.extension) and _NONCE.fullmatch(token.nonce)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise TokenError("malformed", "its payload is not of this version") from error
    if not is_known:
        raise TokenError("malformed", "its payload is not of this version")
    return token


@attrs.define(eq=False)
class UsedTokens:
    """Lets each token open one stream of this connector."""

    _expiries: OrderedDict[str, float] = attrs.field(factory=OrderedDict, init=False)
    """By nonce, in the order of their use."""

    def use(self, token: StreamToken, now: float) -> None:
        """Raises TokenError for one that was used, and when more were used than are remembered."""
        self._forget(now)
        if token.nonce in self._expiries:
            raise TokenError("replayed", "it was used already")
        if len(self._expiries) >= MOST_USED:
            raise TokenError("too-many", "too many streams are opened at the moment")
        self._expiries[token.nonce] = token.expires_at + CLOCKS_DIFFER

    def _forget(self, now: float) -> None:
        while self._expiries:
            nonce, until = next(iter(self._expiries.items()))
            if until >= now:
                return
            del self._expiries[nonce]
