"""Waits for recordings: one is delivered when its file exists, is complete and no longer grows.

The database keeps the awaited recordings, so a restart loses none; this module keeps only what it saw last. Each PBX
has its own task. A recording that is awaited does not delay the other deliveries of its call.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

import attrs
import structlog
import trio

from uac_trio.recordings.archive import DAY, Archive
from uac_trio.recordings.finding import RecordingKeptError
from uac_trio.recordings.place import Look, RecordingsBusyError
from uac_trio.recordings.sound import WITHOUT_LENGTH
from uac_trio.store.recordings import RecordingRow, RecordingRows
from uac_trio.store.settings import OutboxError

log = structlog.get_logger()

SETTLE = 1.0
"""Seconds between the two looks that must see the same file."""
LONGEST_PAUSE = 30.0
"""Most seconds between two looks for a file. Also how soon another connector's recordings are noticed."""
REPORT_EVERY = 3600.0
"""Seconds between two reports of a place that stays unreachable."""
FORGET_EVERY = 3600.0


@attrs.define
class _Watched:
    """A recording that is awaited."""

    due: float
    looks: int = 0
    last: Look | None = None
    is_settled: bool = False
    """The last two looks showed the same file."""

    def note(self, look: Look, now: float) -> bool:
        """Process one look. Returns whether the file is complete."""
        self.is_settled = self.last is not None and look.identity is not None and look.identity == self.last.identity
        # The file changed: look again soon.
        self.looks = self.looks + 1 if self.is_settled or look.identity is None else 0
        self.last = look
        self.due = now + min(LONGEST_PAUSE, SETTLE * 2.0 ** min(self.looks, 16))
        return self.is_settled and not look.trouble


@attrs.define
class _Watch:
    """The awaited recordings of one PBX."""

    began: float
    """Since when its files are reachable. ``wait_seconds`` counts from here at the earliest."""
    recordings: dict[str, _Watched] = attrs.field(factory=dict)
    away_since: float | None = None
    """Since when a place does not answer."""
    report_at: float = 0.0


