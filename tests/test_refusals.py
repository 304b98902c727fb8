"""Every command, started as a user starts it, with the mistakes it has to refuse: a sentence, and never a traceback."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.test_cli import CONFIG, FIXTURES, ROOT
from uac_trio.cli import COMMANDS

SERVE = """
[serve]
bind = "127.0.0.1:0"
recordings = ["/var/spool/asterisk/monitor"]
networks = ["127.0.0.1"]
secret = "far-s3cret"
"""
CALL = (FIXTURES / "inbound_answered.jsonl").read_text()

NOT_THERE = "nothing.toml: cannot be read: No such file or directory"
TAKEN = ("127.0.0.1:0", "127.0.0.1:PORT")
LOG = "[log]"
ROUTE_TAKEN = (LOG, '[route]\nbind = "127.0.0.1:PORT"\n[log]')
NO_PATTERN = (LOG, "[calls]\nextensions = '('\n[log]")
LONG = ("connector.db", "x" * 300)

# A command in a directory with the files CONFIG, SERVE and CALL; its exit code; words of its last line; what is written
# in the files instead of what. PORT is one that is taken.
REFUSALS: list[tuple[str, int, str, tuple[str, str] | None]] = [
    ("run --config nothing.toml", 2, NOT_THERE, None),
    ("serve-recordings --config nothing.toml", 2, NOT_THERE, None),
    ("check --config nothing.toml", 2, NOT_THERE, None),
    ("record --config nothing.toml x.jsonl", 2, NOT_THERE, None),
    ("outbox list --config nothing.toml", 2, NOT_THERE, None),
    ("outbox retry --config nothing.toml --all", 2, NOT_THERE, None),
    ("outbox drop --config nothing.toml --all", 2, NOT_THERE, None),
    ("forget --config nothing.toml 79161234567", 2, NOT_THERE, None),
    ("run --config .", 2, ".: cannot be read: Is a directory", None),
    ("run --config CONFIG", 2, "CONFIG:5: [pbx] prot: is not known", ("port =", "prot =")),
    ("run --config CONFIG", 2, "three slashes before its path", ("sqlite:///", "sqlite://x")),
    ("run --config CONFIG", 2, "[sender] ca_file: /none.pem: No such", (LOG, '[sender]\nca_file = "/none.pem"\n[log]')),
    ("run --config CONFIG", 1, "uac-trio: [http] bind = '127.0.0.1:PORT': Address already in use", TAKEN),
    ("run --config CONFIG", 1, "uac-trio: [http] bind = '192.0.2.1:1': Cannot assign", ("127.0.0.1:0", "192.0.2.1:1")),
    ("run --config CONFIG", 1, "uac-trio: [route] bind = '127.0.0.1:PORT': Address already in use", ROUTE_TAKEN),
    ("run --config CONFIG", 1, "nowhere/c.db: no such directory - create it", ("connector.db", "nowhere/c.db")),
    ("run --config CONFIG", 1, "CONFIG/c.db: Not a directory - name another file", ("connector.db", "CONFIG/c.db")),
    ("run --config CONFIG", 1, "SERVE: file is not a database - the file is damaged", ("connector.db", "SERVE")),
    ("run --config CONFIG", 1, "File name too long - name another file", LONG),
    ("serve-recordings --config SERVE", 1, "uac-trio: [serve] bind = '127.0.0.1:PORT': Address already in use", TAKEN),
    ("demo --port PORT", 1, "uac-trio demo: port PORT cannot be used: Address already in use", None),
    ("record --config CONFIG --seconds 0.1 x.jsonl", 1, "cannot connect to 127.0.0.1:1: Connection refused", None),
    ("record --config CONFIG x.txt", 2, "the name of a transcript ends in .jsonl", None),
    ("record --config CONFIG CALL", 2, "the name of a transcript ends in .jsonl", None),
    ("record --config CONFIG no/x.jsonl", 1, "uac-trio: no is not a directory", None),
    ("replay --calls SERVE", 1, "uac-trio: SERVE", None),
    ("replay CALL", 2, "choose what to show", None),
    ("replay --calls --rules CONFIG CALL", 2, "[calls] extensions: expected a regular", NO_PATTERN),
    ("check --live --config CONFIG", 1, "problems,", None),
    ("check --live --config CONFIG", 1, "problems,", LONG),
    ("outbox list --config CONFIG", 1, "connector.db: no such file; it is made by the first uac-trio run", None),
    ("outbox list --config CONFIG", 1, "File name too long - name another file", LONG),
    ("outbox retry --config CONFIG", 2, "give the NUMBERs that list shows, or --all", None),
    ("outbox drop --config CONFIG 1", 1, "connector.db: no such file", None),
    ("forget --config CONFIG 79161234567", 1, "connector.db: no such file", None),
    ("forget --config CONFIG 101", 2, "101 is an employee's extension", None),
    ("setup --root . --yes", 2, "no Asterisk was found: /etc/asterisk has no manager.conf and no asterisk.conf.", None),
    ("setup --root . --ami-host 10.0.0.9 --yes", 2, "--crm-url is needed: Address of the CRM", None),
    ("setup --root . --asterisk-dir /CONFIG", 1, "uac-trio: /CONFIG: cannot be read: Not a directory;", None),
]  # fmt: skip


@pytest.fixture
def taken() -> Iterator[str]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield str(listening.getsockname()[1])


@pytest.mark.parametrize(("command", "code", "words", "change"), REFUSALS)
def test_refusal(
    tmp_path: Path, taken: str, command: str, code: int, words: str, change: tuple[str, str] | None
) -> None:
    """The exit code is 1 or 2, the last line says what is wrong, and no traceback is anywhere."""
    for name, content in (("CONFIG", CONFIG.format(folder=tmp_path)), ("SERVE", SERVE), ("CALL", CALL)):
        changed = content if change is None else content.replace(*change)
        (tmp_path / name).write_text(changed.replace("PORT", taken))
        (tmp_path / name).chmod(0o600)
    done = subprocess.run(
        [sys.executable, "-m", "uac_trio", *command.replace("PORT", taken).split()],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    said = done.stderr + done.stdout
    assert "Traceback" not in said
    assert done.returncode == code, said
    assert words.replace("PORT", taken) in said.splitlines()[-1]
    assert "s3cret" not in said


def test_every_command_is_tried() -> None:
    """No command is left out of the table."""
    assert {command.split()[0] for command, *_ in REFUSALS} == set(COMMANDS)
