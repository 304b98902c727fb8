"""Every command with the mistakes that an administrator can cause: the exit code, what to do, and never a traceback.

``REFUSALS`` are commands with one mistake each; ``CONFIG_MISTAKES`` are tried with every command that reads the
configuration. Most run in this process. One of each command is started as a user starts it: an exit from within an
``except*`` block is a traceback in Python 3.11.2, and hidden in later ones.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.test_cli import CONFIG, FIXTURES, ROOT
from uac_trio.cli import COMMANDS, main

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
NO_CDR = ('username = "crm"', 'username = "crm"\ncdr = "csv:///none/Master.csv"')
NO_PATTERN = (LOG, "[calls]\nextensions = '('\n[log]")
EARLIER = ("[[pbx]]", "ServerIP: 172.16.1.1\nCrmURL: http://crm")
LONG = ("connector.db", "x" * 300)

# A command in a directory with the files CONFIG, SERVE and CALL; its exit code; words of its output; what is written in
# the files instead of what. PORT is one that is taken.
Refusal = tuple[str, int, str, tuple[str, str] | None]

REFUSALS: list[Refusal] = [
    ("run --config nothing.toml", 2, NOT_THERE, None),
    ("serve-recordings --config nothing.toml", 2, NOT_THERE, None),
    ("check --config nothing.toml", 2, NOT_THERE, None),
    ("record --config nothing.toml x.jsonl", 2, NOT_THERE, None),
    ("outbox list --config nothing.toml", 2, NOT_THERE, None),
    ("outbox retry --config nothing.toml --all", 2, NOT_THERE, None),
    ("outbox drop --config nothing.toml --all", 2, NOT_THERE, None),
    ("forget --config nothing.toml 79161234567", 2, NOT_THERE, None),
    ("backfill --config nothing.toml --since 1h", 2, NOT_THERE, None),
    ("run --config .", 2, ".: cannot be read: Is a directory", None),
    ("run --config CONFIG", 2, "CONFIG:5: [pbx] prot: is not known", ("port =", "prot =")),
    ("run --config CONFIG", 2, "three slashes before its path", ("sqlite:///", "sqlite://x")),
    ("run --config CONFIG", 2, "[sender] ca_file: /none.pem: No such", (LOG, '[sender]\nca_file = "/none.pem"\n[log]')),
    ("run --config CONFIG", 1, "uac-trio: [http] bind = '127.0.0.1:PORT': Address already in use; `ss -ltnp", TAKEN),
    ("run --config CONFIG", 1, "this machine has no such address: 127.0.0.1:1 is", ("127.0.0.1:0", "192.0.2.1:1")),
    ("run --config CONFIG", 1, "uac-trio: [route] bind = '127.0.0.1:PORT': Address already in use", ROUTE_TAKEN),
    ("run --config CONFIG", 1, "nowhere/c.db: no such directory - create it", ("connector.db", "nowhere/c.db")),
    ("run --config CONFIG", 1, "CONFIG/c.db: Not a directory - name another file", ("connector.db", "CONFIG/c.db")),
    ("run --config CONFIG", 1, "SERVE: file is not a database - the file is damaged", ("connector.db", "SERVE")),
    ("run --config CONFIG", 1, "File name too long - name another file", LONG),
    ("serve-recordings --config SERVE", 1, "uac-trio: [serve] bind = '127.0.0.1:PORT': Address already in use", TAKEN),
    ("demo --port PORT", 1, "uac-trio demo: port PORT cannot be used: Address already in use", None),
    ("crm-module -o no/x.zip", 1, "uac-trio crm-module: no/x.zip cannot be written: No such file", None),
    ("record --config CONFIG --seconds 0.1 x.jsonl", 1, "cannot connect to 127.0.0.1:1: Connection refused", None),
    ("record --config CONFIG x.txt", 2, "the name of a transcript ends in .jsonl", None),
    ("record --config CONFIG CALL", 2, "the name of a transcript ends in .jsonl", None),
    ("record --config CONFIG no/x.jsonl", 1, "uac-trio: no is not a directory", None),
    ("replay --calls SERVE", 1, "uac-trio: SERVE", None),
    ("replay CALL", 2, "choose what to show", None),
    ("replay --calls --rules CONFIG CALL", 2, "[calls] extensions: expected a regular", NO_PATTERN),
    ("explain 101 --config nothing.toml", 2, NOT_THERE, None),
    ("explain anna --config CONFIG", 2, "'anna' is no telephone number, no extension by", None),
    ("explain 101 --since now --config CONFIG", 2, "'now' is no time; expected a time such as", None),
    ("explain 101 --config CONFIG", 1, "uac-trio check --live shows what the AMI user may see", None),
    ("explain 101 SERVE", 1, "uac-trio: SERVE", None),
    ("explain 101 CALL --last 0", 2, "0 is not in the range", None),
    ("check --live --config CONFIG", 1, "in /etc/asterisk/manager.conf [general] needs enabled = yes", None),
    ("check --live --call 1 --config CONFIG", 1, "refuses the connection", None),
    ("check --live --json --config CONFIG", 1, '"severity": "problem"', None),
    ("check --live --config CONFIG", 1, "File name too long - name another file", LONG),
    ("outbox list --config CONFIG", 1, "connector.db: no such file; it is made by the first uac-trio run", None),
    ("outbox list --config CONFIG", 1, "File name too long - name another file", LONG),
    ("outbox retry --config CONFIG", 2, "give the NUMBERs that list shows, or --all", None),
    ("outbox drop --config CONFIG 1", 1, "connector.db: no such file", None),
    ("forget --config CONFIG 79161234567", 1, "connector.db: no such file", None),
    ("backfill --config CONFIG --since 1h", 2, "no [[pbx]] has a cdr, which says where its CDR is", None),
    ("backfill --config CONFIG --since 1h", 1, "/none: cannot be listed: No such file or directory", NO_CDR),
    ("backfill --config CONFIG --since never", 2, "'never' is no time; expected a time such as", None),
    ("forget --config CONFIG 101", 2, "101 is an employee's extension", None),
    ("import-config CALL", 1, "CALL: is neither a Python file with class Config", None),
    ("run --config CONFIG", 2, "CONFIG: is the configuration of an earlier connector; uac-trio import-config", EARLIER),
    ("setup --root . --yes", 2, "no Asterisk was found: /etc/asterisk has no manager.conf and no asterisk.conf.", None),
    ("setup --root . --ami-host 10.0.0.9 --yes", 2, "--crm-url is needed: Address of the CRM", None),
    ("setup --root . --asterisk-dir /CONFIG", 1, "uac-trio: /CONFIG: cannot be read: Not a directory;", None),
]  # fmt: skip

Spoil = Callable[[str], str]


def instead(old: str, new: str) -> Spoil:
    def spoil(content: str) -> str:
        assert old in content
        return content.replace(old, new)

    return spoil


def added(lines: str) -> Spoil:
    return lambda content: f"{content}\n{lines}\n"


OLD = "class Config:\n    asterisk_host = '127.0.0.1'\n"
PBX, CRM, CRM_SECRET = '[[pbx]]\nname = "main"', "[vtiger]", 'secret = "crm-s3cret"'
WEBHOOK = '[webhook]\nurl = "http://crm.example/"\nsecret = "sixteen characters"'

CONFIG_MISTAKES: Mapping[str, tuple[Spoil, str]] = {
    "empty": (lambda _: "", "expected at least one [[pbx]]"),
    "not TOML": (lambda _: OLD, "is not TOML"),
    "one bracket": (instead("[[pbx]]", "[pbx]"), "expected [[pbx]], with two brackets"),
    "unknown table": (added("[vtigger]"), "[vtigger]: is not known (did you mean vtiger?)"),
    "unknown key": (instead("username", "usernam"), "[pbx] usernam: is not known (did you mean username?)"),
    "missing key": (instead('username = "crm"', ""), "[pbx] username: is missing and has no default"),
    "missing quotes": (instead('"127.0.0.1"\nport', "127.0.0.1\nport"), "is not TOML"),
    "number in quotes": (instead("port = 1", 'port = "5038"'), "expected a whole number from 1 to 65535"),
    "port too high": (instead("port = 1", "port = 70000"), "expected a whole number from 1 to 65535"),
    "placeholder": (instead(CRM_SECRET, 'secret = "<the key>"'), "[vtiger] secret: is still the placeholder"),
    "two secrets": (instead(CRM_SECRET, f'{CRM_SECRET}\nsecret_file = "x"'), "expected either secret or secret_file"),
    "no secret": (instead(CRM_SECRET, ""), "expected either secret or secret_file"),
    "empty secret": (instead(CRM_SECRET, 'secret = ""'), "[vtiger] secret: expected"),
    "no secret file": (instead(CRM_SECRET, 'secret_file = "none"'), "none: No such file or directory"),
    "empty secret file": (instead(CRM_SECRET, 'secret_file = "EMPTY"'), "EMPTY: is empty"),
    "a directory": (instead(CRM_SECRET, 'secret_file = "."'), "Is a directory"),
    "no systemd": (instead(CRM_SECRET, 'secret_file = "$CREDENTIALS_DIRECTORY/x"'), "units with LoadCredential= only"),
    "two slashes": (instead("sqlite:///", "sqlite://x"), "three slashes before its path"),
    "another database": (instead("sqlite:///", "mysql://"), "[store] url: "),
    "no database": (instead("sqlite:///", "sqlit:///"), "[store] url: "),
    "bind without a port": (instead('bind = "127.0.0.1:0"', 'bind = "0.0.0.0"'), "an address and a port"),
    "port of FreePBX": (added('[route]\nbind = "127.0.0.1:4573"'), "such as 127.0.0.1:4574: FreePBX"),
    "public_url": (instead('"http://172', '"172'), "[http] public_url: expected an address such as http://"),
    "address of the CRM": (instead('"http://127.0.0.1:9', '"crm.example'), "is not the address of vTiger's callback"),
    "time zone": (instead(CRM, f'{CRM}\ntimezone = "Moscow"'), "there is no time zone 'Moscow'"),
    "flavour": (instead(CRM, f'{CRM}\nflavour = "plain"'), '"salesplatform" or "stock"'),
    "no CRM": (lambda content: re.sub(r"\[vtiger\].*?(?=\[http\])", "", content, flags=re.DOTALL), "[vtiger]"),
    "two CRMs": (added(WEBHOOK), "webhook"),
    "pattern": (added("[calls]\nextensions = '('"), "expected a regular expression"),
    "no extensions": (added("[calls]\nextensions = []"), "expected at least one number in the list"),
    "mobile": (added('[calls]\nmobiles = { "x" = "101" }'), "is no telephone number"),
    "mobile of a customer": (added('[calls]\nmobiles = { "+79161234567" = "x" }'), "expected an extension by [calls]"),
    "country": (added('[calls]\nregion = "Russia"'), "expected a country as two capital letters"),
    "networks": (added('[click2call]\nnetworks = ["crm"]'), "expected a list of networks"),
    "channel": (instead(PBX, f'{PBX}\noriginate_channel = "PJSIP/101"'), "[pbx] originate_channel: expected"),
    "variables": (instead(PBX, f'{PBX}\noriginate_variables = {{ "SHELL(x)" = "1" }}'), "a variable's name is letters"),
    "no authorities": (added('[sender]\nca_file = "/none.pem"'), "[sender] ca_file: /none.pem: No such file"),
    "empty authorities": (instead(PBX, f'{PBX}\ntls_ca = "/dev/null"'), "[pbx] tls_ca: /dev/null: "),
    "converter": (added('[recordings]\nconverter = "lame"'), 'expected "auto", "ffmpeg", "sox"'),
    "level": (instead("json = true", 'level = "loud"'), "[log] level: expected"),
}
"""What is wrong with the configuration, and what every command reports of it."""

READS_CONFIG = (
    "run --config CONFIG",
    "backfill --config CONFIG --since 1h",
    "check --config CONFIG",
    "check --live --call 9 --config CONFIG",
    "check --json --config CONFIG",
    "record --config CONFIG x.jsonl",
    "outbox list --config CONFIG",
    "outbox retry --all --config CONFIG",
    "outbox drop --all --config CONFIG",
    "explain 101 --config CONFIG",
    "forget --config CONFIG 79161234567",
)


@pytest.fixture
def taken() -> Iterator[str]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield str(listening.getsockname()[1])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with the files that the commands name."""
    for name, content in (("CONFIG", CONFIG.format(folder=tmp_path)), ("SERVE", SERVE), ("CALL", CALL), ("EMPTY", "")):
        (tmp_path / name).write_text(content)
        (tmp_path / name).chmod(0o600)
    monkeypatch.chdir(tmp_path)
    return tmp_path


