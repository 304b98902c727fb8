"""AMI messages and the time in, CRM requests out: clocks, several PBXes, restarts, a second connector."""

from __future__ import annotations

import math

import pytest

from tests.calls.crm_office import Office, crm_of, ends, left_open, steps, token
from tests.calls.panel import Panel
from tests.calls.simulator import Asterisk, Line
from tests.calls.stored_logs import StoredLogs
from tests.calls.streams import recorded
from uac_trio.ami.message import Event, Response
from uac_trio.calls.call import ClickOrder
from uac_trio.calls.fact import CallBegan, CallEnded, Fact
from uac_trio.calls.rules import TrackerRules
from uac_trio.calls.stuck import DOUBTED_AFTER
from uac_trio.calls.tracker import ORDER_LASTS
from uac_trio.crm.delivery import Delivery, Kind
from uac_trio.crm.vtiger.account import Flavour
from uac_trio.pipeline import Pipeline

RULES = TrackerRules()


def pipeline(rules: TrackerRules = RULES, flavour: Flavour = Flavour.SALESPLATFORM, run: str = "") -> Pipeline:
    return Pipeline(rules, crm_of(flavour), token, run=run)


def play(made: Pipeline, pbx: Asterisk, name: str = "main", since: int = 0) -> list[Delivery]:
    requests: list[Delivery] = []
    for at, event in pbx.events[since:]:
        requests += made.tick(at)
        requests += made.received(name, [event], at)
    return requests


def talk() -> tuple[Asterisk, Line]:
    """101 talks with a customer since a second."""
    pbx = Asterisk(lambda _: 0)
    (leg,) = pbx.dial(pbx.calls_in("+79161234567", "4951000101"), ["101"]).legs
    for step in (pbx.rings, pbx.answers):
        pbx.now += 1.0
        step(leg)
    pbx.now += 1.0
    return pbx, leg


def test_a_call_becomes_requests() -> None:
    """A response is ignored; the end of a call is sent once its Cdr has had its time."""
    pbx, leg = talk()
    made = pipeline()
    assert made.connected("main", pbx.now) == []
    assert made.received("main", [Response((("Response", "Success"),))], pbx.now) == []
    assert steps(play(made, pbx)) == ["DialBegin 101", "DialAnswer 101"]
    assert made.live_calls == 1
    assert made.next_deadline == math.inf
    seen = len(pbx.events)
    pbx.hangs_up_talk(leg)
    assert steps(play(made, pbx, since=seen)) == ["Hangup 101", "EndCall 101"]
    assert made.live_calls == 0
    assert made.next_deadline == pbx.now + RULES.linger
    assert made.tick(pbx.now + RULES.linger) == []
    assert made.next_deadline == math.inf


def test_observers_see_facts_with_their_requests() -> None:
    """An observer sees each fact once, with the requests that follow from it."""
    seen: list[tuple[Fact, list[str]]] = []
    made = Pipeline(RULES, crm_of(), token, lambda fact, requests: seen.append((fact, steps(requests))))
    pbx, _ = talk()
    play(made, pbx)
    assert [type(fact).__name__ for fact, _ in seen] == ["CallBegan", "ParticipationBegan", "ParticipationAnswered"]
    assert [requests for _, requests in seen] == [[], ["DialBegin 101"], ["DialAnswer 101"]]


@pytest.mark.parametrize(("internal", "expected"), [("ignore", []), ("report", ["DialBegin 101", "DialAnswer 101"])])
def test_calls_between_employees(internal: str, expected: list[str]) -> None:
    """Internal calls are sent only where ``internal`` is "report", as the caller's."""
    pbx = Asterisk(lambda _: 0)
    (leg,) = pbx.dial(pbx.picks_up_phone("101", "102"), ["102"]).legs
    pbx.rings(leg)
    pbx.answers(leg)
    assert steps(play(pipeline(TrackerRules(internal=internal)), pbx)) == expected  # type: ignore[arg-type]


