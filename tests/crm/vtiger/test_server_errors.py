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


def believed(errors: ServerErrors, *extensions: str) -> None:
    for extension in extensions:
        errors.settled(f"{extension}/believed", BEGIN, extension, believed=True)


def test_a_fresh_installation(errors: ServerErrors) -> None:
    """It answers 500 to all that it writes, and 200 to an extension that no user has."""
    believed(errors, "101", "103", "104")
    answered(errors, "105")

    assert errors.evidence("l", "101") is Evidence.USUAL
    assert errors.evidence("l", "102") is Evidence.USUAL
    assert errors.evidence("l", "105") is Evidence.OUTAGE
    assert errors.are_usual


@pytest.mark.parametrize(
    ("doubtful", "working", "new"),
    [
        (1, 0, Evidence.USUAL),
        (1, 1, Evidence.OUTAGE),
        (2, 1, Evidence.OUTAGE),
        (3, 1, Evidence.USUAL),
        (1, 20, Evidence.OUTAGE),
        (20, 10, Evidence.OUTAGE),
        (21, 10, Evidence.USUAL),
    ],
)
@pytest.mark.parametrize("works_first", [False, True])
def test_how_many_extensions(
    errors: ServerErrors, doubtful: int, working: int, new: Evidence, *, works_first: bool
) -> None:
    """A few beliefs do not make a CRM usual that answers 200 to others, whichever came first."""
    known = [str(500 + n) for n in range(doubtful)]
    if not works_first:
        believed(errors, *known)
    for n in range(working):
        answered(errors, str(200 + n))
    if works_first:
        believed(errors, *known)

    assert errors.evidence("k", "300") is new
    assert errors.evidence("k", "500") is Evidence.USUAL
    assert errors.are_usual is (new is Evidence.USUAL)


def test_an_extension_that_works_is_never_usual(errors: ServerErrors) -> None:
    """A belief from an earlier run does not outweigh its 200."""
    answered(errors, "101")
    believed(errors, "101")

    assert errors.evidence("k", "101") is Evidence.OUTAGE
    assert not errors.are_usual


def test_what_is_confirmed(errors: ServerErrors) -> None:
    """Each extension for itself, while the CRM is usual and none of them was mended."""
    believed(errors, "101", "102")
    errors.confirm("101")
    assert [errors.is_confirmed(one) for one in ("101", "102")] == [True, False]
    answered(errors, "105")
    assert not errors.is_confirmed("101"), "not usual any more"
    believed(errors, "103")
    assert errors.is_confirmed("101")
    answered(errors, "102")
    believed(errors, "101", "103", "104", "106", "107")
    assert errors.are_usual
    assert not errors.is_confirmed("101"), "an extension was mended meanwhile"


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
