"""What the present state of the call graph means for the people of a call.

After each event the tracker asks ``advance`` what follows from the graph as it is now. So no scenario has code of its
own: pickup, parking, a returned transfer are all "an employee's channel rings", "is connected", "is gone".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import attrs

from uac_trio.calls.call import Call, Direction
from uac_trio.calls.call_graph import CallGraph
from uac_trio.calls.call_outcome import far_legs, is_near, outward_outcome
from uac_trio.calls.channel import Channel, Leg
from uac_trio.calls.channel_events import ChannelEvent
from uac_trio.calls.conversation import Answer
from uac_trio.calls.endpoint import Evidence
from uac_trio.calls.fact import (
    Fact,
    ParticipationAnswered,
    ParticipationBegan,
    ParticipationEnded,
    RecordingKnown,
)
from uac_trio.calls.names import creation_order
from uac_trio.calls.outcome import Outcome, leg_outcome, legs_outcome
from uac_trio.calls.participation import Observation, Participation, Role, State
from uac_trio.calls.recording import recording_of


@attrs.frozen(eq=False)
class Audience:
    """People who hear each other."""

    people: tuple[Channel, ...]
    has_line: bool
    is_on_hold: bool


def _audience_of(people: tuple[Channel, ...]) -> Audience:
    return Audience(people, any(one.is_line for one in people), any(one.is_on_hold for one in people))


@attrs.define(eq=False)
class Moment:
    """When something happened, and by which event."""

    at: float
    """Seconds since the epoch."""
    cause: ChannelEvent | str
    graph: CallGraph

    _audiences: dict[Channel, Audience] = attrs.field(factory=dict, init=False, repr=False)

    @property
    def because(self) -> str:
        """The event in short, for facts."""
        return self.cause if isinstance(self.cause, str) else self.cause.because

    def audience(self, channel: Channel) -> tuple[Channel, ...]:
        """The people the channel hears at this moment, itself included."""
        return self._audience(channel).people

    def is_connected(self, call: Call, channel: Channel) -> bool:
        """The channel hears the other side: a line, or in a call that has none any other person."""
        if channel.end is not None or self.graph.is_alone(channel):
            return False
        audience = self._audience(channel)
        return len(audience.people) > 1 and (not call.has_met_line or audience.has_line)

    def is_talking(self, call: Call, channel: Channel) -> bool:
        return self.is_connected(call, channel) and not self._audience(channel).is_on_hold

    def _audience(self, channel: Channel) -> Audience:
        audience = self._audiences.get(channel)
        if audience is None:
            audience = self._audiences[channel] = _audience_of(self.graph.audible(channel))
            if channel.end is None:  # they all hear the same people: in a conference hundreds
                self._audiences.update(dict.fromkeys(audience.people, audience))
        return audience


def advance(call: Call, touched: Iterable[Channel], now: Moment) -> Iterator[Fact]:
    """Bring participations, talk time and transfers up to date after ``touched`` changed; yields what is new."""
    changed = [channel for channel in touched if channel.name.is_person]
    if not changed:
        return
    _listen(call, changed, now)
    _connect(call, changed, now)
    employees: dict[str, list[Channel]] = {}
    for channel in changed:
        if channel.extension:
            employees.setdefault(channel.extension, []).append(channel)
    for extension, channels in employees.items():
        yield from _participate(call, extension, channels, now)
    for participation in list(call.participations.undecided):
        yield from _observe(call, participation, now)
    _hand_on(call, now)


def stop_clocks(call: Call, at: float, graph: CallGraph) -> None:
    """Channels ended unseen at ``at``: who talked with them talks no more. The rest is left to ``advance``."""
    now = Moment(at, "", graph)
    _listen(call, list(call.conversation.talkers), now)
    for participation in call.participations.latest.values():
        if not call.conversation.includes(participation.channels):
            participation.talk.run(False, at)


def _listen(call: Call, changed: list[Channel], now: Moment) -> None:
    """Keep the time people talk, and who of ours talked last."""
    conversation = call.conversation
    for channel in changed:
        if channel.call is call and now.is_talking(call, channel):
            conversation.join(channel)
        else:
            conversation.leave(channel)
    conversation.keep_time(now.at)


def _connect(call: Call, changed: list[Channel], now: Moment) -> None:
    """A leg whose user hears the other side was answered."""
    for channel in changed:
        leg = channel.leg
        if leg is None or channel.call is not call or leg.connected_at is not None:
            continue
        if not channel.is_live or not now.is_connected(call, channel):
            continue
        leg.connected_at = now.at
        call.legs.pick_up(leg)
        if call.conversation.answer is None and not is_near(call, leg):
            call.conversation.answer = Answer(now.at, leg.party)


def _hand_on(call: Call, now: Moment) -> None:
    """A transfer was answered once its customer talks to another than who handed them on."""
    talkers = call.conversation.talkers
    if not talkers or call.transfers.are_answered:
        return
    heard = {other: None for channel in call.channels.live if channel in talkers for other in now.audience(channel)}
    parties = dict.fromkeys(channel.party for channel in heard)  # a conference has people of other calls
    agent = call.transfers.answer([party for party in parties if party not in ("", call.orientation.customer)])
    if agent:
        call.conversation.final_agent = agent


def _participate(call: Call, extension: str, channels: list[Channel], now: Moment) -> Iterator[Fact]:
    participation = call.participations.current(extension)
    if participation is not None and not _live(call, participation):
        yield from _observe(call, participation, now)  # who rings anew takes part anew
        participation = call.participations.current(extension)
    if participation is None:
        participation = _begin(call, extension, channels, now)
        if participation is None:
            yield from _refuse(call, extension, channels, now)
            return
    for channel in channels:
        if channel.is_live and channel.call is call:
            participation.channels[channel] = None
    yield from _observe(call, participation, now)


def _live(call: Call, participation: Participation) -> list[Channel]:
    """The channels with which the employee is in the call now."""
    return [channel for channel in participation.channels if channel.is_live and channel.call is call]


def _begin(call: Call, extension: str, channels: list[Channel], now: Moment) -> Participation | None:
    remembered = call.participations.remembered.get(extension)
    openers = {
        channel: at
        for channel in channels
        if channel.is_live
        and channel.call is call
        and not _rings_for_another(call, channel)
        and (at := remembered.began_at if remembered else _began(call, channel, now)) is not None
    }
    if not openers:
        return None
    first = min(openers, key=lambda channel: creation_order(channel.uniqueid))
    participation = Participation(extension, role_of(call, first), first.uniqueid, min(openers.values()))
    if remembered is not None:
        del call.participations.remembered[extension]
        participation.role, participation.occurrence = remembered.role, remembered.occurrence
        participation.answered_at = participation.talk.since = remembered.answered_at
    call.participations.add(participation)
    return participation


def _rings_for_another(call: Call, channel: Channel) -> bool:
    """An Originate's phone whose user is not who clicked: a colleague of their follow-me, until they pick up.

    Once the other side has answered, such a leg is a transfer's.
    """
    leg = channel.leg
    if leg is None or call.conversation.answer is not None or channel.extension == call.orientation.operator:
        return False
    return is_near(call, leg)


def role_of(call: Call, channel: Channel) -> Role:
    is_caller = channel.extension == call.orientation.operator and (channel.leg is None or is_near(call, channel.leg))
    return Role.CALLER if is_caller and call.direction is not Direction.INBOUND else Role.CALLEE


def _began(call: Call, channel: Channel, now: Moment) -> float | None:
    """When this channel's user began to take part, None if they do not."""
    leg = channel.leg
    if leg is not None:
        rang_at = leg.rang_at if leg.rang_at is not None else leg.connected_at
        return None if rang_at is None else max(rang_at, channel.joined_at)
    if role_of(call, channel) is Role.CALLER:
        return next((leg.began_at for leg in far_legs(call)), None)
    return now.at if now.is_connected(call, channel) else None


