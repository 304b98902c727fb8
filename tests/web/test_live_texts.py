"""The catalogue of /live's texts: both languages whole, every text used, none missing."""

from __future__ import annotations

import re
from importlib import resources
from string import Formatter
from typing import get_args

import pytest

from uac_trio.calls.call import Direction
from uac_trio.calls.outcome import Outcome
from uac_trio.calls.transfers import TransferType
from uac_trio.crm.delivery import Kind
from uac_trio.daemon.conditions import Condition
from uac_trio.daemon.live_page import DeliveryState, WhyNothing
from uac_trio.web.live_texts import FINDINGS_IN_RUSSIAN, TEXTS, Language, Text, text

PAGE = (resources.files("uac_trio.web") / "live.html").read_text(encoding="utf-8")
CYRILLIC = re.compile("[а-яё]", re.IGNORECASE)
FAMILIES = {
    "state": {state.value for state in DeliveryState},
    "nothing": {why.value for why in WhyNothing},
    "outcome": {outcome.value for outcome in Outcome} | {""},
    "direction": {direction.value for direction in Direction} | {""},
    "kind": {kind.value for kind in Kind},
    "transfer": set(get_args(TransferType)),
}
"""Texts that the page chooses by a code of /live.json."""


def places(words: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(words) if name is not None}


@pytest.mark.parametrize("key", TEXTS)
def test_both_languages(key: str) -> None:
    """Each text is there twice, in its language, with the same places for values."""
    found: Text = TEXTS[key]
    assert places(found.en) == places(found.ru)
    assert not CYRILLIC.search(found.en)
    assert CYRILLIC.search(found.ru) or not re.search(r"\w", re.sub(r"\{\w+\}", "", found.ru))
    assert found.en[-1:] in ".?:" or found.ru[-1:] not in ".?:" or found.ru.endswith("дн.")


@pytest.mark.parametrize("family", FAMILIES)
def test_codes(family: str) -> None:
    """Every code of /live.json has a text, and no text is without its code."""
    keys = {key.removeprefix(f"{family}.") for key in TEXTS if key.startswith(f"{family}.")}
    assert keys == FAMILIES[family]


def test_page() -> None:
    """The template names texts that there are, and every text is named somewhere."""
    named = set(re.findall(r'\bt\("([^"]+)"', PAGE))
    families = {f"{name}." for name in re.findall(r'\bt\("([\w.]+)\." ~', PAGE)}
    named = (named | {"crm_done"}) - families  # chosen by an expression
    assert named <= set(TEXTS)
    rest = {key for key in TEXTS if key not in named and not key.startswith((*families, "span.", "refused.", "retry."))}
    assert rest == set()


def test_conditions() -> None:
    """Every condition has its heading and remedy in Russian."""
    assert set(FINDINGS_IN_RUSSIAN) == {condition.value for condition in Condition}
    assert all(CYRILLIC.search(found.heading) for found in FINDINGS_IN_RUSSIAN.values())


def test_values() -> None:
    """A text with its values; an unknown key is a fault."""
    assert text(Language.RUSSIAN, "pbx", name="main") == "АТС main"
    with pytest.raises(KeyError):
        text(Language.ENGLISH, "none")
