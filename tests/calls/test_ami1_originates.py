"""AMI 1.x: channels that no channel dials."""

from __future__ import annotations

import pytest

from tests.calls.ami1_scenes import (
    A_CALL,
    ANNA,
    BORIS,
    INSIDE,
    PAIR,
    TRUNK,
    adapter_after,
    ami,
    dial,
    follows,
    hangup,
    local,
    made,
    state,
    translated,
    words,
)
from uac_trio.calls.channel_events import ChannelCreated, ChannelHungUp, DialBegan, DialEnded

RESPONSE = {"Channel": "SIP/101", "Context": "from-internal", "Exten": "84951234567"}


def test_a_channel_that_no_channel_dials_is_an_originates() -> None:
    assert follows(made(ANNA, "1.2", "101"), state(ANNA, "1.2", 5)) == [
        f"created {ANNA}",
        f"dial - > {ANNA}",
        f"changed {ANNA}",
    ]
    assert follows(made(ANNA, "1.2", "101"), state(ANNA, "1.2", 6)) == [
        f"created {ANNA}",
        f"dial - > {ANNA}",
        f"changed {ANNA}",
        f"dialled - > {ANNA} ANSWER",
    ]


def test_an_originate_through_a_local_channel_shows_when_its_phone_rings() -> None:
    before = [local(PAIR, "1.5", "1.6"), INSIDE]

    assert follows(*before) == []
    assert follows(*before, state(ANNA, "1.7", 5)) == [
        f"created {PAIR};1",
        f"created {PAIR};2",
        f"dial - > {PAIR};1",
        f"created {ANNA}",
        f"dial {PAIR};2 > {ANNA} 101",
        f"changed {ANNA}",
    ]
    assert f"dial - > {PAIR};1" in follows(*before, hangup(ANNA, "1.7", 17))


@pytest.mark.parametrize(("cause", "status"), [(17, "BUSY"), (0, "NOANSWER"), (21, "BUSY")])
def test_an_originate_that_is_not_answered(cause: int, status: str) -> None:
    before = [made(ANNA, "1.2", "101"), state(ANNA, "1.2", 5)]

    assert follows(*before, hangup(ANNA, "1.2", cause)) == [
        f"dialled - > {ANNA} {status}",
        f"hung up {ANNA} {cause}",
    ]


def test_an_originates_answer_is_final() -> None:
    before = [made(ANNA, "1.2", "101"), state(ANNA, "1.2", 6)]

    assert follows(*before, hangup(ANNA, "1.2")) == [f"hung up {ANNA} 16"]


def test_an_originate_that_fails_at_once_shows_by_its_response() -> None:
    refused = made(ANNA, "1.2", "101") + hangup(ANNA, "1.2", 17)
    failure = ami("OriginateResponse", Response="Failure", Reason="5", Uniqueid="<null>", **RESPONSE)

    assert follows(refused) == []
    assert follows(refused, failure) == [
        f"created {ANNA}",
        f"dial - > {ANNA}",
        f"dialled - > {ANNA} BUSY",
        f"hung up {ANNA} 17",
        "originated 1.2 SIP/101 84951234567 False 5",
    ]


def test_an_originate_that_fails_while_its_channel_is_there() -> None:
    asked_for = RESPONSE | {"Channel": "Local/101@from-queue/n"}
    failure = ami("OriginateResponse", Response="Failure", Reason="0", Uniqueid="<null>", **asked_for)

    assert follows(local(PAIR, "1.5", "1.6"), INSIDE, failure) == [
        f"created {PAIR};1",
        f"created {PAIR};2",
        f"dial - > {PAIR};1",
        f"created {ANNA}",
        f"dial {PAIR};2 > {ANNA} 101",
        "originated 1.5 Local/101@from-queue/n 84951234567 False 0",
    ]


