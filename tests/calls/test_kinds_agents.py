"""Agents who stay on the line (app_agent_pool): each customer is a call and a row of its own."""

from __future__ import annotations

from typing import Literal

import attrs
import pytest

from tests.calls.wire import CUSTOMER, OTHER_CUSTOMER, Chan, Office, Story, Wire

CUSTOMERS = (CUSTOMER, OTHER_CUSTOMER, "+79165550000")


@attrs.define
class Agent:
    """101 calls *45, and waits on the line for customers."""

    wire: Wire
    is_optimised: bool = True
    """The Local channel between queue and agent goes away at the answer."""
    is_dialled: bool = False
    """AgentLogin() is where an Originate put the phone."""
    line: Chan = attrs.field(init=False)
    hold: str = attrs.field(init=False)
    pair: tuple[Chan, Chan] | None = attrs.field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        if self.is_dialled:
            self.line = self.wire.dial(None, self.wire.channel("PJSIP/101", "101"))
            self.wire.rings(self.line)
            self.wire.wait(2.0)
        else:
            self.line = self.wire.channel("PJSIP/101", "101", state=4, exten="*45")
        self.wire.up(self.line)
        if self.is_dialled:
            self.wire.dial_ends(None, self.line, "ANSWER")
        self.wire.runs(self.line, "AgentLogin")
        self.hold = self.wire.bridge(self.line, kind="agent_hold")

    def is_called(self, customer: Chan) -> None:
        """Queue() dials Local/101@agents, whose other half waits in a bridge for the agent."""
        wire = self.wire
        first, second = self.pair = wire.local("3001", of=customer, context="agents")
        wire.shows(second, customer.number)
        wire.dial(customer, first, "Local/3001@agents")
        wire.bridge(second)
        wire.rings(first)

    def takes(self, customer: Chan) -> None:
        assert self.pair is not None
        wire, (first, second) = self.wire, self.pair
        wire.enter(self.line, second.bridge)
        wire.up(second, first)
        wire.dial_ends(customer, first, "ANSWER")
        wire.leaves_queue(customer)
        wire.bridge(first, customer)
        if self.is_optimised:
            wire.optimise(self.line, second)
            self.pair = None

    def serves(self, number: str) -> Chan:
        customer = self.wire.calls_in(number)
        self.wire.joins_queue(customer)
        self.is_called(customer)
        self.wire.wait(1.0)
        self.takes(customer)
        self.wire.wait(5.0)
        return customer

    def is_rid_of(self, customer: Chan, *, hangs_up: Literal["customer", "agent"] = "customer") -> None:
        """The customer hangs up, or the agent presses ``*``: the agent waits again."""
        wire = self.wire
        if hangs_up == "customer":
            wire.ask_hangup(customer)
        wire.leave(customer, *((self.pair[0],) if self.pair else ()))
        wire.enter(self.line, self.hold)
        wire.hang_up(customer, *(self.pair or ()))
        self.pair = None

    def logs_off(self) -> None:
        self.wire.ask_hangup(self.line)
        self.wire.hang_up(self.line)


def rows(story: Story) -> list[tuple[str, str, str, str | None, float | None]]:
    """(direction, customer, status, answered by, talk) of the calls, in order of their beginning."""
    calls = sorted(story.calls, key=lambda call: CUSTOMERS.index(call["customer"]))
    keys = ("direction", "customer", "status", "answered_by", "talk_secs")
    return [tuple(call[key] for key in keys) for call in calls]


OPTIMISED = pytest.mark.parametrize("is_optimised", [True, False], ids=["optimised", "through Local"])


