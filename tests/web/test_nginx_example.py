"""deploy/nginx.example.conf, run by a real nginx before a stand-in of ours. Skipped where nginx is not installed."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import attrs
import httpx
import pytest
import trustme

EXAMPLE = Path(__file__).parent.parent.parent / "deploy" / "nginx.example.conf"
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
CRM = "172.16.1.10"

pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx is not installed")


class StandIn(BaseHTTPRequestHandler):
    """Answers with what arrived: method, target, Host and Range."""

    def do_GET(self) -> None:
        body = "|".join((self.command, self.path, self.headers["Host"], self.headers["Range"] or "")).encode()
        self.send_response(206 if self.headers["Range"] else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Nothing: the test's output is pytest's."""


@pytest.fixture(scope="module")
def stand_in() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), StandIn)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def configured(folder: Path, stand_in: int, authority: trustme.CA, port: int, crm: str) -> Path:
    """The example with an address, a certificate and an upstream of this test, as one of nginx' files of servers."""
    certificate = authority.issue_cert("pbx.example")
    certificate.private_key_pem.write_to_path(folder / "key.pem")
    certificate.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    text = EXAMPLE.read_text()
    for old, new in {
        "listen 443 ssl;": f"listen 127.0.0.1:{port} ssl;",
        "/etc/ssl/certs/pbx.example.pem": f"{folder}/cert.pem",
        "/etc/ssl/private/pbx.example.key": f"{folder}/key.pem",
        "http://127.0.0.1:5000": f"http://127.0.0.1:{stand_in}",
        CRM: crm,
    }.items():
        assert old in text, old
        text = text.replace(old, new)
    (folder / "uac-trio.conf").write_text(text)
    paths = " ".join(f"{of}_temp_path {folder}/{of};" for of in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    user = "user root;" if os.geteuid() == 0 else ""
    main = folder / "nginx.conf"
    main.write_text(
        f"daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log; {user}\n"
        f"events {{ worker_connections 64; }}\nhttp {{ {paths} include {folder}/uac-trio.conf; }}\n"
    )
    return main


@attrs.frozen
class Front:
    """nginx as a client sees it."""

    client: httpx.Client
    is_crm: bool
    """nginx takes this client for the CRM."""

    def send(self, target: str, method: str = "GET", **headers: str) -> httpx.Response:
        """``target`` as it is on the wire, with its slashes and dots."""
        extensions = {"sni_hostname": "pbx.example", "target": target.encode()}
        return self.client.request(method, "/", headers=headers, extensions=extensions)


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except ConnectionRefusedError:
        return False
    return True


@pytest.fixture(params=["127.0.0.1", CRM], ids=["the CRM", "a stranger"])
def nginx(request: pytest.FixtureRequest, tmp_path: Path, stand_in: int, authority: trustme.CA) -> Iterator[Front]:
    """An nginx that takes its client for the CRM, or for a stranger."""
    port = free_port()
    command = [str(NGINX), "-c", str(configured(tmp_path, stand_in, authority, port, request.param)), "-e", "stderr"]
    tested = subprocess.run([*command, "-t"], capture_output=True, text=True, check=False)
    assert tested.returncode == 0, tested.stderr
    trusted = ssl.create_default_context()
    authority.configure_trust(trusted)
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 10
        while not listens(port):
            assert time.monotonic() < deadline, (tmp_path / "error.log").read_text()
            time.sleep(0.02)
        address, host = f"https://127.0.0.1:{port}", {"Host": "pbx.example"}
        with httpx.Client(base_url=address, verify=trusted, headers=host) as client:
            yield Front(client, is_crm=request.param != CRM)
    finally:
        process.terminate()
        process.wait(10)


def test_what_is_passed_on(nginx: Front) -> None:
    """Recordings go through, by parts too; clicks from the CRM alone, also with the two slashes of vTiger's address."""
    recording = nginx.send("/recording?token=abc", Range="bytes=0-9")
    assert (recording.status_code, recording.text) == (206, "GET|/recording?token=abc|pbx.example|bytes=0-9")
    assert nginx.send("/crm/events?token=abc").text == "GET|/crm/events?token=abc|pbx.example|"
    for path in ("/makecall", "//makecall"):
        click = nginx.send(f"{path}?number=1", "POST")
        assert click.status_code == (200 if nginx.is_crm else 403)
    assert nginx.send("/recording", "POST").status_code == 403


@pytest.mark.parametrize(
    "path",
    [
        "/", "/live", "/live/", "//live", "/live.json", "/LIVE", "/metrics", "/makecall/../metrics", "/%6detrics",
        "/recording/../live", "/route", "/healthz", "/readyz",
    ],
)  # fmt: skip
def test_what_is_closed(nginx: Front, path: str) -> None:
    """Nothing else is, however it is spelled."""
    assert nginx.send(path).status_code == 404


def test_clicks_are_limited(nginx: Front) -> None:
    """A flood of clicks of one address is refused."""
    if nginx.is_crm:
        statuses = [nginx.send("/makecall", "POST").status_code for _ in range(40)]
        assert set(statuses) == {200, 429}
