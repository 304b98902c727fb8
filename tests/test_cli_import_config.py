"""``uac-trio import-config``: from the old file to one that passes check."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.import_config.old import PROPERTIES, PYTHON
from uac_trio.cli import main


@pytest.mark.parametrize("content", [PYTHON, PROPERTIES], ids=["class Config", "properties"])
def test_passes_check(tmp_path: Path, content: bytes) -> None:
    """What it prints is a valid configuration; the notes are on stderr as well."""
    (tmp_path / "old").write_bytes(content)
    result = CliRunner().invoke(main, ["import-config", str(tmp_path / "old")])
    assert result.exit_code == 0
    notes = [line.removeprefix("# ") for line in result.stdout.splitlines() if line.startswith("# NOTE: ")]
    assert result.stderr.splitlines() == notes
    (tmp_path / "uac-trio.toml").write_text(result.stdout)
    (tmp_path / "uac-trio.toml").chmod(0o600)
    checked = CliRunner().invoke(main, ["check", "--config", str(tmp_path / "uac-trio.toml")])
    assert (checked.exit_code, "Warning" in checked.output) == (0, False), checked.output


def test_missing_key(tmp_path: Path) -> None:
    """It is named with the file, and nothing is printed."""
    (tmp_path / "old.py").write_bytes(PYTHON.replace(b"'test'", b"''"))
    result = CliRunner().invoke(main, ["import-config", str(tmp_path / "old.py")])
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.splitlines()[0].startswith(f"{tmp_path}/old.py: line 5: ami_params['username']: expected")
