"""A phone behind a Local channel, whose user has to press a key before they hear the caller."""

from __future__ import annotations

from typing import Literal

from tests.calls.wire import Chan, Wire

App = Literal["Dial", "FollowMe"]


class Confirmed:
    """A phone behind a Local channel, which answers before its user confirms."""

    def __init__(self, wire: Wire, caller: Chan, extension: str, *, number: str = "", dial_string: str = "") -> None:
        """``number``: the outside number that is tried instead of the desk phone."""
        self.wire, self.caller = wire, caller
        self.first, self.second = wire.local(number or extension, of=caller)
        wire.shows(self.second, caller.number)
        wire.dial(caller, self.first, dial_string or f"{number or extension}@from-internal/n")
        phone = None if number else wire.phone(extension, caller)
        self.phone = wire.dials_out(self.second, number) if phone is None else wire.dial(self.second, phone)

    def rings(self) -> None:
        self.wire.rings(self.phone, self.first)

    def picks_up(self, app: App = "Dial", *, is_bridged_first: bool = True) -> None:
        """FollowMe() reports the answer at once, before or after the inner bridge is there."""
        wire = self.wire
        wire.up(self.phone)
        wire.dial_ends(self.second, self.phone, "ANSWER")
        wire.up(self.second, self.first)
        if app == "FollowMe" and not is_bridged_first:
            wire.dial_ends(self.caller, self.first, "ANSWER")
        wire.bridge(self.phone, self.second)
        if app == "FollowMe" and is_bridged_first:
            wire.dial_ends(self.caller, self.first, "ANSWER")

    def confirms(self, app: App = "Dial") -> None:
        if app == "Dial":
            self.wire.dial_ends(self.caller, self.first, "ANSWER")
        self.wire.up(self.caller)
        self.wire.bridge(self.first, self.caller)

    def ends(self, cause: int = 16) -> None:
        for each in (self.phone, self.second, self.first):
            if each in self.wire.live:
                self.wire.hang_up(each, cause=cause)
