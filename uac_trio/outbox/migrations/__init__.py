"""Alembic's scripts, run by uac_trio.outbox.opening when the outbox is opened."""
