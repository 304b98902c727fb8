from __future__ import annotations

import ast
import gzip
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import trio
from click.shell_completion import ShellComplete
from click.testing import CliRunner, Result

from tests.fake_asterisk import REACTIONS, FakeAsterisk, answer
from tests.fake_vtiger import FAILURE, Script, fake_vtiger
from tests.fake_vtiger import Answer as CRMAnswer
from uac_trio import __version__
from uac_trio.cli import COMMANDS, main
from uac_trio.cli.options import CONFIG as CONFIG_PATH

ROOT = Path(__file__).parent.parent
FIXTURES = ROOT / "fixtures" / "ami_transcripts" / "asterisk22"

CONFIG = """
[[pbx]]
name = "main"
host = "127.0.0.1"
port = 1
username = "crm"
secret = "ami-s3cret"
[vtiger]
url = "http://127.0.0.1:9/PBXManager.php"
secret = "crm-s3cret"
[http]
bind = "127.0.0.1:0"
public_url = "http://172.16.1.1:5000"
[store]
url = "sqlite:///{folder}/connector.db"
[log]
json = true
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "uac-trio.toml"
    path.write_text(CONFIG.format(folder=tmp_path))
    path.chmod(0o600)
    return path


def invoked(*arguments: str | Path) -> Result:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def test_version() -> None:
    """--version prints the package's version."""
    assert invoked("--version").output == f"uac-trio, version {__version__}\n"


@pytest.mark.parametrize("command", [["--help"], *([name, "--help"] for name in COMMANDS)])
def test_help(command: list[str]) -> None:
    """Every command explains itself."""
    result = invoked(*command)
    assert result.exit_code == 0
    assert "Usage:" in result.output


def test_public_commands() -> None:
    """The commands that are promised are there, and the list of them says what each says of itself."""
    assert set(COMMANDS) >= {"run", "demo", "replay", "record", "check", "setup", "import-config"}
    with click.Context(main) as context:
        for name, listed in COMMANDS.items():
            command = main.get_command(context, name)
            assert command is not None
            assert command.name == name
            assert command.get_short_help_str(200) == listed.help


SETUP = ("--ami-host", "10.0.0.9", "--crm-url", "http://crm", "--yes", "--dry-run")
NOT_FOR_EACH = {"quart", "hypercorn", "httpx", "alembic", "sqlalchemy", "trio", "jinja2", "prometheus_client"}


@pytest.mark.parametrize(
    ("command", "may_import"),
    [
        (["--version"], set[str]()),
        (["--help"], set[str]()),
        (["replay", "--calls", str(FIXTURES / "inbound_answered.jsonl")], set[str]()),
        (["check", "--config", "uac-trio.toml"], {"sqlalchemy"}),
        (["setup", "--root", str(ROOT), *SETUP], {"sqlalchemy"}),
        (["import-config", str(ROOT / "tests" / "import_config" / "properties.txt")], set[str]()),
    ],
)
def test_imports_only_what_it_needs(config: Path, command: list[str], may_import: set[str]) -> None:
    """Commands that need no server and no database start without their libraries."""
    code = (
        "import sys; from uac_trio.cli import COMMANDS, main; main(sys.argv[1:], standalone_mode=False); "
        f"print(sorted({NOT_FOR_EACH} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *command],
        capture_output=True,
        text=True,
        check=True,
        cwd=config.parent,
        timeout=60,
    )
    assert set(ast.literal_eval(done.stdout.splitlines()[-1])) <= may_import


def test_check_in_words(config: Path) -> None:
    """check says in words what a configuration means, and no secret."""
    result = invoked("check", "--config", config)
    assert result.exit_code == 0
    for words in (
        "uac-trio.toml is valid",
        "PBX main: crm at 127.0.0.1:1, not encrypted.",
        "A click calls PJSIP/{extension} and continues in context from-internal.",
        r"numbers that match ^\d{2,5}$. Calls between them are not delivered to the CRM.",
        "Its clock runs in Europe/Moscow",
        "Clicks come to http://127.0.0.1:0/makecall from 127.0.0.0/8",
        "connector.db",
    ):
        assert words in result.output
    assert "s3cret" not in result.output


