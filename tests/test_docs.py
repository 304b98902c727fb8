"""What the pages say is what the program does."""

from __future__ import annotations

import re

from tools import make_architecture
from tools.make_calls_doc import PAGE, page


def test_calls_page_is_up_to_date() -> None:
    """docs/calls.md is what the pipeline makes of the recorded calls today (python -m tools.make_calls_doc)."""
    assert PAGE.read_text(encoding="utf-8") == page()


def test_architecture_page_is_up_to_date() -> None:
    """Its diagram and tables are those of the program (python -m tools.make_architecture)."""
    text = make_architecture.PAGE.read_text(encoding="utf-8")
    assert make_architecture.page(text) == text


def test_architecture_page_names_what_there_is() -> None:
    """Every file that the page names under calls/ is there."""
    text = make_architecture.PAGE.read_text(encoding="utf-8")
    rooms = make_architecture.PAGE.parent.parent / "uac_trio" / "calls"
    named = set(re.findall(r"`(\w+\.py)`", text))
    assert named
    assert {name for name in named if not (rooms / name).exists()} == set()
