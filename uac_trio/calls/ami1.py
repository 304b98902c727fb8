"""AMI 1.x (Asterisk 1.8, 10 and 11) in the words of channel events.

What AMI 2 shows and AMI 1.x does not is concluded. Two modules hold what is known: which device is in which structure
(``ami1_devices.py``), and whom a Dial() tries and how each of these ended (``ami1_dials.py``). Each of the others has
one question: what of it was given out (``ami1_given_out.py``), who dials a channel that comes without a Dial event
(``ami1_callers.py``, ``ami1_unseen_dials.py``, ``ami1_originates.py``), who hung up (``ami1_hangups.py``), who is with
whom (``ami1_bridges.py``), what a feature code does (``ami1_feature_codes.py``), what a listing restores
(``ami1_listings.py``). This one reads the events and asks these.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

import attrs

from uac_trio.ami.message import Event
from uac_trio.calls.ami1_bridges import Bridges
from uac_trio.calls.ami1_callers import Callers
from uac_trio.calls.ami1_devices import Device, Devices
from uac_trio.calls.ami1_dials import Dials
from uac_trio.calls.ami1_feature_codes import FeatureCodes
from uac_trio.calls.ami1_given_out import GivenOut
from uac_trio.calls.ami1_hangups import Hangups
from uac_trio.calls.ami1_listings import Listings
from uac_trio.calls.ami1_originates import Originates
from uac_trio.calls.ami1_unseen_dials import UnseenDials
from uac_trio.calls.channel_events import (
    AttendedTransferred,
    BlindTransferred,
    CdrWritten,
    ChannelChanged,
    ChannelEvent,
    ChannelHungUp,
    ChannelRenamed,
    ChannelState,
    HoldChanged,
    OriginateEnded,
    Parked,
    PickedUp,
    QueueJoined,
    QueueLeft,
    Unparked,
    VoicemailStarted,
)
from uac_trio.calls.names import whole
from uac_trio.calls.rules import TrackerRules


@attrs.define
class Ami1Adapter:
    """Translates the events of one server. Keep it while the server is the same, over lost connections too."""

    rules: TrackerRules
    _devices: Devices = attrs.field(init=False)
    _dials: Dials = attrs.field(init=False)
    _callers: Callers = attrs.field(init=False)
    _out: GivenOut = attrs.field(init=False)
    _feature_codes: FeatureCodes = attrs.field(init=False)
    _hangups: Hangups = attrs.field(init=False)
    _originates: Originates = attrs.field(init=False)
    _unseen_dials: UnseenDials = attrs.field(init=False)
    _bridges: Bridges = attrs.field(init=False)
    _listings: Listings = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._devices = devices = Devices()
        self._dials = dials = Dials()
        self._callers = callers = Callers(self.rules, devices, dials)
        self._out = out = GivenOut(devices, dials)
        self._feature_codes = codes = FeatureCodes(devices, callers, out)
        self._hangups = hangups = Hangups(devices, dials, callers, codes, out)
        self._originates = Originates(devices, out)
        self._unseen_dials = unseen = UnseenDials(devices, dials, callers, codes, hangups, self._originates, out)
        self._bridges = bridges = Bridges(devices, dials, callers, codes, unseen, out)
        self._listings = Listings(devices, dials, codes, hangups, bridges, out)

    def translate(self, event: Event) -> Sequence[ChannelEvent]:
        """The channel events that follow from one AMI event, in order of cause; () for one that means nothing."""
        handler = self.HANDLERS.get(event.name)
        if handler is None:
            return ()
        handler(self, event)
        return self._out.take()

    def ordered(self, channel: str, channel_id: str) -> None:
        """We ask for ``channel`` (``SIP/101``) by an Originate; AMI 1.x knows no ChannelId, so it gets ours here."""
        self._originates.ordered(channel, channel_id)

    def withdrawn(self, channel: str, channel_id: str) -> None:
        """The order was refused, or nothing came of it."""
        self._originates.withdrawn(channel, channel_id)

    def disconnected(self) -> None:
        """The connection is gone. What was waited for is given out before the listing of the next."""
        self._listings.disconnected()

    # -- whom an event is about --------------------------------------------------------------------------------------

    def _subject(self, event: Event) -> Device | None:
        """The device of an event with one channel, with what it shows; None for helpers and those that are over."""
        device = self._bridges.see(event.get("Uniqueid"), event.get("Channel"))
        if device is None or device.is_ended:
            return None
        device.update(event)
        return None if device.is_helper else device

    def _shown_subject(self, event: Event) -> Device | None:
        """The same, if it was given out; where that depends on who dials it, this is concluded first."""
        device = self._subject(event)
        if device is None:
            return None
        self._unseen_dials.explain(device)
        return device if device.is_shown else None

    # -- channels ----------------------------------------------------------------------------------------------------

    def _newchannel(self, event: Event) -> None:
        device = self._devices.create(event)
        if device is not None and not device.is_dialled and not device.is_helper:
            self._out.show(device)

    def _newstate(self, event: Event) -> None:
        device = self._subject(event)
        if device is None:
            return
        state = device.view.state
        if state == ChannelState.RING and not device.half:
            self._out.show(device)
        elif state == ChannelState.UP or (state == ChannelState.RINGING and not device.rings_early):
            self._unseen_dials.explain(device)
        if device.is_shown:
            self._out.add(ChannelChanged(event=event.name, channel=device.view))
        leg = self._dials.to(device.structure)
        if leg is not None and state in (ChannelState.RINGING, ChannelState.UP):
            self._hangups.ring(leg)
            if state == ChannelState.UP and leg.is_open:
                self._out.answer(leg, device)

    def _new_callerid(self, event: Event) -> None:
        device = self._subject(event)
        if device is not None and device.is_shown:
            self._out.add(ChannelChanged(event=event.name, channel=device.view))

    def _rename(self, event: Event) -> None:
        structure, name, new = event.get("Uniqueid"), event.get("Channel"), event.get("Newname")
        device = self._devices.named(name)
        if "<" in name or "<" in new or self._devices.named(new) is not None:
            self._bridges.see(structure, new)  # a masquerade's
        elif device is not None and new:
            self._devices.rename(device, new)
            if device.is_shown:
                self._out.add(ChannelRenamed(event=event.name, uniqueid=device.uniqueid, name=new))

    def _hangup_request(self, event: Event) -> None:
        self._hangups.shows_requests = True
        device = self._subject(event)
        if device is not None:
            self._hangups.request(device)

    def _hangup(self, event: Event) -> None:
        device = self._bridges.see(event.get("Uniqueid"), event.get("Channel"))
        if device is None or device.is_ended:
            return
        device.update(event)
        device.cause = whole(event.get("Cause"), 0)
        self._unseen_dials.explain(device, is_over=True)
        dialling = self._dials.over(device.structure)
        if dialling is not None and not dialling.is_answered:
            self._hangups.end_dialling(dialling, "CANCEL")
        self._feature_codes.release(device)
        if device.is_given_out:
            self._hangups.hang_up(device, ChannelHungUp(event=event.name, channel=device.view, cause=device.cause))
        self._hangups.end(device)

    # -- dials -------------------------------------------------------------------------------------------------------

    def _dial(self, event: Event) -> None:
        caller = self._bridges.see(event.get("UniqueID"), event.get("Channel"))
        if event.get("SubEvent") == "End":
            dialling = self._dials.over(event.get("UniqueID"))
            if dialling is not None:
                self._hangups.end_dialling(dialling, event.get("DialStatus"))
            return
        dialled = self._bridges.see(event.get("DestUniqueID"), event.get("Destination"))
        if caller is None or dialled is None or caller.is_ended or dialled.is_ended:
            return
        caller.update(event)
        self._feature_codes.go_to(caller, "")
        self._callers.settled(caller.structure)
        self._out.begin(self._dials.dial_by(caller.structure), dialled, event.get("Dialstring"))

    def _agent_called(self, event: Event) -> None:
        caller = self._bridges.see(event.get("Uniqueid"), event.get("ChannelCalling"))
        dialled = self._devices.named(event.get("DestinationChannel"))
        self._callers.shows_agent_calls = True
        if caller is not None and dialled is not None and not caller.is_ended and not dialled.is_ended:
            dialling = self._dials.queue_by(caller.structure)
            dialling.is_called_by_agent_event = True
            self._out.begin(dialling, dialled, event.get("AgentCalled"))

    def _agent_ring_no_answer(self, event: Event) -> None:
        dialling = self._dials.by(event.get("Uniqueid"))
        for leg in dialling.open_legs if dialling is not None else ():
            if leg.dial_string == event.get("Member"):
                leg.has_rung_out = True

    # -- bridges -----------------------------------------------------------------------------------------------------

    def _bridge(self, event: Event) -> None:
        pair = self._pair(event)
        if pair is None:
            return
        if event.get("Bridgestate") == "Link":
            self._bridges.link(*pair)
        else:
            self._bridges.unlink(*pair)

    def _pair(self, event: Event) -> tuple[str, str] | None:
        one, other = event.get("Uniqueid1"), event.get("Uniqueid2")
        for structure, name in ((one, event.get("Channel1")), (other, event.get("Channel2"))):
            self._bridges.see(structure, name)
        return (one, other) if one and other and one != other else None

    def _unlink_event(self, event: Event) -> None:
        pair = self._pair(event)
        if pair is not None:
            self._bridges.unlink(*pair)

    def _conference(self, event: Event) -> None:
        device = self._shown_subject(event)
        if device is None:
            return
        room = f"conference {event.get('Conference') or event.get('Meetme')}"
        if event.name.endswith("Join"):
            self._out.enter(device, room, "base")
        else:
            self._out.leave(device, room)

    def _hold(self, event: Event) -> None:
        device = self._shown_subject(event)
        if device is not None:
            is_held = event.get("Status") == "On"
            self._out.add(HoldChanged(event=event.name, channel=device.view, is_held=is_held))

    # -- handing over ------------------------------------------------------------------------------------------------

    def _transfer(self, event: Event) -> None:
        transferer = self._shown_subject(event)
        target = self._bridges.see(event.get("TargetUniqueid"), event.get("TargetChannel"))
        if transferer is None:
            return
        named = self._out.view(target.structure) if target is not None else None
        if event.get("TransferType") == "Blind":
            self._out.add(
                BlindTransferred(
                    event=event.name, transferer=transferer.view, to=event.get("TransferExten"), transferee=named
                )
            )
            return
        links = self._devices.links
        self._out.add(
            AttendedTransferred(
                event=event.name,
                first=transferer.view,
                second=named,
                transferee=self._out.view(links.get(transferer.structure, "")),
                target=self._out.view(links.get(target.structure, "")) if target is not None else None,
            )
        )

    def _pickup(self, event: Event) -> None:
        picker, target = self._devices.named(event.get("Channel")), self._devices.named(event.get("TargetChannel"))
        if picker is None or target is None or picker.is_ended or target.is_ended:
            return
        for device in (target, picker):
            self._unseen_dials.explain(device)
        leg = self._dials.to(target.structure)
        if leg is not None:
            leg.is_picked = True
        self._out.add(PickedUp(event=event.name, picker=picker.view, target=target.view))

    def _parked_call(self, event: Event) -> None:
        device = self._shown_subject(event)
        if device is not None and "ActionID" not in event:  # else an item of a list
            parker = event.get("From").rpartition("-")[0]
            self._out.add(Parked(event=event.name, parkee=device.view, parker=parker))

    def _unparked_call(self, event: Event) -> None:
        device, retriever = self._shown_subject(event), self._devices.named(event.get("From"))
        if device is not None and retriever is not None and retriever.is_shown:
            self._out.add(Unparked(event=event.name, parkee=device.view, retriever=retriever.view))

    # -- queues, recordings, orders ----------------------------------------------------------------------------------

    def _join(self, event: Event) -> None:
        device, queue = self._shown_subject(event), event.get("Queue")
        if device is None:
            return
        self._feature_codes.go_to(device, queue)
        self._callers.settled(device.structure)
        self._callers.joined(device.structure, queue)
        self._out.add(QueueJoined(event=event.name, channel=device.view, queue=queue, position=event.get("Position")))

    def _queue_leave(self, event: Event) -> None:
        device = self._shown_subject(event)
        if device is not None:
            self._callers.left(device.structure)
            self._out.add(QueueLeft(event=event.name, channel=device.view))

    def _var_set(self, event: Event) -> None:
        self._callers.shows_variables = True
        variable, value = event.get("Variable"), event.get("Value")
        if variable == "TRANSFERERNAME":
            self._callers.transfers(event.get("Uniqueid"), value)
        elif variable == "BLINDTRANSFER":
            device, other = self._subject(event), self._devices.named(value)
            if device is not None and other is not None:
                self._feature_codes.blind(device, other)
        elif variable == "MIXMONITOR_FILENAME" and value:
            device = self._subject(event)
            if device is not None:
                device.recordings.append(value)
                self._out.recordings_of(device)

    def _newexten(self, event: Event) -> None:
        device = self._devices.within(event.get("Uniqueid")) if self._feature_codes.has_blind else None
        if device is not None and event.get("Extension") != "h":
            self._feature_codes.go_to(device, event.get("Extension"))
        if event.get("Application") == "VoiceMail":
            device = self._shown_subject(event)
            if device is not None:
                self._out.add(VoicemailStarted(event=event.name, channel=device.view))

    def _originate_response(self, event: Event) -> None:
        asked = event.get("Channel")
        is_success = event.get("Response") == "Success"
        uniqueid = self._originates.respond(asked, event.get("Uniqueid"))
        self._out.add(
            OriginateEnded(
                event=event.name,
                uniqueid=uniqueid,
                asked=asked,
                exten=event.get("Exten"),
                is_success=is_success,
                reason=whole(event.get("Reason"), 0),
            )
        )

    def _cdr(self, event: Event) -> None:
        structure = event.get("UniqueID")
        device = self._devices.named(event.get("Channel")) or self._devices.within(structure)
        recording = next((path for header in self.rules.recording_headers if (path := event.get(header))), "")
        self._out.add(
            CdrWritten(
                event=event.name,
                uniqueid=device.uniqueid if device is not None else structure,
                linkedid=event.get("Linkedid"),
                destination=event.get("DestinationChannel"),
                application=event.get("LastApplication"),
                data=event.get("LastData"),
                is_answered=event.get("Disposition") == "ANSWERED",
                billable_secs=whole(event.get("BillableSeconds"), 0),
                recording=recording,
            )
        )

    # -- listings ----------------------------------------------------------------------------------------------------

    def _core_show_channel(self, event: Event) -> None:
        self._listings.add(event)

    def _core_show_channels_complete(self, event: Event) -> None:
        self._listings.complete(event)

    HANDLERS: ClassVar[dict[str, Callable[[Ami1Adapter, Event], None]]] = {
        "AgentCalled": _agent_called,
        "AgentRingNoAnswer": _agent_ring_no_answer,
        "Bridge": _bridge,
        "Cdr": _cdr,
        "ConfbridgeJoin": _conference,
        "ConfbridgeLeave": _conference,
        "CoreShowChannel": _core_show_channel,
        "CoreShowChannelsComplete": _core_show_channels_complete,
        "Dial": _dial,
        "Hangup": _hangup,
        "HangupRequest": _hangup_request,
        "Hold": _hold,
        "Join": _join,
        "Leave": _queue_leave,
        "MeetmeJoin": _conference,
        "MeetmeLeave": _conference,
        "NewCallerid": _new_callerid,
        "Newchannel": _newchannel,
        "Newexten": _newexten,
        "Newstate": _newstate,
        "OriginateResponse": _originate_response,
        "ParkedCall": _parked_call,
        "Pickup": _pickup,
        "Rename": _rename,
        "Transfer": _transfer,
        "UnParkedCall": _unparked_call,
        "Unlink": _unlink_event,
        "VarSet": _var_set,
    }


WANTED_AMI1 = frozenset(Ami1Adapter.HANDLERS)
"""Names of the events that the adapter reads; the rest may be dropped unread."""
