"""``uac-trio run`` and ``uac-trio serve-recordings``."""

from __future__ import annotations

import contextlib
import gc
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import attrs
import click
import trio

from uac_trio.cli.options import config_option, serve_config_option
from uac_trio.cli.refusing import fail, usable
from uac_trio.cli.running import refusals, until_signal
from uac_trio.config.loading import load_config, load_serve_config
from uac_trio.daemon.dry_run import DryRunReport, dry_run_config
from uac_trio.daemon.recordings_host import run_recordings_host
from uac_trio.daemon.reloading import C, Reloading
from uac_trio.daemon.run import run_daemon
from uac_trio.log_writer import LogWriter, open_log
from uac_trio.logs import configure_logging
from uac_trio.settings import addresses
from uac_trio.settings.values import WrongValueError
from uac_trio.store.settings import OutboxError
from uac_trio.web.settings import CannotListenError


def _bound(context: click.Context, parameter: click.Parameter, given: str | None) -> str:
    if not given:
        return ""
    try:
        return addresses.bind(given)
    except WrongValueError as why:
        raise click.BadParameter(f"expected {why.expected}, found {given!r}", context, parameter) from why


@click.command()
@config_option
@click.option(
    "--dry-run",
    is_flag=True,
    help="Send nothing to the CRM and dial no click; print at the end what would have been sent. Its database is a "
    "temporary one, so a connector that is in use may run beside it.",
)
@click.option(
    "--bind",
    metavar="ADDRESS:PORT",
    callback=_bound,
    help="In place of [http] bind: for a dry run beside a connector that has the port.",
)
def run(config_path: Path, dry_run: bool, bind: str) -> None:
    """Run the daemon until SIGTERM or SIGINT. SIGHUP makes it read its configuration again."""
    config = usable(lambda: load_config(config_path))
    if bind:
        config = attrs.evolve(config, http=attrs.evolve(config.http, bind=bind))
    report = DryRunReport(mask=config.log.mask) if dry_run else None
    # What was imported lives as long as the process. A collection of garbage that looks at all of it takes 0.1 s.
    gc.collect()
    gc.freeze()
    with open_log() as writer, _folder(dry_run) as folder:
        configure_logging(config.log, stream=writer)
        on_hangup, reloading = _reloading(partial(load_config, config_path), writer)
        daemon = partial(
            run_daemon,
            config if folder is None else dry_run_config(config, folder),
            log_lines_dropped=lambda: writer.lines_dropped if writer else 0,
            reloading=reloading,
            dry_run=report,
        )
        program = partial(until_signal, daemon, on_hangup=on_hangup)
        refused = refusals(program, OutboxError, CannotListenError)
    if refused:
        fail(*(f"uac-trio: {why}" for why in refused))
    for line in report.lines() if report is not None else ():
        click.echo(line)


@contextlib.contextmanager
def _folder(is_wanted: bool) -> Iterator[Path | None]:
    """A temporary directory that only this user can read, if it is wanted."""
    if not is_wanted:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="uac-trio-dry-run-") as name:
        yield Path(name)


def _reloading(load: Callable[[], C], writer: LogWriter | None) -> tuple[Callable[[], None], Reloading[C]]:
    """What SIGHUP calls, and what waits for it."""
    request, requests = trio.open_memory_channel[None](1)

    def ask() -> None:
        with contextlib.suppress(trio.WouldBlock):  # one is waiting already
            request.send_nowait(None)

    set_log = partial(configure_logging, stream=writer)
    return ask, Reloading(requested=requests.receive, load=load, set_log=set_log)


@click.command()
@serve_config_option
def serve_recordings(config_path: Path) -> None:
    """Serve the recordings of this machine to connectors on other machines, until SIGTERM or SIGINT."""
    config = usable(lambda: load_serve_config(config_path))
    with open_log() as writer:
        configure_logging(config.log, stream=writer)
        on_hangup, reloading = _reloading(partial(load_serve_config, config_path), writer)
        host = partial(run_recordings_host, config, reloading=reloading)
        refused = refusals(partial(until_signal, host, on_hangup=on_hangup), CannotListenError)
    if refused:
        fail(*(f"uac-trio: {why}".replace("[http]", "[serve]") for why in refused))
