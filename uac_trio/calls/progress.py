"""What the present state of a call's channels means for its people.

The tracker keeps the channels right; after each event that changed one it asks ``advance`` what follows. So no scenario
has code of its own: pickup, parking, a returned transfer are all "an employee's channel rings", "is connected", "is
gone".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import attrs

from uac_trio.calls.call import Call, Direction, Part, Participation
from uac_trio.calls.channel import Channel, ChannelState, HangupCause, Leg
from uac_trio.calls.fact import Fact, ParticipationAnswered, ParticipationBegan, ParticipationEnded
from uac_trio.calls.outcome import Outcome, leg_outcome, together
from uac_trio.calls.rules import creation_order

Audible = Callable[[Channel], frozenset[Channel]]
"""The people whom a channel can hear, itself included: through bridges and pairs of Local channels."""


@attrs.frozen
class Now:
    """What a call looks like at one moment."""

    at: float
    because: str
    groups: dict[Channel, frozenset[Channel]]
    """Every live person's channel, with those it is connected to."""

    def connected(self, call: Call, channel: Channel) -> bool:
        """The channel hears the other side: a line, or in a call that has none anybody."""
        group = self.groups.get(channel, frozenset())
        if len(group) < 2:
            return False
        return not call.met_line or any(other.is_line for other in group)

    def talking(self, call: Call, channel: Channel) -> bool:
        return self.connected(call, channel) and not any(other.on_hold for other in self.groups[channel])


def advance(call: Call, audible: Audible, at: float, because: str) -> Iterator[Fact]:
    """Bring participations, talk time and transfers up to date; give out what is new."""
    now = Now(at, because, {channel: audible(channel) for channel in call.live.values() if channel.is_person})
    changed = [*call.live.values(), *call.just_ended]
    call.just_ended.clear()
    _answer_unannounced(call, changed, now)
    employees: dict[str, list[Channel]] = {}
    for channel in changed:
        if channel.extension:
            employees.setdefault(channel.extension, []).append(channel)
    for extension, channels in employees.items():
        yield from _participate(call, extension, channels, now)
    _listen(call, now)


def stop_clocks(call: Call, audible: Audible, at: float) -> None:
    """Channels ended unseen at ``at``: whoever they talked with talks no more. The rest is left to ``advance``."""
    now = Now(at, "", {channel: audible(channel) for channel in call.live.values() if channel.is_person})
    if not any(now.talking(call, channel) for channel in now.groups):
        call.talk.run(False, at)
    for participation in call.latest.values():
        if not any(now.talking(call, channel) for channel in participation.channels):
            participation.talk.run(False, at)


def _answer_unannounced(call: Call, changed: list[Channel], now: Now) -> None:
    """A leg that is up and connected was answered, whether or not its DialEnd reached us (filters, snapshots)."""
    for channel in changed:
        leg = channel.leg
        if leg is None or not channel.is_person:
            continue
        is_up = channel.is_live and channel.up_at is not None and not leg.status
        if leg.answered_at is None and is_up and len(now.groups.get(channel, ())) >= 2:
            leg.answered_at = channel.up_at
        if leg.answered_at is not None and call.answered_at is None and leg not in call.operator_legs:
            call.answered_at, call.answered_by = leg.answered_at, leg.party


def _listen(call: Call, now: Now) -> None:
    """Keep the time people talk, who talked last, and whether a transfer reached somebody."""
    talkers = [channel for channel in now.groups if now.talking(call, channel)]
    call.talk.run(bool(talkers), now.at)
    heard = {
        other: None for channel in talkers for other in now.groups[channel]
    }  # a conference has people of other calls
    parties = list(dict.fromkeys(_party(channel) for channel in heard))
    for extension in (channel.extension for channel in talkers if channel.extension):
        call.final_agent = extension
    for transfer in call.transfers:
        others = [party for party in parties if party not in (transfer.by, "", call.customer)]
        if others and transfer.consulting is None and not transfer.answered:
            transfer.answered = True
            call.final_agent = others[-1]


def _party(channel: Channel) -> str:
    return channel.extension or (channel.leg.number if channel.leg else channel.caller)


