"""A restart in the middle of recorded calls, without I/O: the pipeline, and an outbox that is a dict."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from tests.calls.crm_office import crm_of, ends, left_open, token
from tests.calls.stored_logs import StoredLogs
from tests.soak.calls import Row, new_crm, rows_of
from uac_trio.ami.message import Event
from uac_trio.calls.adapters import WANTED_EVENTS
from uac_trio.calls.rules import TrackerRules
from uac_trio.crm.delivery import Delivery
from uac_trio.demo.recorded_pbx import RecordedPBX
from uac_trio.demo.recording import Recording, TimedEvent
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
    keeps_logs: bool = True
    logs: StoredLogs = attrs.field(factory=StoredLogs)
    is_shared: bool = False
    """Another connector has the same store."""
    late: int = 0
    """Events that reach it between its login and the list of channels."""
    _runs: int = 0
    _list_due: int = 0
    """Events until the list of channels that was asked for; 0: none was."""

    def __attrs_post_init__(self) -> None:
        self.start(0.0)

    def start(self, at: float) -> list[str]:
        """Begin anew with what is in the outbox and in the event logs, and log in. Returns the calls whose logs did not
        fit the outbox."""
        self._runs += 1
        run = f"{id(self)}.{self._runs}" if self.keeps_logs else ""
        self.pipeline = Pipeline(self.rules, CRM, token, run=run)
        stored = self.outbox.values()
        restored = self.pipeline.restore("main", left_open(stored), self.logs.read(), ends(stored))
        self._put(restored.deliveries)
        if not self.is_shared:
            self.logs.forget_all_but(run)
        self.connect(at)
        return list(restored.misfits)

    def connect(self, at: float) -> None:
        """Log in, and take the snapshot in, at once or later."""
        self._put(self.pipeline.connected("main", EPOCH + at))
        if self.late:
            self._list_due = self.late
        else:
            self._take_list(at)

    def _take_list(self, at: float) -> None:
        asked = ("ActionID", f"run-{self._runs}")  # as every server repeats it in each item
        shown = [Event((("Event", "CoreShowChannel"), asked, *one.items())) for one in self.pbx.channels()]
        end = Event((("Event", "CoreShowChannelsComplete"), asked, ("ListItems", str(len(shown)))))
        self._put(self.pipeline.received("main", [*shown, end], EPOCH + at))

    def lose(self, at: float) -> None:
        self._put(self.pipeline.lost("main", EPOCH + at))

    def hear(self, timed: TimedEvent, *, listening: bool = True) -> None:
        """It happens at the PBX; the connector gets the event if it is there."""
        self.at = timed.at
        self.pbx.emit_nowait(timed.event)
        if listening:
            self._put(self.pipeline.tick(EPOCH + timed.at))
            if timed.event.name in WANTED_EVENTS:
                self._put(self.pipeline.received("main", [timed.event], EPOCH + timed.at))
                if self._list_due:
                    self._list_due -= 1
                    if not self._list_due:
                        self._take_list(timed.at)

    def finish(self, at: float) -> None:
        for second in range(60):
            self._put(self.pipeline.tick(EPOCH + at + second))

    def rows(self) -> dict[str, tuple[Row, ...]]:
        """What a CRM has that got all of it, in order."""
        crm = new_crm("s")
        for delivery in self.outbox.values():
            for request in CRM.requests(delivery):
                crm.callback({**request.about, "vtigersignature": "s"}, delivery.at)
        assert crm.hazards == []
        return {of_call[0].sourceuuid: rows_of(of_call) for of_call in crm.tables.calls()}

    def _put(self, deliveries: Sequence[Delivery]) -> None:
        """One transaction of the store."""
        for delivery in deliveries:
            self.outbox.setdefault(delivery.key, delivery)
        # As the daemon does: with deliveries the logs of their calls, the others in a transaction without.
        self.logs.write(self.pipeline.take_log_changes({each.call_id for each in deliveries} or None))


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
    keeps_logs: bool = True,
    missed: int = 0,
    again: int = -1,
    late: int = 0,
    cut: slice = slice(None),
) -> tuple[set[tuple[str, str]], dict[str, tuple[Row, ...]]]:
    """With a restart right before event ``number``, that one and ``missed`` - 1 more being missed; of each part of a
    log only the entries of ``cut`` are left. And with another one right before event ``again``. ``late``: as of Host.

    The calls and employees that the CRM had rows of by then; and the rows in the end.
    """
    host, begun = Host(rules=rules, keeps_logs=keeps_logs), set[tuple[str, str]]()
    host.late = late
    for position, timed in enumerate(recording.events):
        if position == number:
            begun = {(each.call_id, each.extension) for each in host.outbox.values()}
        if position in (number + missed, again):
            host.logs.cut(cut)
            host.start(host.at if missed else timed.at)
        host.hear(timed, listening=not number <= position < number + missed)
    host.finish(recording.events[-1].at)
    return begun, host.rows()


def reconnected(
    recording: Recording,
    number: int,
    *,
    rules: TrackerRules = RULES,
    missed: int = 0,
    again: int = -1,
    late: int = 0,
) -> dict[str, tuple[Row, ...]]:
    """With a broken connection right before event ``number``, that one and ``missed`` - 1 more being missed."""
    host = Host(rules=rules)
    host.late = late
    for position, timed in enumerate(recording.events):
        if position in (number, again):
            host.lose(host.at if missed else timed.at)
        if position in (number + missed, again):
            host.connect(host.at if missed else timed.at)
        host.hear(timed, listening=not number <= position < number + missed)
    host.finish(recording.events[-1].at)
    return host.rows()


def joined(
    recording: Recording, number: int, *, killed: int, rules: TrackerRules = RULES
) -> dict[str, tuple[Row, ...]]:
    """Of two connectors one is there from the beginning, the other from event ``number`` on. Right before event
    ``killed`` both die, and one is started.
    """
    first = Host(rules=rules, is_shared=True)
    second = Host(rules=rules, outbox=first.outbox, logs=first.logs, is_shared=True)
    for position, timed in enumerate(recording.events):
        if position == number:
            second.connect(timed.at)
        if position == killed:
            second.start(timed.at)
        first.hear(timed, listening=position < killed)
        second.hear(timed, listening=position >= number)
    second.finish(recording.events[-1].at)
    return second.rows()