def test_pbxes_do_not_mix() -> None:
    """Two PBXes with the same extensions and ids: two calls, each with its PBX's name; a tick serves both."""
    made = pipeline()
    pbx, leg = talk()
    requests = [*play(made, pbx, "north"), *play(made, pbx, "south")]
    assert {request.call_id for request in requests} == {f"north-{leg.linkedid}", f"south-{leg.linkedid}"}
    assert made.live_calls == 2
    ended = made.finish(pbx.now)
    assert steps(ended) == ["Hangup 101", "EndCall 101"] * 2


# ---- the clock


def stamped(event: Event, stamp: str) -> Event:
    return Event((event.headers[0], ("Timestamp", stamp), *event.headers[1:]))


def times_of(made: Pipeline, pbx: Asterisk, ahead: float) -> list[float]:
    """The times of the requests; the PBX's clock is ``ahead`` of ours, and it says so."""
    requests: list[Delivery] = []
    for at, event in pbx.events:
        requests += made.received("main", [stamped(event, f"{at + ahead:.6f}")], at)
    return [request.at for request in requests]


@pytest.mark.parametrize("ahead", [0.0, 2.0, -3.0, 3600.0, -86400.0])
def test_times_are_the_pbxs_own(ahead: float) -> None:
    """With timestampevents=yes a request has the PBX's time, and what is due by our clock comes when it is due."""
    made = pipeline()
    pbx, leg = talk()
    seen = len(pbx.events)
    pbx.hangs_up_talk(leg)
    times = times_of(made, pbx, ahead)
    assert times[0] == pytest.approx(1_700_000_001.0 + ahead)
    assert times[-1] == pytest.approx(pbx.events[seen][0] + ahead)
    assert made.next_deadline == pytest.approx(pbx.now + RULES.linger, abs=5.0)


@pytest.mark.parametrize("stamp", ["", "soon", "nan", "inf", "-inf", "-1", "0", "1e300"])
def test_what_is_no_timestamp(stamp: str) -> None:
    """An event's own header of that name, or nonsense in it, leaves the time of arrival."""
    made = pipeline()
    pbx, _ = talk()
    requests: list[Delivery] = []
    for at, event in pbx.events:
        requests += made.received("main", [stamped(event, stamp)], at)
    assert [request.at for request in requests] == [1_700_000_001.0, 1_700_000_002.0]


def test_time_does_not_go_back() -> None:
    """An event that is stamped before the last one (by another thread of Asterisk) happens right after it."""
    made = pipeline()
    pbx, _ = talk()
    requests: list[Delivery] = []
    for place, (at, event) in enumerate(pbx.events):
        wobble = 0.5 if place % 2 else -0.5
        requests += made.received("main", [stamped(event, f"{at + wobble:.3f}")], at)
    times = [request.at for request in requests]
    assert times == sorted(times)
    assert len(times) == 2


ORDER = ClickOrder("uac-1", "101", "+79161234567", "PJSIP/101")


def with_clock(ahead: float, run: str = "") -> tuple[Pipeline, float]:
    """A pipeline that heard of a PBX whose clock is ahead of ours; and the time of that, by ours."""
    made = pipeline(run=run)
    pbx, _ = talk()
    times_of(made, pbx, ahead)
    return made, pbx.events[-1][0]


@pytest.mark.parametrize("ahead", [0.0, 3600.0, -3600.0])
def test_an_order_lapses_by_our_clock(ahead: float) -> None:
    """Whatever the PBX's clock shows; an order that is older than its last event counts from that."""
    made, now = with_clock(ahead)
    assert made.ordered("main", ORDER, now + 10.0) == []
    assert made.next_deadline == pytest.approx(now + 10.0 + ORDER_LASTS)
    made.order_refused("main", "uac-1")
    assert made.next_deadline == math.inf
    made.ordered("main", ORDER, now - 10.0)
    assert made.next_deadline == pytest.approx(now + ORDER_LASTS)
    made.tick(now + ORDER_LASTS - 0.1)
    assert made.next_deadline < math.inf
    made.tick(now + ORDER_LASTS + 0.1)
    assert made.next_deadline == math.inf