@OPTIMISED
@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize("hangs_up", ["customer", "agent"])
@pytest.mark.parametrize("shows_linkedid", [True, False])
def test_customers_in_turn(
    office: Office, is_optimised: bool, number: int, hangs_up: Literal["customer", "agent"], shows_linkedid: bool
) -> None:
    """The agent's channel outlives them all; the waiting itself is no call that people made."""
    wire = office.wire(shows_linkedid=shows_linkedid)
    agent = Agent(wire, is_optimised)
    wire.wait(10.0)
    for customer in CUSTOMERS[:number]:
        agent.is_rid_of(agent.serves(customer), hangs_up=hangs_up)
        wire.wait(10.0)
    agent.logs_off()
    story = wire.story()
    assert rows(story) == [("inbound", customer, "completed", "101", 5.0) for customer in CUSTOMERS[:number]]
    assert story.began == [("101", "callee", customer) for customer in CUSTOMERS[:number]]
    assert story.ended == [("101", "completed")] * number
    assert all(call["rang"] == ["101"] and call["queue"] == "support" for call in story.calls)


@OPTIMISED
def test_an_agent_who_logs_off_in_mid_call(office: Office, is_optimised: bool) -> None:
    wire = office.wire()
    agent = Agent(wire, is_optimised)
    wire.wait(10.0)
    customer = agent.serves(CUSTOMER)
    wire.ask_hangup(agent.line)
    wire.hang_up(agent.line, *(agent.pair or ()))
    wire.hang_up(customer)
    story = wire.story()
    assert rows(story) == [("inbound", CUSTOMER, "completed", "101", 5.0)]
    assert story.ended == [("101", "completed")]


@OPTIMISED
def test_a_customer_who_waits_while_another_talks(office: Office, is_optimised: bool) -> None:
    wire = office.wire()
    agent = Agent(wire, is_optimised)
    wire.wait(10.0)
    first = agent.serves(CUSTOMER)
    second = wire.calls_in(OTHER_CUSTOMER)
    wire.joins_queue(second)
    wire.wait(3.0)
    agent.is_rid_of(first)
    agent.is_called(second)
    agent.takes(second)
    wire.wait(7.0)
    agent.is_rid_of(second)
    agent.logs_off()
    story = wire.story()
    assert rows(story) == [
        ("inbound", CUSTOMER, "completed", "101", 8.0),
        ("inbound", OTHER_CUSTOMER, "completed", "101", 7.0),
    ]
    assert story.began == [("101", "callee", CUSTOMER), ("101", "callee", OTHER_CUSTOMER)]


@OPTIMISED
def test_a_customer_who_leaves_before_the_agent_takes_them(office: Office, is_optimised: bool) -> None:
    """The agent heard a beep at most; and the next customer is theirs as ever."""
    wire = office.wire()
    agent = Agent(wire, is_optimised)
    customer = wire.calls_in(CUSTOMER)
    wire.joins_queue(customer)
    agent.is_called(customer)
    wire.wait(2.0)
    wire.ask_hangup(customer)
    assert agent.pair is not None
    wire.gives_up(customer, agent.pair[0])
    wire.hang_up(agent.pair[1])
    wire.leaves_queue(customer)
    wire.hang_up(customer)
    agent.is_rid_of(agent.serves(OTHER_CUSTOMER))
    agent.logs_off()
    story = wire.story()
    assert rows(story) == [
        ("inbound", CUSTOMER, "cancelled", None, None),
        ("inbound", OTHER_CUSTOMER, "completed", "101", 5.0),
    ]


Break = Literal["reconnect", "restart"]
BREAKS = pytest.mark.parametrize("kind", ["reconnect", "restart"])


def breaks(wire: Wire, kind: Break) -> None:
    """The connection is away for a second, or the connector itself is restarted."""
    if kind == "reconnect":
        wire.lose_connection()
        wire.wait(1.0)
        wire.reconnect()
    else:
        wire.restart_connector()
    wire.wait(5.0)


@OPTIMISED
@BREAKS
def test_a_snapshot_while_the_agent_waits(office: Office, is_optimised: bool, kind: Break) -> None:
    """A list of channels shows an agent in a bridge of an unknown kind, alone: no call that people made."""
    wire = office.wire()
    agent = Agent(wire, is_optimised)
    wire.wait(10.0)
    breaks(wire, kind)
    for customer in CUSTOMERS[:2]:
        agent.is_rid_of(agent.serves(customer))
        wire.wait(10.0)
    agent.logs_off()
    story = wire.story()
    assert rows(story) == [("inbound", customer, "completed", "101", 5.0) for customer in CUSTOMERS[:2]]
    assert story.began == [("101", "callee", customer) for customer in CUSTOMERS[:2]]


