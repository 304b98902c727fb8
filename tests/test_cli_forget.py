"""``uac-trio forget`` on a real store and real files."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
from click.testing import CliRunner, Result

from tests.flight_recorder.test_writing import wires_of, written
from tests.recordings.sounds import fake_converter, read_only, row
from tests.store.calls import NOW, a_call, deliver, recording_of
from uac_trio.cli import main
from uac_trio.config.loading import load_config
from uac_trio.daemon.recordings import open_recordings
from uac_trio.flight_recorder.files import recorded_files
from uac_trio.store.outbox import open_outbox
from uac_trio.store.settings import OutboxSettings

CONFIG = """
[[pbx]]
name = "main"
host = "127.0.0.1"
username = "crm"
secret = "s"
recordings = ["{folder}/monitor"]
[vtiger]
url = "http://127.0.0.1:9/PBXManager.php"
secret = "s"
[recordings]
converter = ""
[store]
url = "sqlite:///{folder}/connector.db"
"""


@pytest.fixture(autouse=True)
def logs_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("uac_trio.cli.forget.configure_logging", lambda _: None)  # it is for the whole process


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A store with one delivered call, one whose recording waits, and their files."""
    (tmp_path / "c.toml").write_text(CONFIG.format(folder=tmp_path))
    (tmp_path / "monitor").mkdir()
    for number in ("79161234567", "79165556677"):
        (tmp_path / "monitor" / f"{number}.wav").write_bytes(b"sound")

    async def fill() -> None:
        async with open_outbox(OutboxSettings(url=f"sqlite:///{tmp_path}/connector.db")) as outbox:
            waits = recording_of("main-2", "79165556677", is_awaited=True)
            calls = [*a_call("main-1"), *a_call("main-2", customer="79165556677")]
            await outbox.put(calls, NOW, [recording_of("main-1"), waits])
            await deliver(outbox)

    trio.run(fill)
    return tmp_path


def forget(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["forget", "--config", str(folder / "c.toml"), *arguments])


def test_rows_alone(folder: Path) -> None:
    """Without --files the rows go and the file stays."""
    result = forget(folder, "+7 916 123-45-67")
    assert (result.exit_code, result.stdout) == (0, "removed: 3 deliveries and 1 recordings of 1 calls, 0 files\n")
    assert (folder / "monitor" / "79161234567.wav").exists()


def test_with_files(folder: Path) -> None:
    """--files removes the recordings of this number too, and no others."""
    result = forget(folder, "89161234567", "--files")
    assert (result.exit_code, result.stdout) == (0, "removed: 3 deliveries and 1 recordings of 1 calls, 1 files\n")
    assert [path.name for path in (folder / "monitor").iterdir()] == ["79165556677.wav"]


def test_converted_copies(folder: Path) -> None:
    """What was converted of a recording is our copy: it goes with the rows, whether or not the file does."""
    (folder / "monitor" / "79161234567.wav").rename(folder / "monitor" / "79161234567.gsm")
    tool = fake_converter(folder, "open(out, 'wb').write(b'wav')")
    content = (folder / "c.toml").read_text().replace('converter = ""', f'converter = "{tool}"')
    (folder / "c.toml").write_text(content)
    config = load_config(folder / "c.toml", {})

    async def listen() -> None:
        async with open_outbox(config.store) as outbox, open_recordings(config, outbox) as archive:
            playable = await archive.open(row(f"{folder}/monitor/79161234567.gsm"))
            assert await playable.file.read(0, 10) == b"wav"
            playable.file.close()

    async def rename() -> None:
        async with open_outbox(config.store) as outbox:
            recording = recording_of("main-3", "79160000000", path=f"{folder}/monitor/79161234567.gsm")
            await outbox.put(a_call("main-3", customer="79160000000"), NOW, [recording])
            await deliver(outbox)

    trio.run(rename)
    trio.run(listen)
    assert len(list((folder / "recordings-cache").iterdir())) == 1
    assert forget(folder, "79160000000").exit_code == 0
    assert list((folder / "recordings-cache").iterdir()) == []
    assert (folder / "monitor" / "79161234567.gsm").exists()


def test_machine_away(folder: Path) -> None:
    """Files that another machine has and does not answer for are named, since nothing here knows of them afterwards."""
    content = (folder / "c.toml").read_text()
    far = 'recordings_url = "http://127.0.0.1:9"\nrecordings_secret = "s"'
    (folder / "c.toml").write_text(content.replace(f'recordings = ["{folder}/monitor"]', far))
    result = forget(folder, "89161234567", "--files")
    assert result.exit_code == 1
    assert result.stdout.endswith("removed: 3 deliveries and 1 recordings of 1 calls, 0 files\n")
    assert "delete them by hand" in result.stderr
    assert "79161234567.wav: [[pbx]] main: recordings_url: http://127.0.0.1:9: no connection" in result.stderr


def test_file_that_cannot_be_deleted(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that stays is named with the reason, and the exit code says so."""
    monkeypatch.setattr("uac_trio.recordings.finding.delete_beneath", read_only)
    result = forget(folder, "89161234567", "--files")
    assert result.exit_code == 1
    assert result.stdout.endswith("removed: 3 deliveries and 1 recordings of 1 calls, 0 files\n")
    assert "delete them by hand" in result.stderr
    assert f"{folder}/monitor/79161234567.wav: Read-only file system" in result.stderr


def test_what_stays(folder: Path) -> None:
    """A call with deliveries still to send stays, and the exit code says so."""
    result = forget(folder, "89165556677", "--files")
    assert result.exit_code == 1
    assert result.stdout == "removed: 0 deliveries and 0 recordings of 0 calls, 0 files\n"
    assert "1 calls go on or wait for delivery to the CRM, and stay; run this again later" in result.stderr
    assert (folder / "monitor" / "79165556677.wav").exists()


def test_wrong_usage(folder: Path) -> None:
    """An argument that is no number, and a store that does not exist, are reported."""
    assert forget(folder, "Ivan").exit_code == 2
    assert forget(folder, "101").exit_code == 2
    (folder / "connector.db").unlink()
    result = forget(folder, "89165556677")
    assert (result.exit_code, "no such file" in result.stderr) == (1, True)


def test_flight_recorder(folder: Path) -> None:
    """The files of AMI in which the number occurs are deleted, however it is written."""
    recorder = folder / "flight-recorder"
    written(recorder, wires_of("asterisk22/inbound_ringgroup_answered"))
    result = forget(folder, "8 (916) 123-45-67")
    assert result.exit_code == 0
    assert "removed: 1 files of the flight recorder, in which the number occurred\n" in result.stdout
    assert recorded_files(recorder) == []


def test_a_damaged_file_of_the_flight_recorder(folder: Path) -> None:
    """It is named with what to do: the number may be in it."""
    recorder = folder / "flight-recorder"
    recorder.mkdir()
    (recorder / "main.20261123T060153.250Z.jsonl.gz").write_bytes(b"\x1f\x8b\x08\x00" + b"\xff" * 40)
    result = forget(folder, "79161234567")
    assert result.exit_code == 1
    assert "the flight recorder was not searched" in result.stderr
    assert result.stderr.endswith("; delete this file\n")
