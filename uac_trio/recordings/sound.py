"""Sound formats of Asterisk: how to detect them, which browsers play, when a file is complete, how to convert it.

Suffixes are those of Asterisk's format modules (formats/format_*.c). Raw formats have no header; only the suffix
identifies them.
"""

from __future__ import annotations

import os
import struct
from pathlib import PurePath

import attrs

HEAD = 4096
"""Bytes that contain the whole header of a wav file, whatever chunks it has."""

_WAV_GSM = 49
_PLAYED_WAV = (1, 3, 6, 7, 0xFFFE)  # PCM, float, A-law, u-law, "extensible"


WITHOUT_LENGTH = "the header's length is not the file's: it is still being written, or its writer died"


@attrs.frozen(kw_only=True)
class Sound:
    """One kind of file."""

    content_type: str
    plays: bool
    """Browsers play it."""
    ffmpeg: tuple[str, ...] | None = None
    """Options that name the input's format, so that ffmpeg does not guess; None if it cannot read it."""
    sox: tuple[str, ...] | None = None


@attrs.frozen(kw_only=True)
class Target:
    """A format to convert to, with the converters' output options."""

    suffix: str
    content_type: str
    ffmpeg: tuple[str, ...]
    sox: tuple[str, ...] | None


def _raw(rate: int) -> Sound:
    return Sound(
        content_type="application/octet-stream",
        plays=False,
        ffmpeg=("-f", "s16le", "-ar", str(rate), "-ac", "1"),
        sox=("-t", "raw", "-e", "signed-integer", "-b", "16", "-r", str(rate), "-c", "1"),
    )


_ULAW = Sound(
    content_type="audio/basic",
    plays=False,
    ffmpeg=("-f", "mulaw", "-ar", "8000", "-ac", "1"),
    sox=("-t", "raw", "-e", "u-law", "-b", "8", "-r", "8000", "-c", "1"),
)
_ALAW = Sound(
    content_type="audio/x-alaw-basic",
    plays=False,
    ffmpeg=("-f", "alaw", "-ar", "8000", "-ac", "1"),
    sox=("-t", "raw", "-e", "a-law", "-b", "8", "-r", "8000", "-c", "1"),
)
_WAV = Sound(content_type="audio/wav", plays=True, ffmpeg=("-f", "wav"), sox=("-t", "wav"))
_WAV49 = attrs.evolve(_WAV, plays=False)
_OTHER = Sound(content_type="application/octet-stream", plays=False)

SOUNDS: dict[str, Sound] = {
    "wav": _WAV,
    "wav16": _WAV,
    "wav49": _WAV49,
    "gsm": Sound(content_type="audio/x-gsm", plays=False, ffmpeg=("-f", "gsm"), sox=("-t", "gsm")),
    **dict.fromkeys(("ulaw", "ul", "mu", "ulw", "pcm"), _ULAW),
    **dict.fromkeys(("alaw", "al", "alw"), _ALAW),
    "g722": Sound(content_type="audio/G722", plays=False, ffmpeg=("-f", "g722")),
    **dict.fromkeys(("sln", "slin", "raw"), _raw(8000)),
    **{f"sln{kilo}": _raw(rate) for kilo, rate in
       ((12, 12000), (16, 16000), (24, 24000), (32, 32000), (44, 44100), (48, 48000), (96, 96000), (192, 192000))},
    "mp3": Sound(content_type="audio/mpeg", plays=True, ffmpeg=("-f", "mp3"), sox=("-t", "mp3")),
    "ogg": Sound(content_type="audio/ogg", plays=True, ffmpeg=("-f", "ogg")),
    "opus": Sound(content_type="audio/ogg", plays=True, ffmpeg=("-f", "ogg")),
    "au": Sound(content_type="audio/basic", plays=False, ffmpeg=("-f", "au"), sox=("-t", "au")),
}  # fmt: skip
"""By suffix in lower case."""

