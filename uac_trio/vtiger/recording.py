"""The link under which the CRM is told that a recording can be heard.

vTiger keeps at most 200 characters of it, appends ``&secret=...`` (so there must be a ``?``), and mangles an ``&``
(modules/PBXManager/actions/ListenRecord.php). So it has one parameter, whose value nobody can guess and which is the
same whenever the same file is told.
"""

from __future__ import annotations

import hmac
import re

from uac_trio.calls.fact import RecordingKnown
from uac_trio.vtiger.field import MAX_LINK
from uac_trio.vtiger.translate import Link

TOKEN = re.compile(r"[0-9a-f]{32}")
"""What a link's one parameter looks like: 128 bits."""

_BEFORE_TOKEN = "/recording?id="  # noqa: S105 - a piece of a path

LONGEST_PUBLIC_URL = MAX_LINK - len(_BEFORE_TOKEN) - 32
"""Characters; links below a longer one would be cut, so they are not told."""


def recording_link(public_url: str, secret: str) -> Link:
    """Links below ``public_url`` (``[http] public_url``), or none at all if that is empty."""

    def link(recording: RecordingKnown) -> str:
        if not public_url:
            return ""
        told = f"{recording.call_id}\n{recording.extension}\n{recording.path}"
        token = hmac.digest(secret.encode(), told.encode(errors="surrogatepass"), "sha256").hex()[:32]
        return f"{public_url}{_BEFORE_TOKEN}{token}"

    return link


def token_of(link: str) -> str:
    """The token in a link of ``recording_link``; "" if it is another's."""
    token = link.rpartition(_BEFORE_TOKEN)[2]
    return token if TOKEN.fullmatch(token) else ""
