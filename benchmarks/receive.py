"""What an AMI event costs on its way in: parsed or dropped unread, tracked, translated. Ratios within one run.

    python benchmarks/receive.py [--rounds N] [FILE.ami]

Without a file the stream is made of the recorded calls in fixtures/, repeated. Each variant runs once a round, in
shuffled order; the table shows the median CPU time an event and its ratio to the first variant of the same round.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

from uac_trio.ami import Event, MessageParser, Wanted
from uac_trio.calls.adapters import is_wanted
from uac_trio.calls.tracker import CallTracker
from uac_trio.transcript import read_transcript

READ = 65536
"""Bytes the AMI client asks the socket for at a time."""

"""What the daemon gets by its event mask; a recording of all classes is two thirds VarSet."""

RECORDED = Path(__file__).resolve().parent.parent / "fixtures" / "ami_transcripts" / "asterisk22"


def recorded_stream(repeat: int) -> bytes:
    """The bytes of all recorded calls that have no protocol peculiarities, one after another."""
    parts = []
    for path in sorted(RECORDED.glob("*.jsonl")):
        if not path.name.startswith("proto_"):
            transcript = read_transcript(path.name, path.read_bytes())
            data = b"".join(chunk.data for chunk in transcript.chunks if chunk.direction == "recv")
            parts.append(data.partition(b"\r\n")[2])
    return b"Asterisk Call Manager/11.0.0\r\n" + b"".join(parts) * repeat


def split_only(reads: list[bytes]) -> int:
    """The floor: find the ends of messages, look at nothing."""
    tail, count = b"", 0
    for data in reads:
        *blocks, tail = (tail + data).split(b"\r\n\r\n")
        count += len(blocks)
    return count


def parse(reads: list[bytes], wanted: Wanted | None) -> int:
    parser = MessageParser(wanted=wanted) if wanted is not None else MessageParser()
    count = 0
    for data in reads:
        parser.receive_data(data)
        while parser.next_message() is not None:
            count += 1
    return count


def track(reads: list[bytes]) -> int:
    parser = MessageParser(wanted=is_wanted)
    tracker = CallTracker("bench")
    count, at = 0, 0.0
    for data in reads:
        parser.receive_data(data)
        at += 0.01
        while (message := parser.next_message()) is not None:
            if isinstance(message, Event):
                count += len(tracker.process(message, at))
        tracker.tick(at)
    return count


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("file", nargs="?", type=Path)
    arguments.add_argument("--rounds", type=int, default=5)
    options = arguments.parse_args()
    stream = options.file.read_bytes() if options.file else recorded_stream(repeat=3)
    reads = [stream[i : i + READ] for i in range(0, len(stream), READ)]
    events = stream.count(b"\r\n\r\n")
    variants: dict[str, Callable[[], int]] = {
        "find the ends of messages only (floor)": lambda: split_only(reads),
        "parse what the tracker wants, drop the rest unread": lambda: parse(reads, is_wanted),
        "parse every event": lambda: parse(reads, None),
        "parse what the tracker wants, and track calls": lambda: track(reads),
    }
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    for _ in range(options.rounds):
        for name in random.sample(list(variants), len(variants)):
            before = time.process_time()
            variants[name]()
            seconds[name].append(time.process_time() - before)
    floor = seconds[next(iter(variants))]
    print(f"{events} messages, {len(stream) / 1e6:.1f} MB, {options.rounds} rounds, Python {sys.version.split()[0]}")
    for name, times in seconds.items():
        ratio = statistics.median(time_ / base for time_, base in zip(times, floor, strict=True))
        each = statistics.median(times) / events * 1e6
        print(f"{each:7.2f} us a message {ratio:6.1f} x floor   {name}")


if __name__ == "__main__":
    main()
