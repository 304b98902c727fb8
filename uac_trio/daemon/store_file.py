"""Is the file that SQLite writes into still the one at its path?

When the file is deleted, moved or replaced, SQLite goes on in the one that it has open, and nothing fails: what is
stored is lost with this process.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import attrs
import structlog
import trio

log = structlog.get_logger()

LOOK_EVERY = 10.0

Identity = tuple[int, int]
"""Device and inode."""


@attrs.define(eq=False)
class StoreFile:
    """Made when the store is open; ``watch()`` it as long as it is."""

    path: Path
    trouble: str = attrs.field(default="", init=False)
    """Why what is stored would be lost; "" = it would not."""
    _opened: Identity | None = attrs.field(init=False)
    """The file that the store has open, as far as is known."""

    def __attrs_post_init__(self) -> None:
        self._opened = _identity(self.path)

    async def watch(self) -> NoReturn:
        while True:
            # A disk that hangs holds a thread; the store reports it.
            await trio.to_thread.run_sync(self.look, abandon_on_cancel=True)
            await trio.sleep(LOOK_EVERY)

    def look(self) -> None:
        """Blocking. Bring ``trouble`` up to date; the log has each change of it."""
        there = _identity(self.path)
        if there != self._opened and (self._opened is None or self._opened not in _open_files()):
            self._opened = there  # the store has opened anew what is there now
        before = self.trouble
        self.trouble = "" if there == self._opened else self._words(there)
        if self.trouble and not before:
            log.error("store.file_lost", path=str(self.path), reason=self.trouble)
        elif before and not self.trouble:
            log.info("store.file_found", path=str(self.path))

    def _words(self, there: Identity | None) -> str:
        what = "was deleted or moved" if there is None else "was replaced by another"
        return (
            f"{self.path} {what} while in use: what is stored now is lost when this program ends. Restart uac-trio: it "
            "uses the file at that path, or makes a new one, and asks the PBX for the calls in progress"
        )


def _identity(path: Path) -> Identity | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _open_files() -> Iterator[Identity]:
    """What this process has open."""
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # closed meanwhile
            status = os.fstat(int(name))
            yield status.st_dev, status.st_ino
