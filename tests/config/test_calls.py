"""Table [calls], which ``replay --rules`` reads alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.config.files import FULL, PBX, VTIGER, loaded
from uac_trio.calls.rules import TrackerRules
from uac_trio.config.loading import load_rules
from uac_trio.config.reader import ConfigError
from uac_trio.config.words import describe


def test_mobiles(tmp_path: Path) -> None:
    """An employee's own number outside is theirs in every spelling; a long list may be a table of its own."""
    content = FULL + '[calls]\nregion = "RU"\nmobiles = { "+7 926 123-45-67" = "101", "89160000001" = "101" }'
    config = loaded(tmp_path, content)
    spelt = ("+79261234567", "89261234567", "9261234567", "0079261234567", "989160000001", "89261234568")
    assert [config.calls.owner_of_mobile(number) for number in spelt] == ["101"] * 5 + [""]
    assert any(
        "Calls to an employee's external number are theirs: 2 such numbers, of 101" in line
        for line in describe(config, 0)
    )
    apart = loaded(tmp_path, FULL + '[calls.mobiles]\n"+79261234567" = "101"')
    assert apart.calls.owner_of_mobile("89261234567") == "101"


def test_pbx_of_several_companies(tmp_path: Path) -> None:
    """Endpoints, contexts, numbers called and tenants may limit what is ours; by default nothing does."""
    assert not loaded(tmp_path, FULL).calls.is_shared()
    limits = "only_endpoints = '^t1_'\nonly_contexts = '^t1-'\nonly_dids = [\"4951000101\"]\nonly_tenants = [\"acme\"]"
    config = loaded(tmp_path, FULL + f"[calls]\n{limits}")
    rules = config.calls
    assert rules.is_our_device("t1_101", "t1-internal", "acme")
    assert not rules.is_our_device("t2_101", "t1-internal", "acme")
    assert not rules.is_our_device("t1_101", "t2-internal", "acme")
    assert not rules.is_our_device("t1_101", "t1-internal", "other")
    assert rules.only_dids == {"4951000101"}
    (line,) = [line for line in describe(config, 0) if "shared" in line]
    assert line.endswith(
        "ours are endpoints that match ^t1_ and contexts that match ^t1- and the numbers called 4951000101 and the "
        "tenants acme."
    )


def test_mobiles_of_rules_alone(tmp_path: Path) -> None:
    """``replay --rules`` reads them too, with the same checks."""
    path = tmp_path / "c.toml"
    path.write_text('[calls]\nonly_endpoints = "^t1_"\nmobiles = { "+79261234567" = "101" }')
    assert load_rules(path) == TrackerRules(mobiles={"+79261234567": "101"}, only_endpoints="^t1_")
    path.write_text('[calls]\nmobiles = { "12" = "101" }')
    with pytest.raises(
        ConfigError, match=r"c\.toml:2: \[calls\] mobiles: expected numbers as names: '12' is too short"
    ):
        load_rules(path)


def test_extensions_as_a_list(tmp_path: Path) -> None:
    """Instead of a pattern the extensions may be listed."""
    config = loaded(tmp_path, PBX + VTIGER + '[calls]\nextensions = ["101", "205"]')
    assert config.calls.is_extension("205")
    assert not config.calls.is_extension("102")


def test_rules_alone(tmp_path: Path) -> None:
    """``replay --rules`` reads [calls] of any file and does not need the rest; its mistakes are reported."""
    path = tmp_path / "rules.toml"
    path.write_text("[calls]\nextensions = ['7']\n[whatever]\nx = 1\n")
    assert load_rules(path).is_extension("7")
    path.write_text("[calls]\nextension = ['7']\n")
    with pytest.raises(ConfigError, match=r"rules.toml:2: \[calls\] extension: is not known"):
        load_rules(path)
