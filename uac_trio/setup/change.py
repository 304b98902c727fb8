"""A change of one file, and how it is shown."""

from __future__ import annotations

import difflib
import enum
import re
from collections.abc import Iterator

import attrs

from uac_trio.setup.answers import FoundFile

_SECRET = re.compile(r"^(\s*secret\s*=>?\s*)\S.*$", re.MULTILINE)


class What(enum.Enum):
    """What a change does to a file that is there."""

    ADDS = "adds"
    """Lines are added, or single values changed; the rest stays as it is."""
    REPLACES = "replaces"
    """The whole text is another one."""


class NotReadError(Exception):
    """Asterisk would not read what setup adds to a file; the text says which and why."""


def not_read(root: str, refused: list[str]) -> NotReadError:
    """The error of a configuration that begins with ``root``. ``refused``: ``Configuration.refused``."""
    if refused:
        why = f"{refused[0]} adds to a section, with (+), that is not there; Asterisk refuses the whole file"
    else:
        why = "lines at its end are not read; is a comment that begins with ;-- left open?"
    return NotReadError(f"{root}: {why}. Correct that first, and run setup again")


@attrs.frozen(kw_only=True)
class Change:
    """One file with its new text."""

    path: str
    text: str
    why: str
    what: What
    mode: int = 0o644
    like: str = ""
    """The file whose owner and permissions a new file gets; "": those of the program, and ``mode``."""
    is_secret: bool = False
    """Its content is never shown, and ``mode`` holds for a file that is there as well."""

    def changes(self, found: FoundFile | None) -> bool:
        """Whether the file is to be written."""
        return found is None or found.text != self.text or (self.is_secret and found.mode != self.mode)

    def replaces(self, found: FoundFile | None) -> bool:
        """Whether the present text would be lost without a backup."""
        return found is not None and self.what is What.REPLACES and found.text != self.text


def diff_lines(change: Change, found: FoundFile | None) -> Iterator[str]:
    """The change as a unified diff, without secrets. Lines have no end."""
    if change.is_secret:
        yield f"--- {change.path}" if found else "--- /dev/null"
        yield f"+++ {change.path}"
        is_other = found is None or found.text != change.text
        yield f"@@ {'a secret, not shown' if is_other else 'the same secret'}, permissions {change.mode:04o} @@"
        return
    before = _shown(found.text) if found else []
    source = change.path if found else "/dev/null"
    for line in difflib.unified_diff(before, _shown(change.text), source, change.path, lineterm=""):
        yield line.rstrip("\r\n")


def _shown(text: str) -> list[str]:
    lines = _SECRET.sub(r"\1(not shown)", text).encode("utf-8", "backslashreplace").decode().split("\n")
    return lines if lines[-1] else lines[:-1]
