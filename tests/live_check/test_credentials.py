from __future__ import annotations

import os
from pathlib import Path

import pytest

from uac_trio.live_check.credentials import check_credentials, check_user
from uac_trio.live_check.finding import Findings, Level


def said(findings: Findings, level: Level) -> str:
    return "\n".join(finding.words for finding in findings.found if finding.level is level)


@pytest.mark.parametrize(("uid", "level"), [(0, Level.UNKNOWN), (1, Level.OK), (123456789, Level.OK)])
async def test_user(monkeypatch: pytest.MonkeyPatch, uid: int, level: Level) -> None:
    """A check as root shows nothing of the rights of the daemon's user."""
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    findings = Findings("user")
    await check_user(findings)
    assert [finding.level for finding in findings.found] == [level]


@pytest.mark.parametrize(
    ("mode", "owner", "level", "words"),
    [
        (0o600, 0, Level.OK, "is readable for root alone"),
        (0o640, 0, Level.OK, "is readable for root and its group"),
        (0o644, 0, Level.PROBLEM, "has a secret, and every user of this machine can read it: chown root: "),
        pytest.param(
            0o600,
            1,
            Level.WARNING,
            "belongs to daemon, who can read and change it",
            marks=pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away"),
        ),
    ],
)
async def test_files_with_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int, owner: int, level: Level, words: str
) -> None:
    """A secret that other users can read is a problem; the line has the commands that mend it."""
    monkeypatch.setattr("uac_trio.live_check.credentials.user_name", lambda uid: "daemon" if uid == 1 else "root")
    file = tmp_path / "ami-secret"
    file.write_text("x")
    file.chmod(mode)
    if owner:
        os.chown(file, owner, -1)
    findings = Findings("secrets")
    await check_credentials([file, file], findings)
    assert words in said(findings, level)
    assert len(findings.found) == 1


async def test_secret_in_the_configuration(tmp_path: Path) -> None:
    """The configuration stays readable for the daemon's user, so the secret leaves it."""
    file = tmp_path / "uac-trio.toml"
    file.write_text('secret = "x"')
    file.chmod(0o644)
    findings = Findings("secrets")
    await check_credentials([file], findings)
    assert "secret_file in place of secret" in said(findings, Level.PROBLEM)
    assert f"chmod 600 {file}" not in said(findings, Level.PROBLEM)


async def test_file_that_is_gone(tmp_path: Path) -> None:
    """A file that went away meanwhile is reported."""
    findings = Findings("secrets")
    await check_credentials([tmp_path / "gone"], findings)
    assert "No such file" in said(findings, Level.WARNING)
