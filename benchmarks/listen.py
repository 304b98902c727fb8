"""What a recording costs that is listened to: 50 browsers at once, the daemon beside nginx, CPU for a megabyte.

    python benchmarks/listen.py [--listeners N]

Each listener fetches a wav of 4 MB ten times over a connection of its own. Needs nginx (Debian: nginx-light).
"""

from __future__ import annotations

import argparse
import http.client
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import trio
from wire import CONFIGURATION, ROOT, cpu_seconds, free_port, process

sys.path.insert(0, str(ROOT))

from uac_trio.calls.call import Direction
from uac_trio.calls.participation import Role
from uac_trio.clock import now
from uac_trio.crm.delivery import Delivery, Kind
from uac_trio.store.outbox import open_outbox
from uac_trio.store.recordings import NewRecording
from uac_trio.store.settings import OutboxSettings

MEGABYTES = 4
TIMES = 10
TOKEN = "0" * 32

NGINX = """
daemon off; pid {folder}/nginx.pid; error_log {folder}/nginx.log;
events {{ }}
http {{
  access_log off;
  client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder}; uwsgi_temp_path {folder};
  scgi_temp_path {folder};
  server {{ listen 127.0.0.1:{port}; root {folder}/monitor; }}
}}
"""


def sound() -> bytes:
    """A wav of silence, 8 kHz and 16 bits."""
    size = MEGABYTES * 1_000_000
    header = b"RIFF" + (size + 36).to_bytes(4, "little") + b"WAVEfmt \x10\0\0\0\x01\0\x01\0"
    header += (8000).to_bytes(4, "little") + (16000).to_bytes(4, "little") + b"\x02\0\x10\0data"
    return header + size.to_bytes(4, "little") + bytes(size)


async def remember(store: Path, file: Path) -> None:
    """The row of a recording whose file is complete."""
    recording = Delivery(
        kind=Kind.RECORDING, pbx="main", call_id="main-1.1", subject="101", occurrence="1", extension="101",
        role=Role.CALLEE, direction=Direction.INBOUND, customer="+79161234567", at=now(), began_at=now(),
        recording=TOKEN, path=str(file),
    )  # fmt: skip
    async with open_outbox(OutboxSettings(url=f"sqlite:///{store}")) as outbox:
        await outbox.put([], now(), [NewRecording(delivery=recording, is_awaited=False)])


def listen(port: int, path: str, listeners: int) -> None:
    def one() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        for _ in range(TIMES):
            connection.request("GET", path)
            reply = connection.getresponse()
            assert reply.status == 200, reply.status
            while reply.read(65536):
                pass

    threads = [threading.Thread(target=one) for _ in range(listeners)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def until_open(port: int) -> None:
    while True:
        try:
            http.client.HTTPConnection("127.0.0.1", port, timeout=1).connect()
        except OSError:
            time.sleep(0.05)
        else:
            return


def workers(pid: int) -> list[int]:
    found = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False)
    return [pid, *map(int, found.stdout.split())]


def measured(listeners: int) -> tuple[float, float | None]:
    """Seconds of CPU for a megabyte: the daemon's, and nginx's if it is installed."""
    total = MEGABYTES * TIMES * listeners
    with tempfile.TemporaryDirectory(prefix="uac-bench-") as folder:
        directory = Path(folder)
        file = directory / "monitor" / "a.wav"
        file.parent.mkdir()
        file.write_bytes(sound())
        os.chmod(directory, 0o755)
        trio.run(remember, directory / "store.db", file)
        port = free_port()
        configuration = CONFIGURATION.format(
            ami=1, crm="http://127.0.0.1:9/x.php", http=port, store=directory / "store.db"
        )
        configuration = configuration.replace("[calls]", f'recordings = ["{file.parent}"]\n\n[calls]')
        limits = f"\n[recordings]\nmax_downloads = {2 * listeners}\nmax_downloads_per_client = {2 * listeners}\n"
        (directory / "uac-trio.toml").write_text(
            configuration.replace("[store]", f"max_connections = {4 * listeners}\n\n[store]") + limits
        )
        command = [sys.executable, "-m", "uac_trio", "run", "--config", str(directory / "uac-trio.toml")]
        with process(command, directory / "daemon.log") as daemon:
            until_open(port)
            before = cpu_seconds(daemon.pid)
            listen(port, f"/recording?id={TOKEN}&secret=benchmark", listeners)
            own = (cpu_seconds(daemon.pid) - before) / total
        server = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
        if server is None:
            return own, None
        port = free_port()
        (directory / "nginx.conf").write_text(NGINX.format(folder=directory, port=port))
        with process([server, "-c", str(directory / "nginx.conf")], directory / "nginx.out") as nginx:
            until_open(port)
            before = sum(map(cpu_seconds, workers(nginx.pid)))
            listen(port, "/a.wav", listeners)
            return own, (sum(map(cpu_seconds, workers(nginx.pid))) - before) / total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--listeners", type=int, default=50)
    own, nginx = measured(parser.parse_args().listeners)
    beside = f", nginx {1000 * nginx:.2f}: {own / nginx:.0f}x" if nginx else "; nginx is not installed"
    print(f"ms CPU for a megabyte: {1000 * own:.2f}{beside}")


if __name__ == "__main__":
    main()
