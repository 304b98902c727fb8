"""``uac-trio outbox``: what an administrator sees of the dead letters, and does with them."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
from click.testing import CliRunner, Result

from tests.store.calls import NOW, NUMBER, a_call
from uac_trio.cli import main
from uac_trio.crm.delivery import Kind
from uac_trio.store import dead_letters
from uac_trio.store.outbox import Outbox, open_outbox
from uac_trio.store.rows import Delivered, LeaseRequest, OutboxStatistics, Parked
from uac_trio.store.settings import OutboxSettings

CONFIG = """
[[pbx]]
name = "main"
host = "127.0.0.1"
username = "crm"
secret = "ami-s3cret"
[vtiger]
url = "http://127.0.0.1:9/PBXManager.php"
secret = "crm-s3cret"
[store]
url = "sqlite:///{folder}/connector.db"
busy_timeout = 0.1
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "uac-trio.toml"
    path.write_text(CONFIG.format(folder=tmp_path))
    return path


async def with_two_calls(outbox: Outbox) -> None:
    """Rows 1 and 3 are parked, what follows them is delivered."""
    kinds = [Kind.BEGIN, Kind.END]
    await outbox.put([*a_call("main-1", kinds), *a_call("main-2", kinds)], NOW)
    for outcome in (Parked(reason=f"refused, said {NUMBER}"), Delivered()):
        for row in await outbox.lease(LeaseRequest(owner="me", limit=2, seconds=60), NOW + 1):
            await outbox.settle(row, outcome, NOW + 2)


async def looked_into(folder: Path) -> OutboxStatistics:
    async with open_outbox(OutboxSettings(url=f"sqlite:///{folder}/connector.db")) as outbox:
        return await outbox.statistics()


@pytest.fixture
def filled(config: Path, tmp_path: Path) -> Path:
    async def fill() -> None:
        async with open_outbox(OutboxSettings(url=f"sqlite:///{tmp_path}/connector.db")) as outbox:
            await with_two_calls(outbox)

    trio.run(fill)
    return config


def invoked(command: str, config: Path, *more: str) -> Result:
    result = CliRunner().invoke(main, ["outbox", command, "--config", str(config), *more])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def test_list(filled: Path) -> None:
    """A line for each dead letter, with its number, call, extension, kind and reason; telephone numbers in part."""
    result = invoked("list", filled)

    first, second = result.output.splitlines()
    assert result.exit_code == 0
    assert first.startswith("1  2026-09-2")
    assert first.endswith("main-1  101  begin  7916***4567  sent 1 times: refused, said 7916***4567")
    assert second.startswith("3  ")


def test_list_with_numbers(filled: Path) -> None:
    """In full for who asks for it."""
    assert invoked("list", filled, "--show-numbers").output.count(NUMBER) == 4


def test_list_with_counts(filled: Path) -> None:
    """How many there are in each state."""
    assert "waiting: 0, sending: 0, parked: 2, delivered: 2, superseded: 0\n" in invoked("list", filled, "--all").output


def test_retry(filled: Path, tmp_path: Path) -> None:
    """A dead letter goes again, and so does the END behind it; the other call is left alone."""
    result = invoked("retry", filled, "1")

    assert (result.exit_code, result.output) == (
        0,
        "1: will be sent again, 2 deliveries with the later ones of its call\n",
    )
    statistics = trio.run(looked_into, tmp_path)
    assert (statistics.waiting, statistics.parked, statistics.delivered) == (2, 1, 1)
    assert "the oldest that waits: 2026-09-2" in invoked("list", filled, "--all").output


def test_retry_of_all(filled: Path, tmp_path: Path) -> None:
    """Everything that is parked goes again."""
    assert invoked("retry", filled, "--all").exit_code == 0
    assert trio.run(looked_into, tmp_path).waiting == 4
    assert invoked("list", filled).output == "there are no dead letters\n"


def test_drop(filled: Path, tmp_path: Path) -> None:
    """A dropped delivery is parked no more and never sent."""
    result = invoked("drop", filled, "3")

    assert (result.exit_code, result.output) == (0, "3: dropped\n")
    statistics = trio.run(looked_into, tmp_path)
    assert (statistics.waiting, statistics.parked, statistics.superseded) == (0, 1, 1)


@pytest.mark.parametrize("command", ["retry", "drop"])
def test_a_row_that_is_not_parked(filled: Path, command: str) -> None:
    """What can be done is done; a number that is not parked is named, with exit code 1."""
    result = invoked(command, filled, "2", "3")

    assert result.exit_code == 1
    assert result.stdout.startswith("3: ")
    assert result.stderr == "uac-trio: 2 is not a dead letter; uac-trio outbox list shows them\n"


@pytest.mark.parametrize("command", ["retry", "drop"])
@pytest.mark.parametrize("more", [(), ("1", "--all")])
def test_neither_or_both(filled: Path, command: str, more: tuple[str, ...]) -> None:
    """Which ones are meant has to be said, one way: exit code 2."""
    assert invoked(command, filled, *more).exit_code == 2


def test_no_outbox(config: Path, tmp_path: Path) -> None:
    """Without an outbox there is a message, exit code 1, and still no file."""
    result = invoked("list", config)

    assert result.exit_code == 1
    assert "no such file" in result.stderr
    assert not (tmp_path / "connector.db").exists()


def test_wrong_configuration(config: Path) -> None:
    """Exit code 2, as of every command."""
    config.write_text("[store]\nurl = 'mysql://x'\n")
    assert invoked("list", config).exit_code == 2


def test_more_than_are_shown(filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list that is cut says so."""

    async def first(outbox: Outbox, limit: int = 1) -> object:
        return await outbox._read(dead_letters.parked, 1)

    monkeypatch.setattr(Outbox, "parked", first)
    assert invoked("list", filled).output.endswith("... and 1 more\n")
