"""Answered means heard: announcement, delay, confirmation by key, machines lie between pick-up and conversation."""

from __future__ import annotations

import pytest

from tests.calls.confirming import App, Confirmed
from tests.calls.wire import CUSTOMER, Chan, Office, Wire
from uac_trio.calls.rules import TrackerRules

RECORDING = "/monitor/in.wav"


# ---- queues that announce something before they connect


def queue_picked_up(wire: Wire, *extensions: str) -> tuple[Chan, list[Chan]]:
    """The phones of all ring for 2 s, the first is picked up, the others are given up; an announcement plays."""
    customer = wire.calls_in()
    wire.joins_queue(customer)
    phones = [wire.queue_rings(customer, extension) for extension in extensions]
    wire.wait(2.0)
    winner, *losers = phones
    wire.up(winner)
    wire.dial_ends(customer, winner, "ANSWER")
    for loser in losers:
        wire.dial_ends(customer, loser, "CANCEL")
        wire.gives_up(customer, loser, cause=26)
    return customer, phones


def queue_connects(wire: Wire, customer: Chan, phone: Chan) -> None:
    wire.leaves_queue(customer)
    wire.bridge(phone, customer)


def test_a_queue_that_announces_before_it_connects(office: Office) -> None:
    """Ringing ends when the announcement is over, and only then the others are answered elsewhere."""
    wire = office.wire()
    customer, (phone, *_) = queue_picked_up(wire, "101", "102")
    wire.wait(4.0)
    assert (wire.so_far.answered, wire.so_far.ended) == ([], [])
    queue_connects(wire, customer, phone)
    wire.wait(5.0)
    wire.talk_ends(customer, phone)
    story = wire.story()
    story.shows(
        direction="inbound", customer=CUSTOMER, status="completed", queue="support", rang=["101", "102"],
        answered_by="101", ring_secs=6.0, talk_secs=5.0, parts={"101": "completed", "102": "answered-elsewhere"},
    )  # fmt: skip
    assert story.answered == ["101"]


@pytest.mark.parametrize("leaves_first", [True, False])
def test_a_customer_who_leaves_during_the_announcement(office: Office, leaves_first: bool) -> None:
    """No one talked: the agents' rows are missed calls, whatever the order of the last events."""
    wire = office.wire()
    customer, (phone, *_) = queue_picked_up(wire, "101", "102")
    wire.wait(3.0)
    wire.ask_hangup(customer)
    if leaves_first:
        wire.leaves_queue(customer)
        wire.wait(0.1)
    wire.dial_ends(customer, phone, "NOANSWER")
    wire.hang_up(phone)
    if not leaves_first:
        wire.leaves_queue(customer)
    wire.hang_up(customer)
    wire.cdr(customer, phone, RECORDING)
    story = wire.story()
    story.shows(
        status="cancelled", answered_by=None, ring_secs=2.0, talk_secs=None, recording=None,
        parts={"101": "cancelled", "102": "cancelled"},
    )  # fmt: skip
    assert (story.answered, story.recordings) == ([], [])


def test_an_agent_who_hangs_up_during_the_announcement(office: Office) -> None:
    """The queue goes on ringing (app_queue.c, AGENTDUMP): the colleague who then talks is the one who answered."""
    wire = office.wire()
    customer, (phone, *_) = queue_picked_up(wire, "101", "102")
    wire.wait(3.0)
    wire.ask_hangup(phone)
    wire.hang_up(phone)
    wire.wait(1.0)
    assert wire.so_far.ended == [("101", "no-answer"), ("102", "no-answer")]
    phone = wire.queue_rings(customer, "102")
    wire.wait(2.0)
    wire.up(phone)
    wire.dial_ends(customer, phone, "ANSWER")
    queue_connects(wire, customer, phone)
    wire.wait(5.0)
    wire.talk_ends(customer, phone)
    story = wire.story()
    story.shows(
        status="completed", answered_by="102", ring_secs=8.0, talk_secs=5.0,
        parts={"101": "no-answer", "102": "completed"},
    )  # fmt: skip
    assert story.answered == ["102"]


def test_an_agent_who_hangs_up_and_a_customer_who_waits_on_in_vain(office: Office) -> None:
    wire = office.wire()
    customer, (phone, *_) = queue_picked_up(wire, "101")
    wire.wait(3.0)
    wire.ask_hangup(phone)
    wire.hang_up(phone)
    wire.wait(10.0)
    wire.ask_hangup(customer)
    wire.leaves_queue(customer)
    wire.hang_up(customer)
    story = wire.story()
    story.shows(status="cancelled", answered_by=None, talk_secs=None, parts={"101": "no-answer"})


