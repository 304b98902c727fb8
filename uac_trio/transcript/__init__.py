"""Transcripts: files with the traffic of one AMI connection. They are read in passes, never as a whole.

``NAME.jsonl``
    Timed (``timed.py``). One JSON object per line, in order of time:
    ``{"t": 0.000619, "dir": "recv", "data": "Asterisk Call..."}``. ``t`` is seconds since the connection; ``dir`` is
    ``recv`` (one read of the socket, so its end is not the end of a message), ``send`` (from the client), ``note`` (for
    people) or ``eof``. Bytes that are not valid UTF-8 by themselves (a read may end within a character) are in ``b64``
    instead of ``data``.
``NAME.ami``
    Every byte that the server sent, nothing else (``raw.py``). Times are inferred from the content.

Either may be compressed (``compressed.py``): ``NAME.jsonl.gz``.
"""

from __future__ import annotations

import attrs

from uac_trio.transcript.chunk import Chunk, Direction, Source, Transcript, TranscriptError
from uac_trio.transcript.compressed import Decompressed, plain_name
from uac_trio.transcript.epoch import continuation_note, epoch_note, infer_epoch
from uac_trio.transcript.raw import read_raw
from uac_trio.transcript.timed import format_chunk, read_timed

__all__ = [
    "Chunk",
    "Direction",
    "Source",
    "Transcript",
    "TranscriptError",
    "continuation_note",
    "epoch_note",
    "format_chunk",
    "infer_epoch",
    "open_transcript",
    "read_transcript",
]


def open_transcript(name: str, source: Source) -> Transcript:
    """The transcript in a file. The format follows from the suffix of ``name``, otherwise from the first byte.

    The file is read once now, to infer its times and to find faults, and again at each iteration over the chunks.
    Raises TranscriptError.
    """
    plain = Decompressed(name, source)
    begin = next((piece for piece in plain() if piece.strip()), None)
    if begin is None:
        raise TranscriptError(f"{name}: the file is empty; expected a transcript (.jsonl or .ami)")
    bare = plain_name(name)
    is_timed = bare.endswith(".jsonl") or (not bare.endswith(".ami") and begin.startswith(b"{"))
    transcript = read_timed(name, plain) if is_timed else read_raw(name, plain)
    return attrs.evolve(transcript, cut=plain.cut or transcript.cut)


def read_transcript(name: str, data: bytes) -> Transcript:
    """The transcript in the bytes of a file, as ``open_transcript``."""
    return open_transcript(name, lambda: iter([data]))
