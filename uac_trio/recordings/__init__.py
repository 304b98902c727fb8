"""Recordings of calls: finding their files, waiting until they are complete, turning them into what browsers play."""

from uac_trio.recordings.archive import Archive, Playable, open_archive, split_recordings
from uac_trio.recordings.awaiting import AwaitedRecordings
from uac_trio.recordings.directories import Directories
from uac_trio.recordings.finding import RecordingKeptError, RecordingMissingError
from uac_trio.recordings.host import HostSettings, open_host
from uac_trio.recordings.place import Look, RecordingFile, RecordingsBusyError
from uac_trio.recordings.settings import RecordingsSettings

__all__ = [
    "Archive",
    "AwaitedRecordings",
    "Directories",
    "HostSettings",
    "Look",
    "Playable",
    "RecordingFile",
    "RecordingKeptError",
    "RecordingMissingError",
    "RecordingsBusyError",
    "RecordingsSettings",
    "open_archive",
    "open_host",
    "split_recordings",
]
