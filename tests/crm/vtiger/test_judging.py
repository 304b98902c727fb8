"""Answers in the light of what was answered before, and the questions that decide."""

from __future__ import annotations

from urllib.parse import parse_qsl

import attrs
import pytest

from uac_trio.calls.call import Direction
from uac_trio.calls.participation import Role
from uac_trio.crm.delivery import Delivery, Kind
from uac_trio.crm.protocol import CRM, PastBegin, Sent, Surroundings
from uac_trio.crm.reply import Failure, NoReply, Reply, Ruling, Verdict
from uac_trio.crm.vtiger import Flavour, VtigerSettings
from uac_trio.crm.vtiger.judging import (
    DATABASE_AWAY,
    FAILS,
    NO_CALL_THROUGH,
    NOT_THIS_REQUEST,
    PROBE,
    SAME_TEXT,
    UNSIGNED_PROBE,
    VtigerJudge,
    judge_probe,
)

FAILURE = Reply(status=200, text="<Response><Authentication>Failure</Authentication></Response>")
EMPTY = Reply(status=200)
TEXT = Reply(status=200, text="Error: cannot connect to the database")
E500 = Reply(status=500)
FORBIDDEN = Reply(status=403, text="<h1>Forbidden</h1>")
FATAL = Reply(status=200, text="<br /><b>Fatal error</b>:  Uncaught mysqli_sql_exception: running with --read-only")
REFUSED = NoReply(failure=Failure.NOT_SENT, detail="refused")
SILENCE = NoReply(failure=Failure.UNKNOWN, detail="no reply in 15 s")


def crm(flavour: Flavour = Flavour.SALESPLATFORM) -> CRM:
    return VtigerSettings(url="http://crm.invalid/c.php", secret="s", flavour=flavour).crm(Surroundings())


@pytest.fixture
def judge() -> VtigerJudge:
    made = crm().new_judge()
    assert isinstance(made, VtigerJudge)
    return made


def sent(call: str = "1", attempt: int = 1, flavour: Flavour = Flavour.SALESPLATFORM, extension: str = "101") -> Sent:
    begin = Delivery(
        kind=Kind.BEGIN,
        pbx="main",
        call_id=f"main-{call}",
        subject=extension,
        occurrence="1",
        extension=extension,
        role=Role.CALLEE,
        direction=Direction.INBOUND,
        customer="79161234567",
        at=0.0,
        began_at=0.0,
    )
    (request,) = crm(flavour).requests(begin)
    return Sent(delivery=begin, request=request, attempt=attempt)


# -- The probe ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "works"),
    [
        (FAILURE, True),
        (EMPTY, True),
        (TEXT, False),
        (E500, False),
        (Reply(status=503), False),
        (Reply(status=404), False),
        (REFUSED, False),
        (SILENCE, False),
    ],
)
def test_probe(answer: Reply | NoReply, works: bool) -> None:
    """vTiger refuses a wrong secret before it looks at anything else."""
    assert judge_probe(answer).ruling is (Ruling.DELIVERED if works else Ruling.AWAY)
    assert "after the row was written" not in judge_probe(answer).words, "the probe writes none"
    assert dict(parse_qsl(crm().probe.body.decode())) == PROBE


# -- Authentication Failure -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("unsigned", "ruling"),
    [
        (EMPTY, Ruling.AWAY),
        (FAILURE, Ruling.AUTH_FAILED),
        (TEXT, Ruling.AUTH_FAILED),
        (REFUSED, Ruling.AUTH_FAILED),
        (SILENCE, Ruling.AUTH_FAILED),
    ],
)
def test_authentication_failure(judge: VtigerJudge, unsigned: Reply | NoReply, ruling: Ruling) -> None:
    """A vTiger that takes a request without a secret has none to compare with: its database is away."""
    verdict = judge.judge(sent(), FAILURE)
    doubt = judge.doubt(sent(), verdict)
    assert doubt is not None
    assert dict(parse_qsl(doubt.request.body.decode())) == UNSIGNED_PROBE
    assert doubt.request.is_repeatable
    decided = doubt.decide(unsigned)
    assert decided.ruling is ruling
    assert (decided.words == DATABASE_AWAY) is (ruling is Ruling.AWAY)
    assert not decided.is_own, "it is the same for every request"


