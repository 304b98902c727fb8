"""Structured logs on stderr, with personal data masked.

Every package logs ``structlog.get_logger().warning("ami.login_refused", pbx="main", ...)``: a stable dotted event name
and keyword fields, never a sentence. The name of a field decides how it is masked: telephone numbers must be logged
under one of ``NUMBER_FIELDS``, names of people under one of ``NAME_FIELDS``.
"""

from __future__ import annotations

import logging
import math
import os
import re
import sys
import time
from collections.abc import Callable, MutableMapping
from datetime import datetime
from typing import Any, Literal, TextIO, cast, get_args

import attrs
import structlog

from uac_trio.clock import now
from uac_trio.log_writer import LogWriter
from uac_trio.settings import setting, values

Level = Literal["debug", "info", "warning", "error"]
LEVELS: tuple[str, ...] = get_args(Level)

NUMBER_FIELDS = frozenset(
    {"caller", "callee", "called", "customer", "did", "dialled", "extension", "from", "number", "numbers", "to"}
)
NAME_FIELDS = frozenset({"caller_name", "customer_name", "display_name", "person"})
TEXT_FIELDS = frozenset({"because", "file", "path", "reason"})
SECRET_FIELDS = frozenset({"authorization", "password", "secret", "signature", "token", "vtigersignature"})

# A number within a text or a file name, where letters and _ may adjoin it: a whole run of digits, or groups that begin
# with + or end like 123-45-67. Not a Uniqueid such as 1795413713.0, the end of a channel's name, -0000001a, an id of
# ours, uac-1795413713-3f9a2b7c, nor a date, 20260105 or 20260105123456.
_NUMBER = re.compile(
    r"""
    (?<![0-9]) (?<![0-9]\.) (?<!-(?=0[0-9a-f]{7}(?![0-9a-f]))) (?<!uac-(?=[0-9]{10}-)) (?<!uac-[0-9]{10}-)
    (?!1[0-9]{9}\.[0-9])
    (?!(?:19|20)[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])
       (?:(?:[01][0-9]|2[0-3])[0-5][0-9][0-5][0-9])?(?![0-9]))
    (?: \+?[0-9]{7,}
      | \+[1-9](?:[\s().-]{0,2}[0-9]){6,14}
      | (?:[78][\s-]?)?\(?[0-9]{3}\)?[\s-]?[0-9]{3}[\s-][0-9]{2}[\s-][0-9]{2} )
    (?![0-9])
    """,
    re.VERBOSE,
)

# Marks, embeddings, overrides and isolates of the bidirectional algorithm (UAX 9). In a caller's name they would
# reorder the rest of the line.
_BIDI_CONTROLS = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")

# Libraries that log one line per request, with the numbers in its URL.
TALKATIVE = ("alembic", "h11", "httpcore", "httpx", "hypercorn.access", "sqlalchemy")

# syslog(3) levels, which journald reads from a line that begins with <N> (sd-daemon(3)).
JOURNAL_LEVELS = {"debug": 7, "info": 6, "warning": 4, "error": 3, "exception": 3, "critical": 2}


@attrs.frozen(kw_only=True)
class LogSettings:
    level: Level = attrs.field(
        default="info", metadata=setting(values.one_of(*LEVELS), "Lowest level that is written.")
    )
    json: bool = attrs.field(
        default=False, metadata=setting(values.flag, "One JSON object per line instead of text for people.")
    )
    mask: bool = attrs.field(
        default=True, metadata=setting(values.flag, "Mask telephone numbers and names. Secrets are always hidden.")
    )


@attrs.define(eq=False)
class LogLimit:
    """Rate limit for a log line that repeats: one line in ``seconds``."""

    seconds: float = 60.0
    _next_at: float = attrs.field(default=-math.inf, init=False)
    _left_out: int = attrs.field(default=0, init=False)

    def due(self, now: float) -> int | None:
        """The number of lines suppressed since the last one; None: suppress this one too. ``now``: a monotonic
        clock."""
        if now < self._next_at:
            self._left_out += 1
            return None
        self._next_at = now + self.seconds
        left_out, self._left_out = self._left_out, 0
        return left_out


@attrs.define(eq=False)
class LogRate:
    """Rate limit for a log line of which each is news: ``burst`` of them at once, ``per_second`` in the long run."""

    burst: float = 100.0
    per_second: float = 20.0
    _tokens: float = attrs.field(default=attrs.Factory(lambda self: self.burst, takes_self=True), init=False)
    _at: float = attrs.field(default=-math.inf, init=False)
    _left_out: int = attrs.field(default=0, init=False)

    def due(self, now: float) -> int | None:
        """As that of ``LogLimit``."""
        self._tokens = min(self.burst, self._tokens + (now - self._at) * self.per_second)
        self._at = now
        if self._tokens < 1.0:
            self._left_out += 1
            return None
        self._tokens -= 1.0
        left_out, self._left_out = self._left_out, 0
        return left_out


class AcceptLimit(logging.Filter):
    """Rate limit for failed accepts. Without a free file descriptor trio retries ten times a second and logs a
    traceback each time (trio/_highlevel_serve_listeners.py); this leaves one line a minute, with the remedy."""

    def __init__(self) -> None:
        super().__init__()
        self._limit = LogLimit()

    def filter(self, record: logging.LogRecord) -> bool:
        left_out = self._limit.due(time.monotonic())
        if left_out is None:
            return False
        record.exc_info = None
        record.msg = (
            f"no connection can be accepted: {record.getMessage()}; {left_out} more such lines were suppressed. "
            "Raise the limit of open files (LimitNOFILE= of the systemd unit)"
        )
        record.args = None
        return True