@attrs.define(eq=False)
class AwaitedRecordings:
    """Puts the deliveries of recordings into the outbox when their files are complete."""

    archive: Archive
    rows: RecordingRows
    now: Callable[[], float]
    released: Callable[[], None]
    """Called when a delivery went into the outbox."""
    _woken: dict[str, trio.Event] = attrs.field(factory=dict, init=False)

    def wake_nowait(self) -> None:
        """Look for new recordings in the database now."""
        for woken in self._woken.values():
            woken.set()

    async def run(self) -> NoReturn:
        """Watch every PBX whose files are reachable, and delete old recordings."""
        async with trio.open_nursery() as nursery:
            for pbx, places in self.archive.places.items():
                if places:
                    nursery.start_soon(self._watch, pbx)
            nursery.start_soon(self._forget)
        raise AssertionError("the watch has no end")

    async def _watch(self, pbx: str) -> NoReturn:
        watch = _Watch(self.now())
        while True:
            self._woken[pbx] = woken = trio.Event()
            try:
                pause = await self._look(pbx, watch)
            except OutboxError as why:
                log.debug("recordings.store_away", pbx=pbx, reason=str(why))  # the daemon logs it as an error
                pause = SETTLE
            with trio.move_on_after(pause):
                await woken.wait()

    async def _look(self, pbx: str, watch: _Watch) -> float:
        """Look at every recording that is due. Returns the seconds until the next is."""
        watched = watch.recordings
        rows = {row.token: row for row in await self.rows.awaited(pbx)}
        for gone in watched.keys() - rows.keys():
            del watched[gone]
        for token in rows:
            watched.setdefault(token, _Watched(due=trio.current_time()))
        due = [row for row in rows.values() if watched[row.token].due <= trio.current_time()]
        if due:
            looks, trouble = await self.archive.look(pbx, due)
            self._note_place(pbx, watch, trouble)
            for row, look in zip(due, looks, strict=True):
                await self._note_look(watch, row, look)
        next_due = min((each.due for each in watched.values()), default=trio.current_time() + LONGEST_PAUSE)
        return max(0.05, next_due - trio.current_time())

    def _note_place(self, pbx: str, watch: _Watch, trouble: str) -> None:
        now = self.now()
        if not trouble:
            if watch.away_since is not None:
                watch.began, watch.away_since = now, None
            return
        if watch.away_since is None:
            watch.away_since, watch.report_at = now, now + self.archive.settings.wait_seconds
        if now >= watch.report_at:
            watch.report_at = now + REPORT_EVERY
            seconds = round(now - watch.away_since)
            log.error(
                "recordings.out_of_reach", pbx=pbx, seconds=seconds, waiting=len(watch.recordings), reason=trouble
            )

    async def _note_look(self, watch: _Watch, row: RecordingRow, look: Look | None) -> None:
        watched = watch.recordings[row.token]
        if look is None:
            watched.due = trio.current_time() + LONGEST_PAUSE
        elif watched.note(look, trio.current_time()):
            await self._release(row, look)
            del watch.recordings[row.token]
        elif self.now() - max(row.created_at, watch.began) > self.archive.settings.wait_seconds:
            await self._end_wait(row, watch.recordings.pop(row.token), look)

    async def _release(self, row: RecordingRow, look: Look) -> None:
        if await self.rows.release(row.token, look.size, self.now()):
            log.info("recordings.ready", call=row.call_id, extension=row.extension, bytes=look.size)
            self.released()

    async def _end_wait(self, row: RecordingRow, watched: _Watched, look: Look) -> None:
        if look.trouble == WITHOUT_LENGTH and watched.is_settled:
            # The writer has stopped, and players need no length to find the end.
            log.warning("recordings.broken_header", call=row.call_id, extension=row.extension, path=row.path)
            await self._release(row, look)
            return
        reason = look.trouble or "the file still grows"
        if await self.rows.give_up(row.token, reason, self.now()):
            log.error(
                "recordings.missing",
                call=row.call_id,
                extension=row.extension,
                pbx=row.pbx,
                path=row.path,
                reason=reason,
                waited_seconds=round(self.now() - row.created_at),
            )

    async def _forget(self) -> NoReturn:
        while True:
            if self.archive.settings.keep_days:
                before = self.now() - self.archive.settings.keep_days * DAY
                try:
                    await self._forget_old(before)
                except OutboxError as why:
                    log.debug("recordings.store_away", reason=str(why))
                await self.archive.forget_unused(before)
            await trio.sleep(FORGET_EVERY)

    async def _forget_old(self, before: float) -> None:
        away: set[str] = set()
        kept: dict[str, list[str]] = {}  # why, of each file that cannot be deleted, by PBX
        last: RecordingRow | None = None
        while rows := await self.rows.older(before, after=last):
            # Files first: after a restart the row is still there to try again; what fails now is retried in an hour.
            last = rows[-1]
            done: list[RecordingRow] = []
            deleted = 0
            for row in rows:
                if row.pbx in away:
                    continue
                try:
                    deleted += await self._forget_file(row)
                    done.append(row)
                except RecordingKeptError as why:
                    kept.setdefault(row.pbx, []).append(str(why))
                except RecordingsBusyError as why:
                    away.add(row.pbx)
                    log.error("recordings.not_forgotten", pbx=row.pbx, reason=str(why))
            await self.rows.delete(done)
            if done:
                log.info("recordings.forgotten", recordings=len(done), files=deleted)
        for pbx, reasons in kept.items():
            log.error("recordings.not_forgotten", pbx=pbx, recordings=len(reasons), reason=reasons[0])

    async def _forget_file(self, row: RecordingRow) -> bool:
        if self.archive.settings.delete_files:
            return await self.archive.delete(row)
        await self.archive.forget_converted(row)
        return False
