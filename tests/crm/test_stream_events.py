from __future__ import annotations

import json

import pytest

from tests.crm.facts import SECOND_PHONE, T0, began, ended, over
from uac_trio.calls.fact import CallMerged, ClickFailed, Fact
from uac_trio.crm import stream_events
from uac_trio.crm.delivery import Kind, Scope
from uac_trio.crm.stream_events import Settled, StreamEvent, StreamEvents, decoded, encoded

CALL = "main-1.0"


def settled(kind: Kind, subject: str = "101", extension: str = "101", call_id: str = CALL) -> Settled:
    return Settled(kind=kind, call_id=call_id, subject=subject, extension=extension)


def of_call(kind: Kind, extension: str = "101") -> Settled:
    return settled(kind, subject="", extension=extension)


def looks(events: list[StreamEvent]) -> dict[str, tuple[str, ...] | None]:
    """The calls of each extension that is to look."""
    return {event.extension: event.ring for event in events if event.look}


# -- a CRM with a row for each employee's part -------------------------------------------------------------------------


def test_row_is_there_when_the_crm_has_answered() -> None:
    """A ring alone is no reason to look: the row comes with the answer to its BEGIN."""
    events = StreamEvents(scope=Scope.EMPLOYEE)
    assert events.fact(began()) == []
    assert looks(events.settled(settled(Kind.BEGIN))) == {"101": (CALL,)}


def test_popup_ends_with_the_answer_to_the_end() -> None:
    """As long as the row rings, looking would find it still."""
    events = StreamEvents(scope=Scope.EMPLOYEE)
    events.fact(began())
    events.settled(settled(Kind.BEGIN))
    assert events.fact(ended()) == []
    assert looks(events.settled(settled(Kind.END))) == {"101": ()}


def test_only_whose_row_it_is_looks() -> None:
    events = StreamEvents(scope=Scope.EMPLOYEE)
    events.fact(began())
    events.fact(began(**SECOND_PHONE))
    assert list(looks(events.settled(settled(Kind.BEGIN, "102", "102")))) == ["102"]


def test_two_calls_of_one_phone() -> None:
    """The list is whole each time, the latest call last."""
    events = StreamEvents(scope=Scope.EMPLOYEE)
    events.fact(began())
    events.fact(began(call_id="main-2.0"))
    assert events.first("101").ring == (CALL, "main-2.0")
    events.fact(ended())
    assert events.first("101").ring == ("main-2.0",)
    assert events.first("102") == StreamEvent(extension="102", ring=(), look=True)


def test_recording_changes_no_popup() -> None:
    events = StreamEvents(scope=Scope.EMPLOYEE)
    events.fact(began())
    assert events.settled(settled(Kind.RECORDING)) == []


def test_what_another_connector_delivered() -> None:
    """It may be of a call that this one did not see."""
    assert looks(StreamEvents(scope=Scope.EMPLOYEE).settled(settled(Kind.BEGIN))) == {"101": ()}


# -- a CRM with a row for each call ------------------------------------------------------------------------------------


def test_row_of_a_call_concerns_all_whose_phones_ring() -> None:
    events = StreamEvents(scope=Scope.CALL)
    events.fact(began())
    assert events.fact(began(**SECOND_PHONE)) == []
    assert looks(events.settled(of_call(Kind.BEGIN))) == {"101": (CALL,), "102": (CALL,)}


def test_phone_that_rings_later() -> None:
    """No delivery follows, since the row is there; so the ring is the reason to look."""
    events = StreamEvents(scope=Scope.CALL)
    events.fact(began())
    events.settled(of_call(Kind.BEGIN))
    assert looks(events.fact(began(**SECOND_PHONE))) == {"102": (CALL,)}
    assert looks(events.fact(ended())) == {"101": ()}


def test_end_of_a_call_concerns_all_who_took_part() -> None:
    """Also those whose phones fell silent before."""
    events = StreamEvents(scope=Scope.CALL)
    for fact in (began(), began(**SECOND_PHONE)):
        events.fact(fact)
    events.settled(of_call(Kind.BEGIN))
    for last in (ended(), ended(**SECOND_PHONE), over()):
        events.fact(last)
    assert looks(events.settled(of_call(Kind.END, ""))) == {"101": (), "102": ()}
    assert looks(events.settled(of_call(Kind.END, ""))) == {}


# -- clicks, restarts, bounds ------------------------------------------------------------------------------------------


def test_failed_click_is_for_who_clicked() -> None:
    failed = ClickFailed(call_id=CALL, at=T0, because="Hangup", extension="101", outcome="customer-busy")
    (event,) = StreamEvents(scope=Scope.EMPLOYEE).fact(failed)
    assert (event.extension, json.loads(event.data())) == ("101", {"click": "customer-busy"})


def test_event_has_no_number_and_no_name() -> None:
    events = StreamEvents(scope=Scope.EMPLOYEE)
    events.fact(began())
    (event,) = events.settled(settled(Kind.BEGIN))
    assert json.loads(event.data()) == {"ring": [CALL], "look": 1}


def test_recalled_call_is_in_the_crm() -> None:
    """After a restart a phone that rings later looks at once, and the list has what an earlier run began."""
    events = StreamEvents(scope=Scope.CALL)
    events.recall(began())
    assert events.first("101").ring == (CALL,)
    assert looks(events.fact(began(**SECOND_PHONE))) == {"102": (CALL,)}


@pytest.mark.parametrize("last", [over(), CallMerged(call_id=CALL, at=T0, because="x", into="main-2.0")])
def test_call_that_ends_otherwise(last: Fact) -> None:
    """A part whose end is not seen is over with its call."""
    events = StreamEvents(scope=Scope.EMPLOYEE)
    events.fact(began())
    events.fact(last)
    assert events.first("101").ring == ()


def test_calls_without_an_end_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_events, "MOST_CALLS", 3)
    events = StreamEvents(scope=Scope.EMPLOYEE)
    for number in range(10):
        events.fact(began(call_id=f"main-{number}.0"))
    assert events.first("101").ring == ("main-7.0", "main-8.0", "main-9.0")
    events.start_over()
    assert events.first("101").ring == ()


def test_between_connectors() -> None:
    """What another sent is understood; our own, and nonsense, is left out."""
    news: list[Settled | StreamEvent] = [settled(Kind.BEGIN), StreamEvent(extension="101", click="refused")]
    texts = [encoded("a", each) for each in news]
    assert list(decoded([*texts, "x", "[]", '["b"]', '["b","never","c","d","e"]', "[1]"], "b")) == news
    assert list(decoded(texts, "a")) == []
