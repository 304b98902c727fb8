"""A row of Asterisk's CDR as a value.

A row is one pair: ``channel`` and one channel it was connected with, or dialled (main/cdr.c). A call has several.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping
from datetime import UTC, datetime

import attrs


class Disposition(enum.Enum):
    """The column of that name (main/cdr.c, ``ast_cdr_disp2str``)."""

    ANSWERED = "ANSWERED"
    """By a person, a voicemail, a queue, a busy tone alike."""
    NO_ANSWER = "NO ANSWER"
    """No answer, the caller gave up, answered elsewhere, rejected with 603 alike."""
    BUSY = "BUSY"
    FAILED = "FAILED"
    CONGESTION = "CONGESTION"
    """Only with ``congestion=yes``."""
    CANCELLED = "CANCEL"
    """Asterisk 22 with ``canceldispositionenabled=yes``."""


class RowError(ValueError):
    """A line, or a row of a table, that is none of CDR; the text says why."""


@attrs.frozen(kw_only=True)
class CdrRow:
    """Times and durations in seconds. "": the source has no such column, or nothing is in it."""

    start: float
    """When the row begins: since the epoch if ``is_absolute``, else the wall clock of Asterisk counted as if it were
    UTC (zone.py)."""
    is_absolute: bool = False
    duration: float
    billsec: float
    """Since the channel was answered, by whatever: of the row's own part alone."""
    src: str
    dst: str
    context: str
    caller_name: str
    channel: str
    dstchannel: str
    app: str
    data: str
    """Of ``app``; cut at 79 bytes."""
    disposition: Disposition
    uniqueid: str
    """Of ``channel``."""
    linkedid: str
    sequence: int
    """Counts rows as they are begun, from 0 at each start of Asterisk."""
    did: str = ""
    recording: str = ""
    own_number: str = ""
    """FreePBX: the caller's number before the dialplan replaced it."""

    @property
    def end(self) -> float:
        return self.start + self.duration

    @property
    def answered_at(self) -> float:
        return self.end - self.billsec

    @property
    def identity(self) -> tuple[str, int, float, str]:
        """What distinguishes this row from all others; the table has no key."""
        return self.uniqueid, self.sequence, self.start, self.dstchannel

    @property
    def order(self) -> tuple[float, int]:
        """Sorts the rows of one call: they are written when a channel ends, not when it began."""
        return self.start, self.sequence


def cdr_row(columns: Mapping[str, object]) -> CdrRow:
    """The row of a table or file with these columns, by their names. Raises RowError."""
    text = {name.lower(): _text(value) for name, value in columns.items()}
    start, is_absolute = _start(columns, text)
    return CdrRow(
        start=start,
        is_absolute=is_absolute,
        duration=_seconds(text, "duration"),
        billsec=_seconds(text, "billsec"),
        src=text.get("src", ""),
        dst=text.get("dst", ""),
        context=text.get("dcontext", ""),
        caller_name=_name(text.get("clid", ""), text.get("src", "")),
        channel=_needed(text, "channel"),
        dstchannel=text.get("dstchannel", ""),
        app=text.get("lastapp", ""),
        data=text.get("lastdata", ""),
        disposition=_disposition(text.get("disposition", "")),
        uniqueid=_needed(text, "uniqueid"),
        linkedid=_needed(text, "linkedid"),
        sequence=_count(text.get("sequence", "")),
        did=text.get("did", ""),
        recording=text.get("recordingfile", "") or text.get("recordingpath", ""),
        own_number=text.get("cnum", ""),
    )


def finite(text: str) -> float:
    """A number of seconds. Raises ValueError, also for ``nan`` and ``inf``."""
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text!r} is not finite")
    return value


def _count(text: str) -> int:
    """0 for what is none, or has more digits than a counter of Asterisk's."""
    return int(text) if text.isdecimal() and len(text) < 19 else 0


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return "" if value is None else str(value)


def _needed(text: Mapping[str, str], name: str) -> str:
    if not text.get(name):
        raise RowError(f"it has no {name}")
    return text[name]


def _start(columns: Mapping[str, object], text: Mapping[str, str]) -> tuple[float, bool]:
    if epoch := text.get("start_epoch"):
        try:
            return finite(epoch), True
        except ValueError as error:
            raise RowError(f"its start {epoch!r} is no number of seconds") from error
    value = columns.get("calldate") or columns.get("start")
    if not isinstance(value, datetime):
        try:
            value = datetime.fromisoformat(_text(value))
        except ValueError as error:
            raise RowError(f"its start {_text(value)!r} is no date and time") from error
    if value.tzinfo is not None:
        return value.timestamp(), True
    return value.replace(tzinfo=UTC).timestamp(), False


def _seconds(text: Mapping[str, str], name: str) -> float:
    exact = text.get(f"{name}_exact") or text.get(name, "")
    try:
        return max(0.0, finite(exact))
    except ValueError as error:
        raise RowError(f"its {name} {exact!r} is no number of seconds") from error


def _disposition(word: str) -> Disposition:
    try:
        return Disposition(word.upper())
    except ValueError as error:
        raise RowError(f"its disposition {word!r} is unknown") from error


def _name(clid: str, src: str) -> str:
    """``Anna`` of ``"Anna" <101>``. The column is cut at 79 bytes, within the name or a letter of it."""
    name = clid.rpartition("<")[0].strip() if clid.endswith(">") else clid
    name = name.removeprefix('"').removesuffix('"').rstrip("\N{REPLACEMENT CHARACTER}").strip()
    return "" if name == src else name
