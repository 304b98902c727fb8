"""What is asked of SPAgi.php, and every kind of answer."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest

from uac_trio.crm.protocol import CRM, CRMRequest, Surroundings
from uac_trio.crm.reply import Failure, NoReply, Reply
from uac_trio.crm.responsible import Finding, Responsible, ResponsibleRules
from uac_trio.crm.vtiger import VtigerSettings
from uac_trio.crm.vtiger.responsible import MAX_ANSWER, question, read_answer

FIXTURE = Path(__file__).parents[3] / "fixtures" / "vtiger_exchanges.jsonl"
SECRET = "labsecret123"
CALLBACK = "http://crm.example/modules/PBXManager/callbacks/PBXManager.php"


def is_extension(number: str) -> bool:
    return re.fullmatch(r"\d{2,5}", number) is not None


def crm(callback: str = CALLBACK, owner_url: str = "") -> CRM:
    return VtigerSettings(url=callback, secret=SECRET).crm(Surroundings(is_extension=is_extension, owner_url=owner_url))


def exchanges() -> list[dict[str, Any]]:
    """The recorded requests to SPAgi.php."""
    return [one for one in map(json.loads, FIXTURE.read_text().splitlines()) if one["kind"] == "owner"]


# What the two contacts of the recorded CRM's numbers, and the others, were answered with.
RECORDED = {
    "SPAgi known contact 79161234567 (two contacts, owners 101 and 102)": (Finding.OWNED, "101"),
    "SPAgi owner 102": (Finding.OWNED, "102"),
    "SPAgi lead owner 103": (Finding.OWNED, "103"),
    "SPAgi account": (Finding.OWNED, "101"),
    "SPAgi unknown": (Finding.NO_OWNER, ""),
    "SPAgi no callerNumber": (Finding.AWAY, ""),
    "SPAgi empty callerNumber": (Finding.AWAY, ""),
    "SPAgi bad signature": (Finding.AWAY, ""),
    "SPAgi GET": (Finding.OWNED, "101"),
    "SPAgi owner has no extension (admin)": (Finding.NO_OWNER, ""),
    "SPAgi owner is a group (id 3)": (Finding.NO_OWNER, ""),
}


def test_all_recorded_exchanges_are_here() -> None:
    """The table has each of the 11 recorded exchanges."""
    assert {one["case"] for one in exchanges()} == set(RECORDED)
    assert len(RECORDED) == 11


@pytest.mark.parametrize("exchange", exchanges(), ids=lambda exchange: exchange["case"])
def test_answer_of_a_real_vtiger(exchange: dict[str, Any]) -> None:
    """Each answer of the real script is understood."""
    reply = Reply(status=exchange["status"], content_type=exchange["type"], text=exchange["body"])
    answer = read_answer(reply, is_extension)
    assert (answer.finding, answer.extension) == RECORDED[exchange["case"]]
    assert bool(answer.reason) == (answer.finding is not Finding.OWNED)


@pytest.mark.parametrize(
    "exchange",
    [one for one in exchanges() if RECORDED[one["case"]][0] is not Finding.AWAY],
    ids=lambda one: one["case"],
)
def test_question_to_a_real_vtiger(exchange: dict[str, Any]) -> None:
    """We ask with the parameters that the real script answered, the number less its formatting."""
    asked = exchange["form"]
    request = crm().owner_question(asked["callerNumber"])
    assert isinstance(request, CRMRequest)
    number = re.sub(r"[\s()]", "", asked["callerNumber"])
    assert request.key == number
    assert dict(parse_qsl(request.body.decode())) == {**asked, "callerNumber": number}


@pytest.mark.parametrize(
    ("shown", "asked"),
    [
        ("+79161234567", "+79161234567"),
        (" 8 (916) 123-45-67 ", "8916123-45-67"),
        ("2345678", "2345678"),
        ("sales-7", "sales-7"),
        ("7" * 300, "7" * 100),
    ],
)
def test_number_that_is_asked_for(shown: str, asked: str) -> None:
    """A number goes to the CRM as in every other callback: whitelisted, and cut to its column."""
    assert question(shown, is_extension) == {"callerNumber": asked}


@pytest.mark.parametrize(
    "shown",
    ["", "unknown", "anonymous", "Restricted", "7916' or '1'='1", "%", "_", "[1,2]", '{"a":1}', "7916\n101", "\x00",
     "\ud8007916", "٧٩١٦", "101", "12345"],
)  # fmt: skip
def test_number_that_is_not(shown: str) -> None:
    """Nothing is asked for who shows no number, for what SQL must not see, and for employees."""
    answer = question(shown, is_extension)
    if shown == "7916\n101":  # white space is formatting
        assert answer == {"callerNumber": "7916101"}
    else:
        assert isinstance(answer, Responsible)
        assert (answer.finding, answer.extension) == (Finding.NO_OWNER, "")


def reply_text(extension: object) -> str:
    return json.dumps({"success": True, "result": {"crmUserExtension": extension}})


REFUSAL = '{"success":false,"error":{"code":400,"message":"Invalid request params","title":null}}'
WARNING = "<br />\n<b>Warning</b>: Undefined array key {1} in <b>/var/www/x.php</b><br />\n"
# (status, body, finding, extension)
ANSWERS: dict[str, tuple[int, str, Finding, str]] = {
    "an extension": (200, reply_text("101"), Finding.OWNED, "101"),
    "with other keys": (200, '{"result":{"a":[],"crmUserExtension":"102"},"success":true}', Finding.OWNED, "102"),
    "as a number": (200, reply_text(101), Finding.OWNED, "101"),
    "after a warning of PHP": (200, WARNING + reply_text("101"), Finding.OWNED, "101"),
    "after a byte order mark": (200, "\ufeff" + '{"success":true,"result":{"crmUserExtension":"101"}}',
                                Finding.OWNED, "101"),
    "null": (200, reply_text(None), Finding.NO_OWNER, ""),
    "empty extension": (200, reply_text(""), Finding.NO_OWNER, ""),
    "no such key": (200, '{"success":true,"result":{}}', Finding.NO_OWNER, ""),
    "no extension by the rules": (200, reply_text("+79161234567"), Finding.NO_OWNER, ""),
    "blanks around": (200, reply_text(" 101"), Finding.NO_OWNER, ""),
    "two of them for Dial()": (200, reply_text("101&102"), Finding.NO_OWNER, ""),
    "true": (200, reply_text(True), Finding.NO_OWNER, ""),
    "a list": (200, reply_text(["101"]), Finding.NO_OWNER, ""),
    "other digits": (200, reply_text("١٠١"), Finding.NO_OWNER, ""),
    "wrong signature": (200, REFUSAL, Finding.AWAY, ""),
    "refused after a warning": (200, WARNING + REFUSAL, Finding.AWAY, ""),
    "result is none": (200, '{"success":true,"result":null}', Finding.AWAY, ""),
    "success is a word": (200, '{"success":"true","result":{"crmUserExtension":"101"}}', Finding.AWAY, ""),
    "JSON of another": (200, "[1, 2]", Finding.AWAY, ""),
    "a number": (200, "101", Finding.AWAY, ""),
    "login page": (200, "<!DOCTYPE html>\n<html><head><title>vtiger", Finding.AWAY, ""),
    "PBXManager.php instead": (
        200, '<?xml version="1.0"?><Response><Authentication>Failure</Authentication></Response>', Finding.AWAY, ""),
    "nested beyond reason": (200, "[" * MAX_ANSWER, Finding.AWAY, ""),
    "a number beyond reason": (200, '{"success":' + "9" * 4000, Finding.AWAY, ""),
    "too long": (200, reply_text("101") + " " * MAX_ANSWER, Finding.AWAY, ""),
    "cut": (200, reply_text("101")[:-1], Finding.AWAY, ""),
    "empty": (200, "", Finding.FAILED, ""),
    "blank": (200, "\n\n", Finding.FAILED, ""),
    "no content": (204, "", Finding.AWAY, ""),
    "moved": (301, "", Finding.AWAY, ""),
    "gone": (410, "", Finding.AWAY, ""),
    "no such status of PHP": (599, "", Finding.FAILED, ""),
    "first of a proxy service": (520, "", Finding.AWAY, ""),
    "last of a proxy service": (529, "", Finding.AWAY, ""),
    "none of a proxy service": (530, "", Finding.FAILED, ""),
    "beyond all": (600, "", Finding.AWAY, ""),
    "stock vTiger": (404, "<html>404 Not Found", Finding.AWAY, ""),
    "forbidden": (403, reply_text("101"), Finding.AWAY, ""),
    "too many requests": (429, "", Finding.AWAY, ""),
    "PHP fatal": (500, "", Finding.FAILED, ""),
    "proxy finds no server": (502, "", Finding.AWAY, ""),
    "maintenance": (503, "", Finding.AWAY, ""),
    "proxy gave up": (504, "", Finding.AWAY, ""),
    "proxy service": (522, "", Finding.AWAY, ""),
    "no status": (999, "", Finding.AWAY, ""),
}  # fmt: skip


REASONS = {
    "null": "no record with this number",
    "empty extension": "no record with this number",
    "no such key": "no record with this number",
    "no extension by the rules": "names '+*********67', which is no extension",
    "two of them for Dial()": "names '101&102', which is no extension",
    "true": "names 'True', which is no extension",
    "wrong signature": "[vtiger] secret differs",
    "refused after a warning": "[vtiger] secret differs",
    "result is none": "a web page or another script answers",
    "login page": "a web page or another script answers where SPAgi.php should be: check [route] url, or [vtiger] url "
    "[HTTP 200, 'vtiger']",
    "empty": "vTiger answers with nothing",
    "stock vTiger": "there is no SPAgi.php at this address",
    "moved": "does not let the question through [HTTP 301]",
    "forbidden": "does not let the question through [HTTP 403, ",
    "PHP fatal": "PHP failed inside vTiger, whose web server's error log has the reason [HTTP 500]",
}
"""What an administrator reads."""


@pytest.mark.parametrize("case", ANSWERS)
def test_answer(case: str) -> None:
    """Whatever answers: an extension that may be dialled, or none and the reason."""
    status, text, finding, extension = ANSWERS[case]
    answer = read_answer(Reply(status=status, text=text), is_extension)
    assert (answer.finding, answer.extension) == (finding, extension)
    assert bool(answer.reason) == (finding is not Finding.OWNED)
    assert len(answer.reason) < 400
    assert REASONS.get(case, "") in answer.reason


def test_where_it_leads() -> None:
    """A redirection shows its target."""
    answer = read_answer(Reply(status=302, location="http://crm/login"), is_extension)
    assert answer.reason.endswith("[HTTP 302, Location: http://crm/login]")


@pytest.mark.parametrize("failure", Failure)
def test_no_answer(failure: Failure) -> None:
    """A CRM that does not answer is away, for this number and all others."""
    answer = read_answer(NoReply(failure=failure, detail="crm.example: connection refused"), is_extension)
    assert answer == Responsible(
        finding=Finding.AWAY, reason="the CRM does not answer: crm.example: connection refused"
    )


def test_generous_rules_let_nothing_into_the_dialplan() -> None:
    """Where everything is an extension by the rules, what is no word for Dial() is still none."""
    for extension in ("101&102", "101,30", "${EXTEN}", "101@trunk", "a b", '1"2', "1\n2", "1" * 33):
        assert read_answer(Reply(status=200, text=reply_text(extension)), lambda _: True).finding is Finding.NO_OWNER


@pytest.mark.parametrize(
    ("callback", "url", "address"),
    [
        (CALLBACK, "", "http://crm.example/modules/PBXManager/callbacks/SPAgi.php"),
        ("https://crm:8443/sub/x.php", "", "https://crm:8443/sub/SPAgi.php"),
        ("http://crm", "", "http://crm/SPAgi.php"),
        (CALLBACK, "http://other/agi.php", "http://other/agi.php"),
    ],
)
def test_address(callback: str, url: str, address: str) -> None:
    """The script is beside the callback, unless the settings give another address."""
    asked = crm(callback, url)
    request = asked.owner_question("79161234567")
    assert isinstance(request, CRMRequest)
    assert request.url == asked.owner_address == address


def test_password_in_the_address() -> None:
    """It is used, and not shown."""
    asked = crm(CALLBACK.replace("//", "//u:hunter3@"))
    request = asked.owner_question("79161234567")
    assert isinstance(request, CRMRequest)
    assert "u:hunter3@" in request.url
    assert "hunter3" not in asked.owner_address + repr(request)


def test_nothing_to_ask() -> None:
    """Then there is an answer and no request."""
    answer = crm().owner_question("101")
    assert isinstance(answer, Responsible)
    assert answer.finding is Finding.NO_OWNER
    owned = Reply(status=200, text=reply_text("101"))
    assert crm().read_owner(owned) == Responsible(finding=Finding.OWNED, extension="101")


def test_off_by_default() -> None:
    """One line turns it on: bind for FastAGI, secret for HTTP; the secret is not in the repr."""
    assert not ResponsibleRules().is_on
    assert ResponsibleRules(bind="0.0.0.0:4574").is_on
    assert ResponsibleRules(secret="hush").is_on
    assert "hush" not in repr(ResponsibleRules(secret="hush"))
