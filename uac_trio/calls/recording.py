"""Which files hold what was said: the paths that Cdrs and variables name, and the one to listen to."""

from __future__ import annotations

from uac_trio.calls.call import Call
from uac_trio.calls.call_graph import CallGraph
from uac_trio.calls.call_recordings import Recording
from uac_trio.calls.channel_events import CdrWritten, RecordingStarted, VoicemailStarted
from uac_trio.calls.participation import Participation


def take_cdr(graph: CallGraph, event: CdrWritten) -> bool:
    """Keep what a Cdr shows of recordings, voicemail and queue. False: its call is not known (any more)."""
    call = _call_of_cdr(graph, event)
    if call is not None:
        _take_cdr(call, event)
    return call is not None


def take(graph: CallGraph, event: RecordingStarted | VoicemailStarted) -> None:
    """Keep what the event shows of recordings and voicemail."""
    channel = graph.find(event.channel)
    if channel is None:
        return
    if isinstance(event, VoicemailStarted):
        channel.call.recordings.has_voicemail = True
    else:
        channel.call.recordings.add(Recording(event.path, channel.uniqueid))


def _call_of_cdr(graph: CallGraph, event: CdrWritten) -> Call | None:
    channel = graph.channels.get(event.uniqueid)
    if channel is None:
        return graph.find_call(event.linkedid)
    home = channel.home  # a Cdr belongs to the call its channel was made in
    return home if home is not None and home.id in graph.calls and home.legs else channel.call


def _take_cdr(call: Call, event: CdrWritten) -> None:
    if event.application == "Queue" and not call.queue.entry:  # without class agent nothing else names it
        call.queue.entry = event.data.partition(",")[0]
    if not event.is_answered:
        return
    if event.application == "VoiceMail" and not event.destination:
        call.recordings.has_voicemail = True
    if event.recording and event.destination:
        call.recordings.add(Recording(event.recording, event.uniqueid, event.destination, event.billable_secs))


def recording_of(call: Call, participation: Participation | None = None) -> str:
    """The file to listen to, "" if there is none: of a participation the one made of its own leg, else the call's. A
    call that no person answered has none."""
    if call.conversation.answer is None:
        return ""
    names = {channel.full_name for channel in participation.channels} if participation is not None else ()
    return call.recordings.preferred(call.linkedid, names)
