"""The image and the compose file. No engine is needed: what can be read is read, and the health check is run."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from fnmatch import fnmatch
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from uac_trio.store.settings import OutboxSettings
from uac_trio.web.settings import WebSettings

ROOT = Path(__file__).parent.parent
SCRIPT = ROOT / "deploy" / "docker" / "healthcheck.py"
DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text()


class Health(BaseHTTPRequestHandler):
    """A connector that works, or hangs at its store."""

    status = 200

    def do_GET(self) -> None:
        body = b'{"ok": false}'
        self.send_response(self.status if self.path == "/healthz" else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing: the test's output is pytest's."""


@pytest.fixture
def connector() -> Iterator[type[Health]]:
    class Connector(Health):
        port = 0

    server = ThreadingHTTPServer(("127.0.0.1", 0), Connector)
    Connector.port = server.server_port
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield Connector
    server.shutdown()
    thread.join()
    server.server_close()


def check(tmp_path: Path, content: str) -> tuple[int, str]:
    """Run the check as Docker does, in a container with this configuration."""
    path = tmp_path / "uac-trio.toml"
    path.write_text(content)
    environ = {"UAC_TRIO_CONFIG": str(path), "http_proxy": "http://127.0.0.1:1"}
    done = subprocess.run(
        [sys.executable, SCRIPT], env=environ, capture_output=True, text=True, check=False, timeout=30
    )
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_connector_that_works(tmp_path: Path, connector: Any, host: str) -> None:
    """It is asked at the port of the configuration, and directly whatever proxy the container has."""
    assert check(tmp_path, f'[http]\nbind = "{host}:{connector.port}"\n') == (0, "")


def test_connector_that_hangs(tmp_path: Path, connector: Any) -> None:
    """It fails with what /healthz says."""
    connector.status = 503
    status, words = check(tmp_path, f'[http]\nbind = "127.0.0.1:{connector.port}"\n')
    assert status == 1
    assert '503 {"ok": false}' in words


@pytest.mark.parametrize("content", ['[http]\nbind = "127.0.0.1:1"\n', "[http\n"], ids=["nothing listens", "no TOML"])
def test_connector_that_is_away(tmp_path: Path, content: str) -> None:
    """It fails with the reason in a sentence."""
    status, words = check(tmp_path, content)
    assert (status, words.count("\n")) == (1, 1)


def load_script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("healthcheck", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_default_address(tmp_path: Path) -> None:
    """Without [http] bind it asks at the connector's default; IPv6 keeps its brackets."""
    script, path = load_script(), tmp_path / "uac-trio.toml"
    assert WebSettings(public_url="http://pbx:5000").bind == script.DEFAULT_BIND
    path.write_text("")
    assert script.address(path) == f"http://{script.DEFAULT_BIND}/healthz"
    path.write_text('[http]\nbind = "[::]:5001"\n')
    assert script.address(path) == "http://[::1]:5001/healthz"


def test_everything_that_is_copied_is_there() -> None:
    """What the Dockerfile copies from the repository is there, and .dockerignore lets it through."""
    kept = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    copies = [
        line.split()[1:-1] for line in DOCKERFILE.splitlines() if line.startswith("COPY ") and "--from" not in line
    ]
    sources = [source for copy in copies for source in copy]
    assert {"uac_trio", "pyproject.toml", "constraints/postgresql.txt"} <= set(sources)
    for source in sources:
        assert (ROOT / source).exists(), source
        assert any(fnmatch(source, pattern) for pattern in kept), f"{source} is in no line of .dockerignore with !"


def test_user_has_a_number() -> None:
    """The user is the same in every image, by number, and is not root."""
    (number,) = re.findall(r"^USER (\d+):\1$", DOCKERFILE, re.MULTILINE)
    assert int(number) > 0
    assert f"useradd --uid {number} --gid {number}" in DOCKERFILE
    assert f"chown {number} deploy/secrets/ami-secret" in (ROOT / "deploy" / "compose.yaml").read_text()


@pytest.fixture
def compose() -> dict[str, Any]:
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
    content: dict[str, Any] = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text())
    return content


def test_two_connectors(compose: dict[str, Any]) -> None:
    """They are the same but for port and volume, and work on one database."""
    one, two = compose["services"]["one"], compose["services"]["two"]
    assert {key for key in one if one[key] != two[key]} == {"ports", "volumes"}
    assert one["depends_on"] == {"db": {"condition": "service_healthy"}}
    directory = OutboxSettings().url.removeprefix("sqlite:///").removesuffix("/connector.db")
    assert [volume for volume in one["volumes"] if directory in volume] == [f"one:{directory}"]


def test_secrets_and_volumes_are_declared(compose: dict[str, Any]) -> None:
    """Each secret and named volume that a service uses is declared, and none without a user."""
    services = compose["services"].values()
    assert {secret for service in services for secret in service["secrets"]} == compose["secrets"].keys()
    sources = {volume.partition(":")[0] for service in services for volume in service["volumes"]}
    assert {source for source in sources if source[0] not in "./"} == compose["volumes"].keys()
