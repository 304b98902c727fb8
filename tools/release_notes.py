"""Prints the notes of a release: its part of CHANGELOG.md.

python -m tools.release_notes 26.11.0
"""

from __future__ import annotations

import sys
from pathlib import Path

CHANGELOG = Path(__file__).resolve().parent.parent / "CHANGELOG.md"


def notes(version: str, changelog: str | None = None) -> str:
    """What CHANGELOG.md says of a version, Markdown. Raises LookupError where it has no part for it."""
    text = CHANGELOG.read_text(encoding="utf-8") if changelog is None else changelog
    for part in text.split("\n## ")[1:]:
        heading, _, body = part.partition("\n")
        if heading.split()[0] == version:
            return body.strip() + "\n"
    raise LookupError(f"CHANGELOG.md has no part for {version}")


if __name__ == "__main__":
    print(notes(sys.argv[1]), end="")
