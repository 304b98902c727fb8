"""Every kind of answer the contract names, and what it is taken for."""

from __future__ import annotations

import pytest

from uac_trio.crm.reply import Failure, NoReply, Reply, Ruling
from uac_trio.crm.vtiger.reply import RULES, judge
from uac_trio.crm.vtiger.request import Step, repeatable
from uac_trio.crm.vtiger.server_errors import Evidence

XML = '<?xml version="1.0" encoding="utf-8"?><Response>{}</Response>'
FAILURE = XML.format("<Authentication>Failure</Authentication>")
NGINX = "<html>\r\n<head><title>{0}</title></head>\r\n<body><center><h1>{0}</h1></center></body>\r\n</html>"
FATAL = "<br />\n<b>Fatal error</b>:  Uncaught Error: Class 'X'"
LIST_IN_500 = "Input array has 25 params, does not match query: 'insert into vtiger_pbxmanager(pbxmanagerid,direction"

# (status, body, ruling at the first sending)
ANSWERS = {
    "stored or ignored": (200, "", Ruling.DELIVERED),
    "blank lines after PHP's closing tag": (200, "\n\n", Ruling.DELIVERED),
    "stock's answer to StartApp": (
        200,
        XML.format("<Dial><Authentication>Success</Authentication><Number>SIP/101</Number></Dial>"),
        Ruling.DELIVERED,
    ),
    "wrong secret": (200, FAILURE, Ruling.AUTH_FAILED),
    "wrong secret after a PHP warning": (200, f"<br />\n<b>Warning</b>: x in y\n{FAILURE}", Ruling.AUTH_FAILED),
    "wrong secret with an error status": (403, FAILURE, Ruling.AUTH_FAILED),
    "no user found": (
        200,
        "Sorry! Attempt to access restricted file. - user_privileges/user_privileges_.php",
        Ruling.PARKED,
    ),
    "value refused": (200, "Input array has 4 params, does not match query: 'UPDATE vtiger_pbx", Ruling.PARKED),
    "list in a value": (500, LIST_IN_500, Ruling.PARKED),
    "PHP notice": (200, "<br />\n<b>Notice</b>:  Undefined index: x in /var/www/a.php", Ruling.DELIVERED),
    "PHP deprecation as text": (200, "\nDeprecated: Required parameter $x follows", Ruling.DELIVERED),
    "PHP fatal shown": (200, FATAL, Ruling.AGAIN),
    "login page": (200, "<!DOCTYPE html>\n<html><head><title>vtiger", Ruling.MISCONFIGURED),
    "SPAgi.php instead": (200, '{"success":false,"error":{"code":400}}', Ruling.MISCONFIGURED),
    "index.php of vTiger": (200, "Invalid request", Ruling.MISCONFIGURED),
    "index.php of vTiger, in other words": (200, "\nInvalid request - missing", Ruling.MISCONFIGURED),
    "unknown text": (200, "Connection to database failed", Ruling.AGAIN),
    "created": (201, "", Ruling.MISCONFIGURED),
    "no content": (204, "", Ruling.MISCONFIGURED),
    "moved": (301, NGINX.format("301 Moved Permanently"), Ruling.MISCONFIGURED),
    "found": (302, "", Ruling.MISCONFIGURED),
    "moved, method kept": (308, "", Ruling.MISCONFIGURED),
    "reserved parameter name": (400, "", Ruling.PARKED),
    "http to an https port": (
        400,
        NGINX.format("400 The plain HTTP request was sent to HTTPS port"),
        Ruling.MISCONFIGURED,
    ),
    "http to an https port, Apache": (
        400,
        "Instead use the HTTPS scheme to access this URL. You're speaking plain HTTP to an SSL-enabled server port.",
        Ruling.MISCONFIGURED,
    ),
    "basic authentication wanted": (401, "", Ruling.MISCONFIGURED),
    "forbidden": (403, NGINX.format("403 Forbidden"), Ruling.MISCONFIGURED),
    "wrong path": (404, NGINX.format("404 Not Found"), Ruling.MISCONFIGURED),
    "method refused": (405, "", Ruling.MISCONFIGURED),
    "web server did not wait": (408, "", Ruling.AWAY),
    "too early": (425, "", Ruling.AWAY),
    "rate limit": (429, NGINX.format("429 Too Many Requests"), Ruling.AWAY),
    "fatal error, row written": (500, "", Ruling.AGAIN),
    "error page": (500, NGINX.format("500 Internal Server Error"), Ruling.AWAY),
    "PHP is down": (502, NGINX.format("502 Bad Gateway"), Ruling.AWAY),
    "maintenance": (503, NGINX.format("503 Service Unavailable"), Ruling.AWAY),
    "proxy gave up": (504, NGINX.format("504 Gateway Time-out"), Ruling.UNKNOWN),
    "proxy service cannot connect": (521, "", Ruling.AWAY),
    "proxy service gave up": (524, "", Ruling.UNKNOWN),
    "no status at all": (1000, "", Ruling.MISCONFIGURED),
}


