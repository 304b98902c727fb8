"""Who is who: what the tracker is told about an installation, and how it reads names and dialled strings.

Nothing here remembers anything; what is learned from events lives in ``party.py``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Literal

import attrs

UNKNOWN = "<unknown>"
"""What Asterisk prints for an absent number or name (main/manager_channels.c, S_COR of the snapshot's fields)."""

HELPER_TECHNOLOGIES = frozenset(
    (
        *("Local", "Message", "CBAnn", "CBRec", "Announcer", "Recorder", "Surrogate", "Bridge", "Null", "Snoop"),
        *("UnicastRTP", "MulticastRTP"),
    )
)
"""Channels that carry no person of their own."""

PORT_TECHNOLOGIES = frozenset(
    {"DAHDI", "Zap", "Dongle", "Khomp", "mISDN", "Console", "ALSA", "OSS", "Skinny", "MGCP", "VPB"}
)
"""Here the name after the slash is a port or span, so it never is an extension; the CallerID tells."""

_OUTSIDE_CONTEXT = re.compile(r"trunk|pstn|did\b|from-did|extern|incoming|inbound|provider|dahdi", re.IGNORECASE)
_NUMBER = re.compile(r"\+?[0-9*#]{2,}")
_LEADING_DIGITS = re.compile(r"(\d+)[-_.]")


def _extensions(value: str | re.Pattern[str] | list[str] | frozenset[str]) -> re.Pattern[str] | frozenset[str]:
    if isinstance(value, str):
        return re.compile(value)
    return frozenset(value) if isinstance(value, list) else value


def _names(value: Iterable[str]) -> frozenset[str]:
    return frozenset(value)


@attrs.frozen(kw_only=True)
class TrackerRules:
    """The ``[calls]`` table of the configuration."""

    extensions: re.Pattern[str] | frozenset[str] = attrs.field(default=re.compile(r"^\d{2,5}$"), converter=_extensions)
    """Who is an employee: a pattern the whole number must match, or the list of numbers."""
    internal: Literal["ignore", "report"] = "ignore"
    """Whether calls between employees are told to the CRM."""
    unreached: str = ""
    """The extension that owns incoming calls for which no employee's phone rang; "" = such calls are only counted."""
    unreached_by: Mapping[str, str] = attrs.field(factory=dict)
    """The same by queue or DID, where others than ``unreached`` own such calls."""
    region: str = "RU"
    """ISO 3166 country of numbers without a country code."""
    devices: Mapping[str, str] = attrs.field(factory=dict)
    """Endpoint (``sip-anna`` of PJSIP/sip-anna-0000001f) to extension, where neither name nor CallerID tells."""
    trunks: frozenset[str] = attrs.field(default=(), converter=_names)
    """Endpoints that are lines to the outside whatever CallerID they show."""
    recording_headers: tuple[str, ...] = attrs.field(default=("recordingpath", "recordingfile"), converter=tuple)
    """Headers of the Cdr event ([mappings] of cdr_manager.conf) that may hold the recording's path, best first."""
    outside_prefix: str = ""
    """What employees dial before an outside number; taken off where only the dialled digits are known."""
    linger: float = 2.0
    """Seconds a call is kept after its last Hangup for the Cdr, which comes before or after it at random."""

    def owner_of_unreached(self, queue: str, did: str) -> str:
        """Whose missed call it is when nobody's phone rang; "" = nobody's."""
        return self.unreached_by.get(queue) or self.unreached_by.get(did) or self.unreached

    def is_extension(self, number: str) -> bool:
        if isinstance(self.extensions, frozenset):
            return number in self.extensions
        return self.extensions.fullmatch(number) is not None


@attrs.frozen
class ChannelName:
    """``PJSIP/101-0000000a`` taken apart; ``Local/101@from-queue-00000003;2`` has ``pair`` and ``half``."""

    technology: str
    endpoint: str
    """What stands between slash and last hyphen; of Local channels the dialled extension."""
    pair: str = ""
    """Local only: the name without its half; both halves share it."""
    half: str = ""
    """Local only: "1" (dialled, in the bridge) or "2" (runs the dialplan)."""

    @property
    def is_person(self) -> bool:
        """A channel with a device or line behind it: somebody may be talking there."""
        return self.technology not in HELPER_TECHNOLOGIES


def parse_channel_name(name: str) -> ChannelName:
    """Take a channel's name apart (main/channel.c, ``__ast_channel_alloc_ap``: ``TECH/endpoint-sequence``).

    Endpoints may contain hyphens, so the sequence is what stands after the last one. Wrappers that old servers put in
    front (``AsyncGoto/``, ``Parked/``) and marks behind (``<ZOMBIE>``) are taken away.
    """
    base = name.split("<", 1)[0]
    technology, _, rest = base.partition("/")
    if technology in ("AsyncGoto", "Parked"):
        technology, _, rest = rest.partition("/")
    if technology == "Local":
        pair, _, half = base.rpartition(";")
        return ChannelName(technology, rest.partition("@")[0], pair or base, half if pair else "")
    return ChannelName(technology, rest.rpartition("-")[0] or rest)


def whole(text: str, default: int) -> int:
    """A count, a cause, a state as a number; ``default`` for what is none, or is longer than Asterisk writes any."""
    return int(text) if text.isdecimal() and len(text) <= 18 else default


def known(number: str) -> str:
    """The number, or "" where Asterisk says it has none."""
    return "" if number in (UNKNOWN, "unknown", "s") else number


def dialled_number(dial_string: str, endpoint: str) -> str:
    """The number in a DialString, "" where there is none.

    ``DialBegin`` carries what stood behind the technology in Dial(): ``101``, ``+7916...@trunk``, ``101@from-queue/n``,
    ``trunk/+7916...``, ``g1/8495...``, ``101/sip:101@10.0.0.5:5060``; from a queue with the technology in front. Of
    several parts that look like a number the first that is not the endpoint itself is meant: in
    ``trunk/sip:+7916...@host`` that is the number, in ``101/sip:101@host`` there is no other.
    """
    parts = [part.removeprefix("sip:").removeprefix("sips:") for part in re.split(r"[/@;]", dial_string)]
    numbers = [part for part in parts if _NUMBER.fullmatch(part)]
    for number in numbers:
        if number != endpoint:
            return number
    return numbers[0] if numbers else ""


def extension_by_name(rules: TrackerRules, name: ChannelName) -> str:
    """The extension that the channel's own name gives away, or ""."""
    endpoint = name.endpoint
    if endpoint in rules.devices:
        return rules.devices[endpoint]
    if name.technology in PORT_TECHNOLOGIES or endpoint in rules.trunks or not name.is_person:
        return ""
    if rules.is_extension(endpoint):
        return endpoint
    leading = _LEADING_DIGITS.match(endpoint)  # a second device of 101: PJSIP/101-mobile, SIP/101_2
    return leading[1] if leading and rules.is_extension(leading[1]) else ""


def is_outside_context(context: str) -> bool:
    """A dialplan context that by its name takes calls from lines, as in FreePBX (from-trunk-*, from-pstn, ...)."""
    return _OUTSIDE_CONTEXT.search(context) is not None


def creation_order(uniqueid: str) -> tuple[int, int, str]:
    """Sorts Uniqueids by the time the channels were made.

    ``[systemname-]epoch.counter`` is no decimal fraction: .2 is older than .11 (main/channel_internal_api.c). Ids of a
    client's choosing (ChannelId) sort first: such a channel begins its call.
    """
    epoch, _, counter = uniqueid.rpartition("-")[2].partition(".")
    made = whole(epoch, -1), whole(counter, -1)
    return (*made, uniqueid) if min(made) >= 0 else (0, 0, uniqueid)
