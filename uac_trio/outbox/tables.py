"""The tables. A change here needs a new file in migrations/versions; a test compares the two."""

from __future__ import annotations

import enum

import sqlalchemy as sa

VERSION_TABLE = "uac_trio_version"


class State(enum.StrEnum):
    WAITING = "waiting"
    SENDING = "sending"
    DELIVERED = "delivered"
    PARKED = "parked"
    MOOT = "moot"


UNSETTLED = (State.WAITING, State.SENDING)

metadata = sa.MetaData()

request = sa.Table(
    "request",
    metadata,
    # Order within a call is the order of ids.
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True),
    sa.Column("key", sa.Text, nullable=False, unique=True),
    sa.Column("call_id", sa.Text, nullable=False),
    sa.Column("extension", sa.Text, nullable=False),
    sa.Column("step", sa.Text, nullable=False),
    sa.Column("form", sa.Text, nullable=False),  # a JSON object; personal data, gone with the purge
    sa.Column("at", sa.Double, nullable=False),
    sa.Column("moot_after", sa.Text),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("next_try_at", sa.Double, nullable=False),
    sa.Column("leased_by", sa.Text),
    sa.Column("leased_until", sa.Double),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Column("settled_at", sa.Double),
    sa.CheckConstraint("state IN ('waiting', 'sending', 'delivered', 'parked', 'moot')", name="request_state_known"),
    sa.Index("request_call", "call_id", "id"),
    sa.Index("request_due", "state", "next_try_at", "id"),
    sa.Index("request_age", "state", "created_at", "id"),
    sa.Index("request_moot", "state", "moot_after"),
)

recording = sa.Table(
    "recording",
    metadata,
    sa.Column("token", sa.Text, primary_key=True),
    sa.Column("pbx", sa.Text, nullable=False),
    sa.Column("call_id", sa.Text, nullable=False),
    sa.Column("extension", sa.Text, nullable=False),
    sa.Column("customer", sa.Text, nullable=False),
    sa.Column("path", sa.Text, nullable=False),  # a JSON string; often with telephone numbers in it
    sa.Column("at", sa.Double, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("size", sa.BigInteger),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("request", sa.Text),  # a JSON object: what is put into the outbox when the file is complete
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Column("settled_at", sa.Double),
    sa.CheckConstraint("state IN ('waiting', 'ready', 'missing', 'unseen')", name="recording_state_known"),
    sa.Index("recording_awaited", "state", "pbx", "created_at"),
    sa.Index("recording_call", "call_id"),
    sa.Index("recording_age", "at"),
)

journal = sa.Table(
    "journal",
    metadata,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True),
    sa.Column("pbx", sa.Text, nullable=False),
    sa.Column("run", sa.Text, nullable=False),
    sa.Column("at", sa.Double, nullable=False),
    sa.Column("until", sa.Double, nullable=False),
    sa.Column("size", sa.Integer, nullable=False),
    sa.Column("data", sa.LargeBinary, nullable=False),  # zlib; events with telephone numbers, gone with their calls
    sa.Index("journal_run", "pbx", "run", "id"),
)
