"""What the people at the phones do, by kind of call, with the ground truth beside it."""

from __future__ import annotations

from lab.scenarios import (
    clicks,
    clicks_local,
    everyday,
    office_agents,
    office_heard,
    office_mobiles,
    office_queues,
    office_rarely,
    office_ringing,
    office_services,
    office_tangled,
    office_transfers,
    office_trunks,
    recorded,
    routing,
    sessions,
)

__all__ = [
    "clicks",
    "clicks_local",
    "everyday",
    "office_agents",
    "office_heard",
    "office_mobiles",
    "office_queues",
    "office_rarely",
    "office_ringing",
    "office_services",
    "office_tangled",
    "office_transfers",
    "office_trunks",
    "recorded",
    "routing",
    "sessions",
]