# -- An unknown text ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("probe", "rulings"),
    [
        (FAILURE, [Ruling.AGAIN] * 4 + [Ruling.PARKED]),
        (TEXT, [Ruling.AWAY] * 5),
        (E500, [Ruling.AWAY] * 5),
        (SILENCE, [Ruling.AWAY] * 5),
    ],
)
def test_unknown_text_to_one_call(judge: VtigerJudge, probe: Reply | NoReply, rulings: list[Ruling]) -> None:
    """While the probe is answered it is this call's own; while it is not, it is an outage."""
    decided = []
    for attempt in range(1, 6):
        doubt = judge.doubt(sent(attempt=attempt), judge.judge(sent(attempt=attempt), TEXT))
        assert doubt is not None
        decided.append(doubt.decide(probe).ruling)
    assert decided == rulings


def test_unknown_text_to_several_calls(judge: VtigerJudge) -> None:
    """The same text to a second call is an outage, from then on for the first as well, until anything else is said."""
    assert judge.judge(sent("1"), TEXT).ruling is Ruling.AGAIN
    for call in ("2", "1", "1", "3", "2"):
        verdict = judge.judge(sent(call, attempt=5), TEXT)
        assert (verdict.ruling, verdict.is_own) == (Ruling.AWAY, True)
        assert verdict.words.startswith(SAME_TEXT)
        assert "cannot connect" in verdict.words
        assert judge.doubt(sent(call), verdict) is None
    assert judge.judge(sent("4"), EMPTY).ruling is Ruling.DELIVERED
    assert judge.judge(sent("1"), TEXT).ruling is Ruling.AGAIN


def test_two_texts_to_two_calls(judge: VtigerJudge) -> None:
    """Each is its call's own; also one of tags alone, of which nothing can be shown."""
    assert judge.judge(sent("1"), TEXT).ruling is Ruling.AGAIN
    assert judge.judge(sent("2"), Reply(status=200, text="<b></b>")).ruling is Ruling.AGAIN
    assert judge.judge(sent("1"), TEXT).ruling is Ruling.AGAIN


def test_the_first_text_of_tags_alone(judge: VtigerJudge) -> None:
    """It is no repetition of a text that never was."""
    assert judge.judge(sent("1"), Reply(status=200, text="<b></b>")).ruling is Ruling.AGAIN


def test_silence_between_two_texts(judge: VtigerJudge) -> None:
    """Says nothing against an outage."""
    judge.judge(sent("1"), TEXT)
    judge.judge(sent("3"), SILENCE)
    assert judge.judge(sent("2"), TEXT).ruling is Ruling.AWAY


# -- A request that does not get through --------------------------------------------------------------------------


@pytest.mark.parametrize("status", [401, 403, 404, 406, 451])
@pytest.mark.parametrize(
    ("probe", "rulings"),
    [
        (FAILURE, [Ruling.AGAIN] * 4 + [Ruling.PARKED]),
        (EMPTY, [Ruling.AGAIN] * 4 + [Ruling.PARKED]),
        (FORBIDDEN, [Ruling.MISCONFIGURED] * 5),
        (E500, [Ruling.MISCONFIGURED] * 5),
        (SILENCE, [Ruling.MISCONFIGURED] * 5),
    ],
)
def test_one_call_that_does_not_get_through(
    judge: VtigerJudge, status: int, probe: Reply | NoReply, rulings: list[Ruling]
) -> None:
    """While the probe is answered a firewall objects to this request; while it is not, the address is wrong."""
    decided = []
    for attempt in range(1, 6):
        request = sent(attempt=attempt)
        verdict = judge.judge(request, Reply(status=status))
        assert verdict.ruling is Ruling.MISCONFIGURED
        doubt = judge.doubt(request, verdict)
        assert doubt is not None
        assert dict(parse_qsl(doubt.request.body.decode())) == PROBE
        decided.append(doubt.decide(probe))
    assert [one.ruling for one in decided] == rulings
    is_own = rulings[-1] is Ruling.PARKED
    assert decided[-1].words.startswith(NOT_THIS_REQUEST) is is_own
    assert decided[-1].words.endswith(f"[HTTP {status}]")
    assert is_own or decided[-1] == verdict


