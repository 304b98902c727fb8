"""The calls in progress: begins them, joins them, concludes their direction, ends and tells them.

Channels belong to the same call when Asterisk says so in any way: a shared Linkedid in any event, Dial, the halves of a
Local channel, transfers, pickup, unparking. Linkedids change without an event of their own, and merges chain; so a call
is found through its channels, and an absorbed call's Linkedids point to the survivor for good.
"""

from __future__ import annotations

import attrs

from uac_trio.ami.message import Event, unescape_c
from uac_trio.calls.call import Call, Direction, Transfer, TransferType
from uac_trio.calls.channel import Channel, ChannelState, Leg
from uac_trio.calls.fact import (
    CallBegan,
    CallEnded,
    CallMerged,
    CallTransferred,
    Fact,
    Oddity,
    RecordingKnown,
)
from uac_trio.calls.party import PartyFinder
from uac_trio.calls.progress import advance, counterpart, end_participation, own_unreached
from uac_trio.calls.record import call_record, call_status, recording_of
from uac_trio.calls.rules import TrackerRules, dialled_number, known, parse_channel_name
from uac_trio.calls.switchboard import Switchboard


@attrs.define
class CallBook:
    """The state of one PBX's calls, and the facts concluded since they were last taken."""

    pbx: str
    rules: TrackerRules
    board: Switchboard = attrs.field(init=False)
    parties: PartyFinder = attrs.field(init=False)
    facts: list[Fact] = attrs.field(factory=list, init=False)
    ending: dict[str, Call] = attrs.field(factory=dict, init=False)
    """Calls that are over and wait for their Cdr, in order of time."""
    suspects: dict[str, float] = attrs.field(factory=dict, init=False)
    """Uniqueid to deadline: a listing lacked these channels. In order of time."""
    lost_at: float | None = attrs.field(default=None, init=False)
    """When the last connection was lost."""

    def __attrs_post_init__(self) -> None:
        self.board = Switchboard(self.pbx)
        self.parties = PartyFinder(self.rules)

    # -- channels ------------------------------------------------------------------------------------------------

    def channel(self, event: Event, at: float, prefix: str = "", adopt: bool = True) -> Channel | None:
        """The channel an event speaks of, brought up to date; None if it names none, or one that is long gone."""
        uniqueid = event.get(prefix + "Uniqueid")
        channel = self.board.channels.get(uniqueid)
        if channel is None:
            if not adopt or not uniqueid or self.board.is_gone(uniqueid) or not event.get(prefix + "Channel"):
                return None
            return self.adopt(event, at, prefix)
        if not channel.is_live:
            return channel
        channel.seen_at = at
        self.suspects.pop(uniqueid, None)
        number = known(event.get(prefix + "CallerIDNum"))
        if number:
            channel.number = number
        channel.exten = event.get(prefix + "Exten") or channel.exten
        linkedid = event.get(prefix + "Linkedid")
        if linkedid and linkedid != channel.linkedid:
            channel.linkedid = linkedid
            other = self.board.find_call(linkedid)
            if other is None:
                self.board.alias(linkedid, channel.call)
            elif other is not channel.call:
                self.merge(channel.call, other, at, f"{event.name}: {channel.full_name} now has Linkedid {linkedid}")
        state = event.get(prefix + "ChannelState")
        if state:
            self.enter_state(channel, int(state) if state.isdecimal() else channel.state, at)
        return channel

    def adopt(self, event: Event, at: float, prefix: str = "") -> Channel:
        """A channel seen for the first time: new, or older than our connection."""
        uniqueid = event.get(prefix + "Uniqueid")
        full_name = event.get(prefix + "Channel")
        linkedid = event.get(prefix + "Linkedid") or uniqueid
        name = parse_channel_name(full_name)
        state = event.get(prefix + "ChannelState")
        number = known(event.get(prefix + "CallerIDNum"))
        context = event.get(prefix + "Context")
        channel = Channel(
            uniqueid=uniqueid,
            name=name,
            full_name=full_name,
            linkedid=linkedid,
            call=self.board.call_of(linkedid, at),
            created_at=at,
            state=-1,
            caller=number,
            context=context,
            exten=event.get(prefix + "Exten"),
            number=number,
            caller_name=known(unescape_c(event.get(prefix + "CallerIDName"))),
            seen_at=at,
        )
        channel.extension = self.parties.extension_of(name, number, context, int(state) if state.isdecimal() else -1)
        self.board.add(channel)
        call = channel.call
        if call.source is None or uniqueid == call.linkedid:
            call.source = channel
        half = channel.half
        if half is not None and half.call is not call:  # servers before 13.5 have no Linkedid
            self.merge(half.call, call, at, f"{event.name}: halves of {name.pair}")
        self.enter_state(channel, int(state) if state.isdecimal() else ChannelState.DOWN, at)
        return channel

    def enter_state(self, channel: Channel, state: int, at: float) -> None:
        if state == channel.state:
            return
        channel.state = state
        if state == ChannelState.RINGING:
            self.rings(channel, at)
        elif state == ChannelState.UP and channel.up_at is None:
            channel.up_at = at
        call = channel.call
        calls_us = state in (ChannelState.RING, ChannelState.UP) and not channel.originated
        if calls_us and channel is call.source and channel.leg is None and channel.is_line and call.direction is None:
            self._take_inbound(call, channel, at)

    def _take_inbound(self, call: Call, source: Channel, at: float) -> None:
        call.met_line = True
        call.customer, call.customer_name = source.caller or source.number, source.caller_name
        call.did = known(source.exten)
        self._orient(call, Direction.INBOUND, at, f"{source.full_name} calls {source.exten or '?'}")

    def rings(self, channel: Channel, at: float) -> None:
        if channel.rang_at is None:
            channel.rang_at = at
        leg = channel.leg
        if leg is None and channel.uniqueid != channel.linkedid and channel.is_person:
            # Its DialBegin did not reach us (a filter), or comes in a moment; it is somebody's leg all the same.
            leg = self.begin_leg(channel, None, "", at)
        if leg is not None and leg.rang_at is None and leg.ended_at is None:
            leg.rang_at = at

    # -- legs ----------------------------------------------------------------------------------------------------

    def begin_leg(self, channel: Channel, caller: Channel | None, dial_string: str, at: float) -> Leg:
        leg = channel.leg
        if leg is None:
            leg = channel.leg = Leg(channel, caller, dial_string, at, rang_at=channel.rang_at)
        elif leg.caller is None:
            leg.caller, leg.dial_string = caller, leg.dial_string or dial_string
        if not channel.is_person:
            return leg
        call = channel.call
        if not channel.extension:
            call.met_line = True
            leg.number = dialled_number(leg.dial_string, channel.name.endpoint) or channel.number or leg.number
        if leg not in call.legs:
            call.legs.append(leg)
            self._notice_handover(call, leg)
        return leg

    def direct(self, call: Call, leg: Leg, at: float, because: str) -> None:
        """Conclude the call's direction from one of its legs."""
        source, channel = call.source, leg.channel
        if source is None or (
            call.direction is not None and call.direction is not Direction.INTERNAL and call.customer
        ):
            return
        by_originate = source.originated and (
            channel is source or (source.half is not None and leg.caller is source.half)
        )
        if by_originate:
            if channel.extension:
                call.operator, call.operator_leg = channel.extension, leg
                asked = source.number
                if asked and not self.rules.is_extension(asked):
                    call.customer = asked
            else:
                call.customer = leg.number
            self._orient(call, Direction.OUTBOUND, at, because)
        elif channel.is_line:
            if call.direction is None and source.is_line and not source.originated:
                self._take_inbound(call, source, at)
                return
            if call.direction is None or call.direction is Direction.INTERNAL:
                call.operator = call.operator or source.extension
            for participation in call.participations:  # between colleagues until now, a customer's call from now on
                participation.announced = participation.ended_at is not None
            call.customer = leg.number
            self._orient(call, Direction.OUTBOUND, at, because)
        elif call.direction is None and source.extension:
            call.operator, call.called = source.extension, source.exten
            self._orient(call, Direction.INTERNAL, at, because)
        elif call.direction is None and source.is_line and not source.originated:
            self._take_inbound(call, source, at)
        elif call.direction is Direction.OUTBOUND and leg is not call.operator_leg and call.operator:
            call.direction = None  # a click on a colleague's number
            call.called = channel.extension
            self._orient(call, Direction.INTERNAL, at, because)

    def _orient(self, call: Call, direction: Direction, at: float, because: str) -> None:
        if call.direction is direction:
            return
        call.direction = direction
        self.facts.append(
            CallBegan(
                call_id=call.id, at=at, because=because, direction=direction, customer=call.customer, did=call.did
            )
        )

    def _notice_handover(self, call: Call, leg: Leg) -> None:
        """A new leg in an answered call: a consultation by feature code, or a customer sent on by Redirect."""
        if call.answered_at is None or leg.caller is None:
            return
        half = leg.caller.half
        agents = {mate for mate in (self.board.bridge_mates(half) if half else ()) if mate.extension}
        if half is not None and half.leg is None and agents:
            # features.c: *2 puts the transferer into a bridge with a Local channel that nobody dialled
            agent = min(agents, key=lambda mate: mate.uniqueid)
            call.transfers.append(Transfer("attended", agent.extension, leg.party, consulting=leg))
            return
        if call.parker or any(not transfer.answered and transfer.consulting is None for transfer in call.transfers):
            return
        ended = [part for part in call.participations if part.answered_at is not None]
        if not ended or any(part.ended_at is None for part in ended):
            return
        last = max(ended, key=lambda part: part.ended_at or 0.0)
        if any(channel.asked_to_hang_up or channel.transferred for channel in last.channels):
            return  # he hung up himself; the dialplan goes on with the customer
        self.hand_over(
            call, "redirect", last.extension, leg.party, last.ended_at or leg.began_at, "Redirect: no event of its own"
        )

    def hand_over(
        self, call: Call, kind: TransferType, by: str, to: str, at: float, because: str, answered: bool = False
    ) -> None:
        call.transfers.append(Transfer(kind, by, to, answered))
        self.facts.append(CallTransferred(call_id=call.id, at=at, because=because, type=kind, by=by, to=to))

    # -- calls ---------------------------------------------------------------------------------------------------

    def advance(self, call: Call, at: float, because: str) -> None:
        """An event changed the call's channels: what follows for its people, and is it over?"""
        self.facts += advance(call, self.board.audible, at, because)
        if call.ended_at is None and not call.live:
            call.ended_at = at
            call.finish_at = at + self.rules.linger
            self.ending[call.id] = call

    def merge(self, one: Call, other: Call, at: float, because: str) -> Call:
        """Two calls are one. The absorbed one ends here and is told as it was, if it was one that people made."""
        if one is other:
            return one
        survivor, absorbed = self.board.choose_survivor(one, other)
        source_lost = survivor.source is not None and survivor.direction is None and survivor.source.leg is not None
        for participation in absorbed.participations:
            if participation.ended_at is None:
                self.facts += end_participation(absorbed, participation, at, because)
        absorbed.talk.run(False, at)
        self.board.move(absorbed, survivor, at)
        survivor.met_line = survivor.met_line or absorbed.met_line
        survivor.queue = survivor.queue or absorbed.queue
        if source_lost:
            survivor.source = absorbed.source
        absorbed.merged_into, absorbed.ended_at = survivor.id, at
        if absorbed.legs:
            self.facts.append(CallMerged(call_id=absorbed.id, at=at, because=because, into=survivor.id))
        absorbed.finish_at = at + self.rules.linger
        self.ending[absorbed.id] = absorbed
        self.advance(survivor, at, because)
        return survivor

    def finish(self, call: Call, at: float) -> None:
        """Tell the call and forget it."""
        self.ending.pop(call.id, None)
        because = "the call is over" if call.ended_at is not None else "the recording of events ends here"
        told = any(channel.is_person for channel in call.channels.values()) and not (call.merged_into and not call.legs)
        if told and call.direction is None:
            source = call.source
            if source is not None and source.is_line and not source.originated:
                self._take_inbound(call, source, at)
            elif source is not None and source.extension:
                call.direction, call.operator, call.called = Direction.INTERNAL, source.extension, known(source.exten)
        if told:
            self._own_unreached(call)
            for participation in call.participations:
                path = recording_of(call, participation)
                if path and participation.answered_at is not None and participation.announced:
                    self.facts.append(
                        RecordingKnown(
                            call_id=call.id, at=at, because=because, extension=participation.extension,
                            occurrence=participation.occurrence, part=participation.part,
                            direction=call.direction or Direction.INTERNAL, customer=counterpart(call, participation),
                            began_at=participation.began_at, path=path,
                        )
                    )  # fmt: skip
            self.facts.append(CallEnded(call_id=call.id, at=at, because=because, record=call_record(call, at)))
        self.board.forget(call)

    def _own_unreached(self, call: Call) -> None:
        """An incoming call for which no employee's phone rang must not vanish: it gets an owner, if one is set."""
        owner = self.rules.unreached
        if owner and call.direction is Direction.INBOUND and not call.participations and not call.merged_into:
            self.facts += own_unreached(call, owner, call_status(call))

    def vanish(self, channel: Channel | None, at: float, because: str) -> None:
        """A channel that ended unseen."""
        if channel is None or not channel.is_live:
            return
        ended_at = self.lost_at if self.lost_at is not None and channel.seen_at <= self.lost_at else at
        channel.call.inferred = True
        self.hang_up(channel, ended_at)
        self.facts.append(
            Oddity(call_id=channel.call.id, at=ended_at, because=f"{channel.full_name} ended unseen: {because}")
        )
        self.advance(channel.call, ended_at, f"{channel.full_name} ended unseen")

    def hang_up(self, channel: Channel, at: float) -> None:
        channel.hungup_at = at
        self.board.remove(channel)
        leg = channel.leg
        if leg is not None and leg.ended_at is None:
            leg.ended_at = at
        if channel.call.waiting is channel:
            channel.call.waiting = None
