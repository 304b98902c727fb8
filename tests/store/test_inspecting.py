from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from uac_trio.store.inspecting import inspect_store
from uac_trio.store.outbox import open_outbox
from uac_trio.store.settings import OutboxError, OutboxSettings


async def test_look_beside_a_daemon(store_url: str) -> None:
    """On either kind of store an inspection shows the schema and the rows, and disturbs no process that has it open."""
    settings = OutboxSettings(url=store_url)
    before = await inspect_store(settings)
    assert (before.schema, before.statistics) == ("", None)
    async with open_outbox(settings) as outbox:
        look = await inspect_store(settings)
        assert look.schema == look.newest
        assert look.statistics == await outbox.statistics()
        assert await outbox.recordings.count_by_state() == {}


async def test_look_at_a_file_that_is_read_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite opens it, and begins a transaction to write; the look reports that nothing can be written."""
    settings = OutboxSettings(url=f"sqlite:///{tmp_path}/connector.db")
    async with open_outbox(settings):
        pass
    connect = sqlite3.connect

    def read_only(address: str, **more: Any) -> sqlite3.Connection:  # what a mode or a mount does, also to root
        connection: sqlite3.Connection = connect(address.replace("mode=rw", "mode=ro"), **more)
        return connection

    monkeypatch.setattr(sqlite3, "connect", read_only)
    with pytest.raises(OutboxError, match="cannot be written: check owner, mode and mount options"):
        await inspect_store(settings)
