from __future__ import annotations

import re
from typing import Any

import attrs
import pytest
import structlog.testing
import trio

from tests.calls.crm_office import crm_of, token
from tests.calls.scenes import summary
from tests.recorded import NAMES, rules_of, transcripts_of
from uac_trio.ami import Banner, Message, MessageParser
from uac_trio.ami_client.status import AMIStatus
from uac_trio.calls.call import Direction
from uac_trio.calls.click import ClickResult
from uac_trio.calls.endpoint import Evidence
from uac_trio.calls.fact import (
    CallBegan,
    CallEnded,
    CallerQueued,
    CallMerged,
    NotAnEmployee,
    Oddity,
    ParticipationAnswered,
    ParticipationBegan,
)
from uac_trio.calls.participation import Role
from uac_trio.calls.rules import TrackerRules
from uac_trio.crm.click import Dial, Originated
from uac_trio.crm.delivery import Delivery, Kind
from uac_trio.crm.protocol import CRMRequest
from uac_trio.crm.reply import Ruling, Verdict
from uac_trio.daemon import watching as room
from uac_trio.daemon.conditions import Condition, Finding
from uac_trio.daemon.live_page import Circumstances, live_state
from uac_trio.daemon.metrics import Metrics
from uac_trio.daemon.standing import Standing
from uac_trio.daemon.watching import Watching
from uac_trio.pipeline import Pipeline
from uac_trio.sender.delivery import SenderStatus
from uac_trio.store.rows import LeasedRow, OutboxStatistics, ParkedRow
from uac_trio.transcript import read_transcript

NOW = 1_795_413_713.0
CRM = crm_of()
NOTHING_WAITS = OutboxStatistics(waiting=0, sending=0, parked=0, delivered=9, superseded=0, oldest_waiting_at=None)


@attrs.define
class Clock:
    at: float = NOW

    def __call__(self) -> float:
        return self.at


@attrs.define
class Scene:
    """A pipeline that is watched, and the requests it made."""

    clock: Clock = attrs.field(factory=Clock)
    deliveries: list[Delivery] = attrs.field(factory=list)
    watching: Watching = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.watching = Watching(now=self.clock, metrics=Metrics())

    def play(self, name: str, until: float = float("inf"), rules: TrackerRules | None = None) -> None:
        """Run a recorded scenario through the real pipeline, or its first ``until`` seconds."""
        pipeline = Pipeline(rules or rules_of(name), CRM, token, self.watching.observe)
        for path in transcripts_of(name):
            transcript = read_transcript(path.name, path.read_bytes())
            parser = MessageParser()
            for chunk in transcript.chunks:
                if chunk.direction != "recv" or chunk.t > until:
                    continue
                self.clock.at = transcript.at(chunk)
                self.deliveries += pipeline.tick(self.clock.at)
                parser.receive_data(chunk.data)
                messages: list[Message] = []
                while (message := parser.next_message()) is not None:
                    if isinstance(message, Banner):
                        pipeline.connected("main", self.clock.at, message.text)
                    else:
                        messages.append(message)
                self.deliveries += pipeline.received("main", messages, self.clock.at)
            if until == float("inf"):
                self.deliveries += pipeline.lost("main", self.clock.at)
        if until == float("inf"):
            self.deliveries += pipeline.finish(self.clock.at)

    def answer(self, delivery: Delivery, ruling: Ruling = Ruling.DELIVERED, words: str = "") -> None:
        """The CRM's, after 0.1 s."""
        row = LeasedRow(
            id=1, delivery=delivery, attempt=1, leased_by="x", leased_until=0, created_at=self.clock.at
        )  # fmt: skip
        self.clock.at += 0.1
        request = CRMRequest(name=delivery.kind.value, url="", body=b"")
        self.watching.sent(row, request, Verdict(ruling=ruling, words=words), 0.1)

    def state(self, **changed: Any) -> dict[str, Any]:
        return live_state(self.watching, around(self.clock.at, **changed))


