"""The files of the flight recorder: what replay makes of them, what is not in them, how they begin and end."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

import attrs
import pytest

from tests.recorded import ROOT, rules_of
from uac_trio.crm.protocol import CRM, Surroundings
from uac_trio.crm.vtiger import VtigerSettings
from uac_trio.flight_recorder import writing as room
from uac_trio.flight_recorder.files import open_file, recorded_files
from uac_trio.flight_recorder.settings import FlightRecorderSettings
from uac_trio.flight_recorder.writing import Wire, Writing, without_secrets
from uac_trio.replay import call_lines, play
from uac_trio.transcript import Transcript, read_transcript

EPOCH = 1_795_413_713.25
OPEN = Wire("main", "open", b"", EPOCH)
SCENARIOS = (
    "asterisk22/inbound_ringgroup_answered",
    "asterisk22/attended_transfer_refer",
    "asterisk11/inbound_anonymous",
)


def crm() -> CRM:
    return VtigerSettings(url="http://crm.example/", secret="s").crm(Surroundings())


def transcript_of(name: str) -> Transcript:
    path = ROOT / f"{name}.jsonl"
    return read_transcript(path.name, path.read_bytes())


def wires_of(name: str, size: int = 0) -> Iterator[Wire]:
    """What a connection reads and writes; ``size``: of its reads, 0 = as they were recorded."""
    transcript = transcript_of(name)
    yield Wire("main", "open", b"", transcript.epoch or EPOCH)
    for chunk in transcript.chunks:
        if chunk.direction not in ("recv", "send"):
            continue
        at = (transcript.epoch or EPOCH) + chunk.t
        step = size or len(chunk.data)
        for start in range(0, len(chunk.data), step):
            yield Wire("main", chunk.direction, chunk.data[start : start + step], at)


def written(directory: Path, wires: Iterable[Wire], *, each: bool = False, close: bool = True) -> Writing:
    """``each``: a write to the disk for each wire."""
    writing = Writing(directory, FlightRecorderSettings())
    for some in [[wire] for wire in wires] if each else [[*wires]]:
        writing.write(some, 0, some[-1].at)
    if close:
        writing.close()
    return writing


def calls_of(transcripts: Iterable[Transcript], name: str) -> list[str]:
    problems: list[str] = []
    found = list(call_lines(step.fact for step in play(transcripts, rules_of(name), crm(), problems)))
    assert problems == []
    return found


def files_in(directory: Path) -> list[Transcript]:
    return [open_file(file.path) for file in recorded_files(directory)]


@pytest.fixture
def tiny_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file is full after its first message."""
    monkeypatch.setattr(Writing, "_file_size", 1)
    monkeypatch.setattr(room, "prune", lambda *_, **__: 0)


@pytest.mark.parametrize("name", SCENARIOS)
@pytest.mark.parametrize("size", [0, 7, 1000])
def test_replay_reads_it_as_it_is(tmp_path: Path, name: str, size: int) -> None:
    """Wherever a read ended, replay concludes the same as of the recorded connection."""
    written(tmp_path, wires_of(name, size))
    (transcript,) = files_in(tmp_path)
    assert transcript.cut == ""
    assert calls_of([transcript], name) == calls_of([transcript_of(name)], name) != []


@pytest.mark.parametrize("name", SCENARIOS)
@pytest.mark.usefixtures("tiny_files")
def test_a_connection_in_many_files(tmp_path: Path, name: str) -> None:
    """A file that goes on with the one before is no new connection: no call is inferred, doubled or lost."""
    written(tmp_path, wires_of(name, 700), each=True)
    files = files_in(tmp_path)
    assert len(files) > 3
    assert [one.continues for one in files[1:]] == [Path(one.name).name for one in files[:-1]]
    assert calls_of(files, name) == calls_of([transcript_of(name)], name)


