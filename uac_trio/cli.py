"""The command line. Exit codes: 0 success, 1 a problem of the input or the environment, 2 wrong usage or
configuration."""

from __future__ import annotations

import math
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import NoReturn, TypeVar

import attrs
import click
import trio

from uac_trio import __version__
from uac_trio.calls.rules import TrackerRules
from uac_trio.config import Config, ConfigError, load_config, load_rules, load_serve_config
from uac_trio.config.words import describe
from uac_trio.crm.protocol import Surroundings
from uac_trio.crm.vtiger import Flavour, VtigerSettings
from uac_trio.daemon import now, open_recordings, run_daemon, run_recordings_host
from uac_trio.live_check import Level, finding_lines, look
from uac_trio.log_writer import open_log
from uac_trio.logs import LogSettings, configure_logging, mask_number, mask_text
from uac_trio.recorder import RecordError, record
from uac_trio.recordings import RecordingKeptError, RecordingsBusyError
from uac_trio.replay import Replay, call_lines, replay, request_lines, timeline_lines
from uac_trio.store import Forgotten, Outbox, OutboxError, OutboxStatistics, ParkedRow, open_outbox
from uac_trio.transcript import TranscriptError, read_transcript
from uac_trio.web import CannotListenError

T = TypeVar("T")

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)

config_option = click.option(
    "--config", "config_path", required=True, type=click.Path(path_type=Path), metavar="FILE", help="The TOML file."
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="uac-trio")
def main() -> None:
    """Unified Asterisk Connector: delivers Asterisk's calls to vTiger CRM, and vTiger's clicks to Asterisk."""


@main.command()
@config_option
def run(config_path: Path) -> None:
    """Run the daemon until SIGTERM or SIGINT."""
    config = _load(config_path)
    with open_log() as writer:
        configure_logging(config.log, stream=writer)
        daemon = partial(run_daemon, config, log_lines_dropped=lambda: writer.lines_dropped if writer else 0)
        refusals = _refusals(partial(_until_signal, daemon), OutboxError, CannotListenError)
    if refusals:
        _fail(*(f"uac-trio: {why}" for why in refusals))


@main.command(name="serve-recordings")
@config_option
def serve_recordings_command(config_path: Path) -> None:
    """Serve the recordings of this machine to connectors on other machines, until SIGTERM or SIGINT."""
    config = _usable(lambda: load_serve_config(config_path))
    with open_log() as writer:
        configure_logging(config.log, stream=writer)
        refusals = _refusals(partial(_until_signal, partial(run_recordings_host, config)), CannotListenError)
    if refusals:
        _fail(*(f"uac-trio: {why}".replace("[http]", "[serve]") for why in refusals))


@main.command()
@click.option("--once", is_flag=True, help="End after one pass, with a table of the CRM's rows.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port of the page; any free one by default.")
def demo(once: bool, port: int | None) -> None:
    """Run the daemon with recorded calls and a stand-in CRM that has a web page. Needs no set-up."""
    from uac_trio.demo.run import run_demo

    configure_logging(LogSettings(level="warning"))
    sys.exit(run_demo(once=once, port=port, echo=click.echo))


@main.command(name="replay")
@click.argument("files", nargs=-1, required=True, type=FILE, metavar="FILE...")
@click.option("--calls", "show", flag_value="calls", help="One JSON object per call.")
@click.option("--requests", "show", flag_value="requests", help="One JSON object per request to the CRM.")
@click.option("--timeline", "show", flag_value="timeline", help="For people: the events of each call and the requests.")
@click.option("--rules", type=FILE, help="A configuration; its [calls] table is used.")
@click.option(
    "--flavour",
    type=click.Choice([flavour.value for flavour in Flavour]),
    default=Flavour.SALESPLATFORM.value,
    show_default=True,
    help="The kind of vTiger that --requests are for.",
)
@click.option("--timezone", default="Europe/Moscow", show_default=True, help="The CRM's time zone, for --requests.")
def replay_command(files: tuple[Path, ...], show: str | None, rules: Path | None, flavour: str, timezone: str) -> None:
    """Replay FILEs, transcripts of successive connections to one PBX, through the pipeline. Nothing is sent."""
    if show is None:
        raise click.UsageError("choose what to show: --calls, --requests or --timeline")
    try:
        settings = VtigerSettings(
            url="http://crm.example/",
            secret="replay",  # noqa: S106 - nothing is sent
            flavour=Flavour(flavour),
            timezone=timezone,
        )
    except ValueError as why:
        raise click.UsageError(f"--timezone: {why}") from why
    chosen = TrackerRules() if rules is None else _usable(lambda: load_rules(rules))
    try:
        transcripts = [read_transcript(str(path), path.read_bytes()) for path in files]
    except TranscriptError as why:
        _fail(f"uac-trio: {why}")
    except OSError as why:
        _fail(f"uac-trio: {why.filename}: {why.strerror}")
    around = Surroundings(public_url="http://connector.example:5000", is_extension=chosen.is_extension)
    result = replay(transcripts, chosen, settings.crm(around))
    formats: dict[str, Callable[[Replay], Iterator[str]]] = {
        "calls": call_lines,
        "requests": request_lines,
        "timeline": timeline_lines,
    }
    for line in formats[show](result):
        click.echo(line)
    if result.problems:
        _fail(*(f"uac-trio: {problem}" for problem in result.problems))


