"""All figures with their goals, side by side; takes some ten minutes on a machine that does nothing else.

    python benchmarks/table.py [--rounds N] [--peer-python PYTHON] [--only WORD]

``PYTHON`` is one that can import panoramisk and aiohttp; ``nox -s bench`` makes it. Without it the rows that compare
are left out. RESULTS.md keeps what this printed.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import attrs
import commands
import listen
import memory
import receive
import scale
import wire

MB = "{:.0f} MB"
SECONDS = "{:.2f} s"
TIMES = "{:.2f}x"


@attrs.frozen
class Row:
    what: str
    goal: str
    measured: str


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def of_commands(rounds: int, peer: str) -> Iterator[Row]:
    found = commands.measured(rounds, peer)
    big = found["replay of 108 MB"]
    if peer:
        ratio = median([theirs.cpu / own.cpu for theirs, own in zip(found[commands.PEER], big, strict=True)])
        yield Row(
            "`replay --calls` of the recorded stream, against panoramisk only parsing", ">= 1.6x", TIMES.format(ratio)
        )
    yield Row("its memory, 108 MB of AMI", "<= 80 MB", MB.format(median([one.rss for one in big])))
    goals = {"--version": 0.15, "--help": 0.15, "check": 0.4, "replay of a small file": 0.25}
    for name, goal in goals.items():
        yield Row(f"`{name}`, CPU", f"<= {goal} s", SECONDS.format(median([one.cpu for one in found[name]])))


def of_receiving(rounds: int, peer: str) -> Iterator[Row]:
    if not peer:
        return
    with tempfile.TemporaryDirectory(prefix="uac-bench-") as folder:
        for name, path in receive.write_streams(Path(folder)).items():
            found = receive.measured(path, rounds, peer)
            parse = receive.ratio(found, "parse what the tracker wants")
            whole = receive.ratio(found, "parse what it wants, track, render")
            goal = {"generated": ">= 12x", "recorded": ">= 9x"}[name]
            yield Row(f"parse what the tracker wants, {name} stream, against panoramisk", goal, TIMES.format(parse))
            yield Row(f"the pipeline in process, {name} stream, the same", ">= 2.5x", TIMES.format(whole))


def of_scale(rounds: int, _: str) -> Iterator[Row]:
    calls, legs = scale.ratios(rounds)
    yield Row("time for an event, 10,000 open calls against 10", "<= 1.2x", TIMES.format(calls))
    yield Row("time for an event, a call of 10,000 channels against one of 1,000", "linear", TIMES.format(legs))


def of_wire(rounds: int, peer: str) -> Iterator[Row]:
    def run(client: wire.Client, rate: float, *, is_peer: bool = False) -> wire.Figure:
        return wire.measured(client, rate, 5.0, is_peer=is_peer)

    if peer:
        other = wire.peer(peer)
        flat = [(run(wire.daemon, float("inf")), run(other, float("inf"), is_peer=True)) for _ in range(rounds)]
        paced = [(run(wire.daemon, 20_000), run(other, 20_000, is_peer=True)) for _ in range(rounds)]
        read, stored = (
            median([own.pace / theirs.pace for own, theirs in flat]),
            median([own.durable / theirs.pace for own, theirs in flat]),
        )
        yield Row("daemon flat out, events off the socket, against panoramisk + aiohttp", ">= 1.5x", TIMES.format(read))
        yield Row("the same until all that follows is in the store", ">= 1.5x", TIMES.format(stored))
        cpu = [1e6 * median([figure.cpu for figure in figures]) for figures in zip(*paced, strict=True)]
        yield Row("CPU an event at 20,000 events/s", f"<= {cpu[1]:.0f} us, the peer's", f"{cpu[0]:.0f} us")
    for rate, goal in ((100.0, "5 / 10"), (5000.0, "5 / 20"), (20_000.0, "10 / 50")):
        figures = [wire.measured(wire.daemon, rate, max(5.0, 1500 / rate), is_peer=False) for _ in range(rounds)]
        parts = [statistics.quantiles(figure.took, n=100) for figure in figures]
        p50, p99 = (1000 * median([part[at] for part in parts]) for at in (49, 98))
        yield Row(f"wire to wire at {rate:,.0f} events/s, p50 / p99", f"<= {goal} ms", f"{p50:.1f} / {p99:.1f} ms")


def of_memory(_: int, __: str) -> Iterator[Row]:
    found = memory.measured(10_000)
    yield Row("daemon, idle", "<= 65 MB", MB.format(found.idle))
    yield Row("after 10,000 calls, against idle", "<= 1.2x", TIMES.format(found.after / found.idle))


def of_listening(rounds: int, _: str) -> Iterator[Row]:
    found = [listen.measured(50) for _ in range(rounds)]
    ratios = [own / nginx for own, nginx in found if nginx]
    if ratios:
        yield Row("`/recording`, 50 listeners, CPU a MB against nginx", "<= 15x", f"{median(ratios):.0f}x")


SECTIONS: dict[str, Callable[[int, str], Iterator[Row]]] = {
    "commands": of_commands,
    "receive": of_receiving,
    "scale": of_scale,
    "wire": of_wire,
    "memory": of_memory,
    "listen": of_listening,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peer-python", default="")
    parser.add_argument("--only", choices=SECTIONS)
    options = parser.parse_args()
    print(f"Python {platform.python_version()}, {platform.machine()}, medians of {options.rounds} rounds\n")
    print("| what | goal | measured |\n|---|---|---|")
    for name, rows in SECTIONS.items():
        if options.only in (None, name):
            for row in rows(options.rounds, options.peer_python):
                print(f"| {row.what} | {row.goal} | {row.measured} |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
