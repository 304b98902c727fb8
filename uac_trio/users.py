"""Names of this machine's users, for messages."""

from __future__ import annotations

import pwd


def user_name(uid: int) -> str:
    """The name, or the number of a user without one."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
