from __future__ import annotations

from functools import partial

import attrs
import pytest

from tests.cdr.evaluation import crm_of
from tests.cdr.rows import EPOCH, row
from uac_trio.calls.outcome import Outcome
from uac_trio.calls.rules import TrackerRules
from uac_trio.cdr.facts import Reader
from uac_trio.cdr.grouping import groups
from uac_trio.cdr.missing import CORRECTED, Known, deliveries_of, missing
from uac_trio.cdr.people import Devices
from uac_trio.cdr.row import CdrRow
from uac_trio.crm.delivery import Delivery, DeliveryMaker, Kind
from uac_trio.crm.recording import recording_token
from uac_trio.crm.vtiger import Flavour

RULES = TrackerRules()


def of_rows(*rows: CdrRow, flavour: Flavour = Flavour.SALESPLATFORM, rules: TrackerRules = RULES) -> list[Delivery]:
    crm = crm_of(rules, flavour)
    maker = DeliveryMaker("main", crm.scope, crm.wants, partial(recording_token, "s"))
    devices = Devices(rules)
    devices.learn(rows)
    reader = Reader("main", devices)
    return [each for group in groups(rows, 0) for each in deliveries_of(reader.facts(group), maker, rules)]


def put(*deliveries: Delivery, late: float = 0.0) -> list[Known]:
    return [Known(each, each.at + late) for each in deliveries]


def kinds(deliveries: list[Delivery]) -> list[Kind]:
    return [each.kind for each in deliveries]


FOUND = of_rows(row(recordingfile="a.wav"))
BEGIN, ANSWER, END, RECORDING = FOUND


def test_a_call_of_one_row() -> None:
    assert kinds(FOUND) == [Kind.BEGIN, Kind.ANSWER, Kind.END, Kind.RECORDING]
    assert {each.call_id for each in FOUND} == {f"main-{EPOCH}.1"}
    assert (END.began_at, END.ended_at, END.talk_secs) == (EPOCH, EPOCH + 5.003, 3.0)
    assert (END.outcome, END.extension, END.customer) == (Outcome.COMPLETED, "101", "79161234567")


def test_all_of_what_is_not_known() -> None:
    assert missing(FOUND, []) == FOUND


def test_none_of_what_was_watched() -> None:
    assert missing(FOUND, put(*FOUND)) == []


def test_other_keys_of_the_same_part_are_known() -> None:
    """The live one's occurrence is a uniqueid that CDR does not have."""
    live = [attrs.evolve(each, occurrence=f"{EPOCH}.2") for each in FOUND]

    assert missing(FOUND, put(*live)) == []


def test_what_has_not_ended_gets_its_end_under_the_key_that_a_restart_gives_it() -> None:
    live = attrs.evolve(BEGIN, occurrence=f"{EPOCH}.2")

    end, recording = missing(FOUND, put(live))

    assert end.key == attrs.evolve(END, occurrence=f"{EPOCH}.2").key
    assert recording == RECORDING


def test_an_end_that_was_concluded_late_is_corrected_once() -> None:
    concluded = attrs.evolve(END, ended_at=EPOCH + 60, at=EPOCH + 60, outcome=Outcome.NO_ANSWER, talk_secs=0.0)
    known = put(BEGIN, concluded, RECORDING)

    [correction] = missing(FOUND, known)

    assert correction == attrs.evolve(END, occurrence=END.occurrence + CORRECTED)
    assert missing(FOUND, [*known, *put(correction)]) == []


def test_an_end_that_was_concluded_early_is_corrected() -> None:
    """The connection was lost in mid-talk, and was back a minute later."""
    concluded = attrs.evolve(END, ended_at=EPOCH + 3, at=EPOCH + 3, outcome=Outcome.NO_ANSWER, talk_secs=0.0)

    assert kinds(missing(FOUND, put(BEGIN, concluded, RECORDING, late=60))) == [Kind.END]
    assert missing(FOUND, put(BEGIN, concluded, RECORDING)) == []  # seen as it was


