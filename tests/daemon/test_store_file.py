"""A real SQLite file that is taken away under the process that has it open."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
import structlog.testing

from uac_trio.daemon.store_file import StoreFile
from uac_trio.store.settings import OutboxSettings, file_of


def opened(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("CREATE TABLE IF NOT EXISTS thing (name TEXT)")
    return connection


@pytest.fixture
def store(tmp_path: Path) -> Iterator[StoreFile]:
    """Looked at once while all is well."""
    with closing(opened(tmp_path / "connector.db")):
        file = StoreFile(tmp_path / "connector.db")
        file.look()
        assert file.trouble == ""
        yield file


def replace(path: Path) -> None:
    other = path.with_name("other.db")
    other.write_bytes(path.read_bytes())
    other.rename(path)


@pytest.mark.parametrize(
    ("take_away", "words"),
    [
        (os.remove, "was deleted or moved while in use"),
        (lambda path: path.rename(path.with_name("elsewhere.db")), "was deleted or moved while in use"),
        (replace, "was replaced by another while in use"),
    ],
    ids=["deleted", "moved", "replaced"],
)
def test_file_that_is_lost(store: StoreFile, take_away: Callable[[Path], object], words: str) -> None:
    """It is reported once in the log, and as long as it lasts."""
    take_away(store.path)
    with structlog.testing.capture_logs() as logs:
        store.look()
        store.look()
    assert words in store.trouble
    assert [line["event"] for line in logs] == ["store.file_lost"]


def test_file_that_is_written_goes_on(store: StoreFile) -> None:
    """A file that others write, or that is put back, is no trouble."""
    with closing(sqlite3.connect(store.path)) as other:
        other.execute("INSERT INTO thing VALUES ('x')")
        other.commit()
    store.look()
    assert store.trouble == ""
    away = store.path.with_name("elsewhere.db")
    store.path.rename(away)
    store.look()
    assert store.trouble != ""
    away.rename(store.path)
    with structlog.testing.capture_logs() as logs:
        store.look()
    assert store.trouble == ""
    assert [line["event"] for line in logs] == ["store.file_found"]


def test_file_that_was_opened_anew(tmp_path: Path) -> None:
    """A store that has noticed it by itself, and opened or made the file at that path, is well."""
    path = tmp_path / "connector.db"
    with closing(opened(path)):
        file = StoreFile(path)
    path.rename(tmp_path / "damaged.db")
    with closing(opened(path)):
        file.look()
        assert file.trouble == ""
        os.remove(path)
        file.look()
        assert file.trouble != ""


def test_only_sqlite_has_a_file() -> None:
    """PostgreSQL's files are its own affair."""
    assert file_of(OutboxSettings(url="sqlite:////var/lib/x.db")) == Path("/var/lib/x.db")
    assert file_of(OutboxSettings(url="postgresql+psycopg://uac@db/uac")) is None
