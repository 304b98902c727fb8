from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from tests.recordings.sounds import wav
from uac_trio.recordings.sound import (
    HEAD,
    SOUNDS,
    TARGETS,
    WITHOUT_LENGTH,
    command,
    read_wav,
    sound_of,
    what_is_missing,
)


@pytest.mark.parametrize(
    ("name", "content", "missing"),
    [
        ("a.wav", wav(0.1), ""),
        ("a.wav", wav(0.1) + b"\0", ""),
        ("a.wav", b"", "the file is empty"),
        ("a.gsm", b"", "the file is empty"),
        ("a.gsm", b"x" * 33, ""),
        ("a.wav", wav(0), "the file of 44 bytes is a header without sound"),
        ("a.wav", wav(0.1)[:30], "the file has no complete header"),
        ("a.wav", b"x" * 100, "the file has no complete header"),
        ("a.wav", wav(0.1, size=0), WITHOUT_LENGTH),
        ("a.wav", wav(0.1, size=800), WITHOUT_LENGTH),
        ("a.wav", wav(0.1, size=0x7FFFFFFF), ""),
        ("a.WAV", wav(0.1)[:-500], "the file is shorter than its header says: it is still being written or copied"),
    ],
)
def test_complete(name: str, content: bytes, missing: str) -> None:
    """A header alone, a header without its length and a file that is not all there are no recordings."""
    assert what_is_missing(name, content[:HEAD], len(content)) == missing


def test_chunks_before_the_sound() -> None:
    """A header may have other chunks, of odd sizes too, before the sound."""
    plain = wav(0.1)
    head = plain[:36] + b"LIST" + struct.pack("<I", 3) + b"abc\0" + plain[36:]
    found = read_wav(head)
    assert found is not None
    assert (found.data_start, found.data_size, found.encoding) == (56, 1600, 1)


@pytest.mark.parametrize(
    ("name", "head", "content_type", "plays"),
    [
        ("a.wav", wav(0.1), "audio/wav", True),
        ("a.WAV", wav(0.1, encoding=49), "audio/wav", False),
        ("a.wav", b"no header", "application/octet-stream", False),
        ("a.ulaw", b"", "audio/basic", False),
        ("a.sln16", b"", "application/octet-stream", False),
        ("a.mp3", b"", "audio/mpeg", True),
        ("a", b"", "application/octet-stream", False),
        ("a.exe", b"", "application/octet-stream", False),
    ],
)
def test_kinds(name: str, head: bytes, content_type: str, plays: bool) -> None:
    """The suffix decides the kind; a .wav is looked into."""
    sound = sound_of(name, head)
    assert (sound.content_type, sound.plays) == (content_type, plays)


def test_commands() -> None:
    """The input's format is always given, the input comes from standard input, nothing goes through a shell."""
    for tool in ("/usr/bin/ffmpeg", "/usr/bin/sox"):
        for sound in SOUNDS.values():
            for target in TARGETS.values():
                arguments = command(tool, sound, target, "/cache/x.part")
                if arguments is not None:
                    assert arguments[0] == tool
                    assert arguments[-1] == "/cache/x.part"
                    assert {"-f", "-t"}.intersection(arguments)
                    assert {"pipe:0", "-"}.intersection(arguments)
    assert command("/usr/bin/sox", SOUNDS["g722"], TARGETS["wav"], "x") is None
    assert command("/usr/bin/sox", SOUNDS["gsm"], TARGETS["opus"], "x") is None


MAKING = {
    "gsm": ["sox", "-t", "gsm"],
    "WAV": ["sox", "-e", "gsm-full-rate", "-t", "wav"],
    "ulaw": ["sox", "-t", "ul"],
    "alaw": ["sox", "-t", "al"],
    "sln": ["sox", "-t", "raw"],
    "sln16": ["sox", "-r", "16000", "-t", "raw"],
    "g722": ["ffmpeg", "-ar", "16000", "-c:a", "g722", "-f", "g722"],
}
"""How a tone becomes a file of each kind."""


@pytest.mark.parametrize("suffix", MAKING)
@pytest.mark.parametrize("target", ["wav", "mp3", "opus"])
@pytest.mark.parametrize("tool", ["ffmpeg", "sox"])
def test_real_conversion(tmp_path: Path, tool: str, suffix: str, target: str) -> None:
    """A second of each kind becomes a second of what is wanted, by the real programs."""
    path = shutil.which(tool)
    encoder, *making = MAKING[suffix]
    if path is None or shutil.which(encoder) is None:
        pytest.skip(f"{' or '.join(sorted({tool, encoder}))} is not installed")
    (tmp_path / "tone.wav").write_bytes(wav(1))
    source = tmp_path / f"call.{suffix}"
    before = [] if encoder == "sox" else ["-loglevel", "error", "-i"]
    subprocess.run([encoder, *before, tmp_path / "tone.wav", *making, source], check=True)
    sound = sound_of(source.name, source.read_bytes()[:HEAD])
    arguments = command(path, sound, TARGETS[target], str(tmp_path / "out.part"))
    if arguments is None:
        assert tool == "sox"
        assert suffix == "g722" or target == "opus"
        return
    results = []
    for _ in range(2):
        with source.open("rb") as stdin:
            done = subprocess.run(arguments, stdin=stdin, capture_output=True, check=False)
        if tool == "sox" and target == "mp3" and b"no handler" in done.stderr:
            pytest.skip("sox is installed without mp3")
        assert (done.returncode, done.stderr) == (0, b"")
        results.append((tmp_path / "out.part").read_bytes())
    made = results[0]
    assert made == results[1]  # a player that seeks may get the second half from a second conversion
    if target == "wav":
        header = read_wav(made[:HEAD])
        assert header is not None
        rate = struct.unpack_from("<I", made, 24)[0]
        assert header.encoding == 1
        assert (len(made) - header.data_start) / 2 / rate == pytest.approx(1, abs=0.05)
    else:
        assert made[:4] in (b"OggS", b"ID3\x04") or made[:1] == b"\xff"