@pytest.mark.parametrize("ahead", [0.0, 3600.0, -3600.0])
@pytest.mark.parametrize("later", [-50.0, 50.0])
def test_the_end_of_a_replay_by_the_pbxs_clock(ahead: float, later: float) -> None:
    """The calls that go on end when the file does, and never before the last event."""
    made, now = with_clock(ahead)
    (*_, end) = made.finish(now + later)
    assert end.ended_at == pytest.approx(now + ahead + max(0.0, later))


def test_connections_by_the_pbxs_clock() -> None:
    """A login and a loss have the PBX's time, and never one before its last event."""
    for ahead in (3600.0, -3600.0):
        made, now = with_clock(ahead)
        tracker = made._exchanges["main"].tracker
        for at in (now + 10.0, now - 10.0):
            made.connected("main", at)
            made.lost("main", at)
            expected = now + ahead + max(0.0, at - now)
            assert tracker._connected_at == pytest.approx(expected)
            assert tracker._lost_at == pytest.approx(expected)


def test_a_listing_that_is_wanted() -> None:
    """The PBX is named, by its own clock: others are not asked."""
    made, now = with_clock(3600.0)
    pbx, _ = talk()
    play(made, pbx, "other")
    tracker = made._exchanges["main"].tracker
    (call,) = tracker.calls.values()
    for channel in call.channels.live:
        channel.hangup_asked_at = now
    call.conversation.talkers.clear()
    tracker._conclusions.stuck.look(call, now + 3600.0)
    made.tick(now + DOUBTED_AFTER)
    assert made.listings_wanted(now + DOUBTED_AFTER) == ["main"]
    assert made.listings_wanted(now + DOUBTED_AFTER) == []


def test_what_is_logged_for_a_restart() -> None:
    """A call with the login before it, an order that no channel shows yet; none of it without a run."""
    made, now = with_clock(0.0, run="one")
    assert made.has_log_changes
    made.take_log_changes()
    assert not made.has_log_changes
    made.ordered("main", ORDER, now)
    (changes,) = made.take_log_changes(["main-uac-1"])
    assert [part.call_id for part in changes.added] == ["main-uac-1"]
    made.order_refused("main", "uac-1")
    (changes,) = made.take_log_changes()
    assert list(changes.dropped) == ["main-uac-1"]
    made.lost("main", now + 1.0)
    assert made.has_log_changes
    none, now = with_clock(0.0)
    none.ordered("main", ORDER, now)
    none.order_refused("main", "uac-1")
    none.lost("main", now)
    none.connected("main", now, "Asterisk Call Manager/1.1")
    assert not none.has_log_changes
    assert none.take_log_changes() == []


@pytest.mark.parametrize(
    ("banner", "kept"),
    [("Asterisk Call Manager/1.1", "Asterisk Call Manager/1.1"), ("Asterisk Call Manager/5.0.4", ""), ("", "before")],
)
def test_the_banner_of_a_log(banner: str, kept: str) -> None:
    """Only an old server's has to be known at a restart; a login without one is as before."""
    made, now = with_clock(0.0, run="one")
    logs = made._exchanges["main"].logs
    assert logs is not None
    logs.banner = "before"
    made.connected("main", now, banner)
    assert logs.banner == kept


# ---- restarts


