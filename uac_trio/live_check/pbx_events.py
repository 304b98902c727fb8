"""Checks which events our user receives, whether these have a time, and whether a Cdr names the recording.

Files of the PBX are read where our user may (``write=config``). Otherwise only what came is known.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import attrs

from uac_trio.ami import Answer, Event, GetConfig
from uac_trio.ami_client.server import AMIServer
from uac_trio.live_check.finding import Findings
from uac_trio.live_check.pbx_session import PBXSession

NEEDED_EVENTS = {
    "call": "without it there are no events of calls",
    "agent": "without it the line of a queue's calls is not known",
    "cdr": "without it recordings are not found",
    "system": "without it a restart of Asterisk is noticed late",
}
"""Classes of ``read=``, with what is missing without each."""

REQUIRED_EVENTS = ("call", "cdr")
FINDING_IDS = {
    "call": "pbx.read.call",
    "agent": "pbx.read.agent",
    "cdr": "pbx.recording.read",
    "system": "pbx.read.system",
}

_RELOAD = "`asterisk -rx 'manager reload'`"
_CDR_RELOAD = "`asterisk -rx 'module reload cdr_manager.so'`"


@attrs.frozen
class Watched:
    """What was seen while channels were watched."""

    classes: frozenset[str]
    """Of the events that came."""
    is_silent: bool
    """Channels came or went, and no event of class call did."""


@attrs.frozen
class Files:
    """The settings in manager.conf and cdr_manager.conf, as far as our user may read them."""

    general: dict[str, str]
    section: dict[str, str]
    cdr: dict[str, str] | None
    mappings: dict[str, str]


@attrs.frozen
class PBXFiles:
    """Where the administrator of this kind of PBX writes what we need."""

    users: str
    general: str
    mapping: str
    """What to write, and where, so that Cdr events name the recording."""


PLAIN = PBXFiles(
    users="/etc/asterisk/manager.conf (FreePBX: manager_custom.conf)",
    general="/etc/asterisk/manager.conf, below [general] (FreePBX: manager_custom.conf, below [general](+))",
    mapping="write recordingpath => recordingpath and linkedid => linkedid into /etc/asterisk/cdr_manager.conf, below "
    "[mappings], and Set(CDR(recordingpath)=<the file>) where the dialplan starts MixMonitor (on FreePBX instead "
    "recordingfile => recordingfile and linkedid => linkedid into cdr_manager_mapping_custom.conf)",
)
FREEPBX = PBXFiles(
    users="/etc/asterisk/manager_custom.conf",
    general="/etc/asterisk/manager_custom.conf, below [general](+)",
    mapping="write two lines into /etc/asterisk/cdr_manager_mapping_custom.conf: recordingfile => recordingfile and "
    "linkedid => linkedid",
)


@attrs.frozen
class Seen:
    """What is known of the events that our user receives."""

    events: Sequence[Event]
    watched: Watched
    files: Files | None
    """None: our user may not read them."""


def mapping_remedy(where: PBXFiles) -> str:
    """How to make Cdr events name the recording."""
    return f"{where.mapping}; then {_CDR_RELOAD}"


def read_remedy(username: str, where: PBXFiles) -> str:
    """How to let our user receive what we need."""
    return f"set read = call,agent,cdr,system in [{username}] of {where.users}; then {_RELOAD}"


def time_remedy(where: PBXFiles) -> str:
    """How to let events carry their time."""
    return f"write timestampevents = yes into {where.general}; then {_RELOAD}"


def check_events(
    server: AMIServer, seen: Seen, recording_headers: Sequence[str], where: PBXFiles, findings: Findings
) -> None:
    """``recording_headers``: headers of a Cdr that may name the recording; none if recordings are not configured."""
    unseen = [*_classes(server, seen, where, findings), *_cdrs(seen, findings)]
    if recording_headers:
        unseen += _recordings(seen, recording_headers, where, findings)
    unseen += _timestamps(seen, where, findings)
    if unseen:
        findings.unknown(
            "pbx.unseen",
            f"what no event has shown while we watched, and what our user may not read: {'; '.join(unseen)}",
            "uac-trio check --live --call 60, with a call to an employee meanwhile, shows all of it; `asterisk -rx "
            f"'manager show user {server.username}'` shows read=",
        )


async def read_files(session: PBXSession, username: str, allowed: Collection[str]) -> Files | None:
    """The PBX's files, None if our user may not read them. Raises SessionError."""
    if "GetConfig" not in allowed:
        return None
    section = _settings(await session.ask(GetConfig(filename="manager.conf", section=username)))
    if not section:
        return None  # the user is configured elsewhere
    general = await session.ask(GetConfig(filename="manager.conf", section="general"))
    cdr = await session.ask(GetConfig(filename="cdr_manager.conf", section="general"))
    mappings = await session.ask(GetConfig(filename="cdr_manager.conf", section="mappings"))
    return Files(_settings(general), section, _settings(cdr) if cdr.success else None, _settings(mappings))


