"""Asterisk's configuration files as Asterisk reads them, and edits that leave the rest as it is."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uac_trio.asterisk_conf import (
    Kind,
    appended,
    decode,
    encode,
    parse,
    read,
    with_lines_after,
    with_value,
)

MANAGER = """\
; a comment
[general]
enabled = yes ; behind a value
secret = a\\;b
;-- a block
[hidden]
;-- nested --;
--; port = 5038
#include "manager.d/*.conf"
#tryinclude extra.conf
#exec /usr/bin/true
[base](!)
deny = 0.0.0.0/0.0.0.0
[crm](base, more)
Read => call,cdr
"""


def values_of(text: str, section: str) -> dict[str, str]:
    found = read("/etc/asterisk/x.conf", {"/etc/asterisk/x.conf": text}).section(section)
    assert found is not None
    return {value.key: value.value for value in found.values}


@pytest.mark.parametrize(
    ("line", "kind", "name", "value", "options"),
    [
        ("[general]\n", Kind.SECTION, "general", "", ()),
        ("[general](+)\r\n", Kind.SECTION, "general", "", ("+",)),
        ("[phone](!)\n", Kind.SECTION, "phone", "", ("!",)),
        (" [101](phone, codecs) ; Anna\n", Kind.SECTION, "101", "", ("phone", "codecs")),
        ("enabled=yes\n", Kind.VALUE, "enabled", "yes", ()),
        ("exten => s,1,Set(A=${B})\n", Kind.VALUE, "exten", "s,1,Set(A=${B})", ()),
        ("allow += alaw\n", Kind.VALUE, "allow", "alaw", ()),
        ('#include "manager.d/*.conf" \n', Kind.INCLUDE, "manager.d/*.conf", "", ()),
        ("#include <a.conf>\n", Kind.INCLUDE, "a.conf", "", ()),
        ("#tryinclude a.conf", Kind.INCLUDE, "a.conf", "", ()),
        ("#exec /bin/x=y\n", Kind.NOTHING, "", "", ()),
        ("; [general]\n", Kind.NOTHING, "", "", ()),
        ("\ufeff[general]\n", Kind.SECTION, "general", "", ()),
        ("nonsense\n", Kind.NOTHING, "", "", ()),
    ],
)
def test_line(line: str, kind: Kind, name: str, value: str, options: tuple[str, ...]) -> None:
    """What a line is for Asterisk."""
    (found,) = parse(line)
    assert (found.raw, found.kind, found.name, found.value, found.options) == (line, kind, name, value, options)


def test_comments() -> None:
    """A comment ends a value, an escaped semicolon does not; block comments nest and hide sections."""
    assert values_of(MANAGER, "general") == {"enabled": "yes", "secret": "a;b", "port": "5038"}
    assert read("/x", {"/x": MANAGER}).section("hidden") is None
    assert values_of("[a]\n;--- no block\nb = c\n", "a") == {"b": "c"}


def test_templates() -> None:
    """A section has the values of its templates; a later value counts, in any case of the key."""
    found = read("/x", {"/x": MANAGER + "read = all\n"}).section("CRM")
    assert found is not None
    assert [value.key for value in found.values] == ["deny", "Read", "read"]
    read_value = found.get("READ")
    assert read_value is not None
    assert (read_value.value, read_value.line) == ("all", 16)


def test_includes() -> None:
    """Included files are read in their place, relative to the directory; additions extend the first section."""
    files = {
        "/etc/asterisk/manager.conf": "[general]\n#include manager.d/*.conf\n[b]\n",
        "/etc/asterisk/manager.d/1.conf": "enabled = no\n",
        "/etc/asterisk/manager.d/2.conf": "[general](+)\nenabled = yes\n",
        "/etc/asterisk/manager.d/deeper/3.conf": "[c]\n",
    }
    found = read("/etc/asterisk/manager.conf", files)
    assert [section.name for section in found.sections] == ["general", "b"]
    assert found.sections[0].is_true("enabled")
    assert found.includes("/etc/asterisk/manager.d/new.conf")
    assert not found.includes("/etc/asterisk/new.conf")


def test_second_section() -> None:
    """Of two sections of one name Asterisk reads the first: what is pasted below it does not count."""
    found = read("/x", {"/x": "[general]\nenabled = no\n[general]\nenabled = yes\n"}).section("general")
    assert found is not None
    assert not found.is_true("enabled")


def test_addition_to_nothing() -> None:
    """Asterisk refuses the whole configuration for it."""
    assert read("/x", {"/x": "a = b\n[general](+)\nenabled = yes\n"}).refused == ["/x:2"]


def test_include_of_itself() -> None:
    """It ends."""
    assert read("/x", {"/x": "#include x\n[a]\n"}).section("a") is not None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "[b]\nc = d\n"),
        ("[a]\n", "[a]\n\n[b]\nc = d\n"),
        ("[a]\n\n", "[a]\n\n[b]\nc = d\n"),
        ("[a]", "[a]\n\n[b]\nc = d\n"),
        ("[a]\r\n", "[a]\r\n\r\n[b]\r\nc = d\r\n"),
    ],
)
def test_append(text: str, expected: str) -> None:
    """A block comes after a blank line, with the line ends that the file has."""
    assert appended(text, "[b]\nc = d\n") == expected


def test_another_value() -> None:
    """The comment behind it, blanks and line ends stay."""
    text = "[a]\r\nread   =>  call   ; why\r\nb = c"
    assert with_value(text, 2, "call,cdr") == "[a]\r\nread   =>  call,cdr   ; why\r\nb = c"
    assert with_value(text, 3, "d") == "[a]\r\nread   =>  call   ; why\r\nb = d"
    with pytest.raises(ValueError, match="line 1 has no value"):
        with_value(text, 1, "d")


def test_added_lines() -> None:
    """They come after the line that is named."""
    assert with_lines_after("[a]\r\nb = c\r\n", 1, ["d = e"]) == "[a]\r\nd = e\r\nb = c\r\n"
    assert with_lines_after("[a]", 1, ["d = e"]) == "[a]\nd = e\n"


def test_any_encoding() -> None:
    """Bytes that are no UTF-8, and separators of Unicode, survive."""
    content = "callerid = Иван\r\n".encode("cp1251") + "a = \u2028\x85\x0c\n\ufeff".encode()
    text = decode(content)
    assert encode("".join(line.raw for line in parse(text))) == content
    assert len(parse(text)) == 3


LAB = Path(__file__).parents[1] / "lab" / "conf"


@pytest.mark.parametrize("name", sorted(str(path.relative_to(LAB)) for path in LAB.rglob("*.conf")))
def test_files_of_the_lab(name: str) -> None:
    """The lines of a real file are the file, and it has sections."""
    text = decode((LAB / name).read_bytes())
    assert "".join(line.raw for line in parse(text)) == text
    assert read("/x", {"/x": text}).sections


LINES = st.sampled_from(
    [
        "[a]",
        "[a](!)",
        "[a](+)",
        "[b](a)",
        "k = v",
        "k => v ; c",
        ";-- x",
        "--;",
        "#include x",
        "#include *",
        "[",
        "=",
        "\\;",
        "",
    ]
)
TEXTS = st.lists(st.one_of(LINES, st.text(max_size=8)), max_size=12).flatmap(
    lambda lines: st.sampled_from(["\n", "\r\n"]).map(lambda end: end.join(lines))
)


@given(TEXTS)
def test_any_text(text: str) -> None:
    """It is read without an error, and its lines are the text; what is appended is read, unless a comment is open."""
    assert "".join(line.raw for line in parse(text)) == text
    longer = appended(text, "[own]\nkey = value\n")
    assert longer.startswith(text)
    found = read("/d/x", {"/d/x": longer}).section("own")
    assert ";--" in text or (found is not None and found.is_true("key") is False)


@given(TEXTS)
def test_any_value_changed(text: str) -> None:
    """A changed value is read as such, and every other line stays as it is."""
    lines = parse(text)
    for number, line in enumerate(lines, start=1):
        if line.kind is Kind.VALUE and ";" not in line.raw:
            changed = parse(with_value(text, number, "other"))
            assert changed[number - 1].value == "other"
            assert changed[number - 1].name == line.name
            assert [each.raw for each in changed[: number - 1] + changed[number:]] == [
                each.raw for each in lines[: number - 1] + lines[number:]
            ]
