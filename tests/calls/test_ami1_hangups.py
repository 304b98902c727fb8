"""AMI 1.x: how a destination ended, and who gave up."""

from __future__ import annotations

import pytest

from tests.calls.ami1_scenes import (
    A_CALL,
    ANNA,
    BORIS,
    CALLS_ANNA,
    IN_QUEUE,
    NEWER,
    PAIR,
    RINGS_ANNA,
    RINGS_BORIS,
    RINGS_OUT,
    TALKS_ANNA,
    TRUNK,
    asked,
    dial,
    dialled,
    follows,
    hangup,
    local,
    made,
    state,
)

# ---- destinations

REFUSED = [
    # cause, meanwhile, then the end of the Dial() and what it means
    pytest.param(17, False, "", "BUSY", id="busy while another rings"),
    pytest.param(21, False, "", "BUSY", id="rejected while another rings"),
    pytest.param(20, False, "", "CHANUNAVAIL", id="not registered"),
    pytest.param(34, False, "", "CONGESTION", id="no line free"),
    pytest.param(26, True, "", "CANCEL", id="answered elsewhere, the last"),
    pytest.param(16, True, "NOANSWER", "NOANSWER", id="the Dial() timed out"),
    pytest.param(16, True, "CANCEL", "CANCEL", id="the caller gave up"),
    pytest.param(0, True, "CANCEL", "CANCEL", id="the caller gave up, without a cause"),
    pytest.param(21, True, "BUSY", "BUSY", id="603"),
    pytest.param(21, True, "CONGESTION", "CONGESTION", id="403"),
    pytest.param(19, True, "CONGESTION", "NOANSWER", id="480, after it rang"),
]


@pytest.mark.parametrize(("cause", "is_last", "end", "status"), REFUSED)
def test_how_a_destination_ended(cause: int, is_last: bool, end: str, status: str) -> None:
    """Its status is given out before its Hangup, which waits for the end of the Dial() where only that decides."""
    before = [NEWER, A_CALL, RINGS_ANNA, *([] if is_last else [RINGS_BORIS])]
    ending = hangup(ANNA, "1.2", cause)
    found = follows(*before, ending)
    if end:
        assert found == []
        found = follows(*before, ending, dialled(TRUNK, "1.1", end))

    assert found == [f"dialled {TRUNK} > {ANNA} {status}", f"hung up {ANNA} {cause}"]


@pytest.mark.parametrize(("rings", "status"), [(True, "NOANSWER"), (False, "CONGESTION")])
@pytest.mark.parametrize("cause", [18, 19])
def test_no_answer_at_once_means_that_nothing_rings_there(cause: int, rings: bool, status: str) -> None:
    tried = made(ANNA, "1.2", "101") + dial(TRUNK, "1.1", ANNA, "1.2", "101")
    before = [A_CALL, tried, *([state(ANNA, "1.2", 5)] if rings else [])]
    ending = hangup(ANNA, "1.2", cause)

    assert follows(*before, RINGS_BORIS, ending)[0] == f"dialled {TRUNK} > {ANNA} {status}"
    assert follows(*before, ending, dialled(TRUNK, "1.1", "CONGESTION"))[0] == f"dialled {TRUNK} > {ANNA} {status}"


def test_the_cause_of_a_leg_that_is_given_up_may_be_a_copy() -> None:
    before = [A_CALL, RINGS_ANNA, RINGS_BORIS, asked(TRUNK, "1.1"), hangup(ANNA, "1.2", 17)]

    assert follows(*before) == []
    assert f"dialled {TRUNK} > {ANNA} CANCEL" in follows(*before, dialled(TRUNK, "1.1", "CANCEL"))


def test_of_several_the_end_of_the_dial_shows_no_cause_of_one() -> None:
    before = [A_CALL, RINGS_ANNA, RINGS_BORIS, hangup(ANNA, "1.2", 34), hangup(BORIS, "1.3", 17)]

    assert follows(*before, dialled(TRUNK, "1.1", "CONGESTION"))[0] == f"dialled {TRUNK} > {BORIS} BUSY"
    assert follows(A_CALL, RINGS_ANNA, RINGS_BORIS, hangup(ANNA, "1.2"), hangup(BORIS, "1.3", 17)) == []
    assert follows(*before[:-1], hangup(BORIS, "1.3", 16), dialled(TRUNK, "1.1", "BUSY")) == [
        f"dialled {TRUNK} > {BORIS} NOANSWER",
        f"hung up {BORIS} 16",
    ]


def test_the_losers_of_a_group_were_given_up() -> None:
    answered = [A_CALL, RINGS_ANNA, RINGS_BORIS, state(ANNA, "1.2", 6)]

    assert follows(*answered, hangup(BORIS, "1.3", 26)) == [
        f"dialled {TRUNK} > {BORIS} CANCEL",
        f"hung up {BORIS} 26",
    ]
    assert follows(*answered, hangup(BORIS, "1.3", 16), dialled(TRUNK, "1.1", "ANSWER"))[0] == (
        f"dialled {TRUNK} > {BORIS} CANCEL"
    )


