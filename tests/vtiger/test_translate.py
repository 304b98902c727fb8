"""Facts to requests: what, in which order, under which key, in both dialects."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from tests.calls.scenes import summary
from uac_trio.calls import Direction, Role
from uac_trio.calls.fact import (
    CallEnded,
    CallTransferred,
    Fact,
    OfParticipation,
    ParticipationAnswered,
    ParticipationBegan,
    ParticipationEnded,
    RecordingKnown,
)
from uac_trio.calls.outcome import Outcome
from uac_trio.vtiger import HANGUPS, CallbackRequest, Flavour, Step, Translator, VtigerAccount
from uac_trio.vtiger.translate import occurrence_of

T0 = 1795413713.0
ACCOUNT = VtigerAccount(url="http://crm.invalid/c.php", secret="s", timezone="UTC")
STOCK = attrs.evolve(ACCOUNT, flavour=Flavour.STOCK)


def translator(account: VtigerAccount = ACCOUNT, link: str = "http://c.invalid/recording?id=1") -> Translator:
    return Translator(account, lambda _: link)


def fact(kind: type[OfParticipation], at: float, **more: Any) -> OfParticipation:
    common: dict[str, Any] = {
        "call_id": "main-1.0", "because": "test", "extension": "101", "occurrence": "1.1", "role": Role.CALLEE,
        "direction": Direction.INBOUND, "customer": "+79161234567", "began_at": T0,
    }  # fmt: skip
    return kind(at=at, **(common | more))


def began(at: float = T0, **more: Any) -> OfParticipation:
    return fact(ParticipationBegan, at, **({"customer_name": "Иван", "line": "4951000101"} | more))


def answered(at: float = T0 + 2, **more: Any) -> OfParticipation:
    return fact(ParticipationAnswered, at, **more)


def ended(at: float = T0 + 5, **more: Any) -> OfParticipation:
    end: dict[str, Any] = {"outcome": Outcome.COMPLETED, "answered_at": T0 + 2, "talk_secs": 3.0, "inferred": False}
    return fact(ParticipationEnded, at, **({"ended_at": at} | end | more))


def recorded(at: float = T0 + 7, **more: Any) -> OfParticipation:
    return fact(RecordingKnown, at, **({"path": "/var/spool/x.wav"} | more))


def over(status: Outcome = Outcome.COMPLETED) -> CallEnded:
    told = summary(status=status, talk_secs=3.0 if status is Outcome.COMPLETED else None)
    return CallEnded(call_id="main-1.0", at=T0 + 7, because="test", ended_at=T0 + 5, summary=told)


def said(subject: Translator, *facts: Fact) -> list[tuple[Step, dict[str, str]]]:
    """The requests, without what all have in common."""
    requests = [request for one in facts for request in subject.translate(one)]
    assert all(request.form["callUUID"] == "main-1.0" for request in requests)
    assert all(request.form["callstatus"] == request.step.value for request in requests)
    return [
        (r.step, {key: value for key, value in r.form.items() if key not in ("callUUID", "callstatus")})
        for r in requests
    ]


@pytest.mark.parametrize(("account", "step"), [(ACCOUNT, Step.DIAL_BEGIN), (STOCK, Step.START_APP)])
def test_a_stranger_who_shows_an_employees_number(account: VtigerAccount, step: Step) -> None:
    """vTiger must not take the call for one that this employee makes: nothing would end that row."""
    subject = Translator(account, lambda _: "", lambda number: number in ("101", "102"))

    (begun, *_) = said(subject, began(customer="102"), answered(customer="102"))

    assert begun[0] is step
    assert begun[1]["callerIdNumber"] == "+102"
    outbound = began(customer="102", role=Role.CALLER, direction=Direction.OUTBOUND, call_id="main-1.0")
    (begun, *_) = said(Translator(ACCOUNT, lambda _: "", lambda _: True), outbound)
    assert (begun[1]["callerIdNumber"], begun[1]["dialString"]) == ("101", "102")


def test_salesplatform_inbound() -> None:
    """An answered incoming call, exactly by the recipe: DialBegin, DialAnswer, Hangup, EndCall, Record."""
    assert said(translator(), began(), answered(), ended(), recorded()) == [
        (Step.DIAL_BEGIN, {"callerIdNumber": "+79161234567", "callerIdName": "Иван", "dialString": "101",
                           "StartTime": "2026-11-23 06:01:53", "connectedLineName": "4951000101"}),
        (Step.DIAL_ANSWER, {"callerid1": "+79161234567", "callerid2": "101"}),
        (Step.HANGUP, {"callerIdNum": "101", "causetxt": "Normal Clearing", "HangupCause": "ANSWER",
                       "EndTime": "2026-11-23 06:01:58", "Duration": "5"}),
        (Step.END_CALL, {"callerNumber": "101", "starttime": "2026-11-23 06:01:53",
                         "endtime": "2026-11-23 06:01:58", "duration": "5", "billableseconds": "3"}),
        (Step.RECORD, {"callerNumber": "101", "recordinglink": "http://c.invalid/recording?id=1"}),
    ]  # fmt: skip


def test_salesplatform_outbound() -> None:
    """Of an outgoing call the employee is the caller, in DialBegin and in DialAnswer."""
    outward: dict[str, Any] = {"role": Role.CALLER, "direction": Direction.OUTBOUND}
    steps = dict(said(translator(), began(**outward), answered(**outward)))
    assert (steps[Step.DIAL_BEGIN]["callerIdNumber"], steps[Step.DIAL_BEGIN]["dialString"]) == ("101", "+79161234567")
    assert steps[Step.DIAL_ANSWER] == {"callerid1": "101", "callerid2": "+79161234567"}


def test_stock_call() -> None:
    """Stock vTiger: StartApp once however many phones ring, DialAnswer, and the end when the call is over."""
    subject = translator(STOCK)
    other: dict[str, Any] = {"extension": "102", "occurrence": "1.2"}
    lost = ended(T0 + 2, outcome=Outcome.ANSWERED_ELSEWHERE, answered_at=None, talk_secs=0.0, **other)
    story = said(subject, began(), began(**other), answered(), lost, ended(), recorded(), over())
    assert [step for step, _ in story] == [Step.START_APP, Step.DIAL_ANSWER, Step.RECORD, Step.END_CALL, Step.HANGUP]
    assert story[0][1]["callerIdNumber"] == "+79161234567"
    assert story[1][1] == {"callerid1": "+79161234567", "callerid2": "101"}
    assert story[3][1]["billableseconds"] == "3"
    assert story[4][1]["causetxt"] == "Normal Clearing"


def test_stock_outbound() -> None:
    """StartApp names the number in callerIdName, where vTiger looks when callerIdNumber is the peer of ``channel``."""
    outward: dict[str, Any] = {"role": Role.CALLER, "direction": Direction.OUTBOUND}
    steps = dict(said(translator(STOCK), began(**outward), answered(**outward)))
    assert steps[Step.START_APP]["callerIdName"] == "+79161234567"
    assert steps[Step.START_APP]["channel"].startswith("SIP/101-")
    assert steps[Step.DIAL_ANSWER] == {"callerid1": "101", "callerid2": "+79161234567"}


@pytest.mark.parametrize("status", [Outcome.NO_ANSWER, Outcome.VOICEMAIL, Outcome.BUSY])
def test_stock_call_nobody_took(status: Outcome) -> None:
    """The row of a call that only other phones lost is closed with the call's own status."""
    lost = ended(outcome=Outcome.ANSWERED_ELSEWHERE, answered_at=None, talk_secs=0.0)
    story = said(translator(STOCK), began(), lost, over(status))
    assert (story[-1][1]["causetxt"], story[-1][1]["HangupCause"]) == HANGUPS[status]