def test_an_end_that_was_seen_stands() -> None:
    """CDR has whole seconds, and no hold."""
    seen = attrs.evolve(END, ended_at=EPOCH + 6.9, at=EPOCH + 6.9, talk_secs=1.0)

    assert missing(FOUND, put(BEGIN, ANSWER, seen, RECORDING)) == []


def test_talk_that_was_counted_from_a_restart_alone_is_corrected_once() -> None:
    """The connector started in the middle of the talk, and saw the end of it."""
    seen = attrs.evolve(END, talk_secs=1.0)
    known = put(BEGIN, ANSWER, seen, RECORDING)

    [correction] = missing(FOUND, known, found_at=EPOCH + 4)

    assert (correction.kind, correction.talk_secs) == (Kind.END, 3.0)
    assert missing(FOUND, [*known, *put(correction)], found_at=EPOCH + 4) == []


@pytest.mark.parametrize("found_at", [None, EPOCH - 60, EPOCH + 1, EPOCH + 60])
def test_talk_that_was_counted_from_its_beginning_stands(found_at: float | None) -> None:
    """Nothing was restarted within the talk."""
    seen = attrs.evolve(END, talk_secs=1.5)

    assert missing(FOUND, put(BEGIN, ANSWER, seen, RECORDING), found_at) == []


@pytest.mark.parametrize(("talk_secs", "is_right"), [(40.0, True), (21.5, False)])
def test_talk_that_another_connector_saw_stands(talk_secs: float, is_right: bool) -> None:
    """The rest was hold. What is no longer than since the restart was counted from there: Master.csv's start and
    duration are cut to whole seconds, so the end may be two seconds later than it shows."""
    found = of_rows(row(duration=60, billsec=58))
    [end] = [each for each in found if each.kind is Kind.END]
    known = put(*(attrs.evolve(each, talk_secs=talk_secs) if each is end else each for each in found))

    assert (missing(found, known, EPOCH + 40) == []) is is_right


def test_a_recording_that_is_missing_alone() -> None:
    assert missing(FOUND, put(BEGIN, ANSWER, END)) == [RECORDING]


def test_internal_calls_are_left_out_as_they_are_live() -> None:
    internal = row(src="102", channel="PJSIP/102-00000001", dcontext="from-internal")

    assert of_rows(internal) == []
    assert kinds(of_rows(internal, rules=TrackerRules(internal="report")))[0] is Kind.BEGIN


def test_an_unreached_call_has_its_owner() -> None:
    unreached = row(dstchannel="", lastapp="BackGround", lastdata="menu", did="84951234567", billsec=5)

    assert of_rows(unreached) == []
    begin, *_, end = of_rows(unreached, rules=TrackerRules(unreached="101"))
    assert (begin.extension, begin.line, end.outcome) == ("101", "84951234567", Outcome.NO_ANSWER)


def test_an_employees_mobile_is_theirs() -> None:
    rules = TrackerRules(mobiles={"+79261234567": "101"})
    called = row(dstchannel="PJSIP/trunk-00000002", lastdata="PJSIP/89261234567@trunk,30")

    assert {each.extension for each in of_rows(called, rules=rules)} == {"101"}


def test_the_end_of_a_whole_call_names_who_talked_last() -> None:
    found = of_rows(
        row(), row(calldate="2026-11-28 03:53:25", dstchannel="PJSIP/102-00000003", lastdata="PJSIP/102", sequence=8),
        flavour=Flavour.STOCK,
    )  # fmt: skip

    [end] = [each for each in found if each.kind is Kind.END]
    assert (end.subject, end.extension) == ("", "102")


def test_a_stranger_who_shows_an_employees_number_is_none() -> None:
    """Trap: a long number, and a short one, of a line are both the customer's."""
    found = of_rows(row(src="102", channel="PJSIP/trunk-00000001"))

    assert {(each.extension, each.customer, each.direction.value) for each in found} == {("101", "102", "inbound")}
