"""What the commands cost: CPU and memory of whole processes, as a user starts them.

    python benchmarks/commands.py [--rounds N] [--peer-python PYTHON]

``replay`` reads the recorded stream of fixtures/ami_streams beside panoramisk, which only parses it.
"""

from __future__ import annotations

import argparse
import lzma
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
RECORDED = ROOT / "fixtures" / "ami_streams" / "asterisk22.ami.xz"
SMALL = ROOT / "fixtures" / "ami_transcripts" / "asterisk22" / "inbound_answered.jsonl"
CONFIG = """
[[pbx]]
name = "main"
host = "127.0.0.1"
username = "crm"
secret = "ami"
[vtiger]
url = "http://vtiger/modules/PBXManager/callbacks/PBXManager.php"
secret = "crm"
[http]
public_url = "http://172.16.1.1:5000"
"""
PEER = "panoramisk, parsing alone"


@attrs.frozen
class Cost:
    cpu: float
    """Seconds."""
    rss: float
    """Largest, MB."""


def cost(command: Sequence[str]) -> Cost:
    with open(os.devnull, "wb") as nothing:
        child = subprocess.Popen(command, stdout=nothing, cwd=ROOT)
        _, status, used = os.wait4(child.pid, 0)
    assert status == 0, command
    return Cost(used.ru_utime + used.ru_stime, used.ru_maxrss / 1000)


def commands(stream: Path, config: Path, peer_python: str) -> Mapping[str, Sequence[str]]:
    own = [sys.executable, "-m", "uac_trio"]
    found = {
        "--version": [*own, "--version"],
        "--help": [*own, "--help"],
        "check": [*own, "check", "--config", str(config)],
        "replay of a small file": [*own, "replay", "--calls", str(SMALL)],
        "replay of 108 MB": [*own, "replay", "--calls", str(stream)],
    }
    if peer_python:
        found[PEER] = [peer_python, str(HERE / "around" / "panoramisk_parse.py"), str(stream)]
    return found


def measured(rounds: int, peer_python: str) -> dict[str, list[Cost]]:
    """In the same order in each round, so that what is compared was measured side by side."""
    with tempfile.TemporaryDirectory(prefix="uac-bench-") as folder:
        stream = Path(folder) / "recorded.ami"
        with lzma.open(RECORDED) as packed, stream.open("wb") as file:
            shutil.copyfileobj(packed, file)  # in pieces: a child's largest memory begins with that of its parent
        config = Path(folder) / "uac-trio.toml"
        config.write_text(CONFIG)
        chosen = commands(stream, config, peer_python)
        found: dict[str, list[Cost]] = {name: [] for name in chosen}
        for _ in range(rounds):
            for name, command in chosen.items():
                found[name].append(cost(command))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peer-python", default="")
    options = parser.parse_args()
    found = measured(options.rounds, options.peer_python)
    print("| command | s CPU | MB |\n|---|---|---|")
    for name, costs in found.items():
        cpu, rss = (statistics.median(values) for values in zip(*map(attrs.astuple, costs), strict=True))
        print(f"| {name} | {cpu:.2f} | {rss:.0f} |")


if __name__ == "__main__":
    main()