@pytest.mark.usefixtures("tiny_files")
def test_the_first_files_are_gone(tmp_path: Path) -> None:
    """A call that began after the oldest file is shown as if all of the connection was there."""
    name = "asterisk22/inbound_ringgroup_answered"
    written(tmp_path, wires_of(name, 700), each=True)
    files = files_in(tmp_path)
    begins = next(
        number for number, file in enumerate(files) if any(b"Event: Newchannel" in chunk.data for chunk in file.chunks)
    )
    assert begins > 0
    assert calls_of(files[begins:], name) == calls_of([transcript_of(name)], name)


def test_only_this_user_reads_it(tmp_path: Path) -> None:
    """Directory 0700, file 0600: it has telephone numbers."""
    directory = tmp_path / "flight-recorder"
    written(directory, wires_of(SCENARIOS[0]))
    (file,) = recorded_files(directory)
    assert [stat.S_IMODE(path.stat().st_mode) for path in (directory, file.path)] == [0o700, 0o600]


@pytest.mark.parametrize(
    ("data", "kept"),
    [
        (b"Action: Login\r\nSecret: s3cret\r\n\r\n", b"Action: Login\r\nSecret: (not recorded)\r\n\r\n"),
        (b"Key: 0123abcd\r\nActionID: 1\r\n", b"Key: (not recorded)\r\nActionID: 1\r\n"),
        (b"  SECRET : x\n", b"  SECRET : (not recorded)\r\n"),
        (b"Event: Hangup\r\nKeyword: x\r\n", b"Event: Hangup\r\nKeyword: x\r\n"),
        (b"Value: secret\r\n", b"Value: secret\r\n"),
    ],
)
def test_secrets(data: bytes, kept: bytes) -> None:
    """The values of Secret and Key are not recorded, whatever the case of the name."""
    assert without_secrets(data) == kept


def test_secret_in_two_reads(tmp_path: Path) -> None:
    """A secret that two writes carry is blanked all the same."""
    parts = [b"Action: Login\r\nSecr", b"et: s3c", b"ret\r\n\r\n"]
    wires = [OPEN, *(Wire("main", "send", part, EPOCH) for part in parts)]
    written(tmp_path, wires, each=True)
    (transcript,) = files_in(tmp_path)
    sent = b"".join(chunk.data for chunk in transcript.chunks if chunk.direction == "send")
    assert sent == b"Action: Login\r\nSecret: (not recorded)\r\n\r\n"


def test_a_second_connection_has_a_file_of_its_own(tmp_path: Path) -> None:
    """Each greeting of a server begins a file, which goes on with no other."""
    written(tmp_path, [*wires_of(SCENARIOS[0]), *wires_of(SCENARIOS[1])])
    files = files_in(tmp_path)
    assert [file.continues for file in files] == ["", ""]


def test_each_pbx_has_its_files(tmp_path: Path) -> None:
    """Two PBXes at once do not mix."""
    wires = list(wires_of(SCENARIOS[0]))
    both = [each for wire in wires for each in (wire, attrs.evolve(wire, pbx="branch"))]
    written(tmp_path, both)
    assert sorted(file.pbx for file in recorded_files(tmp_path)) == ["branch", "main"]
    for transcript in files_in(tmp_path):
        assert calls_of([transcript], SCENARIOS[0]) == calls_of([transcript_of(SCENARIOS[0])], SCENARIOS[0])


