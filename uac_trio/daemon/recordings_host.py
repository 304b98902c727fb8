"""``uac-trio serve-recordings``: the recordings of this machine, for connectors on others."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Any, NoReturn

import structlog
import trio

from uac_trio import __version__
from uac_trio.clock import now
from uac_trio.config.loading import ServeConfig
from uac_trio.daemon.reloading import Reloader, Reloading, host_change
from uac_trio.daemon.systemd import notify_systemd, watchdog_seconds
from uac_trio.recordings.directories import Directories
from uac_trio.web.recordings_host import create_recordings_app
from uac_trio.web.server import serve_web
from uac_trio.web.settings import WebSettings

log = structlog.get_logger()


async def run_recordings_host(
    config: ServeConfig,
    *,
    now: Callable[[], float] = now,
    reloading: Reloading[ServeConfig] | None = None,
    task_status: trio.TaskStatus[Any] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until cancelled; answers on their way are cut then, and the connectors ask again.

    ``task_status`` gets the addresses (``list[str]``). Raises, within an ExceptionGroup, CannotListenError.
    """
    serve = config.serve
    log.info("recordings_host.starting", version=__version__, config=str(config.path), directories=serve.recordings)
    for root in serve.recordings:
        if why := await trio.to_thread.run_sync(_why_unreadable, root):
            # It may be mounted later.
            log.error("recordings_host.no_directory", directory=root, reason=why)
    app = create_recordings_app(serve, Directories("this machine", serve.recordings), now=now)
    web = WebSettings(bind=serve.bind, stall_seconds=serve.stall_seconds, max_connections=serve.max_connections)
    async with trio.open_nursery() as nursery:
        addresses = await nursery.start(partial(serve_web, app, web, shutdown=trio.Event()))
        nursery.start_soon(_feed_watchdog)
        if reloading is not None:
            nursery.start_soon(_follow, config, reloading)
        log.info("recordings_host.ready", http=addresses)
        notify_systemd("READY=1")
        task_status.started(addresses)
        try:
            await trio.sleep_forever()
        finally:
            notify_systemd("STOPPING=1")


async def _follow(config: ServeConfig, reloading: Reloading[ServeConfig]) -> NoReturn:
    """Read the configuration again when asked to."""
    present = [config]

    def apply(new: ServeConfig) -> None:
        present[0] = new

    reloader = Reloader(reloading=reloading, change=lambda new: host_change(present[0], new), apply=apply)
    await reloader.run()


async def _feed_watchdog() -> NoReturn:
    while True:
        await trio.sleep(watchdog_seconds(os.environ) / 3)
        notify_systemd("WATCHDOG=1")


def _why_unreadable(root: str) -> str:
    try:
        os.scandir(root).close()
    except OSError as why:
        return why.strerror or str(why)
    return ""
