"""Everything but sending."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog.testing
from click.testing import CliRunner

from tests.daemon.test_live import live
from tests.daemon.world import (
    CALL_ID,
    CLICK,
    STORED_CALL,
    WHOLE_CALL,
    World,
    answered,
    asked,
    part_of_call,
    ringing,
    running,
    stored,
    unused_port,
)
from tests.sender.bench import a_call
from uac_trio.cli.run import run
from uac_trio.crm.protocol import CRMRequest
from uac_trio.daemon import dry_run
from uac_trio.daemon.dry_run import DryRunReport, dry_run_config
from uac_trio.store.rows import LeasedRow

ROOT = Path(__file__).parents[2]
PARTS = (part_of_call(None, ringing), part_of_call(ringing, answered), part_of_call(answered, None))
"""A call, by what is delivered of it: the END of a call that comes at once supersedes the ANSWER."""


def of(logs: Sequence[MutableMapping[str, Any]], event: str) -> list[MutableMapping[str, Any]]:
    return [line for line in logs if line["event"] == event]


def dry(world: World, more: str = "") -> dict[str, Any]:
    folder = world.tmp_path / "dry"
    folder.mkdir()
    return {"config": dry_run_config(world.config(more), folder), "dry_run": DryRunReport(mask=True)}


async def test_nothing_reaches_the_crm_or_the_pbx(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A whole call is rendered and shown as not sent; a click is refused with the reason."""
    monkeypatch.setattr("uac_trio.web.monitor.FRESH", 0.0)
    given = dry(world, '[route]\nbind = "127.0.0.1:4574"\n')
    report = given["dry_run"]
    with structlog.testing.capture_logs() as logs:
        async with running(**given) as address:
            session = await world.session()
            for number, part in enumerate(PARTS, start=1):
                await session.say(part)
                await world.until(lambda number=number: len(of(logs, "sender.would_send")) == number)  # type: ignore[misc]
            assert await asked(address, CLICK) == (200, "Error")
            await world.until(lambda: of(logs, "calls.ended"))
            state = await live(address)
            async with httpx.AsyncClient() as client:
                page = (await client.get(f"{address}/live")).text
                figures = (await client.get(f"{address}/metrics")).text
    assert world.crm.seen == []
    assert "Originate" not in session.names()
    assert not (world.tmp_path / "connector.db").exists()  # the database of [store]
    (call,) = state["ended"]
    assert {one["state"] for one in call["deliveries"]} == {"dry_run"}
    assert state["clicks"][0]["words"] == "not dialled: this is a dry run"
    assert [one["condition"] for one in state["findings"]] == ["dry_run"]
    assert state["crm"]["last_delivered_at"] is None
    assert "nothing is sent to the CRM" in page
    assert "uac_requests_sent_total{" not in figures
    assert [line["to"] for line in of(logs, "click2call.dry_run")] == ["+79161234567"]
    lines = list(report.lines())
    assert lines[:3] == [
        "Dry run: nothing was sent to the CRM and nothing was dialled.",
        "Calls with deliveries: 1. Clicks refused: 1.",
        "Requests that would have been sent: 4 (1 DialBegin, 1 DialAnswer, 1 Hangup, 1 EndCall).",
    ]
    assert lines[4] == CALL_ID
    assert [line.split()[3] for line in lines[5:]] == WHOLE_CALL
    assert "callerIdNumber=+7916***4567" in lines[5]
    assert "79161234567" not in "".join(lines)


async def test_a_real_run_afterwards_sends_its_own(world: World) -> None:
    """The store of a dry run is another one: nothing of it waits for the real run, which can even run beside it."""
    given = dry(world)
    async with running(**given), running(world.config()):
        await world.until(lambda: len(world.pbx.sessions) == 2)
        sessions = [await world.session(number) for number in (1, 2)]
        for steps, part in zip((1, 2, 4), PARTS, strict=True):
            for session in sessions:
                await session.say(part)
            await world.until(lambda steps=steps: world.crm.steps(CALL_ID) == WHOLE_CALL[:steps])  # type: ignore[misc]
    assert stored(world) == STORED_CALL
    assert world.crm.steps(CALL_ID) == WHOLE_CALL


