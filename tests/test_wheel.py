"""The wheel that users install, built from this tree, and the notes of a release."""

from __future__ import annotations

import configparser
import importlib.util
import subprocess
import sys
import zipfile
from email import message_from_bytes
from email.message import Message
from pathlib import Path

import pytest

from tools.release_notes import notes
from uac_trio import __version__

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "uac_trio"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    if importlib.util.find_spec("hatchling") is None:
        pytest.skip("hatchling, of the group build, is not installed")
    to = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(to)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=120)
    (path,) = to.iterdir()
    return zipfile.ZipFile(path)


def described(wheel: zipfile.ZipFile, name: str) -> bytes:
    return wheel.read(f"uac_trio-{__version__}.dist-info/{name}")


@pytest.fixture
def metadata(wheel: zipfile.ZipFile) -> Message:
    return message_from_bytes(described(wheel, "METADATA"))


def test_every_file_is_in_it(wheel: zipfile.ZipFile) -> None:
    """All files of the package: py.typed, the pages, the migrations, the demo's recordings, the unit."""
    there = {
        str(path.relative_to(ROOT)) for path in PACKAGE.rglob("*") if path.is_file() and "__pycache__" not in path.parts
    }
    packed = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert packed == there | {"uac_trio/setup/uac-trio.service"}  # of deploy/, by pyproject.toml
    kinds = ("py.typed", "web/live.html", "demo/page/index.html", "store/migrations/env.py")
    assert {f"uac_trio/{name}" for name in kinds} <= packed
    assert any(name.startswith("uac_trio/store/migrations/versions/r0") for name in packed)


def test_entry_points(wheel: zipfile.ZipFile) -> None:
    """The command, and the CRMs that [vtiger] and [webhook] name."""
    points = configparser.RawConfigParser()
    points.read_string(described(wheel, "entry_points.txt").decode())
    assert points["console_scripts"]["uac-trio"] == "uac_trio.cli:main"
    assert set(points["uac_trio.crm"]) == {"vtiger", "webhook"}


def test_metadata(metadata: Message) -> None:
    """What an index and pip show: version, licence, who wrote it, where more is, and the README."""
    assert (metadata["Version"], metadata["License-Expression"]) == (__version__, "Apache-2.0")
    assert metadata["Author"] == "The uac-trio maintainers"
    assert {line.partition(",")[0] for line in metadata.get_all("Project-URL", [])} >= {"Homepage", "Security"}
    assert str(metadata.get_payload()).startswith("# uac-trio")


def test_licence_is_in_it(wheel: zipfile.ZipFile) -> None:
    """The licence text goes with every copy."""
    assert described(wheel, "licenses/LICENSE") == (ROOT / "LICENSE").read_bytes()


def test_notes_of_this_version() -> None:
    """The changelog has a part for the version that the package has, and it says something."""
    assert len(notes(__version__).splitlines()) > 3


def test_notes_are_one_part() -> None:
    """The notes end where the version before begins; a version that is not there is an error with its name."""
    changelog = "# Changelog\n\n## 27.1.0\n\n- New.\n\n## 26.12.0 (2026-12-01)\n\n- Old.\n"
    assert notes("27.1.0", changelog) == "- New.\n"
    assert notes("26.12.0", changelog) == "- Old.\n"
    with pytest.raises(LookupError, match=r"27\.2\.0"):
        notes("27.2.0", changelog)
