"""python -m tests.soak: recorded calls through real connectors while faults strike; then the rows against the truth.

Exit code 0: every row is there, once, ended, and as it must be. 1: not so; the differences are printed.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import click
import trio

from tests.postgres import temporary_postgresql
from tests.soak.world import Figures, Plan, soak


@click.command()
@click.option("--minutes", type=click.FloatRange(0.1, 600), default=10.0, show_default=True)
@click.option("--seed", type=int, help="Of what happens when; any by default, and printed.")
@click.option("--store", type=click.Choice(["sqlite", "postgresql"]), default="sqlite", show_default=True)
@click.option("--connectors", type=click.IntRange(1, 4), help="1 on SQLite, 2 on PostgreSQL by default.")
@click.option("--rate", type=click.FloatRange(0.1, 20), default=2.2, show_default=True, help="Recordings a second.")
@click.option("--calm", is_flag=True, help="Without faults: what the machinery itself does.")
@click.option("--keep", type=click.Path(path_type=Path), help="A directory for logs and databases; else they go.")
def main(
    minutes: float, seed: int | None, store: str, connectors: int | None, rate: float, calm: bool, keep: Path | None
) -> None:
    """Play recorded calls for some MINUTES while faults strike, and compare the CRM's rows with what happened."""
    seed = random.SystemRandom().randrange(10**6) if seed is None else seed
    count = connectors or (1 if store == "sqlite" else 2)
    if store == "sqlite" and count > 1:
        raise click.UsageError("several connectors need PostgreSQL: --store postgresql")
    click.echo(f"soak: {minutes:g} minutes, {store}, {count} connector(s), seed {seed}")
    with ExitStack() as stack:
        folder = keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="uac-soak-")))
        folder.mkdir(parents=True, exist_ok=True)
        server = stack.enter_context(temporary_postgresql()) if store == "postgresql" else ""
        plan = Plan(seconds=60 * minutes, seed=seed, rate=rate, connectors=count, postgresql=server, calm=calm)
        began = time.monotonic()
        figures = trio.run(soak, plan, folder)
    for line in report(figures, time.monotonic() - began):
        click.echo(line)
    sys.exit(1 if figures.wrong else 0)


def report(figures: Figures, seconds: float) -> list[str]:
    """The table, and what is wrong."""
    verdict = figures.verdict
    lines = [
        ("seconds in all", f"{seconds:.0f}"),
        ("calls played", verdict.calls),
        ("  of which all connectors saw all of it", verdict.whole),
        ("  of which one did and another did not", verdict.half),
        ("rows expected", verdict.rows),
        ("faults", sum(figures.faults.values())),
        *((f"  {name}", count) for name, count in sorted(figures.faults.items())),
        ("kills (SIGKILL)", figures.kills),
        ("requests seen by the CRM", figures.requests),
        ("  carried out again", figures.doubles),
        ("two requests of a call at once", len(figures.overlaps)),
        ("rows of calls no connector saw whole: as far as seen", verdict.inferred),
        ("  which lack the recording alone", verdict.unrecorded),
        ("rows of calls no connector saw whole: not seen", verdict.unseen),
        ("rows that went with what a killed process had just heard", verdict.forgotten),
        ("rows that differ, sent by the one that knew less", verdict.outdone),
        *((f"logged {name}", count) for name, count in sorted(figures.logged.items())),
        ("rows wrong", len(figures.wrong)),
    ]
    width = max(len(name) for name, _ in lines)
    return [*(f"{name:<{width}}  {value:>8}" for name, value in lines), *figures.wrong]


if __name__ == "__main__":
    main()
