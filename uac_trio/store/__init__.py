"""The durable outbox: every delivery is a row here before it is sent, and until long after.

The same tables in SQLite (one file, no set-up) and in PostgreSQL (several connectors at once). Keys drop doubles,
leases keep the order within a call, states and times in the row survive whatever happens to us.
"""

from uac_trio.store.event_logs import EventLogRows
from uac_trio.store.forgetting import Forgotten
from uac_trio.store.opening import OutboxError, OutboxSettings
from uac_trio.store.outbox import Exchange, Outbox, open_outbox
from uac_trio.store.recordings import NewRecording, RecordingRow, RecordingRows, RecordingState
from uac_trio.store.rows import (
    Delivered,
    Exchanged,
    LeasedRow,
    LeaseRequest,
    OpenParticipation,
    OutboxStatistics,
    Parked,
    ParkedRow,
    Released,
    Retry,
    Settlement,
    Unknown,
)

__all__ = [
    "Delivered",
    "EventLogRows",
    "Exchange",
    "Exchanged",
    "Forgotten",
    "LeaseRequest",
    "LeasedRow",
    "NewRecording",
    "OpenParticipation",
    "Outbox",
    "OutboxError",
    "OutboxSettings",
    "OutboxStatistics",
    "Parked",
    "ParkedRow",
    "RecordingRow",
    "RecordingRows",
    "RecordingState",
    "Released",
    "Retry",
    "Settlement",
    "Unknown",
    "open_outbox",
]
