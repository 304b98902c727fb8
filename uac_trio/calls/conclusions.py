"""What follows from a change of the call graph: direction, then participations, then facts.

The order is always the same, whatever changed, and no kind of call has a code of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import attrs

from uac_trio.calls import direction, handover, participations, recording
from uac_trio.calls.call import Call, CallEnd, Direction, Orientation
from uac_trio.calls.call_graph import CallGraph
from uac_trio.calls.change import Change, Merge
from uac_trio.calls.channel import Channel
from uac_trio.calls.channel_events import (
    AttendedTransferred,
    BlindTransferred,
    CdrWritten,
    ChannelEvent,
    Lack,
    OriginateEnded,
    Parked,
    QueueJoined,
    RecordingStarted,
    ServerLacks,
    Unparked,
    VoicemailStarted,
)
from uac_trio.calls.click import CHANNEL_ID_PREFIX, click_result, order_of
from uac_trio.calls.company import is_ours
from uac_trio.calls.deadlines import Deadlines
from uac_trio.calls.endpoint import Evidence
from uac_trio.calls.fact import CallBegan, CallerQueued, CallMerged, ClickFailed, Fact, NotAnEmployee, NotShown
from uac_trio.calls.names import creation_order
from uac_trio.calls.participations import Moment
from uac_trio.calls.rules import TrackerRules
from uac_trio.calls.stuck import StuckCalls


@attrs.define
class Conclusions:
    """Draws them for the calls of one graph, and keeps which of these are over."""

    graph: CallGraph
    rules: TrackerRules
    ending: Deadlines[Call] = attrs.field(factory=Deadlines, init=False)
    """By call id: calls that are over; finished when they are due, the end plus the time a Cdr may take."""
    stuck: StuckCalls = attrs.field(factory=StuckCalls, init=False)
    merged: list[tuple[str, str]] = attrs.field(factory=list, init=False)
    """(absorbed, survivor), for the tracker to take."""

    def of_change(self, event: ChannelEvent, change: Change, at: float) -> Iterator[Fact]:
        """What follows from an event that the graph has taken in."""
        self.keep_open(change.reopened)
        for merge in change.merges:
            yield from self.close_absorbed(merge, Moment(at, merge.because, self.graph))
        now = Moment(at, event, self.graph)
        yield from self._take_notes(event, now)
        for leg in change.legs:
            yield from handover.notice_leg(leg.channel.call, leg, now)
        yield from self._follow(change.channels, now)
        for leg in change.rang:
            if leg.channel.is_line:
                yield from _not_an_employee(leg.channel.call, leg.channel, now)

    def _follow(self, channels: Iterable[Channel], now: Moment) -> Iterator[Fact]:
        """Direction, then participations of each call that has a touched channel."""
        for call, touched in self._by_call(channels):
            before = call.orientation
            for channel in touched:
                yield from self.orient_by(call, channel, now)
            yield from self.advance(call, touched if call.orientation is before else _all_of(call, touched), now)
            visit = call.queue.visit
            if visit is not None and visit.waiting is not None and call.conversation.answer is not None:
                yield from handover.notice_sent_on(call, "redirect", visit.queue, now, because=handover.REDIRECT)

    def _by_call(self, channels: Iterable[Channel]) -> Iterable[tuple[Call, list[Channel]]]:
        """The channels of each call; one whose call was merged belongs to its home too, where that still goes on."""
        by_call: dict[str, tuple[Call, list[Channel]]] = {}
        for channel in channels:
            by_call.setdefault(channel.call.id, (channel.call, []))[1].append(channel)
            home = channel.home
            if home is not None and home.id in self.graph.calls and not home.merged_into:
                by_call.setdefault(home.id, (home, []))[1].append(channel)
        return by_call.values()

    def orient_by(self, call: Call, channel: Channel, now: Moment) -> Iterator[Fact]:
        leg = channel.leg
        if leg is not None and channel.is_person:
            for end, identity in direction.shown_by(call, leg, self.rules):
                self.graph.identify(end, identity)
        orientation = direction.orient(call, channel, self.rules)
        if orientation is not call.orientation:
            yield from self.orient(call, orientation, now)

    def orient(self, call: Call, orientation: Orientation, now: Moment) -> Iterator[Fact]:
        before = call.orientation
        if orientation == before:
            return
        if orientation.direction is Direction.INTERNAL and _is_customers(call):
            return  # the customer's channel may be the first to leave; what is announced of them ends as theirs
        call.orientation = orientation
        if orientation.direction is Direction.INBOUND and not call.has_met_line:
            call.has_met_line = True
        if orientation.direction is before.direction or orientation.direction is None:
            return
        if before.direction is Direction.INTERNAL:
            for participation in call.participations:  # between colleagues until now, a customer's call from now on
                participation.is_announced = participation.ended_at is not None
        yield from self._announce(call, now)

    def _announce(self, call: Call, now: Moment) -> Iterator[Fact]:
        """CallBegan, once the direction is known, and again if it turns out to be another."""
        parties = call.orientation
        if parties.direction is None or parties.direction is call.announced_as or not is_ours(call, self.rules):
            return
        call.announced_as = parties.direction
        yield CallBegan(
            call_id=call.id, at=now.at, because=now.because, direction=parties.direction, customer=parties.customer,
            did=parties.did,
        )  # fmt: skip

    def advance(self, call: Call, touched: Iterable[Channel], now: Moment) -> Iterator[Fact]:
        if call.merged_into:
            return  # concluded as it was; its channels are the survivor's
        yield from self._announce(call, now)
        yield from participations.advance(call, touched, now)
        call.seen_at = max(call.seen_at, now.at)
        if call.end is None and not call.channels.live:
            self.end(call, now.at)
            yield from self._click_failed(call, now)
        else:
            self.stuck.look(call, now.at)

    def end(self, call: Call, at: float) -> None:
        """It has no channel any more; what may still come of it is waited for."""
        call.end = CallEnd(call.channels.last_end(at))
        self.ending.add(call.id, call, at + self.rules.linger)

    def _click_failed(self, call: Call, now: Moment) -> Iterator[Fact]:
        """A click that is over without a talk, once."""
        if call.conversation.answer is not None or call.click.is_failure_emitted:
            return
        result = click_result(call, now.at, self.graph.shows_hangup_requests)
        if result is None:
            return
        call.click.is_failure_emitted = True
        asked = call.click.order or call.click.failure
        extension = call.orientation.operator or (asked.employee if asked is not None else "")
        yield ClickFailed(call_id=call.id, at=now.at, because=now.because, extension=extension, outcome=result.outcome)

    def keep_open(self, reopened: Iterable[Call]) -> None:
        """They have a live channel again."""
        for call in reopened:
            self.ending.pop(call.id)

    def close_absorbed(self, merge: Merge, now: Moment) -> Iterator[Fact]:
        """The absorbed call ends, and is reported as it was if it was one that people made."""
        absorbed = merge.absorbed
        for participation in absorbed.participations.unfinished:
            yield from participations.end_participation(absorbed, participation, now)
        absorbed.conversation.end(now.at)
        absorbed.participations.undecided.clear()
        absorbed.end = CallEnd(now.at, merged_into=merge.survivor.id)
        self.merged.append((absorbed.id, merge.survivor.id))
        if absorbed.legs:
            yield CallMerged(call_id=absorbed.id, at=now.at, because=now.because, into=merge.survivor.id)
        self.ending.add(absorbed.id, absorbed, now.at + self.rules.linger)

    def _take_notes(self, event: ChannelEvent, now: Moment) -> Iterator[Fact]:
        """What some events mean beyond the graph."""
        match event:
            case BlindTransferred():
                yield from handover.blind(self.graph, event, now)
            case AttendedTransferred():
                yield from handover.attended(self.graph, event, now)
            case Parked():
                handover.parked(self.graph, event, now)
            case Unparked():
                yield from handover.unparked(self.graph, event, now)
            case QueueJoined():
                yield from self._queued(event, now)
            case OriginateEnded() if not event.is_success:
                yield from self._originate_failed(event, now)
            case ServerLacks():
                yield NotShown(call_id="", at=now.at, because=event.lack.value, pbx=self.graph.pbx, lack=event.lack)
            case CdrWritten():
                if not recording.take_cdr(self.graph, event):
                    yield from _unannounced(self.graph, event, now)
            case VoicemailStarted() | RecordingStarted():
                recording.take(self.graph, event)
            case _:
                pass

    def _queued(self, event: QueueJoined, now: Moment) -> Iterator[Fact]:
        channel = self.graph.find(event.channel)
        if channel is None:
            return
        call = channel.call
        yield from handover.notice_sent_on(call, "redirect", event.queue, now, because=handover.REDIRECT)
        because = f"QueueCallerJoin {channel.full_name}"
        yield CallerQueued(call_id=call.id, at=now.at, because=because, queue=event.queue, position=event.position)

    def _originate_failed(self, event: OriginateEnded, now: Moment) -> Iterator[Fact]:
        """It names what would have been dialled: the customer of a click whose CallerID was not the customer's."""
        call = self._originated(event, now.at)
        if call is None:
            return
        asked = order_of(event, call.click.order, self.rules)
        call.click.failure = asked
        is_internal = self.rules.is_extension(asked.number)
        if call.source is not None and asked.number and not is_internal and not call.orientation.customer:
            call.orientation = attrs.evolve(call.orientation, customer=asked.number)
            because = Moment(now.at, "OriginateResponse Failure", self.graph)
            yield from self.advance(call, call.channels, because)
        if call.end is not None:
            yield from self._click_failed(call, now)

    def _originated(self, event: OriginateEnded, at: float) -> Call | None:
        """The call of a failed Originate. Without a ChannelId of the client's the response has no Uniqueid, only the
        channel that was asked for (main/pbx.c); its call is just ending."""
        graph = self.graph
        source = graph.channels.get(event.uniqueid)
        if source is not None:
            return source.call
        if not event.uniqueid.startswith(CHANNEL_ID_PREFIX):
            asked = event.asked.removesuffix("/n") + "-"
            named = (channel for channel in reversed(graph.channels.values()) if channel.full_name.startswith(asked))
            source = next((channel for channel in named if channel.is_originated), None)
            return source.call if source is not None else None
        if graph.is_gone(event.uniqueid):
            return None
        # No channel could be made, or its Newchannel is still on its way.
        call = graph.call_of_click(event.uniqueid, at)
        self.end(call, at)
        return call


