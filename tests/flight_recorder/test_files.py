"""Which files of the flight recorder stay."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.flight_recorder.test_writing import EPOCH, SCENARIOS, wires_of, written
from uac_trio.flight_recorder.files import file_name, forget_number, occurrence, open_file, prune, recorded_files
from uac_trio.flight_recorder.settings import FlightRecorderSettings
from uac_trio.transcript import TranscriptError

HOUR = 3600.0


def made(directory: Path, *ages: float, size: int = 100, pbx: str = "main") -> list[Path]:
    """Files that began, and were last written, so many seconds before ``EPOCH``."""
    paths = []
    for age in ages:
        path = directory / file_name(pbx, EPOCH - age)
        path.write_bytes(b"x" * size)
        os.utime(path, (EPOCH - age, EPOCH - age))
        paths.append(path)
    return paths


@pytest.mark.parametrize(
    ("before", "most", "kept"),
    [
        (EPOCH - 24 * HOUR, 10_000, [2.0, 1.0, 0.0]),
        (EPOCH - 1.5 * HOUR, 10_000, [1.0, 0.0]),
        (EPOCH - 24 * HOUR, 200, [1.0, 0.0]),
        (EPOCH - 24 * HOUR, 199, [0.0]),
        (EPOCH, 0, []),
    ],
)
def test_bounds(tmp_path: Path, before: float, most: int, kept: list[float]) -> None:
    """The oldest go first: what is older than the time that is kept, then what takes more room than it may."""
    made(tmp_path, *(hours * HOUR for hours in (0.0, 2.0, 1.0)))
    prune(tmp_path, before=before, most=most)
    assert [EPOCH - file.began_at for file in recorded_files(tmp_path)] == [hours * HOUR for hours in kept]


def test_what_stays(tmp_path: Path) -> None:
    """A file that is being written stays, as does everything that is not the recorder's."""
    old, writing = made(tmp_path, 9 * HOUR, 8 * HOUR)
    other = tmp_path / "notes.txt"
    other.write_text("mine")
    assert prune(tmp_path, before=EPOCH, most=0, keep=[writing]) == 1
    assert (old.exists(), writing.exists(), other.exists()) == (False, True, True)


def test_no_directory(tmp_path: Path) -> None:
    """Before the first file there is none, and that is no error."""
    assert recorded_files(tmp_path / "none") == []
    assert prune(tmp_path / "none", before=EPOCH, most=0) == 0


def test_forget(tmp_path: Path) -> None:
    """Every file in which the number occurs is deleted, written in whatever form; the others stay."""
    written(tmp_path, [*wires_of(SCENARIOS[0]), *wires_of("asterisk22/internal_answered")])
    files = recorded_files(tmp_path)
    number = b"9161234567"
    has = [any(number in chunk.data for chunk in open_file(file.path).chunks) for file in files]
    assert has == [True, False]
    assert forget_number(tmp_path, number.decode()) == 1
    assert recorded_files(tmp_path) == files[1:]
    assert forget_number(tmp_path, "") == 0


@pytest.mark.parametrize(
    ("digits", "data", "occurs"),
    [
        ("9161234567", b"CallerIDNum: +79161234567\r\n", True),
        ("9161234567", b"Exten: 0079161234567\r\n", True),
        ("9161234567", b"x-79161234567-600.wav", True),
        ("9161234567", b"91612345678", False),
        ("112", b"CallerIDNum: 112\r\n", True),
        ("112", b"Uniqueid: 1795112750.28\r\n", False),
        ("112", b"CallerIDNum: 8112\r\n", False),
    ],
)
def test_where_a_number_occurs(digits: str, data: bytes, occurs: bool) -> None:
    """As a whole, with a prefix or without; the digits of a short one stand in times and ids as well."""
    assert bool(occurrence(digits).search(data)) is occurs


def test_forget_and_a_damaged_file(tmp_path: Path) -> None:
    """A file that cannot be searched is named, and stays."""
    (path,) = made(tmp_path, 0.0)
    path.write_bytes(b"\x1f\x8b\x08\x00" + b"\xff" * 40)
    with pytest.raises(TranscriptError, match="damaged gzip"):
        forget_number(tmp_path, "9161234567")
    assert path.exists()


@pytest.mark.parametrize(("directory", "place"), [("", "/state/flight-recorder"), ("/var/ami", "/var/ami")])
def test_place(directory: str, place: str) -> None:
    """Beside the store, unless the configuration names a directory."""
    assert FlightRecorderSettings(directory=directory).place(Path("/state")) == Path(place)
