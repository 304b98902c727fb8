"""Whose channel is it: an employee's device, or a line to the outside, and by which evidence.

Evidence in order: what the administrator wrote (``devices``, ``trunks``, ``mobiles``); what the PBX showed of the
endpoint before; the context and the device's own CallerID; the number that was dialled there; the shape of the
endpoint's name last, and never of an address.
"""

from __future__ import annotations

import enum
import re

import attrs

from uac_trio.calls.channel_events import ChannelState, ChannelView
from uac_trio.calls.names import PORT_TECHNOLOGIES, ChannelName, dialled_number
from uac_trio.calls.rules import TrackerRules

MAX_LEARNED = 10_000
"""Guests of chan_sip choose their endpoint's name; a PBX has fewer endpoints than this."""

_OUTSIDE_CONTEXT = re.compile(
    r"trunk|pstn|did\b|from-did|extern|incoming|inbound|provider|dahdi|^in[-_]", re.IGNORECASE
)
_OUTGOING_CONTEXT = re.compile(r"dial-?out|outbound|outgoing", re.IGNORECASE)
"""An employee's channel is there while it calls out, as a listing may show it: FreePBX's ``macro-dialout-trunk``."""
_LEADING_DIGITS = re.compile(r"(\d+)[-_]")
"""Followed by anything else it is an address, ``195.34.36.130``."""


class Evidence(enum.Enum):
    """Why a channel counts as an employee's, or as a line. The value is for people."""

    DEVICES = "[calls] devices names its endpoint"
    MOBILES = "[calls] mobiles names its number"
    TRUNKS = "[calls] trunks names its endpoint"
    NOT_OURS = "[calls] only_... leaves it to another company of this PBX"
    HELPER = "no device is behind such a channel"
    CLICK = "an Originate for the employee rang it"
    REMEMBERED = "it called out before the connector was restarted"
    LEARNED = "the endpoint was an employee's device before"
    LINE_BEFORE = "the endpoint was a line before"
    CONTEXT = "its context takes calls from lines"
    OWN_NUMBER = "its own CallerID is an extension"
    DIALLED = "an outside number was dialled there"
    CALLS_IN = "it shows an outside number, and reached an employee by dialling another"
    NAME = "its endpoint is named like an extension"
    SECOND_DEVICE = "its endpoint is named like a second device of the extension"
    NONE = "neither its CallerID nor its name matches [calls] extensions"


@attrs.frozen
class Identity:
    """Whose channel it is."""

    extension: str
    """"" = no employee's."""
    evidence: Evidence


NOBODYS = Identity("", Evidence.NONE)
_HELPER = Identity("", Evidence.HELPER)
_TRUNK = Identity("", Evidence.TRUNKS)
_NOT_OURS = Identity("", Evidence.NOT_OURS)
_LINE_BEFORE = Identity("", Evidence.LINE_BEFORE)
_CONTEXT = Identity("", Evidence.CONTEXT)
_DIALLED = Identity("", Evidence.DIALLED)

_EXPLICIT = (Evidence.DEVICES, Evidence.MOBILES, Evidence.TRUNKS, Evidence.NOT_OURS, Evidence.HELPER, Evidence.CLICK)


EndpointKey = tuple[str, str]
"""Technology and endpoint, ``("PJSIP", "101")``."""


