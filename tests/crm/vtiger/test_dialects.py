"""Facts to requests: what is sent to vTiger, in which order, with what in it, in both dialects."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

import attrs
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.crm.facts import (
    NOT_TAKEN,
    OUTWARD,
    SECOND_PHONE,
    T0,
    answered,
    began,
    ended,
    over,
    recorded,
)
from uac_trio.calls.call import Direction
from uac_trio.calls.fact import CallEnded, Fact
from uac_trio.calls.outcome import Outcome
from uac_trio.calls.participation import Role
from uac_trio.calls.summary import ParticipationSummary
from uac_trio.crm.click import ClickAnswer
from uac_trio.crm.delivery import Delivery, DeliveryMaker, Kind, Scope, closing
from uac_trio.crm.protocol import CRM, CRMRequest, Surroundings
from uac_trio.crm.responsible import Responsible
from uac_trio.crm.vtiger import HANGUPS, CustomerForm, Flavour, Step, VtigerSettings
from uac_trio.crm.vtiger.responsible import question

TOKEN = "0123456789abcdef" * 2
LINK = f"http://c.invalid/recording?id={TOKEN}"
STAFF = ("101", "102")


def dialect(flavour: Flavour = Flavour.SALESPLATFORM, public_url: str = "http://c.invalid") -> CRM:
    settings = VtigerSettings(url="http://crm.invalid/c.php", secret="s", timezone="UTC", flavour=flavour)
    return settings.crm(Surroundings(public_url=public_url, is_extension=STAFF.__contains__))


SALESPLATFORM, STOCK = dialect(), dialect(Flavour.STOCK)
BOTH = pytest.mark.parametrize("crm", [SALESPLATFORM, STOCK], ids=["salesplatform", "stock"])


def deliveries(crm: CRM, *facts: Fact) -> list[Delivery]:
    maker = DeliveryMaker("main", crm.scope, crm.wants, lambda _: TOKEN)
    return [delivery for fact in facts for delivery in maker.deliveries(fact)]


def form(request: CRMRequest) -> Mapping[str, str]:
    """As vTiger sees it."""
    return dict(parse_qsl(request.body.decode(), keep_blank_values=True))


def said(crm: CRM, *facts: Fact) -> list[tuple[Step, Mapping[str, str]]]:
    """The requests, without what all have in common."""
    requests = [request for delivery in deliveries(crm, *facts) for request in crm.requests(delivery)]
    for request in requests:
        common = {"callUUID": "main-1.0", "callstatus": request.name, "vtigersignature": "s"}
        assert form(request) == {**request.about, **common}
        assert "vtigersignature" not in request.about
        assert request.url == "http://crm.invalid/c.php"
    return [
        (
            Step(request.name),
            {name: value for name, value in request.about.items() if name not in ("callUUID", "callstatus")},
        )
        for request in requests
    ]


@pytest.mark.parametrize(
    ("shown", "sent"),
    [
        ("+79161234567", "9161234567"),
        ("79161234567", "9161234567"),
        ("89161234567", "9161234567"),
        ("9161234567", "9161234567"),
        ("+442079460000", "+442079460000"),
        ("102", "+102"),
        ("1234", "1234"),
        ("", "anonymous"),
        ("' or 1", "anonymous"),
    ],
)
def test_stock_finds_the_customer_by_the_national_number(shown: str, sent: str) -> None:
    """Stock compares the beginning or the end of a card's number; a number of another country goes as it is."""
    account = VtigerSettings(
        url="http://crm.invalid/c.php", secret="s", flavour=Flavour.STOCK, customer_form=CustomerForm.NATIONAL
    )
    crm = account.crm(Surroundings(is_extension=STAFF.__contains__, region="RU"))
    ((_, start),) = said(crm, began(customer=shown))
    assert (start["callerIdNumber"], start["callerId"]) == (sent, sent)


@BOTH
def test_a_stranger_who_shows_an_employees_number(crm: CRM) -> None:
    """vTiger must not take the call for one that this employee makes: nothing would end that row."""
    (_, begun), *_ = said(crm, began(customer="102"), answered(customer="102"))
    assert begun["callerIdNumber"] == "+102"
    ((_, begun),) = said(SALESPLATFORM, began(customer="102", **OUTWARD))
    assert (begun["callerIdNumber"], begun["dialString"]) == ("101", "102")


