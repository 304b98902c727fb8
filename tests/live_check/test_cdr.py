from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.backfill.tables import create, insert, recorded
from tests.cdr.evaluation import ROOT
from uac_trio.backfill.settings import CdrSettings
from uac_trio.live_check.cdr import check_cdr, check_no_cdr
from uac_trio.live_check.finding import Findings, Level

NAME = "freepbx15/in_chan_sip"
NOW = 1795835400.0


async def found(address: str, zone: str = "", now: float = NOW) -> dict[str, tuple[Level, str]]:
    findings = Findings("CDR of main")
    await check_cdr(CdrSettings(pbx="main", address=address, zone=zone), lambda: now, findings)
    return {each.id: (each.level, each.words) for each in findings.found}


@pytest.fixture
def table(tmp_path: Path) -> str:
    address = f"sqlite:///{tmp_path}/asteriskcdrdb"
    insert(create(address), "cdr", recorded(NAME, "cdr"))
    return address


async def test_a_freepbx(table: str) -> None:
    all_found = await found(table)

    assert all_found.keys() == {"cdr.readable"}
    level, words = all_found["cdr.readable"]
    assert level is Level.OK
    assert "unanswered=no" in words


async def test_rows_of_calls_without_a_phone_are_noticed() -> None:
    address = f"csv://{ROOT}/freepbx15/unanswered/click_local_noanswer.cdr.csv"

    assert "unanswered=no" not in (await found(address))["cdr.readable"][1]


async def test_what_is_missing(tmp_path: Path) -> None:
    address = f"sqlite:///{tmp_path}/other"
    insert(create(address, without=["recordingfile"], cel=False), "cdr", recorded(NAME, "cdr"))

    level, words = (await found(address))["cdr.lacks"]
    assert level is Level.WARNING
    assert "no table cel" in words


async def test_what_cannot_be_read(tmp_path: Path) -> None:
    create(f"sqlite:///{tmp_path}/a", without=["linkedid"])

    assert "has no column linkedid" in (await found(f"sqlite:///{tmp_path}/a"))["cdr.unreadable"][1]
    assert "no such file" in (await found(f"csv://{tmp_path}/Master.csv"))["cdr.unreadable"][1]


async def test_no_rows(tmp_path: Path) -> None:
    create(f"sqlite:///{tmp_path}/a")

    assert (await found(f"sqlite:///{tmp_path}/a"))["cdr.empty"][0] is Level.WARNING


async def test_master_csv_as_debian_has_it(tmp_path: Path) -> None:
    master = tmp_path / "Master.csv"
    master.write_text(",".join(f'"{number}"' for number in range(18)) + "\n")

    level, words = (await found(f"csv://{master}"))["cdr.linkedid"]
    assert level is Level.PROBLEM
    assert "newcdrcolumns=yes" in words


async def test_zones(table: str, tmp_path: Path) -> None:
    assert "cdr.zone" not in await found(table, "UTC")
    level, words = (await found(table, "Europe/Moscow"))["cdr.zone"]
    assert level is Level.WARNING
    assert "UTC+3, but the rows are in UTC+0" in words

    other = f"sqlite:///{tmp_path}/other"
    insert(create(other), "cdr", [{**row, "uniqueid": "own"} for row in recorded(NAME, "cdr")])
    assert (await found(other))["cdr.zone"][0] is Level.PROBLEM
    assert "cdr.zone" not in await found(other, "UTC")


async def test_rows_that_name_no_callee(tmp_path: Path) -> None:
    address = f"sqlite:///{tmp_path}/a"
    insert(create(address), "cdr", [{**row, "dstchannel": ""} for row in recorded(NAME, "cdr")])

    assert "ignoredialchanges" in (await found(address))["cdr.dials"][1]


async def test_rows_that_are_old(table: str) -> None:
    assert "30 days old" in (await found(table, now=NOW + 30 * 86400))["cdr.old"][1]


async def test_off(tmp_path: Path) -> None:
    findings = Findings("CDR")
    await check_no_cdr(findings, tmp_path / "none" / "Master.csv")
    assert "docs/backfill.md has the line" in findings.found[0].text

    shutil.copy(ROOT / "asterisk22" / "inbound_busy.cdr.csv", tmp_path / "Master.csv")
    findings = Findings("CDR")
    await check_no_cdr(findings, tmp_path / "Master.csv")
    assert f'cdr = "csv://{tmp_path}/Master.csv"' in findings.found[0].text
    assert findings.found[0].level is Level.OK
