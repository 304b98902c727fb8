"""The files that make shells complete the command."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools.make_completion import DIRECTORY, texts

ROOT = Path(__file__).parent.parent


def test_files_are_up_to_date() -> None:
    """deploy/completion has what click writes today (python -m tools.make_completion), and nothing else."""
    assert {path.name: path.read_text(encoding="utf-8") for path in DIRECTORY.iterdir()} == texts()


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_completes(tmp_path: Path) -> None:
    """The beginning of a command becomes the command."""
    command = tmp_path / "uac-trio"
    command.write_text(f"#!{sys.executable}\nfrom uac_trio.cli import main\nmain(prog_name='uac-trio')\n")
    command.chmod(0o755)
    typed = "COMP_WORDS=(uac-trio serve-); COMP_CWORD=1; _uac_trio_completion uac-trio; echo ${COMPREPLY[@]}"
    done = subprocess.run(
        ["bash", "-c", f"source {DIRECTORY}/uac-trio.bash; {typed}"],
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.stdout, done.stderr) == ("serve-recordings\n", "")
