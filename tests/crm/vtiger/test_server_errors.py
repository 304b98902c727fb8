"""What a 500 means, by what the same CRM answered before."""

from __future__ import annotations

import pytest

from uac_trio.crm.vtiger.request import Step
from uac_trio.crm.vtiger.server_errors import Evidence, ServerErrors

BEGIN, HANGUP = Step.DIAL_BEGIN, Step.HANGUP


@pytest.fixture
def errors() -> ServerErrors:
    return ServerErrors(may_be_usual=True)


def answered(errors: ServerErrors, extension: str, step: Step = BEGIN) -> None:
    errors.settled(f"{extension}/{step}", step, extension, believed=False)


def test_nothing_is_known(errors: ServerErrors) -> None:
    """The first answers of a CRM prove nothing, nor does the 200 to a Hangup, which vTiger may have ignored."""
    answered(errors, "101", HANGUP)

    assert errors.evidence("k", "101") is Evidence.NONE
    assert not errors.are_usual


def test_an_extension_that_was_answered_with_200(errors: ServerErrors) -> None:
    """From then on its 500 is an outage, and so is that of an extension that never called."""
    answered(errors, "101")

    assert errors.evidence("k", "101") is Evidence.OUTAGE
    assert errors.evidence("k", "102") is Evidence.OUTAGE


def test_a_fresh_installation(errors: ServerErrors) -> None:
    """It answers 500 to all that it writes, and 200 to an extension that no user has."""
    errors.settled("k", BEGIN, "101", believed=True)
    answered(errors, "105")

    assert errors.evidence("l", "101") is Evidence.USUAL
    assert errors.evidence("l", "102") is Evidence.USUAL
    assert errors.evidence("l", "105") is Evidence.OUTAGE
    assert errors.are_usual


def test_a_fresh_installation_that_was_mended(errors: ServerErrors) -> None:
    """An extension whose 500 was usual gets 200: from now on a 500 is an outage for all."""
    errors.settled("k", BEGIN, "101", believed=True)
    answered(errors, "101")

    assert errors.evidence("l", "101") is Evidence.OUTAGE
    assert errors.evidence("l", "102") is Evidence.OUTAGE
    assert not errors.are_usual


@pytest.mark.parametrize(("extension", "evidence"), [("101", Evidence.OWN), ("102", Evidence.DOUBT)])
def test_other_calls_go_through(errors: ServerErrors, extension: str, evidence: Evidence) -> None:
    """After a 500 another call is begun: this request's next 500 is its own affair."""
    answered(errors, "101")
    errors.failed("k")
    assert errors.evidence("k", extension) is Evidence.OUTAGE
    answered(errors, "101", HANGUP)
    assert errors.evidence("k", extension) is Evidence.OUTAGE
    answered(errors, "101")
    assert errors.evidence("k", extension) is evidence
    assert errors.evidence("another", extension) is Evidence.OUTAGE
    errors.failed("k")
    assert errors.evidence("k", extension) is Evidence.OUTAGE


def test_stock(errors: ServerErrors) -> None:
    """Never answers 500 to what it has written, nor is anything learned to the contrary."""
    stock = ServerErrors(may_be_usual=False)
    stock.settled("k", BEGIN, "101", believed=True)

    assert not stock.are_usual
    assert stock.evidence("k", "101") is Evidence.OUTAGE
    stock.failed("k")
    answered(stock, "101", Step.START_APP)
    assert stock.evidence("k", "101") is Evidence.OWN


def test_what_is_settled_is_forgotten(errors: ServerErrors) -> None:
    """A request that was answered, or parked, has no past; of those that wait, a bounded number has one."""
    errors.failed("k")
    errors.failed("l")
    assert errors.has_failed("k")
    errors.settled("k", HANGUP, "101", believed=False)
    errors.given_up("l")
    assert not errors.has_failed("k")
    assert not errors.has_failed("l")
    for n in range(1001):
        errors.failed(str(n))
    assert [errors.has_failed(key) for key in ("0", "1", "1000")] == [False, True, True]
