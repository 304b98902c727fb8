from __future__ import annotations

from tests.cdr.rows import EPOCH, row
from uac_trio.cdr.cel import cel_row
from uac_trio.cdr.grouping import cel_by_call, groups


def test_rows_of_one_linkedid_are_one_call() -> None:
    rows = [
        row(uniqueid=f"{EPOCH}.2", linkedid=f"{EPOCH}.1", channel="Local/1@x-1;2"),
        row(uniqueid=f"{EPOCH}.1"),
        row(uniqueid=f"{EPOCH}.9", channel="PJSIP/trunk-00000007", dstchannel="PJSIP/102-00000008"),
    ]

    assert [len(group.rows) for group in groups(rows, 0)] == [2, 1]


def test_a_row_that_was_read_twice_is_one() -> None:
    assert len(groups([row(), row()], 0)[0].rows) == 1


def test_a_consultation_is_joined_by_the_channel_that_both_name() -> None:
    rows = [
        row(),
        row(uniqueid=f"{EPOCH + 2}.5", channel="PJSIP/101-00000006", dstchannel="PJSIP/102-00000007"),
        row(dstchannel="PJSIP/102-00000007", sequence=9),
    ]

    [group] = groups(rows, 0)
    assert group.linkedids == {f"{EPOCH}.1", f"{EPOCH + 2}.5"}


def test_a_name_that_came_again_after_a_restart_joins_nothing() -> None:
    later = row(uniqueid=f"{EPOCH + 3600}.1", calldate="2026-11-28 04:53:20")

    assert len(groups([row(), later], 0)) == 2


def test_cel_of_a_channel_that_joined_the_call_later() -> None:
    cel = [
        cel_row({"eventtype": "CHAN_START", "eventtime": "1", "uniqueid": "7.7", "linkedid": "7.7"}, 0),
        cel_row({"eventtype": "HANGUP", "eventtime": "2", "uniqueid": "7.7", "linkedid": f"{EPOCH}.1"}, 1),
        cel_row({"eventtype": "HANGUP", "eventtime": "2", "uniqueid": "8.8", "linkedid": "8.8"}, 2),
    ]

    assert [each.uniqueid for each in cel_by_call(groups([row()], 0), cel)[0]] == ["7.7", "7.7"]
