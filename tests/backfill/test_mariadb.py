"""FreePBX's tables in a MariaDB of our own. ``nox -s mariadb``."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from tests.backfill.mariadb import SWITCH, as_reader, temporary_mariadb, wanted
from tests.backfill.on_server import RECORDINGS, SPAN, fill_server, found_in_recordings, found_on, row_count
from tests.backfill.tables import insert, recorded
from uac_trio.backfill.source import CdrError
from uac_trio.backfill.table import CdrTable

pytestmark = pytest.mark.skipif(not wanted(), reason=f"{SWITCH} is not set, or Debian's mariadb-server is not there")


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with temporary_mariadb() as address:
        fill_server(address)
        yield address


def test_a_reader_reads_all_rows(address: str) -> None:
    source = CdrTable(sa.make_url(as_reader(address)))

    rows = list(source.rows(SPAN.since, SPAN.until))

    assert len(rows) == row_count()
    assert source.remarks() == []


def test_a_reader_may_not_write(address: str) -> None:
    engine = sa.create_engine(as_reader(address), poolclass=sa.NullPool)

    with pytest.raises(sa.exc.OperationalError, match="denied"):
        insert(engine, "cdr", recorded(RECORDINGS[0], "cdr"))


async def test_calls_are_those_of_the_recordings(address: str) -> None:
    assert await found_on(as_reader(address)) == found_in_recordings()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("uac:read", "uac:wrong"), "Access denied for user 'uac'@'localhost'"),
        (("/asteriskcdrdb", "/mysql"), "Access denied for user 'uac'@'localhost' to database 'mysql'"),
    ],
)
def test_what_an_administrator_gets_wrong(address: str, change: tuple[str, str], words: str) -> None:
    head, _, tail = as_reader(address).rpartition(change[0])
    source = CdrTable(sa.make_url(f"{head}{change[1]}{tail}"))

    with pytest.raises(CdrError) as refused:
        source.latest(1)

    assert words in str(refused.value)
    assert "read" not in str(refused.value).replace("be read", "")


def test_no_server_there() -> None:
    source = CdrTable(sa.make_url("mysql+pymysql://uac:read@127.0.0.1:1/asteriskcdrdb"))

    with pytest.raises(CdrError, match=r"Can't connect to MySQL server on '127\.0\.0\.1'"):
        source.latest(1)
