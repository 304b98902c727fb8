"""Converts TOML values to the values of settings. Each function raises WrongValueError with what it expects."""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Read = Callable[[Any], Any]
"""Converts a value. Raises WrongValueError for an invalid one."""


class WrongValueError(Exception):
    """``expected`` completes the sentence "expected ..."."""

    def __init__(self, expected: str) -> None:
        super().__init__(expected)
        self.expected = expected


def text(value: object) -> str:
    if not isinstance(value, str):
        raise WrongValueError('text in quotes, "..."')
    if re.search(r"[\x00-\x1f\x7f]", value):
        raise WrongValueError("text on one line, without control characters")
    return value


def filled(value: object) -> str:
    if not text(value):
        raise WrongValueError("text that is not empty")
    return text(value)


def flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise WrongValueError("true or false, without quotes")
    return value


def whole(least: int, most: int) -> Read:
    def read(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise WrongValueError(f"a whole number from {least} to {most}, without quotes")
        return value

    return read


def seconds(least: float, most: float) -> Read:
    def read(value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
            raise WrongValueError(f"seconds, a number from {least:.9g} to {most:.9g}, without quotes")
        return float(value)

    return read


def one_of(*words: str) -> Read:
    def read(value: object) -> str:
        if not isinstance(value, str) or value not in words:
            raise WrongValueError(" or ".join(f'"{word}"' for word in words))
        return value

    return read


def member(kind: type[enum.Enum]) -> Read:
    """One of an enum's values."""
    read_word = one_of(*(str(one.value) for one in kind))
    return lambda value: kind(read_word(value))


def texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise WrongValueError('a list of texts, ["...", "..."]')
    return tuple(filled(item) for item in value)


def words(value: object) -> tuple[str, ...]:
    """Names of events or of their classes."""
    if not isinstance(value, list) or not all(isinstance(item, str) and re.fullmatch(r"\w+", item) for item in value):
        raise WrongValueError('a list of names, ["...", "..."]')
    return tuple(value)


def absolute_path(value: object) -> str:
    if not filled(value).startswith("/"):
        raise WrongValueError('an absolute path, "/..."')
    return text(value)


def absolute_paths(value: object) -> tuple[str, ...]:
    return tuple(absolute_path(item) for item in texts(value))


def text_set(value: object) -> frozenset[str]:
    return frozenset(texts(value))


def text_table(value: object) -> Mapping[str, str]:
    if not isinstance(value, dict):
        raise WrongValueError('a table, { "..." = "..." }')
    return {str(key): filled(item) for key, item in value.items()}


def pattern(value: object) -> re.Pattern[str]:
    try:
        return re.compile(filled(value))
    except re.error as why:
        raise WrongValueError(f"a regular expression, but this one is invalid: {why}") from why


def patterns(value: object) -> tuple[re.Pattern[str], ...]:
    return tuple(pattern(item) for item in texts(value))


def extensions(value: object) -> re.Pattern[str] | frozenset[str]:
    """A pattern, or a list of numbers."""
    if isinstance(value, list):
        numbers = text_set(value)
        if not numbers:
            raise WrongValueError("at least one number in the list")
        return numbers
    if not isinstance(value, str):
        raise WrongValueError("""a pattern such as '^\\d{2,5}$', or a list of numbers such as ["101", "102"]""")
    return pattern(value)


def word(value: object) -> str:
    """A name for identities and log lines."""
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,30}", value):
        raise WrongValueError("a short name of letters, digits, - and _ (at most 31)")
    return value


def or_none(read: Read) -> Read:
    """The same, or "" for none."""
    return lambda value: "" if value == "" else read(value)


def variable(value: object) -> str:
    """A channel variable; a prefix of one or two _ makes it inheritable."""
    if not isinstance(value, str) or not re.fullmatch(r"_{0,2}[A-Za-z][A-Za-z0-9_]{0,63}", value):
        raise WrongValueError("the name of a channel variable: letters, digits and _")
    return value


def braced(place: str) -> str:
    return "{" + place + "}"


def template(*places: str, needs: Sequence[str] = ()) -> Read:
    """A text with ``{places}`` to fill in; each of ``needs`` must be there."""

    def read(value: object) -> str:
        shown = " and ".join(braced(place) for place in places)
        wrong = WrongValueError(f"a text with {shown} in it, and no other braces")
        given = filled(value)
        try:
            given.format(**dict.fromkeys(places, ""))
        except (LookupError, ValueError, AttributeError) as why:
            raise wrong from why
        if re.search(r"\{[^}]*[^}\w]", given) or any(braced(place) not in given for place in needs):
            raise wrong
        return given

    return read


def templates(*places: str) -> Read:
    """A table of such texts."""
    read_one = template(*places)

    def read(value: object) -> Mapping[str, str]:
        if not isinstance(value, dict):
            raise WrongValueError('a table, { "..." = "..." }')
        return {str(name): read_one(one) for name, one in value.items()}

    return read


def prefix(value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[0-9*#]{0,8}", value):
        raise WrongValueError('a prefix to dial before a number, such as "9"')
    return value
