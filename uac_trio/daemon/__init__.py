"""The daemon: ``uac-trio run``, and ``uac-trio serve-recordings``."""

from uac_trio.daemon.recordings_host import run_recordings_host
from uac_trio.daemon.run import now, open_recordings, run_daemon

__all__ = ["now", "open_recordings", "run_daemon", "run_recordings_host"]
