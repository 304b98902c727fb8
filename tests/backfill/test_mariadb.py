"""FreePBX's tables in a MariaDB of our own. ``nox -s mariadb``."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest
import sqlalchemy as sa

from tests.backfill.mariadb import SWITCH, as_reader, temporary_mariadb, wanted
from tests.backfill.tables import create, insert, recorded
from tests.cdr.evaluation import crm_of, found_in_cdr, names, rules_of
from uac_trio.backfill.filling import Filling, PBXCdr, Span
from uac_trio.backfill.source import CdrError
from uac_trio.backfill.table import CdrTable
from uac_trio.crm.recording import recording_token
from uac_trio.crm.vtiger import Flavour

pytestmark = pytest.mark.skipif(not wanted(), reason=f"{SWITCH} is not set, or Debian's mariadb-server is not there")

SPAN = Span(1795830000.0, 1795837000.0)
RECORDINGS = [name for name in names() if name.startswith("freepbx15/") and "unanswered" not in name]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with temporary_mariadb() as address:
        engine = create(address)
        for name in RECORDINGS:
            insert(engine, "cdr", recorded(name, "cdr"))
            rows = [{key: value for key, value in row.items() if key != "id"} for row in recorded(name, "cel")]
            insert(engine, "cel", rows)
        yield address


def test_a_reader_reads_all_rows(address: str) -> None:
    source = CdrTable(sa.make_url(as_reader(address)))

    rows = list(source.rows(SPAN.since, SPAN.until))

    assert len(rows) == sum(len(recorded(name, "cdr")) for name in RECORDINGS)
    assert source.remarks() == []


def test_a_reader_may_not_write(address: str) -> None:
    engine = sa.create_engine(as_reader(address), poolclass=sa.NullPool)

    with pytest.raises(sa.exc.OperationalError, match="denied"):
        insert(engine, "cdr", recorded(RECORDINGS[0], "cdr"))


async def test_calls_are_those_of_the_recordings(address: str) -> None:
    rules = rules_of(RECORDINGS[0])
    crm = crm_of(rules, Flavour.SALESPLATFORM)
    cdr = PBXCdr(
        pbx="main",
        source=CdrTable(sa.make_url(as_reader(address))),
        rules=rules,
        crm=crm,
        token=partial(recording_token, crm.secret),
    )
    filling = Filling(cdr=cdr, now=lambda: SPAN.until + 3600, live=frozenset, roots={})

    filled = await filling.fill(SPAN, None)

    expected = {
        (each.call_id, each.subject, each.outcome)
        for name in RECORDINGS
        for each in found_in_cdr(name, Flavour.SALESPLATFORM, with_cel=True)
    }
    assert {(each.call_id, each.subject, each.outcome) for each in filled.deliveries} == expected


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("uac:read", "uac:wrong"), "Access denied for user 'uac'@'localhost'"),
        (("/asteriskcdrdb", "/mysql"), "Access denied for user 'uac'@'localhost' to database 'mysql'"),
        (("/s", "/none"), "Can't connect"),
    ],
)
def test_what_an_administrator_gets_wrong(address: str, change: tuple[str, str], words: str) -> None:
    head, _, tail = as_reader(address).rpartition(change[0])
    source = CdrTable(sa.make_url(f"{head}{change[1]}{tail}"))

    with pytest.raises(CdrError) as refused:
        source.latest(1)

    assert words in str(refused.value)
    assert "read" not in str(refused.value).replace("be read", "")
