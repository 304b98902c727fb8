from __future__ import annotations

from typing import Any

from tests.cdr.rows import EPOCH, row
from uac_trio.cdr.call_rows import CallRows
from uac_trio.cdr.reading import in_call
from uac_trio.cdr.row import CdrRow

LOST: dict[str, Any] = {"disposition": "NO ANSWER", "billsec": 0}


def at(second: int) -> str:
    return f"2026-11-28 03:53:{20 + second:02}"


def phone(number: int, second: int = 0, **columns: object) -> CdrRow:
    """A row of the customer's channel with an employee's, ``second`` s after the call began."""
    return row(
        dstchannel=f"PJSIP/{number}-{number:08}", calldate=at(second), sequence=number, **{"lastdata": "G", **columns}
    )


def of(*rows: CdrRow) -> CallRows:
    return CallRows(in_call(sorted(rows, key=lambda each: each.order), "", lambda _: False))


def test_a_phone_beside_the_one_that_was_answered() -> None:
    rows = of(phone(101, duration=5, billsec=3), phone(102, duration=2, **LOST))

    assert rows.answer_near(rows.rows[1]) == EPOCH + 2
    assert rows.is_refused(rows.rows[1])
    assert not rows.is_refused(rows.rows[0])


def test_whole_seconds_are_cut() -> None:
    rows = of(phone(101, duration=5, billsec=2), phone(102, duration=1, **LOST))

    assert rows.answer_near(rows.rows[1]) == EPOCH + 3


def test_who_is_dialled_next_does_not_end_the_ringing_before() -> None:
    rows = of(phone(102, duration=4, lastdata="A", **LOST), phone(103, second=4, duration=3, billsec=2, lastdata="B"))

    assert rows.answer_near(rows.rows[0]) is None


def test_who_takes_the_call_from_a_phone_answers_in_its_place() -> None:
    rows = of(phone(101, duration=2, billsec=0), phone(104, second=2, duration=3, billsec=3))

    assert not rows.is_connected(rows.rows[0])
    assert rows.answer_near(rows.rows[0]) == EPOCH + 2


def test_of_a_queue_the_others_show_when_it_was_answered() -> None:
    """The queue had answered, so the row's own billsec is its whole length."""
    members = [phone(number, lastapp="Queue", duration=4, billsec=4, disposition="NO ANSWER") for number in (102, 103)]
    rows = of(phone(101, lastapp="Queue", duration=9, billsec=9), *members)

    assert rows.answered_at(rows.rows[0]) == EPOCH + 4
    assert rows.stretch(rows.rows[0]) == (EPOCH + 4, EPOCH + 9)


def test_a_phone_that_sends_the_call_on() -> None:
    forwarding = phone(101, duration=0, **LOST)
    sent_on = row(dstchannel="Local/102@from-internal-1;1", lastdata="G", sequence=102)
    rows = of(forwarding, sent_on)

    assert rows.is_forwarding(rows.rows[0])
    assert not of(forwarding).is_forwarding(of(forwarding).rows[0])


def test_congestion_after_a_refusal() -> None:
    rows = of(phone(101, duration=0, **LOST), row(calldate=at(1), dstchannel="", lastapp="Congestion", sequence=200))

    assert rows.is_congested(rows.rows[0])


def test_the_far_end_that_is_asked_by_a_colleague_first() -> None:
    """An attended transfer: the customer's row begins before the colleague has hung up."""
    asking = row(
        uniqueid=f"{EPOCH + 6}.5", channel="PJSIP/101-00000009", dstchannel="PJSIP/102-00000102", calldate=at(6),
        duration=4, billsec=3, sequence=150,
    )  # fmt: skip
    joined = phone(102, second=8, duration=6, billsec=6)
    rows = of(phone(101, duration=8, billsec=6), asking, joined)

    [index] = [each.index for each in rows if each.row is joined]
    assert rows.stretch(rows.rows[index]) == (EPOCH + 10, EPOCH + 14)


def test_without_any_talk() -> None:
    assert not of(phone(101, duration=3, **LOST)).has_talk
