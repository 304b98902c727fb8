"""Whose channel is it: an employee's device, or a line to the outside.

Names tell most (``PJSIP/101-…``), the CallerID the rest; what cannot be told from one event is learned: an endpoint
that ever called with an outside number, or was dialled with one, is a line.
"""

from __future__ import annotations

import attrs

from uac_trio.calls.channel import ChannelState
from uac_trio.calls.rules import ChannelName, TrackerRules, extension_by_name, is_outside_context, known

MAX_LINES = 10_000
"""Guests of chan_sip choose their endpoint's name; a PBX has fewer lines than this."""


@attrs.define
class PartyFinder:
    """Remembers the lines of one PBX."""

    rules: TrackerRules
    _lines: set[tuple[str, str]] = attrs.field(factory=set)

    def extension_of(self, name: ChannelName, number: str, context: str, state: int, *, is_new: bool = True) -> str:
        """The employee of a channel, "" for a line or helper.

        ``number`` is the CallerIDNum of the channel's first event: of a device its own number, before the dialplan or
        an Originate may change it (asterisk: res_pjsip_session, ``callerid`` of the endpoint). Of a channel that is
        not new it may be the customer's, after a transfer: nothing is learned from it.
        """
        if not name.is_person:
            return ""
        by_name = extension_by_name(self.rules, name)
        if by_name:
            return by_name
        key = (name.technology, name.endpoint)
        if not self.rules.is_extension(number):
            if known(number) and is_new and len(self._lines) < MAX_LINES:
                self._lines.add(key)
            return ""
        if key in self._lines or name.endpoint in self.rules.trunks:
            return ""
        if state == ChannelState.RING and is_outside_context(context):
            return ""  # a stranger who shows a short number
        return number

    def is_line(self, name: ChannelName) -> bool:
        return (name.technology, name.endpoint) in self._lines
