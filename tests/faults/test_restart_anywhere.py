"""The connection, or the connector, is lost at every moment of recorded calls: no I/O, so all moments can be tried."""

from __future__ import annotations

from functools import cache
from itertools import pairwise

import attrs
import pytest

from tests.faults.conftest import recording, truth
from tests.faults.restart import Host, joined, reconnected, restarted
from tests.recorded import NAMES, is_ami_1, rules_of, transcripts_of
from tests.soak.calls import LEFT_OUT, Row
from uac_trio.calls.adapters import WANTED_EVENTS

ALIKE = 20
"""Every so many recordings, and so many moments of each: all of them have been tried, which takes minutes."""
MOMENTS = 10
CHOSEN = [
    name
    for name in NAMES
    if len(transcripts_of(name)) == 1
    and "/proto_" not in name
    and not name.endswith(LEFT_OUT)
    and not is_ami_1(name)  # RecordedPBX lists channels as AMI 2 does
][::ALIKE]

LATE = ("agents_log_off_with_a_customer",)
"""The connector that comes late finds an agent on the line with a customer, and takes the agent's channel, which is
older, for the beginning of the call: the row that it makes is not that of the other connector."""

Rows = dict[str, tuple[Row, ...]]


def moments(name: str) -> list[int]:
    """Right before an event that the tracker reads."""
    events = recording(name).events
    wanted = [number for number, timed in enumerate(events) if timed.event.name in WANTED_EVENTS]
    return wanted[:: max(1, len(wanted) // MOMENTS)]


@pytest.mark.parametrize("name", CHOSEN)
def test_connection_lost(name: str) -> None:
    """Nothing was missed, so nothing is different."""
    for number in moments(name):
        assert reconnected(recording(name), number, rules=rules_of(name)) == truth(name), f"before event {number}"


@pytest.mark.parametrize("name", CHOSEN)
def test_restart(name: str) -> None:
    """With the event logs nothing is different either."""
    for number in moments(name):
        assert restarted(recording(name), number, rules=rules_of(name))[1] == truth(name), f"before event {number}"


@pytest.mark.parametrize("missed", [0, 6, 20])
@pytest.mark.parametrize("name", CHOSEN)
def test_two_restarts(name: str, missed: int) -> None:
    """The log of a run that began with a log: what its first list of channels showed is in it."""
    rules = rules_of(name)
    chosen = moments(name)[::2]
    for first, second in pairwise(chosen):
        if first + missed < second:
            rows = restarted(recording(name), first, rules=rules, missed=missed, again=second)[1]
            without = reconnected(recording(name), first, rules=rules, missed=missed, again=second)
            assert rows == without, f"before events {first} and {second}"


@pytest.mark.parametrize("late", [1, 3])
@pytest.mark.parametrize("name", CHOSEN)
def test_list_of_channels_comes_late(name: str, late: int) -> None:
    """What reaches us before the list is logged of the calls that the list shows, with the login before it."""
    rules, missed = rules_of(name), 6
    for first, second in pairwise(moments(name)[::2]):
        if first + missed + 4 * late < second:
            rows = restarted(recording(name), first, rules=rules, missed=missed, again=second, late=late)[1]
            without = reconnected(recording(name), first, rules=rules, missed=missed, again=second, late=late)
            assert rows == without, f"before events {first} and {second}"


@pytest.mark.parametrize("missed", [3, 25])
@pytest.mark.parametrize("name", CHOSEN)
def test_restart_takes_a_while(name: str, missed: int) -> None:
    """What happens meanwhile is lost, as when a connection is; nothing else is."""
    rules = rules_of(name)
    for number in moments(name)[::2]:
        if number + missed < len(recording(name).events):
            without = reconnected(recording(name), number, rules=rules, missed=missed)
            rows = restarted(recording(name), number, rules=rules, missed=missed)[1]
            assert rows == without, f"before event {number}"


@pytest.mark.parametrize("name", [*CHOSEN, "office_variants/no_cdr/asterisk22/transfer_attended_of_outbound"])
def test_seen_from_the_middle(name: str) -> None:
    """Who was shown in the middle of a call is not left there, whatever its direction seems to be when it ends."""
    for number in moments(name):
        assert_all_ended(set(), reconnected(recording(name), 0, rules=rules_of(name), missed=number), number)


@pytest.mark.parametrize("name", [name for name in CHOSEN if not name.endswith(LATE)])
def test_what_a_dead_connector_knew(name: str) -> None:
    """The connector that lives longer lacks the beginning of the call: nothing is different for it, since the log of
    the one that saw the beginning is replayed, and the other's from there on."""
    wanted = moments(name)
    for number, killed in zip(wanted[1::3], wanted[2::3], strict=False):
        rows = joined(recording(name), number, killed=killed, rules=rules_of(name))
        assert rows == truth(name), f"the other from {number} on, both killed before {killed}"


def test_log_that_does_not_fit() -> None:
    """The phone rings there as another part of the call than the outbox has: that call's log is not used, and the phone
    rings on by the outbox alone."""
    host = Host()
    for timed in recording("asterisk22/inbound_answered").events:
        host.hear(timed)
        if host.outbox:
            break
    assert host.start(host.at) == []
    (begin,) = host.outbox.values()
    other = attrs.evolve(begin, occurrence="other")
    host.outbox = {other.key: other}
    assert host.start(host.at) == [begin.call_id]
    host.finish(host.at)
    assert not any(row.ended for rows in host.rows().values() for row in rows)


@pytest.mark.parametrize("cut", [slice(6, None), slice(25, None), slice(-4, None), slice(-6), slice(-20)], ids=str)
@pytest.mark.parametrize("name", CHOSEN[::3])
def test_log_that_lacks_something(name: str, cut: slice) -> None:
    """Its beginning, beside a call of days, or its end, after an overflow: what was begun is there, and it ends."""
    for number in moments(name)[::2]:
        begun, rows = restarted(recording(name), number, rules=rules_of(name), cut=cut)
        assert_all_ended(begun, rows, number)


def assert_all_ended(begun: set[tuple[str, str]], rows: Rows, number: int) -> None:
    found = {(call, row.extension): row for call, of_call in rows.items() for row in of_call}
    assert begun <= found.keys(), f"before event {number}"
    for row in found.values():
        assert row.ended, f"before event {number}"
        assert row.status not in ("ringing", "in-progress"), f"before event {number}"


# -- Without event logs, of which there is none of a call of many thousand events

Restarts = list[tuple[set[tuple[str, str]], Rows]]


@cache
def after_restarts(name: str) -> Restarts:
    rules = rules_of(name)
    return [restarted(recording(name), number, rules=rules, keeps_logs=False) for number in moments(name)]


@pytest.mark.parametrize("name", CHOSEN)
def test_restart_from_the_outbox(name: str) -> None:
    """Of what was begun every row is there, and every row has ended."""
    for number, (begun, rows) in zip(moments(name), after_restarts(name), strict=True):
        assert_all_ended(begun, rows, number)


def test_a_restart_from_the_outbox_is_rarely_seen() -> None:
    """What a list of channels does not show (why a phone did not ring, who placed a click's call, which file is being
    recorded) is forgotten in a restart, and a row may show another outcome. That is rare; a third of it is an
    employee who rings in vain after a talk in the same call, of which the row was closed before the restart."""
    results = [(name, rows) for name in CHOSEN for _, rows in after_restarts(name)]
    exact = sum(without_recording(rows) == without_recording(truth(name)) for name, rows in results)
    assert len(results) > 150
    assert exact / len(results) > 0.96


def without_recording(rows: Rows) -> Rows:
    return {call: tuple(attrs.evolve(row, recorded=False) for row in found) for call, found in rows.items()}
