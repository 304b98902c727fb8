"""AMI 1.x (Asterisk 1.8, 10 and 11) in the words of channel events.

What AMI 2 shows and AMI 1.x does not is concluded here: which device is in which structure (``ami1_devices.py``), how
one destination of a Dial() ended (``ami1_dials.py``), and who dials a channel that comes without a Dial event: a queue
whose queues.conf lacks ``eventwhencalled = yes``, a transfer by feature code, or nobody, an Originate. A dialled channel
is given out together with that knowledge, milliseconds after its Newchannel.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

import attrs

from uac_trio.ami.message import Event
from uac_trio.calls.ami1_devices import Device, Devices, Moved, bridge_id
from uac_trio.calls.ami1_dials import BY_CAUSE, Dialling, Leg, status_at_end, status_at_hangup, status_meanwhile
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
    Unparked,
    VoicemailStarted,
)
from uac_trio.calls.names import known, whole
from uac_trio.calls.rules import TrackerRules

_RING, _RINGING, _UP = 4, 5, 6
"""ChannelState (include/asterisk/channelstate.h)."""

_FEATURE = "transfer by feature code"
"""main/features.c has no event for it."""

_DIALLED_APPLICATIONS = ("AppDial", "AppQueue")
"""What a listed channel runs that another dialled (apps/app_dial.c, apps/app_queue.c)."""


@attrs.frozen
class _Consultation:
    """Transfer by feature code: ``transferer`` asks ``asked`` while ``transferee`` hears music (main/features.c)."""

    transferer: Device
    transferee: Device
    asked: str
    """Structure of the channel that features.c dials: a Local one."""


@attrs.define
class Ami1Adapter:
    """Translates the events of one server. Keep it while the server is the same, over lost connections too."""

    rules: TrackerRules
    _devices: Devices = attrs.field(factory=Devices, init=False)
    _legs: dict[str, Leg] = attrs.field(factory=dict, init=False)
    """By the structure that is dialled."""
    _diallings: dict[str, Dialling] = attrs.field(factory=dict, init=False)
    """By the structure that dials."""
    _queued: dict[str, str] = attrs.field(factory=dict, init=False)
    """Structures that wait in a queue, in the order in which they joined, and its name."""
    _parted: dict[str, str] = attrs.field(factory=dict, init=False)
    """Structures whose link was undone while both live, both ways: one of them may be dialling a feature code."""
    _consultations: dict[str, _Consultation] = attrs.field(factory=dict, init=False)
    """By the structure that is asked."""
    _transferers: dict[str, str] = attrs.field(factory=dict, init=False)
    """A structure that features.c dials, and the name of the channel that transfers (VarSet TRANSFERERNAME)."""
    _blind: dict[str, Device] = attrs.field(factory=dict, init=False)
    """The two of a blind transfer by feature code, both ways, by Uniqueid (VarSet BLINDTRANSFER): the one that goes on
    is the transferee."""
    _sent_on: dict[str, list[ChannelEvent]] = attrs.field(factory=dict, init=False)
    """By the transferee's Uniqueid: the transferer's end, which follows once it is known where the transferee goes."""
    _hanging_up: set[str] = attrs.field(factory=set, init=False)
    """Structures whose own end hung up."""
    _listings: dict[str, list[Event]] = attrs.field(factory=dict, init=False)
    """By ActionID: the items of a listing that is not complete yet."""
    _shows_agent_calls: bool = attrs.field(default=False, init=False)
    _shows_hangup_requests: bool = attrs.field(default=False, init=False)
    """Asterisk 1.8 has none; from other events it is concluded where a caller gave up."""
    lacks_agent_calls: bool = attrs.field(default=False, init=False)
    """A queue called its members and no AgentCalled came: queues.conf needs ``eventwhencalled = yes``, the AMI user
    ``read = agent``. Who rings for whom is a conclusion from numbers then."""
    _out: list[ChannelEvent] = attrs.field(factory=list, init=False)

    def translate(self, event: Event) -> Sequence[ChannelEvent]:
        """The channel events that follow from one AMI event, in order of cause; () for one that means nothing."""
        handler = self.HANDLERS.get(event.name)
        if handler is None:
            return ()
        handler(self, event)
        out, self._out = self._out, []
        return out

    def disconnected(self) -> None:
        """The connection is gone. What was waited for is given out before the listing of the next."""
        self._listings.clear()

    # -- who an event is about ---------------------------------------------------------------------------------------

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
        _update(device, event)
        return None if device.is_helper else device

    def _shown_subject(self, event: Event) -> Device | None:
        """The same, if it was given out; where that depends on who dials it, this is concluded first."""
        device = self._subject(event)
        if device is not None:
            self._explain(device)
        return device if device is not None and device.is_shown else None

    def _view(self, structure: str) -> ChannelView | None:
        """What is in a structure, None for what was not given out."""
        device = self._devices.within(structure) if structure else None
        return device.view if device is not None and device.is_shown and not device.is_helper else None

    # -- channels ----------------------------------------------------------------------------------------------------

    def _newchannel(self, event: Event) -> None:
        view = _view_of(event)
        if not view.uniqueid or not view.name or self._devices.within(view.uniqueid) is not None:
            return
        device = self._devices.create(view)
        if not device.is_dialled and not device.is_helper:
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
        if not device.is_shown:
            return
        self._out.append(ChannelChanged(event=event.name, channel=device.view))
        leg = self._legs.get(device.structure)
        if leg is not None and state in (_RINGING, _UP):
            leg.has_rung = True
            self._go_on(leg)
            if state == _UP and leg.is_open:
                self._answer(leg)

    def _new_callerid(self, event: Event) -> None:
        device = self._subject(event)
        if device is not None and device.is_shown:
            self._out.append(ChannelChanged(event=event.name, channel=device.view))

    def _rename(self, event: Event) -> None:
        structure, name, new = event.get("Uniqueid"), event.get("Channel"), event.get("Newname")
        device = self._devices.named(name)
        is_masquerade = "<" in name or "<" in new or self._devices.named(new) is not None
        if is_masquerade:
            self._see(structure, new)
        elif device is not None and new:
            self._devices.rename(device, new)
            if device.is_shown:
                self._out.append(ChannelRenamed(event=event.name, uniqueid=device.uniqueid, name=new))

    def _move(self, moved: Moved) -> None:
        """A masquerade: the device comes into another's place, in its bridge and in its dial."""
        device, structure = moved.device, moved.structure
        old_mate, mate = self._devices.links.get(moved.left, ""), self._devices.links.get(structure, "")
        if old_mate:
            self._leave(device, bridge_id(moved.left, old_mate))
        if mate and moved.before is not None:
            self._leave(moved.before, bridge_id(structure, mate))
        if mate:
            self._enter(device, bridge_id(structure, mate))
        leg = self._legs.get(structure)
        if leg is not None and leg.is_open and moved.before is not None and not device.is_zombie:
            self._take_over(leg, device, moved.before)

    def _take_over(self, leg: Leg, picker: Device, target: Device) -> None:
        """main/features.c, ast_do_pickup: the picker's device comes into the structure that rings."""
        if not leg.is_picked and picker.is_shown and target.is_shown:
            self._out.append(PickedUp(event="Masquerade", picker=picker.view, target=target.view))
        self._answer(leg)

    def _hangup_request(self, event: Event) -> None:
        self._shows_hangup_requests = True
        device = self._subject(event)
        if device is not None:
            self._request_hangup(device)

    def _request_hangup(self, device: Device) -> None:
        """Its own end hung up."""
        self._hanging_up.add(device.structure)
        for consultation in list(self._consultations.values()):
            if consultation.transferer is device:
                self._complete(consultation)
        if device.is_shown:
            self._out.append(HangupRequested(event="HangupRequest", channel=device.view))

    def _gives_up(self, structure: str) -> None:
        """The caller hung up before an answer, on a server that does not say so."""
        device = self._devices.within(structure)
        if not self._shows_hangup_requests and device is not None and structure not in self._hanging_up:
            self._request_hangup(device)

    def _hangup(self, event: Event) -> None:
        device = self._see(event.get("Uniqueid"), event.get("Channel"))
        if device is None or device.is_ended:
            return
        _update(device, event)
        self._explain(device, is_over=True)
        structure, device.cause = device.structure, whole(event.get("Cause"), 0)
        dialling = self._diallings.pop(structure, None)
        if dialling is not None:
            self._end_dialling(dialling, "CANCEL")
        if device.uniqueid in self._sent_on:
            self._go_to(device, "")
        leg = self._legs.pop(structure, None)
        if device.is_shown and not device.is_helper:
            if leg is None and not device.was_linked and not device.cause:
                self._gives_up(structure)
            end = ChannelHungUp(event=event.name, channel=device.view, cause=device.cause)
            self._hang_up(device, leg, end)
        self._forget(structure)
        self._devices.end(device)

    def _hang_up(self, device: Device, leg: Leg | None, end: ChannelHungUp) -> None:
        around = self._leg_around(device)
        transferee = self._blind.get(device.uniqueid)
        if transferee is not None and not transferee.is_ended:
            self._sent_on.setdefault(transferee.uniqueid, []).append(end)
        elif leg is not None and leg.can_be_refused:
            leg.held.append(end)
            leg.cause = device.cause
            status = status_at_hangup(leg, device.cause, leg.dialling.caller in self._hanging_up)
            if status == "CANCEL" and leg.dialling.is_queue and not leg.dialling.is_answered:
                self._gives_up(leg.dialling.caller)
            if status:
                self._settle(leg, status, self._out)
        elif around is not None and around.after:
            around.after.append(end)
        else:
            self._out.append(end)

    def _forget(self, structure: str) -> None:
        self._queued.pop(structure, None)
        self._hanging_up.discard(structure)
        self._transferers.pop(structure, None)
        self._consultations.pop(structure, None)
        self._part(structure)

    def _show(self, device: Device) -> None:
        """Give out that a channel was created, and with it the other half of a Local one."""
        other = self._devices.other_half(device)
        halves = [device] if other is None else sorted((device, other), key=lambda half: half.half)
        for each in halves:
            if not each.is_shown:
                each.is_shown = True
                self._out.append(ChannelCreated(event="Newchannel", channel=each.first))

    # -- dials -------------------------------------------------------------------------------------------------------

    def _dial(self, event: Event) -> None:
        caller = self._see(event.get("UniqueID"), event.get("Channel"))
        if event.get("SubEvent") == "End":
            dialling = self._diallings.pop(event.get("UniqueID"), None)
            if dialling is not None:
                self._end_dialling(dialling, event.get("DialStatus"))
            return
        dialled = self._see(event.get("DestUniqueID"), event.get("Destination"))
        if caller is None or dialled is None or caller.is_ended or dialled.is_ended:
            return
        _update(caller, event)
        dialling = self._diallings.get(caller.structure)
        if dialling is None or dialling.is_queue:
            dialling = self._diallings[caller.structure] = Dialling(caller.structure)
        self._go_to(caller, "")
        self._part(caller.structure)
        self._begin(dialling, dialled, event.get("Dialstring"))

    def _agent_called(self, event: Event) -> None:
        caller = self._see(event.get("Uniqueid"), event.get("ChannelCalling"))
        dialled = self._devices.named(event.get("DestinationChannel"))
        self._shows_agent_calls = True
        if caller is not None and dialled is not None and not caller.is_ended and not dialled.is_ended:
            dialling = self._queue_dialling(caller.structure)
            dialling.is_called_by_agent_event = True
            self._begin(dialling, dialled, event.get("AgentCalled"))

    def _agent_ring_no_answer(self, event: Event) -> None:
        dialling = self._diallings.get(event.get("Uniqueid"))
        for leg in dialling.open_legs if dialling is not None else ():
            if leg.dial_string == event.get("Member"):
                leg.has_rung_out = True

    def _queue_dialling(self, structure: str) -> Dialling:
        dialling = self._diallings.get(structure)
        if dialling is None or not dialling.is_queue or dialling.is_answered:
            dialling = self._diallings[structure] = Dialling(structure, is_queue=True)
        return dialling

    def _begin(self, dialling: Dialling, dialled: Device, dial_string: str) -> None:
        before = self._legs.get(dialled.structure)
        if before is not None and before.dialling.caller == dialling.caller:
            return  # the same event again
        leg = Leg(dialled.structure, dialling, dial_string)
        dialling.legs.append(leg)
        self._legs[dialled.structure] = leg
        caller = self._devices.within(dialling.caller)
        if caller is None or caller.is_shown or not caller.half:
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
        self._out.append(
            DialBegan(
                event="Dial",
                dialled=dialled.view,
                caller=self._view(leg.dialling.caller),
                dial_string=leg.dial_string,
            )
        )
        self._give_out_inside(dialled)

    def _give_out_inside(self, dialled: Device) -> None:
        other = self._devices.other_half(dialled)
        inner = self._diallings.get(other.structure) if other is not None else None
        for leg in inner.legs if inner is not None else ():
            self._give_out(leg)

    def _answer(self, leg: Leg) -> None:
        leg.is_answered = True
        dialled = self._view(leg.structure)
        if dialled is not None:
            self._out.append(self._dial_ended(leg, dialled, "ANSWER"))

    def _go_on(self, leg: Leg) -> None:
        """The Dial() of this leg goes on, so others of it that hung up did so by themselves."""
        for other in leg.dialling.legs:
            if other.held and other is not leg:
                self._settle(other, status_meanwhile(other), self._out)

    def _end_dialling(self, dialling: Dialling, dial_status: str) -> None:
        """A Dial() is over; if because its Local channel was hung up, then its end follows that of the outer leg."""
        dialling.end = dial_status
        if dial_status == "CANCEL":
            self._gives_up(dialling.caller)
        caller = self._devices.within(dialling.caller)
        around = self._leg_around(caller) if caller is not None else None
        is_inside = around is not None and around.is_unsettled and dial_status == "CANCEL"
        out = around.after if around is not None and is_inside else self._out
        for leg in dialling.legs:
            if leg.held:
                self._settle(leg, status_at_end(leg, dial_status), out)

    def _settle(self, leg: Leg, status: str, out: list[ChannelEvent]) -> None:
        """The status of a leg that hung up is known: give it out, its Hangup, and what followed from it."""
        leg.status = status
        held, leg.held = leg.held, []
        ends = [end for end in held if isinstance(end, ChannelHungUp)]
        if not leg.is_answered or status != "ANSWER":
            out.extend(self._dial_ended(leg, end.channel, status) for end in ends)
        out.extend(held)
        after, leg.after = leg.after, []
        out.extend(after)

    def _dial_ended(self, leg: Leg, dialled: ChannelView, status: str) -> DialEnded:
        return DialEnded(event="Dial", dialled=dialled, caller=self._view(leg.dialling.caller), status=status)

    def _leg_around(self, device: Device) -> Leg | None:
        """Of the half of a Local channel that runs the dialplan: the leg of the half that is dialled."""
        other = self._devices.other_half(device) if device.half == "2" else None
        return self._legs.get(other.structure) or self._held_leg(other) if other is not None else None

    def _held_leg(self, device: Device) -> Leg | None:
        """The leg of a device that hung up and whose status is not known yet."""
        for dialling in self._diallings.values():
            for leg in dialling.legs:
                if leg.structure == device.structure and leg.held:
                    return leg
        return None

    # -- who dials a channel that came without a Dial event ----------------------------------------------------------

    def _explain(self, device: Device, dialler: str = "", *, is_over: bool = False) -> None:
        """Conclude who dials a device that was not given out yet.

        ``dialler``: the structure it is being linked with. ``is_over``: it hangs up; a channel to which nothing ever
        happened stays unseen, until an OriginateResponse shows what it was.
        """
        if device.is_shown or device.is_helper:
            return
        root = self._root(device)
        if root.is_shown or not root.is_dialled:
            self._show(root)
            self._give_out_inside(root)
            return
        leg = self._legs.get(root.structure)
        if leg is not None:
            self._give_out(leg)
        elif dialler and dialler != root.structure:
            self._begin_by(self._queue_dialling(dialler), root)
        elif (transfer := self._transfer_that_dials(root)) is not None:
            self._consult(root, *transfer)
        elif waiting := self._queued_that_dials(root):
            self.lacks_agent_calls = True
            self._begin_by(self._queue_dialling(waiting), root)
        elif not is_over or self._has_dialled(root):
            root.is_originated = True
            self._begin_by(Dialling(""), root)

    def _begin_by(self, dialling: Dialling, root: Device) -> None:
        interface = root.view.name.rpartition("-")[0]
        self._begin(dialling, root, interface if dialling.is_queue else "")

    def _root(self, device: Device) -> Device:
        """The first device of the chain of dials and Local channels that leads to ``device``."""
        for _ in range(len(self._legs) + 1):
            other = self._devices.other_half(device) if device.half == "2" else None
            if other is not None and not other.is_ended:
                device = other
            leg = self._legs.get(device.structure)
            caller = self._devices.within(leg.dialling.caller) if leg is not None and not leg.is_given_out else None
            if caller is None or not caller.half:
                break
            device = caller
        return device

    def _has_dialled(self, root: Device) -> bool:
        other = self._devices.other_half(root)
        return other is not None and other.structure in self._diallings

    def _numbers_shown(self, root: Device) -> set[str]:
        """Whom the dialled device shows as the other side, or the dialplan of a Local channel as its caller."""
        other = self._devices.other_half(root)
        return {root.view.connected, other.view.number if other is not None else ""} - {""}

    def _queued_that_dials(self, root: Device) -> str:
        """The structure in a queue that rings this member: the first to join of those whose number it shows."""
        if self._shows_agent_calls:
            return ""
        shown = self._numbers_shown(root)
        waiting = [(structure, device) for structure in self._queued if (device := self._devices.within(structure))]
        alike = [structure for structure, device in waiting if device.view.number in shown or not shown]
        unnumbered = [structure for structure, device in waiting if not device.view.number]
        if not shown and len(waiting) > 1:
            return unnumbered[0] if unnumbered else ""
        return alike[0] if alike else ""

    def _transfer_that_dials(self, root: Device) -> tuple[Device, Device] | None:
        """(transferer, transferee) where features.c dials: a colleague who is asked, or the transferer again."""
        named = self._devices.named(self._transferers.get(root.structure, ""))
        if named is not None:
            mate = self._devices.within(self._parted.get(named.structure, ""))
            return (named, mate) if mate is not None else None
        shown = self._numbers_shown(root)
        for one, other in self._parted.items():
            transferer, transferee = self._devices.within(one), self._devices.within(other)
            if transferer is not None and transferee is not None and transferer.view.number in shown:
                return transferer, transferee
        return None

    def _consult(self, root: Device, transferer: Device, transferee: Device) -> None:
        """Asterisk 12 and later puts transferer and asked channel into a bridge before the latter answers; without
        that the two would have nothing in common."""
        if not root.half:
            self._call_back(root, transferer, transferee)
            return
        self._consultations[root.structure] = _Consultation(transferer, transferee, root.structure)
        self._show(root)
        bridge = bridge_id(transferer.structure, root.structure)
        self._enter(transferer, bridge)
        self._enter(root, bridge)
        self._give_out_inside(root)

    def _call_back(self, root: Device, transferer: Device, transferee: Device) -> None:
        """The transferer left while the colleague's phone rang, in vain: they are called for the transferee."""
        if transferer.view.number == root.view.connected:
            transferer, transferee = transferee, transferer  # found by the number that is shown, which is the other's
        if not self._shows_hangup_requests:
            self._out.append(AttendedTransferred(event=_FEATURE, first=transferer.view, transferee=transferee.view))
        self._begin_by(Dialling(transferee.structure), root)

    def _complete(self, consultation: _Consultation) -> None:
        """The transferer left, or transferee and asked channel were linked."""
        del self._consultations[consultation.asked]
        self._out.append(
            AttendedTransferred(
                event=_FEATURE,
                first=consultation.transferer.view,
                transferee=consultation.transferee.view,
                target=self._view(consultation.asked),
            )
        )

    # -- bridges -----------------------------------------------------------------------------------------------------

    def _bridge(self, event: Event) -> None:
        if event.get("Bridgestate") == "Link":
            self._link(event)
        else:
            self._unlink(event)

    def _link(self, event: Event) -> None:
        pair = self._pair(event)
        if pair is None:
            return
        one, other = pair
        if self._devices.links.get(one) == other:
            return
        for structure in pair:
            self._leave_link(structure)
        for structure, mate in (pair, (other, one)):
            device = self._devices.within(structure)
            if device is not None:
                device.was_linked = True
                self._explain(device, mate)
            self._queued.pop(structure, None)
            leg = self._legs.get(structure)
            if leg is not None:
                leg.is_linked = True
        self._devices.links[one], self._devices.links[other] = other, one
        self._end_consultations(one, other)
        for structure in pair:
            device = self._devices.within(structure)
            if device is not None:
                self._enter(device, bridge_id(one, other))

    def _end_consultations(self, one: str, other: str) -> None:
        for structure, mate in ((one, other), (other, one)):
            consultation = self._consultations.get(structure)
            if consultation is None:
                self._part(structure)
            elif consultation.transferer is not self._devices.within(mate):
                self._complete(consultation)
                self._part(consultation.transferer.structure)
            else:
                return  # the consultation itself

    def _unlink(self, event: Event) -> None:
        pair = self._pair(event)
        if pair is not None and self._devices.links.get(pair[0]) == pair[1]:
            self._leave_link(pair[0])
            if pair[0] not in self._consultations and pair[1] not in self._consultations:
                self._parted[pair[0]], self._parted[pair[1]] = pair[1], pair[0]

    def _pair(self, event: Event) -> tuple[str, str] | None:
        one, other = event.get("Uniqueid1"), event.get("Uniqueid2")
        for structure, name in ((one, event.get("Channel1")), (other, event.get("Channel2"))):
            self._see(structure, name)
        return (one, other) if one and other and one != other else None

    def _part(self, structure: str) -> None:
        self._parted.pop(self._parted.pop(structure, ""), None)

    def _leave_link(self, structure: str) -> None:
        mate = self._devices.unlink(structure)
        for each in (structure, mate) if mate else ():
            device = self._devices.within(each)
            if device is not None:
                self._leave(device, bridge_id(structure, mate))

    def _enter(self, device: Device, bridge: str, bridge_type: str = "basic") -> None:
        if device.is_shown and not device.is_helper and not device.is_zombie:
            self._out.append(BridgeEntered(event="Bridge", channel=device.view, bridge=bridge, bridge_type=bridge_type))

    def _leave(self, device: Device, bridge: str) -> None:
        if device.is_shown and not device.is_helper:
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
        if event.get("TransferType") == "Blind":
            self._out.append(
                BlindTransferred(
                    event=event.name,
                    transferer=transferer.view,
                    to=event.get("TransferExten"),
                    transferee=self._view(target.structure) if target is not None else None,
                )
            )
            return
        links = self._devices.links
        self._out.append(
            AttendedTransferred(
                event=event.name,
                first=transferer.view,
                second=self._view(target.structure) if target is not None else None,
                transferee=self._view(links.get(transferer.structure, "")),
                target=self._view(links.get(target.structure, "")) if target is not None else None,
            )
        )

    def _go_to(self, device: Device, to: str) -> None:
        """A device runs the dialplan at ``to``; if it was sent there by ``##``, its transferer may go."""
        transferer = self._blind.pop(device.uniqueid, None)
        if transferer is None:
            return
        self._blind.pop(transferer.uniqueid, None)
        self._out.append(
            BlindTransferred(event="BLINDTRANSFER", transferer=transferer.view, to=to, transferee=device.view)
        )
        self._out += self._sent_on.pop(device.uniqueid, ())

    def _pickup(self, event: Event) -> None:
        picker, target = self._devices.named(event.get("Channel")), self._devices.named(event.get("TargetChannel"))
        if picker is None or target is None or picker.is_ended or target.is_ended:
            return
        for device in (target, picker):
            self._explain(device)
        leg = self._legs.get(target.structure)
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
        device = self._shown_subject(event)
        if device is None:
            return
        self._go_to(device, event.get("Queue"))
        self._part(device.structure)
        self._queued[device.structure] = event.get("Queue")
        self._out.append(
            QueueJoined(event=event.name, channel=device.view, queue=event.get("Queue"), position=event.get("Position"))
        )

    def _queue_leave(self, event: Event) -> None:
        device = self._shown_subject(event)
        if device is not None:
            self._queued.pop(device.structure, None)
            self._out.append(QueueLeft(event=event.name, channel=device.view))

    def _var_set(self, event: Event) -> None:
        variable, value = event.get("Variable"), event.get("Value")
        if variable == "MIXMONITOR_FILENAME":
            device = self._shown_subject(event)
            if device is not None and value:
                self._out.append(RecordingStarted(event=event.name, channel=device.view, path=value))
        elif variable == "TRANSFERERNAME":
            self._transferers[event.get("Uniqueid")] = value
        elif variable == "BLINDTRANSFER":
            device, other = self._subject(event), self._devices.named(value)
            if device is not None and other is not None and self._parted.get(device.structure) == other.structure:
                self._blind[device.uniqueid], self._blind[other.uniqueid] = other, device

    def _newexten(self, event: Event) -> None:
        device = self._devices.within(event.get("Uniqueid"))
        if device is not None and device.uniqueid in self._blind and event.get("Extension") != "h":
            self._go_to(device, event.get("Extension"))
        if event.get("Application") == "VoiceMail":
            device = self._shown_subject(event)
            if device is not None:
                self._out.append(VoicemailStarted(event=event.name, channel=device.view))

    def _originate_response(self, event: Event) -> None:
        asked = event.get("Channel")
        is_success = event.get("Response") == "Success"
        device = self._devices.within(event.get("Uniqueid")) or self._originated(asked)
        if device is not None and not device.is_shown and not is_success:
            self._reveal_failed(device)
        self._out.append(
            OriginateEnded(
                event=event.name,
                uniqueid=device.uniqueid if device is not None else "",
                asked=asked,
                exten=event.get("Exten"),
                is_success=is_success,
                reason=whole(event.get("Reason"), 0),
            )
        )

    def _originated(self, asked: str) -> Device | None:
        """The last channel that an Originate asked for: ``Local/101@from-internal/n``, ``SIP/101``."""
        prefix = asked.removesuffix("/n") + "-"
        candidates = [*self._devices.ended(), *reversed(self._devices.live())]
        return next(
            (
                device
                for device in candidates
                if device.view.name.startswith(prefix)
                and device.half != "2"
                and (device.is_originated or not device.is_shown)
            ),
            None,
        )

    def _reveal_failed(self, device: Device) -> None:
        """An Originate whose channel hung up before anything happened to it."""
        self._show(device)
        status = BY_CAUSE.get(device.cause, "NOANSWER")
        self._out.append(DialBegan(event="Originate", dialled=device.view))
        self._out.append(DialEnded(event="Originate", dialled=device.view, status=status))
        other = self._devices.other_half(device)
        for each in (device, other):
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
        self._give_up_waiting()
        listed = [self._listed(item) for item in items]
        self._out.append(ChannelsListed(event=event.name, channels=tuple(each for each in listed if each is not None)))
        for item in items:
            self._restore_leg(item, items)

    def _give_up_waiting(self) -> None:
        """What the connection was lost in the middle of is given out before the listing that ends or continues it."""
        for ends in self._sent_on.values():
            self._out += ends
        self._sent_on.clear()
        self._blind.clear()
        for dialling in list(self._diallings.values()):
            for leg in dialling.legs:
                if leg.held:
                    self._settle(leg, status_at_end(leg, "CANCEL"), self._out)

    def _listed(self, item: Event) -> ListedChannel | None:
        structure, mate = item.get("UniqueID"), item.get("BridgedUniqueID")
        device = self._see(structure, item.get("Channel"))
        if device is None or device.is_helper or device.is_ended:
            return None
        _update(device, item)
        device.is_shown = True
        self._devices.unlink(structure)
        if mate:
            self._devices.links[structure], self._devices.links[mate] = mate, structure
        return ListedChannel(
            view=device.view,
            duration=_seconds(item.get("Duration")),
            bridge=bridge_id(structure, mate) if mate else "",
            application=item.get("Application"),
        )

    def _restore_leg(self, item: Event, items: list[Event]) -> None:
        """A dialled channel whose Dial event we did not see: a listing names the application's data of who dials."""
        structure = item.get("UniqueID")
        device = self._devices.within(structure)
        if device is None or item.get("Application") not in _DIALLED_APPLICATIONS or structure in self._legs:
            return
        interface = device.view.name.rpartition("-")[0]
        callers = [other.get("UniqueID") for other in items if interface in _interfaces(other.get("ApplicationData"))]
        mate = self._devices.links.get(structure, "")
        caller = mate or (callers[0] if callers else "")
        if not caller:
            return
        dialling = self._diallings.setdefault(caller, Dialling(caller))
        if device.view.state == _UP:
            leg = Leg(structure, dialling, is_answered=True, is_linked=True, is_given_out=True)
            dialling.legs.append(leg)
            self._legs[structure] = leg
        else:
            self._begin(dialling, device, interface.partition("/")[2])

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
        "Unlink": _unlink,
        "VarSet": _var_set,
    }


