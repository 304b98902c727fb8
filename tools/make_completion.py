"""Writes what makes shells complete the command, deploy/completion/, from click's own templates.

    python -m tools.make_completion

tests/test_completion.py holds the committed files to this.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from click.shell_completion import BashComplete, FishComplete, ShellComplete, ZshComplete

from uac_trio.cli import main

DIRECTORY = Path(__file__).resolve().parent.parent / "deploy" / "completion"
SHELLS: Mapping[str, type[ShellComplete]] = {
    "uac-trio.bash": BashComplete,
    "_uac-trio": ZshComplete,
    "uac-trio.fish": FishComplete,
}
"""By the name of the file."""


def texts() -> dict[str, str]:
    """The text of each file. Bash's is that of click without its check for a bash on this machine."""
    found: dict[str, str] = {}
    for name, shell in SHELLS.items():
        source = ShellComplete.source(shell(main, {}, "uac-trio", "_UAC_TRIO_COMPLETE"))
        found[name] = "\n".join(line.rstrip() for line in source.strip().splitlines()) + "\n"
    return found


if __name__ == "__main__":
    for name, text in texts().items():
        (DIRECTORY / name).write_text(text, encoding="utf-8")
