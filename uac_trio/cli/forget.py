"""``uac-trio forget``."""

from __future__ import annotations

from pathlib import Path

import click

from uac_trio.cli.options import config_option
from uac_trio.cli.refusing import fail, usable
from uac_trio.cli.stored import with_outbox
from uac_trio.config.loading import Config, load_config
from uac_trio.daemon.recordings import open_recordings
from uac_trio.flight_recorder.files import forget_number
from uac_trio.logs import configure_logging
from uac_trio.recordings.finding import RecordingKeptError
from uac_trio.recordings.place import RecordingsBusyError
from uac_trio.store.deliveries import significant
from uac_trio.store.forgetting import Forgotten
from uac_trio.store.outbox import Outbox
from uac_trio.transcript import TranscriptError


@click.command()
@config_option
@click.argument("number")
@click.option("--files", is_flag=True, help="Delete the files of the recordings as well.")
def forget(config_path: Path, number: str, files: bool) -> None:
    """Delete the stored data of the customer with NUMBER, and report what was deleted. The daemon may run meanwhile."""
    if not any(character.isdigit() for character in number):
        raise click.UsageError("NUMBER is a telephone number; put -- before one that begins with a minus")
    config = usable(lambda: load_config(config_path))
    if config.calls.is_extension(number):
        raise click.UsageError(f"{number} is an employee's extension; only customers can be forgotten")
    configure_logging(config.log)

    async def forget_in(outbox: Outbox) -> tuple[Forgotten, int, list[str]]:
        deleted, kept = 0, []
        forgotten = await outbox.forget(number)
        async with open_recordings(config, outbox) as archive:
            for row in forgotten.recordings:
                try:
                    if files:
                        deleted += await archive.delete(row)
                    else:
                        await archive.forget_converted(row)
                except (RecordingKeptError, RecordingsBusyError) as why:
                    kept.append(f"{row.path}: {why}")
        return forgotten, deleted, kept

    forgotten, deleted, kept = with_outbox(config, forget_in)
    erased, not_searched = _forget_ami(config, number)
    rows = f"{forgotten.deliveries} deliveries and {len(forgotten.recordings)} recordings"
    click.echo(f"removed: {rows} of {forgotten.calls} calls, {deleted} files")
    if erased:
        click.echo(f"removed: {erased} files of the flight recorder, in which the number occurred")
    problems = not_searched
    if kept and files:
        problems += ["uac-trio: these files could not be deleted and are no longer tracked; delete them by hand:"]
    elif kept:
        problems += ["uac-trio: converted copies of these may remain in the cache until they are unused for long:"]
    problems += kept
    if forgotten.left:
        problems += [
            f"uac-trio: {forgotten.left} calls go on or wait for delivery to the CRM, and stay; run this again later"
        ]
    if problems:
        fail(*problems)


def _forget_ami(config: Config, number: str) -> tuple[int, list[str]]:
    """Files of the flight recorder that were deleted, and problems."""
    directory = config.flight_recorder_directory
    try:
        return forget_number(directory, significant(number)), []
    except OSError as why:
        return 0, [f"uac-trio: the flight recorder was not searched: {why.filename or directory}: {why.strerror}"]
    except TranscriptError as why:
        return 0, [f"uac-trio: the flight recorder was not searched: {why}; delete this file"]
