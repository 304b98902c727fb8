"""Alembic's scripts, run by uac_trio.store.opening when the outbox is opened."""
