"""The demo as a whole: recorded PBX, the real daemon, the stand-in CRM, with few calls at twenty times the pace."""

from __future__ import annotations

import signal
import socket
from functools import partial

import attrs
import pytest
import trio

from uac_trio.demo import run
from uac_trio.demo.crm import CallRow, StandInCRM
from uac_trio.demo.recorded_pbx import Played
from uac_trio.demo.recording import Rewriter, shipped_recordings

pytestmark = pytest.mark.usefixtures("quickly")
FEW = (("inbound_answered", 0.0), ("inbound_ringgroup_nobody", 2.0), ("outbound_busy", 4.0))


@pytest.fixture
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "STAYS_SETTLED", 0.1)


async def test_a_pass_through_the_real_daemon() -> None:
    """Events over TCP, through daemon and outbox, by HTTP into the CRM: every row agrees with what happened."""
    with trio.fail_after(30):
        async with run.open_demo(pace=20) as demo:
            first = await demo.run_pass(FEW)
            again = await demo.run_pass(FEW[:1])
    assert [judgement.differences for judgement in first + again] == [(), (), (), ()]
    assert len(demo.crm.rows) == 6
    assert (demo.crm.stuck(), demo.crm.doubles(), demo.crm.hazards) == ([], [], [])
    text = "\n".join(run.report(demo.crm, first))
    assert "< completed" in text
    assert text.endswith("3 calls, 5 rows: all agree with what really happened.")
    assert demo.config.warnings == ()  # what a newcomer sees first is the address of the page


async def test_rows_that_differ_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that never become what happened are shown with what is wrong, after a bounded wait."""
    monkeypatch.setattr(run, "SETTLES_WITHIN", 0.5)
    monkeypatch.setattr(run, "USERS", run.USERS[1:])  # no user has extension 101
    with trio.fail_after(30):
        async with run.open_demo(pace=20) as demo:
            judgements = await demo.run_pass(FEW[:1])
    assert run.report(demo.crm, judgements)[-1] == "inbound_answered: no row of 101, expected completed"


def test_rows_and_differences_in_one_table() -> None:
    """The report has vTiger's columns, a line for each row, and says which recording it came from."""
    crm = StandInCRM(users=run.USERS, contacts=run.CUSTOMERS, secret="s")
    row = CallRow(
        pbxmanagerid=1, direction="outbound", callstatus="completed", starttime="2026-11-23 09:00:00", user="5",
        endtime="2026-11-23 09:00:05", totalduration=5, billduration=3, sourceuuid="a", customernumber="+79161234567",
        customer="20", recordingurl="http://c/?id=1",
    )  # fmt: skip
    crm.load([row])
    recording = shipped_recordings()["outbound_busy"]
    played = Played(recording=recording, rewriter=Rewriter(epoch=recording.epoch, shift=0, serial=1), began_at=0.0)
    judgement = run.Judgement(played=played, rows=(row,), differences=("it differs",))
    head, _, line, _, _, problem = run.report(crm, [judgement])
    assert head.split("  ")[0] == "Call Status"
    shown = ["> completed", "+79161234567", "Пётр Иванов", "Anna Orlova", "yes", "5", "3", "2026-11-23 09:00:00",
             "outbound_busy", "NO"]  # fmt: skip
    assert [cell.strip() for cell in line.split("  ") if cell] == shown
    assert problem == "outbound_busy: it differs"
    fine = run.report(crm, [attrs.evolve(judgement, differences=())])
    assert fine[-1] == "1 calls, 1 rows: all agree with what really happened."


def test_port_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page port that is taken ends the demo with a sentence that says what to do, and exit code 1."""
    monkeypatch.setattr(run, "configure_logging", lambda _: None)  # it is for the whole process
    said: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert run.run_demo(once=True, port=port, echo=said.append) == 1
    why = f"port {port} cannot be used: Address already in use"
    assert said == [f"uac-trio demo: {why}. Take another with --port, or leave --port out"]


@pytest.mark.parametrize("once", [False, True])
async def test_ctrl_c_ends_it(once: bool) -> None:
    """SIGINT ends the demo in order: with exit code 0, or 1 when the one pass of --once is not over."""
    said: list[str] = []
    codes: list[int] = []
    running = trio.Event()

    def echo(line: str) -> None:
        said.append(line)
        if line.endswith(("Ctrl-C ends it.", "about 40 s.")):
            running.set()

    async def demo() -> None:
        codes.append(await run._demo(once=once, port=0, echo=echo))

    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(demo)
            await running.wait()
            signal.raise_signal(signal.SIGINT)
    assert codes == [int(once)]
    assert said[0].startswith("The CRM's page: http://127.0.0.1:")


async def test_once_judges_by_its_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """--once: 0 when the rows agree, 1 when they do not."""
    monkeypatch.setattr(run, "SCHEDULE", FEW[:1])
    monkeypatch.setattr(run, "open_demo", partial(run.open_demo, pace=20))
    with trio.fail_after(30):
        assert await run._demo(once=True, port=0, echo=lambda _: None) == 0
        monkeypatch.setattr(run, "SETTLES_WITHIN", 0.2)
        monkeypatch.setattr(run, "USERS", run.USERS[1:])
        assert await run._demo(once=True, port=0, echo=lambda _: None) == 1


@pytest.mark.parametrize(
    ("host", "shown"), [("0.0.0.0", socket.gethostname()), ("127.0.0.1", "127.0.0.1"), ("127.0.0.2", "127.0.0.2")]
)
async def test_address_of_the_page(monkeypatch: pytest.MonkeyPatch, host: str, shown: str) -> None:
    """--bind serves it there; the first line is its address for a browser, and the daemon finds the CRM there."""
    monkeypatch.setattr(run, "SCHEDULE", FEW[:1])
    monkeypatch.setattr(run, "open_demo", partial(run.open_demo, pace=20))
    said: list[str] = []
    with trio.fail_after(30):
        assert await run._demo(once=True, host=host, port=0, echo=said.append) == 0
    assert said[0].startswith(f"The CRM's page: http://{shown}:")
