"""The recordings as other packages use them: which are awaited, which file a token names, in which format."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import attrs
import structlog
import trio

from uac_trio.crm.delivery import Delivery, Kind
from uac_trio.recordings.cache import Cache
from uac_trio.recordings.converting import Converter, find_tool
from uac_trio.recordings.directories import Directories
from uac_trio.recordings.finding import RecordingKeptError, RecordingMissingError
from uac_trio.recordings.host import RecordingsHost, open_host
from uac_trio.recordings.place import Look, Place, RecordingFile, RecordingsBusyError, Wanted
from uac_trio.recordings.settings import HostSettings, RecordingsSettings
from uac_trio.recordings.sound import sound_of
from uac_trio.store.recordings import NewRecording, RecordingRow

log = structlog.get_logger()

DAY = 86400.0


@attrs.frozen(kw_only=True)
class Playable:
    """What a listener gets. The caller closes ``file``."""

    file: RecordingFile
    content_type: str
    etag: str


def split_recordings(
    deliveries: Sequence[Delivery], roots: Mapping[str, Sequence[str]]
) -> tuple[list[Delivery], list[NewRecording]]:
    """Split ``deliveries`` into those for the outbox now and the recordings.

    ``roots``: the directories of each PBX, by its name. The files of a PBX without any are out of reach, so its
    recordings are delivered at once.
    """
    now: list[Delivery] = []
    recordings: list[NewRecording] = []
    for delivery in deliveries:
        if delivery.kind is Kind.RECORDING:
            new = NewRecording(delivery=delivery, is_awaited=bool(roots.get(delivery.pbx)))
            recordings.append(new)
            if new.is_awaited:
                continue
        now.append(delivery)
    return now, recordings


@attrs.define(eq=False, kw_only=True)
class Archive:
    """Made by ``open_archive``."""

    settings: RecordingsSettings
    places: Mapping[str, Sequence[Place]]
    """Where each PBX's files are, by its name. The first place that has a file serves it."""
    roots: Mapping[str, Sequence[str]]
    """The same as text: directories and URLs."""
    find: Callable[[str], Awaitable[RecordingRow | None]]
    """The row of a token."""
    now: Callable[[], float]
    converter: Converter

    async def look_up(self, token: str) -> RecordingRow | None:
        """The row of a recording; None if it is unknown or its link has expired. Raises OutboxError."""
        row = await self.find(token)
        if row is not None and self.settings.link_days and self.now() - row.at > self.settings.link_days * DAY:
            return None
        return row

    async def open(self, row: RecordingRow) -> Playable:
        """Open a recording's file, or its converted copy.

        Raises RecordingMissingError, and RecordingsBusyError when a place that may have it does not answer.
        """
        source, head = await self._find(row)
        file = source
        try:
            sound = sound_of(source.name, head)
            content_type = sound.content_type
            target = self.converter.target(sound)
            if target is not None:
                converted = await self.converter.convert(source, sound, target)
                if converted is not None:
                    source.close()
                    file, content_type = converted, target.content_type
            return Playable(file=file, content_type=content_type, etag=_etag(file, content_type))
        except BaseException:
            file.close()
            raise

    async def look(self, pbx: str, rows: Sequence[RecordingRow]) -> tuple[list[Look | None], str]:
        """Each file as it is now, None if a place that may have it does not answer; and why it does not."""
        looks: list[Look | None] = [Look(identity=None, size=0, trouble="") for _ in rows]
        left = list(range(len(rows)))
        trouble = ""
        for place in self.places.get(pbx, ()):
            found: Sequence[Look | None]
            try:
                found = await place.look([_wanted(rows[index]) for index in left])
            except RecordingsBusyError as why:
                trouble = str(why)
                found = [None] * len(left)
            for index, new in zip(left, found, strict=True):
                looks[index] = _both(looks[index], new)
            left = [index for index in left if (look := looks[index]) is None or look.identity is None]
            if not left:
                break
        return looks, trouble

    async def delete(self, row: RecordingRow) -> bool:
        """Delete a recording's file and its converted copies. False: there was no file.

        Raises RecordingKeptError when a file cannot be deleted, RecordingsBusyError when a place does not answer.
        """
        deleted = False
        kept: list[str] = []
        for place in self.places.get(row.pbx, ()):
            try:
                await self._forget_copies(place, row)  # first: their names derive from the file
                deleted = await place.delete(_wanted(row)) or deleted
            except RecordingKeptError as why:
                kept.append(str(why))
        if kept:
            raise RecordingKeptError("; ".join(kept))
        return deleted

    async def forget_converted(self, row: RecordingRow) -> None:
        """Remove the converted copies of a recording's file; the file itself stays.

        Raises RecordingKeptError, RecordingsBusyError.
        """
        for place in self.places.get(row.pbx, ()):
            await self._forget_copies(place, row)

    async def _forget_copies(self, place: Place, row: RecordingRow) -> None:
        try:
            source, _ = await place.open(_wanted(row))
        except RecordingMissingError:
            return
        source.close()
        try:
            await trio.to_thread.run_sync(self.converter.cache.forget, source)
        except OSError as why:
            where = self.converter.cache.directory
            raise RecordingKeptError(f"a converted copy in {where}: {why.strerror or why}") from why

    async def forget_unused(self, before: float) -> None:
        """Remove converted files that were last requested before ``before``: their recordings may be gone."""
        try:
            removed = await trio.to_thread.run_sync(self.converter.cache.forget_unused, before)
        except OSError as why:
            log.error("recordings.no_cache", reason=why.strerror or str(why))
        else:
            log.debug("recordings.unused_removed", files=removed)

    async def greet(self) -> dict[str, str]:
        """Ask each other machine whether it answers. Returns ``troubles``."""
        for places in self.places.values():
            for place in places:
                if isinstance(place, RecordingsHost):
                    with contextlib.suppress(RecordingsBusyError):
                        await place.greet()
        return self.troubles()

    def troubles(self) -> dict[str, str]:
        """Why another machine serves no recordings now, by the PBX's name."""
        return {
            pbx: place.trouble
            for pbx, places in self.places.items()
            for place in places
            if isinstance(place, RecordingsHost) and place.trouble
        }

    async def _find(self, row: RecordingRow) -> tuple[RecordingFile, bytes]:
        missing: list[str] = []
        for place in self.places.get(row.pbx, ()):
            try:
                return await place.open(_wanted(row))
            except RecordingMissingError as why:
                missing.append(str(why))
        raise RecordingMissingError("; ".join(missing) or _NOWHERE)


