"""What an AMI event costs on its way in: dropped unread or parsed, tracked, rendered; beside panoramisk, which parses.

    python benchmarks/receive.py [--rounds N] [--peer-python PYTHON] [FILE.ami ...]

Without files two streams: what a generated server with 100 calls at once sends (around/busy_pbx.py), and the recorded
one of fixtures/ami_streams, an Asterisk 22 under load, all event classes in both. Each variant runs once a round in
shuffled order, in a process of its own; the table shows medians of CPU time, and of the ratio to the peer in the same
round. ``PYTHON`` is one that can import panoramisk.
"""

from __future__ import annotations

import argparse
import json
import lzma
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from uac_trio.ami.message import Banner, Message
from uac_trio.ami.parser import MessageParser, Wanted
from uac_trio.calls.adapters import is_wanted
from uac_trio.calls.rules import TrackerRules
from uac_trio.crm.protocol import Surroundings
from uac_trio.crm.vtiger import VtigerSettings
from uac_trio.pipeline import Pipeline

READ = 65536
"""Bytes the AMI client asks the socket for at a time."""
HERE = Path(__file__).resolve().parent
RECORDED = HERE.parent / "fixtures" / "ami_streams" / "asterisk22.ami.xz"
GENERATED = 100_000
"""Events."""
PEER = "panoramisk, every event"


def reads(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while data := file.read(READ):
            yield data


def messages(parser: MessageParser, data: bytes) -> list[Message]:
    parser.receive_data(data)
    return [message for message in iter(parser.next_message, None) if not isinstance(message, Banner)]


def split_only(path: Path) -> int:
    """The floor: find the ends of messages, look at nothing."""
    tail, count = b"", 0
    for data in reads(path):
        *blocks, tail = (tail + data).split(b"\r\n\r\n")
        count += len(blocks)
    return count


def parse(path: Path, wanted: Wanted | None) -> int:
    parser = MessageParser(wanted=wanted)
    return sum(len(messages(parser, data)) for data in reads(path))


def track(path: Path) -> int:
    """Parse what is wanted, track the calls, and render the requests that follow."""
    rules = TrackerRules()
    crm = VtigerSettings(url="http://crm.example/", secret="s").crm(Surroundings(is_extension=rules.is_extension))
    pipeline = Pipeline(rules, crm, lambda _: "")
    parser = MessageParser(wanted=is_wanted)
    at, count = 1_795_414_019.0, 0
    pipeline.connected("bench", at, "Asterisk Call Manager/11.0.0")
    for data in reads(path):
        at += 0.01
        deliveries = pipeline.tick(at) + pipeline.received("bench", messages(parser, data), at)
        count += sum(len(crm.requests(delivery)) for delivery in deliveries)
    return count


VARIANTS: Mapping[str, Callable[[Path], int]] = {
    "ends of messages only (floor)": split_only,
    "parse what the tracker wants": lambda path: parse(path, is_wanted),
    "parse every event": lambda path: parse(path, None),
    "parse what it wants, track, render": track,
}


def alone(variant: str, path: Path) -> float:
    """Seconds of CPU, in a process of its own."""
    run = subprocess.run(
        [sys.executable, __file__, "--variant", variant, str(path)], check=True, capture_output=True, text=True
    )
    return float(json.loads(run.stdout))


def of_peer(python: str, path: Path) -> float:
    command = [python, str(HERE / "around" / "panoramisk_parse.py"), str(path)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[1])


def write_streams(folder: Path) -> dict[str, Path]:
    """The files of both streams, by name."""
    from around.busy_pbx import BANNER, Calls

    generated, recorded = folder / "generated.ami", folder / "recorded.ami"
    with generated.open("wb") as file:
        file.write(BANNER)
        file.writelines(Calls(random.Random(1), 1_795_414_019).stream(GENERATED, 100))
    with lzma.open(RECORDED) as packed, recorded.open("wb") as file:
        file.write(packed.read(25_000_000))
    return {"generated": generated, "recorded": recorded}


def measured(path: Path, rounds: int, peer_python: str) -> dict[str, list[float]]:
    """Seconds of CPU of each variant in each round."""
    runs: dict[str, Callable[[], float]] = {name: lambda name=name: alone(name, path) for name in VARIANTS}
    if peer_python:
        runs[PEER] = lambda: of_peer(peer_python, path)
    found: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name in random.sample(list(runs), len(runs)):
            found[name].append(runs[name]())
    return found


def ratio(found: Mapping[str, list[float]], name: str) -> float:
    """How many times quicker than the peer, the median over the rounds."""
    return statistics.median(peer / own for peer, own in zip(found[PEER], found[name], strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peer-python", default="")
    parser.add_argument("--variant", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.variant:
        before = time.process_time()
        VARIANTS[options.variant](options.files[0])
        print(time.process_time() - before)
        return
    with tempfile.TemporaryDirectory(prefix="uac-bench-") as folder:
        streams = {path.name: path for path in options.files} or write_streams(Path(folder))
        for name, path in streams.items():
            events = path.read_bytes().count(b"\r\n\r\n")
            found = measured(path, options.rounds, options.peer_python)
            print(f"\n{name}: {events:,} messages, {path.stat().st_size / 1e6:.0f} MB, {options.rounds} rounds\n")
            print("| variant | us a message | times the peer |\n|---|---|---|")
            for variant, seconds in found.items():
                times = f"{ratio(found, variant):.1f}" if PEER in found else "-"
                print(f"| {variant} | {1e6 * statistics.median(seconds) / events:.2f} | {times} |")


if __name__ == "__main__":
    main()
