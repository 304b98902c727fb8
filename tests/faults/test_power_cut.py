"""The power goes: what is on the disk is what one commit or another left there, and the process says nothing more."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest
import sqlalchemy as sa
import trio

from tests.faults.conftest import World, running
from uac_trio.calls.adapters import WANTED_EVENTS

FILES = ("connector.db", "connector.db-wal")


@attrs.define(eq=False)
class Disk:
    """Counts the transactions on the store, and keeps its files as they are after one of them."""

    folder: Path
    cut_after: int
    done: int = 0
    cut: trio.Event = attrs.field(factory=trio.Event)

    def checkin(self, *_: Any) -> None:
        """A connection is given back to the pool: its transaction is on the disk, and no other task writes."""
        self.done += 1
        if self.done == self.cut_after:
            self.keep()
            trio.from_thread.run_sync(self.cut.set)

    def keep(self) -> None:
        (self.folder / "kept").mkdir()
        for name in FILES:
            if (self.folder / name).exists():
                shutil.copy(self.folder / name, self.folder / "kept" / name)

    def back(self) -> None:
        """As it is found when the power is back."""
        for name in (*FILES, "connector.db-shm"):
            (self.folder / name).unlink(missing_ok=True)
        for path in (self.folder / "kept").iterdir():
            shutil.copy(path, self.folder / path.name)


@contextmanager
def disk(folder: Path, cut_after: int) -> Iterator[Disk]:
    kept = Disk(folder, cut_after)
    sa.event.listen(sa.pool.Pool, "checkin", kept.checkin)
    try:
        yield kept
    finally:
        sa.event.remove(sa.pool.Pool, "checkin", kept.checkin)


@pytest.mark.parametrize("cut_after", range(8, 72, 12))
async def test_power_cut(world: World, cut_after: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever transaction was the last one, the rows of the call are as if nothing had been."""
    monkeypatch.setattr("uac_trio.daemon.storing.LOGGED_WITHIN", 0.0)
    call = world.call()
    with disk(world.folder, cut_after) as kept:
        with trio.CancelScope() as power:
            async with running(world.config()):
                await world.watched()
                while not kept.cut.is_set() and world.rows(call.rows) != call.rows:
                    call.emit(lambda event: event.name in WANTED_EVENTS)
                    with trio.move_on_after(0.04):  # each event is on the disk before the next happens
                        await kept.cut.wait()
                if not kept.cut.is_set():
                    kept.keep()
                for proxy in (world.crm_proxy, world.pbx_proxy):  # what it still sends is lost
                    proxy.down()
                    proxy.cut()
                power.cancel()
    kept.back()
    for proxy in (world.crm_proxy, world.pbx_proxy):
        await proxy.up()
    before = world.snapshots
    async with running(world.config()):
        await world.watched(before)
        call.emit()
        await world.until_true(call)
