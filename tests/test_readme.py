"""The commands and settings that the READMEs quote."""

from __future__ import annotations

import configparser
import re
import shlex
from pathlib import Path

import click
import pytest

from uac_trio.cli import main
from uac_trio.store.settings import OutboxSettings

ROOT = Path(__file__).parent.parent
READMES = ("README.md", "README.ru.md")


def commands(name: str) -> list[str]:
    """The lines of all shell blocks, without comments."""
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / name).read_text(), re.DOTALL)
    lines = [line.partition("   #")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line]


def settings(name: str) -> list[str]:
    """The lines of all configuration snippets, less what is a made-up secret."""
    blocks = re.findall(r"```ini\n(.*?)```", (ROOT / name).read_text(), re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if "secret" not in line]


def test_both_languages_say_the_same() -> None:
    """Both READMEs have the same commands and the same settings."""
    english, russian = READMES
    assert commands(english) == commands(russian)
    assert settings(english) == settings(russian)


def test_set_up_lines() -> None:
    """The two lines that CI runs are there, each once."""
    for needle in (".venv/bin/uac-trio demo", ".venv-dev/bin/nox"):
        assert sum(needle in line for line in commands("README.md")) == 1


@pytest.mark.parametrize("line", [line for line in commands("README.md") if re.search(r"\buac-trio (?!&&)\w", line)])
def test_commands_exist(line: str) -> None:
    """Every uac-trio command shown has the options shown."""
    for words in (shlex.split(part) for part in line.split("&&")):
        if not words[0].endswith("uac-trio"):
            continue
        with click.Context(main) as context:
            command = main.get_command(context, words[1])
        assert command is not None
        options = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in words[2:] if word.startswith("--")} <= options


@pytest.mark.parametrize("path", sorted((ROOT / "deploy").glob("*.service")), ids=lambda path: path.name)
def test_forbidden_system_calls_fail(path: Path) -> None:
    """Under the shipped filter a forbidden system call fails; without this line it kills, and ffmpeg with it."""
    unit = configparser.RawConfigParser(strict=False)
    unit.read_string(path.read_text())
    assert "SystemCallFilter" in unit["Service"]
    assert unit["Service"]["SystemCallErrorNumber"] == "EPERM"


def test_store_is_where_the_unit_works() -> None:
    """The database that every command opens by default is in the directory that the ways to run it give the daemon."""
    directory = OutboxSettings().url.removeprefix("sqlite:///").removesuffix("/connector.db")
    assert f"\nWorkingDirectory={directory}\n" in (ROOT / "deploy" / "uac-trio.service").read_text()
    assert f"\ndirectory={directory}\n" in (ROOT / "deploy" / "uac-trio.supervisord.conf").read_text()
    assert f"\nWORKDIR {directory}\n" in (ROOT / "deploy" / "Dockerfile").read_text()


DOCUMENTS = [*READMES, "CONTRIBUTING.md", *(str(path.relative_to(ROOT)) for path in (ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_nothing_is_installed_by_a_name_of_others(name: str) -> None:
    """This package is installed from its repository: its name in the package index is not ours."""
    assert not re.search(r"pip install\s+'?uac[-_]trio", (ROOT / name).read_text())


@pytest.mark.parametrize("name", ["deploy/uac-trio.service", "deploy/uac-trio.supervisord.conf", "deploy/Dockerfile"])
def test_deployment_runs_the_same(name: str) -> None:
    """Every way of running it starts ``run`` with the configuration of the README."""
    content = (ROOT / name).read_text().replace('", "', " ")
    assert "run --config /etc/uac-trio/uac-trio.toml" in content
