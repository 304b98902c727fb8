"""A million CDRs in MariaDB: how long a day's back-fill takes, and how much memory.

    python -m benchmarks.cdr_million [ROWS]

Needs Debian's mariadb-server; the server is started in a temporary directory and ends with the run.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import sqlalchemy as sa
import trio

from tests.backfill.mariadb import as_reader, temporary_mariadb
from tests.backfill.tables import create
from tests.cdr.evaluation import crm_of
from uac_trio.backfill.filling import Filling, PBXCdr, Span
from uac_trio.backfill.table import CdrTable
from uac_trio.calls.rules import TrackerRules
from uac_trio.crm.recording import recording_token
from uac_trio.crm.vtiger import Flavour

LAST = datetime(2026, 11, 28, 18, tzinfo=UTC)
ROWS = 1_000_000
ROWS_A_DAY = 10_000
BATCH = 5000


def rows(count: int) -> Iterator[dict[str, Any]]:
    """Incoming calls to three phones, of which one answers; the last is the newest."""
    pause = 86400 / ROWS_A_DAY
    for number in range(count):
        call, member = divmod(number, 3)
        start = LAST - timedelta(seconds=pause * (count - call * 3))
        uniqueid = f"{int(start.timestamp())}.{call}"
        answered = member == call % 3
        yield {
            "calldate": start.replace(tzinfo=None),
            "clid": "<79161234567>",
            "src": "79161234567",
            "dst": "600",
            "dcontext": "ext-group",
            "channel": f"PJSIP/trunk-{call:08x}",
            "dstchannel": f"PJSIP/{201 + member}-{number:08x}",
            "lastapp": "Dial",
            "lastdata": "PJSIP/201&PJSIP/202&PJSIP/203,30",
            "duration": 60 if answered else 6,
            "billsec": 55 if answered else 0,
            "disposition": "ANSWERED" if answered else "NO ANSWER",
            "uniqueid": uniqueid,
            "linkedid": uniqueid,
            "sequence": number,
            "did": "84951234567",
            "recordingfile": f"{uniqueid}.wav",
        }


def fill(address: str, count: int) -> None:
    engine = create(address, cel=False)
    table = sa.Table("cdr", sa.MetaData(), autoload_with=engine)
    batch: list[dict[str, Any]] = []
    with engine.begin() as connection:
        for row in rows(count):
            batch.append(row)
            if len(batch) == BATCH:
                connection.execute(table.insert(), batch)
                batch.clear()
        if batch:
            connection.execute(table.insert(), batch)


async def measure(address: str, what: str) -> None:
    rules = TrackerRules()
    crm = crm_of(rules, Flavour.SALESPLATFORM)
    cdr = PBXCdr(
        pbx="main",
        source=CdrTable(sa.make_url(as_reader(address))),
        rules=rules,
        crm=crm,
        token=partial(recording_token, crm.secret),
    )
    until = LAST.timestamp()
    filling = Filling(cdr=cdr, now=lambda: until + 3600, live=frozenset, roots={})
    began = time.perf_counter()
    filled = await filling.fill(Span(until - 86400, until), None)
    took = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{what}: {took:.1f} s, {filled.calls} calls of {filled.rows} rows, peak {peak:.0f} MB")


def main(count: int) -> None:
    with temporary_mariadb() as address:
        began = time.perf_counter()
        fill(address, count)
        print(f"{count} rows stored in {time.perf_counter() - began:.0f} s")
        trio.run(measure, address, "a day with the index of calldate")
        engine = sa.create_engine(address, poolclass=sa.NullPool)
        with engine.begin() as connection:
            connection.execute(sa.text("DROP INDEX ix_cdr_calldate ON cdr"))
        trio.run(measure, address, "a day without it")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else ROWS)
