"""Rows of CDR for tests: what a test does not name is that of an answered direct call."""

from __future__ import annotations

from uac_trio.cdr.row import CdrRow, cdr_row

EPOCH = 1_795_838_000
"""28 November 2026, 03:53:20 UTC."""


def row(**columns: object) -> CdrRow:
    """A customer calls 101, whose phone rings for 2 s; they talk 3 s. Asterisk's clock is UTC."""
    uniqueid = columns.get("uniqueid", f"{EPOCH}.1")
    return cdr_row(
        {
            "calldate": "2026-11-28 03:53:20",
            "clid": '"Customer" <79161234567>',
            "src": "79161234567",
            "dst": "101",
            "dcontext": "from-trunk",
            "channel": "PJSIP/trunk-00000001",
            "dstchannel": "PJSIP/101-00000002",
            "lastapp": "Dial",
            "lastdata": "PJSIP/101,30,tT",
            "duration": 5,
            "billsec": 3,
            "disposition": "ANSWERED",
            "uniqueid": uniqueid,
            "linkedid": uniqueid,
            "sequence": 7,
            **columns,
        }
    )
