"""The man page."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from tools.make_man import PAGE, page
from uac_trio.cli import COMMANDS


def test_is_up_to_date() -> None:
    """deploy/uac-trio.1 is what the commands say of themselves (python -m tools.make_man)."""
    assert PAGE.read_text(encoding="utf-8") == page()


def test_has_all_commands() -> None:
    """Each has a section."""
    text = PAGE.read_text(encoding="utf-8").replace("\\-", "-")
    assert [name for name in COMMANDS if f"\n.SS uac-trio {name} " not in text] == []


@pytest.mark.skipif(shutil.which("man") is None, reason="needs man")
def test_is_a_man_page() -> None:
    """man shows it without a warning."""
    done = subprocess.run(
        ["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", str(PAGE)],
        capture_output=True, text=True, timeout=60, env={"PATH": "/usr/bin:/bin", "MANWIDTH": "80"},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert "uac-trio" in done.stdout
