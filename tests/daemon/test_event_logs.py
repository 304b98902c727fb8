"""The daemon's event logs: what it heard of the calls in progress is what its next run begins with."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Any

import attrs
import pytest
import structlog

from tests.daemon.world import CALL_ID, World, part_of_call, ringing, running
from uac_trio.pipeline import Pipeline


def lines_of(logs: list[Any], event: str) -> list[Mapping[str, Any]]:
    return [line for line in logs if line["event"] == event]


def logged(world: World) -> list[str]:
    """The calls that have a log."""
    with sqlite3.connect(world.tmp_path / "connector.db") as connection:
        calls = [call for (call,) in connection.execute("select distinct call_id from event_log")]
    connection.close()
    return calls


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("uac_trio.daemon.storing.LOGGED_WITHIN", 0.02)
    monkeypatch.setattr("uac_trio.daemon.intake.START_OVER_PAUSE", 0.05)


async def test_restart(world: World) -> None:
    """The second run goes on from the event log of the first: it sends the rest of the call, and nothing twice."""
    with structlog.testing.capture_logs() as logs:
        async with running(world.config()):
            await (await world.session()).say(part_of_call(None, ringing))
            await world.until(lambda: world.crm.steps(CALL_ID) == ["DialBegin"])
        async with running(world.config()):
            session = await world.session(2)
            await session.say(part_of_call(ringing, None))
            await world.until(lambda: world.crm.steps(CALL_ID)[-1:] == ["EndCall"])
    (restored,) = lines_of(logs, "daemon.calls_restored")
    assert restored["participations"] == 1
    assert restored["event_logs"] == 1
    assert world.crm.steps(CALL_ID).count("DialBegin") == 1


async def test_log_of_a_call_that_is_over(world: World) -> None:
    """It goes with the call."""
    async with running(world.config()):
        session = await world.session()
        await session.say(part_of_call(None, ringing))
        await world.until(lambda: logged(world) == [CALL_ID])
        await session.say(part_of_call(ringing, None))
        await world.until(lambda: world.crm.steps(CALL_ID)[-1:] == ["EndCall"])
        await world.until(lambda: logged(world) == [])


@pytest.mark.parametrize("damage", ["", "{}", '[1,"event",1.0,7]'])
async def test_damaged_log(world: World, damage: str) -> None:
    """A damaged event log is reported and skipped: the outbox and the list of channels suffice."""
    async with running(world.config()):
        await (await world.session()).say(part_of_call(None, ringing))
        await world.until(lambda: world.crm.steps(CALL_ID) == ["DialBegin"])
    with sqlite3.connect(world.tmp_path / "connector.db") as connection:
        connection.execute("update event_log set entries = ?", (damage,))
    connection.close()
    with structlog.testing.capture_logs() as logs:
        async with running(world.config()):
            session = await world.session(2)
            await session.say(part_of_call(ringing, None))
            await world.until(lambda: world.crm.steps(CALL_ID)[-1:] == ["EndCall"])
    assert len(lines_of(logs, "daemon.event_log_damaged")) == 1
    assert world.crm.steps(CALL_ID).count("DialBegin") == 1


async def test_log_that_leads_to_a_fault(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault of ours over a call of before the restart does not keep us from starting."""
    async with running(world.config()):
        await (await world.session()).say(part_of_call(None, ringing))
        await world.until(lambda: world.crm.steps(CALL_ID) == ["DialBegin"])

    def faulty(*_: object) -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(Pipeline, "_replay_entry", faulty)
    with structlog.testing.capture_logs() as logs:
        async with running(world.config()):
            session = await world.session(2)
            await session.say(part_of_call(ringing, None))
            await world.until(lambda: world.crm.steps(CALL_ID)[-1:] == ["EndCall"])
    assert len(lines_of(logs, "daemon.restore_failed")) == 1
    assert world.crm.steps(CALL_ID).count("DialBegin") == 1


async def test_fault_in_digesting_is_not_repeated(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """After it the daemon begins without the event logs, which may lead to the same again."""
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
    assert len(lines_of(logs, "daemon.starting_over")) == 1
    assert all(line["event_logs"] == 0 for line in lines_of(logs, "daemon.calls_restored"))


async def test_last_words_of_a_killed_connector(world: World) -> None:
    """It was killed when a call was over and its recording was known, before that was delivered: the next run does."""
    config = world.config("[recordings]\nwait_seconds = 30", public_url="http://172.16.1.1:5000")
    config = attrs.evolve(config, calls=attrs.evolve(config.calls, linger=2.0))
    async with running(config):
        session = await world.session()
        await session.say(part_of_call(None, None))
        await world.until(lambda: world.crm.steps(CALL_ID)[-1:] == ["EndCall"])
        await world.until(lambda: logged(world) == [CALL_ID])
    async with running(config):
        await world.until(lambda: world.crm.steps(CALL_ID)[-1:] == ["Record"])
    assert logged(world) == []
