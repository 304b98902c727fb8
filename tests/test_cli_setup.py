"""``uac-trio setup`` on a machine of files: what it asks, shows, writes, and leaves alone."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.setup.machines import DEBIAN, FREEPBX, E
from uac_trio.cli import main
from uac_trio.cli.machine import MachineError, write_changes
from uac_trio.config.loading import load_config
from uac_trio.setup.change import Change, What

CRM = ("--crm-url", "http://crm.local/")
TOML = "etc/uac-trio/uac-trio.toml"
UNIT = "etc/systemd/system/uac-trio.service"


def made(root: Path, texts: Mapping[str, str]) -> Path:
    for path, text in {**texts, "/etc/group": "root:x:0:\nasterisk:x:104:\n"}.items():
        place = root / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(text.encode())
        place.chmod(0o640)
    return root


def run(root: Path, *arguments: str, answers: str = "") -> Result:
    result = CliRunner().invoke(main, ["setup", "--root", str(root), *arguments], input=answers)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def contents(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.mark.parametrize("texts", [DEBIAN, FREEPBX], ids=["debian", "freepbx"])
def test_first_and_second_time(tmp_path: Path, texts: Mapping[str, str]) -> None:
    """The first writes all, with backups, and shows no secret; the second finds nothing to do."""
    root = made(tmp_path, texts)
    before = contents(root)
    first = run(root, *CRM, "--yes")
    assert first.exit_code == 0, first.output
    secret = (root / "etc/uac-trio/ami-secret").read_text().strip()
    assert len(secret) >= 32
    assert secret not in first.output
    for line in ('asterisk -rx "manager reload"', "  uac-trio check --live --call 60\n"):
        assert line in first.output
    after = contents(root)
    for path, content in before.items():
        backups = [after[each] for each in after if each.startswith(f"{path}.") and each.endswith(".bak")]
        assert backups == ([content] if after[path] != content else [])
    second = run(root, "--yes")
    assert "Nothing to do" in second.output
    assert contents(root) == after


def test_permissions(tmp_path: Path) -> None:
    """Secrets are for root alone, Asterisk's files as manager.conf, the configuration for all; it is valid."""
    root = made(tmp_path, DEBIAN)
    run(root, *CRM, "--yes")
    modes = {
        path: stat.S_IMODE((root / path).stat().st_mode)
        for path in (
            "etc/uac-trio/ami-secret",
            "etc/uac-trio/vtiger-secret",
            TOML,
            "etc/asterisk/manager.d/uac-trio.conf",
        )
    }
    assert list(modes.values()) == [0o600, 0o600, 0o644, 0o640]
    assert load_config(root / TOML, {}).warnings == ()


def test_dry_run(tmp_path: Path) -> None:
    """It shows a diff of all, and changes nothing."""
    root = made(tmp_path, FREEPBX)
    before = contents(root)
    result = run(root, *CRM, "--yes", "--dry-run")
    assert "+++ /etc/asterisk/manager_custom.conf" in result.output
    assert "  +recordingfile => recordingfile" in result.output
    assert "Nothing was changed: --dry-run. 6 files would be written." in result.output
    assert contents(root) == before


def test_asked(tmp_path: Path) -> None:
    """What no option says is asked, wrong answers again; nothing is written without a yes."""
    root = made(tmp_path, DEBIAN)
    before = contents(root)
    answers = "crm.local\nhttp://crm.local\nstock\n\n(\n^1..$\n\nhttp://pbx:5000\n\nthe-crm-secret\n"
    result = run(root, answers=answers + "n\n")
    assert "Error: expected an address such as http://crm.example, found 'crm.local'" in result.output
    assert "Error: expected a regular expression" in result.output
    assert result.output.endswith("Nothing was changed.\n")
    assert contents(root) == before
    result = run(root, answers=answers + "y\n")
    assert (root / "etc/uac-trio/vtiger-secret").read_text() == "the-crm-secret\n"
    assert "the-crm-secret" not in result.output
    toml = (root / TOML).read_text()
    for line in ('flavour = "stock"', 'timezone = "UTC"', 'extensions = "^1..$"', 'public_url = "http://pbx:5000"'):
        assert line in toml


