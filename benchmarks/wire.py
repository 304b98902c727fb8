"""From an event on the wire to the request on the wire: the daemon between a busy PBX and a CRM that answers at once.

    python benchmarks/wire.py [--rate EVENTS_A_SECOND ...] [--seconds N] [--rounds N] [--peer-python PYTHON]

All three are processes of their own; the store is SQLite in a temporary directory. Counted is the time from when the
event was written to the socket until the request that follows from it was read by the CRM: the first request of each
delivery that follows from an event, which are DialBegin, DialAnswer and Hangup. ``PYTHON`` is one that can import
panoramisk and aiohttp, for the peer; without it there is none.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import tomllib
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs

import attrs

AROUND = Path(__file__).resolve().parent / "around"
ROOT = AROUND.parents[1]
PEER = "panoramisk + aiohttp"
PATIENCE = 30.0
"""Seconds without another request after which those that are missing are given up."""

CONFIGURATION = """
[[pbx]]
name = "main"
host = "127.0.0.1"
port = {ami}
username = "benchmark"
secret = "benchmark"
originate_channel = "PJSIP/{{extension}}"
originate_context = "from-internal"

[calls]
extensions = '^\\d{{2,5}}$'

[vtiger]
url = "{crm}"
secret = "benchmark"
timezone = "UTC"

[http]
bind = "127.0.0.1:{http}"

[store]
url = "sqlite:///{store}"
"""

Client = Callable[[Path, int, str], list[str]]
"""The command for a directory of its own, the PBX's port and the CRM's address."""


@attrs.frozen
class Figure:
    took: list[float]
    """Seconds, of each request that was awaited and came."""
    missing: int
    cpu: float
    """Seconds for an event."""
    pace: float
    """Events a second that were sent."""
    durable: float
    """Events a second until all that follows from them was in the store; the peer has none."""


def daemon(directory: Path, ami: int, crm: str) -> list[str]:
    path = directory / "uac-trio.toml"
    path.write_text(CONFIGURATION.format(ami=ami, crm=crm, http=free_port(), store=directory / "store.db"))
    return [sys.executable, "-m", "uac_trio", "run", "--config", str(path)]


def peer(python: str) -> Client:
    return lambda _, ami, crm: [python, str(AROUND / "panoramisk_aiohttp.py"), str(ami), crm]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextmanager
def process(command: list[str], errors: Path) -> Iterator[subprocess.Popen[str]]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with errors.open("w") as stderr:
        popen = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, text=True, env=environment
        )
        with popen:
            try:
                yield popen
            finally:
                popen.terminate()


def line_of(popen: subprocess.Popen[str], errors: Path) -> str:
    assert popen.stdout is not None
    if not (line := popen.stdout.readline()):
        sys.exit(f"{popen.args}: {errors.read_text()[-500:]}")
    return line


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measured(client: Client, rate: float, seconds: float, *, is_peer: bool) -> Figure:
    with tempfile.TemporaryDirectory(prefix="uac-bench-") as folder:
        directory = Path(folder)
        logs = [directory / name for name in ("crm.log", "pbx.log", "client.log")]
        pbx_command = [sys.executable, str(AROUND / "busy_pbx.py"), str(rate), str(seconds), *["peer"] * is_peer]
        with (
            process([sys.executable, str(AROUND / "instant_crm.py")], logs[0]) as crm,
            process(pbx_command, logs[1]) as pbx,
        ):
            url = f"http://127.0.0.1:{int(line_of(crm, logs[0]))}"
            command = client(directory, int(line_of(pbx, logs[1])), f"{url}/PBXManager.php")
            with process(command, logs[2]) as popen:
                line_of(pbx, logs[1])  # begun
                before = cpu_seconds(popen.pid)
                begun_at = time.monotonic()
                load = json.loads(line_of(pbx, logs[1]))
                if not is_peer:
                    until_stored(directory)
                stored_in = time.monotonic() - begun_at
                arrived = all_arrived(url, load["noted"])
                cpu = cpu_seconds(popen.pid) - before
        took = [arrived[key] - at for key, at in load["noted"].items() if key in arrived]
        return Figure(
            took=took,
            missing=len(load["noted"]) - len(took),
            cpu=cpu / load["events"],
            pace=load["events"] / load["seconds"],
            durable=load["events"] / stored_in,
        )


def until_stored(directory: Path) -> None:
    """Nothing that the daemon of this directory has concluded is in its memory alone."""
    bind = tomllib.loads((directory / "uac-trio.toml").read_text())["http"]["bind"]
    while True:
        with urllib.request.urlopen(f"http://{bind}/healthz") as reply:
            if json.load(reply)["store"]["in_memory"] == 0:
                return
        time.sleep(0.02)


def all_arrived(url: str, noted: dict[str, float]) -> dict[str, float]:
    """When each request was there first; waits until no more of them come."""
    count, changed_at = -1, time.monotonic()
    while True:
        with urllib.request.urlopen(f"{url}/seen") as reply:
            seen: list[tuple[float, str]] = json.load(reply)
        arrived: dict[str, float] = {}
        for at, body in seen:
            form = parse_qs(body)
            arrived.setdefault(f"{form['callstatus'][0]} {form['callUUID'][0]}", at)
        if arrived.keys() >= noted.keys():
            return arrived
        if len(seen) != count:
            count, changed_at = len(seen), time.monotonic()
        elif time.monotonic() - changed_at > PATIENCE:
            return arrived
        time.sleep(1.0)


def can_import(python: str) -> bool:
    run = subprocess.run([python, "-c", "import panoramisk, aiohttp"], capture_output=True, check=False)
    return run.returncode == 0


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rate", type=float, nargs="*", default=[100, 5000, 20000])
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peer-python", default=sys.executable)
    arguments = parser.parse_args()
    clients: dict[str, Client] = {"uac-trio": daemon}
    if can_import(arguments.peer_python):
        clients[PEER] = peer(arguments.peer_python)
    else:
        print("panoramisk and aiohttp cannot be imported: there is no peer (--peer-python)\n")
    found: dict[tuple[float, str], list[Figure]] = {}
    for _ in range(arguments.rounds):
        for rate in arguments.rate:
            # At a slow pace more seconds, for as many requests as a percentile needs.
            seconds = max(arguments.seconds, 3000 / rate)
            for name in random.sample(list(clients), len(clients)):
                found.setdefault((rate, name), []).append(
                    measured(clients[name], rate, seconds, is_peer=clients[name] is not daemon)
                )
    print(
        "| events/s | who | requests | missing | p50 ms | p99 ms | most ms | us CPU an event | events/s to the store |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for (rate, name), figures in found.items():
        parts = [statistics.quantiles(figure.took, n=100) for figure in figures]
        p50, p99 = (1000 * statistics.median(part[at] for part in parts) for at in (49, 98))
        most = 1000 * statistics.median(max(figure.took) for figure in figures)
        pace = statistics.median(figure.pace for figure in figures)
        sent = f"{rate:,.0f}" if pace > 0.97 * rate else f"{rate:,.0f} (sent {pace:,.0f})"
        requests, missing = sum(len(figure.took) for figure in figures), sum(figure.missing for figure in figures)
        cpu = 1e6 * statistics.median(figure.cpu for figure in figures)
        durable = "-" if name == PEER else f"{statistics.median(figure.durable for figure in figures):,.0f}"
        print(
            f"| {sent} | {name} | {requests} | {missing} | {p50:.1f} | {p99:.1f} | {most:.0f} | {cpu:.0f} | {durable} |"
        )


if __name__ == "__main__":
    main()