@pytest.mark.parametrize("flavour", list(Flavour))
def test_what_ended_between_two_runs_is_closed_at_the_first_snapshot(flavour: Flavour) -> None:
    """Not before it: a call that still goes on must not be ended."""
    pbx, _ = talk()
    office = Office(flavour)
    office.put(play(pipeline(flavour=flavour), pbx))
    made = pipeline(flavour=flavour)
    made.restore("main", office.left_open("main"))
    assert made.connected("main", pbx.now + 60.0) == []
    assert made.received("main", [Event((("Event", "FullyBooted"),))], pbx.now + 60.0) == []
    office.put(made.received("main", Panel().listing(pbx.now + 60.0), pbx.now + 60.0))
    assert not office.crm.stuck()
    ((status, _, _),) = office.rows().values()
    assert status == "completed"


def test_a_listing_with_items_missing_closes_nothing() -> None:
    """If fewer channels came than were announced, the snapshot is not used."""
    pbx, _ = talk()
    office = Office()
    office.put(play(pipeline(), pbx))
    made = pipeline()
    made.restore("main", office.left_open("main"))
    first, _, end = pbx.listing()
    assert made.received("main", [first, end], pbx.now) == []
    assert office.crm.stuck()
    office.put(made.received("main", pbx.listing(), pbx.now))
    assert made.live_calls == 1


def test_a_talk_goes_on_over_a_restart() -> None:
    """The row keeps its begin, and its talk is counted from the answer that the earlier run saw."""
    pbx, leg = talk()
    office = Office()
    office.put(play(pipeline(), pbx))
    made = pipeline()
    made.restore("main", office.left_open("main"))
    pbx.now += 30.0
    office.put(made.received("main", pbx.listing(), pbx.now))
    seen = len(pbx.events)
    pbx.now += 10.0
    pbx.hangs_up_talk(leg)
    office.put(play(made, pbx, since=seen))
    ((who, (status, direction, number)),) = office.rows().items()
    assert (who[1], status, direction, number) == ("101", "completed", "inbound", "+79161234567")
    assert office.seconds()[who] == (42, 41)


def test_a_stock_row_ends_with_its_call_even_if_no_employee_is_left_in_it() -> None:
    """The agent is gone before the restart, the customer after it: the one row of the call is closed then."""
    pbx, leg = talk()
    office = Office(Flavour.STOCK)
    office.put(play(pipeline(flavour=Flavour.STOCK), pbx))
    customer = next(line for line in pbx.lines if line is not leg)
    pbx.hang_up(leg)
    made = pipeline(flavour=Flavour.STOCK)
    made.restore("main", office.left_open("main"))
    office.put(made.received("main", pbx.listing(), pbx.now))
    assert office.crm.stuck()
    seen = len(pbx.events)
    pbx.now += 5.0
    pbx.hang_up(customer)
    office.put(play(made, pbx, since=seen))
    office.put(made.tick(pbx.now + 10.0))
    assert not office.crm.stuck()


def test_a_merged_call_keeps_its_identity_over_a_restart() -> None:
    """A younger customer's call that swallowed an older consultation has another Linkedid than its id says."""
    pbx = Asterisk(lambda _: 0)
    first = pbx.picks_up_phone("101", "102")
    (colleague,) = pbx.dial(first, ["102"]).legs
    pbx.rings(colleague)
    pbx.answers(colleague)
    pbx.now += 1.0
    customer = pbx.calls_in("+79161234567", "4951000101")
    (second,) = pbx.dial(customer, ["101"]).legs
    pbx.rings(second)
    pbx.answers(second)
    pbx.now += 1.0
    pbx.joins_calls(second, first)
    office = Office()
    office.put(play(pipeline(), pbx))
    made = pipeline()
    made.restore("main", office.left_open("main"))
    office.put(made.received("main", pbx.listing(), pbx.now))
    seen = len(pbx.events)
    pbx.now += 1.0
    pbx.hangs_up_talk(colleague)
    office.put(play(made, pbx, since=seen))
    assert colleague.linkedid == first.linkedid
    assert {who: status for who, (status, *_) in office.rows().items()} == {
        (f"main-{customer.uniqueid}", extension): "completed" for extension in ("101", "102")
    }
    assert not office.crm.stuck()


