"""The daemon's memory: idle, and once so many calls have come and gone.

    python benchmarks/memory.py [--calls N]

PBX and CRM as in wire.py, 80 calls a second.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import attrs
from around.busy_pbx import EVENTS_A_CALL
from wire import AROUND, cpu_seconds, daemon, line_of, process

CALLS_A_SECOND = 80
SETTLES = 3.0
"""Seconds after its start, and after the last call."""


@attrs.frozen
class Memory:
    """Resident, MB."""

    idle: float
    after: float


def rss(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096 / 1e6


def until_still(pid: int) -> None:
    """Until it computes nothing for a while: all is delivered."""
    before = -1.0
    while cpu_seconds(pid) - before > 0.2:
        before = cpu_seconds(pid)
        time.sleep(SETTLES)


def idle() -> float:
    """Of a daemon whose PBX is away, with a database that was there before."""
    with tempfile.TemporaryDirectory(prefix="uac-bench-") as folder:
        command = daemon(Path(folder), 1, "http://127.0.0.1:9/PBXManager.php")
        found = 0.0
        for _ in range(2):
            with process(command, Path(folder) / "client.log") as running:
                time.sleep(SETTLES)
                found = rss(running.pid)
        return found


def after(calls: int) -> float:
    rate = CALLS_A_SECOND * EVENTS_A_CALL
    with tempfile.TemporaryDirectory(prefix="uac-bench-") as folder:
        logs = [Path(folder) / name for name in ("crm.log", "pbx.log", "client.log")]
        pbx_command = [sys.executable, str(AROUND / "busy_pbx.py"), str(rate), str(calls / CALLS_A_SECOND)]
        with (
            process([sys.executable, str(AROUND / "instant_crm.py")], logs[0]) as crm,
            process(pbx_command, logs[1]) as pbx,
        ):
            url = f"http://127.0.0.1:{int(line_of(crm, logs[0]))}/PBXManager.php"
            with process(daemon(Path(folder), int(line_of(pbx, logs[1])), url), logs[2]) as running:
                line_of(pbx, logs[1])
                line_of(pbx, logs[1])
                until_still(running.pid)
                return rss(running.pid)


def measured(calls: int) -> Memory:
    return Memory(idle=idle(), after=after(calls))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--calls", type=int, default=10_000)
    memory = measured(parser.parse_args().calls)
    print(f"idle {memory.idle:.0f} MB, afterwards {memory.after:.0f} MB, {memory.after / memory.idle:.2f}x")


if __name__ == "__main__":
    main()