def mask_number(number: str) -> str:
    """``+79161234567`` as ``+7916***4567``: enough to recognise a known number, not enough to call an unknown one.

    Up to five characters (extensions, 112) are kept. Fewer than ten keep two at each end.
    """
    if len(number) <= 5:
        return number
    if len(number) < 10:
        return f"{number[:2]}***{number[-2:]}"
    return f"{number[: 5 if number.startswith('+') else 4]}***{number[-4:]}"


def mask_name(name: str) -> str:
    """``Anna Petrova`` as ``A***``."""
    return f"{name[0]}***" if name else ""


def mask_text(text: str) -> str:
    """A text with its telephone numbers masked."""
    return _NUMBER.sub(lambda found: mask_number(re.sub(r"[^0-9+]", "", found[0])), text)


def strip_bidi(value: Any) -> Any:  # noqa: ANN401 - JSON in, the same without some characters out
    """A text, or every text in lists and dicts, without bidirectional controls."""
    match value:
        case str():
            return value if value.isascii() else _BIDI_CONTROLS.sub("", value)
        case list() | tuple():
            return [strip_bidi(item) for item in value]
        case dict():
            return {name: strip_bidi(item) for name, item in value.items()}
        case _:
            return value


def configure_logging(settings: LogSettings, *, stream: TextIO | LogWriter | None = None) -> None:
    """Set up structlog and the standard library's logging (for libraries) for this process.

    Writes to ``stream``, by default stderr; the daemon passes a LogWriter, which does not block. Under systemd
    (``JOURNAL_STREAM`` names our stderr) lines have a ``<level>`` prefix, which the journal removes, and no time, which
    it adds.
    """
    out = cast("TextIO", sys.stderr if stream is None else stream)  # a LogWriter has the methods that are used
    journal = _is_journal(out)
    least = getattr(logging, settings.level.upper())
    shared: list[Callable[..., Any]] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        hide_secrets,
        hide_bidi,
    ]
    if settings.mask:
        shared.append(mask_people)
    if not journal:
        shared.append(structlog.processors.TimeStamper(fmt="iso", utc=True) if settings.json else add_local_time)
    render: list[Callable[..., Any]] = _renderers(settings, out)
    if journal:
        render.append(_journal_level)
    structlog.configure(
        processors=[*shared, *render],
        wrapper_class=structlog.make_filtering_bound_logger(least),
        logger_factory=structlog.WriteLoggerFactory(out),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render],
        )
    )
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(max(least, logging.INFO))
    accepting = logging.getLogger("trio.serve_listeners")
    for limit in [one for one in accepting.filters if isinstance(one, AcceptLimit)]:
        accepting.removeFilter(limit)
    accepting.addFilter(AcceptLimit())
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)


_MASKS: tuple[tuple[frozenset[str], Callable[[str], str]], ...] = (
    (NUMBER_FIELDS, mask_number),
    (NAME_FIELDS, mask_name),
    (TEXT_FIELDS, mask_text),
)


def add_local_time(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Processor: add the time by the clock on the wall, with its distance from UTC."""
    event["timestamp"] = datetime.fromtimestamp(now()).astimezone().isoformat(timespec="milliseconds")
    return event


def hide_secrets(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Processor: hide the fields that are named like secrets."""
    for name in SECRET_FIELDS.intersection(event):
        event[name] = "(not shown)"
    return event


def hide_bidi(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Processor: remove bidirectional controls from all fields."""
    for name, value in event.items():
        event[name] = strip_bidi(value)
    return event


def mask_people(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Processor: mask numbers and names, alone or in lists."""
    for fields, mask in _MASKS:
        for name in fields.intersection(event):
            event[name] = _masked(event[name], mask)
    return event


def _masked(value: object, mask: Callable[[str], str]) -> object:
    match value:
        case str():
            return mask(value)
        case list() | tuple() | set() | frozenset():
            return [_masked(item, mask) for item in value]
        case _:
            return value


# No local variables: they may contain secrets and numbers.
_TRACEBACKS = structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False))


def _renderers(settings: LogSettings, out: TextIO) -> list[Callable[..., Any]]:
    if settings.json:
        return [_TRACEBACKS, structlog.processors.JSONRenderer(ensure_ascii=False)]
    colours = out.isatty()
    return [
        structlog.dev.ConsoleRenderer(colors=colours, pad_event_to=0, exception_formatter=structlog.dev.plain_traceback)
    ]


def _journal_level(_logger: object, method: str, line: str) -> str:
    return f"<{JOURNAL_LEVELS.get(method, 6)}>{line}"


def _is_journal(out: TextIO) -> bool:
    """JOURNAL_STREAM is ``device:inode`` of the journal's socket; a redirected stderr differs (systemd.exec(5))."""
    journal = os.environ.get("JOURNAL_STREAM", "")
    try:
        status = os.fstat(out.fileno())
    except (OSError, ValueError):
        return False  # a stream without a file, as in tests
    return journal == f"{status.st_dev}:{status.st_ino}"
