from __future__ import annotations

import csv
import gzip
import io
import os
from pathlib import Path

import pytest

from tests.cdr.rows import EPOCH
from uac_trio.backfill.files import NEAR, CdrFile
from uac_trio.backfill.source import CdrError
from uac_trio.cdr.layout import OWN_MARK

FOREVER = (0.0, 1e11)


def line(uniqueid: str = f"{EPOCH}.1", start: str = "2026-11-28 03:53:20", *, clid: str = '"X" <79161234567>') -> str:
    fields = [
        "", "79161234567", "101", "from-trunk", clid, "PJSIP/trunk-1", "PJSIP/101-2", "Dial", "PJSIP/101,30", start, "",
        start, "5", "3", "ANSWERED", "DOCUMENTATION", uniqueid, "", "", uniqueid, "7",
    ]  # fmt: skip
    out = io.StringIO()
    csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_ALL).writerow(fields)
    return out.getvalue()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "Master.csv"
    path.write_text(line() + line(f"{EPOCH}.2"), encoding="utf-8")
    return path


def uniqueids(path: Path, since: float = FOREVER[0], until: float = FOREVER[1]) -> list[str]:
    return [row.uniqueid for row in CdrFile(path).rows(since, until)]


def test_master_csv(path: Path) -> None:
    assert uniqueids(path) == [f"{EPOCH}.1", f"{EPOCH}.2"]


def test_rows_that_begin_in_the_span_alone(path: Path) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(line("3.3", "2026-11-28 03:53:30"))

    assert uniqueids(path, EPOCH, EPOCH + 10) == [f"{EPOCH}.1", f"{EPOCH}.2"]
    assert uniqueids(path, EPOCH + 1, EPOCH + 11) == ["3.3"]


def test_last_line_that_is_being_written(path: Path) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(line("3.3")[:-20])

    assert len(uniqueids(path)) == 2


def test_lines_that_are_none(path: Path) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write("half a line\n\n\x00\n" + line("3.3", "yesterday") + line("4.4"))
    source = CdrFile(path)

    assert [row.uniqueid for row in source.rows(*FOREVER)][-1] == "4.4"
    assert source.unread == 2


def test_a_letter_cut_in_two_and_a_name_with_a_line_separator(path: Path) -> None:
    broken = line("3.3", clid='"Обществ').encode().replace("в".encode(), b"\xd0")
    with path.open("ab") as file:
        file.write(broken + line("4.4", clid='"A\u2028B" <1>').encode())

    rows = {row.uniqueid: row.caller_name for row in CdrFile(path).rows(*FOREVER)}
    assert rows["3.3"] == "Общест"
    assert rows["4.4"] == "A\u2028B"


def test_a_file_that_was_renamed_is_read_too(path: Path) -> None:
    path.rename(path.with_name("Master.csv.1"))
    path.write_text(line("3.3"), encoding="utf-8")

    assert uniqueids(path) == [f"{EPOCH}.1", f"{EPOCH}.2", "3.3"]


def test_a_file_that_was_renamed_and_compressed(path: Path) -> None:
    with gzip.open(path.with_name("Master.csv.2.gz"), "wt", encoding="utf-8") as file:
        file.write(line("0.1"))
    path.with_name("Master.csv.gz.tmp").write_text("no CDR", encoding="utf-8")

    assert set(uniqueids(path)) == {"0.1", f"{EPOCH}.1", f"{EPOCH}.2"}


def test_a_file_that_was_renamed_long_before_is_not_read(path: Path) -> None:
    old = path.with_name("Master.csv.9")
    old.write_text(line("9.9"), encoding="utf-8")
    os.utime(old, (EPOCH - 10 * 86400, EPOCH - 10 * 86400))

    assert "9.9" not in uniqueids(path, EPOCH - 5)


def test_a_file_that_is_not_made_anew_yet(path: Path) -> None:
    path.rename(path.with_name("Master.csv-20261128"))

    assert len(uniqueids(path)) == 2