@pytest.mark.parametrize(("probe", "ruling"), [(FAILURE, Ruling.AWAY), (FORBIDDEN, Ruling.MISCONFIGURED)])
def test_several_calls_that_do_not_get_through(judge: VtigerJudge, probe: Reply | NoReply, ruling: Ruling) -> None:
    """The same status to a second call, with nothing else between them: no call's tries are used up."""

    def decided(call: str) -> Verdict:
        request = sent(call, attempt=5)
        doubt = judge.doubt(request, judge.judge(request, FORBIDDEN))
        assert doubt is not None
        return doubt.decide(probe)

    decided("1")
    for call in ("2", "1", "1", "3"):
        verdict = decided(call)
        assert verdict.ruling is ruling
        assert verdict.is_own is verdict.words.startswith(NO_CALL_THROUGH) is (ruling is Ruling.AWAY)
    judge.judge(sent("4"), EMPTY)
    assert decided("1").ruling is (Ruling.PARKED if ruling is Ruling.AWAY else ruling)


# -- HTTP 500 -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("failed", [E500, FATAL], ids=["500", "200"])
@pytest.mark.parametrize(("probe", "ruling"), [(FAILURE, Ruling.PARKED), (E500, Ruling.AWAY), (SILENCE, Ruling.AWAY)])
def test_500_to_what_may_not_be_repeated(failed: Reply, probe: Reply | NoReply, ruling: Ruling) -> None:
    """A StartApp is sent again only if the CRM fails at what touches no row as well."""
    judge = crm(Flavour.STOCK).new_judge()
    once = sent(flavour=Flavour.STOCK)
    doubt = judge.doubt(once, judge.judge(once, failed))
    assert doubt is not None
    decided = doubt.decide(probe)
    assert decided.ruling is ruling
    assert decided.words.startswith("not repeated, since vTiger may add a second row: ") is (ruling is Ruling.PARKED)


def test_500_to_what_may_be_repeated(judge: VtigerJudge) -> None:
    """Needs no question."""
    judge.recall([PastBegin(extension="101", is_probable=False)])
    verdict = judge.judge(sent(), E500)
    assert (verdict.ruling, verdict.is_own) == (Ruling.AWAY, True)
    assert judge.doubt(sent(), verdict) is None


def test_a_fatal_error_as_text_of_a_crm_that_worked(judge: VtigerJudge) -> None:
    """As a 500: an outage first, and this request's own when others go through meanwhile."""
    judge.settled(sent(), judge.judge(sent(), EMPTY))
    second = sent("2")
    for attempt in (1, 2):
        verdict = judge.judge(attrs.evolve(second, attempt=attempt), FATAL)
        assert (verdict.ruling, verdict.is_own) == (Ruling.AWAY, True)
        assert judge.doubt(second, verdict) is None
    for attempt in range(1, 6):
        judge.settled(sent("3"), judge.judge(sent("3"), EMPTY))
        verdict = judge.judge(attrs.evolve(second, attempt=attempt), FATAL)
        assert verdict.ruling is (Ruling.AGAIN if attempt < 5 else Ruling.PARKED)


def test_a_fatal_error_as_text_teaches_nothing_of_500s(judge: VtigerJudge) -> None:
    """It is believed of a CRM without a past if the probe confirms it, each time; a real 500 is still news."""
    for call in ("1", "2"):
        assert judge.judge(sent(call), FATAL).ruling is Ruling.AGAIN
        verdict = judge.judge(sent(call, 2), FATAL)
        assert verdict.ruling is Ruling.PROBABLY
        assert judge.doubt(sent(call, 2), verdict) is not None
        judge.settled(sent(call, 2), verdict)
        assert not judge.is_usual
    assert judge.judge(sent("3"), E500).ruling is Ruling.AGAIN


@pytest.mark.parametrize(
    ("unsigned", "ruling"),
    [
        (FAILURE, Ruling.PROBABLY),
        (EMPTY, Ruling.AWAY),
        (E500, Ruling.AWAY),
        (REFUSED, Ruling.AWAY),
    ],
    ids=["a fresh installation", "its database is away", "it fails at everything", "it is gone"],
)
def test_500_that_would_be_taken_for_written(judge: VtigerJudge, unsigned: Reply | NoReply, ruling: Ruling) -> None:
    """The first one of a CRM is believed only if the CRM works: it refuses a request without a secret."""
    second = sent("1", 2)
    verdict = judge.judge(second, E500)
    assert verdict.ruling is Ruling.PROBABLY
    doubt = judge.doubt(second, verdict)
    assert doubt is not None
    decided = doubt.decide(unsigned)
    assert decided.ruling is ruling
    if ruling is Ruling.AWAY:
        assert decided.is_own
        assert (decided.words == DATABASE_AWAY) is (unsigned == EMPTY)
        assert decided.words.startswith(FAILS) is (unsigned != EMPTY)


