"""Where CDR is, the mapping of cdr_custom, and FreePBX's database."""

from __future__ import annotations

from collections.abc import Mapping

import attrs
import pytest

from tests.setup.machines import ANSWERS, DEBIAN, FREEPBX, OLD, ON_FREEPBX, E, after, configuration, machine
from uac_trio.cdr.layout import OWN_MAPPING
from uac_trio.setup.answers import Answers
from uac_trio.setup.backfill import MAPPING, NAME, backfill_notes, cdr_lines, plan_backfill
from uac_trio.setup.change import NotReadError

FILLS_IN = attrs.evolve(ANSWERS, fills_in=True)
CUSTOM = f"{E}/cdr_custom.conf"
ADDRESS = "/etc/uac-trio/cdr-address"


def planned(texts: Mapping[str, str], answers: Answers = FILLS_IN) -> dict[str, str]:
    """The files that change; a second plan, with another password, changes nothing."""
    changes = plan_backfill(answers, machine(texts), "new")
    assert plan_backfill(answers, machine(after(texts, changes)), "other") == ()
    return {change.path: change.text for change in changes}


@pytest.mark.parametrize("answers", [ANSWERS, ON_FREEPBX])
def test_off(answers: Answers) -> None:
    assert planned(DEBIAN, answers) == {}
    assert cdr_lines(answers, machine(DEBIAN)) == {}


@pytest.mark.parametrize(
    ("before", "header"),
    [
        ("", "[mappings]"),
        ("; none\n;[mappings]\n", "[mappings]"),
        ("[mappings]\nMaster.csv => ${CDR(src)}\n", "[mappings](+)"),
        ("[mappings]\r\nMaster.csv => ${CDR(src)}\r\n", "[mappings](+)"),
    ],
)
def test_our_mapping_is_added(before: str, header: str) -> None:
    """What is there stays, and Asterisk reads both."""
    texts = {**DEBIAN, **({CUSTOM: before} if before else {})}
    done = planned(texts)
    assert list(done) == [CUSTOM]
    assert done[CUSTOM].startswith(before)
    assert done[CUSTOM].removeprefix(before).split() == [*header.split(), *OWN_MAPPING.split()]
    section = configuration({**texts, **done}, "cdr_custom.conf").section("mappings")
    assert section is not None
    found = {value.key: value.value for value in section.values}
    assert found[NAME] == MAPPING
    assert len(found) == (2 if "Master.csv" in before else 1)


def test_comment_that_is_left_open() -> None:
    with pytest.raises(NotReadError, match=r"cdr_custom\.conf: lines at its end are not read"):
        plan_backfill(FILLS_IN, machine({CUSTOM: "[mappings]\n;-- to be done\n"}), "")


def test_the_file_is_in_the_directory_of_logs() -> None:
    assert cdr_lines(FILLS_IN, machine(OLD)) == {"cdr": "csv:///var/log/asterisk/cdr-custom/uac-trio.csv"}
    logs = {f"{E}/asterisk.conf": "[directories]\nastlogdir => /srv/log/\n"}
    assert cdr_lines(FILLS_IN, machine(logs)) == {"cdr": "csv:///srv/log/cdr-custom/uac-trio.csv"}


def test_freepbx() -> None:
    """Its database, by an address with a new password, and how to make the user."""
    answers = attrs.evolve(ON_FREEPBX, fills_in=True)
    assert planned(FREEPBX, answers) == {ADDRESS: "mysql+pymysql://uac-trio:new@127.0.0.1/asteriskcdrdb\n"}
    assert cdr_lines(answers, machine(FREEPBX)) == {"cdr_file": "cdr-address"}
    (note,) = backfill_notes(answers, machine(FREEPBX))
    assert "GRANT SELECT ON asteriskcdrdb.* TO 'uac-trio'@'localhost';" in note
    assert list(backfill_notes(answers, machine({**FREEPBX, ADDRESS: "mysql+pymysql://..."}))) == []


@pytest.mark.parametrize(
    "answers",
    [
        attrs.evolve(FILLS_IN, cdr="csv:///var/log/asterisk/cdr-csv/Master.csv"),
        attrs.evolve(FILLS_IN, cdr_file="/srv/cdr"),
    ],
)
def test_what_the_configuration_names_already_stays(answers: Answers) -> None:
    named = {"cdr": answers.cdr, "cdr_file": answers.cdr_file}
    assert cdr_lines(answers, machine(DEBIAN)) == {key: value for key, value in named.items() if value}
    assert planned(DEBIAN, answers) == {}


@pytest.mark.parametrize(
    ("modules", "is_kept_out"),
    [
        ("[modules]\nautoload = yes\n", False),
        ("[modules]\nautoload = yes\nnoload = cdr_custom.so\n", True),
        ("[modules]\nautoload = no\n", True),
        ("[modules]\nautoload = no\nload = cdr_custom.so\n", False),
    ],
)
def test_a_module_that_is_not_loaded(modules: str, is_kept_out: bool) -> None:
    notes = list(backfill_notes(FILLS_IN, machine({f"{E}/modules.conf": modules})))
    assert len(notes) == is_kept_out


def test_another_line_of_that_name_is_shown() -> None:
    """It is not ours to take out, and both would write into one file."""
    texts = {CUSTOM: f"[mappings]\n{NAME} => ${{CDR(src)}}\n"}
    assert planned(texts) == {}
    (note,) = backfill_notes(FILLS_IN, machine(texts))
    assert note.startswith(f"cdr_custom.conf has another line for {NAME}")