def test_who_talked_hangs_up_at_once() -> None:
    assert follows(A_CALL, TALKS_ANNA, hangup(ANNA, "1.2")) == [
        f"hung up {ANNA} 16",
    ]
    assert follows(A_CALL, TALKS_ANNA, hangup(ANNA, "1.2"), dialled(TRUNK, "1.1", "ANSWER")) == []


def test_an_answer_that_led_to_no_conversation_is_taken_back() -> None:
    """The called party did not press the key that Dial()'s U() asked for; rarely_not_confirmed."""
    before = [A_CALL, RINGS_ANNA, state(ANNA, "1.2", 6), hangup(ANNA, "1.2")]

    assert follows(*before) == []
    assert follows(*before, dialled(TRUNK, "1.1", "BUSY")) == [
        f"dialled {TRUNK} > {ANNA} BUSY",
        f"hung up {ANNA} 16",
    ]
    assert follows(*before, dialled(TRUNK, "1.1", "ANSWER")) == [f"hung up {ANNA} 16"]


def test_a_phone_that_forwards_is_shown_so_once_the_dial_goes_on() -> None:
    """apps/app_dial.c, do_forward; tangled_forwarded_then_refer."""
    forwarded = local(PAIR, "1.5", "1.6") + dial(TRUNK, "1.1", f"{PAIR};1", "1.5", "101@from-queue")
    before = [A_CALL, RINGS_ANNA, forwarded, hangup(ANNA, "1.2")]

    assert follows(*before) == []
    assert follows(*before, state(f"{PAIR};1", "1.5", 5)) == [
        f"changed {PAIR};1",
        f"dialled {TRUNK} > {ANNA} FORWARDED",
        f"hung up {ANNA} 16",
    ]


def test_a_leg_that_ends_while_earlier_ones_ring_did_not_answer() -> None:
    before = [A_CALL, RINGS_ANNA, RINGS_BORIS, hangup(BORIS, "1.3")]

    assert f"dialled {TRUNK} > {BORIS} NOANSWER" in follows(*before, state(ANNA, "1.2", 6))


def test_a_hangup_behind_the_end_of_its_dial_needs_no_waiting() -> None:
    before = [A_CALL, RINGS_ANNA, dialled(TRUNK, "1.1", "CANCEL")]

    assert follows(*before, hangup(ANNA, "1.2")) == [f"dialled {TRUNK} > {ANNA} CANCEL", f"hung up {ANNA} 16"]


def test_the_callers_hangup_ends_what_waits() -> None:
    """The end of the Dial() was lost."""
    assert follows(A_CALL, asked(TRUNK, "1.1"), RINGS_ANNA, hangup(ANNA, "1.2"), hangup(TRUNK, "1.1", 0)) == [
        f"dialled {TRUNK} > {ANNA} CANCEL",
        f"hung up {ANNA} 16",
        f"hung up {TRUNK} 0",
    ]


# ---- callers


def test_who_hangs_up_is_shown() -> None:
    assert follows(A_CALL, RINGS_ANNA, asked(TRUNK, "1.1")) == [f"asked {TRUNK}"]


GIVEN_UP = [
    pytest.param([A_CALL, RINGS_ANNA, hangup(ANNA, "1.2")], dialled(TRUNK, "1.1", "CANCEL"), True, id="Dial()"),
    pytest.param([A_CALL, RINGS_ANNA, hangup(ANNA, "1.2")], dialled(TRUNK, "1.1", "NOANSWER"), False, id="timeout"),
    pytest.param([IN_QUEUE, CALLS_ANNA], hangup(ANNA, "1.2"), True, id="Queue()"),
    pytest.param([IN_QUEUE, CALLS_ANNA, RINGS_OUT], hangup(ANNA, "1.2"), False, id="a member's timeout"),
    pytest.param([A_CALL], hangup(TRUNK, "1.1", 0), True, id="menu"),
    pytest.param([A_CALL], hangup(TRUNK, "1.1", 16), False, id="the dialplan hung up"),
    pytest.param([A_CALL, TALKS_ANNA], hangup(TRUNK, "1.1", 0), False, id="after a talk"),
    pytest.param([IN_QUEUE, CALLS_ANNA, state(ANNA, "1.2", 6)], hangup(TRUNK, "1.1", 16), False, id="after an answer"),
]


@pytest.mark.parametrize(("before", "ending", "gives_up"), GIVEN_UP)
def test_asterisk_18_does_not_show_who_gives_up(before: list[str], ending: str, gives_up: bool) -> None:
    """It is concluded, once, and never on a server that has HangupRequest."""
    assert (f"asked {TRUNK}" in follows(*before, ending)) is gives_up
    assert f"asked {TRUNK}" not in follows(NEWER, *before, ending)
    if gives_up and "Dial" in ending:
        assert f"asked {TRUNK}" not in follows(*before, ending, hangup(TRUNK, "1.1", 0))


def test_who_hangs_up_a_channel_that_was_not_given_out() -> None:
    assert follows(A_CALL, made(ANNA, "1.2", "101"), asked(ANNA, "1.2")) == []