def test_who_rings_again_after_a_restart_takes_part_anew() -> None:
    """Their earlier ring ended between two runs and is closed; the next ring is another one, and ends on its own."""
    pbx = Asterisk(lambda _: 0)
    customer = pbx.calls_in("+79161234567", "4951000702")
    pbx.joins_queue(customer, "sales")
    (leg,) = pbx.dial(customer, ["101"], queue="sales").legs
    pbx.rings(leg)
    office = Office()
    office.put(play(pipeline(), pbx))
    pbx.ends_dial(leg, "NOANSWER", 0, repeated=True)
    made = pipeline()
    made.restore("main", office.left_open("main"))
    office.put(made.received("main", pbx.listing(), pbx.now))
    seen = len(pbx.events)
    pbx.now += 5.0
    (again,) = pbx.dial(customer, ["101"], queue="sales").legs
    pbx.rings(again)
    pbx.answers(again)
    pbx.now += 5.0
    pbx.hangs_up_talk(again)
    office.put(play(made, pbx, since=seen))
    assert [status for status, *_ in office.rows().values()] == ["completed"]
    assert not office.crm.stuck()
    assert sum(each.kind is Kind.BEGIN for each in office.sent) == 2


def test_a_log_that_leads_elsewhere_than_the_run_did_is_not_used() -> None:
    """No Linkedids (Asterisk 13.0 to 13.4), and two callers show one number: whose phones ring, the list of channels
    does not show. Without the log of the other call, which is over, it would: both phones would be one part, whose END
    was delivered when the first of them declined."""
    pbx = Asterisk(lambda _: 0)
    customer = pbx.calls_in("+79161234567", "4951000702")
    other = pbx.calls_in("+79161234567", "4951000702")
    desk, mobile = pbx.dial(customer, ["101", "101"]).legs
    for leg in (desk, mobile):
        pbx.rings(leg)
        pbx.emit("NewConnectedLine", pbx.channel(leg), {"ConnectedLineNum": customer.number})
    office, logs, seen = Office(), StoredLogs(), len(pbx.events)

    def hear(made: Pipeline, events: list[tuple[float, Event]]) -> None:
        for at, event in events:
            shown = tuple(header for header in event.headers if not header[0].endswith("Linkedid"))
            office.put(made.received("main", [Event(shown)], at))
            logs.write(made.take_log_changes())

    def log_in(made: Pipeline) -> None:
        made.connected("main", pbx.now)
        hear(made, [(pbx.now, event) for event in pbx.listing()])

    first, second = pipeline(run="1"), pipeline(run="2")
    log_in(first)
    pbx.ends_dial(desk, "BUSY", 21)
    pbx.gives_up(other)
    hear(first, pbx.events[seen:])
    pbx.now += 60.0
    assert first.tick(pbx.now) == []
    logs.write(first.take_log_changes())
    assert {row[0] for row in office.rows().values()} == {"busy"}
    restored = second.restore("main", office.left_open("main"), logs.read(), ends(office.sent))
    assert restored.misfits == (f"main-{customer.uniqueid}",)
    log_in(second)
    seen = len(pbx.events)
    pbx.ends_dial(mobile, "NOANSWER", 16)
    hear(second, pbx.events[seen:])
    assert {row[0] for row in office.rows().values()} == {"no-answer"}
    assert not office.crm.stuck()


def test_the_log_of_an_old_server() -> None:
    """Its banner goes with each log: what the entries mean depends on it."""
    banner = "Asterisk Call Manager/1.1"
    name, begun = "asterisk1.8/inbound_answered_agent_hangs_up", pipeline(run="1")
    begun.connected("main", recorded(name)[0][0], banner)
    events = recorded(name)
    half = len(events) // 2
    before = [each for at, event in events[:half] for each in begun.received("main", [event], at)]
    logs = StoredLogs()
    logs.write(begun.take_log_changes())
    after = pipeline(run="2")
    assert after.restore("main", left_open(before), logs.read()).misfits == ()
    for made in (begun, after):
        made.connected("main", events[half][0], banner)
    rest = [[steps(made.received("main", [event], at)) for at, event in events[half:]] for made in (begun, after)]
    assert rest[0] == rest[1]


