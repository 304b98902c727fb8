"""What a watched call shows: findings with their remedies. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from statistics import median

from uac_trio.calls.call import Direction
from uac_trio.live_check.call_seen import SeenCall, SeenPBX
from uac_trio.live_check.finding import Findings, Level
from uac_trio.live_check.pbx import OFF_BY, PBXUse
from uac_trio.live_check.pbx_events import PLAIN, mapping_remedy, read_remedy, time_remedy

SETTLED = ("pbx.unseen", "pbx.extensions")
"""Ids of what cannot be seen without a call, and is seen with one."""


def report(seen: SeenPBX, use: PBXUse, files: Mapping[str, str], seconds: float, findings: Findings) -> None:
    """``files``: by path of a recording why it does not play, "" if it is there."""
    calls = list(seen.calls.values())
    reached = [call for call in calls if call.rang]
    if not seen.is_ready:
        findings.problem("call.no_session", "there was no session with this PBX, so no call could be seen")
        return
    if not seen.has_call_events:
        _no_events(seen, use, seconds, findings)  # what lists alone show is no call that was seen
        return
    _times(seen, findings)
    if not reached:
        _none_reached(calls, seconds, findings)
    for call in reached:
        _call(call, findings)
    if reached and use.wants_recordings:
        _recordings(seen, reached, files, findings)


def _no_events(seen: SeenPBX, use: PBXUse, seconds: float, findings: Findings) -> None:
    if seen.cdrs or seen.has_new_channels:
        what = f"{seen.cdrs} Cdr events of calls that were never announced came" if seen.cdrs else "new channels exist"
        findings.problem(
            "pbx.read.call",
            f"{what}, and no event of a call did: read= of [{use.server.username}] lacks call",
            read_remedy(use.server.username, PLAIN),
        )
    else:
        findings.problem(
            "call.none",
            f"no call was seen within {seconds:g} s: no event of a call came, and the list of channels stayed the same",
            "call an employee's phone through this PBX while the check waits. If you did: is [[pbx]] host the PBX that "
            f"the phone is registered at, and has read= of [{use.server.username}] call in it, without blanks "
            "behind its commas?",
        )


def _none_reached(calls: list[SeenCall], seconds: float, findings: Findings) -> None:
    strangers = [because for call in calls for because in call.not_employees]
    if strangers:
        findings.problem(
            "call.not_an_employee",
            f"a call was seen, and no phone that rang is an employee's: {'; '.join(dict.fromkeys(strangers))}",
            "make [calls] extensions match the numbers of the phones, or name their endpoints: [calls] devices = "
            '{ "sip-anna" = "101" }; if only_... leaves out a call of this company, correct only_endpoints, '
            "only_contexts, only_dids or only_tenants",
        )
    elif calls:
        findings.problem(
            "call.no_phone",
            f"{len(calls)} calls were seen, and no phone rang in them: they ended in an announcement, a mailbox or a "
            "queue without agents",
            "call an employee's number; what callers leave there is shown with [calls] unreached",
        )
    else:
        findings.problem(
            "call.none",
            f"no call was seen from its beginning within {seconds:g} s, though other events of calls came",
            "call an employee's phone while the check waits, and hang up before it ends",
        )


def _call(call: SeenCall, findings: Findings) -> None:
    direction = call.direction.value if call.direction is not None else "unknown"
    rang = ", ".join(f"{extension} ({rule})" for extension, rule in call.rang.items())
    ended = f"{call.status.value}, talked {call.talk_secs:.0f} s" if call.status is not None else "goes on"
    findings.ok(
        "call.seen",
        f"call {call.id}: {direction}, with {call.customer or 'a withheld number'}; {rang}; answered by "
        f"{', '.join(call.answered_by) or 'none'}; {ended}",
    )
    for because in dict.fromkeys(call.not_employees):
        findings.warn(
            "call.not_an_employee",
            f"another phone rang: {because}",
            "if it is an employee's, add it to [calls] extensions or devices; if it is a line, to [calls] trunks",
        )
    if call.ended_at is None:
        findings.warn("call.unfinished", "the call went on when the check ended", "allow more time: --call 300")
    names = Counter(request.name for request in call.requests)
    if names:
        sent = ", ".join(f"{name} {count}x" if count > 1 else name for name, count in names.items())
        findings.ok("call.requests", f"the daemon sends to the CRM: {sent}; nothing was sent by this check")
    elif call.direction is Direction.INTERNAL:
        findings.problem(
            "call.internal",
            'it is a call between employees, which [calls] internal = "ignore" keeps from the CRM',
            'call from outside, such as from a mobile; or set [calls] internal = "report"',
        )


def _times(seen: SeenPBX, findings: Findings) -> None:
    if not seen.lags:
        findings.warn(
            "pbx.timestamps",
            "events of calls came without a time, so an event's time is that of its arrival",
            time_remedy(PLAIN),
        )
        return
    lag = median(seen.lags)
    words = f"events carry their time, {abs(lag):.2f} s {'before' if lag >= 0 else 'after'} their arrival here"
    if abs(lag) <= OFF_BY:
        findings.ok("pbx.timestamps", words)
    else:
        findings.warn(
            "pbx.clock",
            f"{words}: the clocks of the PBX and of this machine differ",
            "set up time synchronisation on both machines (timedatectl set-ntp true)",
        )


def _recordings(seen: SeenPBX, reached: list[SeenCall], files: Mapping[str, str], findings: Findings) -> None:
    paths = {path for call in reached for path in call.recordings.values()}
    if not any(call.answered_by for call in reached):
        findings.unknown(
            "pbx.recording.name", "the call was not answered, so it has no recording", "answer the next one, and talk"
        )
    elif not seen.cdrs:
        findings.problem(
            "pbx.recording.cdr",
            "no Cdr event came after the call, so its recording is not known",
            "set enabled = yes in [general] of /etc/asterisk/cdr_manager.conf, or of the file that it includes; then "
            "`asterisk -rx 'module reload cdr_manager.so'`. If the call goes on, hang up before the check ends",
        )
    elif not seen.named_cdrs and not paths:
        findings.problem(
            "pbx.recording.name",
            f"{seen.cdrs} Cdr events came, and none names a recording in {' or '.join(seen.recording_headers)}",
            f"{mapping_remedy(PLAIN)}. If the PBX did not record this call, switch its recording on",
        )
    elif not paths:
        findings.warn(
            "pbx.recording.name",
            "a Cdr names a recording, but of no part in which an employee talked",
            "run uac-trio record, and uac-trio replay --timeline on the transcript",
        )
    for path in sorted(paths):
        _file(path, files.get(path, "it was not looked for"), findings)


def _file(path: str, trouble: str, findings: Findings) -> None:
    if trouble:
        findings.problem(
            "call.recording.file",
            f"the PBX names the recording {path}: {trouble}",
            "correct [[pbx]] recordings: the directory as seen from this machine; may this user read it?",
        )
    else:
        findings.ok("call.recording.file", f"the recording {path} is there and can be played")


def unsettled(before: Iterable[Findings], after: Iterable[Findings]) -> list[Findings]:
    """The findings of the check, less what a call that was watched since has shown."""
    seen = {findings.subject for findings in after if any(finding.id == "call.seen" for finding in findings.found)}
    return [without_unseen(findings) if findings.subject in seen else findings for findings in before]


def without_unseen(findings: Findings) -> Findings:
    """Less what a call can show."""
    kept = [one for one in findings.found if one.level is not Level.UNKNOWN or one.id not in SETTLED]
    return Findings(findings.subject, kept)
