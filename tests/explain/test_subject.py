"""What explain is asked about."""

from __future__ import annotations

import pytest

from uac_trio.calls.rules import TrackerRules
from uac_trio.explain.subject import Subject, subject_of


@pytest.mark.parametrize(
    ("text", "subject"),
    [
        ("101", Subject(text="101", extension="101")),
        ("+7 (916) 123-45-67", Subject(text="+7 (916) 123-45-67", digits="9161234567")),
        ("89161234567", Subject(text="89161234567", digits="9161234567")),
        ("main-1795413750.28", Subject(text="main-1795413750.28", call="main-1795413750.28")),
        (" 1795413750.28 ", Subject(text="1795413750.28", call="1795413750.28")),
        ("main-pbx1-1795413750.28", Subject(text="main-pbx1-1795413750.28", call="main-pbx1-1795413750.28")),
    ],
)
def test_a_subject(text: str, subject: Subject) -> None:
    """An extension is what [calls] takes for one; a number is known by its last ten digits; a call by its id."""
    assert subject_of(text, TrackerRules()) == subject


@pytest.mark.parametrize("text", ["", "anna", "1", "+", "79161234567x"])
def test_no_subject(text: str) -> None:
    """Anything else is refused with what may be asked."""
    with pytest.raises(ValueError, match=r"no telephone number, no extension by .* no call's id"):
        subject_of(text, TrackerRules())


@pytest.mark.parametrize(
    ("text", "needle"),
    [
        ("101", b"101"),
        ("89161234567", b"9161234567"),
        ("main-1795413750.28", b"1795413750.28"),
        ("1795413750.28", b"1795413750.28"),
    ],
)
def test_needle(text: str, needle: bytes) -> None:
    """What AMI has of it, without country code or the name of a PBX."""
    assert subject_of(text, TrackerRules()).needle == needle