def test_a_file_that_is_deleted(tmp_path: Path) -> None:
    """After forget, or rm, the recorder goes on in a new file."""
    wires = list(wires_of(SCENARIOS[0]))
    writing = written(tmp_path, wires[: len(wires) // 2], close=False)
    (file,) = recorded_files(tmp_path)
    file.path.unlink()
    writing.write([wires[len(wires) // 2]], 0, EPOCH)
    for wire in wires[len(wires) // 2 + 1 :]:
        writing.write([wire], 0, EPOCH)
    writing.close()
    (after,) = recorded_files(tmp_path)
    assert after.path != file.path
    assert open_file(after.path).continues == ""


def test_a_gap(tmp_path: Path) -> None:
    """Reads that were dropped, perhaps within a message, are noted; what follows begins with a whole message."""
    hello = Wire("main", "recv", b"Asterisk Call Manager/5.0\r\nEvent: A\r\n\r\nEvent: B\r\nLo", EPOCH)
    writing = Writing(tmp_path, FlightRecorderSettings())
    writing.write([OPEN, hello], 0, EPOCH)
    rest = [b"alf\r\nX: 1\r\n\r\nEvent: C\r\n\r\n", b"Event: D\r\n\r\n"]
    writing.write([Wire("main", "recv", data, EPOCH + 9) for data in rest], 3, EPOCH + 9)
    writing.close()
    before, after = files_in(tmp_path)
    assert b"3 reads are missing after this: the disk was too slow" in [chunk.data for chunk in before.chunks]
    assert (
        b"".join(chunk.data for chunk in after.chunks if chunk.direction == "recv")
        == b"Event: C\r\n\r\nEvent: D\r\n\r\n"
    )
    assert after.continues == ""


def test_the_clock_is_set_back(tmp_path: Path) -> None:
    """Times within a file never go back, which replay would refuse."""
    event = b"Event: A\r\n\r\n"
    written(tmp_path, [OPEN, *(Wire("main", "recv", event, EPOCH + after) for after in (5, -500))])
    (transcript,) = files_in(tmp_path)
    assert [chunk.t for chunk in transcript.chunks] == [0.0, 5.0, 5.0]


@pytest.mark.parametrize(
    ("hours", "seconds", "files"), [(24, 1800.0, 1), (24, 3601.0, 2), (2, 451.0, 2), (2, 440.0, 1)]
)
def test_a_quiet_pbx(tmp_path: Path, hours: int, seconds: float, files: int) -> None:
    """A file holds an hour at most, or a sixteenth of the time that is kept, so that old data goes in time."""
    writing = Writing(tmp_path, FlightRecorderSettings(hours=hours))
    writing.write([OPEN, Wire("main", "recv", b"Asterisk Call Manager/5.0\r\nEvent: A\r\n\r\n", EPOCH)], 0, EPOCH)
    ping = b"Response: Success\r\n\r\n"
    writing.write([Wire("main", "recv", ping, EPOCH + seconds)], 0, EPOCH + seconds)
    writing.write([Wire("main", "recv", ping, EPOCH + seconds)], 0, EPOCH + seconds)
    writing.close()
    assert len(recorded_files(tmp_path)) == files


@pytest.mark.parametrize("fails", [False, True])
def test_without_an_end(tmp_path: Path, fails: bool) -> None:
    """What a killed process or a full disk leaves is read up to its last flush, and noted."""
    writing = written(tmp_path, wires_of(SCENARIOS[0]), close=False)
    if fails:
        writing.abandon()
    (transcript,) = files_in(tmp_path)
    writing.abandon()
    assert transcript.cut.startswith(
        "the gzip data has no end: the program that wrote it was killed, or writes it still"
    )
    assert calls_of([transcript], SCENARIOS[0]) == calls_of([transcript_of(SCENARIOS[0])], SCENARIOS[0])


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is buffered does not fit when files are closed either. All are; new ones begin when there is room."""
    begin = [Wire(pbx, "open", b"", EPOCH) for pbx in ("north", "south")]
    event = [Wire(pbx, "recv", b"Event: A\r\n\r\n", EPOCH) for pbx in ("north", "south")]
    writing = Writing(tmp_path, FlightRecorderSettings())
    opened = os.open
    with monkeypatch.context() as full:
        full.setattr(os, "open", lambda *_: opened("/dev/full", os.O_WRONLY))
        with pytest.raises(OSError, match="No space left"):
            writing.write(begin, 0, EPOCH)
        writing.abandon()
    writing.write([*event, *begin, *event], 0, EPOCH)
    writing.close()
    assert sorted(file.pbx for file in recorded_files(tmp_path)) == ["north", "south"]
