"""``uac-trio record``."""

from __future__ import annotations

import math
from pathlib import Path

import click
import trio

from uac_trio.cli.options import config_option
from uac_trio.cli.refusing import fail, usable
from uac_trio.cli.running import refusals, set_on_signal
from uac_trio.clock import now
from uac_trio.config.loading import load_config
from uac_trio.log_writer import open_log
from uac_trio.logs import configure_logging
from uac_trio.recorder import RecordError
from uac_trio.recorder import record as record_pbxes


@click.command()
@config_option
@click.argument("out", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--anonymise", is_flag=True, help="Replace numbers and names consistently, keeping their format.")
@click.option("--seconds", type=click.FloatRange(min=0, min_open=True), help="How long; default: until SIGINT.")
def record(config_path: Path, out: Path, anonymise: bool, seconds: float | None) -> None:
    """Record the AMI traffic of the PBXes into OUT (.jsonl), for replay."""
    config = usable(lambda: load_config(config_path))
    if out.suffix != ".jsonl":
        raise click.UsageError(f"{out}: the name of a transcript ends in .jsonl")

    problems: list[str] = []

    async def until_stopped() -> None:
        async with trio.open_nursery() as nursery:
            stop = trio.Event()
            await nursery.start(set_on_signal, stop)
            recorded = await record_pbxes(
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
        problems += refusals(until_stopped, RecordError)
    if problems:
        fail(*(f"uac-trio: {problem}" for problem in problems))
