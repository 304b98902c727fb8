"""``uac-trio replay``."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import click

from uac_trio.calls.rules import TrackerRules
from uac_trio.cli.options import FILE
from uac_trio.cli.refusing import fail, usable
from uac_trio.crm.protocol import CRM, CRMSettings, Surroundings
from uac_trio.crm.vtiger import Flavour, VtigerSettings
from uac_trio.flight_recorder.files import file_of_pbx
from uac_trio.replay import PBX, Concluded, call_lines, of_call, play, rendered, request_lines, timeline_lines
from uac_trio.transcript import TranscriptError, open_transcript

PIECE = 1 << 20
"""Bytes of a file that are read at once."""
PASSES = 2
"""Over each file: for its times, and for its messages."""

Advance = Callable[[int], None]
"""Is called with the number of bytes read."""

FORMATS: Mapping[str, Callable[[Iterator[Concluded], CRM], Iterator[str]]] = {
    "calls": lambda steps, _: call_lines(step.fact for step in steps),
    "requests": lambda steps, crm: request_lines(rendered(steps, crm)),
    "timeline": lambda steps, crm: timeline_lines(rendered(steps, crm)),
}


@click.command()
@click.argument("files", nargs=-1, required=True, type=FILE, metavar="FILE...")
@click.option("--calls", "show", flag_value="calls", help="One JSON object per call.")
@click.option("--requests", "show", flag_value="requests", help="One JSON object per request to the CRM.")
@click.option("--timeline", "show", flag_value="timeline", help="For people: the events of each call and the requests.")
@click.option("--call", "call_id", metavar="ID", help="Only this call: its id in the other outputs, or its Linkedid.")
@click.option("--config", type=FILE, help="A configuration; its [calls] and its CRM are used. Or the next three:")
@click.option("--rules", type=FILE, help="A configuration; its [calls] table is used.")
@click.option(
    "--flavour",
    type=click.Choice([flavour.value for flavour in Flavour]),
    default=Flavour.SALESPLATFORM.value,
    show_default=True,
    help="The kind of vTiger that --requests are for.",
)
@click.option("--timezone", default="Europe/Moscow", show_default=True, help="The CRM's time zone, for --requests.")
def replay(
    files: tuple[Path, ...],
    show: str | None,
    call_id: str | None,
    config: Path | None,
    rules: Path | None,
    flavour: str,
    timezone: str,
) -> None:
    """Replay FILEs, transcripts of successive connections to one PBX, through the pipeline. Nothing is sent."""
    if show is None:
        raise click.UsageError("choose what to show: --calls, --requests or --timeline")
    if config is not None and rules is not None:
        raise click.UsageError("--config has the rules already: leave --rules out")
    if config is not None:
        chosen, settings = _of_config(config)
    else:
        chosen, settings = TrackerRules() if rules is None else _rules(rules), _vtiger(Flavour(flavour), timezone)
    pbx = _pbx_of(files)
    crm = settings.crm(Surroundings(public_url="http://connector.example:5000", is_extension=chosen.is_extension))
    # A recording makes values by the million that live as long as their calls: to look for cycles among them less often
    # takes a twentieth less time.
    gc.freeze()
    gc.set_threshold(20_000)
    problems: list[str] = []
    is_found = False
    try:
        with _progress(files, show) as advance:
            transcripts = [open_transcript(str(path), partial(_read, path, advance)) for path in files]
            for transcript in transcripts:
                if transcript.cut:
                    click.echo(f"uac-trio: {transcript.name}: {transcript.cut}", err=True)
            steps = play(transcripts, chosen, crm, problems, pbx)
            for line in FORMATS[show](of_call(steps, call_id, pbx) if call_id else steps, crm):
                is_found = True
                click.echo(line)
    except TranscriptError as why:
        fail(f"uac-trio: {why}")
    except OSError as why:
        fail(f"uac-trio: {why.filename}: {why.strerror}")
    if call_id and not is_found:
        problems.append(f"there is no call {call_id} in these files; --calls shows the ids")
    if problems:
        fail(*(f"uac-trio: {problem}" for problem in problems))


def _pbx_of(files: Sequence[Path]) -> str:
    """The PBX that the names of the flight recorder's files have, so that calls have the ids of the log."""
    names = sorted({file_of_pbx(path) for path in files})
    if len(names) > 1:
        raise click.UsageError(
            f"these are files of several PBXes ({', '.join(filter(None, names))}): one PBX at a time"
        )
    return names[0] or PBX


def _rules(path: Path) -> TrackerRules:
    # Reading a configuration imports the settings of all parts of the program.
    from uac_trio.config.loading import load_rules

    return usable(lambda: load_rules(path))


def _of_config(path: Path) -> tuple[TrackerRules, CRMSettings]:
    from uac_trio.config.loading import load_replay

    return usable(lambda: load_replay(path))


def _vtiger(flavour: Flavour, timezone: str) -> VtigerSettings:
    try:
        return VtigerSettings(
            url="http://crm.example/",
            secret="replay",  # noqa: S106 - nothing is sent
            flavour=flavour,
            timezone=timezone,
        )
    except ValueError as why:
        raise click.UsageError(f"--timezone: {why}") from why


def _read(path: Path, advance: Advance) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            advance(len(piece))
            yield piece


@contextmanager
def _progress(files: tuple[Path, ...], show: str) -> Iterator[Advance]:
    """A bar on a terminal, unless lines are shown there as they come."""
    if not sys.stderr.isatty() or (show != "timeline" and sys.stdout.isatty()):
        yield lambda _: None
        return
    total = PASSES * sum(path.stat().st_size for path in files)
    with click.progressbar(length=total, label="replay", file=sys.stderr) as bar:
        yield bar.update