def test_a_member_behind_a_local_channel(office: Office) -> None:
    """Queue members as Local/101@...: the outer leg answers with the inner one, before the announcement."""
    wire = office.wire()
    customer = wire.calls_in()
    wire.joins_queue(customer)
    one = Confirmed(wire, customer, "101", dial_string="Local/101@from-internal/n")
    one.rings()
    wire.wait(2.0)
    one.picks_up()
    wire.dial_ends(customer, one.first, "ANSWER")
    wire.wait(4.0)
    assert wire.so_far.answered == []
    wire.leaves_queue(customer)
    wire.bridge(one.first, customer)
    wire.wait(5.0)
    wire.talk_ends(customer)
    one.ends()
    story = wire.story()
    story.shows(status="completed", answered_by="101", ring_secs=6.0, talk_secs=5.0, parts={"101": "completed"})


# ---- confirmation behind a Local channel: Dial(Local/...,,U(...)), A(...), FollowMe()

APPS = [
    pytest.param("Dial", True, id="Dial"),
    pytest.param("FollowMe", True, id="FollowMe"),
    pytest.param("FollowMe", False, id="FollowMe, reported before the bridge"),
]


@pytest.mark.parametrize(("app", "is_bridged_first"), APPS)
def test_confirmed_by_key(office: Office, app: App, is_bridged_first: bool) -> None:
    """The ringing lasts until the key, the talk begins there, and a colleague who rings on is answered elsewhere."""
    wire = office.wire()
    customer = wire.calls_in()
    one, other = (Confirmed(wire, customer, extension) for extension in ("101", "102"))
    one.rings()
    other.rings()
    wire.wait(2.0)
    one.picks_up(app, is_bridged_first=is_bridged_first)
    wire.wait(3.0)
    assert (wire.so_far.answered, wire.so_far.ended) == ([], [])
    one.confirms(app)
    wire.gives_up(customer, other.first, cause=26)
    wire.gives_up(other.second, other.phone, cause=26)
    other.ends()
    wire.wait(5.0)
    wire.talk_ends(customer)
    one.ends()
    wire.cdr(customer, one.first, RECORDING)
    story = wire.story()
    story.shows(
        status="completed", answered_by="101", ring_secs=5.0, talk_secs=5.0, recording=RECORDING,
        parts={"101": "completed", "102": "answered-elsewhere"},
    )  # fmt: skip
    assert story.recordings == [("101", RECORDING)]


@pytest.mark.parametrize("word", ["CONTINUE", "BUSY", "NOANSWER", "CONGESTION", "GOSUB:declined,s,1", "CANCEL", ""])
@pytest.mark.parametrize(("app", "is_bridged_first"), APPS)
def test_declined_by_key(office: Office, app: App, is_bridged_first: bool, word: str) -> None:
    """The user heard the prompt and declined: a missed call, whatever word Dial gives it."""
    wire = office.wire()
    customer = wire.calls_in()
    one = Confirmed(wire, customer, "101")
    one.rings()
    wire.wait(2.0)
    one.picks_up(app, is_bridged_first=is_bridged_first)
    wire.wait(3.0)
    if word:
        wire.dial_ends(customer, one.first, word)
    wire.ask_hangup(one.second)
    one.ends()
    wire.wait(1.0)
    assert wire.so_far.ended == [("101", "no-answer")]
    wire.hang_up(customer)
    wire.cdr(customer, one.first, RECORDING, is_answered=False)
    story = wire.story()
    story.shows(status="no-answer", answered_by=None, ring_secs=2.0, talk_secs=None, parts={"101": "no-answer"})
    assert (story.answered, story.recordings) == ([], [])


@pytest.mark.parametrize(("app", "is_bridged_first"), APPS)
def test_a_caller_who_leaves_before_the_key(office: Office, app: App, is_bridged_first: bool) -> None:
    wire = office.wire()
    customer = wire.calls_in()
    one = Confirmed(wire, customer, "101")
    one.rings()
    wire.wait(2.0)
    one.picks_up(app, is_bridged_first=is_bridged_first)
    wire.wait(3.0)
    wire.ask_hangup(customer)
    wire.ask_hangup(one.second)
    one.ends()
    wire.hang_up(customer)
    story = wire.story()
    story.shows(status="cancelled", answered_by=None, ring_secs=2.0, talk_secs=None, parts={"101": "cancelled"})
    assert story.answered == []


