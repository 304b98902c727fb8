"""How the daemon and the parties around it stand at one moment: for /healthz, the live page and the metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs

from uac_trio.ami_client.status import AMIStatus
from uac_trio.daemon.conditions import Finding
from uac_trio.sender.delivery import SenderStatus
from uac_trio.store.rows import OutboxStatistics
from uac_trio.web.streams import StreamsStatus


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
    configured: Sequence[str] = ()
    """The PBXes of the configuration, by name."""
    recordings_troubles: Mapping[str, str] = attrs.field(factory=dict)
    """Why another machine serves no recordings, by the PBX's name."""
    route_trouble: str | None = None
    """Why callers are not routed; "" = they are, None = that is off."""
    flight_recorder_trouble: str = ""
    """Why AMI is not recorded; "" = it is, or that is off."""
    store_hangs_for: float = 0.0
    """Seconds since which an answer of the store is awaited; 0 = none is."""
    is_dry_run: bool = False
    config_problems: Sequence[str] = ()
    """Why the configuration that was read last was refused."""
    findings: Sequence[Finding] = ()
    """The conditions that are present."""
    streams: StreamsStatus | None = None
    """Of the CRM's users' browsers; None: ``[companion]`` is off."""
    log_lines_dropped: int = 0
    """Lines of the log that could not be written."""
