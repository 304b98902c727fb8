"""How a customer was handed on: transfers of each kind, as Asterisk reports them or as the graph shows them.

Asterisk has events for a blind and an attended transfer, for parking and its retrieval. A consultation by feature code
(``*2``) and a Redirect have none of their own: a new leg in an answered call shows them.
"""

from __future__ import annotations

from collections.abc import Iterator

from uac_trio.calls.call import Call
from uac_trio.calls.call_graph import CallGraph
from uac_trio.calls.channel import Channel, Leg
from uac_trio.calls.channel_events import AttendedTransferred, BlindTransferred, Parked, Unparked
from uac_trio.calls.fact import CallTransferred, Fact
from uac_trio.calls.names import parse_channel_name
from uac_trio.calls.outcome import Outcome
from uac_trio.calls.participations import Moment
from uac_trio.calls.transfers import Transfer, TransferType

REDIRECT = "Redirect: no event of its own"


def blind(graph: CallGraph, event: BlindTransferred, now: Moment) -> Iterator[Fact]:
    channel = graph.find(event.transferer)
    if channel is None:
        return
    call = channel.call
    if not call.transfers.parker:  # else a REFER to the parking extension; reported when the customer is retrieved
        by = channel.extension or channel.view.number
        yield hand_over(call, "blind", by, event.to, now, because=f"BlindTransfer to {event.to}")


def attended(graph: CallGraph, event: AttendedTransferred, now: Moment) -> Iterator[Fact]:
    first = graph.find(event.first)
    if first is None:
        return
    call = first.call
    by = first.extension or first.view.number
    attempt = call.transfers.end_consultation()
    to = attempt.to if attempt is not None else _transferred_to(graph, event, call)
    yield hand_over(call, "attended", by, to, now, because="AttendedTransfer")


def _transferred_to(graph: CallGraph, event: AttendedTransferred, call: Call) -> str:
    second, transferee, named = (graph.find(view) for view in (event.second, event.transferee, event.target))
    to = named.party if named is not None and named.is_person else _consulted(call, second, named)
    if to == call.orientation.customer and transferee is not None:
        # The customer was called second: the colleague of the first call is handed to them.
        return transferee.extension or to
    return to


def _consulted(call: Call, second: Channel | None, named: Channel | None) -> str:
    """Whom the transferer asked: the one whose phone their second channel (still) rings, through Local channels too."""
    callers = {channel for channel in (second, named.half if named is not None else None) if channel}
    legs = [leg for leg in call.legs if leg.channel.is_live and callers & _callers(leg)]
    if legs:
        return _asked(call, legs[-1])
    visit = call.queue.visit
    return visit.queue if visit is not None and visit.waiting in callers else ""


def _asked(call: Call, leg: Leg) -> str:
    """Whom a leg was to reach: a person, or the queue that rings its members."""
    is_of_queue = any(each.is_of_queue for each in leg.chain)
    return call.queue.visit.queue if call.queue.visit is not None and is_of_queue else leg.party


def _callers(leg: Leg) -> set[Channel]:
    return {each.caller for each in leg.chain if each.caller is not None}


def parked(graph: CallGraph, event: Parked, now: Moment) -> None:
    channel = graph.find(event.parkee)
    if channel is None:
        return
    call = channel.call
    call.transfers.park(parse_channel_name(event.parker).endpoint or call.conversation.final_agent, now.at)


def unparked(graph: CallGraph, event: Unparked, now: Moment) -> Iterator[Fact]:
    retriever = graph.find(event.retriever)
    if retriever is None or graph.find(event.parkee) is None:
        return
    call = retriever.call
    parker = call.transfers.unpark()
    to = retriever.extension or retriever.view.number
    if parker and parker != to:
        yield hand_over(call, "park", parker, to, now, because=f"UnParkedCall by {retriever.full_name}")


def notice_leg(call: Call, leg: Leg, now: Moment) -> Iterator[Fact]:
    """A new leg in an answered call: a consultation by feature code, or a customer sent on by Redirect."""
    if leg.number:
        call.transfers.correct_number(leg.number)
    if call.conversation.answer is None or leg.caller is None:
        return
    consulting = _consulting_agent(leg.caller)
    if consulting:
        call.transfers.add(Transfer("attended", consulting, _asked(call, leg), leg.began_at, consulting=leg))
        return
    yield from notice_sent_on(call, "redirect", _asked(call, leg), now, because=REDIRECT)


def _consulting_agent(caller: Channel) -> str:
    """``*2`` puts the transferer into a bridge with a Local channel that no channel dialled (main/features.c): the
    extension of the transferer, "" if this is no consultation."""
    half = caller.half
    if half is None or (half.leg is not None and half.leg.caller is not None):
        return ""
    agents = [mate for mate in half.bridge_mates if mate.extension]
    return min(agents, key=lambda mate: mate.uniqueid).extension if agents else ""


def notice_sent_on(call: Call, kind: TransferType, to: str, now: Moment, *, because: str) -> Iterator[Fact]:
    """The customer goes on to ``to``. If they were with an employee whose channel another ended, that was a transfer
    of which no event came."""
    agents = [part for part in call.participations if part.answered_at is not None and part.extension != to]
    if call.transfers.is_under_way or not agents or any(part.ended_at is None for part in agents):
        return
    last = max(agents, key=lambda part: part.ended_at or 0.0)
    if any(channel.has_hung_up or channel.is_transferer for channel in last.channels):
        return  # they hung up themselves; the dialplan goes on with the customer
    last.outcome = Outcome.TRANSFERRED
    yield hand_over(call, kind, last.extension, to, now, because=because)


def hand_over(call: Call, kind: TransferType, by: str, to: str, now: Moment, *, because: str) -> CallTransferred:
    call.transfers.add(Transfer(kind, by, to, now.at))
    return CallTransferred(call_id=call.id, at=now.at, because=because, type=kind, by=by, to=to)
