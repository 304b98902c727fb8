"""A Russian page has the sections, tables and code of the English one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parent.parent / "docs"
PAGES = sorted(path.name for path in (DOCS / "ru").glob("*.md"))

CYRILLIC = re.compile("[а-яё]", re.IGNORECASE)
BLOCK = re.compile(r"^ *```\w*\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
CELL_EDGE = re.compile(r"(?<!\\)\|")
PLACEHOLDER = re.compile(r"<[^<>\n]*>")
"""What the user replaces is in their language."""


def shape(text: str) -> list[str]:
    """The page's headings by their level, rows of tables by the number of their cells, and list items, in order."""
    found: list[str] = []
    for line in BLOCK.sub("", text).splitlines():
        if heading := re.match(r"#+ ", line):
            found.append(heading[0])
        elif line.startswith("|"):
            found.append(f"row of {len(CELL_EDGE.findall(line)) - 1}")
        elif item := re.match(r" *(\*|-|\d+\.) ", line):
            found.append(item[0])
    return found


def code(text: str) -> list[str]:
    """The lines of all code blocks, without comments and placeholders."""
    lines = [
        re.split(r"(?:^| {2,})[#;]", line)[0].strip() for block in BLOCK.findall(text) for line in block.splitlines()
    ]
    return [PLACEHOLDER.sub("<>", line) for line in lines if line]


def test_there_are_pages() -> None:
    assert PAGES


@pytest.mark.parametrize("name", PAGES)
def test_same_sections_and_commands(name: str) -> None:
    """Section by section, row by row, command by command."""
    english, russian = ((DOCS / place / name).read_text(encoding="utf-8") for place in (".", "ru"))
    assert shape(russian) == shape(english)
    assert code(russian) == code(english)


@pytest.mark.parametrize("name", PAGES)
def test_they_name_each_other(name: str) -> None:
    """A reader of one finds the other."""
    assert f"(ru/{name})" in (DOCS / name).read_text(encoding="utf-8")
    assert f"(../{name})" in (DOCS / "ru" / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", PAGES)
def test_each_in_its_language(name: str) -> None:
    """No paragraph of the Russian page was left in English; the English one has Russian in quotation marks alone."""
    russian = (DOCS / "ru" / name).read_text(encoding="utf-8")
    paragraphs = [part for part in BLOCK.sub("", russian).split("\n\n") if len(re.findall(r"[A-Za-z]{3,}", part)) > 12]
    assert [part for part in paragraphs if not CYRILLIC.search(part)] == []
    english = re.sub(r"«[^»]*»|\[По-русски\]", "", (DOCS / name).read_text(encoding="utf-8"))
    assert CYRILLIC.findall(re.sub(r"`[^`]*`", "", english)) == []
