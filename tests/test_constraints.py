"""What is installed, constraints/, is what pyproject.toml asks for, and the same everywhere."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from noxfile import CONSTRAINTS

ROOT = Path(__file__).parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
FILES = sorted((ROOT / "constraints").glob("*.txt"))


def pins(name: str) -> list[Requirement]:
    """What a file pins, less its hashes."""
    text = (ROOT / "constraints" / f"{name}.txt").read_text().replace("\\\n", "")
    return [Requirement(line.partition("--hash")[0]) for line in text.splitlines()]


def declared(name: str) -> Iterator[str]:
    """The requirements of pyproject.toml that a file is made of."""
    of = CONSTRAINTS[name]
    if "pyproject.toml" in of:
        yield from PYPROJECT["project"]["dependencies"]
    if "--extra" in of:
        yield from PYPROJECT["project"]["optional-dependencies"][of[-1]]
    if "--group" in of:
        yield from group(of[-1])


def group(name: str) -> Iterator[str]:
    each: Any
    for each in PYPROJECT["dependency-groups"][name]:
        if isinstance(each, str):
            yield each
        else:
            yield from group(each["include-group"])


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_files() -> None:
    """Each file is one that the nox session writes."""
    assert [path.stem for path in FILES] == sorted(CONSTRAINTS)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_hashes(path: Path) -> None:
    """Each line is a version with SHA-256 hashes, and nothing says from which host."""
    text = path.read_text().replace("\\\n", "")
    for line in text.splitlines():
        assert re.fullmatch(r"[a-z0-9-]+==[\w.]+ *(; [^-]+?)?( +--hash=sha256:[0-9a-f]{64})+", line), line
    assert "://" not in text


@pytest.mark.parametrize("name", CONSTRAINTS)
def test_requirements_are_met(name: str) -> None:
    """Each requirement of pyproject.toml is met by what is pinned. If not: nox -s constraints."""
    pinned = pins(name)
    for each in map(Requirement, declared(name)):
        versions = [
            str(pin.specifier).removeprefix("==") for pin in pinned if canonical(pin.name) == canonical(each.name)
        ]
        assert any(each.specifier.contains(version) for version in versions), f"{each}: pinned {versions}"


def test_same_everywhere() -> None:
    """The checks run on the versions that users install."""
    assert {str(pin) for pin in pins("run")} <= {str(pin) for pin in (*pins("postgresql"), *pins("mysql"))}
    tested = {(canonical(pin.name), str(pin.specifier)) for pin in pins("checks")}
    for name in ("run", "postgresql", "mysql", "build", "nox"):
        assert {(canonical(pin.name), str(pin.specifier)) for pin in pins(name)} <= tested, name
