"""Options that several commands have, and groups that show whole texts."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import click

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
VARIABLE = "UAC_TRIO_CONFIG"
CONFIG = Path("/etc/uac-trio/uac-trio.toml")
SERVE_CONFIG = Path("/etc/uac-trio/recordings.toml")

Command = TypeVar("Command", bound=Callable[..., object])


def config_option(command: Command) -> Command:
    """``--config`` of a command that works by the daemon's configuration."""
    return _config_option(CONFIG)(command)


def serve_config_option(command: Command) -> Command:
    """``--config`` of the server of recordings."""
    return _config_option(SERVE_CONFIG)(command)


def _config_option(default: Path) -> Callable[[Command], Command]:
    return click.option(
        "--config",
        "config_path",
        type=click.Path(path_type=Path),
        metavar="FILE",
        callback=partial(_chosen, default),
        help=f"The TOML file.  [default: ${VARIABLE}, else {default}]",
    )


def _chosen(default: Path, context: click.Context, _: click.Parameter, given: Path | None) -> Path:
    """The file that is given, the one that the environment names, or the usual one, of which the latter must exist."""
    named = os.environ.get(VARIABLE)
    if given is not None:
        return given
    if named:
        if _is_missing(Path(named)):
            raise click.UsageError(f"${VARIABLE} names {named}, which does not exist; --config names another", context)
        return Path(named)
    if _is_missing(default):
        raise click.UsageError(
            f"there is no configuration: ${VARIABLE} is not set, and {default} does not exist. uac-trio setup makes "
            "one; --config FILE names another",
            context,
        )
    return default


def _is_missing(path: Path) -> bool:
    """Whether there is no such file. One that may not be looked at is there, and reading it says why."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


class WholeHelp(click.Group):
    """A group whose help shows the whole first sentence of each command, over several lines if need be."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        commands = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl([(name, command.get_short_help_str(1000)) for name, command in commands if command])
