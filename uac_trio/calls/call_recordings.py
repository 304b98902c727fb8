"""The files that hold what was said in one call, and which of them to listen to."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import attrs


@attrs.frozen
class Recording:
    """A file that MixMonitor made, as a Cdr or a variable named it."""

    path: str
    uniqueid: str
    """Of the channel the Cdr (or variable) belongs to: the Cdr's party A."""
    destination: str = ""
    """Channel name of the Cdr's party B; "" where a variable named the path."""
    secs: int = 0
    """BillableSeconds; 0 from a variable."""


@attrs.define
class CallRecordings:
    """In the order in which they were named."""

    _files: Final[list[Recording]] = attrs.field(factory=list)
    has_voicemail: bool = False
    """VoiceMail() took the call."""

    def add(self, recording: Recording) -> None:
        self._files.append(recording)

    def preferred(self, own: str, destinations: Collection[str]) -> str:
        """The path of the file to listen to, "" if there is none.

        One whose party B is among ``destinations`` (names of channels) if there is any. A path is set whether or not
        the call is answered, so a Cdr with an answered party B counts more. A ring group through Local channels has a
        file to each leg; the first one of the channel with the Uniqueid ``own`` is preferred, else the longest.
        """

        def preference(recording: Recording) -> tuple[bool, bool, int]:
            is_own = recording.uniqueid == own
            return bool(recording.destination), is_own, 0 if is_own else recording.secs

        candidates = [recording for recording in self._files if recording.destination in destinations] or self._files
        return max(candidates, key=preference).path if candidates else ""