@pytest.mark.parametrize(("app", "is_bridged_first"), APPS)
@pytest.mark.parametrize("desk", ["answers", "caller leaves"])
def test_a_machine_on_a_mobile_in_a_ring_group(office: Office, app: App, is_bridged_first: bool, desk: str) -> None:
    """The mobile's machine picks up and hears the prompt; who answers is the desk phone that rings on, if it does."""
    wire = office.wire(TrackerRules(mobiles={"+79261234567": "102"}))
    customer = wire.calls_in()
    desk_phone, mobile = Confirmed(wire, customer, "101"), Confirmed(wire, customer, "102", number="89261234567")
    desk_phone.rings()
    mobile.rings()
    wire.wait(1.0)
    mobile.picks_up(app, is_bridged_first=is_bridged_first)
    wire.wait(3.0)
    assert wire.so_far.ended == []
    if desk == "answers":
        desk_phone.picks_up()
        desk_phone.confirms()
        wire.dial_ends(customer, mobile.first, "CANCEL")
        mobile.ends(cause=26)
        wire.wait(5.0)
        wire.talk_ends(customer)
        desk_phone.ends()
    else:
        wire.ask_hangup(customer)
        for each in (desk_phone, mobile):
            wire.dial_ends(customer, each.first, "CANCEL")
        wire.dial_ends(desk_phone.second, desk_phone.phone, "CANCEL")
        desk_phone.ends()
        mobile.ends()
        wire.hang_up(customer)
    story = wire.story()
    if desk == "answers":
        parts = {"101": "completed", "102": "answered-elsewhere"}
        story.shows(status="completed", answered_by="101", ring_secs=4.0, talk_secs=5.0, parts=parts)
    else:
        story.shows(
            status="cancelled", answered_by=None, talk_secs=None, parts={"101": "cancelled", "102": "cancelled"}
        )


@pytest.mark.parametrize(("app", "is_bridged_first"), APPS)
def test_the_second_to_pick_up_confirms_first(office: Office, app: App, is_bridged_first: bool) -> None:
    wire = office.wire()
    customer = wire.calls_in()
    one, other = (Confirmed(wire, customer, extension) for extension in ("101", "102"))
    one.rings()
    other.rings()
    for each in (one, other):
        wire.wait(2.0)
        each.picks_up(app, is_bridged_first=is_bridged_first)
    wire.wait(2.0)
    assert (wire.so_far.answered, wire.so_far.ended) == ([], [])
    other.confirms(app)
    wire.dial_ends(customer, one.first, "CANCEL")
    one.ends(cause=26)
    wire.wait(5.0)
    wire.talk_ends(customer)
    other.ends()
    story = wire.story()
    parts = {"101": "answered-elsewhere", "102": "completed"}
    story.shows(status="completed", answered_by="102", ring_secs=6.0, talk_secs=5.0, parts=parts)


# ---- a server whose BridgeEnter a filter drops

NO_BRIDGES = ("BridgeEnter", "BridgeLeave")


def test_an_answered_dial_counts_where_no_bridge_is_shown(office: Office) -> None:
    """Half a second after the first answer of all it is clear that none will follow; later answers count at once."""
    wire = office.wire(filtered=NO_BRIDGES)
    customer = wire.calls_in()
    phone = wire.dial(customer, wire.phone("101", customer))
    wire.rings(phone)
    wire.wait(2.0)
    wire.answers(customer, phone)
    assert wire.so_far.answered == ([] if office.is_new else ["101"])
    wire.wait(5.0)
    wire.talk_ends(customer, phone)
    story = wire.story()
    late = 0.5 if office.is_new else 0.0
    story.shows(status="completed", answered_by="101", ring_secs=2.0 + late, talk_secs=5.0 - late)


def test_a_queues_answer_counts_when_its_caller_has_left_it(office: Office) -> None:
    wire = office.wire(filtered=NO_BRIDGES)
    customer, (phone, *_) = queue_picked_up(wire, "101", "102")
    wire.wait(4.0)
    assert wire.so_far.answered == []
    queue_connects(wire, customer, phone)
    wire.wait(5.0)
    wire.talk_ends(customer, phone)
    story = wire.story()
    parts = {"101": "completed", "102": "answered-elsewhere"}
    story.shows(status="completed", answered_by="101", parts=parts)
    assert story.answered == ["101"]


