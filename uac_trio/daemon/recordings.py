"""The recordings of a configuration."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from uac_trio.clock import now
from uac_trio.config.loading import Config
from uac_trio.recordings.archive import Archive, open_archive
from uac_trio.store.outbox import Outbox


def open_recordings(
    config: Config, outbox: Outbox, now: Callable[[], float] = now
) -> AbstractAsyncContextManager[Archive]:
    """The recordings that ``config`` and the outbox know; conversions are kept beside the store."""
    return open_archive(
        config.playback,
        roots=config.recordings,
        hosts=config.hosts,
        cache=outbox.directory / "recordings-cache",
        find=outbox.recordings.find,
        now=now,
    )
