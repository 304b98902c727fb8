"""The durable outbox: every CRM request is a row here before it is sent, and until long after.

One table, the same in SQLite (one file, no set-up) and in PostgreSQL (several connectors at once). Keys drop doubles,
leases keep the order within a call, states and times in the row survive whatever happens to us.
"""

from uac_trio.outbox.opening import OutboxError, OutboxSettings
from uac_trio.outbox.outbox import Outbox, open_outbox
from uac_trio.outbox.rows import (
    Delivered,
    OpenParticipation,
    OutboxRow,
    OutboxStatistics,
    Outcome,
    Parked,
    ParkedRow,
    Retry,
    Unknown,
)

__all__ = [
    "Delivered",
    "OpenParticipation",
    "Outbox",
    "OutboxError",
    "OutboxRow",
    "OutboxSettings",
    "OutboxStatistics",
    "Outcome",
    "Parked",
    "ParkedRow",
    "Retry",
    "Unknown",
    "open_outbox",
]