PYTHON_IN_WORDS = re.compile(r"Traceback|sqlalche\.me|Errno|\(\d+, '|object at 0x|[A-Z]\w+Error\b")
"""What is for programmers: tracebacks, addresses of SQLAlchemy's pages, tuples, names of exceptions."""


def refused(command: str) -> tuple[int, str]:
    """Exit code and output of a command in this process. No word of it is for programmers."""
    result = CliRunner().invoke(main, command.split())
    assert isinstance(result.exception, SystemExit), f"{command}: {result.exception!r}, {result.output}"
    assert PYTHON_IN_WORDS.search(result.output) is None, result.output
    return result.exit_code, result.output


@pytest.mark.parametrize("mistake", CONFIG_MISTAKES)
def test_mistake_in_the_configuration(folder: Path, mistake: str) -> None:
    """Every command that reads the configuration ends with 2, names the file and says what was expected."""
    spoil, words = CONFIG_MISTAKES[mistake]
    path = folder / "CONFIG"
    path.write_text(spoil(path.read_text()))
    for command in READS_CONFIG:
        code, output = refused(command)
        assert code == 2, f"{command}: {output}"
        assert words in output, f"{command}: {output}"
        assert "CONFIG" in output
        assert "s3cret" not in output


OF_OTHER_FILES = {"crm-module", "demo", "import-config", "replay", "serve-recordings", "setup"}
"""Commands that read a part of the configuration, another one, or none."""


