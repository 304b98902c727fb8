"""AMI events to calls.

``CallTracker.process`` takes one event and the time, keeps channels, bridges and legs, and returns what follows. Channels
belong to the same call when Asterisk says so in any way: a shared Linkedid in any event, Dial, the halves of a Local channel,
transfers, pickup, unparking. Linkedids change without an event of their own, and merges chain; so a call is found through its
channels, and an absorbed call's Linkedids point to the survivor for good.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import attrs

from uac_trio.ami.message import Event, unescape_c
from uac_trio.calls.call import Call, Direction, Part, Participation, Recording, Transfer
from uac_trio.calls.channel import Channel, ChannelState, Leg
from uac_trio.calls.fact import (
    CallBegan,
    CallEnded,
    CallMerged,
    CallTransferred,
    Fact,
    Oddity,
    ParticipationBegan,
    ParticipationEnded,
    QueueJoined,
    RecordingKnown,
)
from uac_trio.calls.party import PartyFinder
from uac_trio.calls.progress import advance, counterpart, end_participation
from uac_trio.calls.record import call_record, call_status, recording_of
from uac_trio.calls.rules import TrackerRules, creation_order, dialled_number, known, parse_channel_name
from uac_trio.calls.switchboard import Switchboard

SUSPICION = 1.0
"""Seconds a channel that a listing lacks is given for its Hangup, which may be under way (the list is read from a cache
that can be ahead of the events)."""

BOOT_SLACK = 2.0
"""Seconds by which FullyBooted's Uptime (whole seconds) and a channel's first event may be off."""


@attrs.define
class CallTracker:
    """The calls of one PBX. All times are seconds since the epoch."""

    pbx: str
    rules: TrackerRules = attrs.field(factory=TrackerRules)
    board: Switchboard = attrs.field(init=False)
    _parties: PartyFinder = attrs.field(init=False)
    _facts: list[Fact] = attrs.field(factory=list, init=False)
    _listings: dict[str, list[Event]] = attrs.field(factory=dict, init=False)
    _suspects: dict[str, float] = attrs.field(factory=dict, init=False)
    _ending: dict[str, Call] = attrs.field(factory=dict, init=False)
    _lost_at: float | None = attrs.field(default=None, init=False)
    _connected_at: float = attrs.field(default=0.0, init=False)

    def __attrs_post_init__(self) -> None:
        self.board = Switchboard(self.pbx)
        self._parties = PartyFinder(self.rules)

    # -- in -----------------------------------------------------------------------------------------------------

    def process(self, event: Event, at: float) -> list[Fact]:
        """Take in one event; what follows from it, in order of cause."""
        handler = HANDLERS.get(event.name)
        if handler is not None:
            handler(self, event, at)
        return self._take()

    def connected(self, at: float) -> None:
        self._connected_at = at
        self._listings.clear()

    def lost(self, at: float) -> None:
        """The connection is gone. Calls go on until a snapshot of the next one tells."""
        self._lost_at = at

    @property
    def next_deadline(self) -> float | None:
        """When ``tick`` has something to do."""
        deadlines = [call.finish_at for call in self._ending.values() if call.finish_at is not None]
        deadlines += self._suspects.values()
        return min(deadlines, default=None)

    def tick(self, at: float) -> list[Fact]:
        """Do what is due."""
        for uniqueid in [uniqueid for uniqueid, due in self._suspects.items() if due <= at]:
            del self._suspects[uniqueid]
            self._vanish(self.board.channels.get(uniqueid), at, "not in the list of channels")
        for call in [call for call in self._ending.values() if call.finish_at is not None and call.finish_at <= at]:
            self._finish(call, at)
        return self._take()

    def finish(self, at: float) -> list[Fact]:
        """There will be no more events (the end of a replay): tell every call, those still up as they stand."""
        for call in list(self.board.calls.values()):
            self._finish(call, at)
        return self._take()

    def live_calls(self) -> list[Call]:
        return [call for call in self.board.calls.values() if call.ended_at is None]

    def _take(self) -> list[Fact]:
        facts, self._facts = self._facts, []
        return facts

    # -- channels ------------------------------------------------------------------------------------------------

    def _channel(self, event: Event, at: float, prefix: str = "", adopt: bool = True) -> Channel | None:
        """The channel an event speaks of, brought up to date; None if it names none, or one that is long gone."""
        uniqueid = event.get(prefix + "Uniqueid")
        channel = self.board.channels.get(uniqueid)
        if channel is None:
            if not adopt or not uniqueid or self.board.is_gone(uniqueid) or not event.get(prefix + "Channel"):
                return None
            return self._adopt(event, at, prefix)
        if not channel.is_live:
            return channel
        channel.seen_at = at
        self._suspects.pop(uniqueid, None)
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
                self._merge(channel.call, other, at, f"{event.name}: {channel.full_name} now has Linkedid {linkedid}")
        state = event.get(prefix + "ChannelState")
        if state:
            self._enter_state(channel, int(state) if state.isdecimal() else channel.state, at)
        return channel

    def _adopt(self, event: Event, at: float, prefix: str = "") -> Channel:
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
        channel.extension = self._parties.extension_of(name, number, context, int(state) if state.isdecimal() else -1)
        self.board.add(channel)
        call = channel.call
        if call.source is None or uniqueid == call.linkedid:
            call.source = channel
        half = channel.half
        if half is not None and half.call is not call:  # servers before 13.5 have no Linkedid
            self._merge(half.call, call, at, f"{event.name}: halves of {name.pair}")
        self._enter_state(channel, int(state) if state.isdecimal() else ChannelState.DOWN, at)
        return channel

    def _enter_state(self, channel: Channel, state: int, at: float) -> None:
        if state == channel.state:
            return
        channel.state = state
        if state == ChannelState.RINGING:
            self._rings(channel, at)
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

    def _rings(self, channel: Channel, at: float) -> None:
        if channel.rang_at is None:
            channel.rang_at = at
        leg = channel.leg
        if leg is None and channel.uniqueid != channel.linkedid and channel.is_person:
            # Its DialBegin did not reach us (a filter), or comes in a moment; it is somebody's leg all the same.
            leg = self._begin_leg(channel, None, "", at)
        if leg is not None and leg.rang_at is None and leg.ended_at is None:
            leg.rang_at = at

    # -- legs ----------------------------------------------------------------------------------------------------

    def _begin_leg(self, channel: Channel, caller: Channel | None, dial_string: str, at: float) -> Leg:
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

    def _direct(self, call: Call, leg: Leg, at: float, because: str) -> None:
        """Conclude the call's direction from one of its legs."""
        source, channel = call.source, leg.channel
        if source is None or (call.direction is not None and call.direction is not Direction.INTERNAL and call.customer):
            return
        by_originate = source.originated and (channel is source or (source.half is not None and leg.caller is source.half))
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
                call.direction = None
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
        self._facts.append(
            CallBegan(call_id=call.id, at=at, because=because, direction=direction, customer=call.customer, did=call.did)
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
        self._transfer(call, "redirect", last.extension, leg.party, last.ended_at or leg.began_at, "Redirect: no event of its own")

    def _transfer(self, call: Call, kind: str, by: str, to: str, at: float, because: str, answered: bool = False) -> None:
        call.transfers.append(Transfer(kind, by, to, answered))  # type: ignore[arg-type]
        self._facts.append(CallTransferred(call_id=call.id, at=at, because=because, type=kind, by=by, to=to))  # type: ignore[arg-type]

    # -- calls ---------------------------------------------------------------------------------------------------

    def _advance(self, call: Call, at: float, because: str) -> None:
        """An event changed the call's channels: what follows for its people, and is it over?"""
        self._facts += advance(call, self.board.audible, at, because)
        if call.ended_at is None and not call.live:
            call.ended_at = at
            call.finish_at = at + self.rules.linger
            self._ending[call.id] = call

    def _merge(self, one: Call, other: Call, at: float, because: str) -> Call:
        """Two calls are one. The absorbed one ends here and is told as it was, if it was one that people made."""
        if one is other:
            return one
        survivor, absorbed = self.board.choose_survivor(one, other)
        source_lost = survivor.source is not None and survivor.direction is None and survivor.source.leg is not None
        for participation in absorbed.participations:
            if participation.ended_at is None:
                self._facts += end_participation(absorbed, participation, at, because)
        absorbed.talk.run(False, at)
        self.board.move(absorbed, survivor, at)
        survivor.met_line = survivor.met_line or absorbed.met_line
        survivor.queue = survivor.queue or absorbed.queue
        if source_lost:
            survivor.source = absorbed.source
        absorbed.merged_into, absorbed.ended_at = survivor.id, at
        if absorbed.legs:
            self._facts.append(CallMerged(call_id=absorbed.id, at=at, because=because, into=survivor.id))
        absorbed.finish_at = at + self.rules.linger
        self._ending[absorbed.id] = absorbed
        self._advance(survivor, at, because)
        return survivor

    def _finish(self, call: Call, at: float) -> None:
        """Tell the call and forget it."""
        self._ending.pop(call.id, None)
        because = "the call is over" if call.ended_at is not None else "the recording of events ends here"
        told = any(channel.is_person for channel in call.channels.values()) and not (call.merged_into and not call.legs)
        if told and call.direction is None:
            source = call.source
            if source is not None and source.is_line and not source.originated:
                self._take_inbound(call, source, at)
            elif source is not None and source.extension:
                call.direction, call.operator, call.called = Direction.INTERNAL, source.extension, known(source.exten)
        if told:
            self._own_unreached(call, at)
            for participation in call.participations:
                path = recording_of(call, participation)
                if path and participation.answered_at is not None and participation.announced:
                    self._facts.append(
                        RecordingKnown(
                            call_id=call.id, at=at, because=because, extension=participation.extension,
                            occurrence=participation.occurrence, part=participation.part,
                            direction=call.direction or Direction.INTERNAL, customer=counterpart(call, participation),
                            began_at=participation.began_at, path=path,
                        )
                    )  # fmt: skip
            self._facts.append(CallEnded(call_id=call.id, at=at, because=because, record=call_record(call, at)))
        self.board.forget(call)

    def _own_unreached(self, call: Call, at: float) -> None:
        """An incoming call for which no employee's phone rang must not vanish: it gets an owner, if one is set."""
        owner = self.rules.unreached
        if not owner or call.direction is not Direction.INBOUND or call.participations or call.merged_into:
            return
        ended_at = call.ended_at if call.ended_at is not None else at
        participation = Participation(owner, Part.CALLEE, call.linkedid, call.started_at, announced=True)
        participation.ended_at, participation.outcome = ended_at, call_status(call)
        participation.answered_at = call.answered_at
        participation.talk.total = call.talk.total
        call.participations.append(participation)
        shared = {
            "call_id": call.id, "at": ended_at, "because": "no employee's phone rang", "extension": owner,
            "occurrence": participation.occurrence, "part": participation.part, "direction": call.direction,
            "customer": call.customer, "began_at": call.started_at,
        }  # fmt: skip
        self._facts.append(ParticipationBegan(customer_name=call.customer_name, line=call.queue or call.did, **shared))  # type: ignore[arg-type]
        self._facts.append(
            ParticipationEnded(
                outcome=participation.outcome, answered_at=call.answered_at, talk_secs=call.talk.total,
                inferred=call.inferred, **shared,  # type: ignore[arg-type]
            )
        )  # fmt: skip

    def _vanish(self, channel: Channel | None, at: float, because: str) -> None:
        """A channel that ended unseen."""
        if channel is None or not channel.is_live:
            return
        ended_at = self._lost_at if self._lost_at is not None and channel.seen_at <= self._lost_at else at
        channel.call.inferred = True
        self._hang_up(channel, ended_at)
        self._facts.append(
            Oddity(call_id=channel.call.id, at=ended_at, because=f"{channel.full_name} ended unseen: {because}")
        )
        self._advance(channel.call, ended_at, f"{channel.full_name} ended unseen")

    def _hang_up(self, channel: Channel, at: float) -> None:
        channel.hungup_at = at
        self.board.remove(channel)
        leg = channel.leg
        if leg is not None and leg.ended_at is None:
            leg.ended_at = at
        if channel.call.waiting is channel:
            channel.call.waiting = None

    def _call_of_linkedid(self, event: Event) -> Call | None:
        return self.board.find_call(event.get("Linkedid"))

    # -- events --------------------------------------------------------------------------------------------------

    def _on_newchannel(self, event: Event, at: float) -> None:
        channel = self._channel(event, at)
        if channel is not None and channel.is_line and not channel.leg and channel is channel.call.source:
            self._advance(channel.call, at, "Newchannel")

    def _on_newstate(self, event: Event, at: float) -> None:
        channel = self._channel(event, at)
        if channel is not None:
            self._advance(channel.call, at, f"Newstate {event.get('ChannelStateDesc')} {channel.full_name}")

    def _on_new_callerid(self, event: Event, at: float) -> None:
        channel = self._channel(event, at, adopt=False)
        if channel is None or channel is not channel.call.source or channel.call.direction is not Direction.INBOUND:
            return
        if not channel.call.customer:  # an analogue line learns the number after the channel is there
            channel.call.customer = channel.number

    def _on_dial_begin(self, event: Event, at: float) -> None:
        caller = self._channel(event, at)
        channel = self._channel(event, at, "Dest")
        if channel is None or not channel.is_live:
            return
        if caller is None and "Uniqueid" not in event and channel is channel.call.source:
            channel.originated = True
        if caller is not None and caller.call is not channel.call:
            self._tie(caller, channel, at, event.name)
        self._begin_leg(channel, caller, event.get("DialString"), at)
        self._follow(channel, at, f"DialBegin to {channel.full_name}")

    def _on_dial_state(self, event: Event, at: float) -> None:
        channel = self._channel(event, at, "Dest")
        if channel is None or not channel.is_live or event.get("DialStatus") not in ("RINGING", "PROGRESS"):
            return
        if channel.leg is None:
            self._begin_leg(channel, self._channel(event, at), "", at)
        self._rings(channel, at)
        self._follow(channel, at, f"DialState {event.get('DialStatus')} {channel.full_name}")

    def _on_dial_end(self, event: Event, at: float) -> None:
        caller = self._channel(event, at)
        channel = self._channel(event, at, "Dest")
        if channel is None:
            return
        status = event.get("DialStatus").partition(":")[0].upper()
        because = f"DialEnd {status} {channel.full_name}"
        if caller is not None and channel.is_live and caller.is_live and caller.call is not channel.call:
            self._tie(caller, channel, at, because)
        if not channel.is_live and channel.leg is None:
            return
        leg = self._begin_leg(channel, caller, "", at)
        if leg.ended_at is None or (status == "ANSWER" and leg.answered_at is None):
            leg.ended_at, leg.status = at, status
            if status == "ANSWER":
                leg.answered_at = at
                if caller is not None:
                    leg.caller = caller  # a pickup, a blond transfer: answered to another than the one who dialled
                    caller.answered_leg = leg
        self._follow(channel, at, because)

    def _tie(self, caller: Channel, channel: Channel, at: float, because: str) -> None:
        """A dialled channel belongs to the call of the one that dials it."""
        self._merge(caller.call, channel.call, at, because)

    def _follow(self, channel: Channel, at: float, because: str) -> None:
        call = channel.call
        if channel.leg is not None and channel.is_person:
            self._direct(call, channel.leg, at, because)
        self._advance(call, at, because)

    def _on_hangup_request(self, event: Event, at: float) -> None:
        channel = self._channel(event, at, adopt=False)
        if channel is None:
            return
        channel.asked_to_hang_up = channel.call.saw_hangup_request = True
        if channel.call.waiting is channel and channel.call.answered_at is None:
            channel.call.gave_up = True

    def _on_hangup(self, event: Event, at: float) -> None:
        channel = self._channel(event, at, adopt=False)
        if channel is None or not channel.is_live:
            return
        cause = event.get("Cause")
        channel.cause = int(cause) if cause.isdecimal() else 0
        channel.tech_cause = event.get("TechCause")
        self._hang_up(channel, at)
        self._advance(channel.call, at, f"Hangup {channel.full_name} cause {cause}")

    def _on_rename(self, event: Event, at: float) -> None:
        channel = self.board.channels.get(event.get("Uniqueid"))
        if channel is not None:
            channel.full_name = event.get("Newname")

    def _on_bridge_enter(self, event: Event, at: float) -> None:
        channel = self._channel(event, at)
        if channel is None or not channel.is_live:
            return
        swapped = self.board.channels.get(event.get("SwapUniqueid"))
        if swapped is not None:
            self.board.leave_bridge(swapped)
        bridge_type = event.get("BridgeType")
        self.board.enter_bridge(channel, event.get("BridgeUniqueid"), bridge_type)
        if "Linkedid" not in event and bridge_type == "basic":  # before 13.5: the bridge is all that ties them
            for mate in list(self.board.bridge_mates(channel)):
                self._merge(mate.call, channel.call, at, f"BridgeEnter {channel.full_name}")
        for call in {mate.call.id: mate.call for mate in self.board.audible(channel)}.values():
            self._advance(call, at, f"BridgeEnter {channel.full_name}")
        self._advance(channel.call, at, f"BridgeEnter {channel.full_name}")

    def _on_bridge_leave(self, event: Event, at: float) -> None:
        channel = self._channel(event, at, adopt=False)
        if channel is None:
            return
        left_behind = self.board.audible(channel)
        self.board.leave_bridge(channel, event.get("BridgeUniqueid"))
        for call in {other.call.id: other.call for other in (*left_behind, channel)}.values():
            self._advance(call, at, f"BridgeLeave {channel.full_name}")

    def _on_hold(self, event: Event, at: float) -> None:
        channel = self._channel(event, at, adopt=False)
        if channel is not None:
            channel.on_hold = event.name == "Hold"
            self._advance(channel.call, at, f"{event.name} {channel.full_name}")

    # -- handing over --------------------------------------------------------------------------------------------

    def _on_blind_transfer(self, event: Event, at: float) -> None:
        channel = self._channel(event, at, "Transferer", adopt=False)
        self._channel(event, at, "Transferee", adopt=False)
        if channel is None or event.get("Result") != "Success":
            return
        call = channel.call
        channel.transferred = True
        if not call.parker:  # a REFER to the parking extension; told when somebody takes the customer from there
            to = event.get("Extension")
            self._transfer(call, "blind", channel.extension or channel.number, to, at, f"BlindTransfer to {to}")

    def _on_attended_transfer(self, event: Event, at: float) -> None:
        if event.get("Result") != "Success":
            return
        because = "AttendedTransfer"
        first = self._channel(event, at, "OrigTransferer", adopt=False)
        second = self._channel(event, at, "SecondTransferer", adopt=False)
        named = [self._channel(event, at, prefix, adopt=False) for prefix in ("Transferee", "TransferTarget")]
        if first is None:
            return
        target = named[1] if named[1] is not None and named[1].is_person else None
        by = first.extension or first.number
        consulted = self._consulted(first, second, target, named[1])
        call = first.call
        for channel in (second, *named):
            if channel is not None and channel.is_live:
                call = self._merge(call, channel.call, at, because)
        for channel in (first, second):
            if channel is not None:
                channel.transferred = True
        to = consulted or (target.extension or _number_of(target) if target is not None else "")
        attempt = next((transfer for transfer in call.transfers if transfer.consulting is not None), None)
        if attempt is not None:
            call.transfers.remove(attempt)
            to = attempt.to
        self._transfer(call, "attended", by, to, at, because)
        self._advance(call, at, because)

    def _consulted(self, first: Channel, second: Channel | None, target: Channel | None, named: Channel | None) -> str:
        """Whom the transferer asked: the target, or the one whose phone his second channel (still) rings."""
        if target is not None:
            return target.extension or _number_of(target)
        callers = {channel for channel in (second, named.half if named is not None else None) if channel}
        calls = [second.call] if second is not None else [first.call]
        legs = [leg for call in calls for leg in call.legs if leg.caller in callers and leg.channel.is_live]
        return legs[-1].party if legs else ""

    def _on_pickup(self, event: Event, at: float) -> None:
        channel = self._channel(event, at)
        target = self._channel(event, at, "Target", adopt=False)
        if channel is None or target is None:
            return
        if target.leg is not None:
            target.leg.lost_race = True
        self._merge(target.call, channel.call, at, f"Pickup by {channel.full_name}")

    def _on_parked_call(self, event: Event, at: float) -> None:
        channel = self._channel(event, at, "Parkee", adopt=False)
        if channel is None or "ActionID" in event:  # an item of a list
            return
        call = channel.call
        call.parker = parse_channel_name(event.get("ParkerDialString")).endpoint or call.final_agent
        if call.transfers and call.transfers[-1].type == "blind" and not call.transfers[-1].answered:
            last = call.transfers[-1]
            if last.by == call.parker and at - (call.talk.since or at) < BOOT_SLACK:
                call.transfers.pop()

    def _on_unparked_call(self, event: Event, at: float) -> None:
        channel = self._channel(event, at, "Parkee", adopt=False)
        retriever = self._channel(event, at, "Retriever")
        if channel is None or retriever is None:
            return
        call = self._merge(channel.call, retriever.call, at, f"UnParkedCall by {retriever.full_name}")
        parker, call.parker = call.parker, ""
        to = retriever.extension or retriever.number
        if parker and parker != to:
            self._transfer(call, "park", parker, to, at, f"UnParkedCall by {retriever.full_name}")

    # -- queues, recordings --------------------------------------------------------------------------------------

    def _on_queue_join(self, event: Event, at: float) -> None:
        channel = self._channel(event, at)
        if channel is None:
            return
        call, queue = channel.call, event.get("Queue")
        call.queue = call.queue or queue
        call.waiting = channel
        self._facts.append(
            QueueJoined(
                call_id=call.id, at=at, because=f"QueueCallerJoin {channel.full_name}", queue=queue,
                position=event.get("Position"),
            )
        )  # fmt: skip

    def _on_queue_leave(self, event: Event, at: float) -> None:
        channel = self._channel(event, at, adopt=False)
        if channel is not None and channel.call.waiting is channel:
            channel.call.waiting = None

    def _on_cdr(self, event: Event, at: float) -> None:
        channel = self.board.channels.get(event.get("UniqueID"))
        call = channel.call if channel is not None else self._call_of_linkedid(event)
        if call is None:
            return
        if channel is not None and channel.home is not None and channel.home.id in self.board.calls and channel.home.legs:
            call = channel.home
        if event.get("Disposition") != "ANSWERED":
            return
        destination = event.get("DestinationChannel")
        if event.get("LastApplication") == "VoiceMail" and not destination:
            call.voicemail = True
        path = next((path for header in self.rules.recording_headers if (path := event.get(header))), "")
        if path and destination:
            secs = event.get("BillableSeconds")
            uniqueid = event.get("UniqueID")
            call.recordings.append(Recording(path, uniqueid, destination, int(secs) if secs.isdecimal() else 0))

    def _on_newexten(self, event: Event, at: float) -> None:
        channel = self._channel(event, at, adopt=False)
        if channel is not None and event.get("Application") == "VoiceMail":
            channel.call.voicemail = True

    def _on_var_set(self, event: Event, at: float) -> None:
        if event.get("Variable") != "MIXMONITOR_FILENAME":
            return
        channel = self._channel(event, at, adopt=False)
        path = unescape_c(event.get("Value"))
        if channel is not None and path:
            channel.call.recordings.append(Recording(path, channel.uniqueid, "", 0))

    # -- snapshots -----------------------------------------------------------------------------------------------

    def _on_list_item(self, event: Event, at: float) -> None:
        self._listings.setdefault(event.get("ActionID"), []).append(event)

    def _on_list_complete(self, event: Event, at: float) -> None:
        items = self._listings.pop(event.get("ActionID"), [])
        count = event.get("ListItems")
        if count.isdecimal() and int(count) != len(items):
            because = f"CoreShowChannels announced {count} channels and listed {len(items)}: not used"
            self._facts.append(Oddity(call_id="", at=at, because=because))
            return
        self.resync(items, at)

    def resync(self, listing: Iterable[Event], at: float) -> None:
        """Reconcile with CoreShowChannel items: end what is gone, adopt what is new, go on with the rest."""
        items = sorted(listing, key=lambda item: creation_order(item.get("Uniqueid")))
        for item in items:
            self._restore(item, at)
        listed = {item.get("Uniqueid") for item in items}
        for channel in [channel for channel in self.board.channels.values() if channel.is_live]:
            if channel.uniqueid not in listed:
                if channel.seen_at < self._connected_at:
                    self._vanish(channel, at, "gone when the connection was back")
                else:
                    self._suspects.setdefault(channel.uniqueid, at + SUSPICION)
        for call in list(self.board.calls.values()):
            if call.ended_at is None:
                self._advance(call, at, "list of channels")

    def _restore(self, item: Event, at: float) -> None:
        uniqueid = item.get("Uniqueid")
        is_new = uniqueid not in self.board.channels
        if self.board.is_gone(uniqueid):
            return
        channel = self._channel(item, at)
        if channel is None or not channel.is_live:
            return
        if is_new:
            channel.created_at = at - _seconds(item.get("Duration"))
            channel.call.started_at = min(channel.call.started_at, channel.created_at)
            if item.get("Application").startswith(("AppDial", "AppQueue")):
                leg = self._begin_leg(channel, channel.call.source if channel.call.source is not channel else None, "", at)
                if channel.state == ChannelState.UP:
                    leg.rang_at = leg.began_at = channel.created_at
                    leg.answered_at = leg.ended_at = at
                    leg.status = "ANSWER"
                self._direct(channel.call, leg, at, "list of channels")
        bridge = item.get("BridgeId")
        if bridge and channel.bridge != bridge:
            self.board.enter_bridge(channel, bridge, "")
        elif not bridge and channel.bridge:
            self.board.leave_bridge(channel)

    def _on_fully_booted(self, event: Event, at: float) -> None:
        """A server that was up for less time than a channel has lived restarted in between: the channel is gone."""
        uptime = event.get("Uptime")
        if not uptime.isdecimal():
            return
        booted_at = at - int(uptime) - BOOT_SLACK
        for channel in [channel for channel in self.board.channels.values() if channel.is_live]:
            if channel.seen_at < booted_at or (self._lost_at is not None and channel.created_at < booted_at):
                self._vanish(channel, at, "Asterisk was restarted")


def _number_of(channel: Channel) -> str:
    return channel.leg.number if channel.leg is not None else channel.caller


def _seconds(duration: str) -> float:
    """``hh:mm:ss`` of a CoreShowChannel; hours may exceed 99."""
    parts = [int(part) for part in duration.split(":") if part.isdecimal()]
    return float(sum(part * 60**power for power, part in enumerate(reversed(parts))))


HANDLERS: dict[str, Callable[[CallTracker, Event, float], None]] = {
    "Newchannel": CallTracker._on_newchannel,
    "Newstate": CallTracker._on_newstate,
    "NewCallerid": CallTracker._on_new_callerid,
    "DialBegin": CallTracker._on_dial_begin,
    "DialState": CallTracker._on_dial_state,
    "DialEnd": CallTracker._on_dial_end,
    "HangupRequest": CallTracker._on_hangup_request,
    "Hangup": CallTracker._on_hangup,
    "Rename": CallTracker._on_rename,
    "BridgeEnter": CallTracker._on_bridge_enter,
    "BridgeLeave": CallTracker._on_bridge_leave,
    "Hold": CallTracker._on_hold,
    "Unhold": CallTracker._on_hold,
    "BlindTransfer": CallTracker._on_blind_transfer,
    "AttendedTransfer": CallTracker._on_attended_transfer,
    "Pickup": CallTracker._on_pickup,
    "ParkedCall": CallTracker._on_parked_call,
    "UnParkedCall": CallTracker._on_unparked_call,
    "QueueCallerJoin": CallTracker._on_queue_join,
    "QueueCallerLeave": CallTracker._on_queue_leave,
    "Cdr": CallTracker._on_cdr,
    "Newexten": CallTracker._on_newexten,
    "VarSet": CallTracker._on_var_set,
    "CoreShowChannel": CallTracker._on_list_item,
    "CoreShowChannelsComplete": CallTracker._on_list_complete,
    "FullyBooted": CallTracker._on_fully_booted,
}
"""What each event means. Events that are not here mean nothing to calls."""
