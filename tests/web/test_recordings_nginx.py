"""The same requests for the same files to nginx and to us: the same answers. Skipped where nginx is not installed."""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import httpx
import pytest
import trio
from quart_trio import QuartTrio

from tests.recordings.sounds import AT, TOKEN, row, wav
from uac_trio.recordings.archive import open_archive
from uac_trio.recordings.settings import RecordingsSettings
from uac_trio.store.recordings import RecordingRow
from uac_trio.web.recordings import Playback, add_recordings
from uac_trio.web.server import serve_web
from uac_trio.web.settings import WebSettings

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
SOUND = wav(0.1)
SIZE = len(SOUND)
MODIFIED = 1795413070

pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx is not installed")

SPECS = [
    "0-", "0-0", "0-99", "100-199", f"{SIZE - 1}-", f"{SIZE}-", f"{SIZE + 5}-{SIZE + 9}", f"0-{SIZE}", f"0-{SIZE * 9}",
    "-1", "-100", f"-{SIZE}", f"-{SIZE * 2}", "-0", "5-3", "0-1,3-4", "0-1,-1", f"0-1,{SIZE}-", "0-,0-", "1-5,2-6,1-5",
    f"0-{SIZE - 1},0-0", " 0-1", "0 - 1 , 3-4", "0-1, 3-4", "0-1,", ",0-1", "", "-", "a-b", "0", "0-1-2", "--1",
    "1-2,x", "9" * 17 + "-", "0-" + "9" * 17, "0-0," * 3 + "2-2",
]  # fmt: skip
HEADERS: list[dict[str, str]] = [
    {},
    *({"Range": f"bytes={spec}"} for spec in SPECS),
    {"Range": "Bytes=0-9"},
    {"Range": "bytes 0-9"},
    {"Range": "seconds=0-9"},
    {"Range": "bytes=0-9", "If-Range": "ETAG"},
    {"Range": "bytes=0-9", "If-Range": "W/ETAG"},
    {"Range": "bytes=0-9", "If-Range": '"other"'},
    {"Range": "bytes=0-9", "If-Range": "MODIFIED"},
    {"Range": "bytes=0-9", "If-Range": "Mon, 23 Nov 2020 05:51:03 GMT"},
    {"Range": f"bytes={SIZE}-", "If-Range": '"other"'},
    {"If-None-Match": "ETAG"},
    {"If-None-Match": "W/ETAG"},
    {"If-None-Match": '"a", ETAG'},
    {"If-None-Match": "*"},
    {"If-None-Match": '"other"'},
    {"If-None-Match": "ETAG", "Range": "bytes=0-9"},
    {"If-Modified-Since": "MODIFIED"},
    {"If-Modified-Since": "Mon, 23 Nov 2020 05:51:03 GMT"},
    {"If-Modified-Since": "no date"},
    {"If-Modified-Since": "MODIFIED", "If-None-Match": '"other"'},
    {"If-Modified-Since": "MODIFIED", "If-None-Match": "ETAG"},
    {"If-Match": "ETAG"},
    {"If-Match": '"other"'},
    {"If-Unmodified-Since": "MODIFIED"},
    {"If-Unmodified-Since": "Mon, 23 Nov 2020 05:51:03 GMT"},
]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("monitor")
    (root / "a.wav").write_bytes(SOUND)
    os.utime(root / "a.wav", (MODIFIED, MODIFIED))
    root.chmod(0o755)
    return root


@pytest.fixture(scope="module")
def nginx(files: Path) -> Iterator[str]:
    """The address of an nginx of this test's own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = files.parent / "nginx"
    folder.mkdir(exist_ok=True)
    (folder / "nginx.conf").write_text(
        f"""
daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;
{"user root;" if os.geteuid() == 0 else ""}
events {{ worker_connections 64; }}
http {{
  access_log off; types {{ audio/wav wav; }}
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{ listen 127.0.0.1:{port}; root {files}; }}
}}
"""
    )
    process = subprocess.Popen([str(NGINX), "-c", f"{folder}/nginx.conf", "-e", f"{folder}/error.log"])
    try:
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except ConnectionRefusedError:
                time.sleep(0.02)
        else:
            pytest.fail((folder / "error.log").read_text())
        yield f"http://127.0.0.1:{port}/a.wav"
    finally:
        process.terminate()
        process.wait(10)


async def answer(client: httpx.AsyncClient, method: str, address: str, headers: dict[str, str]) -> dict[str, object]:
    """What of an answer has to be the same."""
    known = (await client.head(address)).headers
    sent = {
        name: value.replace("ETAG", known["etag"]).replace("MODIFIED", known["last-modified"])
        for name, value in headers.items()
    }
    reply = await client.request(method, address, headers=sent)
    content_type = reply.headers.get("content-type", "")
    body, length = reply.content, reply.headers.get("content-length")
    if content_type.startswith("multipart/byteranges; boundary="):
        boundary = content_type.rpartition("=")[2]
        body = body.replace(boundary.encode(), b"B")
        length = str(int(length or 0) - len(boundary) * (body.count(b"--B")))
        content_type = "multipart/byteranges"
    common = {"status": reply.status_code, "content-range": reply.headers.get("content-range")}
    if reply.status_code in (200, 206):
        digest = hashlib.sha256(body).hexdigest()
        return {**common, "type": content_type, "length": length, "bytes": len(body), "body": digest,
                "modified": reply.headers["last-modified"]}  # fmt: skip
    if reply.status_code == 304:
        return {**common, "body": body, "modified": reply.headers["last-modified"], "etag": "etag" in reply.headers}
    return common  # nginx puts a page there


async def test_same_answers(files: Path, nginx: str) -> None:
    """Every form of range and condition, by GET and HEAD."""

    async def find(token: str) -> RecordingRow | None:
        return row("a.wav", token)

    different = {}
    app = QuartTrio(__name__, static_folder=None)
    shutdown = trio.Event()
    settings = RecordingsSettings(converter="")
    with trio.fail_after(30):
        async with (
            open_archive(
                settings, roots={"main": (str(files),)}, cache=files / "cache", find=find, now=lambda: AT
            ) as archive,
            httpx.AsyncClient() as client,
            trio.open_nursery() as nursery,
        ):
            add_recordings(app, Playback(archive=archive, secret="s", needs_secret=False))
            web = WebSettings(bind="127.0.0.1:0")
            (address,) = await nursery.start(partial(serve_web, app, web, shutdown=shutdown))
            ours = f"{address}/recording?id={TOKEN}"
            for method in ("GET", "HEAD"):
                for headers in HEADERS:
                    theirs = await answer(client, method, nginx, headers)
                    mine = await answer(client, method, ours, headers)
                    if method == "HEAD":  # the boundary's length is all that a HEAD shows of the parts
                        for one in (theirs, mine):
                            if one.get("type") == "multipart/byteranges":
                                del one["length"]
                    if mine != theirs:
                        different[method, str(headers)] = (mine, theirs)
            await client.aclose()
            shutdown.set()
    assert different == {}
