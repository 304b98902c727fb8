"""Reading the configuration again while the daemon runs (SIGHUP, ``systemctl reload``).

The file is validated as a whole first. What can change without dropping a call takes effect; of the rest the log names
the keys that need a restart.

``[calls]`` is not among the live: the calls in progress were begun by its rules, and an extension that is no employee's
any more would leave rows ringing in the CRM. A restart keeps calls, too.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Generic, NoReturn, TypeVar

import attrs
import structlog
import trio

from uac_trio.config.keys import keys_of
from uac_trio.config.loading import Config, ServeConfig
from uac_trio.config.reader import ConfigError, Place
from uac_trio.config.tables import TABLES
from uac_trio.crm.click import Route
from uac_trio.daemon.systemd import notify_systemd
from uac_trio.logs import LogSettings

log = structlog.get_logger()


def _all_of(table: str) -> frozenset[str]:
    return frozenset(name for settings in TABLES[table] for name in keys_of(settings))


LIVE: Mapping[str, frozenset[str]] = {
    "pbx": frozenset(keys_of(Route)),
    "click2call": _all_of("click2call"),
    "http": frozenset({"monitor_networks", "monitor_hosts"}),
    "alerts": _all_of("alerts"),
    "log": _all_of("log"),
}
"""The keys of each table that take effect at once. Those of ``[[pbx]]`` only if the PBXes are the same, in the same
order."""


GOES_ON = "the daemon goes on with what it has"

C = TypeVar("C", Config, ServeConfig)


@attrs.frozen(kw_only=True)
class Reloading(Generic[C]):
    """How a program is asked to read its configuration again."""

    requested: Callable[[], Awaitable[object]]
    """Waits for the next request."""
    load: Callable[[], C]
    """Reads the file, in a thread. Raises ConfigError."""
    set_log: Callable[[LogSettings], None]


@attrs.frozen(kw_only=True)
class Change(Generic[C]):
    """What a new configuration means for a program that runs with another one."""

    config: C
    """The present one with what takes effect at once."""
    applied: tuple[str, ...]
    """Keys, as ``[log] level``."""
    needs_restart: tuple[str, ...]


def change(present: Config, new: Config) -> Change[Config]:
    """Compare by key: a key that was written or removed counts as changed, also where its value was the default."""
    same_pbxes = [one.name for one in present.pbx] == [one.name for one in new.pbx]
    several = max(len(present.pbx), len(new.pbx)) > 1

    def is_live(place: Place) -> bool:
        return place.key in LIVE.get(place.table, ()) and (place.table != "pbx" or same_pbxes)

    changed = [place for place in {**present.given, **new.given} if present.given.get(place) != new.given.get(place)]
    config = attrs.evolve(
        present,
        routes=new.routes if same_pbxes else present.routes,
        click2call=new.click2call,
        http=attrs.evolve(
            present.http, monitor_networks=new.http.monitor_networks, monitor_hosts=new.http.monitor_hosts
        ),
        alerts=new.alerts,
        log=new.log,
        given={place: value for place, value in present.given.items() if not is_live(place)}
        | {place: value for place, value in new.given.items() if is_live(place)},
    )
    return Change(
        config=config,
        applied=tuple(place.shown(several) for place in changed if is_live(place)),
        needs_restart=tuple(place.shown(several) for place in changed if not is_live(place)),
    )


def host_change(present: ServeConfig, new: ServeConfig) -> Change[ServeConfig]:
    """The same for the server of recordings: its log alone is live."""
    changed = [place for place in {**present.given, **new.given} if present.given.get(place) != new.given.get(place)]
    return Change(
        config=attrs.evolve(present, log=new.log, given=new.given),
        applied=tuple(place.shown(several=False) for place in changed if place.table == "log"),
        needs_restart=tuple(place.shown(several=False) for place in changed if place.table != "log"),
    )


@attrs.define(eq=False, kw_only=True)
class Reloader(Generic[C]):
    """Follows the requests."""

    reloading: Reloading[C]
    change: Callable[[C], Change[C]]
    """What a configuration that was read means."""
    apply: Callable[[C], None]
    """Takes over what ``Change.config`` says."""
    problems: tuple[str, ...] = attrs.field(default=(), init=False)
    """Of the file as it was last read; a restart would fail with them."""

    async def run(self) -> NoReturn:
        while True:
            await self.reloading.requested()
            notify_systemd("RELOADING=1")
            await self._reload()
            notify_systemd("READY=1")

    async def _reload(self) -> None:
        try:
            # A file on a mount that hangs must not hold up a stop.
            new = await trio.to_thread.run_sync(self.reloading.load, abandon_on_cancel=True)
        except ConfigError as why:
            self.problems = why.problems
            for problem in why.problems:
                log.error("daemon.reload_refused", reason=problem, hint=GOES_ON)
            return
        except Exception:
            # A fault of ours over a file that is to be read must not end a daemon that works.
            log.exception("daemon.reload_failed", hint=GOES_ON)
            return
        self.problems = ()
        found = self.change(new)
        self.apply(found.config)
        log.info("daemon.reloaded", applied=list(found.applied), needs_restart=list(found.needs_restart))
        if isinstance(new, Config):
            for warning in new.warnings:
                log.warning("daemon.config_warning", warning=warning)
        self.reloading.set_log(found.config.log)  # last: a higher level would hide these lines