def test_salesplatform_inbound() -> None:
    """An answered incoming call, exactly by the recipe: DialBegin, DialAnswer, Hangup, EndCall, Record."""
    assert said(SALESPLATFORM, began(), answered(), ended(), recorded(), over()) == [
        (Step.DIAL_BEGIN, {"callerIdNumber": "+79161234567", "callerIdName": "Иван", "dialString": "101",
                           "StartTime": "2026-11-23 06:01:53", "connectedLineName": "4951000101"}),
        (Step.DIAL_ANSWER, {"callerid1": "+79161234567", "callerid2": "101"}),
        (Step.HANGUP, {"callerIdNum": "101", "causetxt": "Normal Clearing", "HangupCause": "ANSWER",
                       "EndTime": "2026-11-23 06:01:58", "Duration": "5"}),
        (Step.END_CALL, {"callerNumber": "101", "starttime": "2026-11-23 06:01:53",
                         "endtime": "2026-11-23 06:01:58", "duration": "5", "billableseconds": "3"}),
        (Step.RECORD, {"callerNumber": "101", "recordinglink": LINK}),
    ]  # fmt: skip


def test_salesplatform_outbound() -> None:
    """Of an outgoing call the employee is the caller, in DialBegin and in DialAnswer."""
    steps = dict(said(SALESPLATFORM, began(**OUTWARD), answered(**OUTWARD)))
    assert (steps[Step.DIAL_BEGIN]["callerIdNumber"], steps[Step.DIAL_BEGIN]["dialString"]) == ("101", "+79161234567")
    assert steps[Step.DIAL_ANSWER] == {"callerid1": "101", "callerid2": "+79161234567"}


def test_stock_call() -> None:
    """Stock vTiger: StartApp once however many phones ring, DialAnswer, and the end when the call is over."""
    lost = ended(T0 + 2, outcome=Outcome.ANSWERED_ELSEWHERE, **NOT_TAKEN, **SECOND_PHONE)
    story = said(STOCK, began(), began(**SECOND_PHONE), answered(), lost, ended(), recorded(), over())
    assert [step for step, _ in story] == [Step.START_APP, Step.DIAL_ANSWER, Step.RECORD, Step.END_CALL, Step.HANGUP]
    start, answer, record, end_call, hangup = (form for _, form in story)
    assert start == {
        "callerIdNumber": "+79161234567",
        "callerIdName": "Иван",
        "callerId": "+79161234567",
        "channel": "",
        "StartTime": "2026-11-23 06:01:53",
    }
    assert answer == {"callerid1": "+79161234567", "callerid2": "101"}
    assert record == {"callerNumber": "101", "recordinglink": LINK}
    assert (end_call["starttime"], end_call["endtime"]) == ("2026-11-23 06:01:53", "2026-11-23 06:01:58")
    assert (end_call["duration"], end_call["billableseconds"]) == ("5", "3")
    assert (hangup["causetxt"], hangup["HangupCause"], hangup["Duration"]) == ("Normal Clearing", "ANSWER", "5")


def test_stock_outbound() -> None:
    """StartApp names the number in callerIdName, where vTiger looks when callerIdNumber is the peer of ``channel``."""
    steps = dict(said(STOCK, began(**OUTWARD), answered(**OUTWARD)))
    assert steps[Step.START_APP]["callerIdName"] == "+79161234567"
    assert steps[Step.START_APP]["callerId"] == "+79161234567"
    assert steps[Step.START_APP]["channel"].startswith("SIP/101-")
    assert steps[Step.DIAL_ANSWER] == {"callerid1": "101", "callerid2": "+79161234567"}


@pytest.mark.parametrize("status", [Outcome.NO_ANSWER, Outcome.VOICEMAIL, Outcome.BUSY])
def test_stock_call_that_no_employee_answered(status: Outcome) -> None:
    """The row of a call that only other phones lost is closed with the call's own status."""
    lost = ended(outcome=Outcome.ANSWERED_ELSEWHERE, **NOT_TAKEN)
    story = said(STOCK, began(), lost, over(status))
    assert (story[-1][1]["causetxt"], story[-1][1]["HangupCause"]) == HANGUPS[status]


def single(status: Outcome) -> CallEnded:
    """The end of a call in which 101 alone took part."""
    only = ParticipationSummary(extension="101", outcome=status, ring_secs=5.0, talk_secs=0.0)
    end = over(status)
    return attrs.evolve(end, summary=attrs.evolve(end.summary, participations=(only,)))