def _participate(call: Call, extension: str, channels: list[Channel], now: Now) -> Iterator[Fact]:
    participation = call.current(extension)
    if participation is None:
        remembered = call.remembered.get(extension)
        openers = {
            channel: at
            for channel in channels
            if channel.is_live and (at := remembered.began_at if remembered else _began(call, channel, now)) is not None
        }
        if not openers:
            yield from _refuse(call, extension, channels, now)
            return
        first = min(openers, key=lambda channel: creation_order(channel.uniqueid))
        participation = Participation(extension, _part(call, first), first.uniqueid, min(openers.values()))
        if remembered is not None:
            del call.remembered[extension]
            participation.part, participation.occurrence = remembered.part, remembered.occurrence
            participation.answered_at = participation.talk.since = remembered.answered_at
        call.add_participation(participation)
    participation.channels += [
        channel for channel in channels if channel.is_live and channel not in participation.channels
    ]
    yield from _announce(call, participation, now)
    if participation.answered_at is None:
        answers = [at for channel in participation.channels if (at := _answered(call, channel, now)) is not None]
        if answers:
            participation.answered_at = min(answers)
            yield from tell(call, participation, ParticipationAnswered, now.at, now.because)
    participation.talk.run(any(now.talking(call, channel) for channel in participation.channels), now.at)
    if not any(channel.is_live for channel in participation.channels):
        yield from end_participation(call, participation, now.at, now.because)


def _part(call: Call, channel: Channel) -> Part:
    is_caller = channel.extension == call.operator and (channel.leg is None or channel.leg in call.operator_legs)
    return Part.CALLER if is_caller and call.direction is not Direction.INBOUND else Part.CALLEE


def _began(call: Call, channel: Channel, now: Now) -> float | None:
    """When this channel's user began to take part, None if he does not."""
    if channel.leg is not None:
        rang_at = channel.leg.rang_at if channel.leg.rang_at is not None else channel.leg.answered_at
        return None if rang_at is None else max(rang_at, channel.joined_at)
    if _part(call, channel) is Part.CALLER:
        return next((leg.began_at for leg in call.outward_legs), None)
    return now.at if now.connected(call, channel) else None


def _answered(call: Call, channel: Channel, now: Now) -> float | None:
    """When he and the other side first heard each other, None if they do not."""
    if channel.leg is not None and channel.leg not in call.operator_legs:
        return None if channel.leg.answered_at is None else max(channel.leg.answered_at, channel.joined_at)
    return now.at if channel.is_live and now.connected(call, channel) else None


_NEVER_RANG = (Outcome.BUSY, Outcome.REJECTED, Outcome.FAILED)


def _refuse(call: Call, extension: str, channels: list[Channel], now: Now) -> Iterator[Fact]:
    """A phone that was tried and said no before it rang: busy, do not disturb, switched off."""
    if extension in call.latest:
        return
    for channel in channels:
        leg = channel.leg
        if leg is None or channel.is_live or leg.rang_at is not None or leg.answered_at is not None:
            continue
        outcome = leg_outcome(leg)
        if outcome in _NEVER_RANG:
            participation = Participation(extension, _part(call, channel), channel.uniqueid, leg.began_at)
            participation.channels.append(channel)
            call.add_participation(participation)
            yield from end_participation(call, participation, now.at, now.because)
            return


def end_participation(call: Call, participation: Participation, at: float, because: str) -> Iterator[Fact]:
    """Close it with what its channels say; it was announced, or is now, if it can be."""
    ends = [at if channel.hungup_at is None else channel.hungup_at for channel in participation.channels]
    participation.ended_at = min(at, max(ends, default=at))
    participation.talk.run(False, participation.ended_at)
    participation.outcome = _outcome(call, participation)
    now = Now(participation.ended_at, because, {})
    yield from _announce(call, participation, now)
    yield from _tell_end(call, participation, now)


def _tell_end(call: Call, participation: Participation, now: Now) -> Iterator[Fact]:
    yield from tell(
        call,
        participation,
        ParticipationEnded,
        now.at,
        now.because,
        outcome=participation.outcome,
        answered_at=participation.answered_at,
        talk_secs=participation.talk.total,
        inferred=call.inferred,
    )


