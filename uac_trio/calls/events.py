"""What each AMI event means for the calls: one function to an event, and the table of them."""

from __future__ import annotations

from collections.abc import Callable

from uac_trio.ami.message import Event, unescape_c
from uac_trio.calls.book import CallBook
from uac_trio.calls.call import Direction, Recording
from uac_trio.calls.channel import Channel
from uac_trio.calls.click import CHANNEL_ID_PREFIX
from uac_trio.calls.fact import QueueJoined
from uac_trio.calls.rules import extension_by_name, known, parse_channel_name, whole

PARKING_ORDER = 2.0
"""Seconds within which ParkedCall and the BlindTransfer to the parking extension are one deed; either may be first."""


def _newchannel(book: CallBook, event: Event, at: float) -> None:
    channel = book.channel(event, at)
    if channel is not None and channel.is_line and not channel.leg and channel is channel.call.source:
        book.advance(channel.call, at, "Newchannel")


def _newstate(book: CallBook, event: Event, at: float) -> None:
    channel = book.channel(event, at)
    if channel is not None:
        _follow(book, channel, at, f"Newstate {event.get('ChannelStateDesc')} {channel.full_name}")


def _new_callerid(book: CallBook, event: Event, at: float) -> None:
    channel = book.channel(event, at, adopt=False)
    if channel is None or channel is not channel.call.source or channel.call.direction is not Direction.INBOUND:
        return
    if not channel.call.customer:  # an analogue line learns the number after the channel is there
        channel.call.customer = channel.number


def _dial_begin(book: CallBook, event: Event, at: float) -> None:
    caller = book.channel(event, at)
    channel = book.channel(event, at, "Dest")
    if channel is None or not channel.is_live:
        return
    if caller is None and "Uniqueid" not in event and channel is channel.call.source:
        channel.originated = True
    if caller is not None and caller.call is not channel.call:
        _tie(book, caller, channel, at, event.name)
    book.begin_leg(channel, caller, event.get("DialString"), at)
    _follow(book, channel, at, f"DialBegin to {channel.full_name}")


def _dial_state(book: CallBook, event: Event, at: float) -> None:
    channel = book.channel(event, at, "Dest")
    if channel is None or not channel.is_live or event.get("DialStatus") not in ("RINGING", "PROGRESS"):
        return
    if channel.leg is None:
        book.begin_leg(channel, book.channel(event, at), "", at)
    book.rings(channel, at)
    _follow(book, channel, at, f"DialState {event.get('DialStatus')} {channel.full_name}")


def _dial_end(book: CallBook, event: Event, at: float) -> None:
    caller = book.channel(event, at)
    channel = book.channel(event, at, "Dest")
    if channel is None:
        return
    status = event.get("DialStatus").partition(":")[0].upper()
    if event.get("Forward"):  # CANCEL, but it was the phone that sent the call on (apps/app_dial.c, do_forward)
        status = "FORWARDED"
    because = f"DialEnd {status} {channel.full_name}"
    if caller is not None and channel.is_live and caller.is_live and caller.call is not channel.call:
        _tie(book, caller, channel, at, because)
    if not channel.is_live and channel.leg is None:
        return
    leg = book.begin_leg(channel, caller, "", at)
    if leg.ended_at is None or (status == "ANSWER" and leg.answered_at is None):
        leg.ended_at, leg.status = at, status
        if status == "ANSWER":
            book.answer(leg, caller, at)
    _follow(book, channel, at, because)


def _tie(book: CallBook, caller: Channel, channel: Channel, at: float, because: str) -> None:
    """A dialled channel belongs to the call of the one that dials it."""
    book.merge(caller.call, channel.call, at, because)


def _follow(book: CallBook, channel: Channel, at: float, because: str) -> None:
    call = channel.call
    if channel.leg is not None and channel.is_person:
        book.direct(call, channel.leg, at, because)
    book.advance(call, at, because)


