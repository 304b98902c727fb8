"""What PBXes told us, written down for our next run: fed into its pipeline, it leads to the state this run was in.

The alternative, a list of channels after each start, tells who talks now; not who rang before, who transferred, which
file is recorded, since when.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Literal

import attrs

from uac_trio.ami.message import Event, Message
from uac_trio.calls.call import ClickOrder

Kind = Literal["connected", "received", "lost", "ordered"]


@attrs.frozen
class Heard:
    """One thing that a pipeline was told: as its method of that name."""

    kind: Kind
    at: float
    """Seconds since the epoch, by our clock."""
    events: tuple[Event, ...] = ()
    order: ClickOrder | None = None
    """Of "ordered" alone."""
    banner: str = ""
    """The server's first line, where its AMI is another than that of today's Asterisk: what is read depends on it, and
    of a journal the beginning may have been pruned."""


def received(messages: Iterable[Message], at: float) -> Heard | None:
    """What the events among ``messages`` are written down as; None if there is none."""
    events = tuple(message for message in messages if isinstance(message, Event))
    return Heard("received", at, events) if events else None


def write_line(heard: Heard) -> str:
    """One line of ASCII."""
    about: object = [event.headers for event in heard.events]
    if heard.order is not None:
        about = attrs.astuple(heard.order)
    line = [heard.kind, heard.at, about]
    return json.dumps([*line, heard.banner] if heard.banner else line, separators=(",", ":"))


def read_line(line: str) -> Heard:
    """The reverse of ``write_line``. Raises ValueError for anything else."""
    entry, banner = json.loads(line), ""
    if isinstance(entry, list) and len(entry) == 4 and isinstance(entry[3], str):
        banner = entry.pop()
    match entry:
        case ["connected" | "received" | "lost" as kind, float(at), [*events]]:
            received_events = tuple(Event(tuple((name, value) for name, value in headers)) for headers in events)
            return Heard(kind, at, received_events, banner=banner)
        case ["ordered", float(at), [str(channel_id), str(employee), str(number), str(channel)]]:
            return Heard("ordered", at, order=ClickOrder(channel_id, employee, number, channel), banner=banner)
        case _:
            raise ValueError(f"no line of a journal: {line[:60]}")
