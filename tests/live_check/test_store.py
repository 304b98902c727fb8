from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import attrs
import pytest

from tests.daemon.world import world
from tests.store.calls import delivery
from uac_trio.crm.delivery import Delivery, Kind
from uac_trio.live_check.finding import Findings, Level
from uac_trio.live_check.store import check_store
from uac_trio.store.inspecting import inspect_store
from uac_trio.store.outbox import open_outbox
from uac_trio.store.rows import Delivered, LeaseRequest, Parked
from uac_trio.store.settings import OutboxSettings

__all__ = ["world"]

NOW = 1795413713.0


def said(findings: Findings, level: Level) -> str:
    return "\n".join(finding.words for finding in findings.found if finding.level is level)


def store_at(path: Path) -> OutboxSettings:
    return OutboxSettings(url=f"sqlite:///{path}", busy_timeout=0.05)


async def store_looked_at(path: Path, now: float = NOW) -> Findings:
    findings = Findings("store")
    await check_store(store_at(path), lambda: now, findings)
    return findings


def begin(number: int) -> Delivery:
    return delivery(Kind.BEGIN, f"main-{number}")


async def test_store_that_is_not_there(tmp_path: Path) -> None:
    """A store before its first start is no problem, and is not made by looking."""
    findings = await store_looked_at(tmp_path / "connector.db")
    assert "does not exist yet and can be created" in said(findings, Level.OK)
    assert os.listdir(tmp_path) == []


async def test_store_with_rows(tmp_path: Path) -> None:
    """What waits and what is parked is counted, with the reasons, numbers in part."""
    path = tmp_path / "connector.db"
    async with open_outbox(store_at(path)) as outbox:
        await outbox.put([begin(1), begin(2)], NOW)
        (row,) = await outbox.lease(LeaseRequest(owner="us", limit=1, seconds=60), NOW)
        await outbox.settle(row, Parked(reason="refused 79161234567"), NOW)
        assert await outbox.recordings.count_by_state() == {}
    before = path.read_bytes()
    findings = await store_looked_at(path, NOW + 3600)
    assert "its schema is current (" in said(findings, Level.OK)
    warnings = said(findings, Level.WARNING)
    assert "1 deliveries wait, 0 are delivered and still kept; the oldest waits for 60 minutes" in warnings
    assert "1 dead letters: refused 7916***4567: uac-trio outbox list shows them" in warnings
    assert path.read_bytes() == before


async def test_store_beside_the_daemon(tmp_path: Path) -> None:
    """A store that a daemon has open is looked at all the same."""
    async with open_outbox(store_at(tmp_path / "connector.db")) as outbox:
        await outbox.put([begin(1)], NOW)
        findings = await store_looked_at(tmp_path / "connector.db")
        assert "1 deliveries wait" in said(findings, Level.OK)
        assert (await outbox.statistics()).waiting == 1


def set_schema(path: Path, revision: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE uac_trio_version SET version_num = ?", (revision,))
        connection.commit()


async def test_store_of_an_earlier_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An older schema is reported, and left as it is. (There is one schema so far; that of tomorrow is made up.)"""
    path = tmp_path / "connector.db"
    async with open_outbox(store_at(path)):
        pass
    monkeypatch.setattr("uac_trio.store.inspecting.REVISION", "9999")
    look_ = await inspect_store(store_at(path))
    assert (look_.schema, look_.newest, look_.statistics) == ("0101", "9999", None)
    assert "the next start updates its schema to 9999" in said(await store_looked_at(path), Level.OK)


@pytest.mark.parametrize(
    ("revision", "words"),
    [
        ("r9999", "was written by a newer uac-trio (schema r9999; this one knows up to 0101): install"),
        ("0002", "was written by a version from before the first release"),
    ],
)
async def test_store_that_cannot_be_read(tmp_path: Path, revision: str, words: str) -> None:
    """A schema that this version does not know is a problem, before the daemon finds out."""
    path = tmp_path / "connector.db"
    async with open_outbox(store_at(path)):
        pass
    set_schema(path, revision)
    assert words in said(await store_looked_at(path), Level.PROBLEM)


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"no database" * 100, "damaged or no SQLite database"), (None, "belongs to another program (table theirs)")],
)
async def test_store_of_another_program(tmp_path: Path, content: bytes | None, words: str) -> None:
    """A file that is damaged or another program's is a problem, and is left alone."""
    path = tmp_path / "connector.db"
    if content is None:
        with sqlite3.connect(path) as connection:
            connection.execute("CREATE TABLE theirs (x)")
        connection.close()
    else:
        path.write_bytes(content)
    before = path.read_bytes()
    assert words in said(await store_looked_at(path), Level.PROBLEM)
    assert path.read_bytes() == before


async def test_store_that_is_locked(tmp_path: Path) -> None:
    """A store that another program keeps locked is a problem."""
    path = tmp_path / "connector.db"
    async with open_outbox(store_at(path)):
        pass
    locked = sqlite3.connect(path, isolation_level=None)
    locked.execute("BEGIN EXCLUSIVE")
    findings = await store_looked_at(path)
    locked.close()
    assert "another program keeps the file locked" in said(findings, Level.PROBLEM)


async def test_store_without_its_directory(tmp_path: Path) -> None:
    """A directory that is not there is named."""
    findings = await store_looked_at(tmp_path / "nowhere" / "connector.db")
    assert f"its directory {tmp_path}/nowhere does not exist" in said(findings, Level.PROBLEM)


@pytest.mark.parametrize(
    ("free", "level"), [(50 << 20, Level.PROBLEM), (500 << 20, Level.WARNING), (5 << 30, Level.OK)]
)
async def test_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, level: Level) -> None:
    """A disk that is almost full is reported before it is full."""
    usage = attrs.make_class("Usage", ["free"])
    monkeypatch.setattr("uac_trio.live_check.store.shutil.disk_usage", lambda _: usage(free))
    assert "GiB are free where the store is" in said(await store_looked_at(tmp_path / "x.db"), level)


async def test_errors_that_were_taken_for_written(tmp_path: Path) -> None:
    """A CRM that answers an error to what it writes is known by what it answered to calls."""
    path = tmp_path / "connector.db"
    async with open_outbox(store_at(path)) as outbox:
        await outbox.put([begin(1)], NOW)
        (row,) = await outbox.lease(LeaseRequest(owner="us", limit=1, seconds=60), NOW)
        await outbox.settle(row, Delivered(is_probable=True), NOW)
    assert "answered an error (HTTP 500) to calls of 101" in said(await store_looked_at(path), Level.WARNING)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
async def test_store_of_another_user(tmp_path: Path) -> None:
    """A database that a command made as root is named with its owner, and the command that gives it back."""
    path = tmp_path / "connector.db"
    async with open_outbox(store_at(path)):
        pass
    assert "store.owner" not in {finding.id for finding in (await store_looked_at(path)).found}
    os.chown(tmp_path, 1, -1)
    problem = said(await store_looked_at(path), Level.PROBLEM)
    assert f"{path} belongs to root, its directory to daemon" in problem
    assert problem.endswith(f"chown daemon: {path}")