def _is_customers(call: Call) -> bool:
    """Whether an employee's part in it was announced as one with a customer."""
    return call.direction not in (None, Direction.INTERNAL) and call.participations.is_announced


def _all_of(call: Call, touched: Iterable[Channel]) -> Iterable[Channel]:
    """Another direction concerns all who are in the call."""
    return {**dict.fromkeys(touched), **call.channels.live}


def _not_an_employee(call: Call, channel: Channel, now: Moment) -> Iterator[Fact]:
    """A phone rings that is no employee's by the rules. A line that was dialled with an outside number is expected."""
    evidence = channel.identity.evidence
    if evidence in (Evidence.DIALLED, Evidence.TRUNKS):
        return
    because = f"{channel.full_name} rang: no employee, since {evidence.value}"
    yield NotAnEmployee(
        call_id=call.id, at=now.at, because=because, channel=channel.full_name, endpoint=channel.device,
        evidence=evidence,
    )  # fmt: skip


def _unannounced(graph: CallGraph, event: CdrWritten, now: Moment) -> Iterator[Fact]:
    """A call is over of which no event came, though its channel was made while we listened. Its Cdr names the time of
    that in the Uniqueid, by the PBX's clock as ``now`` is."""
    ids = (event.uniqueid, event.linkedid)
    if 0.0 < graph.shows_all_since < creation_order(event.uniqueid)[0] and not any(map(graph.is_gone, ids)):
        call_id = f"{graph.pbx}-{event.linkedid or event.uniqueid}"
        yield NotShown(call_id=call_id, at=now.at, because=Lack.CALLS.value, pbx=graph.pbx, lack=Lack.CALLS)
