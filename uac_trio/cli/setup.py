"""``uac-trio setup``."""

from __future__ import annotations

import posixpath
import tempfile
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

import click

from uac_trio.cli.asking import (
    AUTO,
    FLAVOURS,
    Given,
    absolute,
    answers_of,
    chosen_platform,
    defaults,
    prompted,
    secrets_of,
)
from uac_trio.cli.machine import MachineError, read_machine, write_changes
from uac_trio.cli.options import CONFIG, VARIABLE
from uac_trio.cli.refusing import fail
from uac_trio.clock import now
from uac_trio.setup.answers import Answers, Machine, Platform
from uac_trio.setup.change import Change, NotReadError, diff_lines
from uac_trio.setup.configuration import AMI_SECRET, CDR_ADDRESS, VTIGER_SECRET
from uac_trio.setup.plan import Plan, plan_setup

SECRETS = (AMI_SECRET, VTIGER_SECRET, CDR_ADDRESS)
"""Files beside the configuration."""


@click.command()
@click.option(
    "--platform",
    type=click.Choice([AUTO, *(each.value for each in Platform)]),
    default=AUTO,
    show_default=True,
    help="What writes Asterisk's files.",
)
@click.option("--asterisk-dir", default="/etc/asterisk", show_default=True, help="Asterisk's configuration files.")
@click.option("--ami-host", help="Address of the PBX, if it is another machine. Its files are not written then.")
@click.option("--ami-port", type=click.IntRange(1, 65535), help="Port of its AMI; default: the one in manager.conf.")
@click.option("--ami-user", help="The user of AMI to make.  [default: uac-trio]")
@click.option("--name", help="Name of the PBX, part of every call's identity.  [default: main]")
@click.option("--crm-url", help="Address of the CRM, or of its PBXManager.php.")
@click.option(
    "--crm-secret-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File with the secret key of the CRM's PBX Manager settings; without it a new one is made.",
)
@click.option("--flavour", type=click.Choice(FLAVOURS), help="The kind of vTiger.")
@click.option("--timezone", help="$default_timezone of the CRM's config.inc.php.")
@click.option("--extensions", help="Pattern of employees' numbers.")
@click.option("--public-url", help="Address by which the CRM and its users reach uac-trio.")
@click.option("--bind", help="Address and port to listen on.")
@click.option("--recordings", help='Directory of the recordings on this machine; "" for none.')
@click.option(
    "--recording-dialplan/--no-recording-dialplan",
    default=True,
    help="Where the dialplan records nothing, add a subroutine that does, in a file of its own.",
)
@click.option(
    "--backfill/--no-backfill",
    default=None,
    help="Fill in calls that no connector watched, from the PBX's CDR.  [default: no]",
)
@click.option(
    "--config",
    default=str(CONFIG),
    envvar=VARIABLE,
    show_envvar=True,
    show_default=True,
    help="The configuration to write.",
)
@click.option(
    "--unit", default="/etc/systemd/system/uac-trio.service", show_default=True, help='The systemd unit; "" for none.'
)
@click.option("--replace", is_flag=True, help="With --yes: replace files of yours that differ, after a backup.")
@click.option("--yes", is_flag=True, help="Ask nothing. Files of yours that differ are kept, and named.")
@click.option("--dry-run", is_flag=True, help="Show what would be changed, and change nothing.")
@click.option(
    "--root",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default="/",
    show_default=True,
    help="Where the file system of the machine begins: of an image or a chroot.",
)
@click.pass_context
def setup(context: click.Context, /, **_: object) -> None:
    """Set up Asterisk and uac-trio on this machine: show all changes, write them with backups."""
    given = absolute(Given(**context.params))
    directory = posixpath.dirname(given.config)
    secrets = tuple(f"{directory}/{name}" for name in SECRETS)
    others = (given.config, *secrets, *_of_unit(given.unit))
    try:
        machine = read_machine(given.root, given.asterisk_dir, others)
        platform = chosen_platform(given, machine)
        answers = answers_of(given, platform, machine, defaults if given.yes else prompted)
        plan = plan_setup(answers, machine, secrets_of(given, answers, machine))
        _require_valid(answers, plan, machine)
        _carry_out(given, plan, answers, machine)
    except (MachineError, NotReadError) as why:
        fail(f"uac-trio: {why}")
    except click.Abort:
        raise click.UsageError("there was no answer, and nothing was changed; --yes asks nothing") from None