def test_check_of_other_choices(config: Path) -> None:
    """check names what is unusual: listed extensions, internal calls, clicks off, routing on, warnings."""
    numbers = ", ".join(f'"{number}"' for number in range(100, 115))
    config.write_text(
        config.read_text()
        + f'[calls]\nextensions = [{numbers}]\ninternal = "report"\nunreached = "100"\n[click2call]\nenabled = false\n'
        + '[route]\nbind = "127.0.0.1:4574"\nsecret = "hush"\n'
        + '[companion]\nenabled = true\norigins = ["https://crm.example"]\n'
    )
    config.chmod(0o644)
    output = invoked("check", "--config", config).output
    assert "the numbers 100, 101, 102, 103, 104, 105, 106, 107, 108, 109 and 5 more" in output
    assert "Calls between them are delivered to the CRM" in output
    assert "Calls for which no phone rang belong to 100." in output
    assert "Clicks on numbers are disabled." in output
    assert "/crm/events, for pages of https://crm.example." in output
    assert (
        "is served at agi://127.0.0.1:4574/route, http://127.0.0.1:0/route and looked up in the CRM at http://"
        in output
    )
    assert "hush" not in output
    assert "Warning:" in output


def test_check_of_how_clicks_call(config: Path) -> None:
    """check says whose clicks a PBX calls, who calls then, and what is set on the channel."""
    more = """originate_extensions = ["101", "102"]
originate_caller_id = "Office <4951234567>"
originate_variables = { "PJSIP_HEADER(add,Alert-Info)" = "x" }
[vtiger]"""
    config.write_text(config.read_text().replace("[vtiger]", more))
    output = invoked("check", "--config", config).output
    assert "A click of the numbers 101, 102 calls PJSIP/{extension} and continues" in output
    assert "The caller id there is Office <4951234567>." in output
    assert "On its channel are set: PJSIP_HEADER(add,Alert-Info)." in output


@pytest.mark.parametrize("command", ["run", "check", "record"])
def test_wrong_configuration(config: Path, command: str) -> None:
    """A wrong configuration is exit code 2 and every problem on stderr, with file and line; no traceback."""
    config.write_text(config.read_text().replace("port = 1", "port = 'x'").replace("json = true", "jsn = true"))
    more = ["out.jsonl"] if command == "record" else []
    result = invoked(command, "--config", config, *more)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert f"{config}:5: [pbx] port: expected a whole number" in result.stderr
    assert "jsn: is not known (did you mean json?)" in result.stderr


