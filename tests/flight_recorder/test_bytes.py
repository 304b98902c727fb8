"""Whatever a PBX sends, however the reads cut it, and whatever is lost: the files can be read."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from tests.flight_recorder.test_writing import EPOCH, files_in
from uac_trio.flight_recorder.settings import FlightRecorderSettings
from uac_trio.flight_recorder.writing import Wire, Writing

EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["open", "recv", "recv", "recv", "send", "eof", "gap", "fail"]),
        st.sampled_from(
            [
                b"Event: A\r\n\r\n",
                b"Event: B\r\nX",
                b": 1\r\n\r\n",
                b"\r",
                b"\n",
                b"\xd0",
                b"",
                b"\r\nSecret: s3cret\r\n",
                b"\0",
            ]
        ),
        st.floats(-10, 4000),
    ),
    max_size=30,
)


@given(EVENTS)
def test_any_bytes(events: list[tuple[str, bytes, float]]) -> None:
    """Every file opens, its times never go back, no secret is in it, and it has whole lines alone."""
    with tempfile.TemporaryDirectory() as folder:
        writing = Writing(Path(folder), FlightRecorderSettings(hours=744))
        at = EPOCH
        for kind, data, later in events:
            at += later
            match kind:
                case "gap":
                    writing.write([], 3, at)
                case "fail":
                    writing.abandon()
                case "open" | "recv" | "send" | "eof" as event:
                    writing.write([Wire("main", event, b"" if event in ("open", "eof") else data, at)], 0, at)
                case _:
                    raise AssertionError(kind)
        writing.close()
        for transcript in files_in(Path(folder)):
            chunks = list(transcript.chunks)
            times = [chunk.t for chunk in chunks]
            assert times == sorted(times)
            assert all(b"s3cret" not in chunk.data for chunk in chunks)
            assert all(chunk.data.endswith(b"\n") for chunk in chunks if chunk.direction in ("recv", "send"))