def around(now: float, **changed: Any) -> Circumstances:
    given: dict[str, Any] = {
        "version": "1",
        "now": now,
        "configured": ["main"],
        "pbxes": {"main": AMIStatus(state="connected", connected_since=NOW)},
        "live_calls": 0,
        "starts_over": 0,
        "in_memory": 0,
        "store_trouble": "",
        "outbox": NOTHING_WAITS,
        "sender": SenderStatus(in_flight=0, trouble="", trouble_since=None),
        "findings": (),
    }
    others: dict[str, Any] = {
        "started_at": NOW,
        "parked": [],
        "crm": "crm.invalid",
        "internal": "ignore",
        "mask": True,
    }
    for name, value in changed.items():
        (given if name in given else others)[name] = value
    return Circumstances(standing=Standing(**given), **others)


def test_a_call_from_ring_to_end() -> None:
    """A recorded call is shown in progress with who rings and who talks, then among the ended with what was sent."""
    scene = Scene()
    scene.play("asterisk22/inbound_answered", until=0.9)
    (call,) = scene.state()["calls"]
    assert (call["direction"], call["customer"]) == ("inbound", "+7916***4567")
    assert [(part["extension"], part["does"]) for part in call["parts"]] == [("101", "ringing")]
    assert [(one["kind"], one["state"]) for one in call["deliveries"]] == [("begin", "not_sent")]
    scene = Scene()
    scene.play("asterisk22/inbound_answered", until=3.0)
    assert scene.state()["calls"][0]["parts"][0]["does"] == "talking"
    scene = Scene()
    scene.play("asterisk22/inbound_answered")
    for request in scene.deliveries:
        scene.answer(request)
    state = scene.state()
    assert state["calls"] == []
    (call,) = state["ended"]
    assert (call["status"], call["parts"][0]["outcome"], call["why_nothing"]) == ("completed", "completed", "")
    assert [one["kind"] for one in call["deliveries"]][:3] == ["begin", "answer", "end"]
    assert {one["state"] for one in call["deliveries"]} == {"delivered"}


@pytest.mark.parametrize("name", [name for name in NAMES if "/no_cdr/" not in name])
def test_every_recorded_call(name: str) -> None:
    """Whatever was recorded: nothing fails, every call that ended is shown once, and no number in full."""
    scene = Scene()
    with structlog.testing.capture_logs() as log:
        scene.play(name)
    assert log == []
    state = scene.state()
    ids = [call["call_id"] for call in state["ended"]]
    assert len(ids) == len(set(ids))
    assert not [call for call in state["calls"] if any(part["does"] != "ended" for part in call["parts"])]
    shown = [call[field] for call in state["ended"] + state["calls"] for field in ("customer", "did")]
    assert not [number for number in shown if len(number) > 5 and "***" not in number]


def test_unmasked() -> None:
    """[log] mask = false shows numbers in full, as in the log."""
    scene = Scene()
    scene.play("asterisk22/inbound_answered")
    assert scene.state(mask=False)["ended"][0]["customer"] == "+79161234567"


@pytest.mark.parametrize(
    ("ruling", "state", "colour"),
    [
        (Ruling.DELIVERED, "delivered", "good"),
        (Ruling.PROBABLY, "probably", "good"),
        (Ruling.AGAIN, "again", "wait"),
        (Ruling.AWAY, "away", "bad"),
        (Ruling.AUTH_FAILED, "secret", "bad"),
        (Ruling.MISCONFIGURED, "address", "bad"),
        (Ruling.PARKED, "parked", "bad"),
        (Ruling.UNKNOWN, "unknown", "wait"),
    ],
)
def test_outcome_of_a_delivery(ruling: Ruling, state: str, colour: str) -> None:
    """Each ruling about a reply is shown as a state, with the reason, the tries and the seconds since the event."""
    scene = Scene()
    scene.play("asterisk22/inbound_answered", until=0.9)
    scene.answer(scene.deliveries[0], Ruling.AGAIN)
    scene.answer(scene.deliveries[0], ruling, "because")
    (shown,) = scene.state()["calls"][0]["deliveries"]
    assert (shown["state"], shown["colour"], shown["words"], shown["tries"]) == (state, colour, "because", 2)
    assert shown["after_secs"] == pytest.approx(0.2, abs=0.01)