def _settings(answer: Answer) -> dict[str, str]:
    lines = (value for name, value in answer.response.headers if name.startswith("Line-"))
    return {name.strip().lower(): value.strip(" >") for name, _, value in (line.partition("=") for line in lines)}


def _is_on(value: str) -> bool:
    """As Asterisk parses a boolean (main/utils.c, ast_true)."""
    return value.lower() in ("yes", "true", "y", "t", "1", "on")


def _classes(server: AMIServer, seen: Seen, where: PBXFiles, findings: Findings) -> list[str]:
    """The events that our user receives: ``read=`` of their section. Returns what is not known."""
    files = seen.files
    received = seen.watched.classes if files is None else frozenset(files.section.get("read", "").split(","))
    wanted = {name: why for name, why in NEEDED_EVENTS.items() if name in server.events}
    missing = {} if "all" in received else {name: why for name, why in wanted.items() if name not in received}
    remedy = read_remedy(server.username, where)
    if not missing:
        findings.ok("pbx.read.call", f"user {server.username} receives events of {', '.join(wanted)}")
    elif files is not None:
        for name, why in missing.items():
            report = findings.problem if name in REQUIRED_EVENTS else findings.warn
            report(
                FINDING_IDS[name],
                f"read= of [{server.username}] in manager.conf lacks {name} (no blanks after the commas): {why}",
                remedy,
            )
    else:
        return _unseen_classes(server, seen.watched, missing, remedy, findings)
    return []


def _unseen_classes(
    server: AMIServer, seen: Watched, missing: dict[str, str], remedy: str, findings: Findings
) -> list[str]:
    if "system" in missing:
        # The login itself is followed by FullyBooted, if read= has system.
        findings.warn(
            FINDING_IDS["system"],
            f"read= of [{server.username}] in manager.conf lacks system: {missing.pop('system')}",
            remedy,
        )
    if "call" in missing and seen.is_silent:
        findings.problem(
            FINDING_IDS["call"],
            f"calls began or ended while we watched, and no event came: read= of [{server.username}] lacks call",
            remedy,
        )
        del missing["call"]
    return [f"whether read= has {', '.join(missing)}"] if missing else []


def _cdrs(seen: Seen, findings: Findings) -> list[str]:
    """Whether Asterisk makes Cdr events at all."""
    files = seen.files
    remedy = (
        "set enabled = yes in [general] of /etc/asterisk/cdr_manager.conf, or of the file that it includes; "
        f"then {_CDR_RELOAD}"
    )
    if "cdr" in seen.watched.classes:
        findings.ok("pbx.recording.cdr", "Cdr events come")
    elif files is None:
        return ["whether Cdr events are made"]
    elif files.cdr is None or not _is_on(files.cdr.get("enabled", "no")):
        findings.problem("pbx.recording.cdr", "Cdr events are not made; without them recordings are not found", remedy)
    else:
        findings.ok("pbx.recording.cdr", "Cdr events are made (cdr_manager.conf)")
    return []


def _recordings(seen: Seen, headers: Sequence[str], where: PBXFiles, findings: Findings) -> list[str]:
    """Whether Cdr events have a header that may name the recording."""
    files, remedy = seen.files, mapping_remedy(where)
    cdrs = [event for event in seen.events if event.name == "Cdr"]
    if any(header in event for event in cdrs for header in headers):
        findings.ok("pbx.recording.name", "Cdr events name the recording")
    elif files is not None:
        if {header.lower() for header in headers} & {value.lower() for value in files.mappings.values()}:
            findings.ok("pbx.recording.name", "Cdr events name the recording (cdr_manager.conf, [mappings])")
        else:
            findings.problem(
                "pbx.recording.name",
                f"recordings are configured, but [mappings] of cdr_manager.conf has none of {', '.join(headers)}: no "
                "recording will be found",
                remedy,
            )
    elif cdrs:
        findings.problem(
            "pbx.recording.name",
            f"{len(cdrs)} Cdr events came, and none has a header {' or '.join(headers)}: no recording will be found",
            remedy,
        )
    else:
        return ["whether Cdr events name the recording"]
    return []


def _timestamps(seen: Seen, where: PBXFiles, findings: Findings) -> list[str]:
    files, events = seen.files, seen.events
    remedy = time_remedy(where)
    is_configured = files is not None and _is_on(files.general.get("timestampevents", "no"))
    if is_configured or any("Timestamp" in event for event in events):
        findings.ok("pbx.timestamps", "events carry their time (timestampevents)")
    elif files is not None or any(event.name != "FullyBooted" for event in events):  # that one never has it
        findings.warn("pbx.timestamps", "events carry no time, so an event's time is that of its arrival", remedy)
    else:
        return ["whether events carry their time"]
    return []
