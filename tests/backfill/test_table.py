from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.backfill.tables import create, insert, recorded
from tests.cdr.rows import EPOCH
from uac_trio.backfill.source import CdrError
from uac_trio.backfill.table import CdrTable

NAME = "freepbx15/rg_v2_mobile_confirms"
BEGAN = 1795835350.0
FOREVER = (0.0, 1e10)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/asteriskcdrdb"


def table(url: str) -> CdrTable:
    return CdrTable(sa.make_url(url))


def test_rows_in_the_order_of_their_beginning(url: str) -> None:
    insert(create(url), "cdr", recorded(NAME, "cdr"))

    rows = list(table(url).rows(BEGAN - 60, BEGAN + 60))

    assert len(rows) == len(recorded(NAME, "cdr"))
    assert [row.start for row in rows] == sorted(row.start for row in rows)
    assert rows[0].recording.endswith(".wav")
    assert list(table(url).rows(BEGAN + 60, BEGAN + 120)) == []


def test_latest_are_in_order_too(url: str) -> None:
    insert(create(url), "cdr", recorded(NAME, "cdr"))

    assert [row.start for row in table(url).latest(2)] == [BEGAN + 7, BEGAN + 7]


def test_cel_by_linkedid_and_by_uniqueid(url: str) -> None:
    engine = create(url)
    insert(engine, "cel", recorded(NAME, "cel"))
    source = table(url)

    whole = source.cel({"1795835350.788"}, set())
    assert len(whole) == len(recorded(NAME, "cel"))
    assert [row.order for row in whole] == sorted(row.order for row in whole)
    assert {row.uniqueid for row in source.cel(set(), {"1795835351.806"})} == {"1795835351.806"}
    assert len(source.cel({"1795835350.788"}, {"1795835351.806"})) == len(whole)


def test_without_cel(url: str) -> None:
    create(url, cel=False)

    assert table(url).cel({"1"}, {"2"}) == ()


def test_rows_that_are_none_are_counted(url: str) -> None:
    insert(create(url), "cdr", [{**recorded(NAME, "cdr")[0], "disposition": "?"}])
    source = table(url)

    assert list(source.rows(*FOREVER)) == []
    assert source.unread == 1


def test_columns_that_are_missing_are_named(url: str) -> None:
    create(url, without=["linkedid", "dcontext"])

    with pytest.raises(CdrError, match="table cdr has no column dcontext, linkedid"):
        list(table(url).rows(*FOREVER))


def test_columns_that_may_be_missing(url: str) -> None:
    insert(create(url, without=["did", "cnum", "recordingfile", "clid"]), "cdr", recorded(NAME, "cdr"))

    assert all(row.recording == "" for row in table(url).latest(9))


def test_no_table(url: str) -> None:
    with pytest.raises(CdrError, match=r"there is no table calls; another name .*\?table=NAME"):
        list(table(f"{url}?table=calls").rows(*FOREVER))


def test_no_beginning(url: str) -> None:
    create(url, without=["calldate"])

    with pytest.raises(CdrError, match="neither a column calldate nor start"):
        list(table(url).rows(*FOREVER))


def test_remarks(url: str, tmp_path: Path) -> None:
    create(url)
    assert table(url).remarks() == []

    other = f"sqlite:///{tmp_path}/other"
    create(other, without=["recordingfile"], index=False, cel=False)
    index, recordings, cel = table(other).remarks()
    assert "CREATE INDEX cdr_start ON cdr (calldate)" in index
    assert "no recordingfile" in recordings
    assert "no table cel" in cel


def test_an_address_shows_no_password() -> None:
    pytest.importorskip("pymysql")
    source = table("mysql+pymysql://uac:secret@127.0.0.1:1/asteriskcdrdb")

    with pytest.raises(CdrError) as refused:
        list(source.rows(EPOCH, EPOCH + 1))

    assert "secret" not in str(refused.value)
    assert "127.0.0.1" in str(refused.value)