TARGETS: dict[str, Target] = {
    "wav": Target(
        suffix=".wav",
        content_type="audio/wav",
        ffmpeg=("-c:a", "pcm_s16le", "-f", "wav"),
        sox=("-e", "signed-integer", "-b", "16", "-t", "wav"),
    ),
    "mp3": Target(
        suffix=".mp3",
        content_type="audio/mpeg",
        ffmpeg=("-c:a", "libmp3lame", "-q:a", "6", "-f", "mp3"),
        sox=("-C", "-6.2", "-t", "mp3"),
    ),
    "opus": Target(
        suffix=".opus", content_type="audio/ogg", ffmpeg=("-c:a", "libopus", "-b:a", "24k", "-f", "ogg"), sox=None
    ),
}
"""By the word of ``[recordings] format``."""


def sound_of(name: str, head: bytes) -> Sound:
    """The format of a file, from its name and, for a .wav, from its first ``HEAD`` bytes."""
    sound = SOUNDS.get(PurePath(name).suffix[1:].lower(), _OTHER)
    if sound.content_type == "audio/wav":
        wav = read_wav(head)
        if wav is None:
            return _OTHER
        return _WAV if wav.encoding in _PLAYED_WAV else _WAV49
    return sound


def command(tool: str, sound: Sound, target: Target, out: str) -> list[str] | None:
    """The command line that converts ``sound`` on standard input to ``target`` in ``out``; None if ``tool`` cannot."""
    if os.path.basename(tool).startswith("sox"):
        if sound.sox is None or target.sox is None:
            return None
        return [tool, "-V1", *sound.sox, "-", *target.sox, out]
    if sound.ffmpeg is None:
        return None
    quiet = ["-nostdin", "-hide_banner", "-loglevel", "fatal"]
    # bitexact: no random serial number and no version in the file, so that a conversion is reproducible.
    plain = ["-vn", "-map_metadata", "-1", "-fflags", "+bitexact", "-flags:a", "+bitexact"]
    return [tool, *quiet, *sound.ffmpeg, "-i", "pipe:0", *plain, *target.ffmpeg, "-y", out]


@attrs.frozen(kw_only=True)
class Wav:
    """The header of a RIFF file. Sizes are in bytes, as the header gives them."""

    encoding: int
    riff_size: int
    data_start: int
    data_size: int


def read_wav(head: bytes) -> Wav | None:
    """The header at the start of a file; None if it is not a wav file."""
    if len(head) < 12 or head[:4] != b"RIFF" or head[8:12] != b"WAVE":
        return None
    encoding = 0
    at = 12
    while at + 8 <= len(head):
        name, size = head[at : at + 4], struct.unpack_from("<I", head, at + 4)[0]
        if name == b"fmt " and at + 10 <= len(head):
            (encoding,) = struct.unpack_from("<H", head, at + 8)
        if name == b"data":
            (riff_size,) = struct.unpack_from("<I", head, 4)
            return Wav(encoding=encoding, riff_size=riff_size, data_start=at + 8, data_size=size)
        at += 8 + size + size % 2
    return None


def what_is_missing(name: str, head: bytes, size: int) -> str:
    """Why a file of ``size`` bytes that begins with ``head`` is not a complete recording; "" if it is one.

    One look cannot show whether the file still grows: some versions of Asterisk update a wav's lengths with each write,
    others only when they close it.
    """
    if size == 0:
        return "the file is empty"
    if SOUNDS.get(PurePath(name).suffix[1:].lower(), _OTHER).content_type != "audio/wav":
        return ""
    wav = read_wav(head)
    if wav is None:
        return "the file has no complete header"
    if size <= wav.data_start:
        return f"the file of {size} bytes is a header without sound"
    if wav.data_size >= 0x7FFFFF00:  # from programs that cannot seek back to the header
        return ""
    # Asterisk counts the pad byte of an odd length differently from version to version.
    if wav.riff_size + 8 < size - 1:
        return WITHOUT_LENGTH
    if wav.data_start + wav.data_size > size + 1:
        return "the file is shorter than its header says: it is still being written or copied"
    return ""
