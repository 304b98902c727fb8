"""TOML as it is written for people."""

from __future__ import annotations

import tomllib

from hypothesis import given
from hypothesis import strategies as st

from uac_trio.toml_text import Value, comment_lines, table_text, value_text

TEXTS = st.text(alphabet=st.characters(exclude_categories=["Cs"]))


@given(st.one_of(TEXTS, st.booleans(), st.integers(-(2**63), 2**63 - 1), st.lists(TEXTS)))
def test_value_is_read_back(value: Value) -> None:
    """Any value, and any text with quotes, backslashes and controls in it."""
    assert tomllib.loads(f"key = {value_text(value)}")["key"] == value


def test_pattern_is_readable() -> None:
    """A text with backslashes is written as one writes a pattern."""
    assert value_text(r"^\d{2,5}$") == r"'^\d{2,5}$'"


def test_table() -> None:
    """Comments above the header, then the keys."""
    text = table_text("[http]", {"bind": "0.0.0.0:5000", "max": 3}, ["why", "and\nhow"])
    assert text == '# why\n# and\n# how\n[http]\nbind = "0.0.0.0:5000"\nmax = 3\n'


@given(st.lists(TEXTS))
def test_comments_are_no_keys(comments: list[str]) -> None:
    """Whatever stands in them, they stay comments."""
    assert tomllib.loads("\n".join(comment_lines(comments))) == {}
