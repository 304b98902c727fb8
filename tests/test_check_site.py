"""The check of the documentation site."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.check_site import faults


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ('<a href="two.html#part">', []),
        ('<a href="https://vtiger.example/">', []),
        ('<img src="data:image/gif;base64,R0lGOD">', []),
        ('<a href="three.html">', ["one.html links to three.html: there is no such file"]),
        ('<a href="two.html#other">', ["one.html links to two.html#other: the page has no such heading"]),
        ('<a href="#here">', ["one.html links to #here: the page has no such heading"]),
        ('<script src="https://cdn.example/x.js">', ["one.html loads https://cdn.example/x.js: from another host"]),
        ('<link href="//fonts.example/x.css">', ["one.html loads //fonts.example/x.css: from another host"]),
        ('<img src="away.png">', ["one.html links to away.png: there is no such file"]),
    ],
)
def test_faults(tmp_path: Path, body: str, found: list[str]) -> None:
    """Links within the site are followed to their headings; what a page loads has to lie beside it."""
    (tmp_path / "one.html").write_text(body)
    (tmp_path / "two.html").write_text('<h2 id="part">')
    assert list(faults(tmp_path)) == found
