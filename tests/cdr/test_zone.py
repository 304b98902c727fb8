from __future__ import annotations

import attrs
import pytest

from tests.cdr.rows import EPOCH, row
from uac_trio.cdr.cel import cel_row
from uac_trio.cdr.row import CdrRow
from uac_trio.cdr.zone import epoch_of, offsets, placed, placed_cel


@pytest.mark.parametrize(
    ("uniqueid", "epoch"),
    [
        ("1795838000.7", EPOCH),
        ("pbx-hq-1795838000.7", EPOCH),
        ("uac-1795838000-0f065ba2", EPOCH),
        ("uac-1795838000-0f065ba2;2", EPOCH),
        ("my-own-id", None),
        ("12.7", None),
    ],
)
def test_epoch_of_a_uniqueid(uniqueid: str, epoch: int | None) -> None:
    assert epoch_of(uniqueid) == epoch


@pytest.mark.parametrize(
    ("calldate", "offset"),
    [
        ("2026-11-28 03:53:20", 0),
        ("2026-11-28 06:53:20", 3 * 3600),
        ("2026-11-28 06:53:31", 3 * 3600),  # a row that begins after its channel
        ("2026-11-28 06:53:19", 3 * 3600),  # and one of a channel made at the end of a second
        ("2026-11-28 09:38:20", 5 * 3600 + 2700),
        ("2026-11-27 23:53:20", -4 * 3600),
    ],
)
def test_offset_is_found_from_the_data(calldate: str, offset: int) -> None:
    one = row(calldate=calldate)

    assert list(offsets([one])) == [offset]
    assert EPOCH - 1 <= placed([one], 0)[0].start <= EPOCH + 11


def test_a_change_of_summer_time_between_two_calls() -> None:
    """Moscow of 2010: at 3:00 of 31 October the clock was set back by an hour."""
    before, after = 1288475000, 1288481000
    rows = [
        row(uniqueid=f"{before}.1", calldate="2010-10-31 01:43:20"),
        row(uniqueid=f"{after}.2", calldate="2010-10-31 02:23:20"),
    ]

    assert offsets(rows) == {4 * 3600: 1, 3 * 3600: 1}
    assert [placed([each], 0)[0].start for each in rows] == [before, after]


@pytest.mark.parametrize(("then", "now"), [(4, 3), (3, 4)])
def test_a_change_of_summer_time_within_a_call(then: int, now: int) -> None:
    """The second row of a channel begins where the first one ends."""
    first = row(uniqueid="1288479000.1", calldate="2010-10-30 22:50:00", duration=600, billsec=590)
    second = row(uniqueid="1288479000.1", calldate="2010-10-30 23:00:00", duration=60, billsec=60, sequence=8)
    rows = [_later(first, then * 3600), _later(second, now * 3600)]

    placed_rows = placed(rows, 0)

    assert [each.start for each in sorted(placed_rows, key=lambda each: each.sequence)] == [1288479000, 1288479600]


def _later(one: CdrRow, seconds: int) -> CdrRow:
    return attrs.evolve(one, start=one.start + seconds)


def test_a_call_without_any_epoch_is_placed_as_the_others() -> None:
    assert placed([row(uniqueid="own", calldate="2026-11-28 06:53:20")], 3 * 3600)[0].start == EPOCH


def test_cel_is_placed_by_its_own_uniqueids() -> None:
    rows = [
        cel_row({"eventtype": kind, "eventtime": time, "uniqueid": f"{EPOCH}.1", "channame": "PJSIP/101-1"}, order)
        for order, (kind, time) in enumerate([("CHAN_START", "2026-11-28 06:53:20"), ("ANSWER", "2026-11-28 06:53:22")])
    ]

    assert [each.at for each in placed_cel(rows, 0)] == [EPOCH, EPOCH + 2]
