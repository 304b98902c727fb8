"""What the dialplan records, and what phones there are."""

from __future__ import annotations

from collections.abc import Mapping

import attrs
import pytest

from tests.setup.machines import ANSWERS, DEBIAN, FREEPBX, OLD, E, after, configuration, machine
from uac_trio.setup.dialplan import Phones, Recording, phones_of, plan_recording, recording_of, spool_of


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (DEBIAN, Recording()),
        (OLD, Recording(f"{E}/extensions.conf:3", ("recordingpath",))),
        (FREEPBX, Recording(f"{E}/extensions_additional.conf:4", ("recordingfile",))),
        ({f"{E}/extensions.conf": "[a]\n;exten => 1,1,MixMonitor(x)\n"}, Recording()),
        ({f"{E}/extensions.conf": "[a]\nexten => 1,1,Monitor(wav,x)\n"}, Recording(f"{E}/extensions.conf:2")),
        ({f"{E}/extensions.conf": "[a]\nexten => 1,1,StopMixMonitor()\n"}, Recording()),
        ({f"{E}/extensions.ael": "// MixMonitor(x)\nMixMonitor(x);\n"}, Recording(f"{E}/extensions.ael:2")),
        ({f"{E}/extensions.conf": "[a]\nexten => 1,1,Gosub(uac-trio-record,s,1)\n"}, Recording(calls_ours=True)),
    ],
    ids=["nothing", "with a name", "freepbx", "comment", "without a name", "stop", "ael", "ours"],
)
def test_recording(texts: Mapping[str, str], expected: Recording) -> None:
    """The first line that records, and the variables that have the file."""
    assert recording_of(machine(texts), E) == expected


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ({}, Phones("PJSIP", "from-internal")),
        (DEBIAN, Phones("PJSIP", "office")),
        (OLD, Phones("SIP", "vtiger")),
        ({f"{E}/sip.conf": "[101]\ntype=friend\n[trunk]\ntype=peer\ncontext=out\n"}, Phones("SIP", "default")),
    ],
    ids=["none", "pjsip", "sip", "without a context"],
)
def test_phones(texts: Mapping[str, str], expected: Phones) -> None:
    """Technology and context of the endpoints that are employees' by their names."""
    assert phones_of(machine(texts), E, r"^\d{2,5}$") == expected


def test_spool() -> None:
    """asterisk.conf says where recordings are, unless it has Asterisk's own default."""
    assert spool_of(machine(DEBIAN), E) == "/srv/asterisk"
    assert spool_of(machine({}), E) == "/var/spool/asterisk"


def test_subroutine() -> None:
    """It is in a file of its own that extensions.conf includes; no line of the administrator's is changed."""
    changes = plan_recording(ANSWERS, machine(DEBIAN))
    done = after(DEBIAN, changes)
    assert done[f"{E}/extensions.conf"] == DEBIAN[f"{E}/extensions.conf"] + '\n#include "uac-trio-recording.conf"\n'
    section = configuration(done, "extensions.conf").section("uac-trio-record")
    assert section is not None
    lines = [value.value for value in section.values]
    assert lines[2] == "n,Set(CDR(recordingpath)=${UAC_RECORDING})"
    assert lines[3] == "n,MixMonitor(${UAC_RECORDING},b)"
    assert all(
        not change.changes(machine(done).files.get(change.path)) for change in plan_recording(ANSWERS, machine(done))
    )
    assert recording_of(machine(done), E).by == ""


def test_subroutine_of_another_directory() -> None:
    """It records where recordings are."""
    (own, _) = plan_recording(attrs.evolve(ANSWERS, recordings="/srv/calls"), machine(DEBIAN))
    assert "Set(UAC_RECORDING=/srv/calls/${STRFTIME(" in own.text
