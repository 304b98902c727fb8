"""Ready means ready: a recording is delivered when its file is there, whole, and no longer grows.

Rows of the outbox's database are the memory, so a restart forgets nothing; here is only what was seen last. Each PBX
has a task of its own. Other deliveries of a call whose recording is awaited are not held up.
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
from uac_trio.store import OutboxError, RecordingRow, RecordingRows

log = structlog.get_logger()

SETTLE = 1.0
"""Seconds between the two looks that must show the same file."""
LONGEST_PAUSE = 30.0
"""Seconds between two looks for a file that does not come; also how soon another connector's recordings are seen."""
TELL_EVERY = 3600.0
"""Seconds between two reports of a place that stays away."""
FORGET_EVERY = 3600.0


@attrs.define
class _Watched:
    """A recording that waits."""

    due: float
    looks: int = 0
    last: Look | None = None
    is_settled: bool = False
    """The last two looks showed the same file."""

    def note(self, look: Look, now: float) -> bool:
        """Take a look in. True: the file is complete."""
        self.is_settled = self.last is not None and look.identity is not None and look.identity == self.last.identity
        # Something new is there: see soon whether it stays so.
        self.looks = self.looks + 1 if self.is_settled or look.identity is None else 0
        self.last = look
        self.due = now + min(LONGEST_PAUSE, SETTLE * 2.0 ** min(self.looks, 16))
        return self.is_settled and not look.trouble


@attrs.define
class _Watch:
    """What waits of one PBX."""

    began: float
    """Since when its files can be seen. Before, nobody knew whether they were there: the wait does not count."""
    recordings: dict[str, _Watched] = attrs.field(factory=dict)
    away_since: float | None = None
    """A place does not answer."""
    tell_at: float = 0.0


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
        """New recordings are in the database."""
        for woken in self._woken.values():
            woken.set()

    async def run(self) -> NoReturn:
        """Watch every PBX whose files can be reached, and forget what is old."""
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
                log.debug("recordings.store_away", pbx=pbx, reason=str(why))  # the daemon tells it louder
                pause = SETTLE
            with trio.move_on_after(pause):
                await woken.wait()

    async def _look(self, pbx: str, watch: _Watch) -> float:
        """One look at all whose time has come; how long to pause."""
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
            watch.away_since, watch.tell_at = now, now + self.archive.settings.wait_seconds
        if now >= watch.tell_at:
            watch.tell_at = now + TELL_EVERY
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
            # Nobody writes it any more, and players find the end by themselves.
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
            # Files first: what a stop interrupts is done again, and what cannot be done now is tried in an hour.
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