def own_unreached(call: Call, owner: str, outcome: Outcome, at: float) -> Iterator[Fact]:
    """The whole part of ``owner`` in an incoming call that no employee's phone rang for."""
    ended_at = call.ended_at if call.ended_at is not None else at
    participation = Participation(
        owner, Part.CALLEE, call.linkedid, call.started_at, call.answered_at, ended_at, outcome, call.talk
    )
    call.add_participation(participation)
    now = Now(ended_at, "no employee's phone rang", {})
    yield from _announce(call, participation, now)
    yield from _tell_end(call, participation, now)


def _outcome(call: Call, participation: Participation) -> Outcome:
    if participation.answered_at is not None:
        last = max(participation.channels, key=lambda channel: channel.hungup_at or 0.0)
        return Outcome.TRANSFERRED if last.transferred else Outcome.COMPLETED
    if participation.part is Part.CALLER:
        return outward_outcome(call)
    legs = [channel.leg for channel in participation.channels if channel.leg is not None]
    outcome = together(leg_outcome(leg) for leg in legs) or Outcome.CANCELLED
    if outcome in (Outcome.CANCELLED, Outcome.NO_ANSWER) and any(_lost_to_another(call, leg) for leg in legs):
        return Outcome.ANSWERED_ELSEWHERE
    return outcome


def _lost_to_another(call: Call, leg: Leg) -> bool:
    """Whoever rang it was answered by another phone meanwhile; no word of it, or CANCEL, is all that this one heard."""
    return leg.status in ("", "CANCEL") and any(
        other.answered_at is not None
        and other.answered_at >= leg.began_at
        and other.chain[-1].caller is leg.chain[-1].caller
        for other in call.legs
    )


def outward_outcome(call: Call) -> Outcome:
    """How it ended for a caller whom nobody answered."""
    reached = together(leg_outcome(leg) for leg in call.outward_legs)
    if reached is not None:
        return Outcome.NO_ANSWER if reached is Outcome.ANSWERED_ELSEWHERE else reached
    if call.operator_legs and all(leg.answered_at is None for leg in call.operator_legs):
        return together(leg_outcome(leg) for leg in call.operator_legs) or Outcome.NO_ANSWER
    source = call.source
    was_up = source is not None and source.up_at is not None and not call.operator_legs
    if was_up and call.direction is Direction.INTERNAL:
        return Outcome.COMPLETED  # a conference room, a service number
    if source is not None and source.state == ChannelState.BUSY and source.cause == HangupCause.BUSY:
        return Outcome.BUSY  # the dialplan said so: do not disturb
    if source is not None and source.asked_to_hang_up:
        return Outcome.CANCELLED
    return Outcome.NO_ANSWER if was_up or call.is_adopted else Outcome.FAILED


def counterpart(call: Call, participation: Participation) -> str:
    """Whom the employee talks to, as the CRM wants it: the customer, or in an internal call the colleague."""
    if call.direction is not Direction.INTERNAL:
        return call.customer
    return call.called if participation.part is Part.CALLER else call.operator


def _announce(call: Call, participation: Participation, now: Now) -> Iterator[Fact]:
    """Tell that it began, once: for a caller as soon as it is known whom he calls."""
    if participation.announced or (participation.part is Part.CALLER and not counterpart(call, participation)):
        return
    participation.announced = True
    yield from tell(
        call,
        participation,
        ParticipationBegan,
        now.at,
        now.because,
        customer_name=call.customer_name,
        line=call.queue or call.did,
    )
    if participation.answered_at is not None:  # known too late for the popup, but he talks
        yield from tell(call, participation, ParticipationAnswered, now.at, now.because)


def tell(
    call: Call, participation: Participation, kind: type[Fact], at: float, because: str, **more: object
) -> Iterator[Fact]:
    """A fact about a participation, if it was ever announced."""
    if not participation.announced:
        return
    yield kind(
        call_id=call.id,
        at=at,
        because=because,
        extension=participation.extension,
        occurrence=participation.occurrence,
        part=participation.part,
        direction=call.direction or Direction.INTERNAL,
        customer=counterpart(call, participation),
        began_at=participation.began_at,
        **more,
    )  # type: ignore[call-arg]
