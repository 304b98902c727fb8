"""Which files hold what was said: the paths that Cdrs and variables name, and the one to listen to."""

from __future__ import annotations

from uac_trio.calls.call import Call, Recording
from uac_trio.calls.call_graph import CallGraph
from uac_trio.calls.channel_events import CdrWritten, RecordingStarted, VoicemailStarted
from uac_trio.calls.participation import Participation


def take(graph: CallGraph, event: CdrWritten | RecordingStarted | VoicemailStarted) -> None:
    """Keep what the event shows of recordings, voicemail and queue."""
    if isinstance(event, CdrWritten):
        call = _call_of_cdr(graph, event)
        if call is not None:
            _take_cdr(call, event)
        return
    channel = graph.find(event.channel)
    if channel is None:
        return
    if isinstance(event, VoicemailStarted):
        channel.call.has_voicemail = True
    else:
        channel.call.recordings.append(Recording(event.path, channel.uniqueid))


def _call_of_cdr(graph: CallGraph, event: CdrWritten) -> Call | None:
    channel = graph.channels.get(event.uniqueid)
    if channel is None:
        return graph.find_call(event.linkedid)
    home = channel.home  # a Cdr belongs to the call its channel was made in
    return home if home is not None and home.id in graph.calls and home.legs else channel.call


def _take_cdr(call: Call, event: CdrWritten) -> None:
    if event.application == "Queue" and not call.queue_name:  # without class agent nothing else names it
        call.queue_name = event.data.partition(",")[0]
    if not event.is_answered:
        return
    if event.application == "VoiceMail" and not event.destination:
        call.has_voicemail = True
    if event.recording and event.destination:
        recording = Recording(event.recording, event.uniqueid, event.destination, event.billable_secs)
        call.recordings.append(recording)


def recording_of(call: Call, participation: Participation | None = None) -> str:
    """The file to listen to, "" if there is none: of a participation the one made of its own leg, else the call's.

    A path is set whether or not the call is answered, so only what a Cdr with an answered party B names counts. A ring
    group through Local channels has a file to each leg; the caller's own channel's first file is preferred, else the
    longest.
    """
    if call.answer is None:
        return ""
    candidates = call.recordings
    if participation is not None:
        names = {channel.full_name for channel in participation.channels}
        candidates = [recording for recording in candidates if recording.destination in names] or candidates

    def preference(recording: Recording) -> tuple[bool, bool, int]:
        is_own = recording.uniqueid == call.linkedid
        return bool(recording.destination), is_own, 0 if is_own else recording.secs

    return max(candidates, key=preference).path if candidates else ""
