"""``uac-trio crm-module``."""

from __future__ import annotations

from pathlib import Path

import click

from uac_trio.cli.refusing import fail
from uac_trio.crm.vtiger.module_package import module_version, module_zip


@click.command(name="crm-module")
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE.zip",
    help="Where to write it.",
)
def crm_module(output: Path) -> None:
    """Write the module for vTiger that shows popups at once: a zip."""
    try:
        output.write_bytes(module_zip())
    except OSError as why:
        fail(f"uac-trio crm-module: {output} cannot be written: {why.strerror or why}")
    click.echo(
        f"{output}: version {module_version()}; import it in Settings > Module Manager > Import Module from Zip."
    )