def _originate_response(book: CallBook, event: Event, at: float) -> None:
    """A failed one tells what would have been dialled: the customer of a click whose CallerID was not the customer's.

    Without a ChannelId of the client's it has no Uniqueid, only the channel that was asked for (main/pbx.c); its call
    is just ending.
    """
    if event.get("Response") != "Failure":
        return
    uniqueid, asked = event.get("Uniqueid"), event.get("Channel").removesuffix("/n") + "-"
    is_ours = uniqueid.startswith(CHANNEL_ID_PREFIX)
    source = book.board.channels.get(uniqueid)
    if source is None and not is_ours:
        named = [channel for channel in book.board.channels.values() if channel.full_name.startswith(asked)]
        source = next((channel for channel in reversed(named) if channel.originated), None)
    if source is not None:
        call = source.call
    elif is_ours and not book.board.is_gone(uniqueid):
        # No channel could be made, or its Newchannel is still on its way.
        call = book.board.call_of(uniqueid, uniqueid, at)
        book.end(call, at)
    else:
        return
    exten, name = known(event.get("Exten")), parse_channel_name(asked)
    is_internal = book.rules.is_extension(exten)
    number = exten if is_internal else exten.removeprefix(book.rules.outside_prefix)
    by_name = extension_by_name(book.rules, name) or (name.endpoint if book.rules.is_extension(name.endpoint) else "")
    call.originate_reason, call.asked_for = whole(event.get("Reason"), 0), (by_name, number)
    if source is not None and not call.customer and number and not is_internal:
        call.customer = number
        book.advance(call, at, "OriginateResponse Failure")


def _hangup_request(book: CallBook, event: Event, at: float) -> None:
    channel = book.channel(event, at, adopt=False)
    if channel is None:
        return
    channel.hangup_asked_at = at
    channel.call.saw_hangup_request = book.board.hears_hangup_requests = True
    if channel.call.waiting is channel and channel.call.answered_at is None:
        channel.call.gave_up = True


def _hangup(book: CallBook, event: Event, at: float) -> None:
    channel = book.channel(event, at, adopt=False)
    if channel is None or not channel.is_live:
        return
    cause = event.get("Cause")
    channel.cause = whole(cause, 0)
    channel.tech_cause = event.get("TechCause")
    book.hang_up(channel, at)
    book.advance(channel.call, at, f"Hangup {channel.full_name} cause {cause}")


def _rename(book: CallBook, event: Event, at: float) -> None:
    channel = book.board.channels.get(event.get("Uniqueid"))
    if channel is not None:
        channel.full_name = event.get("Newname")


def _bridge_enter(book: CallBook, event: Event, at: float) -> None:
    channel = book.channel(event, at)
    if channel is None or not channel.is_live:
        return
    swapped = book.board.channels.get(event.get("SwapUniqueid"))
    if swapped is not None:
        book.board.leave_bridge(swapped)
    bridge_type = event.get("BridgeType")
    book.board.enter_bridge(channel, event.get("BridgeUniqueid"), bridge_type)
    if "Linkedid" not in event and bridge_type == "basic":  # before 13.5: the bridge is all that ties them
        for mate in list(book.board.bridge_mates(channel)):
            book.merge(mate.call, channel.call, at, f"BridgeEnter {channel.full_name}")
    for call in {mate.call.id: mate.call for mate in book.board.audible(channel)}.values():
        book.advance(call, at, f"BridgeEnter {channel.full_name}")
    book.advance(channel.call, at, f"BridgeEnter {channel.full_name}")


def _bridge_leave(book: CallBook, event: Event, at: float) -> None:
    channel = book.channel(event, at, adopt=False)
    if channel is None:
        return
    left_behind = book.board.audible(channel)
    book.board.leave_bridge(channel, event.get("BridgeUniqueid"))
    for call in {other.call.id: other.call for other in (*left_behind, channel)}.values():
        book.advance(call, at, f"BridgeLeave {channel.full_name}")


