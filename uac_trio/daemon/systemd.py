"""Notifications to systemd (sd_notify), and the watchdog interval it expects."""

from __future__ import annotations

import math
import os
import socket
from collections.abc import Mapping

import structlog

log = structlog.get_logger()


def notify_systemd(state: str, environ: Mapping[str, str] = os.environ) -> None:
    """sd_notify(3): ``READY=1``, ``STOPPING=1``, ``WATCHDOG=1``. Nothing happens where systemd did not start us."""
    path = environ.get("NOTIFY_SOCKET", "")
    if not path:
        return
    address = f"\0{path[1:]}" if path.startswith("@") else path  # @: a socket in the abstract namespace
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as systemd:
        try:
            systemd.sendto(state.encode(), address)
        except OSError as why:
            log.warning("daemon.systemd_not_notified", state=state, reason=str(why))


def watchdog_seconds(environ: Mapping[str, str]) -> float:
    """How often systemd wants to hear from us, by its WatchdogSec=; infinite if it does not."""
    ours = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    interval = environ.get("WATCHDOG_USEC", "")
    return int(interval) / 1_000_000 if ours and interval.isdecimal() and int(interval) > 0 else math.inf
