"""The mapping of Cdr events."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tests.setup.machines import ANSWERS, DEBIAN, FREEPBX, OLD, ON_FREEPBX, E, after, configuration, machine
from uac_trio.setup.answers import Answers
from uac_trio.setup.cdr import plan_cdr
from uac_trio.setup.change import NotReadError

NAMES = ("recordingpath", "linkedid")


def planned(texts: Mapping[str, str], answers: Answers = ANSWERS) -> dict[str, str]:
    """The files that change; a second plan changes nothing, and Asterisk then makes Cdr events with the names."""
    changes = plan_cdr(answers, machine(texts), NAMES)
    done = after(texts, changes)
    assert plan_cdr(answers, machine(done), NAMES) == ()
    found = configuration(done, "cdr_manager.conf")
    general, mappings = found.section("general"), found.section("mappings")
    assert general is not None
    assert general.is_true("enabled")
    assert mappings is not None
    assert {value.key.lower(): value.value for value in mappings.values}.items() >= {
        name: name for name in NAMES
    }.items()
    return {change.path: change.text for change in changes}


@pytest.mark.parametrize("texts", [DEBIAN, OLD, {}], ids=["debian", "by hand", "nothing"])
def test_plain(texts: Mapping[str, str]) -> None:
    """cdr_manager.conf itself is added to."""
    (path,) = planned(texts)
    assert path == f"{E}/cdr_manager.conf"


def test_freepbx() -> None:
    """The administrator's file gets lines without a header, since it is included within [mappings]."""
    assert planned(FREEPBX, ON_FREEPBX) == {
        f"{E}/cdr_manager_mapping_custom.conf": "recordingpath => recordingpath\nlinkedid => linkedid\n"
    }


def test_freepbx_with_cdr_events_off() -> None:
    """They are enabled in the administrator's file too."""
    texts = {**FREEPBX, f"{E}/cdr_manager_general_additional.conf": "enabled=no\n"}
    assert planned(texts, ON_FREEPBX)[f"{E}/cdr_manager_general_custom.conf"] == "enabled = yes\n"


def test_freepbx_file_with_a_section_of_its_own() -> None:
    """Lines at its end would belong to that section, so they get a header."""
    texts = {**FREEPBX, f"{E}/cdr_manager_mapping_custom.conf": "[other]\na => b\n"}
    (text,) = planned(texts, ON_FREEPBX).values()
    assert text == "[other]\na => b\n\n[mappings](+)\nrecordingpath => recordingpath\nlinkedid => linkedid\n"


def test_what_is_mapped_stays() -> None:
    """Only what is missing is added; a mapping to another header is none."""
    texts = {
        f"{E}/cdr_manager.conf": "[general]\nenabled=yes\n[mappings]\nLinkedID => linkedid\nrecordingpath => file\n"
    }
    (text,) = planned(texts).values()
    assert text.removeprefix(texts[f"{E}/cdr_manager.conf"]) == "\n[mappings](+)\nrecordingpath => recordingpath\n"


def test_cdr_that_is_off() -> None:
    """cdr.conf switches all of it off."""
    texts = {**DEBIAN, f"{E}/cdr.conf": "[general]\nenable = no\n"}
    assert planned(texts)[f"{E}/cdr.conf"] == "[general]\nenable = no\n\n[general](+)\nenable = yes\n"


def test_comment_that_is_left_open() -> None:
    """What is appended behind it would be part of it."""
    with pytest.raises(NotReadError, match=r"cdr_manager\.conf: lines at its end are not read; is a comment"):
        plan_cdr(ANSWERS, machine({f"{E}/cdr_manager.conf": "[general]\n;-- to be done\n"}), NAMES)