@asynccontextmanager
async def open_archive(
    settings: RecordingsSettings,
    *,
    roots: Mapping[str, Sequence[str]],
    hosts: Sequence[HostSettings] = (),
    cache: Path,
    find: Callable[[str], Awaitable[RecordingRow | None]],
    now: Callable[[], float],
) -> AsyncIterator[Archive]:
    """Open the recordings; leaving the block ends the conversions.

    ``roots``: directories of this machine. ``hosts``: other machines, used for what is not in ``roots``. ``cache``:
    the directory of converted files unless one is configured. If it cannot be used, an error is logged and nothing is
    converted.
    """
    where = {pbx: (*some, *(host.url for host in hosts if host.pbx == pbx)) for pbx, some in roots.items()}
    tool = find_tool(settings.converter)
    kept = Cache(directory=Path(settings.cache) if settings.cache else cache, limit=settings.cache_mb << 20)
    if tool and any(where.values()):
        try:
            await trio.to_thread.run_sync(kept.prepare)
        except OSError as why:
            log.error("recordings.no_cache", directory=str(kept.directory), reason=why.strerror or str(why))
            tool = ""
    elif settings.converter and any(where.values()):
        log.warning(
            "recordings.no_converter", reason="neither ffmpeg nor sox is installed", converter=settings.converter
        )
    async with AsyncExitStack() as stack:
        places: dict[str, list[Place]] = {pbx: [Directories(pbx, some)] if some else [] for pbx, some in roots.items()}
        for host in hosts:
            places.setdefault(host.pbx, []).append(await stack.enter_async_context(open_host(host, now)))
        nursery = await stack.enter_async_context(trio.open_nursery())
        converter = Converter(settings=settings, cache=kept, tool=tool, nursery=nursery)
        yield Archive(settings=settings, places=places, roots=where, find=find, now=now, converter=converter)
        nursery.cancel_scope.cancel()


_NOWHERE = "the configuration does not say where the recordings of this PBX are"


def _wanted(row: RecordingRow) -> Wanted:
    return Wanted(path=row.path, at=row.at)


def _both(here: Look | None, there: Look | None) -> Look | None:
    """Combine the looks at two places. The first has no such file or does not answer."""
    if there is not None and there.identity is not None:
        return there
    if here is None or there is None:
        return None
    return attrs.evolve(there, trouble="; ".join(filter(None, (here.trouble, there.trouble))))


def _etag(file: RecordingFile, content_type: str) -> str:
    """A strong tag: it changes with the bytes."""
    hashed = repr((file.identity, content_type)).encode(errors="surrogateescape")
    return f'"{hashlib.sha256(hashed).hexdigest()[:24]}"'
