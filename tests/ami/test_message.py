"""Messages: names in any case, the first value wins, and C escapes undone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uac_trio.ami.message import Event, Message, Response, unescape_c


def escape_c(text: str) -> str:
    """``ast_escape_c`` as main/utils.c has it."""
    table = {"\a": "a", "\b": "b", "\f": "f", "\n": "n", "\r": "r", "\t": "t", "\v": "v"}
    return "".join("\\" + table.get(c, c) if c in table or c in "\\'\"?" else c for c in text)


def test_names_have_no_case() -> None:
    """Asterisk writes Uniqueid, UniqueID and UniqueId; all are found under any spelling."""
    event = Event((("Event", "Cdr"), ("UniqueID", "1.2")))

    assert event.get("uniqueid") == event.get("Uniqueid") == "1.2"
    assert "UNIQUEID" in event
    assert "Linkedid" not in event
    assert event.get("Linkedid") == ""
    assert event.get("Linkedid", "none") == "none"


def test_first_value_wins_in_any_case() -> None:
    """A header that a caller smuggles in behind the real one, spelled otherwise, is not believed."""
    event = Event((("Event", "Cdr"), ("UniqueID", "1.2"), ("Uniqueid", "6.6")))

    assert event.get("Uniqueid") == "1.2"
    assert event.get_all("Uniqueid") == ("1.2", "6.6")


def test_short_cut_gives_the_same_message() -> None:
    """A message made from text equals the one made from pairs, headers in order."""
    fast = Event.from_text("Event: X\r\nA: b: c\r\nD: ", {"event": "X", "a": "b: c", "d": ""})
    slow = Event((("Event", "X"), ("A", "b: c"), ("D", "")))

    assert fast == slow
    assert hash(fast) == hash(slow)
    assert fast.headers == (("Event", "X"), ("A", "b: c"), ("D", ""))
    assert repr(fast) == repr(slow) == "Event((('Event', 'X'), ('A', 'b: c'), ('D', '')))"
    assert fast.get_all("a") == ("b: c",)


def test_an_event_is_no_response() -> None:
    """Messages of different kinds are never equal, whatever their headers."""
    headers = (("Event", "X"), ("Response", "Success"))

    assert Event(headers) != Response(headers)
    assert Event(headers) != headers
    assert Event(headers).name == "X"
    assert isinstance(Event(headers), Message)


@pytest.mark.parametrize(
    ("value", "success"),
    [("Success", True), ("success", True), ("Goodbye", True), ("Follows", True), ("Error", False), ("", False)],
)
def test_what_counts_as_success(value: str, success: bool) -> None:
    """Success, Goodbye (to Logoff) and Follows (to Command) are the answers of an action that was done."""
    assert Response((("Response", value),)).success is success


@pytest.mark.parametrize(
    ("escaped", "meant"),
    [
        (r"O\'Brien", "O'Brien"),
        (r"Who\?", "Who?"),
        (r"a\\nb", r"a\nb"),
        (r"a\nb", "a\nb"),
        (r"\a\b\f\n\r\t\v\\\"", '\a\b\f\n\r\t\v\\"'),
        (r"\x", r"\x"),
        ("end\\", "end\\"),
        ("plain", "plain"),
    ],
)
def test_c_escapes(escaped: str, meant: str) -> None:
    """Escapes are undone in one pass; what is none stays."""
    assert unescape_c(escaped) == meant


@given(st.text())
def test_unescape_undoes_escape(text: str) -> None:
    """Whatever a name holds comes back."""
    assert unescape_c(escape_c(text)) == text
