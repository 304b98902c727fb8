"""What a value of TOML becomes, and what is expected instead of a wrong one."""

from __future__ import annotations

import enum
import math
import re

import pytest

from uac_trio.settings import values
from uac_trio.settings.values import Read, WrongValueError


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@pytest.mark.parametrize(
    ("read", "value", "becomes"),
    [
        (values.text, "", ""),
        (values.filled, "a b", "a b"),
        (values.flag, False, False),
        (values.whole(1, 3), 3, 3),
        (values.seconds(0.5, 3), 1, 1.0),
        (values.one_of("a", "b"), "b", "b"),
        (values.member(Colour), "blue", Colour.BLUE),
        (values.texts, ["a", "b"], ("a", "b")),
        (values.words, [], ()),
        (values.absolute_path, "/a b", "/a b"),
        (values.absolute_paths, ["/a", "/b"], ("/a", "/b")),
        (values.text_set, ["a", "a"], frozenset("a")),
        (values.text_table, {"a": "b"}, {"a": "b"}),
        (values.pattern, "^1", re.compile("^1")),
        (values.patterns, ["a"], (re.compile("a"),)),
        (values.extensions, ["101"], frozenset({"101"})),
        (values.extensions, r"^\d$", re.compile(r"^\d$")),
        (values.word, "main-2_a", "main-2_a"),
        (values.or_none(values.whole(1, 2)), "", ""),
        (values.or_none(values.whole(1, 2)), 2, 2),
        (values.variable, "__CRM_ID", "__CRM_ID"),
        (values.template("a", "b"), "{a}-{b}", "{a}-{b}"),
        (values.template("a"), "plain", "plain"),
        (values.templates("a"), {"X": "{a}"}, {"X": "{a}"}),
        (values.prefix, "", ""),
        (values.prefix, "9*#", "9*#"),
    ],
)
def test_value(read: Read, value: object, becomes: object) -> None:
    """A right value, as the settings class has it."""
    assert read(value) == becomes
    assert type(read(value)) is type(becomes)


@pytest.mark.parametrize(
    ("read", "value", "expected"),
    [
        (values.text, 1, 'text in quotes, "..."'),
        (values.text, "a\nb", "text on one line, without control characters"),
        (values.text, "a\x7f", "text on one line, without control characters"),
        (values.filled, "", "text that is not empty"),
        (values.flag, 1, "true or false, without quotes"),
        (values.whole(1, 3), 4, "a whole number from 1 to 3, without quotes"),
        (values.whole(1, 3), 0, "a whole number from 1 to 3, without quotes"),
        (values.whole(0, 3), True, "a whole number from 0 to 3, without quotes"),
        (values.whole(0, 3), 1.0, "a whole number from 0 to 3, without quotes"),
        (values.seconds(0.5, 3600), 0.4, "seconds, a number from 0.5 to 3600, without quotes"),
        (values.seconds(0, 3), math.nan, "seconds, a number from 0 to 3, without quotes"),
        (values.seconds(0, 3), True, "seconds, a number from 0 to 3, without quotes"),
        (values.one_of("a", "b"), "c", '"a" or "b"'),
        (values.member(Colour), "green", '"red" or "blue"'),
        (values.texts, "a", 'a list of texts, ["...", "..."]'),
        (values.texts, [""], "text that is not empty"),
        (values.words, ["a b"], 'a list of names, ["...", "..."]'),
        (values.absolute_path, "a/b", 'an absolute path, "/..."'),
        (values.absolute_paths, ["/a", "b"], 'an absolute path, "/..."'),
        (values.text_table, ["a"], 'a table, { "..." = "..." }'),
        (values.text_table, {"a": ""}, "text that is not empty"),
        (values.pattern, "(", "a regular expression, but this one is invalid: missing ), unterminated subpattern at"),
        (values.extensions, [], "at least one number in the list"),
        (values.word, "x" * 32, "a short name of letters, digits, - and _ (at most 31)"),
        (values.word, "-a", "a short name of letters, digits, - and _ (at most 31)"),
        (values.variable, "___A", "the name of a channel variable: letters, digits and _"),
        (values.variable, "CHANNEL(x)", "the name of a channel variable: letters, digits and _"),
        (values.template("a", needs=("a",)), "x", "a text with {a} in it, and no other braces"),
        (values.template("a", "b"), "{c}", "a text with {a} and {b} in it, and no other braces"),
        (values.template("a"), "{a.x}", "a text with {a} in it, and no other braces"),
        (values.template("a"), "{a:>9}", "a text with {a} in it, and no other braces"),
        (values.template("a"), "{", "a text with {a} in it, and no other braces"),
        (values.templates("a"), "x", 'a table, { "..." = "..." }'),
        (values.prefix, "9,", 'a prefix to dial before a number, such as "9"'),
        (values.prefix, "123456789", 'a prefix to dial before a number, such as "9"'),
    ],
)
def test_wrong_value(read: Read, value: object, expected: str) -> None:
    """The error completes the sentence "expected ...": type, bounds and unit."""
    with pytest.raises(WrongValueError) as wrong:
        read(value)
    assert wrong.value.expected.startswith(expected)