@pytest.mark.parametrize(
    ("status", "is_missed"), [(Outcome.NO_ANSWER, True), (Outcome.BUSY, True), (Outcome.COMPLETED, False)]
)
def test_stock_missed_call_has_an_owner(status: Outcome, is_missed: bool) -> None:
    """A DialAnswer before the end makes the row of a missed call the user's whose phone alone rang."""
    story = said(STOCK, began(), single(status))
    assert [step for step, _ in story[1:]] == [*[Step.DIAL_ANSWER] * is_missed, Step.END_CALL, Step.HANGUP]
    if is_missed:
        assert story[1][1] == {"callerid1": "+79161234567", "callerid2": "101"}
    outward = said(STOCK, began(**OUTWARD), single(status))
    assert [step for step, _ in outward[1:]] == [Step.END_CALL, Step.HANGUP], "its caller has it already"


@pytest.mark.parametrize(("later", "again"), [(299.0, False), (300.0, False), (301.0, True)])
def test_popup_after_minutes_in_a_queue(later: float, again: bool) -> None:
    """SalesPlatform's poll ends rows that began over 300 s ago: EndCall moves the time before the phone rings again."""
    second: dict[str, Any] = {"occurrence": "1.9", "began_at": T0 + later}
    missed = ended(T0 + 10, outcome=Outcome.NO_ANSWER, **NOT_TAKEN)
    story = said(SALESPLATFORM, began(), missed, began(T0 + later, **second))
    assert [step for step, _ in story[3:]] == [*[Step.END_CALL] * again, Step.DIAL_BEGIN]
    if again:
        assert story[3][1] == {
            "callerNumber": "101", "starttime": "2026-11-23 06:06:54", "endtime": "2026-11-23 06:06:54",
            "duration": "0", "billableseconds": "0",
        }  # fmt: skip
    made = deliveries(SALESPLATFORM, began(), missed, began(T0 + later, **second), ended(**second))
    keys = [request.key for delivery in made for request in SALESPLATFORM.requests(delivery)]
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize("outcome", Outcome)
def test_every_outcome_has_its_words(outcome: Outcome) -> None:
    """Each outcome has its causetxt, never empty and never ``null``: vTiger would ignore the Hangup."""
    assert HANGUPS[outcome][0] not in ("", "0", "null")
    hangup = dict(said(SALESPLATFORM, began(), ended(outcome=outcome, **NOT_TAKEN)))[Step.HANGUP]
    assert (hangup["causetxt"], hangup["HangupCause"]) == {
        Outcome.COMPLETED: ("Normal Clearing", "ANSWER"),
        Outcome.TRANSFERRED: ("Normal Clearing", "ANSWER"),
        Outcome.BUSY: ("User busy", "BUSY"),
        Outcome.REJECTED: ("Call Rejected", "BUSY"),
        Outcome.FAILED: ("failed", "FAILED"),
        Outcome.ANSWERED_ELSEWHERE: ("Answered elsewhere", "ANSWERED ELSEWHERE"),
    }.get(outcome, ("Normal Clearing", "NO ANSWER"))


def test_second_ring_does_not_undo_a_talk() -> None:
    """They talked, then the returned caller rang them in vain: the row stays completed, with the talk, to the end."""
    again: dict[str, Any] = {"occurrence": "1.9", "began_at": T0 + 20}
    missed = ended(T0 + 30, outcome=Outcome.NO_ANSWER, **NOT_TAKEN, **again)
    story = said(SALESPLATFORM, began(), answered(), ended(), began(T0 + 20, **again), missed)
    assert (story[-2][1]["causetxt"], story[-2][1]["HangupCause"]) == ("Normal Clearing", "ANSWER")
    assert (story[-1][1]["duration"], story[-1][1]["billableseconds"]) == ("30", "3")


def test_very_short_call_has_a_duration() -> None:
    """vTiger takes Duration 0 for "not given", so at least 1 is sent; EndCall sends the true duration."""
    story = dict(said(SALESPLATFORM, began(), ended(T0, outcome=Outcome.BUSY, **NOT_TAKEN)))
    assert story[Step.HANGUP]["Duration"] == "1"
    assert story[Step.END_CALL]["duration"] == "0"


@BOTH
def test_internal_call_is_the_callers(crm: CRM) -> None:
    """The CRM keeps one row of an internal call, the caller's; the colleague's participation is not sent."""
    inside: dict[str, Any] = {"direction": Direction.INTERNAL, "customer": "102"}
    assert said(crm, began(**inside)) == []
    ((step, begun), answer) = said(crm, began(role=Role.CALLER, **inside), answered(role=Role.CALLER, **inside))
    assert begun["callerIdNumber"] == "101"
    assert begun["callerIdName" if step is Step.START_APP else "dialString"] == "102"
    assert answer == (Step.DIAL_ANSWER, {"callerid1": "101", "callerid2": "102"})


