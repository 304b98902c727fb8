"""The machine that has the recordings, over real sockets, and an archive of a connector that asks it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from ipaddress import ip_network
from pathlib import Path

import attrs
import trio

from uac_trio.recordings import wire
from uac_trio.recordings.archive import Archive, open_archive
from uac_trio.recordings.directories import Directories
from uac_trio.recordings.settings import HostSettings, RecordingsSettings
from uac_trio.store.recordings import RecordingRow
from uac_trio.web.recordings_host import create_recordings_app
from uac_trio.web.server import serve_web
from uac_trio.web.settings import ServeSettings, WebSettings

SECRET = "far secret"
NOW = 1795413063.0
LOCAL = ("127.0.0.0/8",)


@attrs.define
class Far:
    address: str
    root: Path
    clock: list[float]
    """Of that machine."""

    def host(self, **changes: str) -> HostSettings:
        return attrs.evolve(HostSettings(pbx="main", url=self.address, secret=SECRET), **changes)

    def signed(self, path: str, body: bytes, at: float = NOW, secret: str = SECRET) -> dict[str, str]:
        return {"Authorization": wire.signature(secret, path, body, at)}


@asynccontextmanager
async def serving(
    tmp_path: Path,
    *,
    bind: str = "127.0.0.1:0",
    networks: Sequence[str] = LOCAL,
    delete_files: bool = False,
    **web: float,
) -> AsyncIterator[Far]:
    """``uac-trio serve-recordings`` of ``tmp_path/far``, without its process."""
    root = tmp_path / "far"
    root.mkdir(exist_ok=True)
    clock = [NOW]
    settings = ServeSettings(
        secret=SECRET,
        recordings=(str(root),),
        networks=tuple(ip_network(one) for one in networks),
        delete_files=delete_files,
    )
    app = create_recordings_app(settings, Directories("far", settings.recordings), now=lambda: clock[0])
    stop = trio.Event()
    async with trio.open_nursery() as nursery:
        chosen = WebSettings(bind=bind, grace_seconds=0.1, **web)  # type: ignore[arg-type]
        (address,) = await nursery.start(partial(serve_web, app, chosen, shutdown=stop))
        yield Far(address, root, clock)
        stop.set()


@asynccontextmanager
async def asking(
    tmp_path: Path,
    host: HostSettings,
    *,
    roots: Sequence[str] = (),
    rows: dict[str, RecordingRow] | None = None,
    settings: RecordingsSettings | None = None,
    now: Callable[[], float] = lambda: NOW,
) -> AsyncIterator[Archive]:
    """The archive of a connector whose clock stands at ``NOW``."""
    known = rows if rows is not None else {}

    async def find(token: str) -> RecordingRow | None:
        await trio.lowlevel.checkpoint()
        return known.get(token)

    async with open_archive(
        settings or RecordingsSettings(converter=""),
        roots={"main": tuple(roots)},
        hosts=[host],
        cache=tmp_path / "cache",
        find=find,
        now=now,
    ) as archive:
        yield archive
