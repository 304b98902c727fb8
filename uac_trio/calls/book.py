"""The calls in progress: begins them, joins them, concludes their direction, ends and tells them.

Channels belong to the same call when Asterisk says so in any way: a shared Linkedid in any event, Dial, the halves of a
Local channel, transfers, pickup, unparking. Linkedids change without an event of their own, and merges chain; so a call
is found through its channels, and an absorbed call's Linkedids point to the survivor for good.
"""

from __future__ import annotations

import attrs

from uac_trio.ami.message import Event, unescape_c
from uac_trio.calls.call import Call, Direction, Part, Transfer, TransferType
from uac_trio.calls.channel import Channel, ChannelState, Leg
from uac_trio.calls.click import is_click
from uac_trio.calls.fact import (
    CallBegan,
    CallEnded,
    CallMerged,
    CallTransferred,
    Fact,
    Oddity,
    RecordingKnown,
)
from uac_trio.calls.outcome import Outcome
from uac_trio.calls.party import PartyFinder
from uac_trio.calls.progress import advance, end_participation, own_unreached, stop_clocks, tell
from uac_trio.calls.record import call_record, call_status, recording_of
from uac_trio.calls.rules import TrackerRules, dialled_number, known, parse_channel_name, whole
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
    listed_by: float = attrs.field(default=0.0, init=False)
    """Until then a list of channels is awaited, and of older channels it tells more than an event in passing."""

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
            if at < self.listed_by and event.name != "Newchannel":
                return None
            return self.adopt(event, at, prefix)
        if not channel.is_live:
            return channel
        channel.seen_at = channel.call.seen_at = at
        self.suspects.pop(uniqueid, None)
        number = known(event.get(prefix + "CallerIDNum"))
        if number:
            channel.number = number
        channel.connected = known(event.get(prefix + "ConnectedLineNum")) or channel.connected
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
            self.enter_state(channel, whole(state, channel.state), at)
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
            call=self._reopened(self.board.call_of(linkedid, uniqueid, at)),
            created_at=at,
            state=-1,
            caller=number,
            context=context,
            exten=event.get(prefix + "Exten"),
            number=number,
            connected=known(event.get(prefix + "ConnectedLineNum")),
            caller_name=known(unescape_c(event.get(prefix + "CallerIDName"))),
            seen_at=at,
        )
        is_new = event.name == "Newchannel"
        channel.extension = self.parties.extension_of(name, number, context, whole(state, -1), is_new=is_new)
        self.board.add(channel)
        call = channel.call
        call.seen_at = at
        if call.remembered and call.direction is None:
            self._recall(call, at)
        is_operators = uniqueid == call.linkedid and name.is_person and call.direction is Direction.OUTBOUND
        if not is_new and is_operators and not channel.extension:
            channel.extension = call.operator  # its CallerID is the company's meanwhile, and tells no employee
        if call.source is None or uniqueid == call.linkedid:
            call.source = channel
        half = channel.half
        if half is not None and half.call is not call:  # servers before 13.5 have no Linkedid
            self.merge(half.call, call, at, f"{event.name}: halves of {name.pair}")
        self.enter_state(channel, whole(state, ChannelState.DOWN), at)
        return channel

    def _reopened(self, call: Call) -> Call:
        """A call that seemed to be over has a live channel again: others ended too soon, or we were told late."""
        if call.ended_at is not None:
            call.ended_at = call.finish_at = None
            self.ending.pop(call.id, None)
        return call

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

    def _recall(self, call: Call, at: float) -> None:
        """Go on with what an earlier run told of the call."""
        parts = list(call.remembered.values())
        told = next((part for part in parts if part.part is Part.CALLER), parts[0])
        if told.part is Part.CALLER:
            call.operator = told.extension
        if told.direction is Direction.INTERNAL:
            call.called = told.customer
        else:
            call.customer, call.met_line = told.customer, True
        answers = [part for part in parts if part.answered_at is not None]
        if answers:
            first = min(answers, key=lambda part: part.answered_at or 0.0)
            call.answered_at = call.talk.since = first.answered_at
            call.answered_by = first.customer if first.part is Part.CALLER else first.extension
        self._orient(call, told.direction, at, "told of before the restart")

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
        else:
            leg.caller, leg.dial_string = leg.caller or caller, leg.dial_string or dial_string
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

    def answer(self, leg: Leg, caller: Channel | None, at: float) -> None:
        """Somebody took the call there. ``caller`` may be another than who dialled: a pickup, a blond transfer."""
        leg.status, leg.answered_at = "ANSWER", at
        leg.ended_at = at if leg.ended_at is None else leg.ended_at
        if caller is not None:
            leg.caller, caller.answered_leg = caller, leg

    def direct(self, call: Call, leg: Leg, at: float, because: str) -> None:
        """Conclude the call's direction from one of its legs."""
        channel = leg.channel
        source = call.source or channel
        if source.originated and (channel is source or (source.half is not None and leg.caller is source.half)):
            self._direct_originated(call, source, leg)
            self._orient(call, Direction.OUTBOUND, at, because)
        elif call.customer and call.direction in (Direction.INBOUND, Direction.OUTBOUND):
            return
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
            if source.uniqueid == call.linkedid:  # else whoever called was gone before we came
                call.operator = source.extension
            call.called = known(source.exten) or channel.extension
            self._orient(call, Direction.INTERNAL, at, because)
        elif call.direction is None and source.is_line and not source.originated:
            self._take_inbound(call, source, at)
        elif call.direction is Direction.OUTBOUND and leg not in call.operator_legs and call.operator:
            call.direction = None  # a click on a colleague's number
            call.called = channel.extension
            self._orient(call, Direction.INTERNAL, at, because)

    def _direct_originated(self, call: Call, source: Channel, leg: Leg) -> None:
        """The first leg of an Originate: the employee who clicked, on all his devices; or a customer first."""
        if not leg.channel.extension:
            call.customer = call.customer or leg.number
            return
        call.operator = call.operator or leg.channel.extension
        if leg not in call.operator_legs:
            call.operator_legs.append(leg)
        # What the employee's phone shows is the customer: of ours the connected line, of others' orders the CallerID.
        shown = source.connected if is_click(call) else source.number
        if not call.customer and not self.rules.is_extension(shown):
            call.customer = shown

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
        if leg.number:
            for transfer in call.transfers:  # dialled with a prefix that the dialplan took off
                if not transfer.answered and transfer.to.endswith(leg.number):
                    transfer.to = leg.number
        if call.answered_at is None or leg.caller is None:
            return
        half = leg.caller.half
        agents = {mate for mate in (self.board.bridge_mates(half) if half else ()) if mate.extension}
        if half is not None and (half.leg is None or half.leg.caller is None) and agents:
            # features.c: *2 puts the transferer into a bridge with a Local channel that nobody dialled
            agent = min(agents, key=lambda mate: mate.uniqueid)
            call.transfers.append(Transfer("attended", agent.extension, leg.party, consulting=leg))
            return
        self.notice_sent_on(call, "redirect", leg.party, leg.began_at, "Redirect: no event of its own")

    def notice_sent_on(self, call: Call, kind: TransferType, to: str, at: float, because: str) -> None:
        """The customer goes on to ``to``. If he was with an employee whose channel somebody else ended, that was a
        transfer which no event told of."""
        if call.parker or any(not transfer.answered and transfer.consulting is None for transfer in call.transfers):
            return
        agents = [part for part in call.participations if part.answered_at is not None and part.extension != to]
        if not agents or any(part.ended_at is None for part in agents):
            return
        last = max(agents, key=lambda part: part.ended_at or 0.0)
        if any(channel.asked_to_hang_up or channel.transferred for channel in last.channels):
            return  # he hung up himself; the dialplan goes on with the customer
        last.outcome = Outcome.TRANSFERRED
        self.hand_over(call, kind, last.extension, to, at, because)

    def hand_over(
        self, call: Call, kind: TransferType, by: str, to: str, at: float, because: str, answered: bool = False
    ) -> None:
        call.transfers.append(Transfer(kind, by, to, answered))
        self.facts.append(CallTransferred(call_id=call.id, at=at, because=because, type=kind, by=by, to=to))

    # -- calls ---------------------------------------------------------------------------------------------------

    def advance(self, call: Call, at: float, because: str) -> None:
        """An event changed the call's channels: what follows for its people, and is it over?"""
        if call.merged_into:
            return  # told as it was; its channels are the survivor's
        self.facts += advance(call, self.board.audible, at, because)
        call.seen_at = at
        if call.ended_at is None and not call.live:
            self.end(call, at)

    def end(self, call: Call, at: float) -> None:
        """It has no channel any more; what may still be said of it is waited for."""
        call.ended_at = max((channel.hungup_at or at for channel in call.channels.values()), default=at)
        call.finish_at = at + self.rules.linger
        self.ending[call.id] = call

    def merge(self, one: Call, other: Call, at: float, because: str) -> Call:
        """Two calls are one. The absorbed one ends here and is told as it was, if it was one that people made."""
        if one is other:
            return one
        survivor, absorbed = self.board.choose_survivor(one, other)
        for participation in absorbed.participations:
            if participation.ended_at is None:
                self.facts += end_participation(absorbed, participation, at, because)
        absorbed.talk.run(False, at)
        self.board.move(absorbed, self._reopened(survivor), at)
        survivor.met_line = survivor.met_line or absorbed.met_line
        survivor.queue = survivor.queue or absorbed.queue
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
        because = "the call is over"
        if call.ended_at is None:
            because = "the recording of events ends here"
            call.inferred = True
            for participation in call.participations:
                if participation.ended_at is None:
                    self.facts += end_participation(call, participation, at, because)
        # What was never a call of its own: a pickup, the retrieval of a parked call, the recall after a transfer.
        is_part = call.merged_into and not call.outward_legs and not any(part.announced for part in call.participations)
        told = (is_click(call) or any(channel.is_person for channel in call.channels.values())) and not is_part
        if told and call.direction is None:
            source = call.source
            if source is not None and source.is_line and not source.originated:
                self._take_inbound(call, source, at if call.ended_at is None else call.ended_at)
            elif source is not None and source.extension:
                call.direction, call.operator, call.called = Direction.INTERNAL, source.extension, known(source.exten)
            elif is_click(call):
                self._take_failed_click(call)
        if told:
            self._own_unreached(call, at)
            self._tell_recordings(call, at, because)
            ended_at = call.ended_at if call.ended_at is not None else at
            record = call_record(call, at)
            self.facts.append(CallEnded(call_id=call.id, at=at, because=because, ended_at=ended_at, record=record))
        self.board.forget(call)

    def _take_failed_click(self, call: Call) -> None:
        """No phone was ever called for it: all that is known is what was asked for."""
        call.operator, number = call.asked_for
        if self.rules.is_extension(number):
            call.direction, call.called = Direction.INTERNAL, number
        else:
            call.direction, call.customer = Direction.OUTBOUND, call.customer or number

    def _tell_recordings(self, call: Call, at: float, because: str) -> None:
        """One to an employee who talked: a row of the CRM holds one link."""
        talked = {
            part.extension: part for part in call.participations if part.answered_at is not None and part.announced
        }
        for participation in talked.values():
            path = recording_of(call, participation)
            if path:
                self.facts += tell(call, participation, RecordingKnown, at, because, path=path)

    def _own_unreached(self, call: Call, at: float) -> None:
        """An incoming call for which no employee's phone rang must not vanish: it gets an owner, if one is set."""
        owner = self.rules.owner_of_unreached(call.queue, call.did)
        if owner and call.direction is Direction.INBOUND and not call.participations and not call.merged_into:
            self.facts += own_unreached(call, owner, call_status(call), at)

    def vanish(self, channel: Channel, at: float, because: str) -> None:
        """A channel ended unseen; when, is not known: as long ago as can be. What follows is left to ``advance``."""
        call = channel.call
        ended_at = min(at, self.lost_at) if self.lost_at is not None and channel.seen_at <= self.lost_at else at
        ended_at = max(ended_at, call.seen_at)
        call.inferred = True
        self.hang_up(channel, ended_at)
        stop_clocks(call, self.board.audible, ended_at)
        self.facts.append(Oddity(call_id=call.id, at=ended_at, because=f"{channel.full_name} ended unseen: {because}"))

    def hang_up(self, channel: Channel, at: float) -> None:
        channel.hungup_at = at
        channel.call.end_channel(channel)
        self.board.remove(channel)
        leg = channel.leg
        if leg is not None and leg.ended_at is None:
            leg.ended_at = at
        if channel.call.waiting is channel:
            channel.call.waiting = None
