"""The signed forms of vTiger's callbacks."""

from __future__ import annotations

from urllib.parse import parse_qsl

import attrs
import pytest

from tests.crm.facts import T0, began, ended
from uac_trio.crm.delivery import Delivery, DeliveryMaker, Scope
from uac_trio.crm.vtiger.account import VtigerAccount
from uac_trio.crm.vtiger.request import Step, callback, posted, repeatable, signed

ACCOUNT = VtigerAccount(url="http://crm/PBXManager.php", secret="s3cret")


def deliveries() -> tuple[Delivery, Delivery]:
    maker = DeliveryMaker("main", Scope.EMPLOYEE, lambda _: True, lambda _: "")
    ((begin,), (end,)) = (maker.deliveries(began()), maker.deliveries(ended(T0 + 5)))
    return begin, end


@pytest.mark.parametrize("step", Step)
def test_what_may_be_sent_twice(step: Step) -> None:
    """Every step but StartApp, of which a stock vTiger makes another row."""
    assert repeatable(step) is (step is not Step.START_APP)
    assert callback(ACCOUNT, deliveries()[0], step).is_repeatable is repeatable(step)


def test_a_callback() -> None:
    """Step, call and signature are in the form; what may be shown is without the secret."""
    request = callback(ACCOUNT, deliveries()[0], Step.DIAL_BEGIN, callerIdName="Анна & Co")
    form = {"callstatus": "DialBegin", "callUUID": "main-1.0", "callerIdName": "Анна & Co"}
    assert dict(parse_qsl(request.body.decode())) == {**form, "vtigersignature": "s3cret"}
    assert request.about == form
    assert (request.name, request.url) == ("DialBegin", ACCOUNT.url)
    assert request.headers == {"Content-Type": "application/x-www-form-urlencoded"}


def test_keys() -> None:
    """Each request of a delivery has its own; an EndCall before a repeated DialBegin is none of the END."""
    begin, end = deliveries()
    keys = [callback(ACCOUNT, begin, step).key for step in (Step.DIAL_BEGIN, Step.END_CALL)]
    keys += [callback(ACCOUNT, end, step).key for step in (Step.HANGUP, Step.END_CALL)]
    assert keys == [
        "main-1.0/101/DialBegin/1.1",
        "main-1.0/101/EndCall/1.1/again",
        "main-1.0/101/Hangup/1.1",
        "main-1.0/101/EndCall/1.1",
    ]


def test_another_script() -> None:
    """A form may go to another address; an unsigned one has no secret. Odd letters are replaced."""
    assert signed(ACCOUNT, "SPAgi", {"a": "\ud800"}, "http://crm/SPAgi.php").url == "http://crm/SPAgi.php"
    assert signed(ACCOUNT, "SPAgi", {}).url == ACCOUNT.url
    assert posted(ACCOUNT.url, "probe", {"a": "\ud800"}).body == b"a=%3F"


def test_a_call_with_an_odd_identity() -> None:
    """What does not fit into vTiger's column becomes a digest."""
    odd = attrs.evolve(deliveries()[0], call_id="main-" + "x" * 100)
    assert callback(ACCOUNT, odd, Step.DIAL_BEGIN).about["callUUID"].startswith("call-")
