"""Which recorded calls are played, what their rows must be, and whether those of the CRM are."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import attrs

from tests.calls.crm_office import crm_of
from tests.recorded import NAMES, STAFF, has_rules, is_ami_1, replayed, transcripts_of
from uac_trio.calls.rules import TrackerRules
from uac_trio.calls.tracker import EVENTS_END
from uac_trio.demo.crm import CallRow, CRMUser, StandInCRM
from uac_trio.demo.recorded_pbx import Played
from uac_trio.demo.recording import Recording, read_recording
from uac_trio.replay import Rendered, play, rendered
from uac_trio.transcript import read_transcript

LONGEST = 30.0
"""Seconds of a recording. A soak is about many calls."""

LEFT_OUT = ("tangled_click_local_nobody", "click_phone_off")
"""They rest on the OriginateResponse, which only the client that asked for the call gets."""

_UNIQUEID = re.compile(r"\d{10}\.\d+")  # other identities, of a click, would be the same each time


@attrs.frozen(order=True)
class Row:
    """What is compared of a row. The seconds are left to the tests without faults: their recordings have
    arrival times, which a late connection moves."""

    extension: str
    direction: str
    status: str
    number: str
    recorded: bool
    ended: bool


@attrs.frozen(kw_only=True)
class Piece:
    """A recording and the rows it leads to when nothing disturbs it, by call; tests/test_transcripts.py holds those to
    what the people at the phones did."""

    recording: Recording
    rows: dict[str, tuple[Row, ...]]


def new_crm(secret: str) -> StandInCRM:
    users = tuple(CRMUser(id=int(number), name=number, extension=number) for number in STAFF)
    return StandInCRM(users=users, secret=secret)


def rows_of(rows: Iterable[CallRow]) -> tuple[Row, ...]:
    return tuple(
        sorted(
            Row(
                extension=row.user or "",
                direction=row.direction,
                status=row.callstatus,
                number=row.customernumber or "",
                recorded=bool(row.recordingurl),
                ended=bool(row.starttime and row.endtime),
            )
            for row in rows
        )
    )


def repertoire() -> list[Piece]:
    """The recordings of one connection that lead to rows, each call with its own. The connector that is played to has
    one set of rules, the default, and gets calls in AMI 2."""
    found = []
    for name in NAMES:
        paths = transcripts_of(name)
        if len(paths) > 1 or "/proto_" in name or name.endswith(LEFT_OUT) or has_rules(name) or is_ami_1(name):
            continue
        recording = read_recording(f"{name}.jsonl", paths[0].read_bytes())
        crm = new_crm("s")
        for each in replayed(name).requests:
            crm.callback({**each.request.about, "vtigersignature": "s"}, each.at)
        rows = {of_call[0].sourceuuid: rows_of(of_call) for of_call in crm.tables.calls()}
        is_new_each_time = all(_UNIQUEID.search(uuid) for uuid in rows)
        if rows and is_new_each_time and recording.seconds <= LONGEST:
            found.append(Piece(recording=recording, rows=rows))
    return found


def rows_as_sent(lives: Iterable[Sequence[Path]]) -> dict[str, tuple[Row, ...]]:
    """The rows, by call, of a connector that lived so many times, each through these connections, and knew nothing but
    what it heard in one life."""
    crm, seam = new_crm("s"), crm_of()
    outbox: dict[str, Rendered] = {}
    for transcripts in lives:
        read = (read_transcript(path.name, path.read_bytes()) for path in transcripts)
        steps = play(read, TrackerRules(), seam, [])
        for item in rendered((step for step in steps if step.fact.because != EVENTS_END), seam):
            if isinstance(item, Rendered):
                outbox.setdefault(item.request.key, item)
    for each in outbox.values():
        crm.callback({**each.request.about, "vtigersignature": "s"}, each.at)
    return {of_call[0].sourceuuid: rows_of(of_call) for of_call in crm.tables.calls()}


@attrs.frozen(kw_only=True)
class Witness:
    """What a connector knew."""

    rows: dict[str, tuple[Row, ...]]
    """By call, as concluded from what reached it, had it never been restarted."""
    rows_anew: dict[str, tuple[Row, ...]]
    """The same, had it begun with nothing at each restart: what it had learned of devices in calls before is lost."""
    knows: Callable[[Played], bool]
    """It saw all of a call."""
    may_have_forgotten: Callable[[Played], bool]
    """It was killed within moments of an event of a call."""

    def extensions_of(self, call: str) -> set[str]:
        """The employees with a row."""
        return {row.extension for row in self.rows.get(call, ())}


@attrs.define
class Verdict:
    """The outcome of the calls."""

    calls: int = 0
    whole: int = 0
    """Of which every connector saw every event."""
    half: int = 0
    """Of which one did and another did not."""
    rows: int = 0
    wrong: list[str] = attrs.field(factory=list)
    """In words: of whole calls every difference; of the others what does not follow from what was seen of them."""
    inferred: int = 0
    """Rows of other calls that differ from the truth, by what was not seen."""
    unrecorded: int = 0
    """Of which the recording alone is missing."""
    forgotten: int = 0
    """Rows of such calls that differ from what was seen, by what went with a killed process."""
    outdone: int = 0
    """Of calls that a connector saw in part: rows that differ, since the one that knew less was quicker."""
    unseen: int = 0
    """Rows that are not there, of such calls: no connector saw them."""


def judge(crm: StandInCRM, pieces: dict[str, Piece], played: Iterable[Played], witnesses: Sequence[Witness]) -> Verdict:
    """Compare the CRM's rows with the truth, and where no connector saw it whole with what follows from what was seen.

    Nothing may be doubled, nor ring, nor be made up, whichever connector watched.
    """
    verdict = Verdict()
    known: set[str] = set()
    for one in played:
        count = sum(witness.knows(one) for witness in witnesses)
        known |= _ids(one)
        for uuid, expected in pieces[one.recording.name].rows.items():
            call = one.rewriter.text(uuid)
            verdict.calls += 1
            verdict.whole += count == len(witnesses)
            verdict.half += 0 < count < len(witnesses)
            verdict.rows += len(expected)
            found = rows_of(crm.tables.call(call))
            if found == expected:
                continue
            what = f"{one.recording.name} {call}: {_shown(found)}, expected {_shown(expected)}"
            if count == len(witnesses) or (count and len(found) < len(expected)):
                verdict.wrong.append(what)
                continue
            verdict.outdone += count and len(set(found) - set(expected))
            if not count:
                verdict.inferred += len(set(found) - set(expected))
                verdict.unrecorded += len(_unrecorded(found, expected))
                verdict.unseen += max(0, len(expected) - len(found))
            _judge_part(verdict, what, call, found, [(one, witness) for witness in witnesses])
    verdict.wrong += [f"{row.sourceuuid}: {row.user} is still {row.callstatus}" for row in crm.stuck()]
    verdict.wrong += [f"{row.sourceuuid}: two rows of {row.user}" for row in crm.doubles()]
    verdict.wrong += [
        f"{row.sourceuuid}: a call that was not played" for row in crm.rows if row.sourceuuid not in known
    ]
    verdict.wrong += [f"a value that would harm a real CRM: {hazard}" for hazard in crm.hazards]
    return verdict


def _ids(played: Played) -> set[str]:
    """The identities that its channels may give to calls: to a connector that begins in the middle, any of them."""
    events = (timed.event for timed in played.recording.events)
    return {f"main-{played.rewriter.text(event.get('Uniqueid'))}" for event in events}


def _judge_part(
    verdict: Verdict, what: str, call: str, found: tuple[Row, ...], witnesses: list[tuple[Played, Witness]]
) -> None:
    """A call that not every connector saw whole: are its rows what followed from what they saw?"""
    known = [row for _, witness in witnesses for row in witness.rows.get(call, ())]
    anew = [row for _, witness in witnesses for row in witness.rows_anew.get(call, ())]
    strange = [row for row in found if not (_follows(row, known) or _follows(row, anew))]
    who = {row.extension for row in found}
    lost = {extension for _, witness in witnesses for extension in witness.extensions_of(call)} - who
    if not (strange or lost):
        return
    wrong_people = who - {row.extension for row in (*known, *anew)}
    if wrong_people or not all(row.ended for row in found):
        pass
    elif any(witness.may_have_forgotten(one) for one, witness in witnesses):
        verdict.forgotten += len(strange) + len(lost)
        return
    elif len(witnesses) > 1 and not lost:  # one infers the end from the other's event log before that one goes on
        verdict.outdone += len(strange)
        return
    seen = "; ".join(_shown(witness.rows.get(call, ())) for _, witness in witnesses)
    verdict.wrong.append(f"{what} (not watched as a whole; of what was seen follows: {seen})")


def _follows(row: Row, concluded: list[Row]) -> bool:
    """Each request is the quickest connector's, so a row may be one's outcome with the other's recording."""
    concluded = [one for one in concluded if one.extension == row.extension]
    return (
        row.ended
        and row.recorded == any(one.recorded for one in concluded)
        and any(row == attrs.evolve(one, recorded=row.recorded) for one in concluded)
    )


def _unrecorded(found: tuple[Row, ...], expected: tuple[Row, ...]) -> set[Row]:
    return ({*found} - {*expected}) & {attrs.evolve(row, recorded=False) for row in expected}


def _shown(rows: tuple[Row, ...]) -> str:
    parts = (f"{row.extension} {row.direction} {row.status} {row.number}{' (recorded)' * row.recorded}" for row in rows)
    return ", ".join(parts) or "nothing"
