"""``uac-trio demo``."""

from __future__ import annotations

import sys

import click

from uac_trio.demo.run import run_demo
from uac_trio.logs import LogSettings, configure_logging


@click.command()
@click.option("--once", is_flag=True, help="End after one pass, with a table of the CRM's rows.")
@click.option(
    "--bind", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="Address of the page; 0.0.0.0: any."
)
@click.option("--port", type=click.IntRange(0, 65535), help="Port of the page; any free one by default.")
def demo(once: bool, bind: str, port: int | None) -> None:
    """Run the daemon with recorded calls and a stand-in CRM that has a web page. Needs no set-up."""
    configure_logging(LogSettings(level="warning"))
    sys.exit(run_demo(once=once, host=bind, port=port, echo=click.echo))
