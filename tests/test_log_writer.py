"""The log's stream on real pipes whose reader is slow, stops or is gone."""

from __future__ import annotations

import io
import json
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import attrs
import pytest
import structlog

from tests.pipes import FILLER, fill
from uac_trio.log_writer import LogWriter, open_log
from uac_trio.logs import LogSettings, configure_logging

PIPE = 64 * 1024
"""What the kernel keeps of a pipe that is not read (pipe(7))."""


@attrs.define
class Piped:
    writer: LogWriter
    reader: int

    def rest(self) -> bytes:
        """What comes until the writer has written all and its end is closed."""
        data = bytearray()
        done = threading.Event()

        def read() -> None:
            while chunk := os.read(self.reader, PIPE):
                data.extend(chunk)
            done.set()

        threading.Thread(target=read, daemon=True).start()
        assert self.writer.close(within=10)
        os.close(self.writer.descriptor)
        assert done.wait(10)
        return bytes(data)


@contextmanager
def piped(room: int) -> Iterator[Piped]:
    reader, descriptor = os.pipe()
    try:
        yield Piped(LogWriter(descriptor, room=room), reader)
    finally:
        os.close(reader)


def test_every_line_in_order() -> None:
    """All lines arrive, in their order, whole, and none is counted as dropped."""
    with piped(room=10_000_000) as pipe:
        lines = [f"{number} {'ж' * 50}\n" for number in range(5_000)]
        for line in lines:
            pipe.writer.write(line)
        assert pipe.rest().decode() == "".join(lines)
        assert pipe.writer.lines_dropped == 0


def test_reader_that_stops_reading() -> None:
    """With the pipe full, writing returns at once. What finds no room is dropped, counted, and reported when there is
    room again."""
    with piped(room=20_000) as pipe:
        fill(pipe.writer.descriptor)
        configure_logging(LogSettings(json=True), stream=pipe.writer)
        for number in range(3_000):
            structlog.get_logger().info("test.line", number=number)
        dropped = pipe.writer.lines_dropped
        assert dropped > 1_000
        seen = bytearray()
        while b"log.lines_dropped" not in seen:
            seen += os.read(pipe.reader, PIPE)
        lines = [json.loads(line) for line in (bytes(seen) + pipe.rest()).lstrip(FILLER).splitlines()]
    (report,) = [line for line in lines if line["event"] == "log.lines_dropped"]
    numbers = [line["number"] for line in lines if line["event"] == "test.line"]
    assert report["lines"] == dropped
    assert report["level"] == "error"
    assert len(numbers) + dropped == 3_000
    assert numbers == list(range(len(numbers)))


def test_reader_that_is_gone() -> None:
    """EPIPE raises nothing; each line is counted."""
    reader, descriptor = os.pipe()
    writer = LogWriter(descriptor)
    os.close(reader)
    for _ in range(10):
        writer.write("a line\n")
    assert writer.close(within=10)
    assert writer.lines_dropped == 10
    writer.write("too late\n")
    assert writer.lines_dropped == 11
    os.close(descriptor)


def test_descriptor_that_another_process_made_non_blocking() -> None:
    """EAGAIN is waited out: no line is lost or cut."""
    with piped(room=10_000_000) as pipe:
        os.set_blocking(pipe.writer.descriptor, False)
        text = "".join(f"{number:0999}\n" for number in range(300))
        for line in text.splitlines(keepends=True):
            pipe.writer.write(line)
        assert pipe.rest().decode() == text


def test_stuck_descriptor_does_not_keep_the_program_from_ending(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the last lines cannot be written, leaving takes no longer than its second, and stderr is given up."""
    reader, descriptor = os.pipe()
    monkeypatch.setattr(sys, "stderr", os.fdopen(descriptor, "w"))
    monkeypatch.setattr("uac_trio.log_writer.LAST_LINES_WITHIN", 0.05)
    stream = sys.stderr
    with open_log() as writer:
        assert writer is not None
        writer.write("x" * (2 * PIPE))
    assert sys.stderr is None
    os.close(reader)  # the thread ends with EPIPE
    stream.close()


@pytest.mark.parametrize("stream", [io.StringIO(), None])
def test_stderr_that_is_no_file(monkeypatch: pytest.MonkeyPatch, stream: io.StringIO | None) -> None:
    """Without a descriptor there is no thread: the log goes where it went before."""
    monkeypatch.setattr(sys, "stderr", stream)
    with open_log() as writer:
        assert writer is None
