"""Asterisk's configuration files: what Asterisk reads in them, and edits that change no other byte.

The syntax is that of main/config.c: comments after ``;`` and between ``;--`` and ``--;``, sections with templates
``[x](!)``, ``[x](a,b)`` and additions ``[x](+)``, ``key = value`` and ``key => value``, ``#include`` and
``#tryinclude`` with wildcards, relative to the directory of the configuration. ``decode`` keeps bytes of any encoding.
"""

from __future__ import annotations

import enum
import fnmatch
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping

import attrs

BOM = "\ufeff"
MOST_DEEP = 10
"""Levels of #include that are followed; main/config.c has the same limit (MAX_INCLUDE_LEVEL)."""

_SECTION = re.compile(r"\[(?P<name>[^\]]*)\](?:\s*\((?P<options>[^)]*)\))?")
_INCLUDE = re.compile(r"#(?P<word>include|tryinclude)\s+(?P<name>.+)", re.IGNORECASE)
_VALUE = re.compile(r"(?P<key>[^=]*?)\s*(?P<operator>\+=|=>|=)\s*(?P<value>.*)", re.DOTALL)
_TRUE = ("yes", "true", "y", "t", "1", "on")
"""What ast_true() of main/utils.c takes."""


class Kind(enum.Enum):
    """What a line is for Asterisk."""

    NOTHING = "nothing"
    SECTION = "section"
    VALUE = "value"
    INCLUDE = "include"


@attrs.frozen
class Line:
    """One line with its end, and what it means. ``name``: of the section, the key, or the file of an include."""

    raw: str
    kind: Kind = Kind.NOTHING
    name: str = ""
    value: str = ""
    options: tuple[str, ...] = ()
    """Of a section: ``!``, ``+`` and the names of templates."""


@attrs.frozen
class Value:
    """A key with its value, and where it is. Lines count from 1."""

    key: str
    value: str
    file: str
    line: int


@attrs.define
class Section:
    """A section as Asterisk has it after all includes: additions ``(+)`` are part of the first one of that name."""

    name: str
    file: str
    line: int
    is_template: bool = False
    values: list[Value] = attrs.field(factory=list)

    def get(self, key: str) -> Value | None:
        """The last value of ``key``, which is the one that counts; keys have no case."""
        return next((each for each in reversed(self.values) if each.key.lower() == key.lower()), None)

    def is_true(self, key: str) -> bool:
        """Whether ``key`` is set to a word for true."""
        found = self.get(key)
        return found is not None and found.value.lower() in _TRUE


@attrs.define
class Configuration:
    """A file with everything that it includes."""

    sections: list[Section] = attrs.field(factory=list)
    files: list[str] = attrs.field(factory=list)
    """All files that were read, the first one first."""
    included: list[str] = attrs.field(factory=list)
    """What #include names, as absolute paths, wildcards included and whether or not such a file exists."""
    _by_name: dict[str, Section] = attrs.field(factory=dict, init=False)
    refused: list[str] = attrs.field(factory=list)
    """``FILE:LINE`` of each addition ``(+)`` to a section that is not there: Asterisk then refuses the whole file."""

    def section(self, name: str) -> Section | None:
        """The first of that name: of a further one that is no addition Asterisk reads nothing in manager.conf."""
        return self._by_name.get(name.lower())

    def add(self, section: Section) -> None:
        """Add a section below those that are there."""
        self.sections.append(section)
        self._by_name.setdefault(section.name.lower(), section)

    def includes(self, path: str) -> bool:
        """Whether a file of that path is read, or would be if it existed."""
        return any(fnmatch.fnmatchcase(path, pattern) for pattern in self.included)


def decode(content: bytes) -> str:
    """A file's text. ``encode`` gives the same bytes, whatever their encoding."""
    return content.decode("utf-8", "surrogateescape")


def encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def parse(text: str) -> list[Line]:
    """The lines of one file; their ``raw`` joined are the text."""
    lines: list[Line] = []
    depth = 0
    for raw in re.findall(r"[^\n]*\n|[^\n]+", text):
        content, depth = _without_comments(raw.lstrip(BOM), depth)
        lines.append(_line(raw, content.strip()))
    return lines


def read(path: str, files: Mapping[str, str], directory: str | None = None) -> Configuration:
    """The configuration in ``path`` with its includes. ``files``: the texts by absolute path; a missing one is empty.

    ``directory``: where relative includes are, by default that of ``path``.
    """
    found = Configuration()
    _read_into(found, path, files, directory or posixpath.dirname(path), None, ())
    return found


def appended(text: str, block: str) -> str:
    """``text`` with the lines of ``block`` after a blank line at its end, with the line ends that ``text`` has."""
    if not text:
        return block
    end = line_end(text)
    before = text if text.endswith(("\n", "\r")) else text + end
    gap = "" if not before.strip() or before.endswith(end + end) else end
    return before + gap + block.replace("\n", end)


