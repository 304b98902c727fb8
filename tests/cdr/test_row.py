from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.cdr.rows import EPOCH, row
from uac_trio.cdr.row import Disposition, RowError


def test_times_of_a_table_without_answer_and_end() -> None:
    one = row(duration=5, billsec=3)

    assert (one.start, one.answered_at, one.end) == (EPOCH, EPOCH + 2, EPOCH + 5)
    assert not one.is_absolute


def test_exact_columns_come_first() -> None:
    one = row(start_epoch="1795838000.25", duration_exact="4.5", billsec_exact="2.25")

    assert (one.start, one.answered_at, one.end) == (EPOCH + 0.25, EPOCH + 2.5, EPOCH + 4.75)
    assert one.is_absolute


@pytest.mark.parametrize("value", ["2026-11-28 03:53:20", datetime(2026, 11, 28, 3, 53, 20)])  # noqa: DTZ001 - a wall clock
def test_a_wall_clock_is_counted_as_utc(value: object) -> None:
    assert row(calldate=value).start == EPOCH


def test_a_time_with_its_zone_is_one() -> None:
    one = row(calldate=datetime(2026, 11, 28, 3, 53, 20, tzinfo=UTC))

    assert (one.start, one.is_absolute) == (EPOCH, True)


@pytest.mark.parametrize(
    ("clid", "name"),
    [
        ('"Anna" <79161234567>', "Anna"),
        ('"79161234567" <79161234567>', ""),
        ("<79161234567>", ""),
        ('"" <79161234567>', ""),
        ('"Общество с огранич\N{REPLACEMENT CHARACTER}', "Общество с огранич"),
        (b'"\xd0\x9e\xd0\xb1\xd1', "Об"),
    ],
)
def test_name_of_a_clid_that_may_be_cut(clid: object, name: str) -> None:
    """The column is cut at 79 bytes, within a letter too."""
    assert row(clid=clid).caller_name == name


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"channel": ""}, "no channel"),
        ({"linkedid": ""}, "no linkedid"),
        ({"disposition": "PERHAPS"}, "disposition 'PERHAPS' is unknown"),
        ({"calldate": "yesterday"}, "start 'yesterday' is no date"),
        ({"start_epoch": "now"}, "no number of seconds"),
        ({"start_epoch": "nan"}, "no number of seconds"),
        ({"duration": "long"}, "duration 'long' is no number"),
        ({"billsec": "inf"}, "billsec 'inf' is no number"),
    ],
)
def test_what_is_no_row(columns: dict[str, object], words: str) -> None:
    with pytest.raises(RowError, match=words):
        row(**columns)


def test_dispositions() -> None:
    assert row(disposition="no answer").disposition is Disposition.NO_ANSWER
    assert row(disposition="CANCEL").disposition is Disposition.CANCELLED


def test_columns_are_found_by_name_whatever_its_case() -> None:
    assert row(RECORDINGFILE="a.wav", DID="84951234567", cnum="101").did == "84951234567"
    assert row(recordingpath="/b.wav").recording == "/b.wav"


@pytest.mark.parametrize(("text", "count"), [("7", 7), ("", 0), ("-1", 0), ("9" * 5000, 0)])
def test_sequence(text: str, count: int) -> None:
    """Of a line that was damaged it is none."""
    assert row(sequence=text).sequence == count