@pytest.mark.parametrize(("status", "text", "ruling"), ANSWERS.values(), ids=ANSWERS)
def test_answers(status: int, text: str, ruling: Ruling) -> None:
    """Each answer has its ruling, and whatever is not plainly good has words."""
    verdict = judge(Step.HANGUP, Reply(status=status, text=text), attempt=1)

    assert verdict.ruling is ruling
    assert verdict.words or ruling is Ruling.DELIVERED


def test_every_rule_is_reached() -> None:
    """No row of the table is hidden by one above it, and none lacks an example here."""
    reached = set()
    for status, text, _ in ANSWERS.values():
        words = judge(Step.HANGUP, Reply(status=status, text=text), attempt=1).words
        reached |= {rule.words for rule in RULES if rule.words and words.startswith(rule.words)}
    for evidence in Evidence:
        for reply in (Reply(status=500), Reply(status=200, text=FATAL)):
            words = judge(Step.HANGUP, reply, attempt=1, evidence=evidence).words
            reached |= {rule.words for rule in RULES if rule.words and words.startswith(rule.words)}

    assert reached == {rule.words for rule in RULES if rule.words}


@pytest.mark.parametrize(
    ("status", "text", "rulings"),
    [
        (500, "", [Ruling.AGAIN, Ruling.PROBABLY, Ruling.PROBABLY]),
        (200, "Fatal error: x", [Ruling.AGAIN, Ruling.PROBABLY]),
        (200, "what?", [Ruling.AGAIN, Ruling.AGAIN, Ruling.AGAIN, Ruling.AGAIN, Ruling.PARKED, Ruling.PARKED]),
    ],
)
def test_again_is_bounded(status: int, text: str, rulings: list[Ruling]) -> None:
    """A 500 is repeated once and then believed; an unknown text is repeated for a while and then parked."""
    reply = Reply(status=status, text=text)

    assert [judge(Step.RECORD, reply, attempt=1 + n).ruling for n in range(len(rulings))] == rulings


def test_a_crm_that_always_says_500_is_not_asked_twice() -> None:
    """A fresh 7.2 installation answers 500 to all it stores; each request is then sent once."""
    verdict = judge(Step.DIAL_BEGIN, Reply(status=500), attempt=1, evidence=Evidence.USUAL)

    assert verdict.ruling is Ruling.PROBABLY
    unknown_text = judge(Step.HANGUP, Reply(status=200, text="what?"), attempt=1, evidence=Evidence.USUAL)
    assert unknown_text.ruling is Ruling.AGAIN


@pytest.mark.parametrize(
    ("evidence", "first", "fifth"),
    [
        (Evidence.NONE, Ruling.AGAIN, Ruling.PROBABLY),
        (Evidence.USUAL, Ruling.AGAIN, Ruling.PROBABLY),
        (Evidence.OUTAGE, Ruling.AWAY, Ruling.AWAY),
        (Evidence.OWN, Ruling.AGAIN, Ruling.PARKED),
        (Evidence.DOUBT, Ruling.AGAIN, Ruling.PROBABLY),
    ],
)
def test_fatal_error_with_200(evidence: Evidence, first: Ruling, fifth: Ruling) -> None:
    """display_errors=On makes such an answer of a 500, with what is to be read in it: perhaps a read-only database."""
    reply = Reply(status=200, text=FATAL)

    assert judge(Step.HANGUP, reply, attempt=1, evidence=evidence).ruling is first
    assert judge(Step.HANGUP, reply, attempt=5, evidence=evidence).ruling is fifth


