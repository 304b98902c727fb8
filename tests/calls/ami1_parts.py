"""Devices of AMI 1.x, and what is made of them, without an adapter."""

from __future__ import annotations

import attrs

from tests.calls.scenes import event
from uac_trio.calls.ami1_callers import Callers
from uac_trio.calls.ami1_devices import Device, Devices
from uac_trio.calls.ami1_dials import Dials
from uac_trio.calls.ami1_feature_codes import FeatureCodes
from uac_trio.calls.ami1_given_out import GivenOut
from uac_trio.calls.ami1_hangups import Hangups
from uac_trio.calls.ami1_originates import Originates
from uac_trio.calls.ami1_unseen_dials import UnseenDials
from uac_trio.calls.channel_events import (
    AttendedTransferred,
    BlindTransferred,
    BridgeEntered,
    BridgeLeft,
    ChannelCreated,
    ChannelEvent,
    DialBegan,
    DialEnded,
    RecordingStarted,
    ServerLacks,
)
from uac_trio.calls.rules import TrackerRules

CUSTOMER = "+79161234567"
TRUNK, ANNA, BORIS = "SIP/trunk-01", "SIP/101-02", "SIP/102-03"


@attrs.define
class Server:
    """The parts of one server's adapter."""

    devices: Devices = attrs.field(factory=Devices)
    dials: Dials = attrs.field(factory=Dials)
    callers: Callers = attrs.field(init=False)
    out: GivenOut = attrs.field(init=False)
    codes: FeatureCodes = attrs.field(init=False)
    hangups: Hangups = attrs.field(init=False)
    originates: Originates = attrs.field(init=False)
    unseen: UnseenDials = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.callers = Callers(TrackerRules(), self.devices, self.dials)
        self.out = GivenOut(self.devices, self.dials)
        self.codes = FeatureCodes(self.devices, self.callers, self.out)
        self.hangups = Hangups(self.devices, self.dials, self.callers, self.codes, self.out)
        self.originates = Originates(self.devices, self.out)
        self.unseen = UnseenDials(
            self.devices, self.dials, self.callers, self.codes, self.hangups, self.originates, self.out
        )

    def create(self, uniqueid: str, name: str, *, is_shown: bool = True, **headers: str) -> Device:
        made = self.devices.create(event("Newchannel", Uniqueid=uniqueid, Channel=name, **headers))
        assert made is not None
        made.is_shown = is_shown
        return made

    def given_out(self) -> list[str]:
        return [in_words(each) for each in self.out.take()]


def in_words(given: ChannelEvent) -> str:
    match given:
        case ChannelCreated():
            return f"created {given.channel.name}"
        case DialBegan():
            by = given.caller.name if given.caller is not None else "no channel"
            return f"{by} dials {given.dialled.name} {given.dial_string}".rstrip()
        case DialEnded():
            return f"{given.dialled.name} {given.status}"
        case BridgeEntered():
            return f"{given.channel.name} enters {given.bridge}"
        case BridgeLeft():
            return f"{given.channel.name} leaves {given.bridge}"
        case BlindTransferred():
            return f"{given.transferer.name} sends on to {given.to}"
        case AttendedTransferred():
            return f"{given.first.name} transfers"
        case RecordingStarted():
            return f"{given.channel.name} recorded in {given.path}"
        case ServerLacks():
            return f"lacks {given.lack.name}"
        case _:
            return type(given).__name__
