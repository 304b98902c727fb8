"""AMI 2 and later (Asterisk 12+) to channel events: one function to an event, and the table of them.

Every channel event of these servers carries a snapshot of its channel (main/manager_channels.c,
``ast_manager_build_channel_state_string_prefix``), with a prefix where it names several.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

import attrs

from uac_trio.ami.message import Event, unescape_c
from uac_trio.calls.channel_events import (
    AttendedTransferred,
    BlindTransferred,
    BridgeEntered,
    BridgeLeft,
    CdrWritten,
    ChannelChanged,
    ChannelCreated,
    ChannelEvent,
    ChannelHungUp,
    ChannelRenamed,
    ChannelsListed,
    ChannelView,
    DialBegan,
    DialEnded,
    DialProgressed,
    HangupRequested,
    HoldChanged,
    ListedChannel,
    ListingUnusable,
    OriginateEnded,
    Parked,
    PickedUp,
    QueueJoined,
    QueueLeft,
    RecordingStarted,
    ServerBooted,
    Unparked,
    VoicemailStarted,
)
from uac_trio.calls.names import known, whole
from uac_trio.calls.rules import TrackerRules

VOICEMAIL = "VoiceMail"
"""The only application that Newexten is read for (apps/app_voicemail.c)."""
RECORDING = "MIXMONITOR_FILENAME"
"""The only variable that VarSet is read for (apps/app_mixmonitor.c)."""

NOTHING: tuple[ChannelEvent, ...] = ()


_VIEW_HEADERS = (
    "uniqueid", "channel", "linkedid", "channelstate", "calleridnum", "calleridname", "connectedlinenum", "context",
    "exten", "tenantid",
)  # fmt: skip
_PREFIXES = (
    "", "Dest", "Transferer", "Transferee", "OrigTransferer", "SecondTransferer", "TransferTarget", "Target", "Parkee",
    "Retriever",
)  # fmt: skip
_KEYS = {prefix: tuple(prefix.lower() + header for header in _VIEW_HEADERS) for prefix in _PREFIXES}


def view(event: Event, prefix: str = "") -> ChannelView:
    """The channel that the headers with this prefix show."""
    uniqueid, name, linkedid, state, number, caller_name, connected, context, exten, tenant = event.pick(_KEYS[prefix])
    return ChannelView(
        uniqueid,
        name,
        linkedid,
        int(state) if state.isdecimal() and len(state) < 3 else None,
        known(number),
        known(unescape_c(caller_name)),
        known(connected),
        context,
        exten,
        tenant,
    )


def view_or_none(event: Event, prefix: str = "") -> ChannelView | None:
    return view(event, prefix) if event.get(prefix + "Uniqueid") else None


@attrs.define
class Ami2Adapter:
    """Translates the events of one server. Keeps the listing that is under way, nothing else."""

    rules: TrackerRules
    _listings: dict[str, list[ListedChannel]] = attrs.field(factory=dict, init=False)
    """By ActionID."""

    def translate(self, event: Event) -> Sequence[ChannelEvent]:
        """The channel events that an AMI event means, in order; none for those without a meaning for calls."""
        translator = self.TRANSLATORS.get(event.name)
        return NOTHING if translator is None else translator(self, event)

    def ordered(self, channel: str, channel_id: str) -> None:
        """Asterisk gives the first channel the ChannelId that the Originate asks for."""

    def withdrawn(self, channel: str, channel_id: str) -> None:
        """Nothing is kept of orders."""

    def disconnected(self) -> None:
        """The connection is gone, and listings with it."""
        self._listings.clear()

    # -- channels ----------------------------------------------------------------------------------------------------

    def _newchannel(self, event: Event) -> Sequence[ChannelEvent]:
        return (ChannelCreated(event="Newchannel", channel=view(event)),)

    def _newstate(self, event: Event) -> Sequence[ChannelEvent]:
        return (ChannelChanged(event="Newstate", channel=view(event)),)

    def _new_callerid(self, event: Event) -> Sequence[ChannelEvent]:
        return (ChannelChanged(event="NewCallerid", channel=view(event)),)

    def _rename(self, event: Event) -> Sequence[ChannelEvent]:
        return (ChannelRenamed(event="Rename", uniqueid=event.get("Uniqueid"), name=event.get("Newname")),)

    def _hangup_request(self, event: Event) -> Sequence[ChannelEvent]:
        return (HangupRequested(event="HangupRequest", channel=view(event)),)

    def _hangup(self, event: Event) -> Sequence[ChannelEvent]:
        cause, tech_cause = whole(event.get("Cause"), 0), event.get("TechCause")
        return (ChannelHungUp(event="Hangup", channel=view(event), cause=cause, tech_cause=tech_cause),)

    def _hold(self, event: Event) -> Sequence[ChannelEvent]:
        return (HoldChanged(event=event.name, channel=view(event), is_held=event.name == "Hold"),)

    # -- dials -------------------------------------------------------------------------------------------------------

    def _dial_begin(self, event: Event) -> Sequence[ChannelEvent]:
        return (
            DialBegan(
                event="DialBegin",
                dialled=view(event, "Dest"),
                caller=view_or_none(event),
                dial_string=event.get("DialString"),
            ),
        )

    def _dial_state(self, event: Event) -> Sequence[ChannelEvent]:
        if event.get("DialStatus") not in ("RINGING", "PROGRESS"):
            return NOTHING
        return (DialProgressed(event="DialState", dialled=view(event, "Dest"), caller=view_or_none(event)),)

    def _dial_end(self, event: Event) -> Sequence[ChannelEvent]:
        status = event.get("DialStatus").partition(":")[0].upper()
        if event.get("Forward"):  # CANCEL, but it was the phone that sent the call on (apps/app_dial.c, do_forward)
            status = "FORWARDED"
        dialled, caller = view(event, "Dest"), view_or_none(event)
        return (DialEnded(event=f"DialEnd {status}", dialled=dialled, caller=caller, status=status),)

    def _originate_response(self, event: Event) -> Sequence[ChannelEvent]:
        return (
            OriginateEnded(
                event="OriginateResponse",
                uniqueid=known(event.get("Uniqueid")),
                asked=event.get("Channel"),
                exten=known(event.get("Exten")),
                is_success=event.get("Response") != "Failure",
                reason=whole(event.get("Reason"), 0),
            ),
        )

    # -- bridges -----------------------------------------------------------------------------------------------------

    def _bridge_enter(self, event: Event) -> Sequence[ChannelEvent]:
        return (
            BridgeEntered(
                event="BridgeEnter",
                channel=view(event),
                bridge=event.get("BridgeUniqueid"),
                bridge_type=event.get("BridgeType"),
                swapped=event.get("SwapUniqueid"),
            ),
        )

    def _bridge_leave(self, event: Event) -> Sequence[ChannelEvent]:
        return (BridgeLeft(event="BridgeLeave", channel=view(event), bridge=event.get("BridgeUniqueid")),)

    # -- handing over ------------------------------------------------------------------------------------------------

    def _blind_transfer(self, event: Event) -> Sequence[ChannelEvent]:
        if event.get("Result") != "Success":
            return NOTHING
        transferer, transferee = view(event, "Transferer"), view_or_none(event, "Transferee")
        to = event.get("Extension")
        return (BlindTransferred(event="BlindTransfer", transferer=transferer, transferee=transferee, to=to),)

    def _attended_transfer(self, event: Event) -> Sequence[ChannelEvent]:
        if event.get("Result") != "Success":
            return NOTHING
        return (
            AttendedTransferred(
                event="AttendedTransfer",
                first=view(event, "OrigTransferer"),
                second=view_or_none(event, "SecondTransferer"),
                transferee=view_or_none(event, "Transferee"),
                target=view_or_none(event, "TransferTarget"),
            ),
        )

    def _pickup(self, event: Event) -> Sequence[ChannelEvent]:
        return (PickedUp(event="Pickup", picker=view(event), target=view(event, "Target")),)

    def _parked_call(self, event: Event) -> Sequence[ChannelEvent]:
        if "ActionID" in event:  # an item of a list
            return NOTHING
        parker = event.get("ParkerDialString")
        return (Parked(event="ParkedCall", parkee=view(event, "Parkee"), parker=parker),)

    def _unparked_call(self, event: Event) -> Sequence[ChannelEvent]:
        parkee, retriever = view(event, "Parkee"), view(event, "Retriever")
        return (Unparked(event="UnParkedCall", parkee=parkee, retriever=retriever),)

    # -- queues, voicemail, recordings -------------------------------------------------------------------------------

    def _queue_join(self, event: Event) -> Sequence[ChannelEvent]:
        queue, position = event.get("Queue"), event.get("Position")
        return (QueueJoined(event="QueueCallerJoin", channel=view(event), queue=queue, position=position),)

    def _queue_leave(self, event: Event) -> Sequence[ChannelEvent]:
        return (QueueLeft(event="QueueCallerLeave", channel=view(event)),)

    def _cdr(self, event: Event) -> Sequence[ChannelEvent]:
        return (cdr(event, self.rules),)

    def _newexten(self, event: Event) -> Sequence[ChannelEvent]:
        if event.get("Application") != VOICEMAIL:
            return NOTHING
        return (VoicemailStarted(event="Newexten VoiceMail", channel=view(event)),)

    def _var_set(self, event: Event) -> Sequence[ChannelEvent]:
        if event.get("Variable") != RECORDING:
            return NOTHING
        path = unescape_c(event.get("Value"))
        if not path:
            return NOTHING
        return (RecordingStarted(event="VarSet MIXMONITOR_FILENAME", channel=view(event), path=path),)

    # -- snapshots ---------------------------------------------------------------------------------------------------

    def _listed(self, event: Event) -> Sequence[ChannelEvent]:
        listed = ListedChannel(
            view=view(event),
            duration=duration(event.get("Duration")),
            bridge=event.get("BridgeId"),
            application=event.get("Application"),
        )
        self._listings.setdefault(event.get("ActionID"), []).append(listed)
        return NOTHING

    def _listing_complete(self, event: Event) -> Sequence[ChannelEvent]:
        channels = self._listings.pop(event.get("ActionID"), [])
        return (listing(event, channels),)

    def _fully_booted(self, event: Event) -> Sequence[ChannelEvent]:
        uptime = whole(event.get("Uptime"), -1)
        return (ServerBooted(event="FullyBooted", uptime=uptime),) if uptime >= 0 else NOTHING

    TRANSLATORS: ClassVar[dict[str, Callable[..., Sequence[ChannelEvent]]]] = {
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
        "CoreShowChannel": _listed,
        "CoreShowChannelsComplete": _listing_complete,
        "FullyBooted": _fully_booted,
    }
    """Events that are not here mean nothing to calls."""


def cdr(event: Event, rules: TrackerRules) -> CdrWritten:
    """A Cdr (cdr/cdr_manager.c), with the recording that the mapped headers name."""
    return CdrWritten(
        event="Cdr",
        uniqueid=event.get("UniqueID"),
        linkedid=event.get("Linkedid"),
        destination=event.get("DestinationChannel"),
        application=event.get("LastApplication"),
        data=event.get("LastData"),
        is_answered=event.get("Disposition") == "ANSWERED",
        billable_secs=whole(event.get("BillableSeconds"), 0),
        recording=next((path for header in rules.recording_headers if (path := event.get(header))), ""),
    )


def listing(event: Event, channels: Sequence[ListedChannel]) -> ChannelsListed | ListingUnusable:
    """What a CoreShowChannelsComplete makes of the items before it."""
    announced = event.get("ListItems")
    if whole(announced, len(channels)) != len(channels):
        return ListingUnusable(event=event.name, announced=announced, listed=len(channels))
    return ChannelsListed(event="list of channels", channels=tuple(channels))


def duration(text: str) -> float:
    """Seconds of the ``hh:mm:ss`` of a CoreShowChannel; hours may exceed 99."""
    parts = [whole(part, 0) for part in text.split(":")[:3]]
    return float(sum(part * 60**power for power, part in enumerate(reversed(parts))))


WANTED_AMI2 = frozenset(Ami2Adapter.TRANSLATORS)
"""Names of the events that are read; the rest may be dropped unparsed."""
MARKS_AMI2: Mapping[str, bytes] = {"Newexten": VOICEMAIL.encode(), "VarSet": RECORDING.encode()}
"""Of these, two thirds of all that a server with class dialplan sends, only the few with these bytes are read."""
