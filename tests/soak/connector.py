"""A connector of the soak: the daemon as a process of its own, its way to the PBX, and what it cannot have seen."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import pairwise
from pathlib import Path
from typing import TextIO

import attrs
import trio

from tests.faults.proxy import Proxy
from uac_trio.transcript import Chunk, epoch_note, format_chunk

MARGIN = 1.0
"""Seconds before a kill of which the events may not have been committed."""
WIRE = 0.3
"""Seconds for which an event may be on its way when a connection breaks."""
STARTS_WITHIN = 30.0

CONFIG = """
[[pbx]]
name = "main"
host = "127.0.0.1"
port = {ami_port}
username = "demo"
secret = "demo"
connect_timeout = 2
login_timeout = 3
ping_interval = 1
answer_timeout = 2
backoff_min = 0.1
backoff_max = 0.5
[vtiger]
url = "http://127.0.0.1:{crm_port}/modules/PBXManager/callbacks/PBXManager.php"
secret = "{secret}"
[http]
bind = "127.0.0.1:0"
public_url = "http://connector.example:5000"
grace_seconds = 0.2
[store]
url = "{store}"
busy_timeout = 1
[sender]
connect_timeout = 1
reply_timeout = 1
retry_min = 0.1
retry_max = 2
away_max = 1
unknown_pause = 2
shutdown_grace = 1
[log]
level = "info"
json = true
"""
"""Everything as short as it may be: a lease, and so what a killed connector leaves behind, lasts 10 s."""


@attrs.define(eq=False)
class Connector:
    """Times are seconds since the epoch."""

    name: str
    folder: Path
    proxy: Proxy
    now: Callable[[], float]
    blind: list[tuple[float, float]] = attrs.field(factory=list)
    """From when to when it was not there to see, or was killed before it had written down what it saw."""
    forgot: list[tuple[float, float]] = attrs.field(factory=list)
    """The latter alone, and of what was on its way when a connection broke."""
    snapshots: list[float] = attrs.field(factory=list)
    """When it was given a list of channels."""
    blind_since: float | None = 0.0
    frozen_since: float = math.inf
    """Infinite: it is not. What does not fit into its socket meanwhile is lost with the connection."""
    kills: int = 0
    _process: trio.Process | None = None
    _heard: TextIO | None = None
    _connection: int = 0
    _first_connections: list[int] = attrs.field(factory=list)
    """Of each life of the process: its number."""
    _began: float = 0.0
    _log: Path = attrs.field(default=attrs.Factory(lambda self: self.folder / f"{self.name}.log", takes_self=True))

    def __attrs_post_init__(self) -> None:
        self.proxy.look = self._look
        self.proxy.lost = self._lose_sight

    def configure(self, *, crm_port: int, secret: str, store: str) -> None:
        path = self.folder / f"{self.name}.toml"
        path.write_text(CONFIG.format(ami_port=self.proxy.port, crm_port=crm_port, secret=secret, store=store))
        path.chmod(0o600)

    async def start(self) -> None:
        """Start it. ``watching`` waits until it sees the PBX."""
        self._first_connections.append(self.proxy.connections + 1)
        with self._log.open("ab") as log:
            self._process = await trio.lowlevel.open_process(
                [sys.executable, "-m", "uac_trio", "run", "--config", str(self.folder / f"{self.name}.toml")],
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )

    async def watching(self) -> None:
        with trio.fail_after(STARTS_WITHIN):
            while self.blind_since is not None:
                if self.ended is not None:  # it found its store locked; systemd would start it again, and so do we
                    await self.start()
                await trio.sleep(0.05)

    async def stop(self, how: signal.Signals, committed_since: float) -> None:
        """End it. What it received after ``committed_since`` may be lost when it is killed."""
        process, self._process = self._process, None
        if process is None or process.returncode is not None:
            return
        before = MARGIN if how is signal.SIGKILL else WIRE
        self.forgot.append((min(self.now() - before, committed_since), self.now() + WIRE))
        self.blind_since = min(self.now() - before, committed_since, self.blind_since or self.now())
        process.send_signal(how)
        await process.wait()
        self.kills += how is signal.SIGKILL

    async def freeze(self, seconds: float) -> None:
        """A host that hangs for a while and then goes on as if nothing had been."""
        process = self._process
        if process is None:
            return
        since = self.frozen_since = self.now() - WIRE
        process.send_signal(signal.SIGSTOP)
        try:
            await trio.sleep(seconds)
        finally:
            process.send_signal(signal.SIGCONT)
            self.frozen_since = math.inf
            self.blind.append((since, self.now() + MARGIN))

    @property
    def ended(self) -> int | None:
        """The exit code of a process that ended by itself."""
        return self._process.returncode if self._process is not None else None

    def stall(self) -> None:
        """Half-open: it may not notice for a while."""
        if self.proxy.stall():
            self._lose_sight()

    def knows(self, times: Iterable[float]) -> bool:
        """Did it see what happened at these ``times``, in one life or in several?"""
        return all(map(self._saw, times))

    def may_have_forgotten(self, times: Iterable[float]) -> bool:
        """Was it killed right after it had seen something of these ``times``, or a list of channels meanwhile?"""
        seen = [*times]
        seen += [at for at in self.snapshots if min(seen) <= at <= max(seen)]
        return any(since <= at <= until for at in seen for since, until in self.forgot)

    def heard(self) -> list[Path]:
        """Transcripts of its connections."""
        if self._heard is not None:
            self._heard.close()
        return sorted(self.folder.glob(f"{self.name}-[0-9]*.jsonl"))

    def lives(self) -> list[list[Path]]:
        """The same, by the life of the process that heard it."""
        paths = self.heard()
        first = [bisect_left(paths, self._path(number)) for number in self._first_connections]
        return [paths[begin:end] for begin, end in pairwise([*first, len(paths)])]

    def _path(self, connection: int) -> Path:
        return self.folder / f"{self.name}-{connection:04}.jsonl"

    def _saw(self, at: float) -> bool:
        if self.blind_since is not None and at >= self.blind_since:
            return False
        return not any(since <= at <= until for since, until in self.blind)

    def logged(self) -> Counter[str]:
        """How often each event that an administrator has to know was logged."""
        found: Counter[str] = Counter()
        for line in self._log.read_text(errors="replace").splitlines():
            for word in ("daemon.digest_failed", "daemon.starting_over", "daemon.requests_lost", "sender.parked",
                         "sender.lease_lost", "outbox.fails", "daemon.shutdown_cut_short", "Traceback"):  # fmt: skip
                found[word] += word in line
        return +found

    def _lose_sight(self) -> None:
        since = self.now() - WIRE
        self.forgot.append((min(since, self.frozen_since), self.now()))
        self.blind_since = since if self.blind_since is None else min(since, self.blind_since)

    def _look(self, from_server: bool, data: bytes) -> None:
        if from_server:
            self._note(data)
        if from_server and b"CoreShowChannelsComplete" in data:
            self.snapshots.append(self.now())
        if from_server and b"CoreShowChannelsComplete" in data and self.blind_since is not None:
            self.blind.append((self.blind_since, self.now() + 0.05))
            self.blind_since = None

    def _note(self, data: bytes) -> None:
        """What it receives, as a transcript for replay: one file for each of its connections."""
        at = self.now()
        if self._heard is None or self._connection != self.proxy.connections:
            self._connection, self._began = self.proxy.connections, at
            if self._heard is not None:
                self._heard.close()
            self._heard = self._path(self._connection).open("w", encoding="utf-8")
            self._heard.write(format_chunk(epoch_note(at)))
        self._heard.write(format_chunk(Chunk(t=at - self._began, direction="recv", data=data)))
