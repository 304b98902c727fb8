"""The kinds of facts, and the order in which those about one participation come."""

from __future__ import annotations

import pytest

from uac_trio.calls import fact
from uac_trio.calls.fact import FOLLOWS, Fact, OfParticipation

KINDS = [kind for kind in vars(fact).values() if isinstance(kind, type) and issubclass(kind, Fact)]


def test_every_participation_begins_and_ends_once() -> None:
    """From every fact about a participation the way is forwards, and all begin with the beginning."""
    of_participation = {kind for kind in KINDS if issubclass(kind, OfParticipation)} - {OfParticipation}
    assert set(FOLLOWS) == {None, *of_participation}
    assert FOLLOWS[None] == (fact.ParticipationBegan,)
    reached: list[type[OfParticipation]] = [fact.ParticipationBegan]
    for kind in reached:
        reached += [each for each in FOLLOWS[kind] if each not in reached]
        assert kind not in FOLLOWS[kind]
    assert set(reached) == of_participation


@pytest.mark.parametrize("kind", KINDS)
def test_every_fact_names_its_cause(kind: type[Fact]) -> None:
    """Call, time and cause are in each, and a fact is a value."""
    names = {field.name for field in kind.__attrs_attrs__}
    assert {"call_id", "at", "because"} <= names
    assert kind.__hash__ is not None
