"""``[route]``: when it is on."""

from __future__ import annotations

import pytest

from uac_trio.crm.responsible import ASKING, Finding, Responsible, ResponsibleRules


@pytest.mark.parametrize(
    ("rules", "is_on"),
    [
        (ResponsibleRules(), False),
        (ResponsibleRules(bind="127.0.0.1:4574"), True),
        (ResponsibleRules(secret="s3cret"), True),
        (ResponsibleRules(url="http://crm/"), False),
    ],
)
def test_when_it_is_on(rules: ResponsibleRules, is_on: bool) -> None:
    """FastAGI has an address, or HTTP a secret. Neither is shown."""
    assert rules.is_on is is_on
    assert "s3cret" not in repr(rules)


def test_an_answer_without_an_employee() -> None:
    """It names no extension; a share of the deadline is left for the answer to Asterisk."""
    assert Responsible(finding=Finding.AWAY).extension == ""
    assert 0 < ASKING < 1
