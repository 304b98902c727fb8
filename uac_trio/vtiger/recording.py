"""The link under which the CRM is told that a recording can be heard.

vTiger keeps at most 200 characters of it, appends ``&secret=...`` (so there must be a ``?``), and mangles an ``&``
(modules/PBXManager/actions/ListenRecord.php). So it has one parameter, whose value nobody can guess and which is the
same whenever the same file is told.
"""

from __future__ import annotations

import hmac

from uac_trio.calls.fact import RecordingKnown
from uac_trio.vtiger.translate import Link


def recording_link(public_url: str, secret: str) -> Link:
    """Links below ``public_url`` (``[http] public_url``), or none at all if that is empty."""

    def link(recording: RecordingKnown) -> str:
        if not public_url:
            return ""
        told = f"{recording.call_id}\n{recording.extension}\n{recording.path}"
        return f"{public_url}/recording?id={hmac.digest(secret.encode(), told.encode(), 'sha256').hex()[:32]}"

    return link
