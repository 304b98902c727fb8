"""``uac-trio import-config``."""

from __future__ import annotations

from pathlib import Path

import click

from uac_trio.cli.options import FILE
from uac_trio.cli.refusing import fail
from uac_trio.import_config.equals import configuration_text, imported
from uac_trio.import_config.old_file import OldFileError, parse


@click.command(name="import-config")
@click.argument("old", type=FILE)
def import_config(old: Path) -> None:
    """Print OLD, the configuration of an earlier connector, as one of uac-trio, with notes.

    OLD is a Python file with class Config, which is parsed and never run, or AsteriskConnector.properties. Each key
    that has no equal or needs a look gets a note, as a comment and on stderr.
    """
    try:
        result = imported(parse(old.read_bytes()))
    except (OldFileError, OSError) as why:
        fail(f"{old}: {why.strerror if isinstance(why, OSError) else why}")
    if result.problems:
        fail(*(f"{old}: {problem}" for problem in result.problems))
    for note in result.notes:
        click.echo(f"NOTE: {note}", err=True)
    click.echo(configuration_text(result, old.name), nl=False)
