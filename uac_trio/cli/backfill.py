"""``uac-trio backfill``: calls that no connector watched, from the PBX's CDR."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import AsyncExitStack
from datetime import datetime
from functools import partial
from pathlib import Path

import attrs
import click
import trio

from uac_trio.ami import Event, Message
from uac_trio.ami_client.client import AMIClient
from uac_trio.ami_client.server import AMIServer
from uac_trio.backfill.filling import Filled, Filling, Span
from uac_trio.backfill.opening import open_cdr
from uac_trio.backfill.settings import CdrSettings
from uac_trio.backfill.source import CdrError
from uac_trio.cli.moment import chosen_moment
from uac_trio.cli.options import config_option
from uac_trio.cli.refusing import fail, usable
from uac_trio.clock import now
from uac_trio.config.loading import Config, load_config
from uac_trio.crm.delivery import Delivery, Scope
from uac_trio.logs import configure_logging, mask_number
from uac_trio.store.outbox import Outbox, open_outbox
from uac_trio.store.settings import OutboxError, file_of

LISTED_WITHIN = 8.0
"""Seconds for a PBX to list its channels."""


@click.command()
@config_option
@click.option(
    "--since",
    required=True,
    callback=chosen_moment,
    metavar="T",
    help="From when: '2026-11-28 09:30', 09:30 of today, 12h, 3d.",
)
@click.option("--until", callback=chosen_moment, metavar="T", help="Until when; now by default.")
@click.option("--pbx", "name", metavar="NAME", help="This PBX alone.")
@click.option("--dry-run", is_flag=True, help="Show what is missing, and put nothing into the outbox.")
@click.option("--show-numbers", is_flag=True, help="Show telephone numbers in full.")
def backfill(
    config_path: Path, since: float, until: float | None, name: str | None, dry_run: bool, show_numbers: bool
) -> None:
    """Fill in calls that no connector watched, from the PBX's CDR.

    [[pbx]] cdr says where that is. What the CRM has is left as it is, so it may be run at will, also while the daemon
    runs.
    """
    config = usable(lambda: load_config(config_path))
    span = Span(since, min(until if until is not None else now(), now()))
    chosen = [each for each in config.cdr if name in (None, each.pbx)]
    _refuse(config, span, chosen, name)
    configure_logging(config.log, stream=sys.stderr)
    try:
        all_filled = trio.run(partial(_fill_all, config, chosen, span, dry_run=dry_run))
    except OutboxError as why:
        fail(f"uac-trio: {why}")
    troubles: list[str] = []
    for cdr, filled in zip(chosen, all_filled, strict=True):
        if isinstance(filled, CdrError):
            troubles.append(f"uac-trio: PBX {cdr.pbx}: {filled}")
            continue
        for line in _lines(cdr.pbx, filled, dry_run=dry_run, show_numbers=show_numbers):
            click.echo(line)
    if troubles:
        fail(*troubles)


def _refuse(config: Config, span: Span, chosen: Sequence[CdrSettings], name: str | None) -> None:
    if span.since >= span.until:
        raise click.UsageError("--since must be before --until, and before now")
    if not chosen:
        where = f"[[pbx]] {name}" if name else "no [[pbx]]"
        has = "has no cdr" if name else "has a cdr"
        raise click.UsageError(f"{config.path}: {where} {has}, which says where its CDR is (docs/backfill.md)")
    kept = config.store.keep_delivered
    if config.crm.scope is Scope.CALL and now() - span.since > kept:
        raise click.UsageError(
            f"--since is longer ago than [store] keep_delivered ({kept / 86400:g} days): what was delivered before is "
            "no longer known, and this CRM would show it twice; set keep_delivered higher, or --since later"
        )


async def _fill_all(
    config: Config, chosen: Sequence[CdrSettings], span: Span, *, dry_run: bool
) -> list[Filled | CdrError]:
    results: list[Filled | CdrError] = []
    servers = {server.name: server for server in config.pbx}
    async with AsyncExitStack() as stack:
        file = file_of(config.store)
        is_new = dry_run and file is not None and not file.exists()
        outbox = None if is_new else await stack.enter_async_context(open_outbox(config.store))
        for cdr in chosen:
            live = await channels_of(servers[cdr.pbx])
            if live is None:
                click.echo(
                    f"uac-trio: PBX {cdr.pbx} does not list its channels, so calls of the last 15 minutes are left out",
                    err=True,
                )
            try:
                results.append(await _fill(config, cdr, span, live, outbox, dry_run=dry_run))
            except CdrError as why:
                results.append(why)
    return results


async def _fill(
    config: Config,
    cdr: CdrSettings,
    span: Span,
    live: Collection[str] | None,
    outbox: Outbox | None,
    *,
    dry_run: bool,
) -> Filled:
    roots = {
        pbx: (*paths, *(host.url for host in config.hosts if host.pbx == pbx))
        for pbx, paths in config.recordings.items()
    }
    source = open_cdr(cdr, config.calls, config.crm, has_links=bool(config.http.public_url))
    filling = Filling(cdr=source, now=now, live=lambda: live, roots=roots)
    return await filling.fill(span, outbox, dry=dry_run)


def _lines(pbx: str, filled: Filled, *, dry_run: bool, show_numbers: bool) -> Iterator[str]:
    if dry_run:
        for delivery in filled.deliveries:
            yield _line(delivery, show_numbers=show_numbers)
    does = "would be put" if dry_run else "were put"
    yield (
        f"PBX {pbx}: {filled.calls} calls in CDR, {filled.filled} with something missing; "
        f"{len(filled.deliveries)} deliveries {does} into the outbox"
    )
    if filled.open:
        yield f"PBX {pbx}: {filled.open} calls may still go on, and are left alone"
    if filled.unread:
        yield f"PBX {pbx}: {filled.unread} lines are no rows of CDR, and were left out"
    if filled.zone_differs:
        yield f"PBX {pbx}: {filled.zone_differs}"


def _line(delivery: Delivery, *, show_numbers: bool) -> str:
    customer = delivery.customer or "withheld"
    shown = customer if show_numbers else mask_number(customer)
    outcome = f", {delivery.outcome.value}, talked {delivery.talk_secs:.0f} s" if delivery.outcome else ""
    who = delivery.extension or "-"
    kind = delivery.kind.value
    clock = datetime.fromtimestamp(delivery.at).astimezone().isoformat(sep=" ", timespec="seconds")
    return f"{clock}  {delivery.call_id}  {who}  {kind}  {delivery.direction.value} {shown}{outcome}"


@attrs.define
class _Channels:
    """Collects the list of channels that a client asks for when it has logged in."""

    names: set[str] = attrs.field(factory=set)
    complete: trio.Event = attrs.field(factory=trio.Event)

    def connected(self, pbx: str, banner: str, at: float) -> None:
        """The list follows."""

    def received(self, pbx: str, messages: Sequence[Message], at: float) -> None:
        for message in messages:
            if not isinstance(message, Event):
                continue
            if message.name == "CoreShowChannel":
                self.names |= {message.get(header) for header in ("Uniqueid", "Linkedid", "Channel")} - {""}
            elif message.name == "CoreShowChannelsComplete":
                self.complete.set()

    def lost(self, pbx: str, reason: str, at: float) -> None:
        """The time limit ends the wait."""


async def channels_of(server: AMIServer) -> frozenset[str] | None:
    """Uniqueids, Linkedids and names of the channels there are now; None where they cannot be listed."""
    listed = _Channels()
    with trio.move_on_after(LISTED_WITHIN):
        async with trio.open_nursery() as nursery:
            client = AMIClient(server=server, listener=listed, now=now)
            nursery.start_soon(client.run)
            while not listed.complete.is_set() and client.status.state != "waiting":
                with trio.move_on_after(0.05):
                    await listed.complete.wait()
            nursery.cancel_scope.cancel()
    return frozenset(listed.names) if listed.complete.is_set() else None