EMPTY, PAGE = "", NGINX.format("500 Internal Server Error")


@pytest.mark.parametrize(
    ("evidence", "text", "first", "fifth"),
    [
        (Evidence.NONE, EMPTY, Ruling.AGAIN, Ruling.PROBABLY),
        (Evidence.NONE, PAGE, Ruling.AWAY, Ruling.AWAY),
        (Evidence.USUAL, EMPTY, Ruling.PROBABLY, Ruling.PROBABLY),
        (Evidence.USUAL, PAGE, Ruling.AWAY, Ruling.AWAY),
        (Evidence.OUTAGE, EMPTY, Ruling.AWAY, Ruling.AWAY),
        (Evidence.OUTAGE, PAGE, Ruling.AWAY, Ruling.AWAY),
        (Evidence.OWN, EMPTY, Ruling.AGAIN, Ruling.PARKED),
        (Evidence.OWN, PAGE, Ruling.AGAIN, Ruling.PARKED),
        (Evidence.DOUBT, EMPTY, Ruling.AGAIN, Ruling.PROBABLY),
        (Evidence.DOUBT, PAGE, Ruling.AGAIN, Ruling.PARKED),
    ],
)
def test_500(evidence: Evidence, text: str, first: Ruling, fifth: Ruling) -> None:
    """Taken for written only where nothing speaks against it, and never when the web server has a page for it."""
    reply = Reply(status=500, text=text)

    assert judge(Step.HANGUP, reply, attempt=1, evidence=evidence).ruling is first
    assert judge(Step.HANGUP, reply, attempt=5, evidence=evidence).ruling is fifth


@pytest.mark.parametrize(("status", "text", "_"), ANSWERS.values(), ids=ANSWERS)
def test_start_app_is_never_repeated_after_vtiger_had_it(status: int, text: str, _: Ruling) -> None:
    """Stock vTiger adds a row for each StartApp, so no answer of PHP leads to another."""
    assert not repeatable(Step.START_APP)
    assert judge(Step.START_APP, Reply(status=status, text=text), attempt=1).ruling is not Ruling.AGAIN


def test_all_other_steps_are_repeatable() -> None:
    """They write the same values into the same row."""
    assert [step for step in Step if not repeatable(step)] == [Step.START_APP]


@pytest.mark.parametrize(("failure", "ruling"), [(Failure.NOT_SENT, Ruling.AWAY), (Failure.UNKNOWN, Ruling.UNKNOWN)])
def test_no_reply(failure: Failure, ruling: Ruling) -> None:
    """What was not sent waits; what was sent without an answer is unknown. The words carry the cause."""
    verdict = judge(Step.HANGUP, NoReply(failure=failure, detail="crm: connection refused"), attempt=1)

    assert verdict.ruling is ruling
    assert "crm: connection refused" in verdict.words


def test_words_show_where_a_redirect_leads() -> None:
    """The administrator can copy the final address from the message."""
    verdict = judge(Step.HANGUP, Reply(status=301, location="https://crm.example/x.php"), attempt=1)

    assert "Location: https://crm.example/x.php" in verdict.words


@pytest.mark.parametrize(("status", "asked"), [(429, 7.0), (503, 7.0), (200, 0.0), (500, 0.0), (404, 0.0)])
def test_a_crm_that_is_away_may_say_for_how_long(status: int, asked: float) -> None:
    """The verdict carries Retry-After only for a reply after which all requests wait."""
    assert judge(Step.HANGUP, Reply(status=status, retry_after=7.0), attempt=1).retry_after == asked
