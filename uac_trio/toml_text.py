"""Writes TOML for people: tables with their keys, and comments."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

Value = str | int | bool | Sequence[str]


def value_text(value: Value) -> str:
    """A value as TOML writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        if "\\" in value and not set(value) & set("'\n\r\t") and value.isprintable():
            return f"'{value}'"  # a pattern, as one writes it
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return f"[{', '.join(map(value_text, value))}]"


def table_text(header: str, values: Mapping[str, Value], comments: Iterable[str] = ()) -> str:
    """A table with its header, such as ``[vtiger]``, below the lines of ``comments``."""
    lines = [*comment_lines(comments), header, *(f"{key} = {value_text(value)}" for key, value in values.items())]
    return "\n".join(lines) + "\n"


def comment_lines(comments: Iterable[str]) -> list[str]:
    """Each as a comment; a text with line ends is several. TOML allows no control characters there."""
    lines = [line for comment in comments for line in comment.splitlines()]
    return [f"# {''.join(each if each.isprintable() else ' ' for each in line)}".rstrip() for line in lines]