@pytest.mark.parametrize("flavour", list(Flavour))
@pytest.mark.parametrize(
    "name",
    ["asterisk22/inbound_ringgroup_answered", "asterisk22/attended_transfer_refer", "asterisk16/click2call_local"],
)
def test_a_second_connector_makes_the_same_keys(name: str, flavour: Flavour) -> None:
    """Two that watch the same PBX, each with its own session and its own times, put the same rows into one outbox."""
    keys = []
    for delay in (0.0, 0.7):
        made = pipeline(flavour=flavour)
        requests = [
            request
            for at, event in recorded(name)
            for request in (*made.tick(at + delay), *made.received("main", [event], at + delay))
        ]
        requests += made.tick(recorded(name)[-1][0] + 60.0)
        keys.append([request.key for request in requests])
    assert keys[0] == keys[1]


def test_a_second_connector_that_comes_late_leaves_no_open_row() -> None:
    """It finds a talk in its first snapshot, without the outbox: it sends the talk under the same keys."""
    pbx, leg = talk()
    office, early, late = Office(), pipeline(), pipeline()
    office.put(play(early, pbx))
    office.put(late.received("main", pbx.listing(), pbx.now))
    seen = len(pbx.events)
    pbx.now += 3.0
    pbx.hangs_up_talk(leg)
    office.put(play(late, pbx, since=seen))
    office.put(play(early, pbx, since=seen))
    assert [status for status, *_ in office.rows().values()] == ["completed"]
    assert len(office.sent) == 3


def test_the_end_of_a_replay_ends_every_call() -> None:
    """A recording that stops in mid-call leaves no row open."""
    facts: list[Fact] = []
    made = Pipeline(RULES, crm_of(), token, lambda fact, _: facts.append(fact))
    pbx, _ = talk()
    office = Office()
    office.put(play(made, pbx))
    office.put(made.lost("main", pbx.now))
    office.put(made.finish(pbx.now))
    assert not office.crm.stuck()
    assert sum(isinstance(fact, CallBegan) for fact in facts) == sum(isinstance(fact, CallEnded) for fact in facts) == 1


def test_an_operator_whose_device_has_a_name_is_known_again_after_a_restart() -> None:
    """desk-grisha's channel shows the company's number by then; the outbox knows who called."""
    pbx = Asterisk(lambda _: 0)
    caller = pbx.picks_up_phone("104", "+79161234567")
    (leg,) = pbx.dial(caller, ["+79161234567"]).legs
    pbx.rings(leg)
    pbx.answers(leg)
    caller.number = "4951000101"
    pbx.emit("NewCallerid", pbx.channel(caller))
    pbx.now += 2.0

    def renamed(event: Event) -> Event:
        return Event(tuple((name, value.replace("PJSIP/104-", "PJSIP/desk-grisha-")) for name, value in event.headers))

    office, made = Office(), pipeline()
    for at, event in pbx.events:
        office.put(made.received("main", [renamed(event)], at))
    made = pipeline()
    made.restore("main", office.left_open("main"))
    office.put(made.received("main", [renamed(event) for event in pbx.listing()], pbx.now))
    seen = len(pbx.events)
    pbx.now += 3.0
    pbx.hangs_up_talk(leg)
    for at, event in pbx.events[seen:]:
        office.put(made.received("main", [renamed(event)], at))
    ((who, (status, direction, number)),) = office.rows().items()
    assert (who[1], status, direction, number) == ("104", "completed", "outbound", "+79161234567")
    assert office.seconds()[who][1] == 5
