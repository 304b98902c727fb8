"""All that setup changes, and what remains to be done by hand."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

import attrs

from uac_trio.setup.answers import PACKAGED_UNITS, Answers, Machine, Platform
from uac_trio.setup.backfill import RELOADS as LOAD_CDR_CUSTOM
from uac_trio.setup.backfill import backfill_notes, cdr_lines, has_database, plan_backfill
from uac_trio.setup.cdr import plan_cdr
from uac_trio.setup.change import Change, What
from uac_trio.setup.configuration import (
    AMI_SECRET,
    CDR_ADDRESS,
    VTIGER_SECRET,
    configuration_text,
    drop_in_text,
    unit_text,
)
from uac_trio.setup.dialplan import (
    CALL,
    Phones,
    Recording,
    dialplan_of,
    phones_of,
    plan_recording,
    recording_of,
    strangers,
)
from uac_trio.setup.manager_user import READ, WRITE, plan_manager_user, user_block

HIDDEN = ("/home/", "/root/", "/tmp/", "/var/tmp/")  # noqa: S108 - compared only
"""Directories that the unit hides from the daemon."""
RELOAD_MANAGER = 'asterisk -rx "manager reload"'
RELOAD_CDR = 'asterisk -rx "module reload cdr_manager.so"'
SKIPS_VOICEMAIL = "originate-skipvm"
"""The context of FreePBX that rings an extension without its voice mailbox."""


@attrs.frozen(kw_only=True)
class Secrets:
    """New secrets, for what has none yet. ``vtiger``: "" if the administrator gave none. ``cdr``: for FreePBX's
    database."""

    ami: str
    vtiger: str
    cdr: str = ""


@attrs.frozen(kw_only=True)
class Plan:
    """``changes`` has only files that are to be written."""

    changes: tuple[Change, ...]
    notes: tuple[str, ...]
    """What the administrator should know, or do by hand."""
    reloads: tuple[str, ...]
    """Commands by which Asterisk takes up the changes."""


def plan_setup(answers: Answers, machine: Machine, secrets: Secrets) -> Plan:
    """What is to be changed on ``machine``, so that it is as ``answers`` say. Raises NotReadError."""
    changes: list[Change] = []
    notes: list[str] = []
    ami_secret = _present(machine, answers, AMI_SECRET) or secrets.ami
    channel, context = _click(answers, machine)
    if answers.is_here:
        user = plan_manager_user(answers, machine, ami_secret)
        ami_secret = user.secret
        recording = recording_of(machine, answers.asterisk_dir)
        changes += user.changes
        changes += plan_cdr(answers, machine, _recording_names(answers, recording))
        changes += plan_backfill(answers, machine, secrets.cdr)
        notes += [*user.notes, *_phone_notes(answers, machine), *backfill_notes(answers, machine)]
        if answers.platform is Platform.ASTERISK:
            changes += _recording_changes(answers, machine, recording)
            notes += _recording_notes(answers, machine, recording)
    else:
        notes += _by_hand(answers)
    notes += _unit_notes(answers, machine)
    configuration = configuration_text(answers, channel, context, cdr_lines(answers, machine))
    changes += _own_files(answers, machine, ami_secret, secrets, configuration)
    written = tuple(change for change in changes if change.changes(machine.files.get(change.path)))
    return Plan(changes=written, notes=tuple(notes), reloads=tuple(_reloads(answers, written)))


def _own_files(
    answers: Answers, machine: Machine, ami_secret: str, secrets: Secrets, configuration: str
) -> Iterator[Change]:
    directory = posixpath.dirname(answers.config)
    vtiger = secrets.vtiger or _present(machine, answers, VTIGER_SECRET)
    for name, secret, why in (
        (AMI_SECRET, ami_secret, "the secret of the AMI user"),
        (VTIGER_SECRET, vtiger, "the secret key of the CRM's PBX Manager settings"),
    ):
        if secret:
            yield Change(
                path=f"{directory}/{name}",
                text=f"{secret}\n",
                why=f"{why}, for root alone: systemd passes it on",
                what=What.REPLACES,
                mode=0o600,
                is_secret=True,
            )
    yield Change(
        path=answers.config,
        text=configuration,
        why="the configuration of uac-trio, without secrets",
        what=What.REPLACES,
    )
    if answers.unit:
        yield from _unit(answers, machine)


def _unit(answers: Answers, machine: Machine) -> Iterator[Change]:
    """The systemd unit, or what one that a package brought needs besides."""
    is_read = answers.recordings or answers.fills_in
    group = "asterisk" if is_read and "asterisk" in machine.groups else ""
    credential = CDR_ADDRESS if has_database(answers, machine) else ""
    if _has_packaged_unit(machine):
        if group or credential:
            path = f"{answers.unit}.d/recordings.conf"
            yield Change(
                path=path,
                text=drop_in_text(group, credential, answers.config),
                why="lets uac-trio read the recordings",
                what=What.REPLACES,
            )
        return
    text = unit_text(machine.unit, machine.program, answers.config, group, credential)
    yield Change(path=answers.unit, text=text, why="the systemd unit", what=What.REPLACES)


def _has_packaged_unit(machine: Machine) -> bool:
    return any(path in machine.files for path in PACKAGED_UNITS)


def _unit_notes(answers: Answers, machine: Machine) -> Iterator[str]:
    if answers.unit and not _has_packaged_unit(machine) and machine.program.startswith(HIDDEN):
        yield (
            f"{machine.program} is where the systemd unit may not look (ProtectHome=, PrivateTmp=): install uac-trio "
            "into /opt/uac-trio, and run setup from there"
        )


def _present(machine: Machine, answers: Answers, name: str) -> str:
    """The secret in a file beside the configuration; "" if there is none."""
    return machine.text(f"{posixpath.dirname(answers.config)}/{name}").strip("\r\n")


def is_known_secret(answers: Answers, machine: Machine) -> bool:
    """Whether the CRM's secret is there already."""
    return bool(_present(machine, answers, VTIGER_SECRET))


