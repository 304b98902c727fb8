"""What the pages say is what the program does."""

from __future__ import annotations

from tools.make_calls_doc import PAGE, page


def test_calls_page_is_up_to_date() -> None:
    """docs/calls.md is what the pipeline makes of the recorded calls today (python -m tools.make_calls_doc)."""
    assert PAGE.read_text(encoding="utf-8") == page()
