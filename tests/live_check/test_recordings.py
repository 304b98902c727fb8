from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import attrs
import pytest

from tests.daemon.world import World, world
from tests.recordings.far import NOW as FAR_NOW
from tests.recordings.far import serving
from tests.recordings.sounds import fake_converter
from uac_trio.config.loading import Config
from uac_trio.live_check import recordings as looked_at
from uac_trio.live_check.finding import Findings, Level
from uac_trio.live_check.recordings import check_recordings
from uac_trio.recordings.converting import TOOLS, try_tool
from uac_trio.web.settings import WebSettings

__all__ = ["world"]

NOW = 1795413713.0


def said(findings: Findings, level: Level) -> str:
    return "\n".join(finding.words for finding in findings.found if finding.level is level)


@pytest.fixture
def config(world: World) -> Config:
    return world.config()


async def recordings_of(config: Config, roots: list[Path], **changed: Any) -> Findings:
    findings = Findings("recordings")
    listed = {"main": tuple(map(str, roots))}
    config = attrs.evolve(config, http=attrs.evolve(config.http, public_url="http://172.16.1.1:5000"))
    playback = attrs.evolve(config.playback, **changed) if changed else config.playback
    await check_recordings(attrs.evolve(config, recordings=listed, playback=playback), lambda: FAR_NOW, findings)
    return findings


async def test_recordings(config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Directories that can be read, a converter and a place for its files are well."""
    tool = fake_converter(tmp_path, "open(out, 'wb').write(sys.stdin.buffer.read())")
    monkeypatch.setattr("uac_trio.live_check.recordings.find_tool", lambda _: tool)
    root = tmp_path / "monitor" / "2026" / "11"
    root.mkdir(parents=True)
    findings = await recordings_of(config, [tmp_path / "monitor"])
    assert "it has no files yet" in said(findings, Level.OK)
    (root / "a.wav").write_bytes(b"RIFF")
    findings = await recordings_of(config, [tmp_path / "monitor"])
    assert {finding.level for finding in findings.found} == {Level.OK}
    assert "and its files can be read" in said(findings, Level.OK)
    assert f"{tool} converts what browsers cannot play; it converted a second of silence" in said(findings, Level.OK)
    assert "recordings-cache" in said(findings, Level.OK)
    assert "no directory is configured for PBX main" in said(await recordings_of(config, []), Level.OK)


@pytest.mark.parametrize(
    ("changed", "level", "words"),
    [
        ({}, Level.WARNING, "neither ffmpeg nor sox is installed"),
        ({"format": "mp3"}, Level.PROBLEM, 'format = "mp3" needs ffmpeg or sox'),
        ({"converter": "/opt/nothing"}, Level.PROBLEM, "converter /opt/nothing is not there"),
        ({"cache": "/dev/null/cache"}, Level.PROBLEM, "/dev/null cannot be written"),
    ],
)
async def test_no_converter(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: dict[str, str], level: Level, words: str
) -> None:
    """Without the tool that is wanted the originals go out, and that is said."""
    monkeypatch.setattr("uac_trio.live_check.recordings.find_tool", lambda _: "")
    findings = await recordings_of(config, [tmp_path], **changed)
    assert words in said(findings, level)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (
            "import signal; os.kill(os.getpid(), signal.SIGSYS)",
            "was killed by SIGSYS, for a system call that is forbidden",
        ),
        ("sys.stderr.write('no such codec'); sys.exit(1)", "to wav: no such codec; recordings"),
        ("sys.exit(3)", "ended with code 3 and no error message"),
        ("", "reported success but wrote nothing"),
        ("time.sleep(60)", "took longer than 0.5 s"),
    ],
)
async def test_converter_that_does_not_convert(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, words: str
) -> None:
    """A tool that is there but cannot convert a second of silence is a problem, with the reason."""
    monkeypatch.setattr(looked_at, "CONVERTS_WITHIN", 0.5 if "sleep" in body else 5.0)
    findings = await recordings_of(config, [tmp_path], converter=fake_converter(tmp_path, body))
    assert words in said(findings, Level.PROBLEM)


def where_installed(tool: str) -> Any:
    missing = shutil.which(tool) is None
    return pytest.param(tool, marks=pytest.mark.skipif(missing, reason=f"{tool} is not installed"))


@pytest.mark.parametrize("tool", [where_installed(tool) for tool in TOOLS])
async def test_real_converter(tool: str) -> None:
    """ffmpeg and sox, where they are installed, convert a second of silence."""
    assert await try_tool(str(shutil.which(tool)), "wav", 10) == ""


async def test_converter_without_the_format() -> None:
    """What a tool cannot make is known without running it."""
    assert await try_tool("/usr/bin/sox", "opus", 10) == "sox cannot make opus"


async def test_recordings_without_links(config: Config, tmp_path: Path) -> None:
    """Without public_url no link leads to a recording, which is a problem where there are some."""
    findings = Findings("recordings")
    config = attrs.evolve(config, recordings={"main": (str(tmp_path),)}, http=WebSettings())
    await check_recordings(config, lambda: FAR_NOW, findings)
    assert "public_url is not set" in said(findings, Level.PROBLEM)


async def test_no_directory(config: Config, tmp_path: Path) -> None:
    """A directory that is not there (not mounted) is a problem."""
    findings = await recordings_of(config, [tmp_path / "nowhere"])
    assert "nowhere of PBX main: No such file or directory: is it mounted" in said(findings, Level.PROBLEM)


async def test_files_of_another_user(config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that this user may not read are a problem, with the name of one."""
    for name in ("a.wav", "b.wav"):
        (tmp_path / name).touch()
    monkeypatch.setattr(os, "access", lambda path, _: not str(path).endswith("a.wav"))
    findings = await recordings_of(config, [tmp_path])
    assert f"{tmp_path}/a.wav and 0 of " in said(findings, Level.PROBLEM)


@pytest.mark.parametrize(
    ("changed", "level", "words"),
    [
        ({}, Level.OK, "serves the recordings of PBX main"),
        ({"secret": "another"}, Level.PROBLEM, "recordings_secret must be the [serve] secret there"),
        ({"url": "http://127.0.0.1:9"}, Level.PROBLEM, "does uac-trio serve-recordings run there?"),
        ({"ca_file": "/none.pem"}, Level.PROBLEM, "recordings_ca: /none.pem: No such file"),
    ],
)
async def test_recordings_of_another_machine(
    config: Config, tmp_path: Path, changed: dict[str, str], level: Level, words: str
) -> None:
    """It is asked whether it would give them; if not, the line says what is to be done."""
    async with serving(tmp_path) as far:
        findings = await recordings_of(attrs.evolve(config, hosts=(far.host(**changed),)), [])
    assert words in said(findings, level)
    assert not any("no directory is configured" in finding.words for finding in findings.found)
