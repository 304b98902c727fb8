"""What happened on the telephone: channels folded into calls, calls into participations. No I/O, no clock."""

from uac_trio.calls.call import Call, Direction, Part, Participation
from uac_trio.calls.outcome import Outcome
from uac_trio.calls.rules import TrackerRules
from uac_trio.calls.tracker import HANDLERS, CallTracker

WANTED_EVENTS = frozenset(HANDLERS)
"""Names of the events the tracker looks at; the rest may be dropped unread."""

__all__ = ["WANTED_EVENTS", "Call", "CallTracker", "Direction", "Outcome", "Part", "Participation", "TrackerRules"]
