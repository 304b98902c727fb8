"""Lines of the journal: whatever was heard is read as it was."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uac_trio.ami.message import Event, Response
from uac_trio.calls import ClickOrder
from uac_trio.journal import Heard, read_line, received, write_line

TEXT = st.text(st.characters(), max_size=20)  # halves of surrogates too: bytes that are no UTF-8
EVENTS = st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=5).map(lambda headers: Event(tuple(headers)))
TIMES = st.floats(0, 4e9)


@given(st.sampled_from(["connected", "received", "lost"]), TIMES, st.lists(EVENTS, max_size=3).map(tuple))
def test_line(kind: str, at: float, events: tuple[Event, ...]) -> None:
    """A line of ASCII that tells all, repeated headers and their order included."""
    heard = Heard(kind, at, events)  # type: ignore[arg-type]
    line = write_line(heard)
    assert line.isascii()
    assert "\n" not in line
    assert read_line(line) == heard


@given(st.sampled_from(["connected", "received", "lost"]), TIMES, st.lists(EVENTS, max_size=3).map(tuple))
def test_line_of_an_old_server(kind: str, at: float, events: tuple[Event, ...]) -> None:
    """The banner of a server that speaks AMI 1.x goes with each line."""
    heard = Heard(kind, at, events, banner="Asterisk Call Manager/1.3")  # type: ignore[arg-type]
    assert read_line(write_line(heard)) == heard


@given(TIMES, TEXT, TEXT, TEXT, TEXT)
def test_line_of_an_order(at: float, channel_id: str, employee: str, number: str, channel: str) -> None:
    """What we ordered is not among the events, and is written down as well."""
    heard = Heard("ordered", at, order=ClickOrder(channel_id, employee, number, channel))
    assert read_line(write_line(heard)) == heard


@pytest.mark.parametrize(
    "line",
    [
        '["ordered",1.0,[]]',
        '["lost",1.0,[],7]',
        '["lost",1.0,[],"",""]',
        '["ordered",1.0,["x"]]',
        "",
        "x",
        "[]",
        '["said",1.0,[]]',
        '["lost","1",[]]',
        '["lost",1.0]',
        "{}",
        "7",
    ],
)
def test_no_line(line: str) -> None:
    """What is damaged is an error, not a guess."""
    with pytest.raises(ValueError, match=r"."):
        read_line(line)


def test_what_is_written_down() -> None:
    """Events, not the answers to what we asked."""
    event = Event((("Event", "Hangup"),))
    assert received([Response((("Response", "Success"),)), event], 5.0) == Heard("received", 5.0, (event,))
    assert received([Response((("Response", "Success"),))], 5.0) is None
