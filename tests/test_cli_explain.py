"""``uac-trio explain`` on a real flight recorder and a real store."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import trio
from click.testing import CliRunner, Result

from tests.flight_recorder.test_writing import wires_of, written
from tests.recorded import ROOT
from tests.store.calls import deliver, lease
from uac_trio.cli import main
from uac_trio.config.loading import load_config
from uac_trio.replay import play
from uac_trio.store.outbox import open_outbox
from uac_trio.store.rows import Parked
from uac_trio.transcript import read_transcript

RING_GROUP = "asterisk22/inbound_ringgroup_answered"
CALL = "main-1795413750.28"
WHEN = ("--since", "2026-11-23")
CONFIG = """
[[pbx]]
name = "main"
host = "127.0.0.1"
username = "crm"
secret = "s"
[calls]
{calls}
[vtiger]
url = "http://127.0.0.1:9/PBXManager.php"
secret = "s"
[store]
url = "sqlite:///connector.db"
"""


def a_daemon(folder: Path, *names: str, calls: str = "", parked: str = "") -> Path:
    """What a daemon leaves that saw these recordings: AMI, and deliveries of which that to ``parked`` was refused."""
    config_file = folder / "c.toml"
    config_file.write_text(CONFIG.format(calls=calls))
    config = load_config(config_file)

    async def deliver_all() -> None:
        async with open_outbox(config.store) as outbox:
            for name in names:
                data = (ROOT / f"{name}.jsonl").read_bytes()
                steps = list(play([read_transcript("x.jsonl", data)], config.calls, config.crm, []))
                await outbox.put([each for step in steps for each in step.deliveries], steps[0].fact.at)
            for row in await lease(outbox, steps[-1].fact.at) if parked else ():
                if row.delivery.extension == parked:
                    await outbox.settle(row, Parked(reason="the CRM has no such user"), steps[0].fact.at + 1)
            await deliver(outbox, steps[0].fact.at + 300)

    for name in names:
        written(config.flight_recorder_directory, wires_of(name))
    trio.run(deliver_all)
    return config_file


def explain(config: Path | None, *arguments: str) -> Result:
    more = () if config is None else ("--config", str(config))
    return CliRunner().invoke(main, ["explain", *more, *arguments])


def one_json(result: Result) -> dict[str, Any]:
    (line,) = result.stdout.splitlines()
    found: dict[str, Any] = json.loads(line)
    return found


@pytest.mark.parametrize("subject", ["8 916 123-45-67", "102", CALL, "1795413750.28"])
def test_a_call(tmp_path: Path, subject: str) -> None:
    """By number, extension, id or Linkedid: its popups, events with rules, requests and deliveries."""
    result = explain(a_daemon(tmp_path, RING_GROUP, "asterisk22/inbound_busy"), subject, *WHEN)
    assert (result.exit_code, result.stderr) == (0, "")
    for words in (
        f"call {CALL}, ",
        ": inbound, customer +79161234567 to 4951000600, completed\n",
        "    103: too late: accepted by the CRM ",
        "(Newstate PJSIP/101-00000013; why 101: its own CallerID is an extension)",
        "    -> CRM: DialBegin callerIdNumber=+79161234567, dialString=102",
        "  begin 101: delivered at ",
        "flight recorder ",
        "store sqlite:///",
    ):
        assert words in result.stdout
    assert result.stdout.count("call main-") == (
        1 if subject != "8 916 123-45-67" else result.stdout.count("call main-")
    )


def test_json(tmp_path: Path) -> None:
    """One object a call, and nothing else on stdout."""
    found = one_json(explain(a_daemon(tmp_path, RING_GROUP, parked="101"), CALL, "--json", *WHEN))
    assert found["call_id"] == CALL
    assert {each["extension"]: each["seen"] for each in found["popups"]} == {
        "101": "none",
        "102": "late",
        "103": "late",
    }
    assert found["events"][0]["because"] == "Newchannel PJSIP/trunk-00000012"
    assert found["requests"][0]["form"]["dialString"] == "101"
    (dead,) = [row for row in found["deliveries"] if row["state"] == "parked"]
    assert dead["reason"] == "the CRM has no such user"


def test_a_dead_letter(tmp_path: Path) -> None:
    """The reason of the CRM, and the command that sends it again."""
    result = explain(a_daemon(tmp_path, RING_GROUP, parked="101"), "101", *WHEN)
    assert "101: none: the CRM refused it for good: the CRM has no such user. Mend the cause, then: " in result.stdout
    assert "uac-trio outbox retry 1\n" in result.stdout


def test_phones_that_are_no_employee_s(tmp_path: Path) -> None:
    """Which phones rang, and by which evidence they are no employee's."""
    result = explain(a_daemon(tmp_path, RING_GROUP, calls='extensions = "2\\\\d\\\\d"'), "79161234567", *WHEN)
    assert "none: the phones that rang are no employee's by [calls] (PJSIP/101, PJSIP/102, PJSIP/103;" in result.stdout
    assert "neither its CallerID nor its name matches [calls] extensions" in result.stdout


