"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path

import click

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)

config_option = click.option(
    "--config", "config_path", required=True, type=click.Path(path_type=Path), metavar="FILE", help="The TOML file."
)
