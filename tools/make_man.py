"""Writes the man page deploy/uac-trio.1 from the help texts of the commands.

    python -m tools.make_man

tests/test_man.py holds the committed page to this.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click

from uac_trio.cli import main
from uac_trio.cli.options import CONFIG, SERVE_CONFIG, VARIABLE

PAGE = Path(__file__).resolve().parent.parent / "deploy" / "uac-trio.1"

HEAD = r""".\" Made by tools/make_man.py from the help texts of the commands.
.TH UAC-TRIO 1 "" "uac-trio" "Unified Asterisk Connector"
.SH NAME
uac-trio \- Unified Asterisk Connector: Asterisk's calls in vTiger CRM
.SH SYNOPSIS
.B uac-trio
.I COMMAND
.RI [ OPTIONS "] [" ARGUMENTS ]
"""

TAIL = rf""".SH ENVIRONMENT
.TP
.B {VARIABLE}
The configuration of all commands that have \fB\-\-config\fR, unless that is given.
.SH FILES
.TP
.I {CONFIG}
The configuration; \fBuac-trio setup\fR writes it.
.TP
.I {SERVE_CONFIG}
That of \fBuac-trio serve-recordings\fR.
.TP
.I /var/lib/uac-trio/connector.db
What waits for the CRM.
.SH EXIT STATUS
.TP
.B 0
All is well.
.TP
.B 1
The input, or \fBcheck \-\-live\fR, shows a problem.
.TP
.B 2
Wrong usage or configuration.
"""


def page() -> str:
    """The whole page."""
    context = click.Context(main, info_name="uac-trio")
    description = f".SH DESCRIPTION\n{_text(main.help or '')}\n.SH COMMANDS\n"
    return HEAD + description + "".join(_commands(main, context)) + TAIL


def _commands(group: click.Group, context: click.Context) -> Iterator[str]:
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is None:
            continue
        below = click.Context(command, info_name=name, parent=context)
        if isinstance(command, click.Group):
            yield from _commands(command, below)
        else:
            yield "".join(_command(command, below))


def _command(command: click.Command, context: click.Context) -> Iterator[str]:
    usage = " ".join(command.collect_usage_pieces(context))
    yield f".SS {_text(context.command_path)} {_text(usage)}\n{_text(command.help or '')}\n"
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None and isinstance(parameter, click.Option) and "--help" not in parameter.opts:
            yield f".TP\n.B {_text(record[0])}\n{_text(record[1])}\n"


def _text(text: str) -> str:
    """A text of help as roff: paragraphs, and no character that roff reads as its own."""
    paragraphs = [" ".join(each.split()) for each in re.split(r"\n\s*\n", text.replace("\b", "").strip())]
    escaped = [each.replace("\\", "\\e").replace("-", "\\-") for each in paragraphs]
    return "\n.PP\n".join(rf"\&{each}" if each.startswith((".", "'")) else each for each in escaped)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
