"""Each module of the rooms that do no I/O has a test file named as it."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parent
ROOT = TESTS.parent


def pure_modules() -> Iterator[Path]:
    """Those of the import contract for pure rooms, relative to the package."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    (rooms,) = (each["source_modules"] for each in contracts if each["name"].startswith("Pure rooms do no I/O"))
    for room in rooms:
        place = ROOT / room.replace(".", "/")
        for path in sorted(place.rglob("*.py")) if place.is_dir() else [place.with_suffix(".py")]:
            if path.name != "__init__.py":
                yield path.relative_to(ROOT / "uac_trio")


def test_every_pure_module_has_its_test_file() -> None:
    """``calls/bridges.py`` has ``calls/test_bridges.py``."""
    wanted = [path.with_name(f"test_{path.name}") for path in pure_modules()]
    assert len(wanted) > 70
    assert [str(path) for path in wanted if not (TESTS / path).exists()] == []
