"""Recorded rows of FreePBX in a database server, and what is to be found in them."""

from __future__ import annotations

from functools import partial

import sqlalchemy as sa

from tests.backfill.tables import create, insert, recorded
from tests.cdr.evaluation import crm_of, found_in_cdr, names, rules_of
from uac_trio.backfill.filling import Filling, PBXCdr, Span
from uac_trio.backfill.table import CdrTable
from uac_trio.calls.outcome import Outcome
from uac_trio.crm.recording import recording_token
from uac_trio.crm.vtiger import Flavour

SPAN = Span(1795830000.0, 1795837000.0)
RECORDINGS = [name for name in names() if name.startswith("freepbx15/") and "unanswered" not in name]

Found = set[tuple[str, str, Outcome | None]]
"""Call, employee and outcome of each delivery."""


def fill_server(address: str) -> None:
    """Both tables with all recordings."""
    engine = create(address)
    for name in RECORDINGS:
        insert(engine, "cdr", recorded(name, "cdr"))
        rows = [{key: value for key, value in row.items() if key != "id"} for row in recorded(name, "cel")]
        insert(engine, "cel", rows)


def row_count() -> int:
    return sum(len(recorded(name, "cdr")) for name in RECORDINGS)


async def found_on(address: str) -> Found:
    rules = rules_of(RECORDINGS[0])
    crm = crm_of(rules, Flavour.SALESPLATFORM)
    source = CdrTable(sa.make_url(address))
    cdr = PBXCdr(pbx="main", source=source, rules=rules, crm=crm, token=partial(recording_token, crm.secret))
    filled = await Filling(cdr=cdr, now=lambda: SPAN.until + 3600, live=frozenset, roots={}).fill(SPAN, None)
    return {(each.call_id, each.subject, each.outcome) for each in filled.deliveries}


def found_in_recordings() -> Found:
    return {
        (each.call_id, each.subject, each.outcome)
        for name in RECORDINGS
        for each in found_in_cdr(name, Flavour.SALESPLATFORM, with_cel=True)
    }
