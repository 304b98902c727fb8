"""A restart in the middle of recorded calls, without I/O: the pipeline, and an outbox that is a dict."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from tests.calls.crm_office import crm_of, left_open, token
from tests.soak.calls import Row, new_crm, rows_of
from uac_trio.ami.message import Event
from uac_trio.calls import WANTED_EVENTS
from uac_trio.calls.rules import TrackerRules
from uac_trio.crm.delivery import Delivery
from uac_trio.demo.recorded_pbx import RecordedPBX
from uac_trio.demo.recording import Recording, TimedEvent
from uac_trio.journal import Heard, read_line, write_line
from uac_trio.pipeline import Pipeline

EPOCH = 1_795_000_000.0
RULES = TrackerRules()
CRM = crm_of()


@attrs.define(eq=False)
class Host:
    """A connector that can be restarted. Time is that of the recording."""

    outbox: dict[str, Delivery] = attrs.field(factory=dict)
    """By key, in the order in which they were put."""
    at: float = 0.0
    pbx: RecordedPBX = attrs.field(
        default=attrs.Factory(lambda self: RecordedPBX(now=lambda: EPOCH + self.at), takes_self=True)
    )
    pipeline: Pipeline = attrs.field(init=False)
    rules: TrackerRules = attrs.field(factory=TrackerRules)
    keeps_journal: bool = True
    journal: list[tuple[float, str]] = attrs.field(factory=list)
    """Its lines, and the time of each: to read them all after every event would take most of the time."""

    def __attrs_post_init__(self) -> None:
        self.start(0.0)

    def start(self, at: float, *others: Sequence[tuple[float, str]]) -> bool:
        """Begin anew with what is in the outbox, in the journal and in those of ``others``, and log in.

        False: the outbox and the journal did not fit.
        """
        self.pipeline = Pipeline(self.rules, CRM, token)
        journals = [[read_line(line) for _, line in journal] for journal in (self.journal, *others) if journal]
        fits = self.pipeline.restore("main", left_open(self.outbox.values()), journals)
        if self.journal:
            self._note(Heard("lost", self.journal[-1][0]))
        self.connect(at)
        return fits

    def connect(self, at: float) -> None:
        """Log in, and take the snapshot in."""
        self._note(Heard("connected", EPOCH + at))
        self._put(self.pipeline.connected("main", EPOCH + at))
        shown = [Event((("Event", "CoreShowChannel"), *one.items())) for one in self.pbx.channels()]
        end = Event((("Event", "CoreShowChannelsComplete"), ("ListItems", str(len(shown)))))
        self._note(Heard("received", EPOCH + at, (*shown, end)))
        self._put(self.pipeline.received("main", [*shown, end], EPOCH + at))

    def lose(self, at: float) -> None:
        self._note(Heard("lost", EPOCH + at))
        self._put(self.pipeline.lost("main", EPOCH + at))

    def hear(self, timed: TimedEvent, *, listening: bool = True) -> None:
        """It happens at the PBX; the connector is told if it is there."""
        self.at = timed.at
        self.pbx.tell_nowait(timed.event)
        if listening:
            self._put(self.pipeline.tick(EPOCH + timed.at))
            if timed.event.name in WANTED_EVENTS:
                self._note(Heard("received", EPOCH + timed.at, (timed.event,)))
                self._put(self.pipeline.received("main", [timed.event], EPOCH + timed.at))

    def finish(self, at: float) -> None:
        for second in range(60):
            self._put(self.pipeline.tick(EPOCH + at + second))

    def rows(self) -> dict[str, tuple[Row, ...]]:
        """What a CRM has that was told all of it, in order."""
        crm = new_crm("s")
        for delivery in self.outbox.values():
            for request in CRM.requests(delivery):
                crm.callback({**request.about, "vtigersignature": "s"}, delivery.at)
        assert crm.hazards == []
        return {of_call[0].sourceuuid: rows_of(of_call) for of_call in crm.tables.calls()}

    def _note(self, heard: Heard) -> None:
        """Into the journal, of which no more is kept than the calls in progress need."""
        if self.keeps_journal:
            since = self.pipeline.unfinished_since("main")
            self.journal = [(at, line) for at, line in self.journal if since is not None and at >= since]
            self.journal.append((heard.at, write_line(heard)))

    def _put(self, deliveries: Sequence[Delivery]) -> None:
        for delivery in deliveries:
            self.outbox.setdefault(delivery.key, delivery)


def undisturbed(recording: Recording, rules: TrackerRules = RULES) -> dict[str, tuple[Row, ...]]:
    host = Host(rules=rules)
    for timed in recording.events:
        host.hear(timed)
    host.finish(recording.events[-1].at)
    return host.rows()


def restarted(
    recording: Recording,
    number: int,
    *,
    rules: TrackerRules = RULES,
    keeps_journal: bool = True,
    missed: int = 0,
    cut: slice = slice(None),
) -> tuple[set[tuple[str, str]], dict[str, tuple[Row, ...]]]:
    """With a restart right before event ``number``, that one and ``missed`` - 1 more being missed; of the journal only
    the lines of ``cut`` are left.

    The calls and employees of which the CRM had been told by then; and the rows in the end.
    """
    host, begun = Host(rules=rules, keeps_journal=keeps_journal), set[tuple[str, str]]()
    for position, timed in enumerate(recording.events):
        if position == number:
            begun = {(each.call_id, each.extension) for each in host.outbox.values()}
        if position == number + missed:
            host.journal = host.journal[cut]
            host.start(host.at if missed else timed.at)
        host.hear(timed, listening=not number <= position < number + missed)
    host.finish(recording.events[-1].at)
    return begun, host.rows()


def reconnected(
    recording: Recording, number: int, *, rules: TrackerRules = RULES, missed: int = 0
) -> dict[str, tuple[Row, ...]]:
    """With a broken connection right before event ``number``, that one and ``missed`` - 1 more being missed."""
    host = Host(rules=rules)
    for position, timed in enumerate(recording.events):
        if position == number:
            host.lose(host.at if missed else timed.at)
        if position == number + missed:
            host.connect(host.at if missed else timed.at)
        host.hear(timed, listening=not number <= position < number + missed)
    host.finish(recording.events[-1].at)
    return host.rows()


def joined(
    recording: Recording, number: int, *, killed: int, rules: TrackerRules = RULES
) -> dict[str, tuple[Row, ...]]:
    """Of two connectors one is there from the beginning, the other from event ``number`` on. Right before event
    ``killed`` both die, and one is started, with the journal of the one that knows less, for it was the last to write.
    """
    first = Host(rules=rules)
    second = Host(rules=rules, outbox=first.outbox)
    for position, timed in enumerate(recording.events):
        if position == number:
            second.connect(timed.at)
        if position == killed:
            second.start(timed.at, first.journal)
        first.hear(timed, listening=position < killed)
        second.hear(timed, listening=position >= number)
    second.finish(recording.events[-1].at)
    return second.rows()