def _hold(book: CallBook, event: Event, at: float) -> None:
    channel = book.channel(event, at, adopt=False)
    if channel is not None:
        channel.on_hold = event.name == "Hold"
        book.advance(channel.call, at, f"{event.name} {channel.full_name}")


# -- handing over --------------------------------------------------------------------------------------------


def _blind_transfer(book: CallBook, event: Event, at: float) -> None:
    channel = book.channel(event, at, "Transferer", adopt=False)
    book.channel(event, at, "Transferee", adopt=False)
    if channel is None or event.get("Result") != "Success":
        return
    call = channel.call
    channel.transferred = True
    if not call.parker:  # a REFER to the parking extension; told when somebody takes the customer from there
        to = event.get("Extension")
        book.hand_over(call, "blind", channel.extension or channel.number, to, at, f"BlindTransfer to {to}")


def _attended_transfer(book: CallBook, event: Event, at: float) -> None:
    if event.get("Result") != "Success":
        return
    because = "AttendedTransfer"
    first = book.channel(event, at, "OrigTransferer", adopt=False)
    second = book.channel(event, at, "SecondTransferer", adopt=False)
    named = [book.channel(event, at, prefix, adopt=False) for prefix in ("Transferee", "TransferTarget")]
    if first is None:
        return
    target = named[1] if named[1] is not None and named[1].is_person else None
    by = first.extension or first.number
    consulted = _consulted(first, second, target, named[1])
    call = first.call
    for channel in (second, *named):
        if channel is not None and channel.is_live:
            call = book.merge(call, channel.call, at, because)
    for channel in (first, second):
        if channel is not None:
            channel.transferred = True
    to = consulted or (target.extension or _number_of(target) if target is not None else "")
    if to == call.customer and named[0] is not None:
        to = named[0].extension or to  # he called the customer second and hands the colleague of his first call to him
    attempt = next((transfer for transfer in call.transfers if transfer.consulting is not None), None)
    if attempt is not None:
        call.transfers.remove(attempt)
        to = attempt.to
    book.hand_over(call, "attended", by, to, at, because)
    book.advance(call, at, because)


def _consulted(first: Channel, second: Channel | None, target: Channel | None, named: Channel | None) -> str:
    """Whom the transferer asked: the target, or the one whose phone his second channel (still) rings."""
    if target is not None:
        return target.extension or _number_of(target)
    callers = {channel for channel in (second, named.half if named is not None else None) if channel}
    calls = [second.call] if second is not None else [first.call]
    legs = [leg for call in calls for leg in call.legs if leg.caller in callers and leg.channel.is_live]
    return legs[-1].party if legs else ""


def _pickup(book: CallBook, event: Event, at: float) -> None:
    channel = book.channel(event, at)
    target = book.channel(event, at, "Target", adopt=False)
    if channel is None or target is None:
        return
    because = f"Pickup by {channel.full_name}"
    book.merge(target.call, channel.call, at, because)
    if target.leg is not None:
        target.leg.lost_race = True
        # main/pickup.c: the picker is answered in the target's place; of a Queue there is no DialEnd to say so
        book.answer(book.begin_leg(channel, target.leg.caller, "", at), target.leg.caller, at)
    _follow(book, channel, at, because)


def _parked_call(book: CallBook, event: Event, at: float) -> None:
    channel = book.channel(event, at, "Parkee", adopt=False)
    if channel is None or "ActionID" in event:  # an item of a list
        return
    call = channel.call
    call.parker = parse_channel_name(event.get("ParkerDialString")).endpoint or call.final_agent
    if call.transfers and call.transfers[-1].type == "blind" and not call.transfers[-1].answered:
        last = call.transfers[-1]
        if last.by == call.parker and at - (call.talk.since or at) < PARKING_ORDER:
            call.transfers.pop()


