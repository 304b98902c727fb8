"""What a look at vTiger finds, by its answers alone."""

from __future__ import annotations

from email.utils import formatdate

import attrs
import pytest

from uac_trio.crm.reply import Failure, NoReply, Reply
from uac_trio.crm.vtiger.account import Flavour, VtigerAccount
from uac_trio.crm.vtiger.examining import OFF_BY, examine

NOW = 1_795_413_713.0
REFUSED = Reply(status=200, text="<Response><Authentication>Failure</Authentication></Response>")
ACCEPTED = Reply(status=200)
SPAGI = Reply(status=200, text='{"success":false,"error":{}}')
MISSING = Reply(status=404, text="Not Found")
AWAY = NoReply(failure=Failure.NOT_SENT, detail="refused")
URL = "http://u:hunter3@crm/modules/PBXManager/callbacks/PBXManager.php"


PAGES = Reply(status=200, text="registerPBXCall(); setInterval('registerPBXCall()', 3000);")
OF_PAGES = ("crm.popups", "crm.zone")
"""Findings that follow the others; tests/crm/vtiger/test_popups.py has the former."""


@attrs.define
class Found:
    """Collects what is found."""

    lines: list[tuple[str, str]] = attrs.field(factory=list)
    of_pages: list[tuple[str, str]] = attrs.field(factory=list)

    def ok(self, id_: str, text: str) -> None:
        self._add("ok", id_, text)

    def unknown(self, id_: str, text: str, remedy: str = "") -> None:
        self._add("unknown", id_, text, remedy)

    def warn(self, id_: str, text: str, remedy: str = "") -> None:
        self._add("warn", id_, text, remedy)

    def problem(self, id_: str, text: str, remedy: str = "") -> None:
        self._add("problem", id_, text, remedy)

    def _add(self, kind: str, id_: str, text: str, remedy: str = "") -> None:
        (self.of_pages if id_ in OF_PAGES else self.lines).append((kind, f"{text}: {remedy}" if remedy else text))


def looked(*answers: Reply | NoReply, flavour: Flavour, url: str) -> Found:
    """What is found with these answers and ``PAGES``, of which none is left over."""
    findings = Found()
    look = examine(VtigerAccount(url=url, secret="s3cret", flavour=flavour), lambda: NOW, findings)
    request = next(look)
    for number, answer in enumerate((*answers, MISSING, PAGES), start=1):
        assert request.is_get == (number > len(answers))
        try:
            request = look.send(answer)
        except StopIteration:
            assert number >= len(answers)
            break
    every = [*findings.lines, *findings.of_pages]
    assert not any("s3cret" in f"{each!r}" or "hunter3" in f"{each!r}" for each in every)
    return findings


def found(*answers: Reply | NoReply, flavour: Flavour = Flavour.SALESPLATFORM, url: str = URL) -> list[tuple[str, str]]:
    """The same but for the findings about pages and zone."""
    return looked(*answers, flavour=flavour, url=url).lines


def kinds(lines: list[tuple[str, str]]) -> list[str]:
    return [kind for kind, _ in lines]


def test_all_is_well() -> None:
    """Callback, secret and flavour, in this order."""
    lines = found(REFUSED, ACCEPTED, SPAGI)
    assert kinds(lines) == ["ok"] * 3
    assert [words for _, words in lines] == [
        "http://crm/modules/PBXManager/callbacks/PBXManager.php answers as vTiger's callback does",
        "it accepts our secret",
        "its flavour is salesplatform, as configured",
    ]


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ((ACCEPTED,), "silently takes any secret"),
        ((MISSING,), "PBXManager.php: "),
        ((AWAY,), "PBXManager.php: "),
    ],
)
def test_something_else_is_there(answers: tuple[Reply | NoReply, ...], words: str) -> None:
    """Nothing more is asked."""
    ((kind, said),) = found(*answers)
    assert kind == "problem"
    assert words in said


def test_a_wrong_secret_and_a_database_that_is_away() -> None:
    """An unsigned question shows which of the two it is."""
    (_, (kind, said), *_) = found(REFUSED, REFUSED, REFUSED, SPAGI)
    assert (kind, "refuses our secret: it has another" in said) == ("problem", True)
    (_, (kind, said), *_) = found(REFUSED, REFUSED, ACCEPTED, SPAGI)
    assert (kind, "database" in said) == ("problem", True)


def test_an_unclear_answer_about_the_secret() -> None:
    """A server error shows nothing of the secret."""
    (_, (kind, said), *_) = found(REFUSED, Reply(status=500), SPAGI)
    assert kind == "warn"
    assert said.startswith("whether our secret is right is not clear: ")


@pytest.mark.parametrize(
    ("answer", "flavour", "kind", "words"),
    [
        (SPAGI, Flavour.SALESPLATFORM, "ok", "salesplatform, as configured"),
        (MISSING, Flavour.STOCK, "ok", "stock, as configured"),
        (MISSING, Flavour.SALESPLATFORM, "problem", 'set [vtiger] flavour = "stock"'),
        (SPAGI, Flavour.STOCK, "problem", 'set [vtiger] flavour = "salesplatform"'),
        (Reply(status=403), Flavour.STOCK, "warn", "cannot be seen from outside (SPAgi.php: HTTP 403)"),
        (Reply(status=200, text="{}"), Flavour.STOCK, "warn", "cannot be seen from outside"),
    ],
)
def test_flavour(answer: Reply, flavour: Flavour, kind: str, words: str) -> None:
    """SPAgi.php beside the callback decides; a stock vTiger has none."""
    (*_, last) = found(REFUSED, ACCEPTED, answer, flavour=flavour)
    assert last[0] == kind
    assert words in last[1]


def test_flavour_that_is_not_asked_for() -> None:
    """No answer about it means nothing, and a callback of another name has no script beside it."""
    assert kinds(found(REFUSED, ACCEPTED, AWAY)) == ["ok", "ok"]
    assert kinds(found(REFUSED, ACCEPTED, url="http://crm/other.php")) == ["ok", "ok"]


@pytest.mark.parametrize(
    ("ahead", "kind", "words"),
    [
        (0.0, "ok", "agrees with ours"),
        (OFF_BY, "ok", "agrees with ours"),
        (OFF_BY + 1, "warn", "6 s ahead of ours"),
        (-OFF_BY - 1, "warn", "6 s behind ours"),
    ],
)
def test_clock(ahead: float, kind: str, words: str) -> None:
    """By the Date header of any answer: a popup is taken away by the CRM's clock."""
    dated = attrs.evolve(REFUSED, date=formatdate(NOW + ahead, usegmt=True))
    lines = found(dated, ACCEPTED, SPAGI)
    assert lines[1][0] == kind
    assert words in lines[1][1]


def test_no_clock() -> None:
    """A Date that is none shows nothing."""
    assert len(found(attrs.evolve(REFUSED, date="yesterday"), ACCEPTED, SPAGI)) == 3


def test_pages_and_zone() -> None:
    """The script of the pages is asked for last, where the callback has its usual path; the zone is shown as it is."""
    lines = looked(REFUSED, ACCEPTED, SPAGI, flavour=Flavour.SALESPLATFORM, url=URL).of_pages
    assert [kind for kind, _ in lines] == ["ok", "ok"]
    assert "look for calls every few seconds" in lines[0][1]
    elsewhere = looked(REFUSED, ACCEPTED, flavour=Flavour.SALESPLATFORM, url="http://crm/other.php").of_pages
    assert len(elsewhere) == 1
