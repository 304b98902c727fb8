"""Nothing that a stranger chose reaches vTiger's SQL or its JSON decoder."""

from __future__ import annotations

import json
import sys
import unicodedata
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uac_trio.crm.vtiger import field


@pytest.mark.parametrize(
    ("given_number", "sent"),
    [
        ("+79161234567", "+79161234567"),
        ("8 (916) 123-45-67", "8916123-45-67"),
        ("*97#", "*97#"),
        ("7916' or '1'='1", "anonymous"),
        ("%", "anonymous"),
        ("7916_", "anonymous"),
        ("[1]", "anonymous"),
        ("", "anonymous"),
        ("null", "anonymous"),
        ("anonymous", "anonymous"),
        ("Иван", "anonymous"),
        ("1" * 200, "1" * 100),
        ("1\r\n2", "12"),
    ],
)
def test_number(given_number: str, sent: str) -> None:
    """Only the whitelist passes; formatting goes, anything else makes the number anonymous."""
    assert field.number(given_number) == sent


@pytest.mark.parametrize(
    ("given_name", "sent"),
    [
        ("ООО: Иван Петров", "ООО: Иван Петров"),
        ("[Sales] line", "Sales] line"),
        ('{"a": 1}', 'a": 1}'),
        ("  [[1]]", "1]]"),
        ("<b>Bob</b>", "bBob/b"),
        ("a\x00b\r\nc", "abc"),
        ("smile \U0001f600", "smile"),
        ("x" * 300, "x" * 100),
        ("\udc80broken", "broken"),
        ("Null", ""),
        (" true\u200b", ""),
        ("Nullmeier", "Nullmeier"),
        ("\u0301[1]", "1]"),
        ("\u3164{}", "}"),
        ("Andre\u0301", "Andre\u0301"),
        ("a\u202egpj.exe\u2066b\u200ec", "agpj.exebc"),
        ("line\u2028two\x85three", "linetwothree"),
    ],
)
def test_name(given_name: str, sent: str) -> None:
    """A name keeps its letters and loses what could be markup, JSON or more than utf8mb3 holds."""
    assert field.name(given_name) == sent


@given(st.text())
def test_no_json_container_passes(text: str) -> None:
    """Whatever comes in, no field that goes out decodes to a JSON list or object. (test_dialects.py asks more.)"""
    for value in (field.number(text), field.name(text), field.call_uuid(text)):
        try:
            decoded = json.loads(value)
        except ValueError:
            continue
        assert not isinstance(decoded, list | dict)


UNSEEN = [
    letter
    for letter in map(chr, range(sys.maxunicode + 1))
    if letter.isspace() or unicodedata.category(letter) in ("Zs", "Zl", "Zp", "Cc", "Cf")
]
"""All of Unicode's white space, separators, controls and format characters."""


@pytest.mark.parametrize("before", ["{0}", "{0}{0}", "[{0}", "{0}[{0}", ' {0}"{0}\t', "\u00a0{0}\u200b{0}"])
@pytest.mark.parametrize("hidden", ["[1,2]", '{"a": 1}', "[[1]]", '["x"'])
def test_no_json_container_hides_behind_what_is_not_seen(before: str, hidden: str) -> None:
    """Whatever invisible stands before it, and whatever of that a CRM strips: a name never begins as a list does."""
    for letter in UNSEEN:
        sent = field.name(before.format(letter) + hidden)
        assert sent == sent.strip()
        assert sent.strip("".join(UNSEEN))[:1] not in ("[", "{", '"'), ascii(letter)


@pytest.mark.parametrize(
    ("call_id", "kept"),
    [("main-1795413713.0", True), ("main-pbx1-1795413713.0", True), ("main-" + "1" * 120, False), ("main-a'b", False)],
)
def test_call_uuid(call_id: str, *, kept: bool) -> None:
    """An identity that fits is sent as it is; one that vTiger would cut or misread becomes a digest, each time."""
    sent = field.call_uuid(call_id)
    assert (sent == call_id) is kept
    assert len(sent) <= 100
    assert sent == field.call_uuid(call_id)


def test_clock_is_the_wall_clock_of_the_crm() -> None:
    """vTiger drops a zone suffix instead of converting, so the text is in its own zone."""
    assert field.clock(1795413713.4, ZoneInfo("Europe/Moscow")) == "2026-11-23 09:01:53"
    assert field.clock(1795413713.4, ZoneInfo("UTC")) == "2026-11-23 06:01:53"


@pytest.mark.parametrize(("secs", "sent"), [(0.4, "0"), (1.6, "2"), (-3.0, "0"), (61.0, "61")])
def test_whole_seconds(secs: float, sent: str) -> None:
    """Durations are whole and never negative."""
    assert field.whole_seconds(secs) == sent
