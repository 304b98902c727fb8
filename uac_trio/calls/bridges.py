"""Who is in which bridge, and what a bridge shows: its members belong to one call, and an employee was connected."""

from __future__ import annotations

import attrs

from uac_trio.calls.call_union import CallUnion
from uac_trio.calls.change import Change
from uac_trio.calls.channel import AGENT_HOLD, Bridge, Channel
from uac_trio.calls.legs import Legs


@attrs.define
class Bridges:
    """The bridges that have members."""

    _union: CallUnion
    _legs: Legs
    _by_id: dict[str, Bridge] = attrs.field(factory=dict, init=False)

    def enter(self, channel: Channel, bridge_id: str, bridge_type: str, change: Change) -> None:
        """Into this bridge, and out of another. ``bridge_type`` is "" where it is not known."""
        if not bridge_id:
            return
        if channel.bridge is not None and channel.bridge.id != bridge_id:
            self.leave(channel)
        bridge = self._by_id.setdefault(bridge_id, Bridge(bridge_id, bridge_type))
        bridge.type = bridge_type or bridge.type
        bridge.members[channel] = None
        channel.bridge = bridge
        if bridge.type == AGENT_HOLD:
            self._union.part(channel, change)
            return
        channel.was_bridged = True
        if _ties(bridge, channel):
            self._tie_members(bridge, channel, change)

    def leave(self, channel: Channel, bridge_id: str = "") -> None:
        """Out of ``bridge_id``, or of any it is in. A BridgeLeave that follows the next BridgeEnter changes nothing."""
        bridge = channel.bridge
        if bridge is None or (bridge_id and bridge.id != bridge_id):
            return
        bridge.members.pop(channel, None)
        if not bridge.members:
            self._by_id.pop(bridge.id, None)
        channel.bridge = None

    def _tie_members(self, bridge: Bridge, channel: Channel, change: Change) -> None:
        """One call of all that hear each other now that the channel entered."""
        for mate in [mate for mate in bridge.members if mate.call is not channel.call]:
            self._union.tie(mate, channel, change)
        for member in list(bridge.members):
            self._answer_undialled(member, change)

    def _answer_undialled(self, channel: Channel, change: Change) -> None:
        """An employee's phone that nothing dialled is in a bridge with who calls. An agent on the line is put into the
        one with ``Local/...;2``, whose other half rang for them (apps/app_agent_pool.c, agent_request); a pickup is
        known by it where no Pickup event comes."""
        if channel.leg is not None or not channel.extension or channel is channel.call.source:
            return
        for mate in channel.bridge_mates:
            rung = mate.half.leg if mate.half is not None and mate.name.half == "2" else None
            is_caller = mate is channel.call.source and mate.leg is None and channel.call.conversation.answer is None
            if is_caller or (rung is not None and rung.caller is not None):
                own = self._legs.begin(channel, rung.caller if rung is not None else mate, "", change)
                own.began_at = rung.began_at if rung is not None else change.at
                own.rang_at = own.began_at if rung is None or rung.rang_at is None else rung.rang_at
                own.status, own.ended_at = "ANSWER", change.at
                return


def _ties(bridge: Bridge, channel: Channel) -> bool:
    """Who is in a basic bridge belongs to one call; a conference (type base) has people of many. A listing does not
    show the type; but then Linkedids tie, where the server has them (Asterisk 13.5 and later)."""
    return bridge.type == "basic" or (not bridge.type and not channel.view.linkedid)