def test_configuration_of_the_environment(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without --config it is the one that $UAC_TRIO_CONFIG names, for each command; --config goes before."""
    monkeypatch.setenv("UAC_TRIO_CONFIG", str(config))
    assert f"{config} is valid" in invoked("check").output
    assert "connector.db: no such file" in invoked("outbox", "list").output
    assert "cannot be read" in invoked("check", "--config", "other.toml").output


def test_usual_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where neither is there, the message names both, and what makes one."""
    monkeypatch.delenv("UAC_TRIO_CONFIG", raising=False)
    if not CONFIG_PATH.exists():
        result = invoked("check")
        assert result.exit_code == 2
        for words in ("$UAC_TRIO_CONFIG is not set", f"{CONFIG_PATH} does not exist", "uac-trio setup", "--config"):
            assert words in result.stderr
    monkeypatch.setenv("UAC_TRIO_CONFIG", "/nowhere/x.toml")
    assert "$UAC_TRIO_CONFIG names /nowhere/x.toml, which does not exist" in invoked("check").stderr


def test_help_is_whole() -> None:
    """No text of a command is cut, of those of groups neither."""
    assert COMMANDS["forget"].help in " ".join(invoked("--help").output.split())
    assert "extension, kind, customer, why." in " ".join(invoked("outbox", "--help").output.split())


def test_completion() -> None:
    """A shell completes the names of commands without importing them, and the options of one."""
    completion = ShellComplete(main, {}, "uac-trio", "_UAC_TRIO_COMPLETE")
    assert [item.value for item in completion.get_completions([], "re")] == ["record", "replay"]
    assert "--live" in [item.value for item in completion.get_completions(["check"], "--")]


def test_missing_configuration(tmp_path: Path) -> None:
    """A file that is not there is named."""
    result = invoked("run", "--config", tmp_path / "nothing.toml")
    assert (result.exit_code, result.stderr) == (
        2,
        f"{tmp_path}/nothing.toml: cannot be read: No such file or directory\n",
    )


def test_replay_of_the_flight_recorder(tmp_path: Path) -> None:
    """Its files are compressed and named after the PBX, so calls have the ids of the log; of one PBX at a time."""
    files = [tmp_path / f"{pbx}.20261123T060153.250Z.jsonl.gz" for pbx in ("branch", "main")]
    for file in files:
        file.write_bytes(gzip.compress((FIXTURES / "inbound_answered.jsonl").read_bytes()))
    result = invoked("replay", files[0], "--calls")
    assert (result.exit_code, json.loads(result.stdout)["call_id"]) == (0, "branch-1795413713.0")
    assert invoked("replay", files[0], "--calls", "--call", "1795413713.0").stdout == result.stdout
    result = invoked("replay", *files, "--calls")
    assert result.exit_code == 2
    assert "these are files of several PBXes (branch, main): one PBX at a time" in result.stderr


def test_replay_calls() -> None:
    """replay --calls prints one JSON object a call."""
    result = invoked("replay", FIXTURES / "inbound_answered.jsonl", "--calls")
    (call,) = [json.loads(line) for line in result.stdout.splitlines()]
    assert (result.exit_code, call["status"], call["answered_by"]) == (0, "completed", "101")


def test_replay_requests() -> None:
    """replay --requests prints one JSON object a request, in the CRM's flavour and time zone."""
    arguments = ("replay", FIXTURES / "inbound_answered.jsonl", "--requests")
    first = json.loads(invoked(*arguments).stdout.splitlines()[0])
    assert set(first) == {"at", "callstatus", "call_id", "extension", "key", "form"}
    assert (first["callstatus"], first["form"]["StartTime"]) == ("DialBegin", "2026-11-23 09:01:53")
    first = json.loads(invoked(*arguments, "--flavour", "stock", "--timezone", "UTC").stdout.splitlines()[0])
    assert (first["callstatus"], first["form"]["StartTime"]) == ("StartApp", "2026-11-23 06:01:53")


def test_replay_timeline() -> None:
    """replay --timeline prints what happened in words."""
    result = invoked("replay", FIXTURES / "inbound_answered.ami", "--timeline")
    assert result.exit_code == 0
    assert "101 gets a call from +79161234567" in result.stdout


def test_replay_one_call() -> None:
    """replay --call shows one call of all, and an id that is in none is named."""
    result = invoked("replay", FIXTURES / "inbound_answered.jsonl", "--calls")
    call_id = json.loads(result.output)["call_id"]
    for wanted in (call_id, call_id.removeprefix("main-")):
        assert (
            invoked("replay", FIXTURES / "inbound_answered.jsonl", "--calls", "--call", wanted).output == result.output
        )
    result = invoked("replay", FIXTURES / "inbound_answered.jsonl", "--timeline", "--call", "1.1")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr == "uac-trio: there is no call 1.1 in these files; --calls shows the ids\n"


def test_replay_shows_its_progress() -> None:
    """On a terminal that shows nothing else there is a bar, on stderr."""
    controller, terminal = os.openpty()
    command = [sys.executable, "-m", "uac_trio", "replay", str(FIXTURES / "inbound_answered.ami"), "--calls"]
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=terminal, check=True, cwd=ROOT, timeout=60)
        shown = os.read(controller, 65536).decode()
    finally:
        os.close(controller)
        os.close(terminal)
    assert "replay" in shown
    assert "100%" in shown
    assert len(done.stdout.splitlines()) == 1


