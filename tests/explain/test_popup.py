"""Why there is a popup, and why there is none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
import pytest

from tests.recorded import ROOT, rules_of
from tests.store.calls import NOW, delivery
from uac_trio.calls.call import Direction
from uac_trio.calls.fact import CallBegan, CallerQueued
from uac_trio.calls.participation import Role
from uac_trio.calls.rules import TrackerRules
from uac_trio.crm.delivery import Kind
from uac_trio.crm.protocol import CRM, Surroundings
from uac_trio.crm.vtiger import VtigerSettings
from uac_trio.explain.popup import Known, Popup, Seen, popups
from uac_trio.replay import by_call, play
from uac_trio.store.rows import StoredRow
from uac_trio.store.tables import State
from uac_trio.transcript import read_transcript


def crm() -> CRM:
    return VtigerSettings(url="http://crm.example/", secret="s").crm(Surroundings())


def row(kind: Kind = Kind.BEGIN, state: State = State.DELIVERED, **more: Any) -> StoredRow:
    of_delivery = {name: more.pop(name) for name in ("role", "direction", "ended_at") if name in more}
    usual: dict[str, Any] = {
        "id": 7, "attempt": 1, "reason": "", "is_probable": False, "in_doubt": False, "created_at": NOW,
        "next_try_at": NOW, "settled_at": NOW + 0.4,
    }  # fmt: skip
    return StoredRow(delivery=delivery(kind, **of_delivery), state=state, **{**usual, **more})


def explained_rows(*rows: StoredRow) -> Popup:
    (popup,) = popups(Known(facts=[], rows=rows, has_store=True), TrackerRules(), crm())
    return popup


@pytest.mark.parametrize(
    ("given", "seen", "words"),
    [
        ({}, Seen.SHOWN, "accepted by the CRM 0.4 s after the first ring"),
        ({"settled_at": NOW + 30}, Seen.LATE, "late: accepted by the CRM 30.0 s after the first ring"),
        ({"is_probable": True, "reason": "HTTP 500"}, Seen.UNKNOWN,
         "probably: the CRM answered 0.4 s after the first ring with an error, after which it may have it: HTTP 500"),
        ({"state": State.PARKED, "reason": "restricted"}, Seen.NONE,
         "none: the CRM refused it for good: restricted. Mend the cause, then: uac-trio outbox retry 7"),
        ({"state": State.SUPERSEDED, "reason": "its END was there"}, Seen.NONE,
         "none: superseded, the call had gone on before it could be sent: its END was there"),
        ({"state": State.WAITING, "reason": "cannot be reached", "attempt": 3}, Seen.WAITS,
         "not yet: it waits, sent 3 times: cannot be reached"),
        ({"state": State.SENDING, "in_doubt": True}, Seen.UNKNOWN,
         "not known: an earlier sending got no answer; it is being sent, or waits until no answer can come any more"),
        ({"role": Role.CALLER, "direction": Direction.OUTBOUND}, Seen.NONE,
         "none: popups are for incoming calls; of an outgoing call there is a row in the list of calls"),
    ],
    ids=lambda value: str(value)[:40],
)  # fmt: skip
def test_how_the_delivery_stands(given: dict[str, Any], seen: Seen, words: str) -> None:
    """Each state of the row is an answer of its own, with the CRM's reason and the remedy."""
    assert explained_rows(row(**given)) == Popup(extension="101", seen=seen, words=words)


def test_after_the_phone_was_silent() -> None:
    """A popup that the CRM accepts when the call is over was of no use."""
    popup = explained_rows(row(settled_at=NOW + 60), row(Kind.END, ended_at=NOW + 9))
    assert popup.seen is Seen.LATE
    assert (
        popup.words
        == "too late: accepted by the CRM 60.0 s after the first ring, when the phone had been silent for long"
    )


def of_recording(name: str, rows: Sequence[StoredRow] = (), has_store: bool = True, **rules: Any) -> list[Popup]:
    """Of the first call that is recorded."""
    path = ROOT / f"{name}.jsonl"
    changed = attrs.evolve(rules_of(name), **rules)
    call = next(by_call(play([read_transcript(path.name, path.read_bytes())], changed, crm(), [])))
    known = Known(facts=[step.fact for step in call.steps], rows=rows, has_store=has_store)
    return list(popups(known, changed, crm()))


@pytest.mark.parametrize(
    ("name", "rules", "extension", "words"),
    [
        ("asterisk22/internal_answered", {}, "101", "none: a call between employees is not delivered"),
        ("asterisk22/internal_answered", {"internal": "report"}, "102", "none: this CRM keeps nothing of this part"),
        ("asterisk22/outbound_answered", {}, "101", "none: popups are for incoming calls"),
        ("asterisk22/inbound_answered", {}, "101", "none by this connector: the store has no delivery of it"),
        ("asterisk22/inbound_answered", {"extensions": "2.."}, "", "none: the phones that rang are no employee's by"),
        ("asterisk22/inbound_answered", {"only_endpoints": "t2_"}, "", "none: another company's call by [calls] only"),
    ],
)  # fmt: skip
def test_without_a_delivery(name: str, rules: dict[str, Any], extension: str, words: str) -> None:
    """Where nothing was to be delivered the rule is named that decided so."""
    found = {popup.extension: popup for popup in of_recording(name, **rules)}
    assert found[extension].words.startswith(words)
    assert found[extension].seen is not Seen.SHOWN


def test_the_store_was_not_looked_at() -> None:
    """For files alone, what the CRM answered is not known."""
    (popup,) = of_recording("asterisk22/inbound_answered", has_store=False)
    assert (popup.seen, popup.words[:30]) == (Seen.UNKNOWN, "not known: the store was not l")


def test_no_phone_rang() -> None:
    """A caller who hangs up in the menu made no phone ring."""
    (popup,) = of_recording("asterisk22/inbound_ivr_hangup")
    assert popup.words == "none: no phone rang (an announcement, a menu, a closed line; or the caller gave up before)"


def test_a_queue_without_agents() -> None:
    """The queue is named in which the caller waited in vain."""
    began = CallBegan(
        call_id="main-1", at=NOW, because="x", direction=Direction.INBOUND, customer="+79161234567", did="600"
    )
    queued = CallerQueued(call_id="main-1", at=NOW, because="x", queue="sales", position="1")
    (popup,) = popups(Known(facts=[began, queued], rows=[], has_store=True), TrackerRules(), crm())
    assert "no employee's phone rang; the caller waited in queue sales" in popup.words
