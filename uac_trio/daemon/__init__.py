"""The daemon: ``uac-trio run``."""

from uac_trio.daemon.run import now, open_recordings, run_daemon

__all__ = ["now", "open_recordings", "run_daemon"]
