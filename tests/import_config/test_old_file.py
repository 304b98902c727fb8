"""What is read of old configurations, and that none of it is run."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.import_config.old import PROPERTIES, PYTHON
from uac_trio.import_config.equals import configuration_text, imported
from uac_trio.import_config.old_file import Kind, OldFileError, OldValue, is_old, parse


def texts(content: bytes) -> dict[str, str | None]:
    return {key: value.text for key, value in parse(content).values.items()}


def test_class_config() -> None:
    """All keys with their lines; ami_params by its entries."""
    old = parse(PYTHON)
    assert old.kind is Kind.PYTHON
    assert old.values["ami_params['username']"] == OldValue("test", 5)
    assert old.values["click2call_port"] == OldValue("5000", 11)
    assert len(old.values) == 9


@pytest.mark.parametrize(
    ("body", "key", "value"),
    [
        ("class Config(object):\n    click2call_port = 5001\n", "click2call_port", "5001"),
        ("class Settings:\n    db_path: str = 'a' + '.db'\n", "db_path", "a.db"),
        ("vtiger_url = 'http://x'\n", "vtiger_url", "http://x"),
        ("class C:\n    ami_params = dict(host='h', port=5039)\n", "ami_params['port']", "5039"),
        ("import os\nclass C:\n    vtiger_token = os.environ['TOKEN']\n", "vtiger_token", None),
        ("class C:\n    ami_params = load()\n", "ami_params", None),
        ("class C:\n    db_path = a = 'x'\n    DEBUG = True\n", "DEBUG", None),
    ],
)
def test_ways_to_write_it(body: str, key: str, value: str | None) -> None:
    """A value that the program computes is none."""
    assert texts(body.encode())[key] == value


def test_is_never_run() -> None:
    """Its statements have no effect, whatever they are."""
    assert texts(b"raise SystemExit\nclass Config:\n    db_path = 'x'\n    1 / 0\n") == {"db_path": "x"}


def test_other_encoding() -> None:
    """Comments and texts in another encoding do no harm, nor does one that is named and unknown."""
    assert texts("class Config:\n    db_path = 'x'  # база\n".encode("cp1251"))["db_path"] == "x"
    assert texts("class Config:\n    name = 'база'\n    db_path = 'x'\n".encode("cp1251"))["db_path"] == "x"
    assert texts(b"# coding: nonsense\nclass Config:\n    db_path = 'x'\n")["db_path"] == "x"


def test_properties() -> None:
    """Escapes, continued lines, separators and comments behind values are as in Java."""
    old = parse(PROPERTIES)
    assert old.kind is Kind.PROPERTIES
    assert texts(PROPERTIES) | {"Colour": "blue"} == texts(PROPERTIES)
    assert old.values["AsteriskPassword"].text == "amp1:11"
    assert old.values["AsteriskUsername"].text == "admin"
    assert old.values["LookUpVariablesNames"] == OldValue("A, B", 13)
    assert old.values["CrmURL"].text == "http://crm/vtiger"
    assert parse(PROPERTIES.replace(b"\n", b"\r\n")).values == old.values


def test_surrogates() -> None:
    """A pair is one character, and a lone one no reason to fail later."""
    content = PROPERTIES + b"A = \\ud83d\\ude00\nB = \\ud83d\n"
    assert (texts(content)["A"], texts(content)["B"]) == ("\U0001f600", "\ufffd")
    assert texts(b"class C:\n    db_path = '\\ud83d'\n") == {"db_path": "\ufffd"}


@given(st.binary(max_size=60), st.sampled_from([b"", PYTHON, PROPERTIES, b"class C:\n    db_path = "]))
def test_any_file(content: bytes, before: bytes) -> None:
    """It is refused in words, or becomes TOML."""
    try:
        old = parse(before + content)
    except OldFileError:
        return
    text = configuration_text(imported(old), "old")
    tomllib.loads(text.encode().decode())


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is neither a Python file with class Config"),
        (b"[[pbx]]\nname = 'main'\n", "is neither"),
        (b"class Config:\n    db_path = \n", "line 2: is not Python 3: "),
        (b"class Config:\n  pass\n# db_path\n", "no class of it sets ami_params"),
        (b"db_path = '\0'\n", "is not Python"),
    ],
)
def test_no_old_configuration(content: bytes, words: str) -> None:
    """The reason is in words."""
    with pytest.raises(OldFileError, match=words):
        parse(content)
    assert not is_old(content)


def test_is_old() -> None:
    """Both kinds are known as such."""
    assert is_old(PYTHON)
    assert is_old(PROPERTIES)
