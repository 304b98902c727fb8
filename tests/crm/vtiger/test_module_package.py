"""The zip for Module Manager."""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ET
import zipfile
from pathlib import Path

from click.testing import CliRunner

from uac_trio import __version__
from uac_trio.calls.click import OUTCOMES
from uac_trio.cli import main
from uac_trio.crm import stream_events
from uac_trio.crm.vtiger import module_package
from uac_trio.crm.vtiger.module_package import VERSION_FILE, module_files, module_version, module_zip

SHOWN_TO_NO_USER = {"completed", "transferred", "employee-hung-up"}
"""What went well, and what the user did themselves."""


def test_zip_is_always_the_same() -> None:
    assert module_zip() == module_zip()
    with zipfile.ZipFile(io.BytesIO(module_zip())) as package:
        assert {name: package.read(name) for name in package.namelist()} == module_files()


def test_everything_is_in_the_modules_folder() -> None:
    """The CRM's uninstall leaves layouts, languages and cron."""
    assert [path for path in module_files() if not path.startswith("modules/UacCompanion/")] == ["manifest.xml"]


def test_manifest() -> None:
    """What both Module Managers need (vtlib/Vtiger/PackageImport.php): a type, a version they compare, a name."""
    manifest = ET.fromstring(module_files()["manifest.xml"])
    assert manifest.findtext("type") == "extension"
    assert manifest.findtext("name") == "UacCompanion"
    assert manifest.findtext("version") == __version__
    assert len(__version__) <= 10  # vtiger_tab.version
    assert manifest.findtext("dependencies/vtiger_version") == "7.0.0"


def test_scripts_have_the_version_in_their_names() -> None:
    """In the CRM's names of scripts a dot separates folders, so it has none."""
    version = module_files()[VERSION_FILE].decode().strip()
    assert version == module_version()
    scripts = [path for path in module_files() if path.endswith(".js")]
    assert len(scripts) == 3
    for path in scripts:
        assert path.endswith(f"-{version.replace('.', '_')}.js")
        assert "." not in path.removesuffix(".js")


def test_every_change_is_another_version() -> None:
    sources = dict(module_package._sources())
    before = module_package._fingerprint(sources)
    sources["resources/companion.js"] += b"\n"
    assert module_package._fingerprint(sources) != before


def test_every_outcome_of_a_click_has_words() -> None:
    """In both languages."""
    (script,) = [text.decode() for path, text in module_files().items() if "/companion-" in path]
    english, russian = (
        dict(re.findall(r'^      "([\w-]+)": "([^"]+)",$', block, re.MULTILINE))
        for block in re.findall(r"^    (?:en|ru): \{\n(.*?)^    \},$", script, re.MULTILINE | re.DOTALL)
    )
    own = {stream_events.REFUSED, stream_events.FORBIDDEN, stream_events.TOO_MANY, stream_events.UNKNOWN}
    assert english.keys() == russian.keys() == {*OUTCOMES, *own, "calling", "failed"} - SHOWN_TO_NO_USER
    assert all(re.search("[а-я]", text) for text in russian.values())


def test_command(tmp_path: Path) -> None:
    """It writes the zip, with its version in words; a place that cannot be written is a sentence."""
    target = tmp_path / "x.zip"
    ran = CliRunner().invoke(main, ["crm-module", "-o", str(target)])
    assert (ran.exit_code, target.read_bytes()) == (0, module_zip())
    assert module_version() in ran.output
    ran = CliRunner().invoke(main, ["crm-module", "-o", str(tmp_path / "no" / "x.zip")])
    assert ran.exit_code == 1
    assert "No such file or directory" in ran.output
