"""All changes together: what is written where, what is said, and that a second time changes nothing."""

from __future__ import annotations

from collections.abc import Mapping

import attrs
import pytest

from tests.setup.machines import ANSWERS, DEBIAN, FREEPBX, OLD, ON_FREEPBX, E, after, machine
from uac_trio.setup.answers import PACKAGED_UNITS, Answers, Platform
from uac_trio.setup.plan import Plan, Secrets, plan_setup

SECRETS = Secrets(ami="new-ami", vtiger="new-vtiger")
OWN = {
    "/etc/uac-trio/ami-secret",
    "/etc/uac-trio/vtiger-secret",
    "/etc/uac-trio/uac-trio.toml",
    "/etc/systemd/system/uac-trio.service",
}


def planned(texts: Mapping[str, str], answers: Answers = ANSWERS) -> Plan:
    """A second plan, with the files as the first leaves them, changes nothing."""
    plan = plan_setup(answers, machine(texts, mode=0o600), SECRETS)
    again = plan_setup(answers, machine(after(texts, plan.changes), mode=0o600), Secrets(ami="other", vtiger=""))
    assert again.changes == ()
    assert again.reloads == ()
    return plan


def text_of(plan: Plan, path: str) -> str:
    return next(change.text for change in plan.changes if change.path == path)


@pytest.mark.parametrize(
    ("texts", "answers", "asterisk", "click"),
    [
        (
            DEBIAN,
            ANSWERS,
            {"manager.d/uac-trio.conf", "cdr_manager.conf", "uac-trio-recording.conf", "extensions.conf"},
            ("PJSIP/{extension}", "office"),
        ),
        (
            FREEPBX,
            ON_FREEPBX,
            {"manager_custom.conf", "cdr_manager_mapping_custom.conf"},
            ("Local/{extension}@originate-skipvm", "from-internal"),
        ),
        (OLD, ANSWERS, {"manager.conf", "cdr_manager.conf"}, ("SIP/{extension}", "vtiger")),
    ],
    ids=["debian", "freepbx", "by hand"],
)
def test_files(texts: Mapping[str, str], answers: Answers, asterisk: set[str], click: tuple[str, str]) -> None:
    """The files that are written, and how the configuration has clicks call."""
    plan = planned(texts, answers)
    assert {change.path for change in plan.changes} == OWN | {f"{E}/{name}" for name in asterisk}
    toml = text_of(plan, "/etc/uac-trio/uac-trio.toml")
    assert f'originate_channel = "{click[0]}"\noriginate_context = "{click[1]}"\n' in toml
    assert "new-" not in toml
    assert "SupplementaryGroups=asterisk" in text_of(plan, "/etc/systemd/system/uac-trio.service").splitlines()


def test_freepbx_without_a_way_around_voicemail() -> None:
    """An old one has no originate-skipvm: the phone itself is called."""
    texts = {path: text.replace("originate-skipvm", "other") for path, text in FREEPBX.items()}
    assert 'originate_channel = "PJSIP/{extension}"' in text_of(
        planned(texts, ON_FREEPBX), "/etc/uac-trio/uac-trio.toml"
    )


def test_secrets() -> None:
    """That of manager.conf counts, then that of the file; both are for root alone."""
    texts = {**DEBIAN, "/etc/uac-trio/ami-secret": "of the file\n", "/etc/uac-trio/vtiger-secret": "crm\n"}
    plan = planned(texts)
    assert "secret = of the file\n" in text_of(plan, f"{E}/manager.d/uac-trio.conf")
    texts[f"{E}/manager.d/x.conf"] = "[uac-trio]\nsecret = of Asterisk\n"
    plan = planned(texts)
    (change,) = (each for each in plan.changes if each.path == "/etc/uac-trio/ami-secret")
    assert (change.text, change.mode, change.is_secret) == ("of Asterisk\n", 0o600, True)
    assert text_of(plan, "/etc/uac-trio/vtiger-secret") == "new-vtiger\n"


def test_secret_that_all_may_read() -> None:
    """Its permissions are a change of their own."""
    texts = after(DEBIAN, planned(DEBIAN).changes)
    plan = plan_setup(ANSWERS, machine(texts, mode=0o644), Secrets(ami="", vtiger=""))
    assert {change.path for change in plan.changes} == {"/etc/uac-trio/ami-secret", "/etc/uac-trio/vtiger-secret"}


