"""Between the AMI readers, which never wait, and the thread that writes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Literal, NoReturn

import attrs
import structlog
import trio

from uac_trio.flight_recorder.settings import FlightRecorderSettings
from uac_trio.flight_recorder.writing import Wire, Writing

log = structlog.get_logger()

MOST_WAITING = 16_000_000
"""Bytes held in memory while the disk is slow: half a minute of a very busy PBX."""
WRITE_EVERY = 1.0
"""Seconds: what a killed process may have lost of them."""
PRUNE_EVERY = 600.0
RETRY_AFTER = 60.0
"""Seconds after a failure."""
LAST_WRITE_WITHIN = 2.0


@attrs.define(eq=False, kw_only=True)
class FlightRecorder:
    """``on_wire`` is called by the AMI clients; ``run()`` it in a nursery meanwhile."""

    directory: Path
    settings: FlightRecorderSettings
    now: Callable[[], float]
    dropped: int = attrs.field(default=0, init=False)
    """Reads and writes that were not recorded, since the start."""
    trouble: str = attrs.field(default="", init=False)
    """Why nothing is recorded now; "" = it works."""
    _waiting: list[Wire] = attrs.field(factory=list, init=False)
    _bytes: int = attrs.field(default=0, init=False)
    _lost: int = attrs.field(default=0, init=False)
    """Dropped before what waits now."""
    _woken: trio.Event = attrs.field(factory=trio.Event, init=False)
    _writing: Writing = attrs.field(init=False)
    _is_writing: bool = attrs.field(default=False, init=False)
    _has_ended: bool = attrs.field(default=False, init=False)
    _lock: threading.Lock = attrs.field(factory=threading.Lock, init=False)

    def __attrs_post_init__(self) -> None:
        self._writing = Writing(self.directory, self.settings)

    def on_wire(self, pbx: str, event: Literal["open", "recv", "send", "eof"], data: bytes, at: float) -> None:
        """Take one read or write of a connection. Never waits: what there is no room for is dropped and counted."""
        if self._bytes + len(data) > MOST_WAITING:
            if not self._lost and not self.trouble:
                log.warning("flight_recorder.gap", waiting_bytes=self._bytes, reason="the disk is too slow")
            self.dropped += 1
            self._lost += 1
            return
        self._waiting.append(Wire(pbx, event, data, at))
        self._bytes += len(data)
        self._woken.set()

    @property
    def is_behind(self) -> bool:
        """Something is not written yet."""
        return bool(self._waiting) or self._is_writing

    async def run(self) -> NoReturn:
        """Write once a second until cancelled, then what is left."""
        try:
            await self._in_thread(self._prune)
            while True:
                with trio.move_on_after(PRUNE_EVERY):
                    await self._woken.wait()
                self._woken = trio.Event()
                await self._in_thread(partial(self._write, *self._take()) if self._waiting else self._prune)
                await trio.sleep(RETRY_AFTER if self.trouble else WRITE_EVERY)
        finally:
            # A disk that hangs holds a thread, which is left behind.
            with trio.CancelScope(shield=True, relative_deadline=LAST_WRITE_WITHIN):
                await self._in_thread(partial(self._write, *self._take(), is_last=True))

    def _take(self) -> tuple[list[Wire], int]:
        taken, lost = self._waiting, self._lost
        self._waiting, self._bytes, self._lost = [], 0, 0
        return taken, lost

    async def _in_thread(self, work: Callable[[], str]) -> None:
        self._is_writing = True
        trouble = await trio.to_thread.run_sync(work, abandon_on_cancel=True)
        self._is_writing = False
        if trouble and not self.trouble:
            hint = "uac-trio explain will lack this time; [flight_recorder] names the directory, or turns it off"
            log.warning("flight_recorder.failed", reason=trouble, hint=hint)
        elif self.trouble and not trouble:
            log.info("flight_recorder.works_again")
        self.trouble = trouble

    def _write(self, wires: list[Wire], lost: int, *, is_last: bool = False) -> str:
        """In the thread. The reason of a failure; "" = done."""

        def write() -> None:
            self._writing.write(wires, lost, self.now())
            self._has_ended = self._has_ended or is_last
            if self._has_ended:  # a write that was left behind may come after the last one
                self._writing.close()

        return self._trouble_of(write, len(wires))

    def _prune(self) -> str:
        return self._trouble_of(lambda: self._writing.prune(self.now()), 0)

    def _trouble_of(self, work: Callable[[], None], reads: int) -> str:
        """Why ``work`` failed, by which so many ``reads`` are dropped; "" = it is done."""
        with self._lock:
            try:
                work()
            except OSError as why:
                trouble = f"{why.filename or self.directory}: {why.strerror}"
            except Exception as why:
                # A fault of ours: what only records must not end the calls that go on.
                log.exception("flight_recorder.fault", hint="please report it with its traceback")
                trouble = f"a fault of uac-trio (flight_recorder.fault in the log): {why}"
            else:
                return ""
            self.dropped += reads
            self._writing.abandon()
            return trouble