def _observe(call: Call, participation: Participation, now: Moment) -> Iterator[Fact]:
    """See what the graph shows of an employee now, enter the state that follows, and yield the facts of it."""
    observation = _observation(call, participation, now)
    participation.enter(observation)
    if participation.state is State.UNDECIDED:
        call.participations.undecided[participation] = None
    yield from _announce(call, participation, now)
    if observation is Observation.CONNECTED and participation.answered_at is None:
        participation.answered_at = _answered_at(participation, now)
        yield from about(call, participation, ParticipationAnswered, now.at, now.because)
    participation.talk.run(call.conversation.includes(participation.channels), now.at)
    if participation.state is State.DONE:
        yield from end_participation(call, participation, now)
    elif participation.state is not State.UNDECIDED:
        call.participations.undecided.pop(participation, None)


def _observation(call: Call, participation: Participation, now: Moment) -> Observation:
    live = _live(call, participation)
    was_connected = participation.answered_at is not None
    if not live:
        is_open = not was_connected and _is_undecided(call, participation)
        return Observation.GONE_UNDECIDED if is_open else Observation.GONE
    if any(now.is_connected(call, channel) for channel in live):
        is_on_hold = not call.conversation.includes(live)
        return Observation.APART if was_connected and is_on_hold else Observation.CONNECTED
    if was_connected:
        return Observation.APART
    # A listing shows a phone that talked, a moment before its Hangup.
    is_answered = any(channel.leg is not None and channel.leg.connected_at is not None for channel in live)
    return Observation.CONNECTED if is_answered else Observation.RINGS