def test_commands_with_a_configuration() -> None:
    """The table has every other command."""
    assert {command.split()[0] for command in READS_CONFIG} == set(COMMANDS) - OF_OTHER_FILES


@pytest.mark.parametrize(("command", "code", "words", "change"), REFUSALS)
def test_refusal(folder: Path, taken: str, command: str, code: int, words: str, change: tuple[str, str] | None) -> None:
    """The exit code is 1 or 2, the output says what is wrong, no traceback is anywhere, and no secret."""
    _change(folder, change, taken)
    ended, output = refused(command.replace("PORT", taken))
    assert ended == code, output
    assert words.replace("PORT", taken) in " ".join(output.split())
    assert "s3cret" not in output


FIRST_OF_EACH: Mapping[str, Refusal] = {
    refusal[0].split()[0]: refusal for refusal in reversed(REFUSALS) if refusal[1] == 1
}


@pytest.mark.parametrize("name", FIRST_OF_EACH)
def test_refusal_of_a_process(folder: Path, taken: str, name: str) -> None:
    """The same for one mistake of each command as a process of its own: its last word is not a traceback."""
    command, code, words, change = FIRST_OF_EACH[name]
    _change(folder, change, taken)
    done = subprocess.run(
        [sys.executable, "-m", "uac_trio", *command.replace("PORT", taken).split()],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    said = done.stderr + done.stdout
    assert done.returncode == code, said
    assert words.replace("PORT", taken) in " ".join(said.split())
    assert PYTHON_IN_WORDS.search(said) is None, said


def _change(folder: Path, change: tuple[str, str] | None, taken: str) -> None:
    if change is None:
        return
    for name in ("CONFIG", "SERVE"):
        path = folder / name
        path.write_text(path.read_text().replace(*change).replace("PORT", taken))


def test_every_command_is_tried() -> None:
    """No command is left out of the tables, and each that can fail at work is started as a process."""
    assert {command.split()[0] for command, *_ in REFUSALS} == set(COMMANDS)
    assert set(FIRST_OF_EACH) == set(COMMANDS)
