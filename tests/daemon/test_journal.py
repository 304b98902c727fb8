"""The daemon's journal: what it heard of the calls in progress is what its next run begins with."""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Mapping
from typing import Any

import attrs
import pytest
import structlog

from tests.daemon.world import CALL_ID, World, answered, part_of_call, ringing, running
from uac_trio.daemon import now
from uac_trio.journal import Heard, write_line
from uac_trio.pipeline import Pipeline


def told(logs: list[Any], event: str) -> list[Mapping[str, Any]]:
    return [line for line in logs if line["event"] == event]


def pages(world: World) -> int:
    with sqlite3.connect(world.tmp_path / "connector.db") as connection:
        (count,) = connection.execute("select count(*) from journal").fetchone()
    connection.close()
    return int(count)


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("uac_trio.daemon.storing.JOURNAL_WITHIN", 0.02)
    monkeypatch.setattr("uac_trio.daemon.intake.START_OVER_PAUSE", 0.05)


async def test_restart(world: World) -> None:
    """The second run knows what the first one heard, and tells the rest of the call; with no more than that it is told
    of no call twice."""
    with structlog.testing.capture_logs() as logs:
        async with running(world.config()):
            await (await world.session()).say(part_of_call(None, ringing))
            await world.until(lambda: world.crm.steps(CALL_ID) == ["DialBegin"])
        async with running(world.config()):
            session = await world.session(2)
            await session.say(part_of_call(ringing, None))
            await world.until(lambda: world.crm.steps(CALL_ID)[-1:] == ["EndCall"])
    (restored,) = told(logs, "daemon.calls_restored")
    assert restored["participations"] == 1
    assert restored["pages"] > 0
    assert world.crm.steps(CALL_ID).count("DialBegin") == 1


async def test_journal_of_calls_that_are_over(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is thrown away."""
    monkeypatch.setattr("uac_trio.daemon.intake.PRUNE_EVERY", 0.05)
    monkeypatch.setattr("uac_trio.daemon.intake.JOURNAL_SLACK", -1.0)
    async with running(world.config()):
        session = await world.session()
        await session.say(part_of_call(None, ringing))
        await world.until(lambda: pages(world) > 0)
        await session.say(part_of_call(ringing, None))
        await world.until(lambda: world.crm.steps(CALL_ID)[-1:] == ["EndCall"])
        await world.until(lambda: pages(world) == 0)


@pytest.mark.parametrize("damage", ["789c4b04000062006200", "00"], ids=["no line", "no page"])
async def test_damaged_journal(world: World, damage: str) -> None:
    """Is said, and done without: the outbox and the list of channels tell the most."""
    async with running(world.config()):
        await (await world.session()).say(part_of_call(None, ringing))
        await world.until(lambda: world.crm.steps(CALL_ID) == ["DialBegin"])
    with sqlite3.connect(world.tmp_path / "connector.db") as connection:
        connection.execute("update journal set data = ?", (bytes.fromhex(damage),))
    connection.close()
    with structlog.testing.capture_logs() as logs:
        async with running(world.config()):
            session = await world.session(2)
            await session.say(part_of_call(ringing, None))
            await world.until(lambda: world.crm.steps(CALL_ID)[-1:] == ["EndCall"])
    assert len(told(logs, "daemon.restore_failed")) == 1
    assert world.crm.steps(CALL_ID).count("DialBegin") == 1


async def test_journal_that_leads_to_a_fault(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault of ours over a call of before the restart does not keep us from starting."""
    async with running(world.config()):
        await (await world.session()).say(part_of_call(None, ringing))
        await world.until(lambda: world.crm.steps(CALL_ID) == ["DialBegin"])

    def faulty(*_: object) -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(Pipeline, "_hear_again", faulty)
    with structlog.testing.capture_logs() as logs:
        async with running(world.config()):
            session = await world.session(2)
            await session.say(part_of_call(ringing, None))
            await world.until(lambda: world.crm.steps(CALL_ID)[-1:] == ["EndCall"])
    assert len(told(logs, "daemon.restore_failed")) == 1
    assert world.crm.steps(CALL_ID).count("DialBegin") == 1


async def test_fault_in_digesting_is_not_repeated(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """After it the daemon begins without the journal, which may lead to the same again."""
    healthy = Pipeline.received

    def faulty(self: Pipeline, pbx: str, messages: Any, at: float) -> Any:
        if any(message.get("Event") == "Newstate" for message in messages):
            raise RuntimeError("a fault of ours")
        return healthy(self, pbx, messages, at)

    monkeypatch.setattr(Pipeline, "received", faulty)
    with structlog.testing.capture_logs() as logs:
        async with running(world.config()):
            await (await world.session()).say(part_of_call(None, ringing))
            await world.session(2)
    assert len(told(logs, "daemon.starting_over")) == 1
    assert all(line["pages"] == 0 for line in told(logs, "daemon.calls_restored"))


async def test_too_much_for_the_memory(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the store is away, lines for which there is no room are left out, requests are not; the journal begins
    anew after the hole."""
    monkeypatch.setattr("uac_trio.store.writer.PAUSE", 0.05)
    async with running(world.config()):
        session = await world.session()
        await session.say(part_of_call(None, ringing))
        await world.until(lambda: pages(world) > 0)
        monkeypatch.setattr("uac_trio.daemon.storing.MAX_JOURNAL", 0)
        await session.say(part_of_call(ringing, answered))
        await world.until(lambda: world.crm.steps(CALL_ID)[-1:] == ["DialAnswer"])
        before = pages(world)
        monkeypatch.undo()
        await session.say(part_of_call(answered, None))
        await world.until(lambda: world.crm.steps(CALL_ID)[-1:] == ["EndCall"])
        assert before > 0
        with sqlite3.connect(world.tmp_path / "connector.db") as connection:
            first = connection.execute("select min(at) from journal").fetchone()
            newest = connection.execute("select max(until) from journal").fetchone()
        connection.close()
        assert newest[0] - first[0] < 0.5


async def test_last_words_of_another(world: World) -> None:
    """A connector died knowing where the recording of a call that was over is, of which the freshest journal knows
    less: the next to start tells it."""
    config = world.config()
    config = attrs.evolve(
        config,
        http=attrs.evolve(config.http, public_url="http://172.16.1.1:5000"),
        calls=attrs.evolve(config.calls, linger=2.0),
    )
    async with running(config):
        session = await world.session()
        await session.say(part_of_call(None, ringing))
        await world.until(lambda: world.crm.steps(CALL_ID) == ["DialBegin"])
        await session.say(part_of_call(ringing, None))
        await world.until(lambda: world.crm.steps(CALL_ID)[-1:] == ["EndCall"])
    with sqlite3.connect(world.tmp_path / "connector.db") as connection:
        connection.execute("update journal set at = at - 10, until = until - 10")
        line = write_line(Heard("connected", now()))
        data = zlib.compress(line.encode())
        connection.execute(
            "insert into journal (pbx, run, at, until, size, data) values ('main', 'other', ?, ?, ?, ?)",
            (now(), now(), len(data), data),
        )
    connection.close()
    async with running(config):
        await world.until(lambda: world.crm.steps(CALL_ID)[-1:] == ["Record"])
