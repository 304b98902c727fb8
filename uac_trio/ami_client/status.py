"""What is known of one PBX: the state of its connection, its banner, what was received."""

from __future__ import annotations

import attrs


@attrs.define(kw_only=True)
class AMIStatus:
    """For ``/healthz``. Times are seconds since 1970."""

    state: str = "not started"
    """connecting, logging in, connected, waiting (to try again)"""
    connected_since: float | None = None
    banner: str = ""
    """The server's first line, of the last login."""
    last_message_at: float | None = None
    last_error: str = ""
    sessions: int = 0
    messages: int = 0
    dropped: int = 0
    """Events not wanted, dropped unread."""
    protocol_errors: int = 0