def _of_unit(unit: str) -> tuple[str, ...]:
    return (unit, f"{unit}.d/recordings.conf") if unit else ()


def _require_valid(answers: Answers, plan: Plan, machine: Machine) -> None:
    """Refuse answers that make no valid configuration, before anything is written."""
    # These import the settings of all rooms, which --help does without.
    from uac_trio.config.loading import load_config
    from uac_trio.config.reader import ConfigError

    written = {change.path: change.text for change in plan.changes}
    directory = posixpath.dirname(answers.config)
    with tempfile.TemporaryDirectory() as folder:
        for name in SECRETS:
            text = written.get(f"{directory}/{name}") or machine.text(f"{directory}/{name}")
            if text:
                Path(folder, name).write_text(text, encoding="utf-8")
        configuration = Path(folder, posixpath.basename(answers.config))
        configuration.write_text(written.get(answers.config) or machine.text(answers.config), encoding="utf-8")
        try:
            load_config(configuration, {})
        except ConfigError as why:
            raise click.UsageError("\n".join(each.replace(folder, directory) for each in why.problems)) from why


def _carry_out(given: Given, plan: Plan, answers: Answers, machine: Machine) -> None:
    for change in plan.changes:
        click.echo(f"\n{change.path}: {change.why}")
        for line in diff_lines(change, machine.files.get(change.path)):
            click.echo(f"  {line}".rstrip())
    for note in plan.notes:
        click.echo(f"\nNote: {note}")
    if not plan.changes:
        click.echo("\nNothing to do: all files are as setup would write them.")
        return
    if given.dry_run:
        click.echo(f"\nNothing was changed: --dry-run. {len(plan.changes)} files would be written.")
        return
    chosen = _agreed(given, plan.changes, machine)
    if not chosen:
        return
    stamp = datetime.fromtimestamp(now()).astimezone().strftime("%Y%m%d-%H%M%S")
    click.echo()
    for line in write_changes(given.root, chosen, stamp):
        click.echo(line)
    _echo_steps(plan, answers)


def _agreed(given: Given, changes: Iterable[Change], machine: Machine) -> list[Change]:
    """The changes to carry out. What the administrator wrote is replaced only if they say so."""
    chosen: list[Change] = []
    click.echo()
    for change in changes:
        if not change.replaces(machine.files.get(change.path)):
            chosen.append(change)
        elif given.yes and not given.replace and not change.is_secret:
            click.echo(
                f"{change.path}: kept as it is, though it differs; --replace writes it anew, after a backup", err=True
            )
        elif given.yes or click.confirm(f"Replace {change.path}? A copy of it is kept.", default=False):
            chosen.append(change)
    if chosen and not given.yes and not click.confirm(f"Write these {len(chosen)} files?", default=False):
        click.echo("Nothing was changed.")
        return []
    return chosen


def _echo_steps(plan: Plan, answers: Answers) -> None:
    directory = posixpath.dirname(answers.config)
    option = "" if answers.config == str(CONFIG) else f" --config {answers.config}"
    click.echo("\nNow:")
    for command in plan.reloads:
        click.echo(f"  {command}")
    click.echo("  in the CRM, on the settings page of PBXManager (Asterisk):")
    click.echo(f"    Vtiger Asterisk App URL («URL адрес»): {answers.public_url}")
    click.echo(f"    Vtiger Secret Key («Секретный ключ»): the content of {directory}/{VTIGER_SECRET}")
    click.echo("    and of each user, CRM Phone Extension («Внутренний номер»): their number on Asterisk")
    click.echo("  systemctl enable --now uac-trio" if answers.unit else f"  uac-trio run{option}")
    click.echo(f"  uac-trio check --live --call 60{option}")
