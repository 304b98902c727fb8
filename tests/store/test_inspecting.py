from __future__ import annotations

from uac_trio.store.inspecting import inspect_store
from uac_trio.store.outbox import open_outbox
from uac_trio.store.settings import OutboxSettings


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
