"""Which of a call's files to listen to."""

from __future__ import annotations

import pytest

from uac_trio.calls.call_recordings import CallRecordings, Recording

VARIABLE = Recording("variable.wav", "1.1")
SHORT = Recording("short.wav", "1.2", "PJSIP/101-01", 3)
LONG = Recording("long.wav", "1.3", "PJSIP/102-02", 30)
OWN = Recording("own.wav", "1.1", "PJSIP/103-03", 1)
OWN_LATER = Recording("own-later.wav", "1.1", "PJSIP/103-04", 90)


@pytest.mark.parametrize(
    ("files", "destinations", "path"),
    [
        ([], (), ""),
        ([VARIABLE], (), "variable.wav"),
        ([VARIABLE, SHORT], (), "short.wav"),
        ([SHORT, LONG], (), "long.wav"),
        ([LONG, SHORT], (), "long.wav"),
        ([LONG, OWN], (), "own.wav"),
        ([OWN, OWN_LATER, LONG], (), "own.wav"),
        ([SHORT, LONG, OWN], ("PJSIP/101-01",), "short.wav"),
        ([SHORT, LONG, OWN], ("PJSIP/101-01", "PJSIP/102-02"), "long.wav"),
        ([SHORT, LONG], ("PJSIP/109-09",), "long.wav"),
    ],
)
def test_preferred(files: list[Recording], destinations: tuple[str, ...], path: str) -> None:
    """A party's own file, one with an answered party, the first of the call's own channel, the longest."""
    recordings = CallRecordings()
    for each in files:
        recordings.add(each)
    assert recordings.preferred("1.1", destinations) == path
