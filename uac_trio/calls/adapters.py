"""Which AMI a server speaks, by its banner, and the adapter that translates it."""

from __future__ import annotations

import enum
import re
from collections.abc import Sequence
from typing import Protocol

from uac_trio.ami.message import Event
from uac_trio.calls.ami1 import WANTED_AMI1, Ami1Adapter
from uac_trio.calls.ami2 import MARKS_AMI2, WANTED_AMI2, Ami2Adapter
from uac_trio.calls.channel_events import ChannelEvent
from uac_trio.calls.rules import TrackerRules

WANTED_EVENTS = WANTED_AMI1 | WANTED_AMI2
"""Names of the AMI events that any adapter reads; the rest may be dropped unparsed."""

_BANNER = re.compile(r"Asterisk Call Manager/(\d+)\.")


class AmiGeneration(enum.Enum):
    """The value is for people."""

    AMI_1 = "AMI 1.x (Asterisk 1.8 to 11)"
    AMI_2 = "AMI 2 or later (Asterisk 12 and later)"
    UNKNOWN = "not known: this is not the banner of an Asterisk"


class Adapter(Protocol):
    """Translates the AMI of one server. Kept while its generation is the same, over lost connections too."""

    def translate(self, event: Event) -> Sequence[ChannelEvent]:
        """The channel events that an AMI event means, in order."""
        ...

    def ordered(self, channel: str, channel_id: str) -> None:
        """An Originate of ours asks for ``channel`` (``PJSIP/101``), as ``channel_id``."""
        ...

    def withdrawn(self, channel: str, channel_id: str) -> None:
        """That order was refused, or nothing came of it."""
        ...

    def disconnected(self) -> None:
        """The connection is gone, and listings with it."""
        ...


def generation_of(banner: str) -> AmiGeneration:
    """By the first line of a server (main/manager.c, AMI_VERSION): ``Asterisk Call Manager/1.3`` is AMI 1.x."""
    found = _BANNER.match(banner)
    if found is None:
        return AmiGeneration.UNKNOWN
    return AmiGeneration.AMI_1 if found[1] in ("0", "1") else AmiGeneration.AMI_2


def is_wanted(name: str, banner: str) -> bool | bytes:
    """Which events are read of the server with this banner: all of that name, none, or those with these bytes."""
    if name in MARKS_AMI2 and generation_of(banner) is not AmiGeneration.AMI_1:
        return MARKS_AMI2[name]
    return name in WANTED_EVENTS


def adapter_for(banner: str, rules: TrackerRules) -> Adapter:
    """A new adapter for the server with this banner. An unknown server gets the adapter for AMI 2 or later."""
    return Ami1Adapter(rules) if generation_of(banner) is AmiGeneration.AMI_1 else Ami2Adapter(rules)
