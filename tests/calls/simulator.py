"""A small Asterisk: people call, ring, talk, transfer, park, pick up; it emits AMI events, and keeps the truth.

Only what real servers send, in the orders in which they send it (``chance`` picks where the order is open). Numbers of
employees are ``1xx``, numbers outside begin with ``+``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs

from tests.calls.panel import Panel
from uac_trio.ami.message import Event

Chance = Callable[[int], int]
"""``chance(n)``: some number from 0 to n - 1."""

STATES = {0: "Down", 4: "Ring", 5: "Ringing", 6: "Up"}


@attrs.define(eq=False)
class Line:
    """A channel. ``who`` is the number of the person there, "" for a half of a Local pair."""

    name: str
    uniqueid: str
    linkedid: str
    who: str
    state: int
    number: str
    context: str
    exten: str
    bridge: Bridge | None = None
    half: Line | None = None
    is_live: bool = True
    dialled_by: Dialling | None = None
    dialling: Dialling | None = None
    originated: bool = False
    waits_in: str = ""
    parked: bool = False

    @property
    def is_employee(self) -> bool:
        return len(self.who) == 3

    @property
    def is_customer(self) -> bool:
        return self.who.startswith("+")


@attrs.define(eq=False)
class Bridge:
    id: str
    type: str = "basic"
    members: list[Line] = attrs.field(factory=list)


@attrs.define(eq=False)
class Dialling:
    """One Dial(), Queue() ring or Originate: ``legs`` are the dialled channels that have not ended."""

    caller: Line | None
    legs: list[Line] = attrs.field(factory=list)
    queue: str = ""


@attrs.define(eq=False)
class Asked:
    """A consultation by feature code (``*2``), the customer alone in ``waiting`` meanwhile."""

    agent: Line
    first: Line
    second: Line
    waiting: Bridge


@attrs.define
class Asterisk:
    chance: Chance
    now: float = 1_700_000_000.0
    events: list[tuple[float, Event]] = attrs.field(factory=list)
    lines: list[Line] = attrs.field(factory=list)
    rang: set[tuple[str, str]] = attrs.field(factory=set)
    """(employee, customer): the employee's phone rang for that customer."""
    talked: set[tuple[str, str]] = attrs.field(factory=set)
    """(employee, customer): they heard each other."""
    panel: Panel = attrs.field(factory=Panel)
    asked: list[Asked] = attrs.field(factory=list)
    _count: int = 0
    _bridges: int = 0

    # -- what it emits -------------------------------------------------------------------------------------------------

    def emit(self, name: str, *parts: dict[str, str]) -> None:
        headers = [("Event", name)]
        for part in parts:
            headers += part.items()
        event = Event(tuple(headers))
        self.events.append((self.now, event))
        self.panel.see(event, self.now)

    def channel(self, line: Line, prefix: str = "") -> dict[str, str]:
        values = {
            "Channel": line.name, "ChannelState": str(line.state), "ChannelStateDesc": STATES[line.state],
            "CallerIDNum": line.number or "<unknown>", "CallerIDName": "<unknown>", "Context": line.context,
            "Exten": line.exten, "Uniqueid": line.uniqueid, "Linkedid": line.linkedid,
        }  # fmt: skip
        return {prefix + name: value for name, value in values.items()}

    def some_order(self, *steps: Callable[[], None]) -> None:
        left = list(steps)
        while left:
            left.pop(self.chance(len(left)))()

    # -- channels ------------------------------------------------------------------------------------------------------

    def new(self, technology: str, who: str, state: int, *, of: Line | None = None, exten: str = "s") -> Line:
        self._count += 1
        uniqueid = f"{int(self.now)}.{self._count}"
        endpoint = "trunk" if who.startswith("+") else who
        context = "from-trunk" if who.startswith("+") else "from-internal"
        number = "" if who.startswith("+") and state == 0 else who
        line = Line(
            f"{technology}/{endpoint}-{self._count:08x}", uniqueid, of.linkedid if of is not None else uniqueid, who,
            state, number, context, exten,
        )  # fmt: skip
        self.lines.append(line)
        self.emit("Newchannel", self.channel(line))
        return line

    def local_pair(self, exten: str, of: Line) -> tuple[Line, Line]:
        self._count += 2
        name = f"Local/{exten}@from-queue-{self._count:08x}"
        halves = [
            Line(f"{name};{half}", f"{int(self.now)}.{count}", of.linkedid, "", state, "", "from-queue", exten)
            for half, state, count in ((1, 0, self._count - 1), (2, 4, self._count))
        ]
        halves[0].half, halves[1].half = halves[1], halves[0]
        for half in halves:
            self.lines.append(half)
            self.emit("Newchannel", self.channel(half))
        return halves[0], halves[1]

    def enter_state(self, line: Line, state: int) -> None:
        if line.state != state:
            line.state = state
            self.emit("Newstate", self.channel(line))

    def hang_up(self, line: Line, cause: int = 16) -> None:
        if not line.is_live:
            return
        self.leave(line)
        line.is_live = False
        self.lines.remove(line)
        if line.dialled_by is not None and line in line.dialled_by.legs:
            line.dialled_by.legs.remove(line)
        cdr = {
            "UniqueID": line.uniqueid, "Channel": line.name, "DestinationChannel": "", "Disposition": "NO ANSWER",
            "BillableSeconds": "0",
        }  # fmt: skip
        self.some_order(
            lambda: self.emit("Hangup", self.channel(line), {"Cause": str(cause)}),
            lambda: self.emit("Cdr", cdr) if line.dialled_by is None else None,
        )

    def asks_to_hang_up(self, line: Line) -> None:
        self.emit("HangupRequest", self.channel(line))

    # -- bridges -------------------------------------------------------------------------------------------------------

    def bridge(self, bridge_type: str = "basic") -> Bridge:
        self._bridges += 1
        return Bridge(f"bridge-{self._bridges}", bridge_type)

    def enter(self, line: Line, bridge: Bridge) -> None:
        self.leave(line)
        bridge.members.append(line)
        line.bridge = bridge
        if bridge.type == "basic":
            oldest = min(bridge.members, key=lambda member: _age(member.linkedid)).linkedid
            for member in bridge.members:
                member.linkedid = oldest
        self.emit("BridgeEnter", {"BridgeUniqueid": bridge.id, "BridgeType": bridge.type}, self.channel(line))
        self._listen()

    def leave(self, line: Line) -> None:
        bridge = line.bridge
        if bridge is not None:
            bridge.members.remove(line)
            line.bridge = None
            self.emit("BridgeLeave", {"BridgeUniqueid": bridge.id, "BridgeType": bridge.type}, self.channel(line))

    def hears(self, line: Line) -> list[Line]:
        """All channels that are connected with this one, and itself."""
        found, todo = [line], [line]
        while todo:
            here = todo.pop()
            near = list(here.bridge.members) if here.bridge is not None and here.bridge.type == "basic" else []
            near += [here.half] if here.half is not None and here.half.is_live else []
            new = [other for other in near if other not in found]
            found += new
            todo += new
        return found

    def _listen(self) -> None:
        for line in self.lines:
            if line.is_employee:
                self.talked |= {(line.who, other.who) for other in self.hears(line) if other.is_customer}

    # -- dialling ------------------------------------------------------------------------------------------------------

    def dial(self, caller: Line, targets: Sequence[str], *, queue: str = "", through_local: bool = False) -> Dialling:
        dialling = caller.dialling = Dialling(caller, queue=queue)
        for target in targets:
            by = caller
            if through_local:
                first, second = self.local_pair(target, caller)
                first.dialled_by = dialling
                self.emit(
                    "DialBegin",
                    self.channel(caller),
                    self.channel(first, "Dest"),
                    {"DialString": f"{target}@from-queue/n"},
                )
                by = second
                second.dialling = Dialling(second)
            technology = "PJSIP" if target != "103" else "SIP"
            leg = self.new(technology, target, 0, of=by)
            leg.dialled_by = dialling if by is caller else second.dialling
            assert leg.dialled_by is not None
            dialling.legs.append(leg)
            if leg.dialled_by is not dialling:
                leg.dialled_by.legs.append(leg)
            if queue:
                self.emit("AgentCalled", self.channel(by), self.channel(leg, "Dest"), {"Queue": queue})
            if leg.is_customer:
                leg.number = target
                self.emit("NewCallerid", self.channel(leg))
            string = f"{target}@trunk" if leg.is_customer else target
            self.emit("DialBegin", self.channel(by), self.channel(leg, "Dest"), {"DialString": string})
        return dialling

    def rings(self, leg: Line) -> None:
        by = self._dialler(leg)
        dialler = self.channel(by) if by is not None else {}
        leg.state = 5
        self.some_order(
            lambda: self.emit("Newstate", self.channel(leg)),
            lambda: self.emit("DialState", dialler, self.channel(leg, "Dest"), {"DialStatus": "RINGING"}),
        )
        asker = self._asker(leg)
        if leg.is_employee and asker is not None:
            waiting = next((asked.waiting.members for asked in self.asked if asked.second is asker), [])
            near = (*self.hears(asker), *waiting)
            self.rang |= {(leg.who, other.who) for other in near if other.is_customer}

    def _dialler(self, leg: Line) -> Line | None:
        return leg.dialled_by.caller if leg.dialled_by is not None else None

    def _asker(self, leg: Line) -> Line | None:
        """Who waits for the answer, Local channels left out."""
        by = self._dialler(leg)
        while by is not None and by.half is not None and by.half.dialled_by is not None:
            by = by.half.dialled_by.caller
        return by

    def ends_dial(self, leg: Line, status: str, cause: int, *, by: Line | None = None, repeated: bool = False) -> None:
        """The leg is given up or gives up."""
        by = by or self._dialler(leg)
        dialler = self.channel(by) if by is not None else {}
        for word in (status, "CANCEL") if repeated else (status,):
            self.emit("DialEnd", dialler, self.channel(leg, "Dest"), {"DialStatus": word})
        self.hang_up(leg, cause)
        self._drop_pair(leg, status, cause)
        asker = self._asker(leg)
        if asker is not None and asker.dialling is not None and leg in asker.dialling.legs:
            asker.dialling.legs.remove(leg)

    def _drop_pair(self, leg: Line, status: str, cause: int) -> None:
        """The Local channel that led to a leg that is gone."""
        second = self._dialler(leg)
        first = second.half if second is not None else None
        if second is None or first is None or not second.is_live or first.bridge is not None:
            return
        outer = self._dialler(first)
        self.some_order(
            lambda: self.emit(
                "DialEnd",
                self.channel(outer) if outer is not None else {},
                self.channel(first, "Dest"),
                {"DialStatus": status},
            ),
            lambda: self.hang_up(second, cause),
        )
        self.hang_up(first, cause)

    def answers(self, leg: Line) -> None:
        """The leg is taken; its caller's other legs are given up, and the two talk."""
        by, asker = self._dialler(leg), self._asker(leg)
        dialling = asker.dialling if asker is not None else None
        losers = [other for other in dialling.legs if other is not leg] if dialling is not None else []
        self.enter_state(leg, 6)

        def takes() -> None:
            self.emit(
                "DialEnd",
                self.channel(by) if by is not None else {},
                self.channel(leg, "Dest"),
                {"DialStatus": "ANSWER"},
            )

        def others_end() -> None:
            for loser in losers:
                self.ends_dial(loser, "CANCEL", 26)

        self.some_order(takes, others_end)
        if by is None:
            self.emit("OriginateResponse", {"Response": "Success", "Reason": "4", "Uniqueid": leg.uniqueid})
            return
        if asker is not None:
            if dialling is not None and dialling.queue:
                self.emit("QueueCallerLeave", self.channel(asker), {"Queue": dialling.queue})
                asker.waits_in = ""
            asker.dialling = None
        bridge = self.bridge()
        if by is not asker and by.half is not None:
            first = by.half
            self.enter_state(first, 6)
            outer = self._dialler(first)
            self.emit(
                "DialEnd",
                self.channel(outer) if outer is not None else {},
                self.channel(first, "Dest"),
                {"DialStatus": "ANSWER"},
            )
            self.enter_state(by, 6)
            if asker is not None and asker is not by:
                self.enter_state(asker, 6)
                near = self.bridge()
                self.some_order(lambda: self.enter(first, near), lambda: self.enter(asker, near))
        else:
            self.enter_state(by, 6)
            if by.half is not None:  # a consultation by feature code: no one dialled the other half
                self.enter_state(by.half, 6)
                self.emit("DialEnd", self.channel(by.half, "Dest"), {"DialStatus": "ANSWER"})
        self.some_order(lambda: self.enter(leg, bridge), lambda: self.enter(by, bridge))

    def optimises(self, second: Line) -> None:
        """A Local channel goes away after the answer; the leg behind it comes into the other bridge."""
        first, inner = second.half, second.bridge
        assert first is not None
        assert inner is not None
        outer = first.bridge
        assert outer is not None
        for leg in [member for member in inner.members if member is not second]:
            leg.dialled_by = None
            self.leave(leg)
            self.leave(first)
            self.enter(leg, outer)
        self.some_order(lambda: self.hang_up(first), lambda: self.hang_up(second))

    # -- what people do ------------------------------------------------------------------------------------------------

    def calls_in(self, customer: str, did: str) -> Line:
        return self.new("PJSIP", customer, 4, exten=did)

    def picks_up_phone(self, employee: str, number: str) -> Line:
        return self.new("PJSIP", employee, 4, exten=number)

    def joins_queue(self, line: Line, queue: str) -> None:
        self.enter_state(line, 6)
        line.waits_in = queue
        self.emit("QueueCallerJoin", self.channel(line), {"Queue": queue, "Position": "1", "Count": "1"})

    def originates(self, employee: str, customer: str) -> Line:
        line = self.new("PJSIP", employee, 0)
        line.originated = True
        line.number, line.exten = customer, customer
        line.dialled_by = Dialling(None, [line])
        self.emit("NewCallerid", self.channel(line))
        self.emit("DialBegin", self.channel(line, "Dest"), {"DialString": employee})
        return line

    def gives_up(self, line: Line) -> None:
        """A caller hangs up before an answer, or in a queue or an IVR."""
        dialling, line.dialling = line.dialling, None
        self.asks_to_hang_up(line)
        queue, line.waits_in = line.waits_in, ""
        if queue:
            self.emit("QueueCallerAbandon", self.channel(line), {"Queue": queue})
            self.emit("QueueCallerLeave", self.channel(line), {"Queue": queue})

        def drop_legs() -> None:
            for leg in list(dialling.legs) if dialling is not None else ():
                self.ends_dial(leg, "CANCEL", 127, by=line if line.is_live and leg.dialled_by is dialling else None)

        drop_legs()
        self.hang_up(line, 127)

    def hangs_up_talk(self, line: Line) -> None:
        """One of two who talk hangs up; the call is over for both, and for the Local channels between them."""
        connected = self.hears(line)
        self.asks_to_hang_up(line)
        if line.bridge is not None:
            self.leave(line)
        self.some_order(*[lambda each=each: self.hang_up(each) for each in connected])

    def transfers_blind(self, agent: Line, mate: Line, target: str) -> None:
        assert agent.bridge is not None
        bridge = {"BridgeUniqueid": agent.bridge.id}
        self.emit(
            "BlindTransfer", {"Result": "Success"}, self.channel(agent, "Transferer"), self.channel(mate, "Transferee"),
            bridge, {"Extension": target, "IsExternal": "Yes"},
        )  # fmt: skip
        self.leave(agent)
        self.leave(mate)
        self.hang_up(agent)
        mate.exten = target
        self.dial(mate, [target])

    def consults(self, agent: Line, target: str) -> Line:
        """By a second call of their own."""
        self.emit("Hold", self.channel(agent))
        second = self.picks_up_phone(agent.who, target)
        self.dial(second, [target])
        return second

    def joins_calls(self, first: Line, second: Line) -> None:
        """REFER with Replaces: the customer of ``first`` comes to who talks with ``second``."""
        assert first.bridge is not None
        assert second.bridge is not None
        mates = [line for line in first.bridge.members if line is not first]
        targets = [line for line in second.bridge.members if line is not second]
        bridge = second.bridge
        for line in (first, second):
            self.emit("Unhold", self.channel(line))
        before = [self.channel(second, "SecondTransferer"), self.channel(targets[0], "TransferTarget")]
        self.leave(mates[0])
        self.leave(second)
        self.enter(mates[0], bridge)
        self.emit(
            "AttendedTransfer", {"Result": "Success", "DestType": "Bridge"}, self.channel(first, "OrigTransferer"),
            *before, self.channel(mates[0], "Transferee"),
        )  # fmt: skip
        self.some_order(lambda: self.hang_up(first), lambda: self.hang_up(second))

    def consults_by_feature(self, agent: Line, target: str) -> None:
        waiting = agent.bridge
        assert waiting is not None
        first, second = self.local_pair(target, agent)
        self.asked.append(Asked(agent, first, second, waiting))
        bridge = self.bridge()
        self.enter(first, bridge)
        self.leave(agent)
        self.enter(agent, bridge)
        second.number = agent.who
        self.emit("NewCallerid", self.channel(second))
        self.dial(second, [target])

    def returns(self, asked: Asked) -> None:
        """The colleague does not want to; back to the customer."""
        self.asked.remove(asked)
        self.enter(asked.agent, asked.waiting)
        self.some_order(lambda: self.hang_up(asked.first), lambda: self.hang_up(asked.second))

    def transfers_by_feature(self, asked: Asked) -> None:
        """The one who asked a colleague over a Local channel hangs up; the customer comes to the colleague."""
        self.asked.remove(asked)
        agent, first, waiting = asked.agent, asked.first, asked.waiting
        self.asks_to_hang_up(agent)
        self.leave(agent)
        self.leave(first)
        self.enter(first, waiting)
        self.emit(
            "AttendedTransfer", {"Result": "Success", "DestType": "Bridge"}, self.channel(agent, "OrigTransferer"),
            self.channel(agent, "SecondTransferer"), self.channel(waiting.members[0], "Transferee"),
            self.channel(first, "TransferTarget"),
        )  # fmt: skip
        self.hang_up(agent)

    def picks_up(self, employee: str, leg: Line) -> None:
        """Takes the call that rings another's phone."""
        by = self._dialler(leg)
        assert by is not None
        mine = self.picks_up_phone(employee, "*8")
        self.emit("Pickup", self.channel(mine), self.channel(leg, "Target"))
        self.enter_state(mine, 6)
        self.emit("DialEnd", self.channel(by), self.channel(mine, "Dest"), {"DialStatus": "ANSWER"})
        dialling, by.dialling = by.dialling, None
        by.waits_in = ""
        self.hang_up(leg, (16, 26)[self.chance(2)])
        for other in list(dialling.legs) if dialling is not None else ():
            self.ends_dial(other, "CANCEL", 26)
        self.enter_state(by, 6)
        bridge = self.bridge()
        self.some_order(lambda: self.enter(mine, bridge), lambda: self.enter(by, bridge))

    def parks(self, agent: Line, mate: Line) -> None:
        where = {"ParkerDialString": f"PJSIP/{agent.who}", "ParkingSpace": "701"}

        def parked() -> None:
            self.emit("ParkedCall", self.channel(mate, "Parkee"), where)

        self.leave(mate)
        self.some_order(parked, lambda: self.enter(mate, self.bridge("parking")))
        mate.parked = True
        self.hang_up(agent)

    def retrieves(self, employee: str, parked: Line) -> None:
        mine = self.picks_up_phone(employee, "701")
        self.enter_state(mine, 6)
        self.emit(
            "UnParkedCall", self.channel(parked, "Parkee"), self.channel(mine, "Retriever"),
            {"ParkerDialString": "PJSIP/101", "ParkingSpace": "701"},
        )  # fmt: skip
        parked.parked = False
        bridge = self.bridge()
        self.enter(parked, bridge)
        self.enter(mine, bridge)

    def listing(self) -> list[Event]:
        return self.panel.listing(self.now)


def _age(uniqueid: str) -> tuple[int, int]:
    epoch, _, counter = uniqueid.partition(".")
    return int(epoch), int(counter)
