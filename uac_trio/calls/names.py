"""How to read what Asterisk calls things: channel names, dialled strings, Uniqueids, numbers that are none."""

from __future__ import annotations

import re

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
"""Here the name after the slash is a port or span, so it never is an extension; the CallerID decides."""

_NUMBER = re.compile(r"\+?[0-9*#]{2,}")


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
    is_person: bool = attrs.field(init=False)
    """A device or line is behind the channel: a person may be talking there."""

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "is_person", self.technology not in HELPER_TECHNOLOGIES)


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
    """The number, or "" where Asterisk has none."""
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


def is_queue_dial(dial_string: str, technology: str) -> bool:
    """Queue() names the member's interface with its technology, ``PJSIP/101``; Dial() and FollowMe() do not: there
    ``trunk/+79161234567`` names a line of chan_sip or chan_iax2."""
    return dial_string.startswith(f"{technology}/")


def creation_order(uniqueid: str) -> tuple[int, int, str]:
    """Sorts Uniqueids by the time the channels were made.

    ``[systemname-]epoch.counter`` is no decimal fraction: .2 is older than .11 (main/channel_internal_api.c). Ids of a
    client's choosing (ChannelId) sort first: such a channel begins its call.
    """
    epoch, _, counter = uniqueid.rpartition("-")[2].partition(".")
    made = whole(epoch, -1), whole(counter, -1)
    return (*made, uniqueid) if min(made) >= 0 else (0, 0, uniqueid)
