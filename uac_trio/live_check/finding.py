"""Findings of the checks, one line each."""

from __future__ import annotations

import enum
import textwrap
from collections.abc import Iterable, Iterator

import attrs


class Level(enum.Enum):
    OK = "ok"
    WARNING = "warning"
    """It works, or may work; an administrator should know."""
    PROBLEM = "problem"
    """Calls, clicks or recordings are lost to the CRM until this is changed."""


@attrs.frozen
class Finding:
    level: Level
    words: str
    """What was seen, what it means, what to do."""


@attrs.define
class Findings:
    """The findings about one part, such as ``PBX main``; kept if its check times out."""

    about: str
    found: list[Finding] = attrs.field(factory=list)

    def ok(self, words: str) -> None:
        self.found.append(Finding(Level.OK, words))

    def warn(self, words: str) -> None:
        self.found.append(Finding(Level.WARNING, words))

    def problem(self, words: str) -> None:
        self.found.append(Finding(Level.PROBLEM, words))


WIDTH = 110


def finding_lines(all_found: Iterable[Findings]) -> Iterator[str]:
    """Lines for a terminal: ``problem  PBX main: ...``, long ones wrapped, with counts at the end."""
    counts = dict.fromkeys(Level, 0)
    for findings in all_found:
        for finding in findings.found:
            counts[finding.level] += 1
            text = f"{finding.level.value:<8} {findings.about}: {finding.words}"
            yield textwrap.fill(text, WIDTH, subsequent_indent=" " * 11, break_long_words=False, break_on_hyphens=False)
    yield f"{_several(counts[Level.PROBLEM], 'problem')}, {_several(counts[Level.WARNING], 'warning')}."


def _several(count: int, what: str) -> str:
    return f"{count or 'no'} {what}{'' if count == 1 else 's'}"