def _unparked_call(book: CallBook, event: Event, at: float) -> None:
    channel = book.channel(event, at, "Parkee", adopt=False)
    retriever = book.channel(event, at, "Retriever")
    if channel is None or retriever is None:
        return
    call = book.merge(channel.call, retriever.call, at, f"UnParkedCall by {retriever.full_name}")
    parker, call.parker = call.parker, ""
    to = retriever.extension or retriever.number
    if parker and parker != to:
        book.hand_over(call, "park", parker, to, at, f"UnParkedCall by {retriever.full_name}")


# -- queues, recordings --------------------------------------------------------------------------------------


def _queue_join(book: CallBook, event: Event, at: float) -> None:
    channel = book.channel(event, at)
    if channel is None:
        return
    call, queue = channel.call, event.get("Queue")
    if call.answered_at is None or not call.queue:
        call.queue = queue
    book.notice_sent_on(call, "redirect", queue, at, "Redirect: no event of its own")
    call.waiting = channel
    book.facts.append(
        QueueJoined(
            call_id=call.id, at=at, because=f"QueueCallerJoin {channel.full_name}", queue=queue,
            position=event.get("Position"),
        )
    )  # fmt: skip


def _queue_leave(book: CallBook, event: Event, at: float) -> None:
    channel = book.channel(event, at, adopt=False)
    if channel is not None and channel.call.waiting is channel:
        channel.call.waiting = None


def _cdr(book: CallBook, event: Event, at: float) -> None:
    channel = book.board.channels.get(event.get("UniqueID"))
    call = channel.call if channel is not None else book.board.find_call(event.get("Linkedid"))
    if call is None:
        return
    if channel is not None and channel.home is not None and channel.home.id in book.board.calls and channel.home.legs:
        call = channel.home
    if event.get("LastApplication") == "Queue" and not call.queue:  # without class agent nothing else names it
        call.queue = event.get("LastData").partition(",")[0]
    if event.get("Disposition") != "ANSWERED":
        return
    destination = event.get("DestinationChannel")
    if event.get("LastApplication") == "VoiceMail" and not destination:
        call.voicemail = True
    path = next((path for header in book.rules.recording_headers if (path := event.get(header))), "")
    if path and destination:
        secs = event.get("BillableSeconds")
        uniqueid = event.get("UniqueID")
        call.recordings.append(Recording(path, uniqueid, destination, whole(secs, 0)))


def _newexten(book: CallBook, event: Event, at: float) -> None:
    channel = book.channel(event, at, adopt=False)
    if channel is not None and event.get("Application") == "VoiceMail":
        channel.call.voicemail = True


def _var_set(book: CallBook, event: Event, at: float) -> None:
    if event.get("Variable") != "MIXMONITOR_FILENAME":
        return
    channel = book.channel(event, at, adopt=False)
    path = unescape_c(event.get("Value"))
    if channel is not None and path:
        channel.call.recordings.append(Recording(path, channel.uniqueid, "", 0))


def _number_of(channel: Channel) -> str:
    return channel.leg.number if channel.leg is not None else channel.caller


HANDLERS: dict[str, Callable[[CallBook, Event, float], None]] = {
    "Newchannel": _newchannel,
    "Newstate": _newstate,
    "NewCallerid": _new_callerid,
    "DialBegin": _dial_begin,
    "DialState": _dial_state,
    "DialEnd": _dial_end,
    "OriginateResponse": _originate_response,
    "HangupRequest": _hangup_request,
    "Hangup": _hangup,
    "Rename": _rename,
    "BridgeEnter": _bridge_enter,
    "BridgeLeave": _bridge_leave,
    "Hold": _hold,
    "Unhold": _hold,
    "BlindTransfer": _blind_transfer,
    "AttendedTransfer": _attended_transfer,
    "Pickup": _pickup,
    "ParkedCall": _parked_call,
    "UnParkedCall": _unparked_call,
    "QueueCallerJoin": _queue_join,
    "QueueCallerLeave": _queue_leave,
    "Cdr": _cdr,
    "Newexten": _newexten,
    "VarSet": _var_set,
}
"""Events that are not here, nor among the snapshot's (tracker.py), mean nothing to calls."""
