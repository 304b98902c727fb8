"""CDR in a PostgreSQL of our own, as cdr_pgsql and adaptive ODBC write it. ``nox -s postgres``."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from tests.backfill.on_server import SPAN, fill_server, found_in_recordings, found_on, row_count
from tests.postgres import SWITCH, temporary_postgresql, wanted
from uac_trio.backfill.source import CdrError
from uac_trio.backfill.table import CdrTable

pytestmark = pytest.mark.skipif(not wanted(), reason=f"{SWITCH} is not set")


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with temporary_postgresql() as directory:
        address = f"postgresql+psycopg://uac@/postgres?host={directory}"
        fill_server(address)
        yield address


def test_all_rows_are_read(address: str) -> None:
    source = CdrTable(sa.make_url(address))

    rows = list(source.rows(SPAN.since, SPAN.until))

    assert len(rows) == row_count()
    assert source.remarks() == []


async def test_calls_are_those_of_the_recordings(address: str) -> None:
    assert await found_on(address) == found_in_recordings()


def test_a_database_that_is_not_there(address: str) -> None:
    """The reason is the server's, on one line."""
    source = CdrTable(sa.make_url(address.replace("/postgres?", "/asteriskcdrdb?")))

    with pytest.raises(CdrError, match='database "asteriskcdrdb" does not exist') as refused:
        source.latest(1)

    assert "\n" not in str(refused.value)
