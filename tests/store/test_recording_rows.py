"""What is known of recordings, in a real store."""

from __future__ import annotations

import attrs
import pytest

from tests.store.calls import NOW, NUMBER, a_call, deliver, lease, recording_of
from uac_trio.crm.delivery import Kind
from uac_trio.store.outbox import Outbox, open_outbox
from uac_trio.store.recordings import NewRecording, RecordingState
from uac_trio.store.settings import OutboxError, OutboxSettings

TOKEN = f"{'main-1':x>32}"


async def kinds(outbox: Outbox) -> list[Kind]:
    return [row.delivery.kind for row in await lease(outbox)]


async def test_recording_that_is_awaited(store_url: str) -> None:
    """Its delivery is in the outbox when it is released, once, and not before; the row survives whatever comes."""
    awaited = recording_of("main-1", is_awaited=True)
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        assert await outbox.put(a_call("main-1"), NOW, [awaited, recording_of("main-2")]) == 3
        await deliver(outbox)
        assert await kinds(outbox) == []
        (row,) = await outbox.recordings.awaited("main")
        assert (row.token, row.path, row.at, row.size) == (TOKEN, f"{NUMBER}.wav", NOW, None)
        assert await outbox.recordings.awaited("branch") == []
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        assert await outbox.put([], NOW, [awaited]) == 0
        assert await outbox.recordings.release(TOKEN, 1234, NOW + 1)
        assert not await outbox.recordings.release(TOKEN, 1234, NOW + 2)
        assert not await outbox.recordings.give_up(TOKEN, "too late", NOW + 2)
        (sent,) = await lease(outbox, NOW + 1)
        # The file's path stays with the recording.
        assert sent.delivery == attrs.evolve(awaited.delivery, path="")
        assert sent.delivery.key == awaited.delivery.key
        await outbox.put([], NOW + 3, [awaited])
        row_now = await outbox.recordings.find(TOKEN)
    assert row_now is not None
    assert (row_now.state, row_now.size) == (RecordingState.READY, 1234)


async def test_recording_that_is_put_at_once(store_url: str) -> None:
    """One whose file is out of reach is put with the call's other deliveries, and its row says so."""
    unseen = recording_of("main-1")
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        assert await outbox.put([*a_call("main-1", [Kind.END]), unseen.delivery], NOW, [unseen]) == 2
        assert await deliver(outbox) == ["main-1 end", "main-1 recording"]
        assert not await outbox.recordings.release(TOKEN, 1, NOW)
        row = await outbox.recordings.find(TOKEN)
    assert row is not None
    assert (row.state, row.size) == (RecordingState.UNSEEN, None)


async def test_recording_that_does_not_come(store_url: str) -> None:
    """Given up, it is kept with the reason, and its delivery never goes out."""
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        await outbox.put([], NOW, [recording_of("main-1", is_awaited=True)])
        assert await outbox.recordings.give_up(TOKEN, "no file", NOW)
        assert not await outbox.recordings.release(TOKEN, 1, NOW)
        assert await kinds(outbox) == []
        assert await outbox.recordings.awaited("main") == []
        row = await outbox.recordings.find(TOKEN)
    assert row is not None
    assert (row.state, row.reason) == (RecordingState.MISSING, "no file")


async def test_all_or_nothing(store_url: str) -> None:
    """When the store refuses a recording, the deliveries that came with it are not in the outbox either."""
    broken = recording_of("main-1", at=None)
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        with pytest.raises(OutboxError):
            await outbox.put(a_call("main-1"), NOW, [recording_of("main-2"), broken])
        assert (await outbox.statistics()).waiting == 0
        assert await outbox.recordings.find(f"{'main-2':x>32}") is None


@pytest.mark.parametrize("path", ["x\0y", "\ud800", "Иванов 'x\" \\ %.wav", ""])
async def test_any_path(store_url: str, path: str) -> None:
    """A path of any characters comes back as it was."""
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        await outbox.put([], NOW, [recording_of("main-1", path=path)])
        row = await outbox.recordings.find(TOKEN)
    assert row is not None
    assert row.path == path


def recording_at(number: int, at: float) -> NewRecording:
    return recording_of(f"main-{number}", at=at)


async def test_old_ones_are_deleted(store_url: str) -> None:
    """By the time of the call, some at a time, oldest first."""
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        await outbox.put([], NOW, [recording_at(number, NOW + number) for number in range(5)])
        old = await outbox.recordings.older(NOW + 3, limit=2)
        assert [row.call_id for row in old] == ["main-0", "main-1"]
        await outbox.recordings.delete(old)
        assert [row.call_id for row in await outbox.recordings.older(NOW + 3)] == ["main-2"]
        assert await outbox.recordings.find(f"{'main-3':x>32}") is not None


async def test_old_ones_by_page(store_url: str) -> None:
    """Those that have to stay are gone past, also where many are of one moment."""
    async with open_outbox(OutboxSettings(url=store_url)) as outbox:
        await outbox.put([], NOW, [recording_at(number, NOW + (0, 1, 1, 1, 1, 2)[number]) for number in range(6)])
        found: list[str] = []
        last = None
        while rows := await outbox.recordings.older(NOW + 2, limit=2, after=last):
            found += [row.call_id for row in rows]
            last = rows[-1]
        assert found == [f"main-{number}" for number in range(5)]
