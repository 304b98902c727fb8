"""Changes, and how they are shown."""

from __future__ import annotations

from uac_trio.setup.answers import FoundFile
from uac_trio.setup.change import Change, What, diff_lines


def change(text: str, what: What = What.ADDS, *, is_secret: bool = False) -> Change:
    return Change(path="/etc/x.conf", text=text, why="", what=what, is_secret=is_secret, mode=0o600)


def test_diff() -> None:
    """It is unified, and shows no secret, neither an old nor a new one."""
    found = FoundFile("[a]\nsecret = old\n")
    lines = list(diff_lines(change("[a]\nsecret = old\n\n[b]\nsecret=>new\n"), found))
    assert lines == [
        "--- /etc/x.conf", "+++ /etc/x.conf", "@@ -1,2 +1,5 @@",
        " [a]", " secret = (not shown)", "+", "+[b]", "+secret=>(not shown)",
    ]  # fmt: skip


def test_diff_of_a_new_file() -> None:
    """It comes from nothing; bytes that are no text are shown as such."""
    assert list(diff_lines(change("a\udcff\n"), None)) == [
        "--- /dev/null",
        "+++ /etc/x.conf",
        "@@ -0,0 +1 @@",
        "+a\\udcff",
    ]


def test_diff_of_a_secret() -> None:
    """Only that it is another one, or the same."""
    assert list(diff_lines(change("s", is_secret=True), None))[-1] == "@@ a secret, not shown, permissions 0600 @@"
    assert (
        list(diff_lines(change("s", is_secret=True), FoundFile("s")))[-1] == "@@ the same secret, permissions 0600 @@"
    )


def test_what_is_a_change() -> None:
    """Another text, or a secret that others may read."""
    assert change("a").changes(None)
    assert change("a").changes(FoundFile("b"))
    assert not change("a").changes(FoundFile("a", 0o644))
    assert change("a", is_secret=True).changes(FoundFile("a", 0o644))


def test_what_is_lost() -> None:
    """Only what is replaced as a whole, and differs."""
    assert change("a", What.REPLACES).replaces(FoundFile("b"))
    assert not change("a", What.REPLACES).replaces(FoundFile("a"))
    assert not change("a", What.REPLACES).replaces(None)
    assert not change("a").replaces(FoundFile("b"))