@pytest.mark.parametrize("is_two_first", [True, False])
def test_an_originate_through_a_local_channel_that_rings_nothing(is_two_first: bool) -> None:
    """The phone is not registered."""
    halves = [hangup(f"{PAIR};2", "1.6", 20), hangup(f"{PAIR};1", "1.5", 20)]
    gone = "".join(halves if is_two_first else reversed(halves))
    asked_for = RESPONSE | {"Channel": "Local/101@from-queue/n"}
    failure = ami("OriginateResponse", Response="Failure", Reason="0", Uniqueid="<null>", **asked_for)

    assert follows(local(PAIR, "1.5", "1.6"), gone) == []
    assert follows(local(PAIR, "1.5", "1.6"), gone, failure)[2:4] == [
        f"dial - > {PAIR};1",
        f"dialled - > {PAIR};1 CHANUNAVAIL",
    ]


def test_a_response_names_the_channel_that_was_originated_last() -> None:
    """Not one that another dialled, nor the other half of a Local channel."""
    inside = INSIDE.replace("+79161234567", "101") + state(ANNA, "1.7", 5)
    clicked = local(PAIR, "1.5", "1.6") + inside + hangup(f"{PAIR};1", "1.5", 0)
    another = local("Local/101@from-queue-0b", "1.8", "1.9")
    other_dial = A_CALL + another + dial(TRUNK, "1.1", "Local/101@from-queue-0b;1", "1.8", "101@from-queue/n")
    asked_for = RESPONSE | {"Channel": "Local/101@from-queue/n"}
    failure = ami("OriginateResponse", Response="Failure", Reason="3", Uniqueid="<null>", **asked_for)

    assert follows(other_dial, clicked, failure)[-1] == "originated 1.5 Local/101@from-queue/n 84951234567 False 3"
    assert follows(other_dial, failure) == ["originated  Local/101@from-queue/n 84951234567 False 3"]


def test_a_response_of_success_names_its_channel() -> None:
    success = ami("OriginateResponse", Response="Success", Reason="4", Uniqueid="1.2", **RESPONSE)

    assert follows(made(ANNA, "1.2", "101"), state(ANNA, "1.2", 6), success) == [
        "originated 1.2 SIP/101 84951234567 True 4"
    ]


FAILED = ami("OriginateResponse", Response="Failure", Reason="5", Uniqueid="<null>", **RESPONSE)


@pytest.mark.parametrize(
    "made_so",
    [
        pytest.param(made(ANNA, "1.2", "101") + state(ANNA, "1.2", 5) + hangup(ANNA, "1.2", 17), id="it rang"),
        pytest.param(made(ANNA, "1.2", "101") + hangup(ANNA, "1.2", 17), id="it was busy at once"),
        pytest.param("", id="no channel could be made"),
    ],
)
def test_a_click_of_ours_is_known_by_our_identity(made_so: str) -> None:
    """AMI 1.x has no ChannelId."""
    adapter = adapter_after()
    adapter.ordered("SIP/101", "uac-1")
    adapter.ordered("SIP/101", "uac-2")
    adapter.ordered("SIP/102", "uac-3")
    found = translated(A_CALL, made_so, FAILED, adapter=adapter)
    ours = [event for event in found if isinstance(event, ChannelCreated | DialBegan | DialEnded | ChannelHungUp)][1:]
    views = [event.dialled if isinstance(event, DialBegan | DialEnded) else event.channel for event in ours]

    assert {view.uniqueid for view in views} <= {"uac-1"}
    assert words(found[-1]) == "originated uac-1 SIP/101 84951234567 False 5"
    assert follows(made(BORIS, "1.3", "102"), state(BORIS, "1.3", 5), hangup(BORIS, "1.3"), adapter=adapter)
    assert follows(FAILED, adapter=adapter)[-1].startswith("originated uac-2")
    assert follows(FAILED, adapter=adapter) == ["originated  SIP/101 84951234567 False 5"]


def test_a_dial_that_could_not_be_placed_is_no_originate() -> None:
    """apps/app_dial.c: ast_call failed, so there is no Dial event; chan_sip's call-limit."""
    assert follows(A_CALL, made(ANNA, "1.2", "101"), hangup(ANNA, "1.2", 17)) == []
