"""AMI events written down channel by channel, and fed to a tracker as they come: for scenes that no recording shows.

A method is one event, or the few that always come together; none knows a scenario. Orders and headers are those of
the recordings of Asterisk 16 and 22. Numbers with a plus are outside numbers.
"""

from __future__ import annotations

from typing import Any, TypeVar

import attrs

from tests.calls.invariants import broken, left_over
from tests.calls.panel import Panel
from tests.calls.streams import due
from uac_trio.ami.message import Event
from uac_trio.calls.call import ClickOrder
from uac_trio.calls.fact import (
    CallEnded,
    Fact,
    NotAnEmployee,
    ParticipationAnswered,
    ParticipationBegan,
    ParticipationEnded,
    RecordingKnown,
)
from uac_trio.calls.names import creation_order
from uac_trio.calls.rules import TrackerRules
from uac_trio.calls.tracker import CallTracker

CUSTOMER = "+79161234567"
OTHER_CUSTOMER = "+79167778899"
DID = "4951000100"
START = 1_700_000_000.0

AnyFact = TypeVar("AnyFact", bound=Fact)


@attrs.define(eq=False)
class Chan:
    """A channel as its latest event shows it."""

    name: str
    uniqueid: str
    linkedid: str
    number: str
    context: str
    exten: str
    state: int
    connected: str = ""
    tenant: str = ""
    bridge: str = ""
    half: Chan | None = None

    def headers(self, prefix: str = "") -> dict[str, str]:
        values = {
            "Channel": self.name, "Uniqueid": self.uniqueid, "Linkedid": self.linkedid,
            "ChannelState": str(self.state), "CallerIDNum": self.number or "<unknown>",
            "CallerIDName": "<unknown>", "ConnectedLineNum": self.connected or "<unknown>",
            "Context": self.context, "Exten": self.exten,
        }  # fmt: skip
        if self.tenant:
            values["Tenantid"] = self.tenant
        return {prefix + name: value for name, value in values.items()}


@attrs.define
class Story:
    """All that was emitted of what happened on a wire."""

    facts: list[Fact]

    @property
    def calls(self) -> list[dict[str, Any]]:
        """Summaries of the calls, in order of their end; ``parts``: extension to outcome."""
        summaries = [fact.summary.as_json() for fact in self.facts if isinstance(fact, CallEnded)]
        return [
            {**summary, "parts": {part["extension"]: part["outcome"] for part in summary["participations"]}}
            for summary in summaries
        ]

    def shows(self, **expected: object) -> None:
        """The one call that was reported has these values in its summary."""
        (call,) = self.calls
        assert {key: call[key] for key in expected} == expected

    @property
    def began(self) -> list[tuple[str, str, str]]:
        """(extension, role, customer) of each popup."""
        return [(fact.extension, fact.role.value, fact.customer) for fact in self._of(ParticipationBegan)]

    @property
    def answered(self) -> list[str]:
        return [fact.extension for fact in self._of(ParticipationAnswered)]

    @property
    def ended(self) -> list[tuple[str, str]]:
        """(extension, outcome) of each participation."""
        return [(fact.extension, fact.outcome.value) for fact in self._of(ParticipationEnded)]

    @property
    def talks(self) -> list[tuple[str, str, float]]:
        """(extension, customer, seconds) of each participation in which there was talk."""
        return [
            (fact.extension, fact.customer, round(fact.talk_secs, 1))
            for fact in self._of(ParticipationEnded)
            if fact.talk_secs
        ]

    @property
    def recordings(self) -> list[tuple[str, str]]:
        return [(fact.extension, fact.path) for fact in self._of(RecordingKnown)]

    @property
    def not_employees(self) -> list[str]:
        """Why phones that rang are no employee's."""
        return [fact.because for fact in self.facts if isinstance(fact, NotAnEmployee)]

    def _of(self, kind: type[AnyFact]) -> list[AnyFact]:
        return [fact for fact in self.facts if isinstance(fact, kind)]


