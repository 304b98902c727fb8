"""What Cdrs and variables show of recordings, voicemail and queues."""

from __future__ import annotations

import pytest

from tests.calls.pieces import call, channel, dial, line, phone
from uac_trio.calls.call_graph import CallGraph
from uac_trio.calls.channel import Moved
from uac_trio.calls.channel_events import CdrWritten, RecordingStarted, VoicemailStarted
from uac_trio.calls.conversation import Answer
from uac_trio.calls.participation import Participation, Role
from uac_trio.calls.recording import recording_of, take, take_cdr
from uac_trio.calls.rules import TrackerRules


def cdr(**more: object) -> CdrWritten:
    given: dict[str, object] = {
        "uniqueid": "1.1",
        "is_answered": True,
        "recording": "a.wav",
        "destination": "PJSIP/101-02",
    }
    return CdrWritten(event="Cdr", **{**given, **more})  # type: ignore[arg-type]


@pytest.fixture
def graph() -> CallGraph:
    """One call of a line, known by its Linkedid too."""
    made = CallGraph("main", TrackerRules())
    of = made._union.call_of("1.1", "1.1", 0.0)
    made.channels["1.1"] = line("1.1", of)
    of.conversation.answer = Answer(1.0, "101")
    return made


@pytest.mark.parametrize(
    ("event", "path", "has_voicemail", "queue"),
    [
        (cdr(), "a.wav", False, ""),
        (cdr(is_answered=False), "", False, ""),
        (cdr(destination=""), "", False, ""),
        (cdr(recording=""), "", False, ""),
        (cdr(application="VoiceMail", destination=""), "", True, ""),
        (cdr(application="VoiceMail"), "a.wav", False, ""),
        (cdr(application="VoiceMail", destination="", is_answered=False), "", False, ""),
        (cdr(application="Queue", data="sales,tT,,30"), "a.wav", False, "sales"),
        (cdr(application="Queue", data="sales", is_answered=False), "", False, "sales"),
        (cdr(uniqueid="9.9", linkedid="1.1"), "a.wav", False, ""),
        (cdr(uniqueid="9.9"), "", False, ""),
    ],
)
def test_a_cdr(graph: CallGraph, event: CdrWritten, path: str, has_voicemail: bool, queue: str) -> None:
    """A file counts with an answered party, a mailbox without one; the channel or the Linkedid names the call."""
    is_known = take_cdr(graph, event)
    of = graph.calls["main-1.1"]
    assert (recording_of(of), of.recordings.has_voicemail, of.queue.entry) == (path, has_voicemail, queue)
    assert is_known is (event.uniqueid == "1.1" or event.linkedid == "1.1")


def test_a_queue_that_is_known(graph: CallGraph) -> None:
    """A Cdr names the queue only where no event did."""
    of = graph.calls["main-1.1"]
    of.queue.entry = "service"
    take_cdr(graph, cdr(application="Queue", data="sales"))
    assert of.queue.entry == "service"


def test_a_variable_and_a_mailbox(graph: CallGraph) -> None:
    """They belong to the call of their channel; a channel that is not known says nothing."""
    of = graph.calls["main-1.1"]
    named, unknown = graph.channels["1.1"].view, channel("9.9", "PJSIP/102-09").view
    take(graph, RecordingStarted(event="VarSet", channel=unknown, path="x.wav"))
    take(graph, VoicemailStarted(event="Newexten", channel=unknown))
    assert (recording_of(of), of.recordings.has_voicemail) == ("", False)
    take(graph, RecordingStarted(event="VarSet", channel=named, path="b.wav"))
    take(graph, VoicemailStarted(event="Newexten", channel=named))
    assert (recording_of(of), of.recordings.has_voicemail) == ("b.wav", True)


@pytest.mark.parametrize(
    ("is_open", "has_legs", "goes_home"), [(True, True, True), (True, False, False), (False, True, False)]
)
def test_a_channel_that_came_over(graph: CallGraph, is_open: bool, has_legs: bool, goes_home: bool) -> None:
    """A Cdr belongs to the call its channel was made in, while that is not finished and was one that people made."""
    source = graph.channels["1.1"]
    home = call("0.1")
    home.conversation.answer = Answer(1.0, "101")
    source.moved = Moved(home, 3.0)
    if is_open:
        graph.calls[home.id] = home
    if has_legs:
        dial(None, phone("0.2", "101", home))
    take_cdr(graph, cdr())
    assert (recording_of(home) == "a.wav") is goes_home
    assert (recording_of(source.call) == "a.wav") is not goes_home


def test_whose_file(graph: CallGraph) -> None:
    """Of a participation the one made of its own leg; of a call that no person answered none."""
    of = graph.calls["main-1.1"]
    anna = channel("1.2", "PJSIP/101-02", of, "101")
    part = Participation("101", Role.CALLEE, "1.2", 0.0)
    part.channels[anna] = None
    for event in (cdr(recording="long.wav", destination="PJSIP/102-03", billable_secs=60), cdr(recording="own.wav")):
        take_cdr(graph, event)
    assert recording_of(of, part) == "own.wav"
    of.conversation.answer = None
    assert recording_of(of, part) == recording_of(of) == ""
