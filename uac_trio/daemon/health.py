"""``/healthz`` and ``/readyz``, and the status line of systemd. Pure.

Any client of the port may read them: no telephone numbers, no secrets, of a condition its name alone. The words are on
``/live``, which is for the networks of the administrators.
"""

from __future__ import annotations

from typing import Any

import attrs

from uac_trio.ami_client.status import AMIStatus
from uac_trio.daemon.standing import Standing
from uac_trio.web.app import Health

STORE_ANSWERS_WITHIN = 60.0
"""Seconds; a database server's own limits end a statement before that. A thread that waits longer does so for a host or
a disk that hangs."""


def health(now: Standing) -> Health:
    """``works``: this is answered and the store's thread answers, well or not. ``ready``: PBXes, CRM and store are
    there."""
    pbxes = {name: _pbx(now.pbxes.get(name)) for name in now.configured}
    crm = {
        "ok": not now.sender.trouble,
        "reason": now.sender.trouble,
        "since": now.sender.trouble_since,
        "in_flight": now.sender.in_flight,
    }
    store = {"ok": not now.store_trouble, "reason": now.store_trouble, "in_memory": now.in_memory}
    details: dict[str, object] = {
        "version": now.version,
        "pbx": pbxes,
        "crm": crm,
        "store": store,
        "conditions": [
            {"condition": one.condition.value, "severity": one.severity.value, "pbx": one.pbx, "since": one.since}
            for one in now.findings
        ],
        "live_calls": now.live_calls,
        "outbox": attrs.asdict(now.outbox) if now.outbox else None,
        "recordings": {"trouble": dict(now.recordings_troubles)},
        "log": {"lines_dropped": now.log_lines_dropped},
        "starts_over": now.starts_over,
    }
    if now.route_trouble is not None:
        details["route"] = {"trouble": now.route_trouble}
    if now.streams is not None:
        details["companion"] = {"streams": now.streams.open, "last_seen": now.streams.last_seen_at}
    return Health(
        works=now.store_hangs_for < STORE_ANSWERS_WITHIN,
        ready=all(one["ok"] for one in (*pbxes.values(), crm, store)),
        details=details,
    )


def _pbx(status: AMIStatus | None) -> dict[str, Any]:
    if status is None:
        return {"ok": False, "reason": "not begun with yet: the store does not answer", "state": "", "since": None}
    is_connected = status.state == "connected"
    reason = "" if is_connected else status.last_error or status.state
    return {"ok": is_connected, "reason": reason, "state": status.state, "since": status.connected_since}


def status_line(now: Standing) -> str:
    """One line for ``systemctl status``."""
    connected = sum(status.state == "connected" for status in now.pbxes.values())
    parts = [
        f"{connected} of {len(now.configured)} PBXes connected",
        "CRM does not take requests" if now.sender.trouble else "CRM takes requests",
        f"{now.live_calls} calls in progress",
    ]
    if now.outbox is not None:
        parts.append(f"{now.outbox.waiting + now.outbox.sending + now.in_memory} deliveries wait")
    present = [
        f"{one.severity.value} {one.condition.value}" + (f" ({one.pbx})" if one.pbx else "") for one in now.findings
    ]
    return ", ".join(parts) + "; " + (", ".join(present) or "all is well")