def test_reloads() -> None:
    """What makes Asterisk and systemd take up the changes."""
    assert planned(DEBIAN).reloads == (
        'asterisk -rx "manager reload"',
        'asterisk -rx "module reload cdr_manager.so"',
        'asterisk -rx "dialplan reload"',
        "systemctl daemon-reload",
    )


def test_recording_without_a_name() -> None:
    """The line that records is named, with what it lacks; the dialplan is not touched."""
    texts = {**DEBIAN, f"{E}/extensions.conf": "[a]\nexten => _X.,1,MixMonitor(x.wav)\n"}
    plan = planned(texts)
    assert any(note.startswith(f"{E}/extensions.conf:2 records calls, but no line names") for note in plan.notes)
    assert f"{E}/extensions.conf" not in {change.path for change in plan.changes}


def test_recording_that_is_not_wanted() -> None:
    """Then nothing is added to the dialplan, and nothing said of it."""
    plan = planned(DEBIAN, attrs.evolve(ANSWERS, adds_recording=False))
    assert not any("record" in note for note in plan.notes)
    assert f"{E}/extensions.conf" not in {change.path for change in plan.changes}


def test_unit_of_a_package() -> None:
    """It stays, and gets the group by a file of its own; without the group it needs none."""
    texts = {**DEBIAN, "/lib/systemd/system/uac-trio.service": ""}
    plan = planned(texts)
    path = "/etc/systemd/system/uac-trio.service.d/recordings.conf"
    assert text_of(plan, path).endswith("SupplementaryGroups=asterisk\n")
    assert "systemctl daemon-reload" in plan.reloads
    paths = {change.path for change in plan_setup(ANSWERS, machine(texts, groups=()), SECRETS).changes}
    assert not any(each.startswith("/etc/systemd") for each in paths)


@pytest.mark.parametrize(
    ("platform", "words"),
    [
        (
            Platform.ASTERISK,
            ("append to /etc/asterisk/manager.conf", "read = call,agent", "[mappings]\nrecordingpath => "),
        ),
        (Platform.FREEPBX, ("manager_custom.conf", "cdr_manager_mapping_custom.conf", "recordingfile => ")),
        (Platform.MIKOPBX, ("System, Asterisk Manager Interface (AMI): name uac-trio",)),
    ],
)
def test_another_machine(platform: Platform, words: tuple[str, ...]) -> None:
    """Files of a PBX elsewhere are not written: what belongs there is shown, without the secret."""
    answers = attrs.evolve(ANSWERS, platform=platform, ami_host="10.0.0.9", asterisk_dir="", recordings="")
    plan = planned({}, answers)
    assert {change.path for change in plan.changes} == OWN
    shown = "\n".join(plan.notes)
    assert plan.reloads == ("systemctl daemon-reload",)
    assert all(each in shown for each in words)
    assert "new-ami" not in shown
    assert "the content of /etc/uac-trio/ami-secret" in shown


def test_program_that_the_unit_hides() -> None:
    """A daemon in a home directory would not start under the unit."""
    there = attrs.evolve(machine(DEBIAN), program="/root/venv/bin/uac-trio")
    (note,) = (each for each in plan_setup(ANSWERS, there, SECRETS).notes if "ProtectHome" in each)
    assert note.startswith("/root/venv/bin/uac-trio is where the systemd unit may not look")
    packaged = attrs.evolve(machine({**DEBIAN, PACKAGED_UNITS[0]: ""}), program="/root/venv/bin/uac-trio")
    for other in (machine(DEBIAN), packaged):
        assert not any("ProtectHome" in note for note in plan_setup(ANSWERS, other, SECRETS).notes)


def test_phones_with_other_names() -> None:
    """They are named, since the rule for employees would match none of them."""
    texts = {**DEBIAN, f"{E}/pjsip.conf": "".join(f"[sip-{n}]\ntype = endpoint\n" for n in range(12))}
    (note,) = (each for each in planned(texts).notes if "endpoint" in each)
    assert "no endpoint has a name that matches [calls] extensions, ^\\d{2,5}$; there are sip-0, sip-1," in note
    assert "sip-9 and 2 more." in note
    for other in (DEBIAN, OLD, {}):
        assert not any("endpoint" in note for note in planned(other).notes)
