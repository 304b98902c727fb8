"""The link at which a recording can be heard. Its one parameter cannot be guessed, and is always the same for the same
file."""

from __future__ import annotations

import hmac
import re

from uac_trio.calls.fact import RecordingKnown

TOKEN = re.compile(r"[0-9a-f]{32}")
"""What a link's one parameter looks like: 128 bits."""

_BEFORE_TOKEN = "/recording?id="  # noqa: S105 - a piece of a path

ADDED = len(_BEFORE_TOKEN) + 32
"""Characters that a link has beyond the public address."""


def recording_token(secret: str, recording: RecordingKnown) -> str:
    """HMAC-SHA256 over whose recording it is and the file."""
    named = f"{recording.call_id}\n{recording.extension}\n{recording.path}"
    return hmac.digest(secret.encode(), named.encode(errors="surrogatepass"), "sha256").hex()[:32]


def recording_link(public_url: str, token: str) -> str:
    """The link below ``[http] public_url``."""
    return f"{public_url}{_BEFORE_TOKEN}{token}"