def test_what_was_answered_to_earlier_runs(judge: VtigerJudge) -> None:
    """An installation that answers 500 to all that it writes is known from the store, and no news."""
    judge.recall([PastBegin(extension=extension, is_probable=True) for extension in ("101", "102", "103")])
    judge.recall([PastBegin(extension="105", is_probable=False)])
    assert judge.is_usual
    assert judge.judge(sent(), E500).ruling is Ruling.PROBABLY
    judge.recall([PastBegin(extension="101", is_probable=False)])
    assert not judge.is_usual
    assert judge.judge(sent("2"), E500).ruling is Ruling.AWAY


def test_each_extension_s_first_500_is_probed(judge: VtigerJudge) -> None:
    """In each run, though the CRM is usual: the probe alone shows that its database is there now."""
    judge.recall([PastBegin(extension="101", is_probable=True)])
    for extension, is_news in [("101", True), ("101", False), ("102", True), ("102", False), ("101", False)]:
        request = sent("1", extension=extension)
        verdict = judge.judge(request, E500)
        assert verdict.ruling is Ruling.PROBABLY
        assert (judge.doubt(request, verdict) is not None) is is_news
        judge.settled(request, verdict)


def test_one_500_that_was_believed_of_a_crm_that_works(judge: VtigerJudge) -> None:
    """Neither before nor after it is the first 500 of another extension taken for written."""
    judge.settled(sent("0"), judge.judge(sent("0"), EMPTY))
    other = sent("1", extension="102")
    rulings = []
    for attempt in (1, 1, 2):
        verdict = judge.judge(attrs.evolve(other, attempt=attempt), E500)
        rulings.append(verdict.ruling)
        judge.settled(other, verdict)
        judge.settled(sent("2"), judge.judge(sent("2"), EMPTY))
    assert rulings == [Ruling.AWAY, Ruling.AGAIN, Ruling.PROBABLY]
    for extension in ("103", "104"):
        assert judge.judge(sent("3", extension=extension), E500).ruling is Ruling.AWAY
    for number in ("4", "5"):  # of that one each is probed
        later = sent(number, extension="102")
        verdict = judge.judge(later, E500)
        assert (verdict.ruling, judge.doubt(later, verdict) is None) == (Ruling.PROBABLY, False)
        judge.settled(later, verdict)


def test_500s_of_a_first_start_and_then_200s(judge: VtigerJudge) -> None:
    """What was believed when nothing was known holds no more when extension after extension is answered with 200."""
    first = sent("0", 2, extension="102")
    judge.settled(first, judge.judge(first, E500))
    assert judge.is_usual
    for n in range(20):
        request = sent(f"1-{n}", extension=str(200 + n))
        judge.settled(request, judge.judge(request, EMPTY))
    assert not judge.is_usual
    assert judge.judge(sent("2", extension="300"), E500).ruling is Ruling.AWAY


def test_a_start_app_that_may_be_lost_is_no_sign_of_usual_500s() -> None:
    """It is kept as probably delivered; what a stock vTiger says stays news."""
    judge = crm(Flavour.STOCK).new_judge()
    judge.recall([PastBegin(extension="101", is_probable=True)])
    assert not judge.is_usual


def test_what_is_settled(judge: VtigerJudge) -> None:
    """A 200 to a BEGIN makes a later 500 an outage; a request that is parked has no past."""
    first = sent()
    judge.settled(first, judge.judge(first, EMPTY))
    other = sent("2", extension="102")
    assert judge.judge(other, E500).ruling is Ruling.AWAY
    judge.settled(sent("3"), judge.judge(sent("3"), EMPTY))
    assert judge.judge(other, E500).ruling is Ruling.AGAIN, "others go through: it is its own affair"
    judge.settled(other, judge.judge(sent("2", 5, extension="102"), Reply(status=400)))
    assert judge.judge(other, E500).ruling is Ruling.AWAY
