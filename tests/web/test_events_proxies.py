"""The web servers' settings of docs/companion.md, in front of a real server: events pass at once."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from tests.web.streaming import fresh, open_stream, serving

DOCS = Path(__file__).parents[2] / "docs"
MODULES = Path("/usr/lib/apache2/modules")
PROGRAMS = {name: shutil.which(name) or shutil.which(name, path="/usr/sbin") for name in ("nginx", "apache2")}
APACHE = ("mpm_event", "authz_core", "setenvif", "headers", "proxy", "proxy_http")


def documented(server: str) -> str:
    (found,) = re.findall(rf"^```{server}\n(.*?)^```", (DOCS / "companion.md").read_text(), re.DOTALL | re.MULTILINE)
    return str(found)


def nginx(folder: Path, port: int, settings: str) -> list[str]:
    temporary = " ".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "conf").write_text(f"""
daemon off; pid {folder}/pid; error_log {folder}/log; {"user root;" if os.geteuid() == 0 else ""}
events {{ worker_connections 64; }}
http {{ access_log off; {temporary} server {{ listen 127.0.0.1:{port}; {settings} }} }}
""")
    return [str(PROGRAMS["nginx"]), "-c", f"{folder}/conf", "-e", f"{folder}/log"]


def apache2(folder: Path, port: int, settings: str) -> list[str]:
    loaded = "\n".join(f"LoadModule {name}_module {MODULES}/mod_{name}.so" for name in APACHE)
    (folder / "conf").write_text(f"""
{loaded}
ServerName crm.example
Listen 127.0.0.1:{port}
PidFile {folder}/pid
DefaultRuntimeDir {folder}
ErrorLog {folder}/log
DocumentRoot {folder}
{settings}
""")
    return [str(PROGRAMS["apache2"]), "-X", "-f", f"{folder}/conf"]


@asynccontextmanager
async def in_front(server: str, folder: Path, upstream: int) -> AsyncIterator[int]:
    """The port of the web server."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    settings = documented({"apache2": "apache"}.get(server, server)).replace("127.0.0.1:5000", f"127.0.0.1:{upstream}")
    command = {"nginx": nginx, "apache2": apache2}[server](folder, port, settings)
    process = await trio.lowlevel.open_process(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with trio.fail_after(20):
            while True:
                try:
                    await (await trio.open_tcp_stream("127.0.0.1", port)).aclose()
                    break
                except OSError:
                    await trio.sleep(0.02)
        yield port
    finally:
        process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()


@pytest.mark.parametrize(
    "server",
    [
        pytest.param(name, marks=pytest.mark.skipif(path is None, reason=f"{name} is not installed"))
        for name, path in PROGRAMS.items()
    ],
)
async def test_events_pass_at_once(tmp_path: Path, server: str) -> None:
    """Each when it is sent, from the CRM's own origin; no other path is passed on."""
    async with serving(within=60) as served, in_front(server, tmp_path, served.port) as port:
        path = "/uac/crm/events"
        client = await open_stream(port, fresh(), path=path, origin="https://crm.example")
        served.clients.append(client)
        assert client.status == 200
        assert await client.next() == {"ring": [], "look": 1}
        for number in range(3):
            served.streams.put_nowait("101", json.dumps({"look": number}))
            with trio.fail_after(10):
                assert await client.next() == {"look": number}
        refused = await open_stream(port, fresh(secret="guessed"), path=path)
        served.clients.append(refused)
        assert refused.status == 403
        other = await open_stream(port, "x", path="/uac/healthz")
        served.clients.append(other)
        assert other.status == 404
