"""An action that a session was asked to send, and its outcome."""

from __future__ import annotations

import enum

import attrs
import trio

from uac_trio.ami import Action, Answer


class Outcome(enum.Enum):
    QUEUED = "queued"
    """The PBX has taken the order; the call's own events show the rest."""
    REFUSED = "refused"
    """Nothing was dialled: the PBX said no, or nothing was sent."""
    UNKNOWN = "unknown"
    """Sent, at least in part, and not answered. It may be done; it is never sent again."""


@attrs.frozen(kw_only=True)
class OriginateOutcome:
    outcome: Outcome
    reason: str = ""


@attrs.define(eq=False)
class Order:
    """An action on its way to the PBX. ``done`` is set with its answer, or with the reason why there is none."""

    action: Action
    done: trio.Event = attrs.field(factory=trio.Event)
    begun: bool = False
    dropped: bool = False
    answer: Answer | None = None
    failure: str = ""

    def settle(self, answer: Answer | None, failure: str = "") -> None:
        self.answer = answer
        self.failure = failure
        self.done.set()
