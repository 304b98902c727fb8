"""``uac-trio check``."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from uac_trio.cli.options import config_option
from uac_trio.cli.refusing import usable
from uac_trio.clock import now
from uac_trio.config.loading import Config, load_config
from uac_trio.config.reader import ConfigError
from uac_trio.config.words import describe

if TYPE_CHECKING:
    from uac_trio.live_check.call_seen import SeenCall
    from uac_trio.live_check.finding import Findings


@click.command()
@config_option
@click.option("--live", is_flag=True, help="Check the PBXes, CRM, store and recordings as well. Changes nothing.")
@click.option(
    "--call",
    "seconds",
    type=click.FloatRange(min=1, max=3600),
    metavar="SECONDS",
    help="After --live, wait for a real call and show what of it arrives, and what the CRM would get. Sends nothing. "
    "Ctrl+C ends it early.",
)
@click.option("--json", "is_json", is_flag=True, help="Print one JSON object (docs/check.md) in place of lines.")
def check(config_path: Path, live: bool, seconds: float | None, is_json: bool) -> None:
    """Check a configuration: describe it, or report what is wrong with it.

    Exit code 0: no problem; 1: --live found one; 2: the configuration is wrong.
    """
    config = _loaded_for_json(config_path) if is_json else usable(lambda: load_config(config_path))
    if not is_json:
        for line in describe(config, now()):
            click.echo(line)
    if live or seconds or is_json:
        _check_live(config, live=live or bool(seconds), seconds=seconds or 0.0, is_json=is_json)


def _loaded_for_json(path: Path) -> Config:
    """As ``usable``, the problems on stdout as JSON."""
    from uac_trio.live_check.finding import Findings
    from uac_trio.live_check.report import as_json

    def load() -> Config:
        try:
            return load_config(path)
        except ConfigError as why:
            findings = Findings("configuration")
            for problem in why.problems:
                findings.problem("config.invalid", problem)
            click.echo(as_json(str(path), [findings]))
            raise

    return usable(load)


def _check_live(config: Config, *, live: bool, seconds: float, is_json: bool) -> None:
    # These import HTTP, database and PBX clients, which only --live needs.
    import trio

    from uac_trio.live_check import report
    from uac_trio.live_check.finding import Level
    from uac_trio.live_check.looking import look

    found = trio.run(partial(look, config, now=now)) if live else []
    calls: Sequence[SeenCall] = ()
    if is_json:
        found.insert(0, _warnings(config))
    elif not seconds:
        _show(report.finding_lines(found))
    if seconds:
        found, calls = _watch_call(config, found, seconds, is_json=is_json)
    if is_json:
        click.echo(report.as_json(str(config.path), found, calls=calls, mask=config.log.mask))
    else:
        _show(report.closing_lines(found, has_call=bool(calls)))
    if any(finding.level is Level.PROBLEM for part in found for finding in part.found):
        sys.exit(1)


def _watch_call(
    config: Config, found: Sequence[Findings], seconds: float, *, is_json: bool
) -> tuple[list[Findings], Sequence[SeenCall]]:
    """Watch a call on the PBXes at which the check could log in. Returns all findings, and the calls."""
    import trio

    from uac_trio.cli.running import set_on_signal
    from uac_trio.live_check import report
    from uac_trio.live_check.call_report import unsettled, without_unseen
    from uac_trio.live_check.call_watch import watch_call
    from uac_trio.live_check.looking import pbx_uses
    from uac_trio.logs import LogSettings, configure_logging

    configure_logging(LogSettings(level="error"))
    logged_in = {part.subject for part in found if any(finding.id == "pbx.login" for finding in part.found)}
    refused = {part.subject for part in found if "pbx.login" in report.problem_ids([part])}
    uses = [use for use in pbx_uses(config) if f"PBX {use.server.name}" in logged_in - refused]
    if not is_json:
        _show(report.finding_lines(map(without_unseen, found) if uses else found))
    if not uses:
        return list(found), ()
    show = partial(click.echo, err=is_json)

    async def watched() -> tuple[list[Findings], list[SeenCall]]:
        async with trio.open_nursery() as nursery:
            stop = trio.Event()
            await nursery.start(set_on_signal, stop)
            result = await watch_call(config, uses, seconds, now=now, show=show, stop=stop)
            nursery.cancel_scope.cancel()
        return result

    after, calls = trio.run(watched)
    if not is_json:
        _show(report.finding_lines(after))
    return [*unsettled(found, after), *after], calls


def _warnings(config: Config) -> Findings:
    from uac_trio.live_check.finding import Findings

    findings = Findings("configuration")
    findings.ok("config.valid", f"{config.path} is valid")
    for warning in config.warnings:
        findings.warn("config.warning", warning)
    return findings


def _show(lines: Iterable[str]) -> None:
    for line in lines:
        click.echo(line)
