"""The daemon's memory: idle, and once so many calls have come and gone. And what a recording costs that it serves.

    python benchmarks/memory.py [--calls N]

PBX and CRM as in wire.py. The recording is read by 50 listeners at once; nginx, if it is installed, serves the same.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import attrs
from wire import AROUND, CONFIGURATION, free_port, line_of, process

SETTLES = 3.0
LISTENERS = 50
MEGABYTES = 4


@attrs.frozen
class Memory:
    """MB."""

    idle: float
    after: float


def rss(pid: int) -> float:
    fields = Path(f"/proc/{pid}/statm").read_text().split()
    return int(fields[1]) * 4096 / 1e6


def measured(calls: int) -> Memory:
    """``calls`` at 80 a second."""
    from around.busy_pbx import EVENTS_A_CALL

    rate = 80 * EVENTS_A_CALL
    with tempfile.TemporaryDirectory(prefix="uac-bench-") as folder:
        directory = Path(folder)
        logs = [directory / name for name in ("crm.log", "pbx.log", "client.log")]
        pbx_command = [sys.executable, str(AROUND / "busy_pbx.py"), str(rate), str(calls / 80)]
        with (
            process([sys.executable, str(AROUND / "instant_crm.py")], logs[0]) as crm,
            process(pbx_command, logs[1]) as pbx,
        ):
            url = f"http://127.0.0.1:{int(line_of(crm, logs[0]))}/PBXManager.php"
            port = int(line_of(pbx, logs[1]))
            path = directory / "uac-trio.toml"
            path.write_text(CONFIGURATION.format(ami=port, crm=url, http=free_port(), store=directory / "store.db"))
            with process([sys.executable, "-m", "uac_trio", "run", "--config", str(path)], logs[2]) as daemon:
                line_of(pbx, logs[1])
                idle = rss(daemon.pid)
                line_of(pbx, logs[1])
                time.sleep(SETTLES)
                return Memory(idle=idle, after=rss(daemon.pid))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--calls", type=int, default=10_000)
    memory = measured(parser.parse_args().calls)
    print(f"idle {memory.idle:.0f} MB, afterwards {memory.after:.0f} MB, {memory.after / memory.idle:.2f}")


if __name__ == "__main__":
    main()
