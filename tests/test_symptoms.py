"""docs/symptoms.md quotes what the program prints: the texts are in its source, and in both languages the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = (ROOT / "docs" / "symptoms.md", ROOT / "docs" / "ru" / "symptoms.md")
SOURCES = (*(ROOT / "uac_trio" / "live_check").glob("*.py"), ROOT / "uac_trio" / "crm" / "vtiger" / "examining.py")
_JOIN = re.compile(r'"\s*\n\s*f?"')
_COMMANDS = ("uac-trio ", "systemctl ", "journalctl ", "ss ", "curl ", "check ", "explain ", "asterisk ")
_FILLED = {
    "read= of [crm] lacks call": "read= of [{use.server.username}] lacks call",
    "a call that rings now is written as of 21:48, the time in Europe/Moscow": "a call that rings now is written as of",
    "its clock is 10800 s ahead of ours": "its clock is {abs(ahead):.0f} s {'ahead of'",
    "the oldest waits for 40 minutes": "the oldest waits for {waits / 60:.0f} minutes",
    "PBX main: ... refuses the connection": "refuses the connection",
    "the PBX names the recording ...": "the PBX names the recording",
    "its pages look for calls when a page is loaded": "its pages look for calls {polling.value}",
}
"""Quoted with values in place of names."""


def quoted(page: Path) -> set[str]:
    """Texts of several words, in the first column of the tables, that are no commands."""
    rows = [line.split(" | ")[0] for line in page.read_text().splitlines() if line.startswith("| ")]
    spans = {span.strip(" :") for row in rows for span in re.findall(r"`([^`]+)`", row)}
    return {span for span in spans if span.count(" ") >= 2 and not span.startswith((*_COMMANDS, "->", "8 916", "CRM:"))}


def printed() -> str:
    return "\n".join(_JOIN.sub("", path.read_text()) for path in SOURCES)


@pytest.mark.parametrize("page", PAGES, ids=["en", "ru"])
def test_what_is_quoted_is_printed(page: Path) -> None:
    """A text that an administrator looks for is one that the check prints."""
    source = printed()
    assert [text for text in sorted(quoted(page)) if _FILLED.get(text, text) not in source] == []


def test_both_languages_have_the_same_rows() -> None:
    """Each symptom has as many causes in Russian, and the same texts to look for."""
    english, russian = PAGES
    assert quoted(english) == quoted(russian)
    counts = [[part.count("\n| ") for part in page.read_text().split("\n## ")] for page in PAGES]
    assert counts[0] == counts[1]
