"""What happened on the telephone: channels folded into calls, calls into participations. No I/O, no clock."""

from uac_trio.calls.adapters import WANTED_EVENTS
from uac_trio.calls.call import Call, ClickOrder, Direction
from uac_trio.calls.outcome import Outcome
from uac_trio.calls.participation import Participation, Role
from uac_trio.calls.rules import TrackerRules
from uac_trio.calls.tracker import CallTracker

__all__ = [
    "WANTED_EVENTS", "Call", "CallTracker", "ClickOrder", "Direction", "Outcome", "Participation", "Role",
    "TrackerRules",
]  # fmt: skip