@pytest.mark.parametrize("texts", [DEBIAN, FREEPBX], ids=["debian", "freepbx"])
def test_backfill(tmp_path: Path, texts: Mapping[str, str]) -> None:
    """It is shown and written, stays when setup is run again, shows no password, and makes a valid configuration."""
    root = made(tmp_path, texts)
    first = run(root, *CRM, "--backfill", "--yes")
    assert first.exit_code == 0, first.output
    toml = (root / TOML).read_text()
    if texts is DEBIAN:
        assert 'asterisk -rx "module load cdr_custom.so"\n  asterisk -rx "module reload cdr_custom.so"' in first.output
        assert "  +uac-trio.csv => uac-trio,${CDR(start,u)}" in first.output
        assert 'cdr = "csv:///var/log/asterisk/cdr-custom/uac-trio.csv"' in toml
    else:
        address = (root / "etc/uac-trio/cdr-address").read_text()
        assert address.partition(":")[2].partition("@")[0] not in first.output
        assert 'cdr_file = "cdr-address"' in toml
        assert "LoadCredential=cdr-address:/etc/uac-trio/cdr-address" in (root / UNIT).read_text()
    assert "\nSupplementaryGroups=asterisk\n" in (root / UNIT).read_text()
    assert load_config(root / TOML, {}).warnings == ()
    assert "Nothing to do" in run(root, "--yes").output
    run(root, "--no-backfill", "--yes", "--replace")
    assert "cdr" not in (root / TOML).read_text()


def test_backfill_of_a_pbx_elsewhere(tmp_path: Path) -> None:
    """Its files and its database are not at hand."""
    result = run(made(tmp_path, {}), *CRM, "--ami-host", "192.0.2.7", "--backfill", "--yes")
    assert result.exit_code == 2
    assert "--backfill: the CDR of a PBX on another machine is named by hand" in result.output


def test_no_answer(tmp_path: Path) -> None:
    """Without a terminal it says what to do, and changes nothing."""
    root = made(tmp_path, DEBIAN)
    result = run(root)
    assert result.exit_code == 2
    assert "there was no answer, and nothing was changed; --yes asks nothing" in result.output


def test_what_the_administrator_wrote(tmp_path: Path) -> None:
    """A configuration of theirs is kept and named by --yes, and replaced after a backup only if they say so."""
    root = made(tmp_path, DEBIAN)
    run(root, *CRM, "--yes")
    theirs = (root / TOML).read_text() + '\n[click2call]\nallow = ["^8"]\n'
    (root / TOML).write_text(theirs)
    result = run(root, "--yes")
    assert f"/{TOML}: kept as it is, though it differs; --replace writes it anew" in result.stderr
    assert (root / TOML).read_text() == theirs
    assert run(root, *CRM, answers="\n" * 7 + "n\n").exit_code == 0
    assert (root / TOML).read_text() == theirs
    assert run(root, "--yes", "--replace").exit_code == 0
    assert "allow" not in (root / TOML).read_text()
    (backup,) = (root / TOML).parent.glob("*.bak")
    assert backup.read_text() == theirs


def test_secret_of_the_crm(tmp_path: Path) -> None:
    """It comes from a file, never from the command line."""
    root = made(tmp_path, DEBIAN)
    file = tmp_path / "key"
    file.write_text("from-the-file\n")
    run(root, *CRM, "--yes", "--crm-secret-file", str(file))
    assert (root / "etc/uac-trio/vtiger-secret").read_text() == "from-the-file\n"
    file.write_text("")
    assert "expected one line with the key" in run(root, *CRM, "--yes", "--crm-secret-file", str(file)).output


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--timezone", "Moscow"), 2, "there is no time zone 'Moscow'"),
        (("--bind", "5000"), 2, "[http] bind: expected an address and a port"),
        (("--extensions", "("), 2, "--extensions: expected a regular expression"),
        (("--ami-user", "a]"), 2, "--ami-user: expected letters, digits"),
        (("--crm-url", "crm.local"), 2, "--crm-url: expected an address such as"),
        (("--config", "/etc/group/uac-trio.toml"), 1, "/etc/group: is no directory"),
    ],
)
def test_mistakes(tmp_path: Path, arguments: tuple[str, ...], code: int, words: str) -> None:
    """They are named before anything is written."""
    root = made(tmp_path, DEBIAN)
    before = contents(root)
    result = run(root, *CRM, "--yes", *arguments)
    assert result.exit_code == code
    assert words in " ".join(result.output.split())
    assert contents(root) == before