class Wire:
    """A server, its clock, and the tracker that reads its events."""

    def __init__(
        self, rules: TrackerRules | None = None, *, shows_linkedid: bool = True, filtered: tuple[str, ...] = ()
    ) -> None:
        """``filtered``: names of events that do not reach us."""
        self.rules = rules or TrackerRules()
        self.tracker = CallTracker("main", self.rules)
        self.now = START
        self.shows_linkedid = shows_linkedid
        self.filtered = filtered
        self.is_heard = True
        """The connection is up."""
        self._facts: list[Fact] = []
        self._panel = Panel()
        self.live: list[Chan] = []
        self._count = 0

    # -- time and connection -----------------------------------------------------------------------------------------

    def wait(self, secs: float) -> None:
        self.now = round(self.now + secs, 3)
        self._facts += due(self.tracker, self.now)

    def lose_connection(self) -> None:
        self.is_heard = False
        self.tracker.lost(self.now)

    def reconnect(self) -> None:
        """And list the channels."""
        self.is_heard = True
        self.tracker.connected(self.now)
        self.list_channels()

    def list_channels(self) -> None:
        for item in self._panel.listing(self.now):
            headers = [header for header in item.headers if self.shows_linkedid or header[0] != "Linkedid"]
            self._facts += self.tracker.process(Event(tuple(headers)), self.now)

    def restart_connector(self) -> None:
        """A tracker that knows nothing of what was before, and a list of channels."""
        self._facts.clear()
        self.tracker = CallTracker("main", self.rules)
        self.reconnect()

    def order(self, click: ClickOrder) -> None:
        self.tracker.ordered(click, self.now)

    @property
    def so_far(self) -> Story:
        return Story(list(self._facts))

    def story(self) -> Story:
        """All is over: the invariants hold, and nothing is left in the tracker."""
        self.wait(3600.0)
        assert broken(self._facts) == []
        assert left_over(self.tracker) == {}
        return self.so_far

    def emit(self, event_name: str, *parts: dict[str, str]) -> None:
        headers = [(key, value) for part in parts for key, value in part.items()]
        event = Event((("Event", event_name), *headers))
        self._panel.see(event, self.now)
        if not self.shows_linkedid:
            event = Event(tuple(header for header in event.headers if not header[0].endswith("Linkedid")))
        if self.is_heard and event_name not in self.filtered:
            self._facts += due(self.tracker, self.now)
            self._facts += self.tracker.process(event, self.now)

    # -- channels ----------------------------------------------------------------------------------------------------

    def channel(
        self, endpoint: str, number: str = "", *, state: int = 0, context: str = "from-internal", exten: str = "s",
        of: Chan | None = None, uniqueid: str = "", tenant: str = "",
    ) -> Chan:  # fmt: skip
        """A new channel, in the call of ``of``."""
        self._count += 1
        uniqueid = uniqueid or f"{int(START)}.{self._count}"
        name = endpoint if ";" in endpoint else f"{endpoint}-{self._count:08x}"
        linkedid = of.linkedid if of is not None else uniqueid
        chan = Chan(name, uniqueid, linkedid, number, context, exten, state, tenant=tenant)
        self.live.append(chan)
        self.emit("Newchannel", chan.headers())
        return chan

    def local(
        self, exten: str, *, of: Chan | None = None, context: str = "from-internal", uniqueid: str = ""
    ) -> tuple[Chan, Chan]:
        """The halves of a new Local channel: ;1 is dialled, ;2 runs the dialplan."""
        self._count += 1
        name, count = f"Local/{exten}@{context}", self._count
        first = self.channel(f"{name}-{count:08x};1", context=context, exten=exten, of=of, uniqueid=uniqueid)
        second_id = f"{uniqueid};2" if uniqueid else ""
        second = self.channel(
            f"{name}-{count:08x};2", state=4, context=context, exten=exten, of=of or first, uniqueid=second_id
        )
        first.half, second.half = second, first
        return first, second

    def calls_in(self, customer: str = CUSTOMER, did: str = DID, *, trunk: str = "PJSIP/trunk") -> Chan:
        return self.channel(trunk, customer, state=4, context="from-trunk", exten=did)

    def phone(self, extension: str, of: Chan | None = None, *, context: str = "from-internal") -> Chan:
        """A channel to the desk phone of an employee, made by a Dial of ``of``."""
        return self.channel(f"PJSIP/{extension}", extension, context=context, of=of)

    def line(self, of: Chan, *, trunk: str = "PJSIP/trunk") -> Chan:
        """A channel to the outside, made by a Dial of ``of``."""
        return self.channel(trunk, context="from-trunk", of=of)

    def shows(self, chan: Chan, number: str = "", connected: str = "") -> None:
        """NewCallerid: the number is another, or the one of the other side."""
        chan.number, chan.connected = number or chan.number, connected or chan.connected
        self.emit("NewCallerid", chan.headers())

    def enter_state(self, chan: Chan, state: int) -> None:
        chan.state = state
        self.emit("Newstate", chan.headers())

    def rings(self, *chans: Chan) -> None:
        for chan in chans:
            self.enter_state(chan, 5)

    def up(self, *chans: Chan) -> None:
        for chan in chans:
            if chan.state != 6:
                self.enter_state(chan, 6)

    def runs(self, chan: Chan, application: str) -> None:
        self.emit("Newexten", chan.headers(), {"Application": application})

    def ask_hangup(self, chan: Chan, cause: int = 16) -> None:
        """Its own end hangs up."""
        self.emit("HangupRequest", chan.headers(), {"Cause": str(cause)})

    def hang_up(self, *chans: Chan, cause: int = 16) -> None:
        for chan in chans:
            self.leave(chan)
            self.live.remove(chan)
            self.emit("Hangup", chan.headers(), {"Cause": str(cause)})

    # -- dials -------------------------------------------------------------------------------------------------------

    def dial(self, caller: Chan | None, dialled: Chan, dial_string: str = "") -> Chan:
        """DialBegin; of an Originate ``caller`` is None. Returns ``dialled``."""
        headers = caller.headers() if caller is not None else {}
        if caller is not None:
            self.runs(caller, "Dial")
            dialled.connected = caller.number
        string = dial_string or dialled.name.partition("/")[2].rpartition("-")[0]
        self.emit("DialBegin", headers, dialled.headers("Dest"), {"DialString": string})
        return dialled

    def dial_ends(self, caller: Chan | None, dialled: Chan, status: str, *, forward: str = "") -> None:
        headers = caller.headers() if caller is not None else {}
        more = {"Forward": forward} if forward else {}
        self.emit("DialEnd", headers, dialled.headers("Dest"), {"DialStatus": status}, more)

    def gives_up(self, caller: Chan | None, *dialled: Chan, status: str = "CANCEL", cause: int = 0) -> None:
        """The dialled channels are given up, or refuse."""
        for chan in dialled:
            self.dial_ends(caller, chan, status)
            self.hang_up(chan, cause=cause)

    def dial_string(self, chan: Chan, number: str) -> str:
        return f"{number}@{chan.name.partition('/')[2].rpartition('-')[0]}"

    def dials_out(self, caller: Chan, number: str = CUSTOMER) -> Chan:
        """The line to an outside number, which Dial tries."""
        line = self.line(caller)
        self.shows(line, number)
        return self.dial(caller, line, self.dial_string(line, number))

    def originate_ends(self, chan: Chan, exten: str, *, reason: int) -> None:
        response = "Success" if reason == 4 else "Failure"
        asked = chan.name.rpartition("-")[0]
        headers = {"Response": response, "Channel": asked, "Exten": exten, "Reason": str(reason)}
        self.emit("OriginateResponse", headers, {"Uniqueid": chan.uniqueid})

    # -- bridges -----------------------------------------------------------------------------------------------------

    def bridge(self, *chans: Chan, kind: str = "basic") -> str:
        """All enter a new bridge. Returns its id."""
        self._count += 1
        bridge = f"{kind}-{self._count}"
        for chan in chans:
            self.enter(chan, bridge)
        return bridge

    def enter(self, chan: Chan, bridge: str, *, instead_of: Chan | None = None) -> None:
        self.leave(chan)
        if instead_of is not None:
            self.leave(instead_of)
        chan.bridge = bridge
        members = [each for each in self.live if each.bridge == bridge]
        if bridge.startswith("basic"):
            oldest = min((each.linkedid for each in members), key=creation_order)
            for each in members:
                each.linkedid = oldest
        swapped = {"SwapUniqueid": instead_of.uniqueid} if instead_of is not None else {}
        kind = {"BridgeUniqueid": bridge, "BridgeType": bridge.rpartition("-")[0]}
        self.emit("BridgeEnter", kind, chan.headers(), swapped)

    def leave(self, *chans: Chan) -> None:
        for chan in chans:
            if chan.bridge:
                bridge, chan.bridge = chan.bridge, ""
                kind = {"BridgeUniqueid": bridge, "BridgeType": bridge.rpartition("-")[0]}
                self.emit("BridgeLeave", kind, chan.headers())

    def answers(self, caller: Chan, dialled: Chan) -> str:
        """The phone is picked up, and Dial() connects it with its caller at once. Returns the bridge's id."""
        self.up(dialled)
        self.dial_ends(caller, dialled, "ANSWER")
        self.up(caller)
        return self.bridge(dialled, caller)

    def talk_ends(self, first: Chan, *others: Chan) -> None:
        """``first`` hangs up, and all end."""
        self.ask_hangup(first)
        self.leave(first, *others)
        self.hang_up(first, *others)

    def optimise(self, phone: Chan, second: Chan) -> None:
        """The Local channel between ``phone`` and another bridge goes away."""
        first = second.half
        assert first is not None
        self.enter(phone, first.bridge, instead_of=first)
        self.ask_hangup(second)
        self.hang_up(first, second)

    # -- queues, transfers, parking, Cdr -----------------------------------------------------------------------------

    def joins_queue(self, chan: Chan, queue: str = "support") -> None:
        self.up(chan)
        self.runs(chan, "Queue")
        self.emit("QueueCallerJoin", chan.headers(), {"Queue": queue, "Position": "1", "Count": "1"})

    def leaves_queue(self, chan: Chan, queue: str = "support") -> None:
        self.emit("QueueCallerLeave", chan.headers(), {"Queue": queue, "Position": "1", "Count": "0"})

    def queue_rings(self, caller: Chan, extension: str) -> Chan:
        """Queue() rings a member's phone."""
        phone = self.phone(extension, caller)
        self.emit("AgentCalled", caller.headers(), phone.headers("Dest"), {"Queue": "support"})
        self.dial(caller, phone, f"PJSIP/{extension}")
        self.rings(phone)
        return phone

    def cdr(self, a: Chan, b: Chan | None, path: str = "", *, is_answered: bool = True, **more: str) -> None:
        headers = {
            "UniqueID": a.uniqueid, "Channel": a.name, "DestinationChannel": b.name if b is not None else "",
            "Disposition": "ANSWERED" if is_answered else "NO ANSWER", "BillableSeconds": "5", "recordingpath": path,
        }  # fmt: skip
        self.emit("Cdr", headers, more)


@attrs.define
class Office:
    """Makes wires; on one that is not new, calls were heard before."""

    is_new: bool

    def wire(
        self, rules: TrackerRules | None = None, *, shows_linkedid: bool = True, filtered: tuple[str, ...] = ()
    ) -> Wire:
        wire = Wire(rules, shows_linkedid=shows_linkedid, filtered=filtered)
        if not self.is_new:
            everyday_call(wire)
        return wire


def everyday_call(wire: Wire) -> None:
    """So that BridgeEnter and HangupRequest were seen, and their absence means something."""
    caller = wire.channel("PJSIP/198", "198", state=4, exten="199")
    phone = wire.phone("199", caller)
    wire.dial(caller, phone)
    wire.rings(phone)
    wire.answers(caller, phone)
    wire.wait(5.0)
    wire.talk_ends(phone, caller)
    wire.wait(60.0)
    wire._facts.clear()
