"""Tones that phones send, and what is heard in a recording of them. Pure: bytes in, numbers out.

Tones are multiples of 50 Hz, so that a packet of 20 ms has whole waves and each packet of a tone is the same.
"""

from __future__ import annotations

import io
import math
import struct
import wave

RATE = 8000
PACKET = 160
"""Samples in 20 ms."""
LOUD = 6000
FAINT = 0.02
"""The share of a recording's energy below which a tone is not there."""


def ulaw_packet(hertz: int) -> bytes:
    """20 ms of a tone as PCMU; silence for 0."""
    samples = (round(LOUD * math.sin(index * hertz * math.tau / RATE)) for index in range(PACKET))
    return bytes(_ulaw(sample) for sample in samples)


def _ulaw(sample: int) -> int:
    """One sample by G.711."""
    sign, magnitude = (0x80, -sample) if sample < 0 else (0, sample)
    magnitude = min(magnitude, 32635) + 132
    exponent = magnitude.bit_length() - 8
    return ~(sign | exponent << 4 | magnitude >> exponent + 3 & 0x0F) & 0xFF


def seconds_of(sound: bytes) -> float:
    """How long a wav file plays. Raises wave.Error or EOFError for what is none."""
    with wave.open(io.BytesIO(sound)) as file:
        bytes_a_second: int = file.getsampwidth() * file.getframerate()
        return len(file.readframes(file.getnframes())) / bytes_a_second


def tones_in(sound: bytes, hertz: list[int]) -> set[int]:
    """Which of these tones a wav file of 8000 16-bit samples a second has. Raises as ``seconds_of``."""
    with wave.open(io.BytesIO(sound)) as file:
        frames = file.readframes(file.getnframes())
    samples = struct.unpack(f"<{len(frames) // 2}h", frames)
    energy = sum(sample * sample for sample in samples) / max(1, len(samples)) or 1.0
    return {one for one in hertz if _power(samples, one) / energy > FAINT}


def _power(samples: tuple[int, ...], hertz: int) -> float:
    """Of the tone, by Goertzel in windows of 100 ms, since a tone that starts anew has another phase."""
    window = RATE // 10
    factor = 2 * math.cos(hertz * math.tau / RATE)
    power = 0.0
    for start in range(0, len(samples) - window + 1, window):
        one, two = 0.0, 0.0
        for sample in samples[start : start + window]:
            one, two = sample + factor * one - two, one
        power += (one * one + two * two - factor * one * two) * 2 / window / window
    return power / max(1, len(samples) // window)
