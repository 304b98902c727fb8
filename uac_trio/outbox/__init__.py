"""The durable outbox: every CRM request is a row here before it is sent, and until long after.

The same tables in SQLite (one file, no set-up) and in PostgreSQL (several connectors at once). Keys drop doubles,
leases keep the order within a call, states and times in the row survive whatever happens to us.
"""

from uac_trio.outbox.forgetting import Forgotten
from uac_trio.outbox.journal import JournalRows, Page, new_page
from uac_trio.outbox.opening import OutboxError, OutboxSettings
from uac_trio.outbox.outbox import Outbox, open_outbox
from uac_trio.outbox.recordings import NewRecording, RecordingRow, RecordingRows, RecordingState
from uac_trio.outbox.rows import (
    PROBABLY_DELIVERED,
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
    "PROBABLY_DELIVERED",
    "Delivered",
    "Forgotten",
    "JournalRows",
    "NewRecording",
    "OpenParticipation",
    "Outbox",
    "OutboxError",
    "OutboxRow",
    "OutboxSettings",
    "OutboxStatistics",
    "Outcome",
    "Page",
    "Parked",
    "ParkedRow",
    "RecordingRow",
    "RecordingRows",
    "RecordingState",
    "Retry",
    "Unknown",
    "new_page",
    "open_outbox",
]