def test_stock_without_a_row() -> None:
    """Nothing is said of a call that never got its StartApp."""
    assert said(translator(STOCK), answered(), ended(), recorded(), over()) == []


@pytest.mark.parametrize("outcome", list(Outcome))
def test_every_outcome_has_its_words(outcome: Outcome) -> None:
    """Each outcome has its causetxt, never empty and never ``null``: vTiger would ignore the Hangup."""
    causetxt, hangup_cause = HANGUPS[outcome]
    assert causetxt not in ("", "0", "null")
    assert hangup_cause


def test_second_ring_does_not_undo_a_talk() -> None:
    """He talked, then the returned caller rang him in vain: the row stays completed, with the talk, to the last end."""
    again: dict[str, Any] = {"occurrence": "1.9", "began_at": T0 + 20}
    missed = ended(T0 + 30, outcome=Outcome.NO_ANSWER, answered_at=None, talk_secs=0.0, **again)
    story = said(translator(), began(), answered(), ended(), began(T0 + 20, **again), missed)
    assert story[-2][1]["causetxt"] == "Normal Clearing"
    assert story[-2][1]["HangupCause"] == "ANSWER"
    assert (story[-1][1]["duration"], story[-1][1]["billableseconds"]) == ("30", "3")


def test_very_short_call_has_a_duration() -> None:
    """vTiger takes Duration 0 for "not given", so at least 1 is sent; EndCall tells the truth."""
    story = dict(said(translator(), began(), ended(T0, outcome=Outcome.BUSY, answered_at=None, talk_secs=0.0)))
    assert story[Step.HANGUP]["Duration"] == "1"
    assert story[Step.END_CALL]["duration"] == "0"


