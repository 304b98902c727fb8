"""``uac-trio run`` whose log is not read: it works, and it ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest
import trio

from tests.pipes import fill

ROOT = Path(__file__).parent.parent
CONFIG = """
[[pbx]]
name = "main"
host = "127.0.0.1"
port = 9
username = "crm"
secret = "s3cret"
[calls]
extensions = '^\\d{{3}}$'
[vtiger]
url = "http://127.0.0.1:9/x.php"
secret = "crm-s3cret"
[http]
bind = "127.0.0.1:{port}"
grace_seconds = 0.2
[store]
url = "sqlite:///{folder}/connector.db"
"""


def unused_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def full_pipe() -> tuple[int, int]:
    reader, writer = os.pipe()
    fill(writer)
    return reader, writer


def pipe_without_reader() -> tuple[int, int]:
    reader, writer = os.pipe()
    os.close(reader)
    return -1, writer


@contextmanager
def daemon(folder: Path, port: int, stderr: int) -> Iterator[subprocess.Popen[bytes]]:
    config = folder / "uac-trio.toml"
    config.write_text(CONFIG.format(port=port, folder=folder))
    command = [sys.executable, "-m", "uac_trio", "run", "--config", str(config)]
    with subprocess.Popen(command, stderr=stderr, cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)}) as process:
        try:
            yield process
        finally:
            process.kill()


async def answer(process: subprocess.Popen[bytes], port: int, path: str) -> httpx.Response:
    """The first answer of the process, which may still be starting."""
    async with httpx.AsyncClient(timeout=5) as client:
        with trio.fail_after(30):
            while True:
                assert process.poll() is None
                with suppress(httpx.ConnectError):
                    return await client.get(f"http://127.0.0.1:{port}{path}")
                await trio.sleep(0.05)


@pytest.mark.parametrize("make_pipe", [full_pipe, pipe_without_reader])
async def test_log_that_is_not_read(tmp_path: Path, make_pipe: Callable[[], tuple[int, int]]) -> None:
    """A reader of stderr that stopped or is gone: /healthz answers, /metrics counts lost lines, SIGTERM ends it with
    0."""
    reader, writer = make_pipe()
    port = unused_port()
    try:
        with daemon(tmp_path, port, writer) as process:
            assert (await answer(process, port, "/healthz")).status_code == 200
            page = (await answer(process, port, "/metrics")).text
            (line,) = [line for line in page.splitlines() if line.startswith("uac_log_lines_dropped_total ")]
            assert (float(line.split()[1]) > 0) == (reader < 0)  # else they wait
            process.send_signal(signal.SIGTERM)
            assert await trio.to_thread.run_sync(process.wait, 10) == 0
    finally:
        os.close(writer)
        if reader >= 0:
            os.close(reader)