def with_value(text: str, number: int, value: str) -> str:
    """``text`` with another value in line ``number``; a comment behind it stays. Raises ValueError if it has none."""
    lines = parse(text)
    line = lines[number - 1]
    if line.kind is not Kind.VALUE:
        raise ValueError(f"line {number} has no value")
    body, comment = _split_comment(line.raw)
    head = re.match(r"[^=]*(?:=>|=)\s*", body)
    assert head is not None  # noqa: S101 - it is a value
    rest = body[head.end() :]
    tail = rest[len(rest.rstrip()) :]
    changed = head[0] + value + tail + comment
    return "".join(each.raw for each in lines[: number - 1]) + changed + "".join(each.raw for each in lines[number:])


def with_lines_after(text: str, number: int, added: Iterable[str]) -> str:
    """``text`` with more lines after line ``number``, with the line ends that ``text`` has."""
    lines = [each.raw for each in parse(text)]
    end = line_end(text)
    if lines and not lines[number - 1].endswith(("\n", "\r")):
        lines[number - 1] += end
    return "".join(lines[:number]) + "".join(each + end for each in added) + "".join(lines[number:])


def line_end(text: str) -> str:
    r"""``\r\n`` if the first line ends so, else ``\n``."""
    first = text.find("\n")
    return "\r\n" if first > 0 and text[first - 1] == "\r" else "\n"


def _without_comments(raw: str, depth: int) -> tuple[str, int]:
    """A line without its comments, and how many block comments are open after it (they nest)."""
    if not depth and ";" not in raw:
        return raw, 0
    kept: list[str] = []
    position = 0
    while position < len(raw):
        if depth:
            position, depth = _inside_block(raw, position, depth)
        elif raw[position] == "\\" and raw.startswith(";", position + 1):
            kept.append(";")
            position += 2
        elif raw[position] != ";":
            kept.append(raw[position])
            position += 1
        elif raw.startswith(";--", position) and not raw.startswith(";---", position):
            depth, position = 1, position + 3
        else:
            break
    return "".join(kept), depth


def _inside_block(raw: str, position: int, depth: int) -> tuple[int, int]:
    if raw.startswith("--;", position):
        return position + 3, depth - 1
    if raw.startswith(";--", position) and not raw.startswith(";---", position):
        return position + 3, depth + 1
    return position + 1, depth


def _split_comment(raw: str) -> tuple[str, str]:
    """A line before and from the ``;`` that begins a comment; the line's end counts as one."""
    found = re.search(r"(?<!\\);|\r?\n?$", raw)
    position = found.start() if found else len(raw)
    return raw[:position], raw[position:]


def _line(raw: str, content: str) -> Line:
    if section := _SECTION.match(content):
        options = tuple(each.strip() for each in (section["options"] or "").split(",") if each.strip())
        return Line(raw, Kind.SECTION, section["name"].strip(), "", options)
    if include := _INCLUDE.match(content):
        return Line(raw, Kind.INCLUDE, include["name"].strip().strip("\"'<>"))
    if not content.startswith(("#", "[")) and (value := _VALUE.match(content)) and value["key"].strip():
        return Line(raw, Kind.VALUE, value["key"].strip(), value["value"].strip())
    return Line(raw)


def _read_into(
    found: Configuration,
    path: str,
    files: Mapping[str, str],
    directory: str,
    current: Section | None,
    above: tuple[str, ...],
) -> Section | None:
    """Read one file; returns the section that its end is in. ``above``: the files that include it, to end a circle."""
    found.files.append(path)
    for number, line in enumerate(parse(files.get(path, "")), start=1):
        if line.kind is Kind.SECTION:
            current = _begun(found, line, path, number)
        elif line.kind is Kind.VALUE and current is not None:
            current.values.append(Value(line.name, line.value, path, number))
        elif line.kind is Kind.INCLUDE and len(above) < MOST_DEEP:
            pattern = posixpath.normpath(posixpath.join(directory, line.name))
            found.included.append(pattern)
            for each in _matching(pattern, files):
                if each != path and each not in above:
                    current = _read_into(found, each, files, directory, current, (*above, path))
    return current


def _matching(pattern: str, files: Mapping[str, str]) -> Iterator[str]:
    """The files that an include names, in the order of glob(3); a ``*`` does not match a slash."""
    for path in sorted(files):
        if posixpath.dirname(path) == posixpath.dirname(pattern) and fnmatch.fnmatchcase(path, pattern):
            yield path


def _begun(found: Configuration, line: Line, path: str, number: int) -> Section:
    """The section that a header begins or continues."""
    known = found.section(line.name)
    if "+" in line.options:
        if known is not None:
            return known
        found.refused.append(f"{path}:{number}")
    begun = Section(line.name, path, number, "!" in line.options)
    for name in line.options:
        template = found.section(name)
        if template is not None:
            begun.values += template.values
    found.add(begun)
    return begun