def _is_undecided(call: Call, participation: Participation) -> bool:
    """The phone fell silent since another phone of the same caller was picked up, which is not connected yet. A caller
    who has hung up decides it."""
    legs = [channel.leg for channel in participation.channels if channel.leg is not None]
    roots = [leg.chain[-1].caller for leg in legs if leg.status in ("", "CANCEL")]
    roots = [root for root in roots if root is None or not root.has_hung_up]
    return bool(roots) and any(
        other.is_undecided and other.channel.call is call and other.chain[-1].caller in roots
        for other in call.legs.latest_picked_up()
        if other not in legs
    )


def _answered_at(participation: Participation, now: Moment) -> float:
    moments = [channel.leg.connected_at for channel in participation.channels if channel.leg is not None]
    own = [max(at, participation.began_at) for at in moments if at is not None]
    return min(own, default=now.at) if participation.role is Role.CALLEE else now.at


_NEVER_RANG = (Outcome.BUSY, Outcome.REJECTED, Outcome.FAILED)


def _refuse(call: Call, extension: str, channels: list[Channel], now: Moment) -> Iterator[Fact]:
    """A phone that was tried and refused before it rang: busy, do not disturb, switched off."""
    if extension in call.participations.latest:
        return
    for channel in channels:
        leg = channel.leg
        if leg is None or channel.is_live or leg.rang_at is not None or leg.connected_at is not None:
            continue
        if _rings_for_another(call, channel):
            continue
        if leg_outcome(leg, now.graph.shows_hangup_requests) in _NEVER_RANG:
            participation = Participation(extension, role_of(call, channel), channel.uniqueid, leg.began_at)
            participation.channels[channel] = None
            call.participations.add(participation)
            participation.enter(Observation.REFUSED)
            yield from end_participation(call, participation, now)
            return


def end_participation(call: Call, participation: Participation, now: Moment) -> Iterator[Fact]:
    """Close it with what its channels show; it was announced, or is now, if it can be."""
    participation.state = State.DONE
    ends = [now.at if channel.end is None else channel.end.at for channel in participation.channels]
    participation.ended_at = min(now.at, max(ends, default=now.at))
    participation.talk.run(False, participation.ended_at)
    participation.outcome = _outcome(call, participation, now)
    if participation in call.participations.undecided:  # its phone fell silent before, what that means is known now
        del call.participations.undecided[participation]
    else:
        now = attrs.evolve(now, at=participation.ended_at)
    yield from _announce(call, participation, now)
    yield from _emit_end(call, participation, now)