@main.command(name="record")
@config_option
@click.argument("out", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--anonymise", is_flag=True, help="Replace numbers and names consistently, keeping their format.")
@click.option("--seconds", type=click.FloatRange(min=0, min_open=True), help="How long; default: until SIGINT.")
def record_command(config_path: Path, out: Path, anonymise: bool, seconds: float | None) -> None:
    """Record the AMI traffic of the PBXes into OUT (.jsonl), for replay."""
    config = _load(config_path)
    if out.suffix != ".jsonl":
        raise click.UsageError(f"{out}: the name of a transcript ends in .jsonl")

    problems: list[str] = []

    async def until_signal() -> None:
        async with trio.open_nursery() as nursery:
            stop = trio.Event()
            await nursery.start(_set_on_signal, stop)
            recorded = await record(
                config.pbx, out, seconds=seconds or math.inf, anonymise=anonymise, now=now, stop=stop
            )
            nursery.cancel_scope.cancel()
        for path in recorded.paths:
            click.echo(str(path))
        problems.extend(f"PBX {name}: {why}" for name, why in recorded.never_connected)
        if recorded.lost_reads:
            problems.append(f"the disk was too slow: {recorded.lost_reads} reads are missing")

    with open_log() as writer:
        configure_logging(config.log, stream=writer)
        problems += _refusals(until_signal, RecordError)
    if problems:
        _fail(*(f"uac-trio: {problem}" for problem in problems))


@main.command()
@config_option
@click.option("--live", is_flag=True, help="Check the PBXes, CRM, store and recordings as well. Changes nothing.")
def check(config_path: Path, live: bool) -> None:
    """Check a configuration: describe it, or report what is wrong with it."""
    config = _load(config_path)
    for line in describe(config, now()):
        click.echo(line)
    if not live:
        return
    found = trio.run(partial(look, config, now=now))
    for line in finding_lines(found):
        click.echo(line)
    if any(finding.level is Level.PROBLEM for part in found for finding in part.found):
        sys.exit(1)


@main.group(name="outbox")
def outbox_group() -> None:
    """Dead letters, which the CRM refused for good: list, retry or drop them. The daemon may run meanwhile."""


@outbox_group.command(name="list")
@config_option
@click.option("--all", "counts", is_flag=True, help="Also count the deliveries in each state.")
@click.option("--show-numbers", is_flag=True, help="Show telephone numbers in full.")
def outbox_list(config_path: Path, counts: bool, show_numbers: bool) -> None:
    """List the dead letters, oldest first: number, when, call, extension, kind, customer, why."""
    rows, statistics = _with_outbox(config_path, _parked_and_statistics)
    for row in rows:
        click.echo(parked_line(row, show_numbers))
    if statistics.parked > len(rows):
        click.echo(f"... and {statistics.parked - len(rows)} more")
    if counts:
        states = attrs.asdict(statistics)
        oldest = states.pop("oldest_waiting_at")
        click.echo(", ".join(f"{state}: {count}" for state, count in states.items()))
        if oldest is not None:
            click.echo(f"the oldest that waits: {iso(oldest)}")
    elif not rows:
        click.echo("there are no dead letters")


@outbox_group.command(name="retry")
@config_option
@click.argument("numbers", nargs=-1, type=int, metavar="NUMBER...")
@click.option("--all", "everything", is_flag=True, help="Everything that is parked.")
def outbox_retry(config_path: Path, numbers: tuple[int, ...], everything: bool) -> None:
    """Retry dead letters, each with the later deliveries of its call, since the CRM keeps no order."""

    async def retry(outbox: Outbox, number: int) -> str:
        rows = await outbox.retry(number, now())
        return f"{number}: will be sent again, {rows} deliveries with the later ones of its call" if rows else ""

    _for_each(config_path, numbers, everything, retry)


@outbox_group.command(name="drop")
@config_option
@click.argument("numbers", nargs=-1, type=int, metavar="NUMBER...")
@click.option("--all", "everything", is_flag=True, help="Everything that is parked.")
def outbox_drop(config_path: Path, numbers: tuple[int, ...], everything: bool) -> None:
    """Drop dead letters for good."""

    async def drop(outbox: Outbox, number: int) -> str:
        return f"{number}: dropped" if await outbox.drop(number, now()) else ""

    _for_each(config_path, numbers, everything, drop)


def parked_line(row: ParkedRow, show_numbers: bool) -> str:
    """One dead letter for people, its telephone numbers masked unless ``show_numbers``."""
    delivery = row.delivery
    customer = delivery.customer or "-"
    shown, reason = (customer, row.reason) if show_numbers else (mask_number(customer), mask_text(row.reason))
    what = f"{delivery.call_id}  {delivery.extension or '-'}  {delivery.kind.value}  {shown}"
    return f"{row.id}  {iso(row.parked_at)}  {what}  sent {row.attempt} times: {reason}"


def iso(at: float) -> str:
    """The local time of this machine."""
    return datetime.fromtimestamp(at).astimezone().isoformat(sep=" ", timespec="seconds")


async def _parked_and_statistics(outbox: Outbox) -> tuple[list[ParkedRow], OutboxStatistics]:
    return await outbox.parked(), await outbox.statistics()


def _for_each(
    config_path: Path, numbers: tuple[int, ...], everything: bool, work: Callable[[Outbox, int], Awaitable[str]]
) -> None:
    """Run ``work`` on each row. It returns what it did, or "" for a row that is not parked, which makes exit code 1."""
    if everything == bool(numbers):
        raise click.UsageError("give the NUMBERs that list shows, or --all")

    async def do(outbox: Outbox) -> list[int]:
        unknown: list[int] = []
        chosen = [row.id for row in await outbox.parked()] if everything else numbers
        for number in chosen:
            done = await work(outbox, number)
            if done:
                click.echo(done)
            elif not everything:  # with --all, the retry of one row may have included the other rows of its call
                unknown.append(number)
        return unknown

    if unknown := _with_outbox(config_path, do):
        _fail(*(f"uac-trio: {number} is not a dead letter; uac-trio outbox list shows them" for number in unknown))


def _with_outbox(config_path: Path, work: Callable[[Outbox], Awaitable[T]]) -> T:
    config = _load(config_path)

    async def do() -> T:
        async with open_outbox(config.store, create=False) as outbox:
            return await work(outbox)

    try:
        return trio.run(do)
    except OutboxError as why:
        _fail(f"uac-trio: {why}")


@main.command(name="forget")
@config_option
@click.argument("number")
@click.option("--files", is_flag=True, help="Delete the files of the recordings as well.")
def forget_command(config_path: Path, number: str, files: bool) -> None:
    """Delete the stored data of the customer with NUMBER, and report what was deleted. The daemon may run meanwhile."""
    if not any(character.isdigit() for character in number):
        raise click.UsageError("NUMBER is a telephone number; put -- before one that begins with a minus")
    config = _load(config_path)
    if config.calls.is_extension(number):
        raise click.UsageError(f"{number} is an employee's extension; only customers can be forgotten")
    configure_logging(config.log)

    async def forget(outbox: Outbox) -> tuple[Forgotten, int, list[str]]:
        deleted, kept = 0, []
        forgotten = await outbox.forget(number)
        async with open_recordings(config, outbox) as archive:
            for row in forgotten.recordings:
                try:
                    if files:
                        deleted += await archive.delete(row)
                    else:
                        await archive.forget_converted(row)
                except (RecordingKeptError, RecordingsBusyError) as why:
                    kept.append(f"{row.path}: {why}")
        return forgotten, deleted, kept

    forgotten, deleted, kept = _with_outbox(config_path, forget)
    rows = f"{forgotten.deliveries} deliveries and {len(forgotten.recordings)} recordings"
    click.echo(f"removed: {rows} of {forgotten.calls} calls, {deleted} files")
    problems = []
    if kept and files:
        problems += ["uac-trio: these files could not be deleted and are no longer tracked; delete them by hand:"]
    elif kept:
        problems += ["uac-trio: converted copies of these may remain in the cache until they are unused for long:"]
    problems += kept
    if forgotten.left:
        problems += [
            f"uac-trio: {forgotten.left} calls go on or wait for delivery to the CRM, and stay; run this again later"
        ]
    if problems:
        _fail(*problems)


async def _until_signal(program: Callable[..., Awaitable[None]]) -> None:
    async with trio.open_nursery() as nursery:
        stop = trio.Event()
        await nursery.start(_set_on_signal, stop)
        await nursery.start(program)
        await stop.wait()
        nursery.cancel_scope.cancel()


async def _set_on_signal(
    stop: trio.Event, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> NoReturn:
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        task_status.started()
        async for _ in signals:
            stop.set()
    raise AssertionError("the signals have no end")


def _load(path: Path) -> Config:
    return _usable(lambda: load_config(path))


def _usable(load: Callable[[], T]) -> T:
    """The result of ``load``. A wrong configuration ends the program with 2 and every problem on stderr."""
    try:
        return load()
    except ConfigError as why:
        for problem in why.problems:
            click.echo(problem, err=True)
        sys.exit(2)


def _refusals(program: Callable[[], Awaitable[None]], *expected: type[Exception]) -> list[str]:
    """Run ``program`` to its end. Returns the texts of the ``expected`` errors that ended it, [] if none did."""
    refusals: list[str] = []
    try:
        trio.run(program)
    except* expected as group:
        # No exit in this block: Python 3.11.2 raises a BaseExceptionGroup in its place.
        refusals += map(str, _leaves(group))
    return refusals


def _fail(*messages: str) -> NoReturn:
    for message in messages:
        click.echo(message, err=True)
    sys.exit(1)


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for one in group.exceptions:
        if isinstance(one, BaseExceptionGroup):
            yield from _leaves(one)
        else:
            yield one
