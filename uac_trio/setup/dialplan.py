"""The dialplan: whether it records calls and names the file, what phones there are, and a subroutine that records."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

import attrs

from uac_trio.asterisk_conf import Configuration, Section, Value, appended, read
from uac_trio.setup.answers import Answers, Machine
from uac_trio.setup.change import Change, What

_RECORDS = re.compile(r"\b(?:Mix)?Monitor\s*\(", re.IGNORECASE)
_NAMES = re.compile(r"CDR\((recordingpath|recordingfile)\)", re.IGNORECASE)
OWN_FILE = "uac-trio-recording.conf"
CALL = "Gosub(uac-trio-record,s,1)"


@attrs.frozen
class Recording:
    """How the dialplan records."""

    by: str = ""
    """``FILE:LINE`` of the first line that does, "" without one."""
    names: tuple[str, ...] = ()
    """The variables of CDR() that have the file."""
    calls_ours: bool = False
    """Whether a line calls the subroutine that setup wrote."""


@attrs.frozen
class Phones:
    """The endpoints of employees: the technology of their channels, and the context of their calls."""

    technology: str = "PJSIP"
    context: str = "from-internal"


def recording_of(machine: Machine, asterisk_dir: str) -> Recording:
    """What extensions.conf and its includes record, extensions.ael and extensions.lua as well."""
    by = ""
    names: list[str] = []
    calls_ours = False
    for value in _lines_of_dialplan(machine, asterisk_dir):
        names += [name.lower() for name in _NAMES.findall(value.value)]
        if value.file.endswith(f"/{OWN_FILE}"):
            continue
        calls_ours = calls_ours or "uac-trio-record," in value.value
        if not by and _RECORDS.search(value.value):
            by = f"{value.file}:{value.line}"
    return Recording(by, tuple(sorted(set(names), reverse=True)), calls_ours)


def _lines_of_dialplan(machine: Machine, asterisk_dir: str) -> Iterator[Value]:
    for section in dialplan_of(machine, asterisk_dir).sections:
        yield from section.values
    for name in ("extensions.ael", "extensions.lua"):
        path = f"{asterisk_dir}/{name}"
        for number, line in enumerate(machine.text(path).split("\n"), start=1):
            if not line.lstrip().startswith(("//", "--")):
                yield Value("", line, path, number)


def dialplan_of(machine: Machine, asterisk_dir: str) -> Configuration:
    return read(f"{asterisk_dir}/extensions.conf", machine.texts)


def phones_of(machine: Machine, asterisk_dir: str, extensions: str) -> Phones:
    """What most endpoints are whose names match ``extensions``; the defaults if there are none."""
    technologies: Counter[str] = Counter()
    contexts: Counter[str] = Counter()
    for technology, section in _endpoints(machine, asterisk_dir):
        if re.search(extensions, section.name):
            technologies[technology] += 1
            context = section.get("context")
            contexts[context.value if context else "default"] += 1
    if not technologies:
        return Phones()
    return Phones(technologies.most_common(1)[0][0], contexts.most_common(1)[0][0])


def strangers(machine: Machine, asterisk_dir: str, extensions: str) -> tuple[str, ...]:
    """The names of all endpoints, if there are some and none matches ``extensions``."""
    names = tuple(section.name for _, section in _endpoints(machine, asterisk_dir))
    return () if any(re.search(extensions, name) for name in names) else names


def _endpoints(machine: Machine, asterisk_dir: str) -> Iterator[tuple[str, Section]]:
    """Endpoints of pjsip.conf, and devices of sip.conf that may call."""
    for technology, file, kinds in (("PJSIP", "pjsip.conf", ("endpoint",)), ("SIP", "sip.conf", ("friend", "user"))):
        for section in read(f"{asterisk_dir}/{file}", machine.texts).sections:
            kind = section.get("type")
            if kind is not None and kind.value.lower() in kinds and not section.is_template:
                yield technology, section


def spool_of(machine: Machine, asterisk_dir: str) -> str:
    """``astspooldir`` of asterisk.conf."""
    directories = read(f"{asterisk_dir}/asterisk.conf", machine.texts).section("directories")
    found = directories.get("astspooldir") if directories else None
    return found.value.rstrip("/") if found and found.value.startswith("/") else "/var/spool/asterisk"


def plan_recording(answers: Answers, machine: Machine) -> tuple[Change, ...]:
    """A file of our own with a subroutine that records, and the line of extensions.conf that includes it."""
    directory = answers.asterisk_dir
    root, path = f"{directory}/extensions.conf", f"{directory}/{OWN_FILE}"
    own = Change(
        path=path,
        text=_subroutine(answers.recordings or f"{spool_of(machine, directory)}/monitor"),
        why="a subroutine that records a call; it does nothing until your dialplan calls it",
        what=What.REPLACES,
        mode=0o640,
        like=f"{directory}/manager.conf",
    )
    if dialplan_of(machine, directory).includes(path):
        return (own,)
    line = Change(
        path=root,
        text=appended(machine.text(root), f'#include "{OWN_FILE}"\n'),
        why="includes that subroutine; none of your own lines is changed",
        what=What.ADDS,
        mode=0o640,
        like=f"{directory}/manager.conf",
    )
    return own, line


def _subroutine(directory: str) -> str:
    return f"""; Written by uac-trio setup. Records a call and names the file in CDR(recordingpath), which
; cdr_manager.conf passes on.
; Call it before Dial() and before Queue():  same => n,{CALL}
; A call that is recorded already stays as it is.

[uac-trio-record]
exten => s,1,GotoIf($["${{CDR(recordingpath)}}" != ""]?done)
 same => n,Set(UAC_RECORDING={directory}/${{STRFTIME(${{EPOCH}},,%Y/%m/%d)}}/${{UNIQUEID}}.wav)
 same => n,Set(CDR(recordingpath)=${{UAC_RECORDING}})
 same => n,MixMonitor(${{UAC_RECORDING}},b)
 same => n(done),Return()
"""
