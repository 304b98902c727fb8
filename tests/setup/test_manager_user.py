"""The user of AMI: where it goes, and that Asterisk reads it there."""

from __future__ import annotations

from collections.abc import Mapping

import attrs
import pytest

from tests.setup.machines import ANSWERS, DEBIAN, FREEPBX, OLD, ON_FREEPBX, E, after, configuration, machine
from uac_trio.setup.answers import Answers
from uac_trio.setup.change import NotReadError
from uac_trio.setup.manager_user import READ, WRITE, address_of, manager_of, plan_manager_user


def planned(texts: Mapping[str, str], answers: Answers = ANSWERS) -> dict[str, str]:
    """The files afterwards; a second plan changes nothing."""
    done = after(texts, plan_manager_user(answers, machine(texts), "s3cret").changes)
    again = plan_manager_user(answers, machine(done), "another")
    assert (again.changes, again.secret) == ((), "s3cret")
    return done


@pytest.mark.parametrize(
    ("texts", "answers", "path"),
    [
        (DEBIAN, ANSWERS, f"{E}/manager.d/uac-trio.conf"),
        (FREEPBX, ON_FREEPBX, f"{E}/manager_custom.conf"),
        (OLD, ANSWERS, f"{E}/manager.conf"),
        ({}, ANSWERS, f"{E}/manager.conf"),
    ],
    ids=["debian", "freepbx", "by hand", "nothing"],
)
def test_place(texts: Mapping[str, str], answers: Answers, path: str) -> None:
    """One file is changed, and of it nothing that was there; Asterisk then has the user, and exact times."""
    done = planned(texts, answers)
    assert {each for each in done if done[each] != texts.get(each)} == {path}
    assert done[path].startswith(texts.get(path, ""))
    manager = configuration(done, "manager.conf")
    general, user = manager.section("general"), manager.section("uac-trio")
    assert general is not None
    assert general.is_true("enabled")
    assert general.is_true("timestampevents")
    assert user is not None
    assert {value.key: value.value for value in user.values} == {
        "secret": "s3cret",
        "deny": "0.0.0.0/0.0.0.0",
        "permit": "127.0.0.1/255.255.255.255",
        "read": ",".join(READ),
        "write": ",".join(WRITE),
        "writetimeout": "5000",
    }


def test_line_ends() -> None:
    """Those of the file are kept."""
    assert "\n" not in planned(OLD)[f"{E}/manager.conf"].replace("\r\n", "")


def test_file_that_is_not_included() -> None:
    """Where manager.conf does not include manager_custom.conf the user goes to manager.conf itself."""
    texts = {f"{E}/manager.conf": "[general]\nenabled = yes\n"}
    done = planned(texts, ON_FREEPBX)
    assert f"{E}/manager_custom.conf" not in done


def test_include_above_general() -> None:
    """[general](+) there would make Asterisk refuse the whole file."""
    texts = {f"{E}/manager.conf": "#include manager.d/*.conf\n[general]\nenabled = yes\n"}
    assert f"{E}/manager.d/uac-trio.conf" not in planned(texts)


def test_user_with_too_few_rights() -> None:
    """It gets what it lacks, its other lines and its secret stay; a class behind a blank is one that it lacks."""
    lines = "[uac-trio]\nsecret = s3cret\nread = call, cdr,agent ; mine\nwrite = originate\npermit = 10.0.0.1/32\n"
    texts = {**DEBIAN, f"{E}/manager.d/crm.conf": lines}
    done = planned(texts)[f"{E}/manager.d/crm.conf"]
    assert done == lines.replace("call, cdr,agent ;", "call,agent,cdr,system ;").replace(
        "= originate\n", "= originate,reporting\n"
    )


def test_user_with_rights_of_a_template() -> None:
    """The template is left alone: others may use it."""
    texts = {f"{E}/manager.conf": "[general]\n[t](!)\nread = log\n[uac-trio](t)\nsecret = s3cret\nwrite = all\n"}
    done = planned(texts)[f"{E}/manager.conf"]
    assert "[t](!)\nread = log\n[uac-trio](t)\nread = log,call,agent,cdr,system\nsecret" in done


def test_user_with_too_many_rights() -> None:
    """They are named, with the line, and stay."""
    texts = {f"{E}/manager.conf": "[general]\n[uac-trio]\nsecret = x\nread = all\nwrite = system,originate,reporting\n"}
    (note,) = plan_manager_user(ANSWERS, machine(texts), "s3cret").notes
    assert note.startswith(f"{E}/manager.conf:5: [uac-trio] write has system, which let")


def test_ami_for_the_world() -> None:
    """An address for all is noted."""
    texts = {f"{E}/manager.conf": "[general]\nbindaddr = 0.0.0.0\n"}
    (note,) = plan_manager_user(ANSWERS, machine(texts), "s3cret").notes
    assert f"{E}/manager.conf:2: AMI listens on every address" in note


@pytest.mark.parametrize(
    ("general", "expected"),
    [
        ("", ("127.0.0.1", 5038)),
        ("bindaddr = 0.0.0.0\nport = 5039\n", ("127.0.0.1", 5039)),
        ("bindaddr = 10.1.2.3\n", ("10.1.2.3", 5038)),
        ("port = x\n", ("127.0.0.1", 5038)),
    ],
)
def test_address(general: str, expected: tuple[str, int]) -> None:
    """Where AMI is reached from its own machine."""
    assert address_of(manager_of(machine({f"{E}/manager.conf": f"[general]\n{general}"}), E)) == expected


def test_address_of_the_network() -> None:
    """A connection to it comes from it, so it is the one to permit."""
    done = planned(DEBIAN, attrs.evolve(ANSWERS, ami_host="10.1.2.3"))
    assert "permit = 10.1.2.3/255.255.255.255\n" in done[f"{E}/manager.d/uac-trio.conf"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[general](+)\nenabled = yes\n", r"manager\.conf:1 adds to a section, with \(\+\), that is not there"),
        ("[general]\n;-- open\n", "is a comment that begins with ;-- left open"),
    ],
)
def test_file_that_asterisk_does_not_read(text: str, words: str) -> None:
    """It is named, with its fault."""
    with pytest.raises(NotReadError, match=words):
        plan_manager_user(ANSWERS, machine({f"{E}/manager.conf": text}), "s3cret")