def test_another_company_s(tmp_path: Path) -> None:
    """The events that have the number are shown: the call is another company's."""
    result = explain(a_daemon(tmp_path, RING_GROUP, calls='only_endpoints = "t2_"'), "79161234567", *WHEN)
    assert result.exit_code == 1
    assert "The PBX did show 79161234567, in events of which no call of yours follows:\n" in result.stderr
    assert "PBX main: Newchannel of PJSIP/trunk-00000012, context from-trunk\n" in result.stderr
    assert "another company's ([calls] only_...)" in result.stderr


def test_the_store_alone(tmp_path: Path) -> None:
    """Where the AMI is gone, what the store has is shown."""
    config = a_daemon(tmp_path, RING_GROUP)
    for file in (tmp_path / "flight-recorder").iterdir():
        file.unlink()
    result = explain(config, "79161234567", *WHEN)
    assert "events: not recorded (any more); what follows is the store's" in result.stdout
    assert "end 102: delivered at " in result.stdout
    assert "flight-recorder: no files\n" in result.stdout


def test_nothing(tmp_path: Path) -> None:
    """Exit code 1; what was looked at, of which time, and what to do."""
    result = explain(a_daemon(tmp_path, RING_GROUP), "74950000000", *WHEN)
    assert (result.exit_code, result.stdout) == (1, "")
    for words in (
        "no call of number 74950000000.\n",
        ", PBX main: 2026-11-23 ",
        ": 0 deliveries",
        "--since 7d",
        "/live",
    ):
        assert words in result.stderr


def test_too_short_a_time(tmp_path: Path) -> None:
    """A call before --since is not shown, and the times are."""
    result = explain(a_daemon(tmp_path, RING_GROUP), CALL.replace("28", "29"), "--since", "2026-11-24")
    assert result.exit_code == 1
    assert "PBX main: " in result.stderr


def test_without_a_store(tmp_path: Path) -> None:
    """A store that cannot be opened is named; the recorded AMI is explained all the same."""
    config = a_daemon(tmp_path, RING_GROUP)
    (tmp_path / "connector.db").unlink()
    result = explain(config, CALL, *WHEN)
    assert result.exit_code == 0
    assert "store: not looked at: outbox sqlite:///" in result.stdout
    assert "101: not known: the store was not looked at" in result.stdout


def test_files(tmp_path: Path) -> None:
    """Transcripts alone need no configuration; what would be sent is shown."""
    result = explain(None, "102", str(ROOT / f"{RING_GROUP}.jsonl"))
    assert result.exit_code == 0
    assert "-> CRM: DialAnswer callerid1=+79161234567, callerid2=102" in result.stdout
    assert "\nLooked at:\n  file " in result.stdout
    assert "store: not looked at; --config names the file that has it" in result.stdout


def test_the_latest(tmp_path: Path) -> None:
    """Of many calls the latest are shown, and how many there are."""
    config = a_daemon(tmp_path, RING_GROUP, "asterisk22/inbound_answered", "asterisk22/inbound_busy")
    result = explain(config, "101", "--last", "1", *WHEN)
    assert result.stdout.count("\n  popup\n") == 1
    assert "2 earlier calls are not shown: --last 3\n" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("anna",), "'anna' is no telephone number"),
        (("101", "--since", "yesterday"), "'yesterday' is no time; expected a time such as"),
        (("101", "--last", "0"), "--last"),
    ],
)
def test_wrong_usage(tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    """Exit code 2, and what was expected."""
    result = explain(a_daemon(tmp_path, RING_GROUP), *arguments)
    assert result.exit_code == 2
    assert words in result.stderr


def test_damaged_file(tmp_path: Path) -> None:
    """A file that cannot be read is named."""
    config = a_daemon(tmp_path, RING_GROUP)
    (file,) = (tmp_path / "flight-recorder").iterdir()
    file.write_bytes(b"\x1f\x8b\x08\x00" + b"\xff" * 40)
    result = explain(config, CALL, *WHEN)
    assert result.exit_code == 1
    assert f"uac-trio: {file}: damaged gzip after 0 bytes of its content" in result.stderr