def test_a_list_of_channels_that_shows_bridges_does_not_mean_that_events_do(office: Office) -> None:
    """A call is going on when we connect: CoreShowChannels has its bridge, and yet no BridgeEnter will ever come."""
    wire = Wire(filtered=NO_BRIDGES)
    wire.lose_connection()
    talking = wire.calls_in("+79160000000")
    wire.answers(talking, wire.dial(talking, wire.phone("109", talking)))
    wire.wait(10.0)
    wire.reconnect()
    wire.wait(10.0)
    customer = wire.calls_in()
    phone = wire.dial(customer, wire.phone("101", customer))
    wire.rings(phone)
    wire.wait(2.0)
    wire.answers(customer, phone)
    wire.wait(5.0)
    wire.talk_ends(customer, phone)
    wire.hang_up(*wire.live)
    assert wire.story().answered == ["109", "101"]


# ---- an answer that was none


@pytest.mark.parametrize("word", ["NOANSWER", "BUSY", "CANCEL", "CONTINUE", "CHANUNAVAIL"])
def test_an_answer_that_is_taken_back(office: Office, word: str) -> None:
    """ANSWER, no bridge, then another word for the same leg: no one was connected, and the next phone rings."""
    wire = office.wire()
    customer = wire.calls_in()
    wire.joins_queue(customer)
    phone = wire.queue_rings(customer, "101")
    wire.wait(2.0)
    wire.up(phone)
    wire.dial_ends(customer, phone, "ANSWER")
    wire.wait(1.0)
    wire.dial_ends(customer, phone, word)
    wire.hang_up(phone)
    phone = wire.queue_rings(customer, "102")
    wire.wait(2.0)
    wire.up(phone)
    wire.dial_ends(customer, phone, "ANSWER")
    queue_connects(wire, customer, phone)
    wire.wait(5.0)
    wire.talk_ends(customer, phone)
    story = wire.story()
    story.shows(status="completed", answered_by="102", ring_secs=5.0, talk_secs=5.0)
    assert story.answered == ["102"]
    assert story.ended[0][0] == "101"
    assert story.ended[0][1] not in ("completed", "answered-elsewhere")


def test_an_everyday_answer(office: Office) -> None:
    """Dial() connects at once, and reports it before its BridgeEnter."""
    wire = office.wire()
    customer = wire.calls_in()
    phones = [wire.dial(customer, wire.phone(extension, customer)) for extension in ("101", "102")]
    wire.rings(*phones)
    wire.wait(2.0)
    wire.up(phones[0])
    wire.gives_up(customer, phones[1], cause=26)
    wire.dial_ends(customer, phones[0], "ANSWER")
    wire.up(customer)
    wire.bridge(phones[0], customer)
    assert wire.so_far.answered == ["101"]
    wire.wait(5.0)
    wire.talk_ends(customer, phones[0])
    story = wire.story()
    parts = {"101": "completed", "102": "answered-elsewhere"}
    story.shows(status="completed", answered_by="101", ring_secs=2.0, talk_secs=5.0, parts=parts)


@pytest.mark.parametrize("is_confirmed", [True, False])
def test_confirmation_without_a_local_channel(office: Office, is_confirmed: bool) -> None:
    """Dial(PJSIP/101,,U(...)) reports the answer after the key (app_dial.c); the pick-up itself is only a Newstate."""
    wire = office.wire()
    customer = wire.calls_in()
    phone = wire.dial(customer, wire.phone("101", customer))
    wire.rings(phone)
    wire.wait(2.0)
    wire.up(phone)
    wire.wait(3.0)
    assert wire.so_far.answered == []
    if is_confirmed:
        wire.answers(customer, phone)
        wire.wait(5.0)
        wire.talk_ends(customer, phone)
    else:
        wire.gives_up(customer, phone, status="CONTINUE", cause=16)
        wire.hang_up(customer)
    story = wire.story()
    outcome = "completed" if is_confirmed else "no-answer"
    talk, by, ring = (5.0, "101", 5.0) if is_confirmed else (None, None, 2.0)
    story.shows(status=outcome, answered_by=by, ring_secs=ring, talk_secs=talk, parts={"101": outcome})