@OPTIMISED
@BREAKS
def test_a_snapshot_between_two_customers(office: Office, is_optimised: bool, kind: Break) -> None:
    """The agent's channel shows the call of the last customer as its own (Linkedid), who is gone."""
    wire = office.wire()
    agent = Agent(wire, is_optimised)
    agent.is_rid_of(agent.serves(CUSTOMER))
    wire.wait(10.0)
    breaks(wire, kind)
    agent.is_rid_of(agent.serves(OTHER_CUSTOMER))
    agent.logs_off()
    story = wire.story()
    lost = [("inbound", CUSTOMER, "completed", "101", 5.0)] if kind == "reconnect" else []
    assert rows(story) == [*lost, ("inbound", OTHER_CUSTOMER, "completed", "101", 5.0)]


@OPTIMISED
@BREAKS
def test_a_snapshot_while_the_agent_talks(office: Office, is_optimised: bool, kind: Break) -> None:
    """The talk goes on, and so do the customers after it."""
    wire = office.wire()
    agent = Agent(wire, is_optimised)
    wire.wait(10.0)
    customer = agent.serves(CUSTOMER)
    breaks(wire, kind)
    agent.is_rid_of(customer)
    wire.wait(10.0)
    agent.is_rid_of(agent.serves(OTHER_CUSTOMER))
    agent.logs_off()
    story = wire.story()
    found = [row[:4] for row in rows(story)]
    assert found == [("inbound", number, "completed", "101") for number in CUSTOMERS[:2]]
    assert story.began == [("101", "callee", CUSTOMER), ("101", "callee", OTHER_CUSTOMER)]


@BREAKS
def test_an_agent_who_logs_off_unseen(office: Office, kind: Break) -> None:
    """Nothing is left of who waited."""
    wire = office.wire()
    agent = Agent(wire, is_optimised=True)
    wire.wait(10.0)
    wire.lose_connection()
    agent.logs_off()
    wire.wait(1.0)
    if kind == "restart":
        wire.restart_connector()
    else:
        wire.reconnect()
    assert wire.story().calls == []


def test_an_agent_who_was_called_to_log_in(office: Office) -> None:
    """AgentLogin() may be where an Originate puts a phone."""
    wire = office.wire()
    agent = Agent(wire, is_dialled=True)
    wire.wait(10.0)
    for customer in CUSTOMERS[:2]:
        agent.is_rid_of(agent.serves(customer))
    agent.logs_off()
    story = wire.story()
    assert rows(story) == [("inbound", number, "completed", "101", 5.0) for number in CUSTOMERS[:2]]
    assert story.began == [("101", "callee", customer) for customer in CUSTOMERS[:2]]


def test_a_conference_line_that_outlives_its_customers(office: Office) -> None:
    """People of many calls meet in ConfBridge(): each customer's call is one of its own, and ends with them."""
    wire = office.wire()
    line = wire.channel("PJSIP/101", "101", state=4, exten="800")
    wire.up(line)
    room = wire.bridge(line, kind="base")
    for number in CUSTOMERS[:2]:
        customer = wire.calls_in(number)
        wire.up(customer)
        wire.wait(3.0)
        wire.enter(customer, room)
        wire.wait(5.0)
        wire.talk_ends(customer)
        wire.wait(10.0)
        assert [call["customer"] for call in wire.so_far.calls][-1] == number
    wire.talk_ends(line)
    story = wire.story()
    own = story.calls.pop()
    found = [(call["customer"], call["status"], call["talk_secs"], call["transfers"]) for call in story.calls[:2]]
    assert found == [(number, "completed", 5.0, []) for number in CUSTOMERS[:2]]
    assert (own["direction"], own["caller"], own["called"]) == ("internal", "101", "800")
