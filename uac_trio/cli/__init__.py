"""The command line. Exit codes: 0 success, 1 a problem of the input or the environment, 2 wrong usage or
configuration.

Each command is a module, which is imported when the command is run: the imports of all of them take longer than most
commands do.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING

import attrs
import click

from uac_trio import __version__

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


@attrs.frozen
class Command:
    """Where a command is, and its line in ``uac-trio --help``."""

    module: str
    name: str
    help: str


COMMANDS: Mapping[str, Command] = {
    "backfill": Command("backfill", "backfill", "Fill in calls that no connector watched, from the PBX's CDR."),
    "check": Command("check", "check", "Check a configuration: describe it, or report what is wrong with it."),
    "crm-module": Command(
        "crm_module",
        "crm_module",
        "Write the module for vTiger that shows popups at once: a zip.",
    ),
    "demo": Command("demo", "demo", "Run the daemon with recorded calls and a stand-in CRM that has a web page."),
    "explain": Command(
        "explain", "explain", "Explain the calls of a NUMBER or EXTENSION, or one CALL: also why there is no popup."
    ),
    "forget": Command(
        "forget", "forget", "Delete the stored data of the customer with NUMBER, and report what was deleted."
    ),
    "import-config": Command(
        "import_config",
        "import_config",
        "Print OLD, the configuration of an earlier connector, as one of uac-trio, with notes.",
    ),
    "outbox": Command("outbox", "outbox", "Dead letters, which the CRM refused for good: list, retry or drop them."),
    "record": Command("record", "record", "Record the AMI traffic of the PBXes into OUT (.jsonl), for replay."),
    "replay": Command(
        "replay", "replay", "Replay FILEs, transcripts of successive connections to one PBX, through the pipeline."
    ),
    "run": Command("run", "run", "Run the daemon until SIGTERM or SIGINT."),
    "setup": Command(
        "setup",
        "setup",
        "Set up Asterisk and uac-trio on this machine: show all changes, write them with backups.",
    ),
    "serve-recordings": Command(
        "run",
        "serve_recordings",
        "Serve the recordings of this machine to connectors on other machines, until SIGTERM or SIGINT.",
    ),
}


class Commands(click.Group):
    """A group that imports a command when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        command = COMMANDS.get(cmd_name)
        if command is None:
            return None
        found = getattr(import_module(f"{__name__}.{command.module}"), command.name)
        assert isinstance(found, click.Command)  # noqa: S101 - a mistake in the table
        return found

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Names without importing the commands."""
        from click.shell_completion import CompletionItem

        names = [
            CompletionItem(name, help=command.help) for name, command in COMMANDS.items() if name.startswith(incomplete)
        ]
        return names if not incomplete.startswith("-") else super().shell_complete(ctx, incomplete)

    def invoke(self, ctx: click.Context) -> object:
        """As click does, with Ctrl+C out of a nursery as Ctrl+C."""
        try:
            return super().invoke(ctx)
        except BaseExceptionGroup as group:
            if group.split(KeyboardInterrupt)[1] is not None:
                raise
        # Outside of the block: Python 3.11.2 would show the group as well.
        raise KeyboardInterrupt

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, command.help) for name, command in COMMANDS.items()])


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="uac-trio")
def main() -> None:
    """Unified Asterisk Connector: delivers Asterisk's calls to vTiger CRM, and vTiger's clicks to Asterisk."""
