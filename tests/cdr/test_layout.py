from __future__ import annotations

import pytest

from uac_trio.cdr.layout import OWN, OWN_MAPPING, OWN_MARK, columns_of


@pytest.mark.parametrize(
    ("count", "has_linkedid", "last"),
    [
        (16, False, "amaflags"),
        (17, False, "uniqueid"),
        (18, False, "userfield"),
        (20, True, "sequence"),
        (21, True, "sequence"),
    ],
)
def test_master_csv(count: int, has_linkedid: bool, last: str) -> None:
    columns = columns_of([""] * count)

    assert columns is not None
    assert len(columns) == count
    assert columns[-1] == last
    assert ("linkedid" in columns) is has_linkedid


def test_own_mapping_has_the_columns_that_are_read() -> None:
    fields = OWN_MAPPING.partition(" => ")[2].split(",${")

    assert len(fields) == len(OWN)
    assert fields[0] == OWN_MARK
    assert columns_of([OWN_MARK, *[""] * (len(OWN) - 1)]) == OWN


def test_a_header_names_its_columns() -> None:
    assert columns_of(["calldate", "channel", "uniqueid"]) is None


def test_other_lines_are_not_known() -> None:
    assert columns_of([OWN_MARK, "", ""]) is None
    assert columns_of([""] * 19) is None