def test_replay_config(tmp_path: Path) -> None:
    """replay --config takes the employees and the CRM of a configuration, without its secrets."""
    config = tmp_path / "c.toml"
    config.write_text('[calls]\n[webhook]\nurl = "http://crm.example/calls"\nsecret_file = "/not/there"\n')
    result = invoked("replay", FIXTURES / "inbound_answered.jsonl", "--requests", "--config", config)
    assert result.exit_code == 0, result.stderr
    assert {json.loads(line)["callstatus"] for line in result.output.splitlines()} == {
        "begin",
        "answer",
        "end",
        "recording",
    }
    config.write_text('[calls]\nextensions = "("\n[vtiger]\nurl = "x"\n')
    result = invoked("replay", FIXTURES / "inbound_answered.jsonl", "--requests", "--config", config)
    assert result.exit_code == 2
    assert "c.toml:2: [calls] extensions" in result.stderr
    assert "c.toml:4: [vtiger] url" in result.stderr
    result = invoked("replay", FIXTURES / "inbound_answered.jsonl", "--calls", "--config", config, "--rules", config)
    assert "leave --rules out" in result.stderr


def test_replay_rules(tmp_path: Path) -> None:
    """replay --rules takes the [calls] table: with other extensions there are other requests."""
    rules = tmp_path / "rules.toml"
    rules.write_text("[calls]\nextensions = ['999']\n")
    result = invoked("replay", FIXTURES / "inbound_answered.jsonl", "--requests", "--rules", rules)
    assert (result.exit_code, result.stdout) == (0, "")
    rules.write_text("[calls]\nextensions = '('\n")
    result = invoked("replay", FIXTURES / "inbound_answered.jsonl", "--requests", "--rules", rules)
    assert result.exit_code == 2
    assert "rules.toml:2: [calls] extensions: expected a regular expression" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["replay"], "Missing argument 'FILE...'"),
        (["replay", str(FIXTURES / "inbound_answered.jsonl")], "choose what to show"),
        (["replay", "nowhere.jsonl", "--calls"], "'nowhere.jsonl' does not exist"),
        (
            ["replay", str(FIXTURES / "inbound_answered.jsonl"), "--calls", "--timezone", "Moscow"],
            "no time zone 'Moscow'",
        ),
        (["record", "--config", "x", "out.txt"], "x: cannot be read"),
        (["demo", "--port", "70000"], "--port"),
        (["nonsense"], "No such command"),
    ],
)
def test_wrong_usage(arguments: list[str], said: str) -> None:
    """Wrong usage is exit code 2 with the reason on stderr."""
    result = invoked(*arguments)
    assert result.exit_code == 2
    assert said in result.stderr


def test_name_of_a_transcript(config: Path) -> None:
    """record wants a name that says what the file is."""
    result = invoked("record", "--config", config, "out.txt")
    assert result.exit_code == 2
    assert "ends in .jsonl" in result.stderr


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b'{"t": 0, "dir": "recv", "data": 5}\n', "broken.jsonl"),
        (b'{"t": 0, "dir": "recv", "data": "Asterisk Call Manager/11.0.0\\r\\nEvent: New"}\n', "ends in mid-message"),
    ],
)
def test_broken_transcript(tmp_path: Path, content: bytes, said: str) -> None:
    """A transcript that is broken or cut is exit code 1 with the reason on stderr."""
    path = tmp_path / "broken.jsonl"
    path.write_bytes(content)
    result = invoked("replay", path, "--calls")
    assert result.exit_code == 1
    assert said in result.stderr