@attrs.define
class EndpointClassifier:
    """Classifies the channels of one PBX, and remembers what it saw of each endpoint."""

    rules: TrackerRules
    _devices: dict[EndpointKey, str] = attrs.field(factory=dict, init=False)
    """Endpoint to the extension that its own CallerID showed."""
    _lines: dict[EndpointKey, None] = attrs.field(factory=dict, init=False)
    """Endpoints that were dialled with an outside number, or called from one."""
    _callers: dict[EndpointKey, str] = attrs.field(factory=dict, init=False)
    """The outside number an endpoint named like an extension called with; a second one makes it a line."""

    def identify(self, name: ChannelName, view: ChannelView, *, is_new: bool) -> Identity:
        """The identity by what the first event of a channel shows.

        ``is_new``: the channel was created just now, so its CallerID is its own (res_pjsip_session, ``callerid`` of
        the endpoint). Of another it may be the customer's, after a transfer: nothing is learned from it, and the name
        weighs more.
        """
        if not name.is_person:
            return _HELPER
        endpoint, rules = name.endpoint, self.rules
        if endpoint in rules.devices:
            return Identity(rules.devices[endpoint], Evidence.DEVICES)
        if endpoint in rules.trunks:
            return _TRUNK
        endpoint_key = (name.technology, endpoint)
        identity = self._by_evidence(endpoint_key, view, is_new)
        if is_new:
            identity = self._learn(endpoint_key, view, identity)
        if not identity.extension:
            owner = rules.owner_of_mobile(view.number) if _calls_us(view) else ""
            return Identity(owner, Evidence.MOBILES) if owner else identity
        if not rules.is_our_device(endpoint, view.context, view.tenant):
            return _NOT_OURS
        return identity

    def dialled(self, name: ChannelName, identity: Identity, dial_string: str) -> Identity:
        """The identity, reconsidered with what was dialled there: ``33915/84951234567`` is a line named by digits."""
        number = dialled_number(dial_string, name.endpoint)
        if not number or not name.is_person or identity.evidence in _EXPLICIT:
            return identity
        if number != name.endpoint and not self.rules.is_extension(number):
            self._learn_line((name.technology, name.endpoint))
            identity = _DIALLED
        owner = self.rules.owner_of_mobile(number)
        return Identity(owner, Evidence.MOBILES) if owner and not identity.extension else identity

    def _by_evidence(self, key: EndpointKey, view: ChannelView, is_new: bool) -> Identity:
        """The strongest evidence there is."""
        own_number, by_name = self._by_own_number(view), self._by_name(key, view)
        before = self._by_history(key, is_new, own_number is not None)
        context = _CONTEXT if is_outside(view.context) and (_calls_us(view) or own_number is None) else None
        order = (before, context, own_number, by_name) if is_new else (before, context, by_name, own_number)
        return next((identity for identity in order if identity is not None), NOBODYS)

    def _by_history(self, key: EndpointKey, is_new: bool, shows_extension: bool) -> Identity | None:
        device = self._devices.get(key)
        if device is not None and not is_new:
            return Identity(device, Evidence.LEARNED)
        is_device_again = device is not None and shows_extension
        return _LINE_BEFORE if key in self._lines and not is_device_again else None

    def _by_own_number(self, view: ChannelView) -> Identity | None:
        return Identity(view.number, Evidence.OWN_NUMBER) if self.rules.is_extension(view.number) else None

    def _by_name(self, key: EndpointKey, view: ChannelView) -> Identity | None:
        technology, endpoint = key
        if technology in PORT_TECHNOLOGIES:
            return None
        if self.rules.is_extension(endpoint):
            return Identity(endpoint, Evidence.NAME)
        # PJSIP/101-mobile, SIP/101_2; but 78-mango is a provider, which shows its callers' numbers
        leading = _LEADING_DIGITS.match(endpoint)
        if leading and self.rules.is_extension(leading[1]) and not view.number:
            return Identity(leading[1], Evidence.SECOND_DEVICE)
        return None

    def _learn(self, key: EndpointKey, view: ChannelView, identity: Identity) -> Identity:
        """Remember the endpoint as a device or a line, by the number that a new channel shows."""
        if identity.evidence is Evidence.OWN_NUMBER:
            if len(self._devices) < MAX_LEARNED:
                self._devices[key] = view.number
        elif view.number and not self.rules.is_extension(view.number):
            if not identity.extension:
                self._learn_line(key)
            elif _calls_us(view) and self._shows_many_callers(key, view.number):
                self._learn_line(key)
                return _LINE_BEFORE
        return identity

    def _shows_many_callers(self, key: EndpointKey, number: str) -> bool:
        """A device calls with one number, a line with those of its callers."""
        if len(self._callers) >= MAX_LEARNED and key not in self._callers:
            return False
        return self._callers.setdefault(key, number) != number

    def _learn_line(self, key: EndpointKey) -> None:
        self._devices.pop(key, None)
        if len(self._lines) < MAX_LEARNED:
            self._lines[key] = None


def _calls_us(view: ChannelView) -> bool:
    """The channel was made by a device that calls: Ring, or (chan_sip begins all in Down) with a dialled number."""
    return view.state == ChannelState.RING or (view.state in (None, ChannelState.DOWN) and view.exten not in ("", "s"))


def is_outside(context: str) -> bool:
    """A dialplan context that by its name takes calls from lines, as in FreePBX (from-trunk-*, from-pstn, ...)."""
    return _OUTSIDE_CONTEXT.search(context) is not None and _OUTGOING_CONTEXT.search(context) is None