@pytest.mark.parametrize("public_url", ["http://c.invalid/" + "x" * 200])
@pytest.mark.parametrize("flavour", Flavour)
def test_no_record_for_a_link_that_would_be_cut(flavour: Flavour, public_url: str) -> None:
    """vTiger silently cuts links to 200 characters; the settings say with which address that happens."""
    assert Step.RECORD not in dict(said(dialect(flavour, public_url), began(), ended(), recorded(), over()))
    settings = VtigerSettings(url="http://crm.invalid/c.php", secret="s")
    for letters, is_sent in ((settings.longest_public_url, True), (settings.longest_public_url + 1, False)):
        crm = dialect(flavour, "http://c/" + "x" * (letters - len("http://c/")))
        assert (Step.RECORD in dict(said(crm, began(), recorded()))) is is_sent


@pytest.mark.parametrize(
    ("crm", "order"), [(SALESPLATFORM, [Step.HANGUP, Step.END_CALL]), (STOCK, [Step.END_CALL, Step.HANGUP])]
)
@pytest.mark.parametrize(("talked_since", "cause", "secs"), [(None, "NO ANSWER", "0"), (T0 + 4, "ANSWER", "6")])
def test_close_what_an_earlier_run_began(
    crm: CRM, order: list[Step], talked_since: float | None, cause: str, secs: str
) -> None:
    """What began before a restart and is gone after it gets its end, as a whole."""
    [begun] = deliveries(crm, began())
    requests = crm.requests(closing(begun, talked_since, T0 + 10))
    assert [Step(request.name) for request in requests] == order
    forms = {Step(request.name): form(request) for request in requests}
    assert forms[Step.HANGUP]["HangupCause"] == cause
    assert forms[Step.END_CALL]["billableseconds"] == secs
    assert forms[Step.END_CALL]["endtime"] == "2026-11-23 06:02:03"


@BOTH
def test_the_same_delivery_is_always_the_same_requests(crm: CRM) -> None:
    """A sending that is taken up in the middle counts on it; each request has a key of its own."""
    story = deliveries(crm, began(), answered(), ended(), recorded(), over())
    requests = [request for each in story for request in crm.requests(each)]
    assert requests == [request for each in story for request in crm.requests(each)]
    assert len({request.key for request in requests}) == len(requests) == 5


@BOTH
def test_only_a_new_row_of_stock_may_not_be_repeated(crm: CRM) -> None:
    """All else writes the same values into the same row."""
    story = deliveries(crm, began(), answered(), ended(), recorded(), over())
    once = [request.name for each in story for request in crm.requests(each) if not request.is_repeatable]
    assert once == (["StartApp"] if crm is STOCK else [])


def test_what_is_known_of_the_dialects() -> None:
    """Which rows they keep, and who gives the secret for a recording."""
    assert (SALESPLATFORM.scope, SALESPLATFORM.player_sends_secret) == (Scope.EMPLOYEE, True)
    assert (STOCK.scope, STOCK.player_sends_secret) == (Scope.CALL, False)
    assert "SalesPlatform's kind" in "\n".join(SALESPLATFORM.describe(T0))
    assert list(STOCK.describe(T0)) == [
        "vTiger (stock): http://crm.invalid/c.php",
        "  Its clock runs in UTC, where it is 06:01:53 now.",
    ]


# -- Nothing that a stranger chose is taken for JSON ----------------------------------------------------------------

UNSEEN = "".join(
    letter
    for letter in map(chr, range(0x11000))
    if letter.isspace() or unicodedata.category(letter) in ("Zs", "Zl", "Zp", "Cc", "Cf")
)
BIDI = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
NUMBERS = frozenset(
    {"callerIdNumber", "callerIdNum", "callerNumber", "callerId", "callerid1", "callerid2", "dialString"}
)
NAMES = frozenset({"callerIdName", "connectedLineName"})
CLOCKS = frozenset({"StartTime", "EndTime", "starttime", "endtime"})
SECONDS = frozenset({"Duration", "duration", "billableseconds"})
OURS = frozenset({"callstatus", "causetxt", "HangupCause", "channel", "recordinglink", "vtigersignature", "callUUID"})

hostile = st.lists(
    st.one_of(
        st.text(max_size=4),
        st.sampled_from(UNSEEN),
        st.sampled_from(BIDI),
        st.sampled_from(
            ("[", "{", '"', "[1,2]", '{"a":1}', '"x"', "null", "TRUE", "false", "1e9", "-1", "NaN", "' or 1")
        ),
    ),
    max_size=8,
).map("".join)