def test_record_of_a_pbx_that_is_away(config: Path, tmp_path: Path) -> None:
    """record of a PBX that cannot be reached is exit code 1 with the reason; nothing is left behind."""
    out = tmp_path / "out.jsonl"
    result = invoked("record", "--config", config, out, "--seconds", "0.1")
    assert result.exit_code == 1
    assert "PBX main: cannot connect to 127.0.0.1:1" in result.stderr
    assert not out.exists()
    out.touch()
    result = invoked("record", "--config", config, out, "--seconds", "0.1")
    assert (result.exit_code, "exists already" in result.stderr) == (1, True)


async def test_record(config: Path, tmp_path: Path) -> None:
    """record writes what a PBX says into a file that replay reads, and prints its name."""
    out = tmp_path / "out.jsonl"
    async with trio.open_nursery() as nursery:
        pbx = FakeAsterisk(nursery, secret="ami-s3cret")
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, pbx.serve, [listener])
        _set_port(config, listener.socket.getsockname()[1])
        command = [sys.executable, "-m", "uac_trio", "record", "--config", str(config), str(out), "--seconds", "0.5"]
        done = await trio.run_process(command, capture_stdout=True, capture_stderr=True, cwd=ROOT)
        nursery.cancel_scope.cancel()
    assert done.stdout.decode() == f"{out}\n"
    assert "s3cret" not in out.read_text() + done.stderr.decode()
    result = invoked("replay", out, "--calls")
    assert (result.exit_code, result.output) == (0, "")


def _set_port(config: Path, port: int) -> None:
    _replace(config, "port = 1", f"port = {port}")


def _replace(config: Path, old: str, new: str) -> None:
    config.write_text(config.read_text().replace(old, new))


def test_run_that_cannot_start(config: Path) -> None:
    """An address that is taken, or a store that cannot be opened, is exit code 1 and one line on stderr."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        bind = f"127.0.0.1:{taken.getsockname()[1]}"
        config.write_text(config.read_text().replace("127.0.0.1:0", bind))
        result = invoked("run", "--config", config)
    assert result.exit_code == 1
    assert f"uac-trio: [http] bind = '{bind}'" in result.stderr
    assert "Traceback" not in result.stderr
    config.write_text(config.read_text().replace("connector.db", "nowhere/connector.db"))
    result = invoked("run", "--config", config)
    assert result.exit_code == 1
    assert "nowhere" in result.stderr
    assert "Traceback" not in result.stderr


def test_demo_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    """demo hands its options on and ends with the demo's code."""
    seen: list[tuple[bool, str, int | None]] = []

    def run_demo(*, once: bool, host: str, port: int | None, echo: object) -> int:
        seen.append((once, host, port))
        return 1

    monkeypatch.setattr("uac_trio.cli.demo.run_demo", run_demo)
    assert invoked("demo", "--once", "--port", "8080").exit_code == 1
    assert seen == [(True, "127.0.0.1", 8080)]


@pytest.fixture
def process(config: Path) -> Iterator[subprocess.Popen[str]]:
    """``uac-trio run`` as a user would start it."""
    command = [sys.executable, "-m", "uac_trio", "run", "--config", str(config)]
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=config.parent, env=environ) as started:
        yield started
        started.kill()


@pytest.mark.parametrize("which", [signal.SIGTERM, signal.SIGINT])
def test_run_and_stop(process: subprocess.Popen[str], which: signal.Signals) -> None:
    """run says in JSON lines that it is ready, and ends with 0 at a signal."""
    assert process.stderr is not None
    lines = []
    for line in process.stderr:
        lines.append(json.loads(line))
        if lines[-1]["event"] == "daemon.ready":
            break
    process.send_signal(which)
    assert process.wait(10) == 0
    lines += [json.loads(line) for line in process.stderr]
    logged = [line["event"] for line in lines]
    assert [event for event in logged if event.startswith("daemon.")] == [
        "daemon.starting",
        "daemon.ready",
        "daemon.stopping",
        "daemon.stopped",
    ]
    assert "s3cret" not in str(lines)


