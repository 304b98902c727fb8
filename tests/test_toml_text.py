"""TOML for people."""

from __future__ import annotations

import tomllib

import pytest

from uac_trio.toml_text import Value, comment_lines, table_text, value_text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (7, "7"),
        ("a b", '"a b"'),
        (r"^\d{3}$", r"'^\d{3}$'"),
        ("it's \\", '"it\'s \\\\"'),
        ("Анна", '"Анна"'),
        ("a\nb\x7f", '"a\\nb\\u007f"'),
        (["a", "b"], '["a", "b"]'),
        ((), "[]"),
    ],
)
def test_a_value(value: Value, text: str) -> None:
    """It is read back as it was; a pattern stands there as one writes it."""
    assert value_text(value) == text
    read = tomllib.loads(f"x = {text}")["x"]
    assert read == (list(value) if isinstance(value, tuple | list) else value)


def test_a_table() -> None:
    """Below its comments."""
    text = table_text("[pbx]", {"name": "main", "port": 5038}, ["two\n\nlines"])
    assert text == '# two\n#\n# lines\n[pbx]\nname = "main"\nport = 5038\n'
    assert comment_lines([]) == []
