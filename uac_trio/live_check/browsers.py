"""Whether the browsers of the CRM's users reach the daemon, by what it shows of its streams."""

from __future__ import annotations

import json
from datetime import datetime

from uac_trio.live_check.finding import Findings

RECENT = 3600.0
"""Seconds."""


def check_browsers(readyz: bytes, now: float, findings: Findings) -> None:
    """``readyz``: the body of the daemon's answer. Of a daemon without ``[companion] enabled`` there is nothing."""
    try:
        about = json.loads(readyz).get("companion")
        streams, last_seen = (int(about["streams"]), about["last_seen"]) if about is not None else (0, None)
        seen_at = None if last_seen is None else float(last_seen)
    except (ValueError, KeyError, TypeError, AttributeError):
        return  # of another version
    if about is None:
        return
    if streams:
        findings.ok("http.browsers", f"{streams} browsers of the CRM's users have a stream of events open")
    elif seen_at is None:
        findings.warn(
            "http.browsers",
            "no browser of the CRM's users has had a stream of events since the daemon started: their popups come by "
            "polling",
            "open a page of the CRM as a user with an extension; the module's page, in Settings > Module Manager, "
            "tries the connection, and companion.* in the daemon's log says what was refused (docs/companion.md)",
        )
    else:
        report = findings.ok if now - seen_at < RECENT else findings.warn
        when = f"{datetime.fromtimestamp(seen_at).astimezone():%d %b %H:%M}"
        report("http.browsers", f"no browser of the CRM's users has a stream of events now; the last had one {when}")