def test_a_file_that_was_truncated(path: Path) -> None:
    source = CdrFile(path)
    assert len(list(source.rows(*FOREVER))) == 2
    path.write_text(line("3.3"), encoding="utf-8")

    assert [row.uniqueid for row in source.rows(*FOREVER)] == ["3.3"]


def test_a_large_file_is_not_read_from_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / "Master.csv"
    with path.open("w", encoding="utf-8") as file:
        for number in range(12_000):  # one an hour: 3 MB
            day, hour = divmod(number, 24)
            file.write(
                line(f"{number}.1", f"{2000 + day // 336}-{day % 336 // 28 + 1:02}-{day % 28 + 1:02} {hour:02}:00:00")
            )
    assert path.stat().st_size > 2 * NEAR
    source = CdrFile(path)
    rows = list(source.rows(*FOREVER))
    since, until = rows[11_000].start, rows[11_500].start

    opened = source._opened(path)
    source._seek(opened, (), since)
    assert opened.seek(0, 1) > path.stat().st_size / 2
    opened.close()
    assert [row.uniqueid for row in source.rows(since, until)] == [f"{number}.1" for number in range(11_000, 11_500)]


def test_latest(path: Path) -> None:
    assert [row.uniqueid for row in CdrFile(path).latest(1)] == [f"{EPOCH}.2"]


def test_a_header_names_the_columns(tmp_path: Path) -> None:
    path = tmp_path / "export.csv"
    path.write_text(
        "calldate,src,dst,channel,dstchannel,duration,billsec,disposition,uniqueid,linkedid\n"
        "2026-11-28 03:53:20,1,2,PJSIP/a-1,PJSIP/b-2,5,3,ANSWERED,7.7,7.7\n",
        encoding="utf-8",
    )

    assert uniqueids(path) == ["7.7"]


def test_own_mapping(tmp_path: Path) -> None:
    path = tmp_path / "uac-trio.csv"
    path.write_text(
        f'{OWN_MARK},{EPOCH}.5,4.9,3.1,"1","101","from-trunk","","PJSIP/t-1","PJSIP/101-2","Dial","PJSIP/101",4,3,'
        'ANSWERED,7.7,7.7,9,"84951234567","","/a.wav"\n',
        encoding="utf-8",
    )

    [row] = CdrFile(path).rows(EPOCH, EPOCH + 60)
    assert (row.start, row.did, row.recording, row.sequence) == (EPOCH + 0.5, "84951234567", "/a.wav", 9)


def test_columns_may_be_given(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("7.7,7.7,PJSIP/a-1,5,3,ANSWERED,2026-11-28 03:53:20\n", encoding="utf-8")
    columns = ("uniqueid", "linkedid", "channel", "duration", "billsec", "disposition", "start")

    assert [row.uniqueid for row in CdrFile(path, columns).rows(*FOREVER)] == ["7.7"]


def test_lines_without_linkedid_are_refused_with_the_setting_that_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "Master.csv"
    fields = next(csv.reader([line()]))[:18]
    path.write_text(",".join(f'"{field}"' for field in fields).replace('""X"" ', "") + "\n", encoding="utf-8")

    with pytest.raises(CdrError, match="newcdrcolumns=yes"):
        uniqueids(path)
    assert any("newcdrcolumns=yes" in words for words in CdrFile(path).remarks())


def test_remarks_on_recordings(path: Path) -> None:
    [words] = CdrFile(path).remarks()
    assert "no column for recordings" in words


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(CdrError, match=r"none\.csv: no such file"):
        uniqueids(tmp_path / "none.csv")


def test_no_such_directory(tmp_path: Path) -> None:
    with pytest.raises(CdrError, match="cannot be listed: No such file"):
        uniqueids(tmp_path / "none" / "Master.csv")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_that_may_not_be_read(path: Path) -> None:
    path.chmod(0)

    with pytest.raises(CdrError, match="Permission denied; the user of uac-trio needs to be in group asterisk"):
        uniqueids(path)
