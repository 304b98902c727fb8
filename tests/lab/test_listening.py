"""The lab's ears: what it says of a recording is so."""

from __future__ import annotations

import io
import wave

import attrs
import pytest

from lab.listening import Recorded, complaints_about
from lab.sound import seconds_of, tones_in, ulaw_packet
from tests.recordings.sounds import wav
from uac_trio.demo.listen import Listened

TONES = {"trunk": 700, "101": 400, "102": 500}
TRUTH = {"heard": {"101": {"secs": 2, "voices": ["trunk", "101"]}}}


def decoded(ulaw: bytes) -> list[int]:
    """G.711 the other way round."""
    samples = []
    for byte in ulaw:
        value = ~byte & 0xFF
        magnitude = (((value & 0x0F) << 3) + 132 << (value >> 4 & 7)) - 132
        samples.append(-magnitude if value & 0x80 else magnitude)
    return samples


def recording(*voices: tuple[str, float]) -> bytes:
    """A wav file of these voices, each with its seconds, all beginning at once."""
    length = max(round(secs * 50) for _, secs in voices)
    mixed = [0] * 160 * length
    for phone, secs in voices:
        for index, sample in enumerate(decoded(ulaw_packet(TONES.get(phone, 0))) * round(secs * 50)):
            mixed[index] += sample
    made = io.BytesIO()
    with wave.open(made, "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(b"".join(sample.to_bytes(2, "little", signed=True) for sample in mixed))
    return made.getvalue()


def linked(sound: bytes, **changes: object) -> Recorded:
    played = Listened(headers={"content-type": "audio/wav"}, body=sound)
    one = Recorded(extension="101", link="x", secs=seconds_of(sound), sound=played, written_at=10.0)
    return attrs.evolve(one, **changes)  # type: ignore[arg-type]


def test_tones() -> None:
    """A tone is known in a recording, also where it is there for a part of it, and no other is."""
    assert tones_in(recording(("101", 2), ("trunk", 0.5)), list(TONES.values())) == {400, 700}
    assert tones_in(recording(("silence", 1)), list(TONES.values())) == set()
    assert set(ulaw_packet(0)) == {0xFF}
    assert seconds_of(wav(1.5)) == 1.5


@pytest.mark.parametrize(
    ("one", "said"),
    [
        (linked(recording(("101", 2), ("trunk", 2))), ""),
        (linked(recording(("101", 4), ("trunk", 4))), "101: its recording plays 4.0 s, not 2"),
        (linked(recording(("101", 2))), "101: its recording has ['101'], not ['101', 'trunk']"),
        (linked(recording(("101", 2), ("trunk", 2)), written_at=11.5),
         "101: its recording was delivered 0.5 s before MixMonitor had written it"),
        (linked(recording(("101", 2), ("trunk", 2)), written_at=None),
         "101: no file of MixMonitor is what its link plays"),
        (linked(recording(("101", 2), ("trunk", 2)), extension="102"), "101: nothing to be heard"),
    ],
)  # fmt: skip
def test_complaints(one: Recorded, said: str) -> None:
    """A recording that is too long, too early, another employee's or without a file is a complaint."""
    assert complaints_about([one], [TRUTH], {"x": 11.0}, TONES) == ([said] if said else [])
