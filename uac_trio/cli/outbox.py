"""``uac-trio outbox``: the dead letters."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path

import attrs
import click

from uac_trio.cli.options import WholeHelp, config_option
from uac_trio.cli.refusing import fail, usable
from uac_trio.cli.stored import with_outbox
from uac_trio.clock import now
from uac_trio.config.loading import load_config
from uac_trio.logs import mask_number, mask_text
from uac_trio.store.outbox import Outbox
from uac_trio.store.rows import OutboxStatistics, ParkedRow


@click.group(name="outbox", cls=WholeHelp)
def outbox() -> None:
    """Dead letters, which the CRM refused for good: list, retry or drop them. The daemon may run meanwhile."""


@outbox.command(name="list")
@config_option
@click.option("--all", "counts", is_flag=True, help="Also count the deliveries in each state.")
@click.option("--show-numbers", is_flag=True, help="Show telephone numbers in full.")
def list_(config_path: Path, counts: bool, show_numbers: bool) -> None:
    """List the dead letters, oldest first: number, when, call, extension, kind, customer, why."""
    rows, statistics = with_outbox(usable(lambda: load_config(config_path)), _parked_and_statistics)
    for row in rows:
        click.echo(parked_line(row, show_numbers))
    if statistics.parked > len(rows):
        click.echo(f"... and {statistics.parked - len(rows)} more")
    if counts:
        states = attrs.asdict(statistics)
        oldest = states.pop("oldest_waiting_at")
        click.echo(", ".join(f"{state}: {count}" for state, count in states.items()))
        if oldest is not None:
            click.echo(f"the oldest that waits: {iso(oldest)}")
    elif not rows:
        click.echo("there are no dead letters")


@outbox.command(name="retry")
@config_option
@click.argument("numbers", nargs=-1, type=int, metavar="NUMBER...")
@click.option("--all", "everything", is_flag=True, help="Everything that is parked.")
def retry_(config_path: Path, numbers: tuple[int, ...], everything: bool) -> None:
    """Retry dead letters, each with the later deliveries of its call, since the CRM keeps no order."""

    async def retry(outbox: Outbox, number: int) -> str:
        rows = await outbox.retry(number, now())
        return f"{number}: will be sent again, {rows} deliveries with the later ones of its call" if rows else ""

    _for_each(config_path, numbers, everything, retry)


@outbox.command(name="drop")
@config_option
@click.argument("numbers", nargs=-1, type=int, metavar="NUMBER...")
@click.option("--all", "everything", is_flag=True, help="Everything that is parked.")
def drop_(config_path: Path, numbers: tuple[int, ...], everything: bool) -> None:
    """Drop dead letters for good."""

    async def drop(outbox: Outbox, number: int) -> str:
        return f"{number}: dropped" if await outbox.drop(number, now()) else ""

    _for_each(config_path, numbers, everything, drop)


def parked_line(row: ParkedRow, show_numbers: bool) -> str:
    """One dead letter for people, its telephone numbers masked unless ``show_numbers``."""
    delivery = row.delivery
    customer = delivery.customer or "-"
    shown, reason = (customer, row.reason) if show_numbers else (mask_number(customer), mask_text(row.reason))
    what = f"{delivery.call_id}  {delivery.extension or '-'}  {delivery.kind.value}  {shown}"
    return f"{row.id}  {iso(row.parked_at)}  {what}  sent {row.attempt} times: {reason}"


def iso(at: float) -> str:
    """The local time of this machine."""
    return datetime.fromtimestamp(at).astimezone().isoformat(sep=" ", timespec="seconds")


async def _parked_and_statistics(outbox: Outbox) -> tuple[list[ParkedRow], OutboxStatistics]:
    return await outbox.parked(), await outbox.statistics()


def _for_each(
    config_path: Path, numbers: tuple[int, ...], everything: bool, work: Callable[[Outbox, int], Awaitable[str]]
) -> None:
    """Run ``work`` on each row. It returns what it did, or "" for a row that is not parked, which makes exit code 1."""
    if everything == bool(numbers):
        raise click.UsageError("give the NUMBERs that list shows, or --all")

    async def do(outbox: Outbox) -> list[int]:
        unknown: list[int] = []
        chosen = [row.id for row in await outbox.parked()] if everything else numbers
        for number in chosen:
            done = await work(outbox, number)
            if done:
                click.echo(done)
            elif not everything:  # with --all, the retry of one row may have included the other rows of its call
                unknown.append(number)
        return unknown

    if unknown := with_outbox(usable(lambda: load_config(config_path)), do):
        fail(*(f"uac-trio: {number} is not a dead letter; uac-trio outbox list shows them" for number in unknown))