def _view_of(event: Event) -> ChannelView:
    return ChannelView(
        uniqueid=event.get("Uniqueid"),
        name=event.get("Channel"),
        state=whole(event.get("ChannelState"), 0),
        number=known(event.get("CallerIDNum")),
        caller_name=known(event.get("CallerIDName")),
        connected=known(event.get("ConnectedLineNum")),
        context=event.get("Context"),
        exten=event.get("Exten"),
    )


def _update(device: Device, event: Event) -> None:
    """What the event shows of its channel. Names like ``CallerIDnum`` are the listing's."""
    view = device.view
    state = event.get("ChannelState")
    device.view = attrs.evolve(
        view,
        state=whole(state, 0) if state else view.state,
        number=known(event.get("CallerIDNum")) or view.number,
        caller_name=known(event.get("CallerIDName")) or view.caller_name,
        connected=known(event.get("ConnectedLineNum")) or view.connected,
        context=view.context or event.get("Context"),
        exten=view.exten or event.get("Exten") or event.get("Extension"),
    )


def _interfaces(data: str) -> set[str]:
    """The interfaces of Dial()'s data: ``SIP/101&SIP/102,15,tT``."""
    return {interface.removesuffix("/n") for interface in data.partition(",")[0].split("&")}


def _seconds(duration: str) -> float:
    """``hh:mm:ss`` of a listed channel; hours may exceed 99."""
    parts = [whole(part, 0) for part in duration.split(":")[:3]]
    return float(sum(part * 60**power for power, part in enumerate(reversed(parts))))


WANTED_AMI1 = frozenset(Ami1Adapter.HANDLERS)
"""Names of the events that the adapter reads; the rest may be dropped unread."""