async def test_what_has_an_effect_elsewhere_is_off(world: World) -> None:
    """The configuration of a dry run, whatever the file has."""
    config = dry_run_config(
        world.config(
            '[route]\nbind = "127.0.0.1:4574"\n[companion]\nenabled = true\n[recordings]\ndelete_files = true\n'
        ),
        world.tmp_path,
    )
    assert not config.responsible.is_on
    assert not config.companion.enabled
    assert not config.flight_recorder.enabled
    assert not config.playback.delete_files
    assert config.store.url == f"sqlite:///{world.tmp_path}/dry-run.db"


def leased(call: str) -> LeasedRow:
    (delivery, *_) = a_call(call)
    return LeasedRow(id=1, delivery=delivery, attempt=1, leased_by="x", leased_until=0, created_at=0)


async def test_a_long_report_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first calls are dropped and counted, and so many lines of a call are kept."""
    monkeypatch.setattr(dry_run, "MAX_CALLS", 2)
    monkeypatch.setattr(dry_run, "MAX_LINES", 3)
    report = DryRunReport(mask=False)
    request = CRMRequest(name="DialBegin", url="", body=b"", about={"from": "+79161234567", "callerName": "Anna"})
    for call in ("1", "2", "3", *["3"] * 9):
        report.note(leased(call), request)
    lines = list(report.lines())
    assert lines[1] == "Calls with deliveries: 3. Clicks refused: 0."
    assert lines[3] == "The first 1 calls are left out below."
    assert [line for line in lines if line.startswith("main-")] == ["main-2", "main-3"]
    assert len([line for line in lines if "from=+79161234567 callerName=Anna" in line]) == 4


async def test_numbers_and_names_are_masked() -> None:
    report = DryRunReport(mask=True)
    about = {"from": "+79161234567", "callerName": "Anna", "callstatus": "DialBegin", "note": ""}
    report.note(leased("1"), CRMRequest(name="DialBegin", url="", body=b"", about=about))
    assert list(report.lines())[-1].endswith("  101    DialBegin    from=+7916***4567 callerName=A***")


@contextmanager
def process(config: Path, folder: Path, bind: str) -> Iterator[subprocess.Popen[bytes]]:
    """``uac-trio run --dry-run``, its temporary directories in ``folder``."""
    command = [sys.executable, "-m", "uac_trio", "run", "--dry-run", "--config", str(config), "--bind", bind]
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(folder)}
    with (
        (folder.parent / "out").open("wb") as out,
        (folder.parent / "log").open("wb") as log,
        subprocess.Popen(command, stdout=out, stderr=log, env=environ) as daemon,
    ):
        try:
            yield daemon
        finally:
            daemon.kill()


async def test_the_command(world: World) -> None:
    """SIGTERM ends it with the report on stdout and 0; its database is gone."""
    folder = world.tmp_path / "temporary"
    folder.mkdir()
    taken = socket.create_server(("127.0.0.1", 0))  # of the connector that is in use
    config = world.config(bind=f"127.0.0.1:{taken.getsockname()[1]}")
    with taken, process(config.path, folder, f"127.0.0.1:{unused_port()}") as daemon:
        await world.until(lambda: "daemon.ready" in (world.tmp_path / "log").read_text(), 60)
        await (await world.session()).say(part_of_call(None, None))
        await world.until(lambda: "kind=end" in (world.tmp_path / "log").read_text(), 60)
        assert [one.name.startswith("uac-trio-dry-run-") for one in folder.iterdir()] == [True]
        daemon.send_signal(signal.SIGTERM)
        await world.until(lambda: daemon.poll() is not None, 60)
        assert daemon.returncode == 0
    assert (world.tmp_path / "out").read_text().startswith("Dry run: nothing was sent to the CRM")
    assert list(folder.iterdir()) == []
    assert world.crm.seen == []


def test_an_address_that_is_none(tmp_path: Path) -> None:
    """A usage error, with what was expected."""
    (tmp_path / "uac-trio.toml").touch()
    result = CliRunner().invoke(run, ["--config", str(tmp_path / "uac-trio.toml"), "--bind", "5005"])
    assert result.exit_code == 2
    assert "Invalid value for '--bind': expected" in result.output