def _click(answers: Answers, machine: Machine) -> tuple[str, str]:
    """``originate_channel`` and ``originate_context``."""
    if answers.platform is Platform.MIKOPBX:
        return "Local/{extension}@internal-originate", "all_peers"
    if answers.platform is Platform.FREEPBX:
        skips = not answers.is_here or dialplan_of(machine, answers.asterisk_dir).section(SKIPS_VOICEMAIL) is not None
        if skips:
            return f"Local/{{extension}}@{SKIPS_VOICEMAIL}", "from-internal"
        phones = phones_of(machine, answers.asterisk_dir, answers.extensions)
        return f"{phones.technology}/{{extension}}", "from-internal"
    phones = phones_of(machine, answers.asterisk_dir, answers.extensions) if answers.is_here else Phones()
    return f"{phones.technology}/{{extension}}", phones.context


def _phone_notes(answers: Answers, machine: Machine) -> Iterator[str]:
    names = strangers(machine, answers.asterisk_dir, answers.extensions)
    if names:
        shown = ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
        yield (
            f"no endpoint has a name that matches [calls] extensions, {answers.extensions}; there are {shown}. Which "
            'of them is whose is in [calls] devices, { "sip-anna" = "101" }, unless their caller ids are the extensions'
        )


def _recording_names(answers: Answers, recording: Recording) -> tuple[str, ...]:
    """The variables of CDR() that the Cdr event is to carry."""
    usual = "recordingfile" if answers.platform is Platform.FREEPBX else "recordingpath"
    return tuple(dict.fromkeys((usual, *recording.names, "linkedid")))


def _recording_changes(answers: Answers, machine: Machine, recording: Recording) -> tuple[Change, ...]:
    if not answers.adds_recording or recording.by:
        return ()
    if f"{answers.asterisk_dir}/extensions.conf" not in machine.files:
        return ()
    return plan_recording(answers, machine)


def _recording_notes(answers: Answers, machine: Machine, recording: Recording) -> Iterator[str]:
    if recording.by and not recording.names:
        yield (
            f"{recording.by} records calls, but no line names the file in CDR(recordingpath), so the CRM would get no "
            "recordings: add, before it, same => n,Set(CDR(recordingpath)=...) with the full path that it writes"
        )
    elif not recording.by and answers.adds_recording and not recording.calls_ours:
        yield (
            f"the dialplan records nothing yet. To record a call, add to it before Dial() and before Queue(): "
            f"same => n,{CALL}"
        )


def _by_hand(answers: Answers) -> Iterator[str]:
    """What to do on a PBX whose files are not ours to write."""
    secret = f"the content of {posixpath.dirname(answers.config)}/{AMI_SECRET}"
    if answers.platform is Platform.MIKOPBX:
        yield (
            "MikoPBX writes Asterisk's files anew at each start. Make the user of AMI in its web interface, System, "
            f"Asterisk Manager Interface (AMI): name {answers.ami_user}, password {secret}, rights to read "
            f"{', '.join(READ)} and to write {', '.join(WRITE)}, a network filter with this machine's address. "
            "Exact times and the names of recordings are in its events already"
        )
        return
    is_freepbx = answers.platform is Platform.FREEPBX
    users = "manager_custom.conf" if is_freepbx else "manager.conf"
    general = "[general](+)\nenabled = yes\ntimestampevents = yes\n"
    user = user_block(answers.ami_user, f"<{secret}>", "<address of this machine>")
    yield f"on {answers.ami_host}, append to /etc/asterisk/{users}:\n\n{general}\n{user}"
    if is_freepbx:
        mapping = "cdr_manager_mapping_custom.conf:\n\nrecordingfile => recordingfile\nlinkedid => linkedid"
    else:
        mapping = (
            "cdr_manager.conf:\n\n[general](+)\nenabled = yes\n\n[mappings]\nrecordingpath => recordingpath\n"
            "linkedid => linkedid"
        )
    yield f"on {answers.ami_host}, append to /etc/asterisk/{mapping}\n"
    yield (
        f"then, on {answers.ami_host}: {RELOAD_MANAGER}; {RELOAD_CDR}. AMI has to listen there on an address that this "
        "machine reaches: bindaddr in [general], if it is 127.0.0.1"
    )
    yield (
        "recordings of another machine are mounted here, or uac-trio serve-recordings runs there: docs/recordings.md"
    )


def _reloads(answers: Answers, changes: tuple[Change, ...]) -> Iterator[str]:
    names = [
        posixpath.basename(change.path) for change in changes if change.path.startswith(answers.asterisk_dir + "/")
    ]
    manager = [posixpath.dirname(change.path).endswith("manager.d") for change in changes]
    if any(manager) or any(name.startswith("manager") for name in names):
        yield RELOAD_MANAGER
    if any(name.startswith("cdr_manager") for name in names):
        yield RELOAD_CDR
    if "cdr_custom.conf" in names:
        yield from LOAD_CDR_CUSTOM
    if any(name in ("cdr.conf", "cdr_general_custom.conf") for name in names):
        yield 'asterisk -rx "module reload cdr"'
    if any(name.startswith(("extensions", "uac-trio-recording")) for name in names):
        yield 'asterisk -rx "dialplan reload"'
    if answers.unit and any(change.path.startswith(answers.unit) for change in changes):
        yield "systemctl daemon-reload"
