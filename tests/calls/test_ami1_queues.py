"""AMI 1.x: queues, and who dials a phone that no Dial event is about."""

from __future__ import annotations

import pytest

from tests.calls.ami1_scenes import (
    A_CALL,
    ANNA,
    BORIS,
    CALLS_ANNA,
    IN_QUEUE,
    INSIDE,
    NEWER,
    PAIR,
    RINGS_BORIS,
    RINGS_OUT,
    TRUNK,
    VERA,
    adapter_after,
    agent,
    ami,
    asked,
    called,
    dial,
    dialled,
    follows,
    hangup,
    joins,
    leaves,
    link,
    local,
    made,
    rings,
    state,
)


def test_who_waits_in_a_queue() -> None:
    assert follows(A_CALL, joins(TRUNK, "1.1")) == [f"joined support 1 {TRUNK}"]
    assert follows(A_CALL, joins(TRUNK, "1.1"), leaves(TRUNK, "1.1")) == [f"left {TRUNK}"]


def test_a_queue_that_shows_whom_it_calls() -> None:
    adapter = adapter_after()

    assert follows(IN_QUEUE, CALLS_ANNA, adapter=adapter) == [f"created {ANNA}", f"dial {TRUNK} > {ANNA} SIP/101"]
    assert follows(state(ANNA, "1.2", 6, connected="+79161234567"), adapter=adapter) == [
        f"changed {ANNA}",
        f"dialled {TRUNK} > {ANNA} ANSWER",
    ]


@pytest.mark.parametrize(
    ("before", "cause", "status"),
    [
        pytest.param(RINGS_OUT, 16, "NOANSWER", id="timed out"),
        pytest.param("", 16, "CANCEL", id="given up"),
        pytest.param("", 17, "BUSY", id="busy"),
    ],
)
def test_how_a_member_ended(before: str, cause: int, status: str) -> None:
    found = follows(NEWER, IN_QUEUE, CALLS_ANNA, before, hangup(ANNA, "1.2", cause))

    assert found == [f"dialled {TRUNK} > {ANNA} {status}", f"hung up {ANNA} {cause}"]


def test_a_member_who_answers_and_leaves_before_the_bridge_is_not_refused() -> None:
    assert follows(IN_QUEUE, CALLS_ANNA, state(ANNA, "1.2", 6), hangup(ANNA, "1.2")) == [f"hung up {ANNA} 16"]


def test_members_that_lose_were_given_up() -> None:
    """Asterisk 1.8 hangs up their Local channels without a cause."""
    calls_boris = made(BORIS, "1.3", "102") + agent(TRUNK, "1.1", BORIS, "SIP/102")
    found = follows(IN_QUEUE, CALLS_ANNA, calls_boris, RINGS_OUT, state(BORIS, "1.3", 6), hangup(ANNA, "1.2", 0))

    assert found == [f"dialled {TRUNK} > {ANNA} CANCEL", f"hung up {ANNA} 0"]


def test_what_is_dialled_behind_a_queue_is_a_dials() -> None:
    """office_queue_then_ringgroup."""
    behind = [IN_QUEUE, CALLS_ANNA, RINGS_OUT, hangup(ANNA, "1.2"), leaves(TRUNK, "1.1"), RINGS_BORIS]

    assert follows(*behind, hangup(BORIS, "1.3")) == []
    assert follows(*behind, hangup(BORIS, "1.3"), dialled(TRUNK, "1.1", "NOANSWER"))[0] == (
        f"dialled {TRUNK} > {BORIS} NOANSWER"
    )


def test_a_queue_behind_a_dial_is_a_queues() -> None:
    """The end of the Dial() was lost."""
    behind = [A_CALL, RINGS_BORIS, joins(TRUNK, "1.1"), CALLS_ANNA, RINGS_OUT]

    assert follows(*behind, hangup(ANNA, "1.2")) == [f"dialled {TRUNK} > {ANNA} NOANSWER", f"hung up {ANNA} 16"]


def test_after_an_answer_a_queue_starts_anew() -> None:
    """The customer was sent on to the queue again: the answer before was the end of that round."""
    again = made(BORIS, "1.3", "102") + agent(TRUNK, "1.1", BORIS, "SIP/102") + state(BORIS, "1.3", 5)
    rings_out = ami("AgentRingNoAnswer", Uniqueid="1.1", Member="SIP/102", Queue="support")
    found = follows(IN_QUEUE, CALLS_ANNA, state(ANNA, "1.2", 6), again, rings_out, hangup(BORIS, "1.3"))

    assert found[0] == f"dialled {TRUNK} > {BORIS} NOANSWER"


def test_a_queue_without_agent_called_is_known_by_the_number_that_its_members_show() -> None:
    adapter = adapter_after()
    found = follows(IN_QUEUE, *rings("+79161234567"), adapter=adapter)

    assert found == [f"created {ANNA}", f"dial {TRUNK} > {ANNA} SIP/101", f"changed {ANNA}"]


