"""AMI 1.x (Asterisk 1.8, 10 and 11) in the words of channel events.

What AMI 2 shows and AMI 1.x does not is concluded: which device is in which structure (``ami1_devices.py``), how one
destination of a Dial() ended (``ami1_dials.py``), and who dials a channel that comes without a Dial event
(``ami1_callers.py``). A dialled channel is given out together with that knowledge, milliseconds after its Newchannel.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

import attrs

from uac_trio.ami.message import Event
from uac_trio.calls.ami1_callers import Callers, FeatureTransfer
from uac_trio.calls.ami1_devices import Device, Devices, Moved, bridge_id
from uac_trio.calls.ami1_dials import (
    BY_CAUSE,
    Dialling,
    Dials,
    Leg,
    status_at_end,
    status_at_hangup,
    status_meanwhile,
)
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
    ServerLacks,
    Unparked,
    VoicemailStarted,
)
from uac_trio.calls.names import whole
from uac_trio.calls.rules import TrackerRules

_RING, _RINGING, _UP = 4, 5, 6
"""ChannelState (include/asterisk/channelstate.h)."""

_FEATURE = "transfer by feature code"
"""main/features.c has no event for it."""

_DIALLED_APPLICATIONS = ("AppDial", "AppQueue")
"""What a listed channel runs that another dialled (apps/app_dial.c, apps/app_queue.c)."""


NO_AGENT_CALLS = (
    "queues do not show which phone they ring for whom (no AgentCalled): set eventwhencalled = yes in queues.conf and "
    "read = agent for our AMI user; until then that is concluded from numbers and times"
)


@attrs.define
class Ami1Adapter:
    """Translates the events of one server. Keep it while the server is the same, over lost connections too."""

    rules: TrackerRules
    lacks_agent_calls: bool = attrs.field(default=False, init=False)
    """A queue called its members and no AgentCalled came: queues.conf needs ``eventwhencalled = yes``, the AMI user
    ``read = agent``. Whom it calls for whom is a conclusion from numbers then."""
    _devices: Devices = attrs.field(factory=Devices, init=False)
    _dials: Dials = attrs.field(factory=Dials, init=False)
    _callers: Callers = attrs.field(init=False)
    _consultations: dict[str, FeatureTransfer] = attrs.field(factory=dict, init=False)
    """By the structure that is asked, a Local one that features.c dials."""
    _blind: dict[str, Device] = attrs.field(factory=dict, init=False)
    """The two of a blind transfer by feature code, both ways, by Uniqueid (VarSet BLINDTRANSFER): the one that goes on
    is the transferee."""
    _sent_on: dict[str, list[ChannelEvent]] = attrs.field(factory=dict, init=False)
    """By the transferee's Uniqueid: the transferer's end, which follows once it is known where the transferee goes."""
    _ordered: dict[str, list[str]] = attrs.field(factory=dict, init=False)
    """What Originates of ours ask for, and the identities of their first channels."""
    _hanging_up: set[str] = attrs.field(factory=set, init=False)
    """Structures whose own end hung up."""
    _shows_hangup_requests: bool = attrs.field(default=False, init=False)
    """Asterisk 1.8 has none; from other events it is concluded where a caller gave up."""
    _listings: dict[str, list[Event]] = attrs.field(factory=dict, init=False)
    """By ActionID: the items of a listing that is not complete yet."""
    _out: list[ChannelEvent] = attrs.field(factory=list, init=False)

    def __attrs_post_init__(self) -> None:
        self._callers = Callers(self.rules, self._devices, self._dials)

    def translate(self, event: Event) -> Sequence[ChannelEvent]:
        """The channel events that follow from one AMI event, in order of cause; () for one that means nothing."""
        handler = self.HANDLERS.get(event.name)
        if handler is None:
            return ()
        handler(self, event)
        out, self._out = self._out, []
        return out

    def ordered(self, channel: str, channel_id: str) -> None:
        """We ask for ``channel`` (``SIP/101``) by an Originate; AMI 1.x knows no ChannelId, so it gets ours here."""
        self._ordered.setdefault(channel.removesuffix("/n"), []).append(channel_id)

    def withdrawn(self, channel: str, channel_id: str) -> None:
        """The order was refused, or nothing came of it: the next Originate for ``channel`` is another's."""
        asked = channel.removesuffix("/n")
        orders = [each for each in self._ordered.pop(asked, []) if each != channel_id]
        if orders:
            self._ordered[asked] = orders

    def disconnected(self) -> None:
        """The connection is gone. What was waited for is given out before the listing of the next."""
        self._listings.clear()
        for device in self._devices.live():
            device.is_stale = True

    # -- whom an event is about --------------------------------------------------------------------------------------

    def _see(self, structure: str, name: str) -> Device | None:
        """The device in ``structure``, which the event calls ``name``; None where that says nothing."""
        device, moved = self._devices.meet(structure, name)
        if moved is not None:
            self._move(moved)
        if device is None and structure and name and "<" not in name:
            device = self._devices.adopt(structure, name)
        return device

    def _subject(self, event: Event) -> Device | None:
        """The device of an event with one channel, with what it shows; None for helpers and those that are over."""
        device = self._see(event.get("Uniqueid"), event.get("Channel"))
        if device is None or device.is_ended:
            return None
        device.update(event)
        return None if device.is_helper else device

    def _shown_subject(self, event: Event) -> Device | None:
        """The same, if it was given out; where that depends on who dials it, this is concluded first."""
        device = self._subject(event)
        if device is None:
            return None
        self._explain(device)
        return device if device.is_shown else None

    def _view(self, structure: str) -> ChannelView | None:
        """What is in a structure, None for what was not given out."""
        device = self._devices.within(structure) if structure else None
        return device.view if device is not None and _is_given_out(device) else None

    # -- channels ----------------------------------------------------------------------------------------------------

    def _newchannel(self, event: Event) -> None:
        device = self._devices.create(event)
        if device is not None and not device.is_dialled and not device.is_helper:
            self._show(device)

    def _newstate(self, event: Event) -> None:
        device = self._subject(event)
        if device is None:
            return
        state = device.view.state
        if state == _RING and not device.half:
            self._show(device)
        elif state == _UP or (state == _RINGING and not device.rings_early):
            self._explain(device)
        if device.is_shown:
            self._out.append(ChannelChanged(event=event.name, channel=device.view))
        leg = self._dials.to(device.structure)
        if leg is not None and state in (_RINGING, _UP):
            self._ring(leg, device, has_answered=state == _UP)

    def _ring(self, leg: Leg, device: Device, *, has_answered: bool) -> None:
        leg.has_rung = True
        self._go_on(leg)
        if has_answered and leg.is_open:
            self._answer(leg, device)

    def _new_callerid(self, event: Event) -> None:
        device = self._subject(event)
        if device is not None and device.is_shown:
            self._out.append(ChannelChanged(event=event.name, channel=device.view))

    def _rename(self, event: Event) -> None:
        structure, name, new = event.get("Uniqueid"), event.get("Channel"), event.get("Newname")
        device = self._devices.named(name)
        if "<" in name or "<" in new or self._devices.named(new) is not None:
            self._see(structure, new)  # a masquerade's
        elif device is not None and new:
            self._devices.rename(device, new)
            if device.is_shown:
                self._out.append(ChannelRenamed(event=event.name, uniqueid=device.uniqueid, name=new))

    def _move(self, moved: Moved) -> None:
        """A masquerade: the device comes into another's place, in its bridge and in its dial."""
        self._move_between_bridges(moved)
        leg = self._dials.to(moved.structure)
        is_ringing = leg is not None and leg.is_open and not leg.is_linked
        if leg is not None and is_ringing and moved.before is not None and not moved.device.is_zombie:
            self._take_over(leg, moved.device, moved.before)

    def _move_between_bridges(self, moved: Moved) -> None:
        device, structure, links = moved.device, moved.structure, self._devices.links
        old_mate, mate = links.get(moved.left, ""), links.get(structure, "")
        if old_mate and self._devices.within(moved.left) is device:  # else it was put out of there before
            self._leave(device, bridge_id(moved.left, old_mate))
        if mate and moved.before is not None:
            self._leave(moved.before, bridge_id(structure, mate))
        if mate:
            self._enter(device, bridge_id(structure, mate))

    def _take_over(self, leg: Leg, picker: Device, target: Device) -> None:
        """main/features.c, ast_do_pickup: the picker's device comes into the structure that rings."""
        if not leg.is_picked and picker.is_shown and target.is_shown:
            self._out.append(PickedUp(event="Masquerade", picker=picker.view, target=target.view))
        self._answer(leg, picker)

    def _hangup_request(self, event: Event) -> None:
        self._shows_hangup_requests = True
        device = self._subject(event)
        if device is not None:
            self._request_hangup(device)

    def _request_hangup(self, device: Device) -> None:
        """Its own end hung up."""
        self._hanging_up.add(device.structure)
        for asked, transfer in list(self._consultations.items()):
            if transfer.transferer is device:
                self._complete(asked)
        if device.is_shown:
            self._out.append(HangupRequested(event="HangupRequest", channel=device.view))

    def _give_up(self, structure: str) -> None:
        """The caller hung up before an answer, on a server that has no event for it."""
        device = self._devices.within(structure)
        if not self._shows_hangup_requests and device is not None and structure not in self._hanging_up:
            self._request_hangup(device)

    def _hangup(self, event: Event) -> None:
        device = self._see(event.get("Uniqueid"), event.get("Channel"))
        if device is None or device.is_ended:
            return
        device.update(event)
        device.cause = whole(event.get("Cause"), 0)
        self._explain(device, is_over=True)
        dialling = self._dials.over(device.structure)
        if dialling is not None and not dialling.is_answered:
            self._end_dialling(dialling, "CANCEL")
        self._release(device)
        if _is_given_out(device):
            self._hang_up(device, ChannelHungUp(event=event.name, channel=device.view, cause=device.cause))
        self._end(device)

    def _hang_up(self, device: Device, end: ChannelHungUp) -> None:
        leg, around = self._dials.to(device.structure), self._leg_around(device)
        transferee = self._blind.get(device.uniqueid)
        if leg is None and not device.was_linked and not device.cause:
            self._give_up(device.structure)  # main/channel.c: 0 where the device hung up, 16 where the dialplan did
        is_sent_off = device.structure not in self._hanging_up  # main/features.c hangs up on the transferer
        if transferee is not None and not transferee.is_ended and is_sent_off:
            self._sent_on.setdefault(transferee.uniqueid, []).append(end)
        elif leg is not None and leg.can_be_refused:
            self._refuse(leg, end)
        elif around is not None and around.after:
            around.after.append(end)
        else:
            self._out.append(end)

    def _end(self, device: Device) -> None:
        """It is gone, with all that is kept of it."""
        leg = self._dials.to(device.structure)
        if leg is not None and leg.hung_up is None:
            self._dials.forget(leg)
        self._hanging_up.discard(device.structure)
        self._consultations.pop(device.structure, None)
        self._callers.forget(device.structure)
        self._devices.end(device)
        other = self._blind.get(device.uniqueid)
        if other is not None and other.is_ended:
            del self._blind[device.uniqueid], self._blind[other.uniqueid]

    def _show(self, device: Device) -> None:
        """Give out that a channel was created, and with it the other half of a Local one."""
        other = self._devices.other_half(device)
        halves = [device] if other is None else sorted((device, other), key=lambda each: each.half)
        for each in halves:
            if not each.is_shown:
                each.is_shown = True
                self._out.append(ChannelCreated(event="Newchannel", channel=each.first))
                self._give_out_recordings(each)

    def _give_out_recordings(self, device: Device) -> None:
        """A Local channel may be recorded before it is known who dials it."""
        if device.is_shown:
            self._out += [
                RecordingStarted(event="VarSet", channel=device.view, path=path) for path in device.recordings
            ]
            device.recordings.clear()

    # -- dials -------------------------------------------------------------------------------------------------------

    def _dial(self, event: Event) -> None:
        caller = self._see(event.get("UniqueID"), event.get("Channel"))
        if event.get("SubEvent") == "End":
            dialling = self._dials.over(event.get("UniqueID"))
            if dialling is not None:
                self._end_dialling(dialling, event.get("DialStatus"))
            return
        dialled = self._see(event.get("DestUniqueID"), event.get("Destination"))
        if caller is None or dialled is None or caller.is_ended or dialled.is_ended:
            return
        caller.update(event)
        self._go_to(caller, "")
        self._callers.settled(caller.structure)
        self._begin(self._dials.dial_by(caller.structure), dialled, event.get("Dialstring"))

    def _agent_called(self, event: Event) -> None:
        caller = self._see(event.get("Uniqueid"), event.get("ChannelCalling"))
        dialled = self._devices.named(event.get("DestinationChannel"))
        self._callers.shows_agent_calls = True
        if caller is not None and dialled is not None and not caller.is_ended and not dialled.is_ended:
            dialling = self._dials.queue_by(caller.structure)
            dialling.is_called_by_agent_event = True
            self._begin(dialling, dialled, event.get("AgentCalled"))

    def _agent_ring_no_answer(self, event: Event) -> None:
        dialling = self._dials.by(event.get("Uniqueid"))
        for leg in dialling.open_legs if dialling is not None else ():
            if leg.dial_string == event.get("Member"):
                leg.has_rung_out = True

    def _begin(self, dialling: Dialling, dialled: Device, dial_string: str) -> None:
        leg = self._dials.begin(dialling, dialled.structure, dial_string)
        caller = self._devices.within(dialling.caller)
        if leg is not None and (caller is None or caller.is_shown or not caller.half):
            self._give_out(leg)

    def _give_out(self, leg: Leg) -> None:
        """The dial and, of a Local channel, the dials of its other half that waited for this."""
        caller, dialled = self._devices.within(leg.dialling.caller), self._devices.within(leg.structure)
        if leg.is_given_out or dialled is None or dialled.is_helper:
            return
        leg.is_given_out = True
        for device in (caller, dialled):
            if device is not None and not device.is_helper:
                self._show(device)
        began = DialBegan(
            event="Dial", dialled=dialled.view, caller=self._view(leg.dialling.caller), dial_string=leg.dial_string
        )
        self._out.append(began)
        self._give_out_inside(dialled)

    def _give_out_inside(self, dialled: Device) -> None:
        other = self._devices.other_half(dialled)
        if other is not None:
            self._give_out_dials_of(other)

    def _give_out_dials_of(self, caller: Device) -> None:
        dialling = self._dials.by(caller.structure)
        for leg in dialling.legs if dialling is not None else ():
            self._give_out(leg)

    def _answer(self, leg: Leg, dialled: Device) -> None:
        leg.is_answered = True
        self._out.append(self._dial_ended(leg, dialled.view, "ANSWER"))

    def _go_on(self, leg: Leg) -> None:
        """The Dial() of this leg goes on, so others of it that hung up did so by themselves."""
        for other in leg.dialling.legs:
            if other.hung_up is not None:
                self._settle(other, other.hung_up, status_meanwhile(other), self._out)

    def _refuse(self, leg: Leg, end: ChannelHungUp) -> None:
        """A destination hung up without a conversation: its Hangup follows the status, which may not be known yet."""
        dialling, leg.hung_up = leg.dialling, end
        status = status_at_hangup(leg, dialling.caller in self._hanging_up)
        if status == "CANCEL" and dialling.is_queue and not dialling.is_answered:
            self._give_up(dialling.caller)
        if status:
            self._settle(leg, end, status, self._out)

    def _end_dialling(self, dialling: Dialling, dial_status: str) -> None:
        """A Dial() is over; if because its Local channel was hung up, then its end follows that of the outer leg."""
        dialling.end = dial_status
        if dial_status == "CANCEL":
            self._give_up(dialling.caller)
        caller = self._devices.within(dialling.caller)
        around = self._leg_around(caller) if caller is not None else None
        is_inside = around is not None and not around.is_answered and dial_status == "CANCEL"
        out = around.after if around is not None and is_inside else self._out
        for leg in dialling.legs:
            if leg.hung_up is not None:
                self._settle(leg, leg.hung_up, status_at_end(leg, dial_status), out)

    def _settle(self, leg: Leg, end: ChannelHungUp, status: str, out: list[ChannelEvent]) -> None:
        """The status of a leg that hung up is known: give it out, then its Hangup, then what followed from it."""
        leg.status, leg.hung_up = status, None
        if status != "ANSWER":
            out.append(self._dial_ended(leg, end.channel, status))
        out += (end, *leg.after)
        self._dials.forget(leg)

    def _dial_ended(self, leg: Leg, dialled: ChannelView, status: str) -> DialEnded:
        return DialEnded(event="Dial", dialled=dialled, caller=self._view(leg.dialling.caller), status=status)

    def _leg_around(self, device: Device) -> Leg | None:
        """Of the half of a Local channel that runs the dialplan: the leg of the half that is dialled."""
        other = self._devices.other_half(device) if device.half == "2" else None
        return self._dials.to(other.structure) if other is not None else None

    # -- dials without an event --------------------------------------------------------------------------------------

    def _explain(self, device: Device, mate: str = "", *, is_over: bool = False) -> None:
        """Give out a device that was not yet, with who dials it.

        ``mate``: the structure it is being linked with. ``is_over``: it hangs up; a channel to which nothing ever
        happened stays unseen, until an OriginateResponse shows what it was.
        """
        if device.is_shown or device.is_helper:
            return
        root = self._callers.root_of(device)
        leg = self._dials.to(root.structure)
        if root.is_ended:
            return  # nothing ever happened to it
        if root.half == "2":  # the Newchannel of the other half was lost
            self._show(root)
            self._give_out_dials_of(root)
        elif leg is not None:
            self._give_out(leg)
        elif mate and root is device:
            self._begin_by_queue(mate, root)
        else:
            self._conclude(root, is_over=is_over)

    def _conclude(self, root: Device, *, is_over: bool) -> None:
        """Who dials ``root`` is not shown by any event."""
        transfer = self._callers.who_transfers(root)
        if transfer is not None and root.half:
            self._consult(root, transfer)
        elif transfer is not None:
            self._call_back(root, transfer)
        elif queued := self._callers.who_queues(root):
            self._miss_agent_calls()
            self._begin_by_queue(queued, root)
        elif waiting := self._callers.who_waits(root):
            self._begin(self._dials.queue_by(waiting), root, "")
        elif not is_over or self._runs_dialplan(root):
            self._recognise(root)
            self._begin(Dialling(""), root, "")

    def _miss_agent_calls(self) -> None:
        if not self.lacks_agent_calls:
            self.lacks_agent_calls = True
            self._out.append(ServerLacks(event="Join without AgentCalled", what=NO_AGENT_CALLS))

    def _recognise(self, root: Device) -> None:
        """No channel dials it: an Originate, of ours if we asked for it."""
        root.is_originated = True
        ours = self._next_order(root.interface)
        if ours:
            root.view, root.first = root.view._replace(uniqueid=ours), root.first._replace(uniqueid=ours)

    def _next_order(self, interface: str) -> str:
        orders = self._ordered.get(interface)
        if not orders:
            return ""
        ours = orders.pop(0)
        if not orders:
            del self._ordered[interface]
        return ours

    def _begin_by_queue(self, structure: str, root: Device) -> None:
        self._begin(self._dials.queue_by(structure), root, root.interface)

    def _runs_dialplan(self, root: Device) -> bool:
        """A Local channel that has dialled was called itself."""
        other = self._devices.other_half(root)
        return other is not None and self._dials.by(other.structure) is not None

    def _consult(self, root: Device, transfer: FeatureTransfer) -> None:
        """Asterisk 12 and later puts transferer and asked channel into a bridge before the latter answers; without
        that the two would have nothing in common."""
        self._consultations[root.structure] = transfer
        self._show(root)
        bridge = bridge_id(transfer.transferer.structure, root.structure)
        self._enter(transfer.transferer, bridge)
        self._enter(root, bridge)
        self._give_out_inside(root)

    def _call_back(self, root: Device, transfer: FeatureTransfer) -> None:
        """The transferer left while the colleague's phone rang, in vain: they are called for the transferee."""
        if not self._shows_hangup_requests:
            self._out.append(
                AttendedTransferred(event=_FEATURE, first=transfer.transferer.view, transferee=transfer.transferee.view)
            )
        self._begin(self._dials.queue_by(transfer.transferee.structure), root, "")

    def _complete(self, asked: str) -> None:
        """The transferer left, or transferee and asked channel were linked."""
        transfer = self._consultations.pop(asked)
        self._out.append(
            AttendedTransferred(
                event=_FEATURE,
                first=transfer.transferer.view,
                transferee=transfer.transferee.view,
                target=self._view(asked),
            )
        )

    # -- bridges -----------------------------------------------------------------------------------------------------

    def _bridge(self, event: Event) -> None:
        pair = self._pair(event)
        if pair is None:
            return
        if event.get("Bridgestate") == "Link":
            self._link(*pair)
        else:
            self._unlink(*pair)

    def _pair(self, event: Event) -> tuple[str, str] | None:
        one, other = event.get("Uniqueid1"), event.get("Uniqueid2")
        for structure, name in ((one, event.get("Channel1")), (other, event.get("Channel2"))):
            self._see(structure, name)
        return (one, other) if one and other and one != other else None

    def _link(self, one: str, other: str) -> None:
        if self._devices.links.get(one) == other:
            return
        for structure in (one, other):
            self._leave_link(structure)
        for structure, mate in ((one, other), (other, one)):
            self._callers.left(structure)
            device, leg = self._devices.within(structure), self._dials.to(structure)
            if device is not None:
                device.was_linked = True
                self._explain(device, mate)
            if leg is not None:
                leg.is_linked = True
        self._devices.link(one, other)
        self._end_consultations(one, other)
        for structure in (one, other):
            device = self._devices.within(structure)
            if device is not None:
                self._enter(device, bridge_id(one, other))

    def _end_consultations(self, one: str, other: str) -> None:
        """A link ends what feature codes were dialled for, unless it is the consultation itself."""
        for structure, mate in ((one, other), (other, one)):
            transfer = self._consultations.get(structure)
            if transfer is not None and transfer.transferer is self._devices.within(mate):
                return
            if transfer is not None:
                self._complete(structure)
                self._callers.settled(transfer.transferer.structure)
        self._callers.settled(one)
        self._callers.settled(other)

    def _unlink_event(self, event: Event) -> None:
        pair = self._pair(event)
        if pair is not None:
            self._unlink(*pair)

    def _unlink(self, one: str, other: str) -> None:
        if self._devices.links.get(one) != other:
            return
        self._leave_link(one)
        self._callers.parted(one, other)

    def _leave_link(self, structure: str) -> None:
        mate = self._devices.unlink(structure)
        for each in (structure, mate) if mate else ():
            device = self._devices.within(each)
            if device is not None:
                self._leave(device, bridge_id(structure, mate))

    def _enter(self, device: Device, bridge: str, bridge_type: str = "basic") -> None:
        if _is_given_out(device) and not device.is_zombie:
            self._out.append(BridgeEntered(event="Bridge", channel=device.view, bridge=bridge, bridge_type=bridge_type))

    def _leave(self, device: Device, bridge: str) -> None:
        if _is_given_out(device):
            self._out.append(BridgeLeft(event="Unlink", channel=device.view, bridge=bridge))

    def _conference(self, event: Event) -> None:
        device = self._shown_subject(event)
        if device is None:
            return
        room = f"conference {event.get('Conference') or event.get('Meetme')}"
        if event.name.endswith("Join"):
            self._enter(device, room, "base")
        else:
            self._leave(device, room)

    def _hold(self, event: Event) -> None:
        device = self._shown_subject(event)
        if device is not None:
            is_held = event.get("Status") == "On"
            self._out.append(HoldChanged(event=event.name, channel=device.view, is_held=is_held))

    # -- handing over ------------------------------------------------------------------------------------------------

    def _transfer(self, event: Event) -> None:
        transferer = self._shown_subject(event)
        target = self._see(event.get("TargetUniqueid"), event.get("TargetChannel"))
        if transferer is None:
            return
        named = self._view(target.structure) if target is not None else None
        if event.get("TransferType") == "Blind":
            self._out.append(
                BlindTransferred(
                    event=event.name, transferer=transferer.view, to=event.get("TransferExten"), transferee=named
                )
            )
            return
        links = self._devices.links
        self._out.append(
            AttendedTransferred(
                event=event.name,
                first=transferer.view,
                second=named,
                transferee=self._view(links.get(transferer.structure, "")),
                target=self._view(links.get(target.structure, "")) if target is not None else None,
            )
        )

    def _go_to(self, device: Device, to: str) -> None:
        """A device runs the dialplan at ``to``; if it was sent there by feature code, its transferer may go."""
        transferer = self._blind.pop(device.uniqueid, None)
        if transferer is None:
            return
        self._blind.pop(transferer.uniqueid, None)
        self._out.append(BlindTransferred(event=_FEATURE, transferer=transferer.view, to=to, transferee=device.view))
        self._release(device)

    def _release(self, transferee: Device) -> None:
        """Who sent this device on may go: it is known where to, or it is gone itself."""
        self._out += self._sent_on.pop(transferee.uniqueid, ())

    def _pickup(self, event: Event) -> None:
        picker, target = self._devices.named(event.get("Channel")), self._devices.named(event.get("TargetChannel"))
        if picker is None or target is None or picker.is_ended or target.is_ended:
            return
        for device in (target, picker):
            self._explain(device)
        leg = self._dials.to(target.structure)
        if leg is not None:
            leg.is_picked = True
        self._out.append(PickedUp(event=event.name, picker=picker.view, target=target.view))

    def _parked_call(self, event: Event) -> None:
        device = self._shown_subject(event)
        if device is not None and "ActionID" not in event:  # else an item of a list
            parker = event.get("From").rpartition("-")[0]
            self._out.append(Parked(event=event.name, parkee=device.view, parker=parker))

    def _unparked_call(self, event: Event) -> None:
        device, retriever = self._shown_subject(event), self._devices.named(event.get("From"))
        if device is not None and retriever is not None and retriever.is_shown:
            self._out.append(Unparked(event=event.name, parkee=device.view, retriever=retriever.view))

    # -- queues, recordings, orders ----------------------------------------------------------------------------------

    def _join(self, event: Event) -> None:
        device, queue = self._shown_subject(event), event.get("Queue")
        if device is None:
            return
        self._go_to(device, queue)
        self._callers.settled(device.structure)
        self._callers.joined(device.structure, queue)
        self._out.append(
            QueueJoined(event=event.name, channel=device.view, queue=queue, position=event.get("Position"))
        )

    def _queue_leave(self, event: Event) -> None:
        device = self._shown_subject(event)
        if device is not None:
            self._callers.left(device.structure)
            self._out.append(QueueLeft(event=event.name, channel=device.view))

    def _var_set(self, event: Event) -> None:
        self._callers.shows_variables = True
        variable, value = event.get("Variable"), event.get("Value")
        if variable == "TRANSFERERNAME":
            self._callers.transfers(event.get("Uniqueid"), value)
        elif variable == "BLINDTRANSFER":
            device, other = self._subject(event), self._devices.named(value)
            if device is not None and other is not None and self._callers.are_parted(device.structure, other.structure):
                self._blind[device.uniqueid], self._blind[other.uniqueid] = other, device
        elif variable == "MIXMONITOR_FILENAME" and value:
            device = self._subject(event)
            if device is not None:
                device.recordings.append(value)
                self._give_out_recordings(device)

    def _newexten(self, event: Event) -> None:
        device = self._devices.within(event.get("Uniqueid")) if self._blind else None
        if device is not None and event.get("Extension") != "h":
            self._go_to(device, event.get("Extension"))
        if event.get("Application") == "VoiceMail":
            device = self._shown_subject(event)
            if device is not None:
                self._out.append(VoicemailStarted(event=event.name, channel=device.view))

    def _originate_response(self, event: Event) -> None:
        asked = event.get("Channel")
        is_success = event.get("Response") == "Success"
        device = self._devices.within(event.get("Uniqueid")) or self._originated(asked)
        if device is not None:
            device.has_response = True
            if not device.is_shown:
                self._reveal(device)
        unmade = "" if device is not None else self._next_order(asked.removesuffix("/n"))
        self._out.append(
            OriginateEnded(
                event=event.name,
                uniqueid=device.uniqueid if device is not None else unmade,
                asked=asked,
                exten=event.get("Exten"),
                is_success=is_success,
                reason=whole(event.get("Reason"), 0),
            )
        )

    def _originated(self, asked: str) -> Device | None:
        """The last channel that an Originate asked for: ``Local/101@from-internal/n``, ``SIP/101``."""
        interface = asked.removesuffix("/n")
        for device in (*self._devices.ended(), *self._devices.live()):
            is_open = (device.is_originated or not device.is_shown) and not device.has_response
            if is_open and device.half != "2" and device.interface == interface:
                return device
        return None

    def _reveal(self, device: Device) -> None:
        """An Originate whose channel failed, or hung up, before anything happened to it."""
        self._recognise(device)
        if not device.is_ended:
            self._begin(Dialling(""), device, "")
            return
        self._show(device)
        status = BY_CAUSE.get(device.cause, "NOANSWER")
        self._out.append(DialBegan(event="Originate", dialled=device.view))
        self._out.append(DialEnded(event="Originate", dialled=device.view, status=status))
        for each in (device, self._devices.other_half(device)):
            if each is not None and each.is_ended:
                self._out.append(ChannelHungUp(event="Hangup", channel=each.view, cause=each.cause))

    def _cdr(self, event: Event) -> None:
        structure = event.get("UniqueID")
        device = self._devices.named(event.get("Channel")) or self._devices.within(structure)
        recording = next((path for header in self.rules.recording_headers if (path := event.get(header))), "")
        self._out.append(
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
        self._listings.setdefault(event.get("ActionID"), []).append(event)

    def _core_show_channels_complete(self, event: Event) -> None:
        items = self._listings.pop(event.get("ActionID"), [])
        announced = event.get("ListItems")
        if whole(announced, len(items)) != len(items):
            self._out.append(ListingUnusable(event=event.name, announced=announced, listed=len(items)))
            return
        self._stop_waiting()
        listed = [self._listed(item) for item in items]
        self._end_unlisted({item.get("UniqueID") for item in items})
        self._out.append(ChannelsListed(event=event.name, channels=tuple(each for each in listed if each is not None)))
        for item in items:
            self._restore_leg(item, items)

    def _end_unlisted(self, listed: set[str]) -> None:
        """A device that a listing lacks was created just now, or is gone: then another lacks it too, and no event was
        about it in between."""
        for device in self._devices.live():
            if device.structure in listed:
                continue
            if device.is_stale:
                self._dials.over(device.structure)
                self._end(device)
            device.is_stale = True

    def _stop_waiting(self) -> None:
        """What the connection was lost in the middle of is given out before the listing that ends or continues it."""
        for ends in self._sent_on.values():
            self._out += ends
        self._sent_on.clear()
        self._blind.clear()
        for leg, end in self._dials.waiting():
            self._settle(leg, end, status_at_end(leg, "CANCEL"), self._out)

    def _listed(self, item: Event) -> ListedChannel | None:
        structure, mate = item.get("UniqueID"), item.get("BridgedUniqueID")
        device = self._see(structure, item.get("Channel"))
        if device is None or device.is_helper or device.is_ended:
            return None
        device.update(item)
        device.is_shown = True
        self._devices.unlink(structure)
        if mate:
            self._devices.link(structure, mate)
        return ListedChannel(
            view=device.view,
            duration=_seconds(item.get("Duration")),
            bridge=bridge_id(structure, mate) if mate else "",
            application=item.get("Application"),
        )

    def _restore_leg(self, item: Event, items: list[Event]) -> None:
        """A dialled channel whose Dial event we did not see: a listing shows the application's data of who dials."""
        structure = item.get("UniqueID")
        device = self._devices.within(structure)
        is_dialled = item.get("Application") in _DIALLED_APPLICATIONS
        if device is None or not is_dialled or self._dials.to(structure) is not None:
            return
        callers = [each.get("UniqueID") for each in items if device.interface in _interfaces(each)]
        caller = self._devices.links.get(structure) or next(iter(callers), "")
        if caller and device.view.state != _UP:
            self._begin(self._dials.dial_by(caller), device, device.interface.partition("/")[2])
        elif caller:
            leg = self._dials.begin(self._dials.dial_by(caller), structure, "")
            if leg is not None:
                leg.is_given_out = leg.is_answered = leg.is_linked = True

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


def _is_given_out(device: Device) -> bool:
    return device.is_shown and not device.is_helper


def _interfaces(item: Event) -> set[str]:
    """Whom a listed channel's application dials: ``SIP/101&SIP/102,15,tT`` of Dial()."""
    return {interface.removesuffix("/n") for interface in item.get("ApplicationData").partition(",")[0].split("&")}


def _seconds(duration: str) -> float:
    """``hh:mm:ss`` of a listed channel; hours may exceed 99."""
    parts = [whole(part, 0) for part in duration.split(":")[:3]]
    return float(sum(part * 60**power for power, part in enumerate(reversed(parts))))
