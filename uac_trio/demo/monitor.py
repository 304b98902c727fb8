"""MixMonitor of the recorded PBX: writes the files that its recorded calls name, with a tune instead of talk."""

from __future__ import annotations

import array
import math
import sys
import wave
from pathlib import Path, PurePosixPath

import attrs

from uac_trio.ami.message import Event

RATE = 8000
LONGEST = 600
"""Seconds at most, whatever the recorded call's talk time."""

_NOTES = (262, 330, 392, 523, 392, 330)  # hertz, one per second, so that a listener who seeks hears the position


@attrs.frozen
class FakeMixMonitor:
    """Writes the file that a Cdr event names to ``folder``: a tune, or a bare header for an unanswered call, as
    Asterisk does."""

    folder: Path

    def note(self, event: Event) -> None:
        path = event.get("recordingpath")
        if event.name != "Cdr" or not path:
            return
        talked = event.get("Disposition") == "ANSWERED" and event.get("BillableSeconds").isdecimal()
        file = self.folder / PurePosixPath(path).name
        if talked or not file.exists():  # the phones of a ring group that did not answer name the same file
            write_tune(file, int(event.get("BillableSeconds")) if talked else 0)


def write_tune(path: Path, seconds: int) -> None:
    """A wav file like Asterisk's: 8000 samples of 16 bits per second."""
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        for second in range(min(seconds, LONGEST)):
            hertz = _NOTES[second % len(_NOTES)]
            fade = [min(1.0, index / 200, (RATE - index) / 800) for index in range(RATE)]
            note = array.array(
                "h", (int(6000 * fade[index] * math.sin(index * hertz * math.tau / RATE)) for index in range(RATE))
            )
            if sys.byteorder == "big":
                note.byteswap()
            file.writeframes(note.tobytes())
