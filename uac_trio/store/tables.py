"""The tables. A change here needs a new file in migrations/versions; a test compares the two."""

from __future__ import annotations

import enum

import sqlalchemy as sa

VERSION_TABLE = "uac_trio_version"
REVISION = "0101"
"""Of these tables, the last in migrations/versions."""


class State(enum.StrEnum):
    WAITING = "waiting"
    SENDING = "sending"
    DELIVERED = "delivered"
    PARKED = "parked"
    """Dead letters: the CRM refuses them for good."""
    SUPERSEDED = "superseded"
    """Never sent: a later row made it pointless, or an administrator dropped it."""


UNSETTLED = (State.WAITING, State.SENDING)

metadata = sa.MetaData()


def _of_a_participation() -> tuple[sa.Column[object], ...]:
    """What deliveries and recordings say of whom they are about; personal data, gone with the purge."""
    return (
        sa.Column("pbx", sa.Text, nullable=False),
        sa.Column("call_id", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("occurrence", sa.Text, nullable=False),
        sa.Column("extension", sa.Text, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("direction", sa.Text, nullable=False),
        sa.Column("customer", sa.Text, nullable=False),
        sa.Column("customer_digits", sa.Text, nullable=False),  # those that say whose number it is
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("began_at", sa.Double, nullable=False),
    )


delivery = sa.Table(
    "delivery",
    metadata,
    # Order within a call is the order of ids.
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
    sa.Column("accepted", sa.Integer, nullable=False),  # how many of its requests the CRM accepted
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("next_try_at", sa.Double, nullable=False),
    sa.Column("leased_by", sa.Text),
    sa.Column("leased_until", sa.Double),
    sa.Column("in_doubt", sa.Boolean, nullable=False),  # its last sending may have been carried out
    sa.Column("is_probable", sa.Boolean, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Column("settled_at", sa.Double),
    sa.CheckConstraint(
        "state IN ('waiting', 'sending', 'delivered', 'parked', 'superseded')", name="delivery_state_known"
    ),
    sa.CheckConstraint("kind IN ('begin', 'answer', 'end', 'recording')", name="delivery_kind_known"),
    sa.Index("delivery_call", "call_id", "state", "id"),
    sa.Index("delivery_due", "state", "next_try_at", "id"),
    sa.Index("delivery_age", "state", "created_at", "id"),
    sa.Index("delivery_customer", "customer_digits"),
)

recording = sa.Table(
    "recording",
    metadata,
    sa.Column("token", sa.Text, primary_key=True),
    *_of_a_participation(),
    sa.Column("path", sa.Text, nullable=False),  # a JSON string: not every path is Unicode; often with numbers
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("size", sa.BigInteger),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Column("settled_at", sa.Double),
    sa.CheckConstraint("state IN ('waiting', 'ready', 'missing', 'unseen')", name="recording_state_known"),
    sa.Index("recording_awaited", "state", "pbx", "created_at"),
    sa.Index("recording_call", "call_id"),
    sa.Index("recording_age", "at"),
    sa.Index("recording_customer", "customer_digits"),
)

event_log = sa.Table(
    "event_log",
    metadata,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True),
    sa.Column("pbx", sa.Text, nullable=False),
    sa.Column("run", sa.Text, nullable=False),
    sa.Column("call_id", sa.Text, nullable=False),
    sa.Column("banner", sa.Text, nullable=False),
    sa.Column("is_whole", sa.Boolean, nullable=False),
    sa.Column("until", sa.Double, nullable=False),
    sa.Column("entries", sa.Text, nullable=False),  # lines of ASCII; with telephone numbers, gone with their call
    sa.Index("event_log_call", "call_id", "run"),
    sa.Index("event_log_pbx", "pbx", "id"),
)