def _emit_end(call: Call, participation: Participation, now: Moment) -> Iterator[Fact]:
    yield from about(
        call,
        participation,
        ParticipationEnded,
        now.at,
        now.because,
        ended_at=participation.ended_at,
        outcome=participation.outcome,
        answered_at=participation.answered_at,
        talk_secs=participation.talk.total,
        inferred=call.is_inferred,
    )


def own_unreached(call: Call, owner: str, outcome: Outcome, now: Moment) -> Iterator[Fact]:
    """The whole participation of ``owner`` in an incoming call for which no employee's phone rang."""
    answer = call.conversation.answer
    answered_at = answer.at if answer is not None else None
    participation = Participation(owner, Role.CALLEE, call.linkedid, call.started_at, answered_at=answered_at)
    participation.state, participation.ended_at = State.DONE, now.at
    participation.outcome, participation.talk = outcome, call.conversation.talk
    call.participations.add(participation)
    yield from _announce(call, participation, now)
    yield from _emit_end(call, participation, now)


def _outcome(call: Call, participation: Participation, now: Moment) -> Outcome:
    if participation.answered_at is not None:
        last = max(participation.channels, key=lambda channel: channel.end.at if channel.end else 0.0)
        return Outcome.TRANSFERRED if last.is_transferer else Outcome.COMPLETED
    shows = now.graph.shows_hangup_requests
    if participation.role is Role.CALLER and participation.extension == call.orientation.operator:
        return outward_outcome(call, shows)
    legs: list[Leg] = [channel.leg for channel in participation.channels if channel.leg is not None]
    return legs_outcome(legs, shows) or Outcome.CANCELLED


def counterpart(call: Call, participation: Participation) -> str:
    """Whom the employee talks to, as the CRM wants it: the customer, or in an internal call the colleague."""
    parties = call.orientation
    if parties.direction is not Direction.INTERNAL:
        return parties.customer
    return parties.called if participation.role is Role.CALLER else parties.operator


def _announce(call: Call, participation: Participation, now: Moment) -> Iterator[Fact]:
    """Emit that it began, once: for a caller as soon as it is known whom they call."""
    is_caller = participation.role is Role.CALLER
    if participation.is_announced or (is_caller and not counterpart(call, participation)):
        return
    participation.is_announced = True
    yield from about(
        call,
        participation,
        ParticipationBegan,
        now.at,
        now.because,
        customer_name=call.orientation.customer_name,
        line=call.queue.entry or call.orientation.did,
        rule=_rule(participation),
    )
    if participation.answered_at is not None:  # known too late for the popup, but they talk
        yield from about(call, participation, ParticipationAnswered, now.at, now.because)


def _rule(participation: Participation) -> Evidence | None:
    """By which evidence one of its channels is the employee's."""
    identities = (channel.identity for channel in participation.channels)
    return next((one.evidence for one in identities if one.extension == participation.extension), None)


def recordings(call: Call, now: Moment) -> Iterator[Fact]:
    """One to an employee who talked: a row of the CRM holds one link."""
    talked = {
        part.extension: part for part in call.participations if part.answered_at is not None and part.is_announced
    }
    for participation in talked.values():
        path = recording_of(call, participation)
        if path:
            yield from about(call, participation, RecordingKnown, now.at, now.because, path=path)


def about(
    call: Call, participation: Participation, kind: type[Fact], at: float, because: str, **more: object
) -> Iterator[Fact]:
    """A fact about a participation, if it was ever announced."""
    if not participation.is_announced:
        return
    yield kind(
        call_id=call.id,
        at=at,
        because=because,
        extension=participation.extension,
        occurrence=participation.occurrence,
        role=participation.role,
        direction=call.direction or Direction.INTERNAL,
        customer=counterpart(call, participation),
        began_at=participation.began_at,
        **more,
    )  # type: ignore[call-arg]
