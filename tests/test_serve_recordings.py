"""``uac-trio serve-recordings``: its configuration, and the program as systemd starts it."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import time
import tomllib
from ipaddress import ip_network
from pathlib import Path

import pytest
import trio

from tests.recordings.far import asking
from tests.recordings.sounds import row, wav
from uac_trio.config.keys import keys_of, names_of
from uac_trio.config.loading import load_serve_config
from uac_trio.config.reader import ConfigError
from uac_trio.config.tables import SERVE_TABLES, TABLES
from uac_trio.recordings.settings import HostSettings
from uac_trio.web.settings import ServeSettings

EXAMPLE = Path(__file__).parent.parent / "deploy" / "uac-trio-recordings.example.toml"
KEYS = {
    table: {name for settings in classes for name in names_of(keys_of(settings))}
    for table, classes in {**TABLES, **SERVE_TABLES}.items()
}
LEAST = '[serve]\nrecordings = ["/a"]\nnetworks = ["10.0.0.1"]\nsecret = "s3cret"\n'


def written(tmp_path: Path, content: str) -> Path:
    path = tmp_path / "r.toml"
    path.write_text(content)
    return path


def test_least_configuration(tmp_path: Path) -> None:
    """Directories, who may ask, and a secret are enough."""
    config = load_serve_config(written(tmp_path, LEAST), {})
    networks = (ip_network("10.0.0.1"),)
    assert config.serve == ServeSettings(secret="s3cret", recordings=("/a",), networks=networks)
    assert "s3cret" not in repr(config)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "[serve] recordings: is missing and has no default"),
        (LEAST.replace('"/a"', ""), "r.toml:2: [serve] recordings: expected a list of one or more"),
        (LEAST.replace('"10.0.0.1"', ""), "r.toml:3: [serve] networks: expected a list of one or more"),
        (LEAST.replace("10.0.0.1", "connector"), "r.toml:3: [serve] networks: expected a list of networks"),
        (LEAST.replace("secret", "secrets"), "[serve] secret: expected either secret or secret_file"),
        (LEAST + "[pbx]\n", "r.toml:5: [pbx]: is not known"),
        (LEAST + "delete_files = 1\n", "r.toml:5: [serve] delete_files: expected true or false"),
    ],
)
def test_mistakes(tmp_path: Path, content: str, said: str) -> None:
    """Every mistake is reported with its line and key."""
    with pytest.raises(ConfigError) as caught:
        load_serve_config(written(tmp_path, content), {})
    assert said in str(caught.value)


def test_example(tmp_path: Path) -> None:
    """The example is valid with its secret beside it, has every key, and shows the real defaults."""
    (tmp_path / "recordings-secret").write_text("<a long random word of its own>".strip("<>"))
    plain = load_serve_config(written(tmp_path, EXAMPLE.read_text()), {})
    shown = re.sub(r"^# (\w+ = )", r"\1", EXAMPLE.read_text(), flags=re.MULTILINE)
    shown = re.sub(r"^secret_file = .*$", "", shown, flags=re.MULTILINE)
    tables = tomllib.loads(shown)
    known = {name: keys - {"secret_file"} for name, keys in KEYS.items() if name in SERVE_TABLES}
    assert {name: set(table) for name, table in tables.items()} == known
    given = tables["serve"] | {
        "secret": plain.serve.secret,
        "networks": plain.serve.networks,
        "recordings": plain.serve.recordings,
    }
    assert ServeSettings(**given) == plain.serve


def test_what_the_pages_say() -> None:
    """The page's configurations have keys that are known, and the unit starts the page's command."""
    root = EXAMPLE.parent.parent
    page = (root / "docs" / "recordings.md").read_text()
    blocks = [tomllib.loads(block) for block in re.findall(r"```toml\n(.*?)```", page, re.DOTALL)]
    assert [set(block) for block in blocks] == [{"pbx"}, {"serve"}, {"pbx"}]
    for block in blocks:
        (given,) = block.values()
        table = given[0] if isinstance(given, list) else given
        assert set(table) <= KEYS[next(iter(block))]
    command = "uac-trio serve-recordings --config /etc/uac-trio/recordings.toml"
    assert command in page
    assert command in (EXAMPLE.parent / "uac-trio-recordings.service").read_text()


def test_the_program(tmp_path: Path) -> None:
    """Started as systemd starts it, it gives a file to who knows the secret; SIGHUP changes its log, and SIGTERM
    ends it with code 0."""
    (tmp_path / "a.wav").write_bytes(wav(0.1))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        bind = f"127.0.0.1:{free.getsockname()[1]}"
    content = f'[serve]\nbind = "{bind}"\nrecordings = ["{tmp_path}", "{tmp_path}/none"]\nnetworks = ["127.0.0.1"]\n'
    path = written(tmp_path, content + 'secret_file = "word"\n')
    (tmp_path / "word").write_text("s3cret\n")
    notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notify.bind(str(tmp_path / "notify"))
    notify.settimeout(10)
    command = [sys.executable, "-m", "uac_trio", "serve-recordings", "--config", str(path)]
    environ = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "300000"}
    with notify, subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        try:
            assert notify.recv(100) == b"READY=1"
            assert notify.recv(100) == b"WATCHDOG=1"
            host = HostSettings(pbx="main", url=f"http://{bind}", secret="s3cret")
            trio.run(heard, tmp_path, host)
            path.write_text(content + 'secret_file = "word"\nstall_seconds = 7\n[log]\nlevel = "debug"\n')
            process.send_signal(signal.SIGHUP)
            while notify.recv(100) != b"RELOADING=1":
                pass
            while notify.recv(100) != b"READY=1":
                pass
            process.send_signal(signal.SIGTERM)
            said = process.communicate(timeout=10)[0]
        finally:
            process.kill()
    assert process.returncode == 0
    assert b"recordings_host.no_directory" in said
    assert b"daemon.reloaded applied=['[log] level'] needs_restart=['[serve] stall_seconds']" in said
    assert b"s3cret" not in said


async def heard(tmp_path: Path, host: HostSettings) -> None:
    async with asking(tmp_path, host, now=time.time) as archive:  # noqa: TID251 - that program's clock is real
        playable = await archive.open(row("a.wav"))
        assert await playable.file.read(0, 100_000) == wav(0.1)


def test_port_that_is_taken(tmp_path: Path) -> None:
    """A port that is taken is reported with its key and exit code 1; a wrong file ends with 2."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        bind = f"127.0.0.1:{taken.getsockname()[1]}"
        assert run(written(tmp_path, LEAST + f'bind = "{bind}"\n')) == (1, f"[serve] bind = '{bind}'")
    assert run(written(tmp_path, LEAST + "x = 1\n")) == (2, "[serve] x: is not known")


def run(path: Path) -> tuple[int, str]:
    """The exit code and what is said of ``[serve]``."""
    command = [sys.executable, "-m", "uac_trio", "serve-recordings", "--config", str(path)]
    completed = subprocess.run(command, capture_output=True, text=True, timeout=20)
    found = re.search(r"\[serve\] (bind = '[^']*'|\w+: is not known)", completed.stderr)
    return completed.returncode, found[0] if found else completed.stderr
