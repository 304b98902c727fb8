"""Sound files as Asterisk writes them, and rows about them."""

from __future__ import annotations

import errno
import math
import os
import struct
import sys
from pathlib import Path

from uac_trio.store.recordings import RecordingRow, RecordingState

TOKEN = "0123456789abcdef" * 2
AT = 1795413063.0  # 2026-11-23 05:51:03 UTC


def wav(seconds: float = 1.0, *, encoding: int = 1, size: int | None = None) -> bytes:
    """A tone of 8000 16-bit samples a second; ``size`` is what the header says of its length."""
    samples = (int(8000 * math.sin(index * 440 * math.tau / 8000)) for index in range(int(8000 * seconds)))
    data = b"".join(struct.pack("<h", sample) for sample in samples)
    size = len(data) if size is None else size
    head = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + size, b"WAVE", b"fmt ", 16, encoding, 1, 8000, 16000, 2, 16,
                       b"data", size)  # fmt: skip
    return head + data


def row(path: str, token: str = TOKEN, pbx: str = "main", at: float = AT) -> RecordingRow:
    return RecordingRow(
        token=token,
        pbx=pbx,
        call_id=f"{pbx}-1795413060.1",
        extension="101",
        path=path,
        at=at,
        state=RecordingState.READY,
        size=None,
        reason="",
        created_at=at,
    )


def fake_converter(folder: Path, body: str, name: str = "ffmpeg") -> str:
    """A program that looks like ffmpeg to us; ``body`` is Python and has ``out``, the file that it is to write."""
    script = folder / name
    script.write_text(f"#!{sys.executable} -IS\nimport os, sys, time\nout = sys.argv[-1]\n{body}\n")
    script.chmod(0o755)
    return str(script)


def read_only(*_: object) -> None:
    """For ``finding.delete_beneath``: the directory is mounted so."""
    raise OSError(errno.EROFS, os.strerror(errno.EROFS))
