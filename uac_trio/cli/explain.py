"""``uac-trio explain``."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from itertools import groupby
from operator import attrgetter
from pathlib import Path

import attrs
import click
import trio

from uac_trio.calls.rules import TrackerRules
from uac_trio.cli.moment import chosen_moment
from uac_trio.cli.options import CONFIG, FILE, VARIABLE
from uac_trio.cli.refusing import fail, usable
from uac_trio.config.loading import Config, load_config
from uac_trio.crm.protocol import CRM, Surroundings
from uac_trio.crm.vtiger import VtigerSettings
from uac_trio.explain.explaining import explained, mentions, recorded_calls
from uac_trio.explain.lines import LookedAt, call_json, call_lines, looked_lines, nothing_lines
from uac_trio.explain.subject import Subject, subject_of
from uac_trio.flight_recorder.files import RecordedFile, coverage, file_of_pbx, open_file, recorded_files, relevant
from uac_trio.replay import PBX
from uac_trio.store.history import Wanted
from uac_trio.store.outbox import open_outbox
from uac_trio.store.rows import StoredRow
from uac_trio.store.settings import OutboxError
from uac_trio.transcript import Transcript, TranscriptError


@attrs.frozen(kw_only=True)
class _Sources:
    """What is looked at."""

    transcripts: Mapping[str, Sequence[Transcript]]
    """By PBX."""
    lines: Sequence[str]
    """What they are, for people."""
    config: Config | None


@click.command()
@click.argument("subject", metavar="NUMBER|EXTENSION|CALL")
@click.argument("files", nargs=-1, type=FILE, metavar="[FILE...]")
@click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    metavar="FILE",
    envvar=VARIABLE,
    help=f"The TOML file.  [default: ${VARIABLE}, else {CONFIG}; with FILEs none, and no store]",
)
@click.option(
    "--since",
    default="24h",
    show_default=True,
    callback=chosen_moment,
    metavar="T",
    help="30m, 24h, 7d; 09:30 of today; or 2026-11-28 09:30.",
)
@click.option("--last", default=10, show_default=True, type=click.IntRange(1, 1000), help="How many calls at most.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per call.")
def explain(
    subject: str, files: tuple[Path, ...], config_path: Path | None, since: float, last: int, as_json: bool
) -> None:
    """Explain the calls of a NUMBER or EXTENSION, or one CALL: also why there is no popup.

    Shows the events that mattered, each decision with its rule, each delivery with the CRM's answer. Looks at the
    flight recorder and the store of the daemon, which may run or not; or at FILEs, transcripts of successive
    connections to one PBX.
    """
    path = config_path or (None if files else CONFIG)
    config = None if path is None else usable(lambda: load_config(path))
    rules = TrackerRules() if config is None else config.calls
    crm = _any_crm() if config is None else config.crm
    try:
        wanted = subject_of(subject, rules)
    except ValueError as why:
        raise click.UsageError(str(why)) from why
    problems: list[str] = []
    try:
        sources = _sources(wanted, files, config, since)
        stories = list(recorded_calls(sources.transcripts, wanted, 0.0 if files else since, rules, crm, problems))
        ids = {call_id for story in stories for call_id in story.ids}
        rows, store = _rows(wanted, ids, config, since, last)
        calls = explained(stories, rows or (), rows is not None, rules, crm)
        looked = LookedAt(since=None if files else since, files=sources.lines, store=store)
        if not calls:
            seen = [] if wanted.call else mentions(sources.transcripts, wanted, 0.0 if files else since)
            fail(*nothing_lines(wanted, looked, seen), *_as_lines(problems))
    except TranscriptError as why:
        fail(f"uac-trio: {why}")
    except OSError as why:
        fail(f"uac-trio: {why.filename}: {why.strerror}; run this as the user of the daemon, or as root")
    for call in calls[-last:]:
        for line in [call_json(call)] if as_json else call_lines(call):
            click.echo(line)
    if not as_json:
        if len(calls) > last:
            click.echo(f"{len(calls) - last} earlier calls are not shown: --last {len(calls)}")
        for line in looked_lines(looked):
            click.echo(line)
    for line in _as_lines(problems):
        click.echo(line, err=True)


def _any_crm() -> CRM:
    """For transcripts alone: nothing is sent."""
    settings = VtigerSettings(url="http://crm.example/", secret="explain")  # noqa: S106
    return settings.crm(Surroundings(public_url="http://connector.example:5000"))


def _sources(wanted: Subject, files: Sequence[Path], config: Config | None, begin: float) -> _Sources:
    if files:
        return _given(files, config)
    assert config is not None  # noqa: S101 - there is one where no files are given
    directory = config.flight_recorder_directory
    recorded = [file for file in recorded_files(directory) if file.pbx in {server.name for server in config.pbx}]
    if not recorded:
        off = "" if config.flight_recorder.enabled else "; [flight_recorder] enabled = false"
        return _Sources(transcripts={}, lines=[f"flight recorder {directory}: no files{off}"], config=config)
    # The offset, not the number alone: a call may have begun in the file before.
    needle = b"" if wanted.extension else wanted.needle
    by_pbx = {pbx: list(some) for pbx, some in groupby(sorted(recorded, key=attrgetter("pbx")), attrgetter("pbx"))}
    chosen = {pbx: relevant(some, since=begin, needle=needle) for pbx, some in by_pbx.items()}
    _progress([file for some in chosen.values() for file in some])
    return _Sources(
        transcripts={pbx: [open_file(file.path) for file in some] for pbx, some in chosen.items()},
        lines=[f"flight recorder {directory}, PBX {pbx}: {coverage(some, begin)}" for pbx, some in by_pbx.items()],
        config=config,
    )


def _given(files: Sequence[Path], config: Config | None) -> _Sources:
    own = config.pbx[0].name if config is not None and len(config.pbx) == 1 else PBX
    by_pbx: dict[str, list[Transcript]] = {}
    for path in files:
        by_pbx.setdefault(file_of_pbx(path) or own, []).append(open_file(path))
    return _Sources(transcripts=by_pbx, lines=[f"file {path}" for path in files], config=config)


def _progress(files: Sequence[RecordedFile]) -> None:
    """A line on a terminal, where it takes longer."""
    size = sum(file.size for file in files) / 1e6
    if sys.stderr.isatty() and size > 2:
        click.echo(f"reading {len(files)} files of the flight recorder, {size:.0f} MB", err=True)


def _rows(
    wanted: Subject, ids: set[str], config: Config | None, begin: float, last: int
) -> tuple[list[StoredRow] | None, str]:
    """What the store has, None if it was not looked at; and a line about it."""
    if config is None:
        return None, "store: not looked at; --config names the file that has it"
    known = {*ids, *wanted.call_ids(server.name for server in config.pbx)}
    asked = Wanted(digits=wanted.digits, extension=wanted.extension, call_ids=known, since=begin, most=last)

    async def look() -> tuple[list[StoredRow], str]:
        async with open_outbox(config.store, create=False) as outbox:
            return await outbox.history(asked), outbox.where

    try:
        rows, where = trio.run(look)
    except OutboxError as why:
        return None, f"store: not looked at: {why}"
    return rows, f"store {where}: {len(rows)} deliveries of these calls"


def _as_lines(problems: Sequence[str]) -> list[str]:
    return [f"uac-trio: {problem}" for problem in problems]