def test_requests_that_others_sent() -> None:
    """A request that we never sent, though nothing waits any more, was sent by another connector or an earlier run."""
    scene = Scene()
    scene.play("asterisk22/inbound_answered", until=0.9)
    scene.clock.at += 31
    assert scene.state()["calls"][0]["deliveries"][0]["state"] == "elsewhere"
    waiting = attrs.evolve(NOTHING_WAITS, waiting=1)
    assert scene.state(outbox=waiting)["calls"][0]["deliveries"][0]["state"] == "not_sent"


def test_request_that_came_too_late() -> None:
    """What is superseded, since what follows was made already, is shown so."""
    scene = Scene()
    scene.play("asterisk22/inbound_answered")
    states = {one["kind"]: one["state"] for one in scene.state()["ended"][0]["deliveries"]}
    assert states["answer"] == "superseded"
    assert states["end"] == "not_sent"


def test_recording_that_is_awaited() -> None:
    """A Record waits for its file, which is no delay of ours, and does not count among the delivery times."""
    scene = Scene()
    scene.watching.is_awaited = lambda pbx: pbx == "main"
    scene.play("asterisk22/inbound_answered")
    (record,) = (request for request in scene.deliveries if request.kind is Kind.RECORDING)
    states = {one["kind"]: one["state"] for one in scene.state()["ended"][0]["deliveries"]}
    assert states["recording"] == "file"
    scene.answer(record)
    assert scene.state()["ended"][0]["deliveries"][-1]["state"] == "delivered"


def test_queues() -> None:
    """Callers who wait in a queue are counted, with the longest wait, until an employee answers."""
    scene = Scene()
    scene.watching.observe(call_began(1), [])
    for number, waits in ((1, 90.0), (2, 30.0)):
        queued = CallerQueued(call_id=f"main-{number}", at=NOW, because="x", queue="sales", position=str(number))
        scene.clock.at = NOW
        scene.watching.observe(attrs.evolve(queued, at=NOW - waits), [])
    assert scene.state()["queues"] == [{"queue": "sales", "waiting": 2, "longest_secs": 90.0}]
    first = scene.state()["calls"][0]
    assert (first["waits_in_queue"], first["queue_position"], first["queued_at"]) == (True, "1", NOW - 90)
    rings = attrs.evolve(phone_rings(1), at=NOW, began_at=NOW)
    scene.watching.observe(rings, [])
    answered = ParticipationAnswered(
        call_id="main-1", at=NOW + 1, because="x", extension="101", occurrence=rings.occurrence, role=Role.CALLEE,
        direction=Direction.INBOUND, customer="+79161234567", began_at=NOW,
    )  # fmt: skip
    scene.watching.observe(answered, [])
    assert scene.state()["queues"] == [{"queue": "sales", "waiting": 1, "longest_secs": 30.0}]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("asterisk22/internal_answered", "internal"),
        ("asterisk22/inbound_ivr_hangup", "no_phone"),
    ],
)
def test_why_nothing_was_sent(name: str, why: str) -> None:
    """A call of which nothing is sent to the CRM shows why."""
    scene = Scene()
    scene.play(name)
    call = scene.state()["ended"][0]
    assert call["deliveries"] == []
    assert call["why_nothing"] == why


def test_a_phone_that_is_no_employees() -> None:
    """With rules that match no phone the page shows which one rang and why it is no employee's, from its first ring on;
    the number in its name only in part."""
    scene = Scene()
    scene.play("asterisk22/inbound_answered", until=0.9, rules=TrackerRules(extensions="^2\\d\\d$"))
    (call,) = scene.state()["calls"]
    assert call["why_nothing"] == "no_employee"
    (because,) = call["not_employees"]
    assert re.fullmatch(r"PJSIP/101-\w+ rang: no employee, since neither its CallerID nor its name matches .*", because)
    scene = Scene()
    scene.play("asterisk22/inbound_answered", rules=TrackerRules(extensions="^2\\d\\d$"))
    (call,) = scene.state()["ended"]
    assert (call["status"], call["not_employees"]) == ("completed", [because])
    stranger = NotAnEmployee(
        call_id="main-1", at=NOW, because="SIP/79161234567-00000001 rang: no employee", channel="x",
        endpoint="SIP/79161234567", evidence=Evidence.NONE,
    )  # fmt: skip
    scene.watching.observe(stranger, [])
    assert scene.state()["calls"][0]["not_employees"] == ["SIP/7916***4567-00000001 rang: no employee"]


