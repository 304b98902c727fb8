"""Where the log goes: a stream on a file descriptor that never blocks its caller and never raises.

A pipe holds 64 KB. When its reader stops reading, write(2) blocks; when its reader is gone, it fails with EPIPE. So the
log is a bounded queue with a thread that writes. What there is no room for, and what cannot be written, is dropped and
counted.
"""

from __future__ import annotations

import contextlib
import os
import select
import sys
import threading
from collections import deque
from collections.abc import Iterator

import attrs
import structlog

log = structlog.get_logger()

ROOM = 4 * 1024 * 1024
"""Characters that wait for the reader: some 20,000 lines, minutes of a busy daemon at level debug."""
LAST_LINES_WITHIN = 1.0
"""Seconds in which the last lines have to be written when the program ends."""


@attrs.define(eq=False)
class LogWriter:
    """What ``configure_logging`` needs of a stream. Each ``write`` is one line of the log, or a traceback."""

    descriptor: int
    room: int = ROOM
    lines_dropped: int = attrs.field(default=0, init=False)
    _lines: deque[str] = attrs.field(factory=deque, init=False)
    _size: int = attrs.field(default=0, init=False)
    """Characters in ``_lines`` and in the line that is being written."""
    _reported: int = attrs.field(default=0, init=False)
    """How many of ``lines_dropped`` the log itself has reported."""
    _is_closed: bool = attrs.field(default=False, init=False)
    _changed: threading.Condition = attrs.field(factory=threading.Condition, init=False)
    _thread: threading.Thread = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def write(self, text: str) -> int:
        """Queue ``text``, or drop it. Returns its length, as streams do."""
        with self._changed:
            if self._is_closed or self._size + len(text) > self.room:
                self.lines_dropped += 1
            else:
                self._lines.append(text)
                self._size += len(text)
                self._changed.notify()
        return len(text)

    def flush(self) -> None:
        """Nothing is held back."""

    def fileno(self) -> int:
        return self.descriptor

    def isatty(self) -> bool:
        return os.isatty(self.descriptor)

    def close(self, within: float) -> bool:
        """Take no more lines and write the queued ones in so many seconds. False: the descriptor blocks for longer."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        self._thread.join(within)
        return not self._thread.is_alive()

    # -- in the thread ------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while (line := self._next()) is not None:
            is_written = self._put(line)
            with self._changed:
                self._size -= len(line)
                self.lines_dropped += not is_written
                # Not before half of the room is free: the report itself must not be dropped.
                unreported = self.lines_dropped - self._reported
                reports = is_written and unreported > 0 and not self._is_closed and self._size <= self.room // 2
                if reports:
                    self._reported = self.lines_dropped
            if reports:
                log.error(
                    "log.lines_dropped",
                    lines=unreported,
                    hint="whatever reads this log stopped reading, or reads too slowly",
                )

    def _next(self) -> str | None:
        """The next line; None: closed, and there is no more."""
        with self._changed:
            while not self._lines and not self._is_closed:
                self._changed.wait()
            return self._lines.popleft() if self._lines else None

    def _put(self, line: str) -> bool:
        """Blocking. Whether the whole line was written."""
        left = line.encode(errors="backslashreplace")
        try:
            while left:
                try:
                    left = left[os.write(self.descriptor, left) :]
                except BlockingIOError:  # another process made the terminal or pipe that we share non-blocking
                    _wait_until_writable(self.descriptor)
        except OSError:  # EPIPE: the reader is gone; ENOSPC: the disk is full. Either may be over at the next line
            return False
        return True


def _wait_until_writable(descriptor: int) -> None:
    waiting = select.poll()
    waiting.register(descriptor, select.POLLOUT)
    waiting.poll()


@contextlib.contextmanager
def open_log() -> Iterator[LogWriter | None]:
    """A writer to stderr; None where stderr has no descriptor (none at all, or memory) and so cannot block.

    On leaving, the last lines are written. If stderr is stuck it is taken away from the process: a message to it would
    keep the process from ending.
    """
    try:
        descriptor = sys.stderr.fileno()
    except (AttributeError, OSError, ValueError):
        yield None
        return
    writer = LogWriter(descriptor)
    try:
        yield writer
    finally:
        if not writer.close(LAST_LINES_WITHIN):
            sys.stderr = None
