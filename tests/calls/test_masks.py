"""Sessions that show less: event classes masked or filtered away, servers without Linkedid. As right as AMI allows."""

from __future__ import annotations

import pytest

from tests.calls.streams import Timed, disagreements, names, recorded, run
from tests.recorded import truth_of
from uac_trio.ami.message import Event

EVERYDAY = ("inbound_", "outbound_", "internal_", "click2call_")
"""What happens in any office every day."""

WITH_HANDOVERS = (*EVERYDAY, "queue_", "blind_", "attended_", "pickup_", "park_", "redirect_")

BRIDGES = ("BridgeEnter", "BridgeLeave", "BridgeCreate", "BridgeDestroy", "BridgeMerge")

MASKS: dict[str, tuple[tuple[str, ...], dict[str, tuple[str, ...]]]] = {
    # No class dialplan: only voicemail and an early recording path would be lost, and the Cdr has both.
    "no-dialplan": (("Newexten", "VarSet"), {}),
    # Before Asterisk 14. Early media without ringing then cannot be distinguished from silence.
    "no-dial-state": (("DialState",), {"outbound_answered_early_media": ("rang", "ring_secs")}),
    "no-newstate": (("Newstate",), {}),
    "no-caller-id": (("NewCallerid", "NewConnectedLine"), {}),
    "no-agent": (
        ("QueueCallerJoin", "QueueCallerLeave", "QueueCallerAbandon", "AgentCalled", "AgentConnect", "AgentComplete",
         "AgentRingNoAnswer", "AgentDump"),
        {},
    ),
    # Who hung up is not known: a caller who leaves an IVR may as well have been put out.
    "no-hangup-request": (("HangupRequest", "SoftHangupRequest"), {"inbound_ivr_hangup": ("status",)}),
    # cdr_manager.conf off. The path is MixMonitor's; where several phones have one each, whose it is is not known.
    "no-cdr": (
        ("Cdr",), {"inbound_hangup_extension": ("recording",), "inbound_ringgroup_local": ("recording",)}
    ),
    # Who hears whom is taken from who answered whom, once a bridge did not follow an answer. Then a Local channel that
    # goes away at once has been there too short.
    "no-bridges": (
        BRIDGES,
        {"inbound_ringgroup_local_optimized": ("talk_secs", "status", "answered_by", "final_agent", "recording")},
    ),
    # Only Hangup and its cause remain: that Dial gave up looks like a caller who did.
    "no-dial-end": (
        ("DialEnd",),
        {
            "click2call_customer_no_answer": ("status",),
            "inbound_ringgroup_local_nobody": ("status",),
            "inbound_ringgroup_nobody": ("status",),
            "outbound_no_answer": ("status",),
        },
    ),
}  # fmt: skip
"""Mask to the events it takes away, and the keys that are unknowable then, by scenario."""


@pytest.mark.parametrize("version", ["asterisk16", "asterisk22"])
@pytest.mark.parametrize("mask", MASKS)
def test_masked_events_cost_no_more_than_they_must(mask: str, version: str) -> None:
    """The everyday calls are reported right without whole classes of events, except for what only those show."""
    dropped, unknowable = MASKS[mask]
    wrong = {}
    for name in names(version, *EVERYDAY):
        events = [timed for timed in recorded(name) if timed[1].name not in dropped]
        wrong[name] = disagreements(truth_of(name), run(events), unknowable.get(name.partition("/")[2], ()))
    assert {name: words for name, words in wrong.items() if words} == {}


@pytest.mark.parametrize("version", ["asterisk16", "asterisk22"])
def test_once_it_is_known_that_bridges_are_filtered_away(version: str) -> None:
    """After the first answer, a Local channel that is optimised away costs talk time alone."""
    scenarios = [f"{version}/inbound_answered", f"{version}/inbound_ringgroup_local_optimized"]
    events = [timed for name in scenarios for timed in recorded(name) if timed[1].name not in BRIDGES]
    assert events == sorted(events, key=lambda timed: timed[0])
    truth = [call for name in scenarios for call in truth_of(name)]
    assert disagreements(truth, run(events), ("talk_secs",)) == []


def without_linkedid(events: tuple[Timed, ...]) -> list[Timed]:
    return [
        (at, Event(tuple(header for header in event.headers if not header[0].endswith("Linkedid"))))
        for at, event in events
    ]


@pytest.mark.parametrize("version", ["asterisk16", "asterisk22"])
def test_servers_without_linkedid(version: str) -> None:
    """Asterisk 13.0 to 13.4 sends no Linkedid; who dials whom, and who is bridged with whom, is enough."""
    wrong = {
        name: disagreements(truth_of(name), run(without_linkedid(recorded(name))))
        for name in names(version, *WITH_HANDOVERS)
    }
    assert {name: words for name, words in wrong.items() if words} == {}


@pytest.mark.parametrize("version", ["asterisk16", "asterisk22"])
def test_each_event_twice(version: str) -> None:
    """A second copy of every event changes nothing but a transfer's entry."""
    wrong = {
        name: disagreements(
            truth_of(name), run(timed for timed in recorded(name) for _ in range(2)), ("transfers", "recording")
        )
        for name in names(version, *WITH_HANDOVERS)
    }
    assert {name: words for name, words in wrong.items() if words} == {}
