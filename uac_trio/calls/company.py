"""Whose call it is, on a PBX that several companies share."""

from __future__ import annotations

from uac_trio.calls.call import Call
from uac_trio.calls.endpoint import Evidence
from uac_trio.calls.rules import TrackerRules


def is_ours(call: Call, rules: TrackerRules) -> bool:
    """It is known by now that the call is this company's: an employee takes part, or its number was dialled."""
    if not rules.is_shared() or call.participations or call.orientation.did in rules.only_dids:
        return True
    return any(channel.extension for channel in call.channels.live)


def is_anothers(call: Call, rules: TrackerRules) -> bool:
    """The call is over, and was another company's: its number was dialled, its line or its phones took part."""
    people = call.channels.people
    if not rules.is_shared() or any(channel.extension for channel in people):
        return False
    if rules.only_dids:
        return call.orientation.did not in rules.only_dids
    return any(
        channel.identity.evidence is Evidence.NOT_OURS or not rules.is_our_tenant(channel.origin.tenant)
        for channel in people
    )
