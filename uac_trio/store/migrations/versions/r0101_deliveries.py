"""Deliveries, recordings, event logs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0101"
down_revision = None


def _of_a_participation() -> tuple[sa.Column[object], ...]:
    return (
        sa.Column("pbx", sa.Text, nullable=False),
        sa.Column("call_id", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("occurrence", sa.Text, nullable=False),
        sa.Column("extension", sa.Text, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("direction", sa.Text, nullable=False),
        sa.Column("customer", sa.Text, nullable=False),
        sa.Column("customer_digits", sa.Text, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("began_at", sa.Double, nullable=False),
    )


def upgrade() -> None:
    op.create_table(
        "delivery",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True),
        sa.Column("key", sa.Text, nullable=False, unique=True),
        sa.Column("kind", sa.Text, nullable=False),
        *_of_a_participation(),
        sa.Column("first_began_at", sa.Double),
        sa.Column("customer_name", sa.Text, nullable=False),
        sa.Column("line", sa.Text, nullable=False),
        sa.Column("ended_at", sa.Double),
        sa.Column("outcome", sa.Text),
        sa.Column("talk_secs", sa.Double, nullable=False),
        sa.Column("recording", sa.Text, nullable=False),
        sa.Column("superseded_by", sa.Text),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("accepted", sa.Integer, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("next_try_at", sa.Double, nullable=False),
        sa.Column("leased_by", sa.Text),
        sa.Column("leased_until", sa.Double),
        sa.Column("in_doubt", sa.Boolean, nullable=False),
        sa.Column("is_probable", sa.Boolean, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("settled_at", sa.Double),
        sa.CheckConstraint(
            "state IN ('waiting', 'sending', 'delivered', 'parked', 'superseded')", name="delivery_state_known"
        ),
        sa.CheckConstraint("kind IN ('begin', 'answer', 'end', 'recording')", name="delivery_kind_known"),
    )
    op.create_index("delivery_call", "delivery", ["call_id", "state", "id"])
    op.create_index("delivery_due", "delivery", ["state", "next_try_at", "id"])
    op.create_index("delivery_age", "delivery", ["state", "created_at", "id"])
    op.create_index("delivery_customer", "delivery", ["customer_digits"])
    op.create_table(
        "recording",
        sa.Column("token", sa.Text, primary_key=True),
        *_of_a_participation(),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("size", sa.BigInteger),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("settled_at", sa.Double),
        sa.CheckConstraint("state IN ('waiting', 'ready', 'missing', 'unseen')", name="recording_state_known"),
    )
    op.create_index("recording_awaited", "recording", ["state", "pbx", "created_at"])
    op.create_index("recording_call", "recording", ["call_id"])
    op.create_index("recording_age", "recording", ["at"])
    op.create_index("recording_customer", "recording", ["customer_digits"])
    op.create_table(
        "event_log",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True),
        sa.Column("pbx", sa.Text, nullable=False),
        sa.Column("run", sa.Text, nullable=False),
        sa.Column("call_id", sa.Text, nullable=False),
        sa.Column("banner", sa.Text, nullable=False),
        sa.Column("is_whole", sa.Boolean, nullable=False),
        sa.Column("until", sa.Double, nullable=False),
        sa.Column("entries", sa.Text, nullable=False),
    )
    op.create_index("event_log_call", "event_log", ["call_id", "run"])
    op.create_index("event_log_pbx", "event_log", ["pbx", "id"])
