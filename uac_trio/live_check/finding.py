"""What a check found: values with a stable id, what was seen, and what to do about it."""

from __future__ import annotations

import enum

import attrs


class Level(enum.Enum):
    """The severity of a finding, the least first."""

    OK = "ok"
    UNKNOWN = "unknown"
    """It cannot be seen from here, or not with the rights that we have, or not without a call."""
    WARNING = "warning"
    """It works, or may work; an administrator should know."""
    PROBLEM = "problem"
    """Calls, clicks or recordings are lost to the CRM, or a secret is not secret, until this is changed."""


ORDER = {level: number for number, level in enumerate(Level)}


@attrs.frozen
class Finding:
    level: Level
    id: str
    """Stable, for programs: ``pbx.read.call``. docs/check.md lists them."""
    text: str
    """What was seen, and what follows from it."""
    remedy: str = ""
    """What to do: file, line, command."""

    @property
    def words(self) -> str:
        return f"{self.text}: {self.remedy}" if self.remedy else self.text


@attrs.define
class Findings:
    """The findings about one subject, such as ``PBX main``; kept if its check times out."""

    subject: str
    found: list[Finding] = attrs.field(factory=list)

    def ok(self, id_: str, text: str) -> None:
        self.found.append(Finding(Level.OK, id_, text))

    def unknown(self, id_: str, text: str, remedy: str = "") -> None:
        self.found.append(Finding(Level.UNKNOWN, id_, text, remedy))

    def warn(self, id_: str, text: str, remedy: str = "") -> None:
        self.found.append(Finding(Level.WARNING, id_, text, remedy))

    def problem(self, id_: str, text: str, remedy: str = "") -> None:
        self.found.append(Finding(Level.PROBLEM, id_, text, remedy))
