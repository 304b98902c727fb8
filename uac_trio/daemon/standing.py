"""How the daemon and the parties around it stand at one moment: for /healthz, the live page and the metrics."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from uac_trio.ami_client.status import AMIStatus
from uac_trio.sender.delivery import SenderStatus
from uac_trio.store.rows import OutboxStatistics


@attrs.frozen(kw_only=True)
class Standing:
    """Times are seconds since the epoch."""

    version: str
    now: float
    pbxes: Mapping[str, AMIStatus]
    """Of every configured PBX that was begun with, by its name."""
    live_calls: int
    starts_over: int
    in_memory: int
    """Deliveries that are not in the outbox yet."""
    store_trouble: str
    """Why the store takes nothing; "" = it works."""
    outbox: OutboxStatistics | None
    sender: SenderStatus
    log_lines_dropped: int = 0
    """Lines of the log that could not be written."""