def test_of_two_who_wait_the_one_whose_number_it_is() -> None:
    second = called("SIP/trunk-09", "1.9", "+79990001122") + joins("SIP/trunk-09", "1.9")

    assert f"dial SIP/trunk-09 > {ANNA} SIP/101" in follows(IN_QUEUE, second, *rings("+79990001122"))
    assert f"dial {TRUNK} > {ANNA} SIP/101" in follows(IN_QUEUE, second, *rings("+79161234567"))
    assert f"dial - > {ANNA}" in follows(IN_QUEUE, second, *rings("84950000000"))
    assert f"dial - > {ANNA}" in follows(IN_QUEUE, *rings("84950000000")), "nor of one"


def test_of_two_who_wait_without_a_number_the_first() -> None:
    first = called("SIP/trunk-08", "1.8", "") + joins("SIP/trunk-08", "1.8")
    second = called("SIP/trunk-09", "1.9", "") + joins("SIP/trunk-09", "1.9")

    assert f"dial SIP/trunk-08 > {ANNA} SIP/101" in follows(IN_QUEUE, first, second, *rings(""))
    assert f"dial SIP/trunk-09 > {ANNA} SIP/101" in follows(first, leaves("SIP/trunk-08", "1.8"), second, *rings(""))
    assert f"dial SIP/trunk-09 > {ANNA} SIP/101" in follows(first, hangup("SIP/trunk-08", "1.8"), second, *rings(""))


def test_a_busy_member_of_the_only_one_who_waits() -> None:
    assert follows(IN_QUEUE, made(ANNA, "1.2", "101"), hangup(ANNA, "1.2", 17))[1:] == [
        f"dial {TRUNK} > {ANNA} SIP/101",
        f"dialled {TRUNK} > {ANNA} BUSY",
        f"hung up {ANNA} 17",
    ]


def test_a_local_member_is_known_by_the_number_inside() -> None:
    """The half that is dialled shows it only later; office_queue_local_ringall."""
    second = called("SIP/trunk-09", "1.9", "+79990001122") + joins("SIP/trunk-09", "1.9")
    found = follows(IN_QUEUE, second, local(PAIR, "1.5", "1.6"), INSIDE, state(ANNA, "1.7", 5))

    assert found[2:4] == [f"dial {TRUNK} > {PAIR};1 Local/101@from-queue", f"created {ANNA}"]


@pytest.mark.parametrize(("before", "status"), [(asked(TRUNK, "1.1"), "CANCEL"), ("", "NOANSWER")])
def test_how_a_member_ended_without_agent_events(before: str, status: str) -> None:
    found = follows(NEWER, IN_QUEUE, *rings("+79161234567"), before, hangup(ANNA, "1.2"))

    assert found[0] == f"dialled {TRUNK} > {ANNA} {status}"


def test_an_originate_beside_a_queue_that_shows_its_calls() -> None:
    """A click on the number of a customer who waits."""
    assert f"dial - > {BORIS}" in follows(
        IN_QUEUE, CALLS_ANNA, made(BORIS, "1.3", "102"), state(BORIS, "1.3", 5, "102", "+79161234567")
    )


def test_follow_me_calls_for_who_waits() -> None:
    """apps/app_followme.c has no event for its calls; also a queue whose Join is masked."""
    assert follows(A_CALL, *rings("+79161234567")) == [f"created {ANNA}", f"dial {TRUNK} > {ANNA}", f"changed {ANNA}"]


@pytest.mark.parametrize(
    ("before", "connected"),
    [
        pytest.param([called("SIP/102-08", "1.8", "102", "*97")], "102", id="an employee's, who also clicks"),
        pytest.param([A_CALL, RINGS_BORIS, state(BORIS, "1.3", 6), link(TRUNK, "1.1", BORIS, "1.3")], "+79161234567",
                     id="a customer's, who talks"),
        pytest.param([A_CALL, hangup(TRUNK, "1.1")], "+79161234567", id="a customer's, who is gone"),
        pytest.param([A_CALL, made(VERA, "1.4", "+79990001122") + dial(TRUNK, "1.1", VERA, "1.4", "8999")
                      + state(VERA, "1.4", 5, "+79990001122")], "+79990001122", id="a mobile's, which rings"),
    ],
)  # fmt: skip
def test_whose_number_it_is_does_not_wait(before: list[str], connected: str) -> None:
    assert f"dial - > {ANNA}" in follows(*before, *rings(connected))


def test_a_bridge_ties_what_nothing_tied_before() -> None:
    assert follows(A_CALL, made(ANNA, "1.2", "101"), link(TRUNK, "1.1", ANNA, "1.2")) == [
        f"created {ANNA}",
        f"dial {TRUNK} > {ANNA} SIP/101",
        f"in 1.1+1.2 basic {TRUNK}",
        f"in 1.1+1.2 basic {ANNA}",
    ]
