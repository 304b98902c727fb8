from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from tests.recordings.sounds import AT, read_only
from uac_trio.recordings.finding import (
    OpenRecording,
    RecordingKeptError,
    RecordingMissingError,
    delete_recording,
    find_recording,
    has_recording,
    open_beneath,
    split_path,
)

UNIQUE = "20261123-055103-101-1795413060.1"


def found(path: str, *roots: Path) -> str:
    """The content of the file that is found."""
    file = find_recording(path, [str(root) for root in roots], AT)
    with os.fdopen(file.fd) as stream:
        return stream.read()


def put(path: Path, content: str = "sound") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


@pytest.mark.parametrize(
    ("kept", "path"),
    [
        ("a.wav", "/pbx/monitor/a.wav"),
        ("2026/11/23/a.wav", "/pbx/monitor/2026/11/23/a.wav"),
        ("2026/11/23/a.wav", "a.wav"),
        ("2026/11/24/a.wav", "a.wav"),
        (f"2025/01/02/q-{'20250102'}-1.wav", "q-20250102-1.wav"),
        ("a.wav", "/var/spool/asterisk/monitor/2026/11/23/a.wav"),
        ("2026/11/23/a.wav", "/var/spool/asterisk/monitor/2026/11/23/a.wav"),
        ("2026/11/23/a.wav", "/var/spool/asterisk/monitor/a.wav"),
        ("a.WAV", "a.wav49"),
        ("a.mp3", "a.wav"),
        ("sub/a.wav", "./sub//a.wav"),
        ("a", "a"),
    ],
)
def test_where_a_file_is_looked_for(tmp_path: Path, kept: str, path: str) -> None:
    """By its whole path, beneath another mount, by FreePBX's dates, flat, and under what it was turned into."""
    put(tmp_path / "here" / kept)
    assert found(path, tmp_path / "empty", tmp_path / "here") == "sound"


def test_a_path_beneath_a_root(tmp_path: Path) -> None:
    """The directory that the PBX named comes first, whatever else has a file of that name."""
    put(tmp_path / "one" / "a.wav", "one's")
    path = put(tmp_path / "two" / "x" / "a.wav", "two's")
    assert found(str(path), tmp_path / "one", tmp_path / "two") == "two's"


def test_a_root_that_is_a_link(tmp_path: Path) -> None:
    """The administrator's own directory may be a symbolic link; one inside of it may not."""
    put(tmp_path / "real" / "a.wav")
    (tmp_path / "root").symlink_to(tmp_path / "real")
    (tmp_path / "real" / "inner").symlink_to(tmp_path / "real")
    assert found(f"{tmp_path}/root/a.wav", tmp_path / "root") == "sound"
    (tmp_path / "real" / "a.wav").rename(tmp_path / "real" / "b.wav")
    (tmp_path / "real" / "a.wav").symlink_to("b.wav")
    with pytest.raises(RecordingMissingError):
        found(f"{tmp_path}/root/a.wav", tmp_path / "root")


@pytest.mark.parametrize("name", ["directory", "fifo", "link", "..", ".", "", "a/b", "a\0b", "missing"])
def test_what_is_no_file(tmp_path: Path, name: str) -> None:
    """Only a regular file, by one name, is opened; a fifo does not block."""
    (tmp_path / "directory").mkdir()
    os.mkfifo(tmp_path / "fifo")
    put(tmp_path / "file")
    (tmp_path / "link").symlink_to("file")
    with pytest.raises(OSError):
        open_beneath(str(tmp_path), [name])


def test_what_is_said_of_a_missing_file(tmp_path: Path) -> None:
    """The reason names the file and the directories; a file that may not be opened is named by its path."""
    with pytest.raises(RecordingMissingError, match=rf"no file a\.wav beneath {tmp_path}"):
        found("/x/a.wav", tmp_path)
    with pytest.raises(RecordingMissingError, match="not a file's"):
        split_path("/x/../a.wav")


def test_delete(tmp_path: Path) -> None:
    """A recording's file is deleted where it would be found, never through a link, and once."""
    kept = put(tmp_path / "root" / "2026" / "11" / "23" / "a.wav")
    outside = put(tmp_path / "outside" / "b.wav")
    (tmp_path / "root" / "link").symlink_to(tmp_path / "outside")
    roots = [str(tmp_path / "root")]
    assert delete_recording("a.wav", roots, AT)
    assert not kept.exists()
    assert not delete_recording("a.wav", roots, AT)
    assert not delete_recording(f"{tmp_path}/root/link/b.wav", roots, AT)
    assert not delete_recording("../outside/b.wav", roots, AT)
    assert outside.exists()


def test_delete_what_it_was_turned_into(tmp_path: Path) -> None:
    """Whatever the recording was turned into goes with it; the same name in another day's directory stays."""
    for name in ("a.wav", "a.mp3", "a.ogg", "a.opus"):
        put(tmp_path / "2026/11/23" / name)
    others = [put(tmp_path / name) for name in ("2026/11/23/a.txt", "2026/11/23/b.wav", "2026/11/24/a.mp3")]
    assert delete_recording("a.wav", [str(tmp_path)], AT)
    assert sorted(path for path in tmp_path.rglob("*") if path.is_file()) == others


def test_delete_what_cannot_be_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that cannot be deleted is reported with its path and the reason, and not as missing."""
    kept = put(tmp_path / "a.wav")
    monkeypatch.setattr("uac_trio.recordings.finding.delete_beneath", read_only)
    with pytest.raises(RecordingKeptError, match=rf"^{kept}: Read-only file system$"):
        delete_recording("/x/a.wav", [str(tmp_path)], AT)
    assert not delete_recording("/x/b.wav", [str(tmp_path)], AT)


def test_delete_where_a_directory_is_unreadable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory that may not be read may have the file; what is found in another is deleted."""
    closed, other = tmp_path / "closed", tmp_path / "other"
    put(other / "b.wav")
    really = open_beneath

    def refuses(root: str, names: tuple[str, ...]) -> OpenRecording:
        if root == str(closed):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return really(root, names)

    monkeypatch.setattr("uac_trio.recordings.finding.open_beneath", refuses)
    roots = [str(closed), str(other)]
    for ask in (delete_recording, has_recording):
        with pytest.raises(RecordingKeptError, match=rf"^{closed}/.*a\.[a-z0-9]+: Permission denied$"):
            ask("a.wav", roots, AT)
    assert has_recording("b.wav", roots, AT)
    assert delete_recording("b.wav", roots, AT)
    assert not (other / "b.wav").exists()
