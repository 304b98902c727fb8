"""A guard against work that creeps in: how many instructions of Python an AMI event costs, which no other load changes.

The bounds leave a third for other versions of Python and for what is worth it; a bound that is raised for more than
that deserves a look at benchmarks/README.md.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from tests.calls.crm_office import crm_of
from uac_trio.ami.message import Event
from uac_trio.ami.parser import MessageParser
from uac_trio.calls.adapters import is_wanted
from uac_trio.calls.rules import TrackerRules
from uac_trio.pipeline import Pipeline

RECORDED = Path(__file__).parents[1] / "fixtures" / "ami_transcripts" / "asterisk22"
STREAM = (RECORDED / "inbound_answered.ami").read_bytes()


def instructions(work: Callable[[], object]) -> int:
    """How many bytecode instructions ``work`` executes."""
    count = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal count
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        count += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


def read(parser: MessageParser) -> list[Event]:
    parser.receive_data(STREAM)
    return [message for message in iter(parser.next_message, None) if isinstance(message, Event)]


def track(events: list[Event]) -> None:
    pipeline = Pipeline(TrackerRules(), crm_of(), lambda _: "")
    pipeline.connected("main", 0.0, "Asterisk Call Manager/11.0.0")
    pipeline.received("main", events, 1_795_413_714.0)


DROPPING = MessageParser(wanted=lambda *_: False)
READING = MessageParser(wanted=is_wanted)
EVENTS = read(READING)
MESSAGES = STREAM.count(b"\r\n\r\n")


@pytest.mark.parametrize(
    ("what", "work", "units", "most"),
    [
        ("a message dropped unread", lambda: read(DROPPING), MESSAGES, 100),
        ("an event read", lambda: read(READING), len(EVENTS), 1450),
        ("an event through the pipeline", lambda: track(EVENTS), len(EVENTS), 2850),
    ],
)
def test_instructions(what: str, work: Callable[[], object], units: int, most: int) -> None:
    """An event costs no more instructions than it is worth."""
    work()  # names are learned, caches filled
    cost = instructions(work) / units
    assert cost <= most, f"{what}: {cost:.0f} instructions"
