"""Every test of the outbox runs on a real SQLite file, and on a real PostgreSQL if wanted (tests/postgres.py)."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.postgres import temporary_postgresql, wanted

STORES = ["sqlite", "postgresql"] if wanted() else ["sqlite"]
_schemas = itertools.count(1)


@pytest.fixture(scope="session")
def postgresql_socket() -> Iterator[str]:
    with temporary_postgresql() as directory:
        yield directory


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test cuts the power of the machine it runs on."""
    monkeypatch.setattr("uac_trio.store.opening.SYNCHRONOUS", "OFF")


@pytest.fixture(params=STORES)
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty store of this test's own."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/connector.db"
    directory = request.getfixturevalue("postgresql_socket")
    server = f"postgresql+psycopg://uac@/postgres?host={directory}"
    schema = f"test_{next(_schemas)}"
    engine = sa.create_engine(server)
    with engine.begin() as connection:
        connection.execute(sa.schema.CreateSchema(schema))
    engine.dispose()
    return f"{server}&options=-csearch_path%3D{schema}"
