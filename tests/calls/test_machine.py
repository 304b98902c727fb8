"""Any legal sequence of events, with breaks, losses, doubles and restarts in it: the facts stay true and whole."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from random import Random

import attrs
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from tests.calls.crm_office import Office, crm_of, ends, token
from tests.calls.invariants import broken, ended_parts, left_over, with_customers
from tests.calls.simulator import Asterisk
from tests.calls.steps import Step, steps
from tests.calls.stored_logs import StoredLogs
from tests.calls.streams import due
from uac_trio.ami.message import Event
from uac_trio.calls.fact import CallEnded, Fact, ParticipationBegan, ParticipationEnded
from uac_trio.calls.rules import TrackerRules
from uac_trio.calls.tracker import CallTracker
from uac_trio.crm.delivery import Delivery, Kind
from uac_trio.pipeline import Begun, Pipeline

LIKELY = {
    "answers": 8, "rings": 8, "attended transfer": 8, "attended transfer by feature": 6, "blind transfer": 3,
    "consults": 3, "consults by feature": 2, "retrieve": 3, "optimise": 3, "dials": 4,
    "rings through Local": 2, "rings all": 2,
}  # fmt: skip
"""How often a step stands in the list that is drawn from: else most calls would end before they begin."""

ENDINGS = frozenset(
    {"hangs up", "caller gives up", "parked one hangs up", "operator does not answer", "back to the customer",
     "is busy", "asked in vain", "attended transfer by feature"}
)  # fmt: skip
PAUSES = (0.001, 0.3, 1.7, 40.0)
RULES = TrackerRules(internal="report", unreached="105")
CONNECTOR_RULES = TrackerRules(internal="report")


@attrs.define
class Witness:
    """A tracker with all it ever said."""

    tracker: CallTracker = attrs.field(factory=lambda: CallTracker("main", RULES))
    facts: list[Fact] = attrs.field(factory=list)

    def see(self, event: Event, at: float) -> None:
        self.facts += due(self.tracker, at)
        self.facts += self.tracker.process(event, at)

    def reconnect(self, pbx: Asterisk) -> None:
        self.facts += due(self.tracker, pbx.now)
        self.tracker.lost(pbx.now)
        self.tracker.connected(pbx.now)
        for event in pbx.listing():
            self.facts += self.tracker.process(event, pbx.now)


@attrs.define
class Logged:
    """A connector that keeps event logs."""

    pipeline: Pipeline = attrs.field(factory=lambda: Pipeline(CONNECTOR_RULES, crm_of(), token, run="0"))
    logs: StoredLogs = attrs.field(factory=StoredLogs)

    def connected(self, pbx: str, at: float) -> list[Delivery]:
        return self._stored(self.pipeline.connected(pbx, at))

    def lost(self, pbx: str, at: float) -> list[Delivery]:
        return self._stored(self.pipeline.lost(pbx, at))

    def received(self, pbx: str, events: Sequence[Event], at: float) -> list[Delivery]:
        return self._stored(self.pipeline.received(pbx, events, at))

    def tick(self, at: float) -> list[Delivery]:
        return self._stored(self.pipeline.tick(at))

    def restart(self, left_open: Sequence[Begun], ended: Sequence[Delivery]) -> list[Delivery]:
        run = str(int(self.pipeline.run) + 1)
        self.pipeline = Pipeline(CONNECTOR_RULES, crm_of(), token, run=run)
        restored = self.pipeline.restore("main", left_open, self.logs.read(), ended)
        assert restored.misfits == ()
        self._stored([])
        self.logs.forget_all_but(run)
        return list(restored.deliveries)

    def _stored(self, deliveries: list[Delivery]) -> list[Delivery]:
        self.logs.write(self.pipeline.take_log_changes({each.call_id for each in deliveries} or None))
        return deliveries


class Calls(RuleBasedStateMachine):
    """Five observers of one PBX: one sees all; one also doubles and snapshots; one misses events, and whole stretches;
    two are connectors that get restarted, one of them with event logs."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers: Iterator[str] = (f"+7916{number:07}" for number in itertools.count(1))
        self.done: list[str] = []
        self.delivered = 0
        self.cut_off_at: int | None = None
        self.plain, self.doubled, self.lossy = Witness(), Witness(), Witness()
        self.office, self.uncut_office, self.logged_office = Office(), Office(), Office()
        self.connector = Pipeline(CONNECTOR_RULES, crm_of(), token)
        self.logged = Logged()
        self.uncut_connector = Pipeline(CONNECTOR_RULES, crm_of(), token)
        self.whole: list[Fact] = []

    @initialize(seed=st.integers(0, 2**32))
    def start(self, seed: int) -> None:
        self.pbx = Asterisk(Random(seed).randrange)
        for _, pipeline in self.connectors():
            pipeline.connected("main", self.pbx.now)
            pipeline.received("main", self.pbx.listing(), self.pbx.now)
        self.restarts = 0

    def connectors(self) -> list[tuple[Office, Pipeline | Logged]]:
        return [
            (self.office, self.connector),
            (self.uncut_office, self.uncut_connector),
            (self.logged_office, self.logged),
        ]

    # -- what happens --------------------------------------------------------------------------------------------------

    @rule(choice=st.integers(0, 10_000), pause=st.sampled_from(PAUSES))
    def something_happens(self, choice: int, pause: float) -> None:
        possible = [step for step in steps(self.pbx, self.numbers) for _ in range(LIKELY.get(step[0], 1))]
        self.carry_out(possible[choice % len(possible)], pause)

    @rule(choices=st.lists(st.integers(0, 10_000), min_size=5, max_size=20))
    def much_happens(self, choices: list[int]) -> None:
        for choice in choices:
            self.something_happens(choice, PAUSES[choice % 3])

    @rule()
    def a_snapshot_is_taken(self) -> None:
        self.doubled.reconnect(self.pbx)

    @rule(drop=st.booleans())
    def a_session_breaks(self, drop: bool) -> None:
        self.lossy.tracker.lost(self.pbx.now)
        self.cut_off_at = len(self.pbx.events) if drop else None
        if not drop:
            self.lossy.reconnect(self.pbx)

    @precondition(lambda self: self.cut_off_at is not None)
    @rule()
    def the_session_is_back(self) -> None:
        self.cut_off_at = None
        self.lossy.reconnect(self.pbx)

    @rule()
    def the_connector_is_restarted(self) -> None:
        now = self.pbx.now
        for office, pipeline in self.connectors():
            office.put(pipeline.tick(now))
        self.connector = Pipeline(CONNECTOR_RULES, crm_of(), token)
        self.connector.restore("main", self.office.left_open("main"))
        office = self.logged_office
        office.put(self.logged.restart(office.left_open("main"), ends(office.sent)))
        for office, pipeline in ((self.office, self.connector), (self.logged_office, self.logged)):
            office.put(pipeline.connected("main", now))
            office.put(pipeline.received("main", self.pbx.listing(), now))
        self.restarts += 1

    @rule()
    def asterisk_is_restarted(self) -> None:
        """Its channels are gone silently."""
        self.pbx = attrs.evolve(self.pbx, now=self.pbx.now + 20.0, lines=[], asked=[], panel=type(self.pbx.panel)())
        for witness in (self.plain, self.doubled, self.lossy):
            witness.facts += due(witness.tracker, self.pbx.now - 10.0)
            witness.tracker.lost(self.pbx.now - 10.0)
            witness.tracker.connected(self.pbx.now)
            witness.see(Event((("Event", "FullyBooted"), ("Uptime", "3"))), self.pbx.now)
            for event in self.pbx.listing():
                witness.see(event, self.pbx.now)
        for office, pipeline in self.connectors():
            office.put(pipeline.tick(self.pbx.now - 10.0))
            office.put(pipeline.lost("main", self.pbx.now - 10.0))
            office.put(pipeline.connected("main", self.pbx.now))
            office.put(pipeline.received("main", self.pbx.listing(), self.pbx.now))
        self.cut_off_at = None
        self.done.append("restart")

    # -- how it is seen ------------------------------------------------------------------------------------------------

    def carry_out(self, step: Step, pause: float) -> None:
        label, do = step
        self.pbx.now += pause
        do()
        self.done.append(label)
        for at, event in self.pbx.events[self.delivered :]:
            self.plain.see(event, at)
            self.doubled.see(event, at)
            if self.pbx.chance(8) == 0:
                self.doubled.see(event, at)
            if self.cut_off_at is None and self.pbx.chance(12) != 0:
                self.lossy.see(event, at)
            for office, pipeline in self.connectors():
                office.put(pipeline.tick(at))
                office.put(pipeline.received("main", [event], at))
        self.delivered = len(self.pbx.events)

    def teardown(self) -> None:
        if not hasattr(self, "pbx"):
            return
        while endings := [step for step in steps(self.pbx, self.numbers) if step[0] in ENDINGS]:
            self.carry_out(endings[0], 0.3)
        assert not self.pbx.lines
        self.pbx.now += 60.0
        for witness in (self.plain, self.doubled, self.lossy):
            if witness is not self.plain:
                witness.reconnect(self.pbx)
            witness.facts += due(witness.tracker, self.pbx.now + 60.0)
            assert left_over(witness.tracker) == {}
            assert broken(witness.facts) == []
        self.check_truth()
        assert ended_parts(self.doubled.facts) == ended_parts(self.plain.facts)
        self.check_rows()

    def check_truth(self) -> None:
        """Who rang and who talked, of those who saw it all."""
        facts = self.plain.facts
        if "restart" in self.done:
            return
        talked = with_customers(facts, ParticipationEnded, talked=True)
        assert self.pbx.talked <= talked
        if "consults by feature" not in self.done:  # there who answers a colleague has part in the customer's call
            assert talked <= self.pbx.talked
        began = with_customers(facts, ParticipationBegan)
        assert self.pbx.rang <= began
        ended = Counter(
            fact.summary.as_json()["customer"]
            for fact in facts
            if isinstance(fact, CallEnded) and fact.summary.as_json()["direction"] == "inbound"
        )
        assert not [customer for customer, times in ended.items() if times != 1]

    def check_rows(self) -> None:
        """The restarted connector's rows and those of one that was never restarted."""
        for office, pipeline in self.connectors():
            office.put(pipeline.tick(self.pbx.now + 120.0))
            assert not office.crm.stuck()
            assert not office.crm.doubles()
        assert self.logged_office.rows() == self.uncut_office.rows()
        rows, uncut = self.office.rows(), self.uncut_office.rows()
        assert rows.keys() == uncut.keys()
        begun = Counter((each.call_id, each.extension) for each in self.office.sent if each.kind is Kind.BEGIN)
        talked = [
            {who for who, (status, *_) in each.items() if status == "completed" and begun[who] == 1}
            for each in (rows, uncut)
        ]  # of who took part again, a new process does not know what their row held before
        assert talked[0] == talked[1]


TestCalls = Calls.TestCase