def call_began(number: int) -> CallBegan:
    return CallBegan(
        call_id=f"main-{number}", at=NOW, because="x", direction=Direction.INBOUND, customer="+79161234567", did=""
    )


def phone_rings(number: int, began_at: float = NOW) -> ParticipationBegan:
    return ParticipationBegan(
        call_id=f"main-{number}", at=began_at, because="x", extension="101", occurrence=f"{began_at}", role=Role.CALLEE,
        direction=Direction.INBOUND, customer="+79161234567", began_at=began_at, customer_name="", line="",
    )  # fmt: skip


def ended(number: int, click: ClickResult | None = None) -> CallEnded:
    of_call = summary(call_id=f"main-{number}", click=click)
    return CallEnded(call_id=of_call.call_id, at=NOW, because="x", ended_at=NOW, summary=of_call)


def begin_of(number: int, occurrence: str = "1") -> Delivery:
    return Delivery(
        kind=Kind.BEGIN, pbx="main", call_id=f"main-{number}", subject="101", occurrence=occurrence, extension="101",
        role=Role.CALLEE, direction=Direction.INBOUND, customer="79161234567", at=NOW, began_at=NOW,
    )  # fmt: skip


def test_memory_is_bounded() -> None:
    """However many calls, rings, requests, oddities and clicks there are, the last ones alone are kept."""
    scene = Scene()
    watching = scene.watching
    for number in range(room.MAX_ENDED + 50):
        watching.observe(call_began(number), [begin_of(number, f"k{number}")])
        watching.observe(ended(number), [])
        watching.observe(Oddity(call_id="", at=NOW, because="odd"), [])
    for number in range(10_000, 10_000 + room.MAX_LIVE + 50):
        watching.observe(call_began(number), [])
    for number in range(500):
        watching.observe(phone_rings(1, NOW + number), [begin_of(20_000, f"r{number}")])
        watching.observe(phone_rings(11_049, NOW + number), [begin_of(11_049, f"m{number}")])
    assert (len(watching.ended), len(watching.live)) == (room.MAX_ENDED, room.MAX_LIVE)
    busy = watching.live["main-11049"]
    assert (len(busy.shares), len(busy.deliveries)) == (room.MAX_PARTS, room.MAX_DELIVERIES)
    assert len(watching.odd) == room.MAX_ODD
    assert len(watching._by_key) == room.MAX_ENDED + room.MAX_DELIVERIES
    watching.start_over()
    assert len(watching.live) == 0
    assert len(watching._by_key) == room.MAX_ENDED


def test_calls_without_an_end_are_forgotten() -> None:
    """A call without participants is not shown for ever, if its end never comes."""
    scene = Scene()
    scene.watching.observe(call_began(1), [])
    scene.watching.observe(CallMerged(call_id="main-1", at=NOW, because="x", into="main-0"), [])
    scene.watching.observe(phone_rings(2), [])
    scene.clock.at += room.FORGOTTEN_AFTER - 1
    assert [call["merged_into"] for call in scene.state()["calls"]] == ["main-0", ""]
    scene.clock.at += 2
    assert [call["call_id"] for call in scene.state()["calls"]] == ["main-2"]


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        (Originated.QUEUED, "the PBX has taken it"),
        (Originated.REFUSED, "nothing was dialled"),
        (Originated.UNKNOWN, "is not sent again"),
    ],
)
async def test_click(outcome: Originated, words: str) -> None:
    """A click is shown with what the PBX said to it, and its number in part."""
    scene = Scene()

    async def originate(_: Dial) -> Originated:
        await trio.lowlevel.checkpoint()
        return outcome

    assert await scene.watching.around(originate, DIAL) is outcome
    (click,) = scene.state()["clicks"]
    assert (click["extension"], click["number"]) == ("101", "+7916***4567")
    assert words in click["words"]


