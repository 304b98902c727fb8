"""One callback that vTiger's PBXManager.php is to receive, as a value.

Names of the steps are vTiger's own ``callstatus`` words (modules/PBXManager/callbacks/PBXManager.php).
"""

from __future__ import annotations

import enum
from collections.abc import Mapping

import attrs


class Step(enum.Enum):
    """vTiger's ``callstatus``."""

    START_APP = "StartApp"
    DIAL_BEGIN = "DialBegin"
    DIAL_ANSWER = "DialAnswer"
    HANGUP = "Hangup"
    END_CALL = "EndCall"
    RECORD = "Record"


@attrs.frozen(kw_only=True)
class CallbackRequest:
    """A request to be delivered at most once per ``key``, in order within its ``call_id``.

    ``key`` is semantic: (call id, extension, step, occurrence), so that a restart, a replayed snapshot or a second
    connector makes the same key and the outbox drops the double.
    """

    key: str
    call_id: str
    """vTiger's callUUID. Requests of one call go strictly one after another."""
    extension: str
    step: Step
    form: Mapping[str, str]
    """What is posted, less ``vtigersignature``, which only the sender knows."""
    at: float
    """Seconds since the epoch: when that happened which is told here."""
    moot_after: str | None = None
    """Not worth sending any more once the request with this key is in the outbox (an answer in a call that is over)."""
    recording: str = ""
    """A Record's file, as the PBX told its path; "" for every other step."""
    customer: str = ""
    """A Record's outside number: the form does not have it, but whoever asks to be forgotten does."""
