"""``uac-trio check``."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import click

from uac_trio.cli.options import config_option
from uac_trio.cli.refusing import usable
from uac_trio.clock import now
from uac_trio.config.loading import Config, load_config
from uac_trio.config.words import describe


@click.command()
@config_option
@click.option("--live", is_flag=True, help="Check the PBXes, CRM, store and recordings as well. Changes nothing.")
def check(config_path: Path, live: bool) -> None:
    """Check a configuration: describe it, or report what is wrong with it."""
    config = usable(lambda: load_config(config_path))
    for line in describe(config, now()):
        click.echo(line)
    if live:
        _check_live(config)


def _check_live(config: Config) -> None:
    # These import HTTP, database and PBX clients, which only --live needs.
    import trio

    from uac_trio.live_check.finding import Level, finding_lines
    from uac_trio.live_check.looking import look

    found = trio.run(partial(look, config, now=now))
    for line in finding_lines(found):
        click.echo(line)
    if any(finding.level is Level.PROBLEM for part in found for finding in part.found):
        sys.exit(1)