DIAL = Dial(
    pbx="main", channel="PJSIP/101", context="from-internal", exten="+79161234567", shown="", caller_id="",
    channel_id="uac-1", ring_seconds=30, extension="101", number="+79161234567",
)  # fmt: skip


async def test_click_that_is_cut_off() -> None:
    """A click whose client is gone counts as unknown, and the cancellation goes on."""
    scene = Scene()

    async def originate(_: Dial) -> Originated:
        await trio.sleep_forever()
        raise AssertionError

    with trio.move_on_after(0.01) as patience:
        await scene.watching.around(originate, DIAL)
    assert patience.cancelled_caught
    assert "is not sent again" in scene.state()["clicks"][0]["words"]


async def test_outcome_of_a_click() -> None:
    """When the call of a click ends, its words replace what the PBX said first, in the list of clicks and the call."""
    scene = Scene()

    async def originate(_: Dial) -> Originated:
        await trio.lowlevel.checkpoint()
        return Originated.QUEUED

    await scene.watching.around(originate, DIAL)
    became = ClickResult("employee-no-answer", "101 did not answer")
    end = attrs.evolve(ended(1, became), call_id="main-uac-1")
    scene.watching.observe(end, [])
    state = scene.state()
    assert state["clicks"][0]["words"] == state["ended"][0]["click"] == "101 did not answer"
    await scene.watching.around(originate, DIAL)  # the PBX's answer came after the end
    assert scene.state()["clicks"][0]["words"] == "101 did not answer"


def test_a_fault_in_watching_is_contained(monkeypatch: pytest.MonkeyPatch) -> None:
    """What only shows may fail: the pipeline and the sender go on, and the log has it."""
    scene = Scene()
    monkeypatch.setattr(Metrics, "count_fact", lambda *_: 1 / 0)
    with structlog.testing.capture_logs() as log:
        scene.watching.observe(call_began(1), [])
    assert [entry["event"] for entry in log] == ["watching.failed"]


def test_findings() -> None:
    """The conditions that are present, with their words and numbers in part; none: the list is empty."""
    scene = Scene()
    assert scene.state()["findings"] == []
    one = Finding(
        condition=Condition.NOT_AN_EMPLOYEE, pbx="main", words="SIP/79161234567 rang", remedy="name it", since=NOW
    )
    assert scene.state(findings=(one,))["findings"] == [
        {
            "condition": "not_an_employee",
            "severity": "warning",
            "pbx": "main",
            "since": NOW,
            "words": "SIP/7916***4567 rang",
            "remedy": "name it",
        }
    ]


def test_parked_and_odd() -> None:
    """Dead letters and oddities are shown with their reasons, numbers in part."""
    scene = Scene()
    scene.watching.observe(Oddity(call_id="main-1", at=NOW, because="no end of 79161234567"), [])
    row = ParkedRow(id=5, delivery=begin_of(1), parked_at=NOW, attempt=2, reason="refused 79161234567")
    state = scene.state(parked=[row])
    assert (state["parked"][0]["id"], state["parked"][0]["reason"]) == (5, "refused 7916***4567")
    assert state["odd"][0]["because"] == "no end of 7916***4567"
    assert "79161234567" not in str(state)


def test_nothing_turns_the_page_around() -> None:
    """Controls that reorder what a browser shows are left out, wherever a stranger's text stands."""
    scene = Scene()
    scene.watching.observe(attrs.evolve(call_began(1), customer="\u202e+7916\u2066"), [])
    scene.watching.observe(Oddity(at=NOW, call_id="main-1", because="\u200f\u061cAnna\u2069"), [])
    state = scene.state(mask=False)
    assert state["calls"][0]["customer"] == "+7916"
    assert state["odd"][0]["because"] == "Anna"
