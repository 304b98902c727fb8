from __future__ import annotations

import pytest

from tests.crm.vtiger.test_examining import ACCEPTED, AWAY, MISSING, PAGES, REFUSED, SPAGI, URL, Found
from uac_trio.crm.reply import NoReply, Reply
from uac_trio.crm.vtiger.account import VtigerAccount
from uac_trio.crm.vtiger.examining import examine
from uac_trio.crm.vtiger.installed_module import installed_version
from uac_trio.crm.vtiger.module_package import module_version


def of_version(text: str) -> Reply:
    return Reply(status=200, text=text)


CURRENT = of_version(f"{module_version()}\n")
OLD = of_version("26.1.0-0123abcd\n")


@pytest.mark.parametrize(
    ("answer", "version"),
    [
        (OLD, "26.1.0-0123abcd"),
        (MISSING, ""),
        (AWAY, ""),
        (of_version("<html>26.1.0-0123abcd</html>"), ""),
        (of_version(""), ""),
    ],
)
def test_version_of_an_answer(answer: Reply | NoReply, version: str) -> None:
    """A login page with status 200 is no version."""
    assert installed_version(answer) == version


def looked(version: Reply | NoReply, *, wants_module: bool) -> Found:
    findings = Found()
    account = VtigerAccount(url=URL, secret="s3cret")
    look = examine(account, lambda: 0.0, findings, wants_module=wants_module)
    next(look)
    for answer in (REFUSED, ACCEPTED, SPAGI, version, PAGES):
        try:
            look.send(answer)
        except StopIteration:
            break
    return findings


def about_module(findings: Found) -> list[tuple[str, str]]:
    return [(kind, words) for kind, words in findings.lines if "companion module" in words]


@pytest.mark.parametrize("wants_module", [True, False])
@pytest.mark.parametrize(("answer", "kind", "said"), [(CURRENT, "ok", "is installed"), (OLD, "warn", "Update Now")])
def test_module_that_is_there(answer: Reply, kind: str, said: str, wants_module: bool) -> None:
    """Its pages look for calls by themselves, so the CRM's own script is not asked for."""
    findings = looked(answer, wants_module=wants_module)
    ((found, words),) = about_module(findings)
    assert found == kind
    assert said in words
    assert not [words for _, words in findings.of_pages if "its pages look for calls" in words]


def test_module_that_is_not_there() -> None:
    """It is missed where [companion] is on, and the CRM's own script shows what remains."""
    findings = looked(MISSING, wants_module=True)
    ((kind, words),) = about_module(findings)
    assert kind == "warn"
    assert "crm-module" in words
    assert [words for _, words in findings.of_pages if "its pages look for calls" in words]
    assert about_module(looked(MISSING, wants_module=False)) == []