def test_link_to_a_file(tmp_path: Path) -> None:
    """FreePBX links its files: the file is written, the link stays."""
    root = made(tmp_path, FREEPBX)
    link, file = root / E.lstrip("/") / "manager_custom.conf", root / "srv" / "manager_custom.conf"
    file.parent.mkdir()
    link.rename(file)
    link.symlink_to(file)
    run(root, *CRM, "--yes")
    assert link.is_symlink()
    assert "[uac-trio]" in file.read_text()


def test_included_file_elsewhere(tmp_path: Path) -> None:
    """A file that Asterisk includes from another directory counts."""
    texts = {**DEBIAN, f"{E}/manager.conf": "#include /srv/ami.conf\n", "/srv/ami.conf": "[general]\nenabled = yes\n"}
    root = made(tmp_path, texts)
    run(root, *CRM, "--yes")
    assert "[general](+)\ntimestampevents = yes\n" in (root / E.lstrip("/") / "manager.conf").read_text()


def test_secret_that_changes(tmp_path: Path) -> None:
    """A new key of the CRM takes the place of the old one, which is kept for root alone and named."""
    root = made(tmp_path, DEBIAN)
    run(root, *CRM, "--yes")
    old = root / "etc/uac-trio/vtiger-secret"
    before = old.read_text()
    old.chmod(0o644)
    file = tmp_path / "key"
    file.write_text("another\n")
    result = run(root, "--yes", "--crm-secret-file", str(file))
    (backup,) = old.parent.glob("vtiger-secret.*.bak")
    assert f"/etc/uac-trio/vtiger-secret: written; what was there is in {backup.name}" in result.output
    assert (old.read_text(), backup.read_text()) == ("another\n", before)
    assert [stat.S_IMODE(path.stat().st_mode) for path in (old, backup)] == [0o600, 0o600]


def test_spelling_of_paths(tmp_path: Path) -> None:
    """Slashes too many, or none at the beginning, name the same files."""
    root = made(tmp_path, DEBIAN)
    result = run(root, *CRM, "--yes", "--asterisk-dir", "etc//asterisk/", "--config", "etc/uac/./uac-trio.toml")
    assert result.exit_code == 0
    assert (root / "etc/asterisk/manager.d/uac-trio.conf").exists()
    assert (root / "etc/uac/uac-trio.toml").exists()


CHANGE = Change(path=f"{E}/manager.conf", text="[general]\n", why="a test", what=What.ADDS)


def test_link_in_the_place_of_a_backup(tmp_path: Path) -> None:
    """Asterisk's user may have put it there; root neither writes through it nor gives its target away."""
    root = made(tmp_path, DEBIAN)
    target = tmp_path / "elsewhere"
    target.write_text("as it was")
    manager = root / f"{E}/manager.conf".lstrip("/")
    before = manager.read_bytes()
    manager.with_name("manager.conf.now.bak").symlink_to(target)
    with pytest.raises(MachineError, match=r"manager\.conf\.now\.bak: File exists"):
        list(write_changes(root, [CHANGE], "now"))
    assert target.read_text() == "as it was"
    assert manager.read_bytes() == before


def test_private_until_owned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A backup and a new file may hold secrets: no other user can open them before they have owner and permissions."""
    modes: list[int] = []

    def fchown(descriptor: int, uid: int, gid: int) -> None:
        modes.append(stat.S_IMODE(os.fstat(descriptor).st_mode))

    monkeypatch.setattr(os, "fchown", fchown)
    root = made(tmp_path, DEBIAN)
    list(write_changes(root, [CHANGE], "now"))
    assert modes == [0o600, 0o600]
    folder = (root / f"{E}/manager.conf".lstrip("/")).parent
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.glob("manager.conf*")} == {0o640}