def test_internal_call_is_the_callers() -> None:
    """The CRM keeps one row of an internal call, the caller's; the colleague's part is not told."""
    inside: dict[str, Any] = {"direction": Direction.INTERNAL, "customer": "102"}
    assert said(translator(), began(**inside)) == []
    [(_, form)] = said(translator(), began(role=Role.CALLER, **inside))
    assert (form["callerIdNumber"], form["dialString"]) == ("101", "102")


def test_keys_are_semantic() -> None:
    """The same fact makes the same key in another process; an answer is moot once its Hangup is known."""
    first, second = (translator().translate(answered()) for _ in range(2))
    assert [request.key for request in first] == [request.key for request in second]
    [hangup, _] = translator().translate(ended())
    assert first[0].moot_after == hangup.key
    assert occurrence_of(hangup) == "1.1"


@pytest.mark.parametrize("link", ["", "http://c.invalid/recording?id=" + "x" * 200])
@pytest.mark.parametrize("account", [ACCOUNT, STOCK])
def test_no_link_no_record(link: str, account: VtigerAccount) -> None:
    """A recording that cannot be linked, or whose link vTiger would cut, is not told."""
    assert Step.RECORD not in dict(said(translator(account, link), began(), ended(), recorded()))


@pytest.mark.parametrize(
    ("account", "step", "order"),
    [(ACCOUNT, Step.DIAL_BEGIN, [Step.HANGUP, Step.END_CALL]), (STOCK, Step.START_APP, [Step.END_CALL, Step.HANGUP])],
)
@pytest.mark.parametrize(("talked_since", "cause", "secs"), [(None, "NO ANSWER", "0"), (T0 + 4, "ANSWER", "6")])
def test_close_what_an_earlier_run_began(
    account: VtigerAccount, step: Step, order: list[Step], talked_since: float | None, cause: str, secs: str
) -> None:
    """What began before a restart and is gone after it gets its end, under the keys it would have had."""
    [begun] = translator(account).translate(began())
    assert begun.step is step
    closing: list[CallbackRequest] = translator(account).close(begun, talked_since, T0 + 10)
    assert [request.step for request in closing] == order
    forms = {request.step: request.form for request in closing}
    assert forms[Step.HANGUP]["HangupCause"] == cause
    assert forms[Step.END_CALL]["billableseconds"] == secs
    assert {occurrence_of(request) for request in closing} == {occurrence_of(begun)}


def test_other_facts_say_nothing() -> None:
    """A transfer by itself is no event of the CRM's."""
    moved = CallTransferred(call_id="main-1.0", at=T0, because="test", type="blind", by="101", to="102")
    assert translator().translate(moved) == []
    assert translator(STOCK).translate(moved) == []


def test_rows_are_forgotten_with_their_call() -> None:
    """A call that is over leaves nothing behind: the next of the same id begins anew."""
    subject = translator(STOCK)
    said(subject, began(), ended(), over())
    assert [step for step, _ in said(subject, began())] == [Step.START_APP]