def test_check_live(config: Path) -> None:
    """check --live adds what it found to what the file says; a problem makes exit code 1, and nothing is made."""
    result = invoked("check", "--config", config, "--live")
    assert result.exit_code == 1
    assert "uac-trio.toml is valid" in result.output
    assert "problem  PBX main: 127.0.0.1:1 refuses the connection" in result.output
    assert "problem  CRM: http://127.0.0.1:9/PBXManager.php: the CRM cannot be reached" in result.output
    assert "2 problems" in result.output
    assert "s3cret" not in result.output
    assert os.listdir(config.parent) == ["uac-trio.toml"]


def test_interrupt_in_a_nursery(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl+C is no traceback, wherever it comes; another error beside it is still shown."""

    def interrupted(*_: object) -> None:
        raise BaseExceptionGroup("", [BaseExceptionGroup("", [KeyboardInterrupt()])])

    monkeypatch.setattr("uac_trio.cli.check.load_config", interrupted)
    result = invoked("check", "--config", config)
    assert (result.exit_code, result.stderr.strip()) == (1, "Aborted!")

    def failed(*_: object) -> None:
        raise BaseExceptionGroup("", [KeyboardInterrupt(), ZeroDivisionError()])

    monkeypatch.setattr("uac_trio.cli.check.load_config", failed)
    with pytest.raises(BaseExceptionGroup):
        CliRunner().invoke(main, ["check", "--config", str(config)], catch_exceptions=False)


def test_check_as_json(config: Path) -> None:
    """check --json is one object on stdout: of a valid file, of a wrong one, and of --live."""
    valid = json.loads(invoked("check", "--config", config, "--json").stdout)
    assert (valid["calls"], [finding["id"] for finding in valid["findings"]]) == ("unknown", ["config.valid"])
    live = invoked("check", "--config", config, "--live", "--json")
    found = json.loads(live.stdout)
    assert live.exit_code == 1
    assert found["calls"] == "not shown"
    assert {"pbx.unreachable", "crm.address"} <= {
        one["id"] for one in found["findings"] if one["severity"] == "problem"
    }
    _replace(config, "port = 1", "port = 'x'")
    refused = invoked("check", "--config", config, "--json")
    (finding,) = json.loads(refused.stdout)["findings"]
    assert (refused.exit_code, finding["id"]) == (2, "config.invalid")
    assert f"{config}:5: [pbx] port: expected a whole number" in finding["text"]


async def test_check_live_without_problems(config: Path) -> None:
    """check --live of a PBX and a CRM that are well is exit code 0."""
    reactions = {
        **REACTIONS,
        "ListCommands": lambda _, action: answer(action, "Originate: x", "CoreShowChannels: x"),
        "CoreSettings": lambda _, action: answer(action, "AsteriskVersion: 22.1.0"),
    }
    async with trio.open_nursery() as nursery, fake_vtiger(knows("crm-s3cret")) as crm:
        pbx = FakeAsterisk(nursery, secret="ami-s3cret", reactions=reactions)
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, pbx.serve, [listener])
        _set_port(config, listener.socket.getsockname()[1])
        _replace(config, "http://127.0.0.1:9/PBXManager.php", crm.url)
        command = [sys.executable, "-m", "uac_trio", "check", "--config", str(config), "--live"]
        done = await trio.run_process(command, capture_stdout=True, check=False, cwd=ROOT)
        nursery.cancel_scope.cancel()
    assert done.returncode == 0, done.stdout.decode()
    assert "no problems" in done.stdout.decode()


def knows(secret: str) -> Script:
    return lambda form: CRMAnswer() if form["vtigersignature"] == secret else FAILURE