def all_deliveries(crm: CRM, text: str) -> Iterator[Delivery]:
    """Of all kinds, in all directions, with ``text`` wherever a stranger chooses it."""
    directions: list[dict[str, Any]] = [{}, OUTWARD, {"role": Role.CALLER, "direction": Direction.INTERNAL}]
    for more in directions:
        strange = {"customer": text, **more}
        facts = began(customer_name=text, line=text, **strange), answered(**strange), ended(**strange)
        yield from deliveries(crm, *facts, recorded(**strange), over())


def decoded(text: str) -> object:
    """What PHP makes of it, and of it without what is not seen at its ends; a text that is no JSON stays a text."""
    bare = text.strip(UNSEEN)
    try:
        return json.loads(bare.lower() if bare.lower() in ("null", "true", "false") else bare)
    except ValueError:
        return text


@given(hostile)
@example("\u00a0[1,2]")
@example('\u2028{"a":[]}')
@example("\u202e\ufeff[[1]]")
@example(" Null\u200b")
@example('\u3000"x"')
def test_no_value_is_json(text: str) -> None:
    """vTiger JSON-decodes what it is sent, and a list ends in its database's locks. Numbers pass a whitelist, names
    begin with a visible character that begins no JSON and turn no direction; all else is ours."""
    seen: set[Kind] = set()
    for crm in (SALESPLATFORM, STOCK):
        for delivery in all_deliveries(crm, text):
            seen.add(delivery.kind)
            for request in crm.requests(delivery):
                for name, value in form(request).items():
                    check_value(name, value, text)
    assert seen == set(Kind)


def check_value(name: str, value: str, text: str) -> None:
    meant = decoded(value)
    assert isinstance(meant, str | int | float), (name, value)
    assert not isinstance(meant, bool)
    assert meant == value or not isinstance(meant, str), "a text in quotes"
    if name in NUMBERS:
        assert re.fullmatch(r"[0-9A-Za-z+*#.-]*", value)
    elif name in NAMES:
        assert value == "" or (value[0] not in '[{"' and unicodedata.category(value[0])[0] not in "ZCM")
        assert not set(value) & set(BIDI)
    elif name in CLOCKS:
        assert datetime.strptime(value, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC).year == 2026
    elif name in SECONDS:
        assert value.isdigit()
    else:
        assert name in OURS
        assert len(text) < 8 or text not in value


@given(hostile)
def test_no_question_is_json(text: str) -> None:
    """Nor is the number that SPAgi.php is asked about."""
    asked = question(text, STAFF.__contains__)
    if isinstance(asked, Mapping):
        check_value("callerNumber", asked["callerNumber"], text)


@BOTH
def test_an_end_without_a_time(crm: CRM) -> None:
    """A row that an older version stored: it ended when it happened."""
    end = attrs.evolve(deliveries(crm, began(), ended(T0 + 5), over())[-1], ended_at=None, at=T0 + 9)
    forms = [form(request) for request in crm.requests(end)]
    assert {each.get("endtime") or each["EndTime"] for each in forms} == {"2026-11-23 06:02:02"}


@BOTH
def test_clicks_and_owners(crm: CRM) -> None:
    """vTiger reads the words of an answer, whatever its status; an owner is asked for with the caller's number."""
    assert [crm.click_reply(answer)[0] for answer in ClickAnswer] == [200] * 3
    assert crm.click_reply(ClickAnswer.SUCCESS) == (200, "Success")
    asked = crm.owner_question("+79161234567")
    assert isinstance(asked, CRMRequest)
    assert (asked.name, asked.url, asked.key) == ("SPAgi", "http://crm.invalid/SPAgi.php", "+79161234567")
    assert isinstance(crm.owner_question("101"), Responsible)


@pytest.mark.parametrize(
    ("flavour", "asks", "owner_url", "secret", "words"),
    [
        (Flavour.STOCK, True, "", "", ["a stock vTiger has no SPAgi.php"]),
        (Flavour.STOCK, True, "http://x/", "", []),
        (Flavour.STOCK, False, "", "", []),
        (Flavour.SALESPLATFORM, True, "", "", []),
        (Flavour.SALESPLATFORM, True, "", "other", []),
        (Flavour.SALESPLATFORM, True, "", "s", ["it should be another one"]),
    ],
)
def test_warnings(flavour: Flavour, asks: bool, owner_url: str, secret: str, words: list[str]) -> None:
    """A stock vTiger answers no question; vTiger's secret has no place in the dialplan."""
    settings = VtigerSettings(url="http://crm.invalid/c.php", secret="s", flavour=flavour)
    found = list(settings.crm(Surroundings(owner_url=owner_url)).warnings(asks_for_owner=asks, route_secret=secret))
    assert [expected in warning for warning, expected in zip(found, words, strict=True)] == [True] * len(words)
