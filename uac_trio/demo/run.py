"""The demo: recorded calls over AMI into the real daemon, which posts to a stand-in CRM that has a web page.

    recorded PBX --AMI over TCP--> daemon (outbox in a temporary SQLite file) --HTTP--> stand-in CRM --> page
         +--- files of recordings ---> daemon <--HTTP-- stand-in CRM <--- the page's player

Everything runs in this process, on loopback.
"""

from __future__ import annotations

import json
import re
import secrets
import signal
import socket
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import attrs
import trio

from uac_trio.clock import now
from uac_trio.config.loading import Config, load_config
from uac_trio.daemon.run import run_daemon
from uac_trio.demo.crm import CallRow, CRMContact, CRMUser, StandInCRM
from uac_trio.demo.crm_app import CALLBACK_PATH, call_columns, serve_crm_app
from uac_trio.demo.desk import Desks
from uac_trio.demo.monitor import FakeMixMonitor
from uac_trio.demo.recorded_pbx import Play, Played, RecordedPBX, serve_recorded_pbx
from uac_trio.demo.recording import shipped_recordings
from uac_trio.demo.truth import differences, expected_rows
from uac_trio.logs import LogSettings, configure_logging
from uac_trio.web.settings import CannotListenError

PBX_NAME = "demo"
LOOPBACK = "127.0.0.1"
USERS = (
    CRMUser(id=5, name="Anna Orlova", extension="101"),
    CRMUser(id=6, name="Boris Keller", extension="102"),
    CRMUser(id=7, name="Вера Зимина", extension="103"),
)
CUSTOMERS = (
    CRMContact(id=20, name="Пётр Иванов", owner=5, phones=("+7 (916) 123-45-67",)),
    CRMContact(id=21, name="Maria Lindqvist", owner=6, phones=("8 916 222-33-44",)),
    CRMContact(id=22, name="ООО «Ромашка»", kind="Accounts", owner=7, phones=("+7 495 123-45-67",)),
    CRMContact(id=23, name="James Carter", owner=6, phones=("+1 202 555-0147",)),
    CRMContact(id=24, name="Иван Петров", kind="Leads", owner=5, phones=("8 (916) 555-66-77",)),
)
SCHEDULE = (
    ("inbound_answered", 1.0),
    ("inbound_no_answer", 3.0),
    ("outbound_answered", 4.5),
    ("inbound_busy", 8.0),
    ("inbound_ringgroup_answered", 11.0),
    ("inbound_utf8_name", 16.0),
    ("outbound_busy", 17.5),
    ("inbound_rejected", 19.5),
    ("click2call_answered", 21.0),
    ("inbound_ringgroup_nobody", 28.0),
)
"""When each recording begins, in seconds. Some overlap; a pass takes 36 s."""
BETWEEN_PASSES = 5.0
CONNECTS_WITHIN = 15.0
"""Seconds for the daemon to log in to the recorded PBX."""
SETTLES_WITHIN = 20.0
"""Seconds after the last event within which the CRM must show the truth."""
STAYS_SETTLED = 1.0
"""Seconds for which it must then stay so: surplus rows would come late."""


class DemoError(Exception):
    """The demo failed; the text says why, and what to do."""


@attrs.frozen(kw_only=True)
class Judgement:
    """The result of one recording: its rows in the CRM, and how they differ from the truth."""

    played: Played
    rows: tuple[CallRow, ...]
    differences: tuple[str, ...]


def run_demo(*, once: bool, host: str = LOOPBACK, port: int | None = None, echo: Callable[[str], None]) -> int:
    """``uac-trio demo``. Without ``once`` it runs until SIGINT or SIGTERM.

    ``host``, ``port``: where the page is served; None: any free port.

    Returns the exit code. 1: the rows differ from the truth, the one pass was interrupted, or a part did not start.
    """
    configure_logging(LogSettings(level="warning"))
    try:
        return trio.run(partial(_demo, once=once, host=host, port=port or 0, echo=echo))
    except BaseExceptionGroup as group:
        faults = _leaves(group)
        if all(isinstance(fault, DemoError) for fault in faults):
            echo(f"uac-trio demo: {faults[0]}")
            return 1
        raise


async def _demo(*, once: bool, host: str = LOOPBACK, port: int, echo: Callable[[str], None]) -> int:
    code = 0
    stop = trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_stop_on_signal, stop)
        async with open_demo(host=host, port=port) as demo:
            echo(f"The CRM's page: {_for_others(demo.address)}/")
            echo(f"The connector's page: {demo.connector}/live")
            async with trio.open_nursery() as work:
                if once:
                    echo(f"Playing {len(SCHEDULE)} recorded calls, about 40 s.")
                    code = 1  # unless the pass succeeds

                    async def play() -> None:
                        nonlocal code
                        judgements = await demo.run_pass(SCHEDULE)
                        for line in report(demo.crm, judgements):
                            echo(line)
                        code = 1 if any(judgement.differences for judgement in judgements) else 0
                        stop.set()

                    work.start_soon(play)
                else:
                    echo("Recorded calls are replayed to the connector; the page shows the rows. Ctrl-C ends it.")
                    work.start_soon(demo.run_passes)
                await stop.wait()
                work.cancel_scope.cancel()
        nursery.cancel_scope.cancel()
    return code


async def _stop_on_signal(stop: trio.Event) -> None:
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for _ in signals:
            stop.set()


@attrs.define(kw_only=True)
class Demo:
    """A running demo."""

    address: str
    """Of the CRM's page."""
    config: Config
    """The daemon's."""
    crm: StandInCRM
    pbx: RecordedPBX
    pace: float
    _status: list[str]
    _passes: int = attrs.field(default=0, init=False)

    @property
    def connector(self) -> str:
        """The address of the daemon's HTTP server; its page is ``/live``."""
        return self.config.http.public_url

    async def run_pass(self, schedule: Sequence[tuple[str, float]]) -> list[Judgement]:
        """Play every recording once and wait until the CRM shows the truth, at most ``SETTLES_WITHIN``."""
        self._passes += 1
        self._show(f"Pass {self._passes}: {len(schedule)} recorded calls")
        recordings = shipped_recordings()
        played = await self.pbx.play([Play(recording=recordings[name], at=at) for name, at in schedule], self.pace)
        order = [name for name, _ in schedule]
        played.sort(key=lambda one: order.index(one.recording.name))
        judgements = await self._settled(played)
        wrong = sum(bool(judgement.differences) for judgement in judgements)
        verdict = "all rows agree with what happened" if not wrong else f"{wrong} calls differ from what happened"
        self._show(f"Pass {self._passes} is over: {verdict}")
        return judgements

    async def run_passes(self) -> None:
        """Run passes until cancelled."""
        while True:
            await self.run_pass(SCHEDULE)
            await trio.sleep(BETWEEN_PASSES)

    async def _settled(self, played: Sequence[Played]) -> list[Judgement]:
        agreed_since: float | None = None
        with trio.move_on_after(SETTLES_WITHIN):
            while agreed_since is None or trio.current_time() - agreed_since < STAYS_SETTLED:
                await trio.sleep(0.1)
                if any(judgement.differences for judgement in self._judge(played)):
                    agreed_since = None
                elif agreed_since is None:
                    agreed_since = trio.current_time()
        return self._judge(played)

    def _judge(self, played: Sequence[Played]) -> list[Judgement]:
        return [judged(self.crm, one, timed=self.pace == 1) for one in played]

    def _show(self, text: str) -> None:
        self._status[:] = [text]


def judged(crm: StandInCRM, played: Played, *, timed: bool = True) -> Judgement:
    """Compare the rows of a played recording with its truth, call by call."""
    rows: list[CallRow] = []
    found: list[str] = []
    for call in played.recording.calls:
        of_call = crm.tables.call(f"{PBX_NAME}-{played.rewriter.text(call['linkedid'])}")
        rows += of_call
        found += differences(crm, of_call, expected_rows(call), timed=timed)
    return Judgement(played=played, rows=tuple(rows), differences=tuple(found))


@asynccontextmanager
async def open_demo(*, host: str = LOOPBACK, port: int = 0, pace: float = 1.0) -> AsyncIterator[Demo]:
    """Run the recorded PBX, the stand-in CRM and the daemon, which is logged in. Raises DemoError.

    The daemon stops first, then the CRM that it posts to.
    """
    crm = StandInCRM(users=USERS, contacts=CUSTOMERS, secret=secrets.token_hex(16))
    desks = Desks(crm=crm, now=now)
    status = ["Waiting for the connector"]
    with tempfile.TemporaryDirectory(prefix="uac-trio-demo-") as folder:
        monitor = Path(folder) / "monitor"
        monitor.mkdir()
        pbx = RecordedPBX(now=now, observe=FakeMixMonitor(monitor).note)
        async with trio.open_nursery() as outside:
            try:
                (address,) = await outside.start(
                    partial(serve_crm_app, crm, host=host, port=port, now=now, headline=lambda: status[0], desks=desks)
                )
            except CannotListenError as why:
                if host == LOOPBACK:
                    what = f"port {port} cannot be used: {_cause(why)}. Take another with --port, or leave --port out"
                else:
                    what = f"{host}, port {port}, cannot be used: {_cause(why)}. Take others with --bind and --port"
                raise DemoError(what) from why
            pbx_port: int = await outside.start(partial(serve_recorded_pbx, pbx))
            config = _configure(Path(folder), ami_port=pbx_port, crm=crm, crm_address=_from_here(address))
            desks.connector = config.http.public_url
            async with trio.open_nursery() as inside:
                await inside.start(run_daemon, config)
                with trio.move_on_after(CONNECTS_WITHIN) as patience:
                    await pbx.watched.wait()
                if patience.cancelled_caught:
                    raise DemoError(f"the connector did not log in to the recorded PBX within {CONNECTS_WITHIN:g} s")
                yield Demo(address=address, config=config, crm=crm, pbx=pbx, pace=pace, status=status)
                inside.cancel_scope.cancel()
            outside.cancel_scope.cancel()


def _from_here(address: str) -> str:
    """The page's address for the daemon: one that means all addresses is none to connect to."""
    return address.replace("//0.0.0.0:", f"//{LOOPBACK}:").replace("//[::]:", "//[::1]:")


def _for_others(address: str) -> str:
    """The page's address for a browser, by the machine's name where it is served on all addresses."""
    return re.sub(r"//(0\.0\.0\.0|\[::\]):", f"//{socket.gethostname()}:", address)


def _configure(folder: Path, *, ami_port: int, crm: StandInCRM, crm_address: str) -> Config:
    """A configuration as an administrator would write it."""
    store = f"sqlite:///{folder / 'connector.db'}"
    http_port = _free_port()
    text = f"""
[[pbx]]
name = "{PBX_NAME}"
host = "127.0.0.1"
port = {ami_port}
username = "demo"
secret = "demo"
recordings = [{json.dumps(str(folder / "monitor"))}]

[vtiger]
url = "{crm_address}{CALLBACK_PATH}"
secret = "{crm.secret}"
flavour = "{crm.flavour.value}"
timezone = "{crm.zone}"

[http]
bind = "127.0.0.1:{http_port}"
public_url = "http://127.0.0.1:{http_port}"

[companion]
enabled = true
origins = ["{crm_address}"]

[store]
url = {json.dumps(store)}
"""
    path = folder / "connector.toml"
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)
    return load_config(path)


def _free_port() -> int:
    """A free port. The links to recordings have the port, so it must be known before the daemon listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def report(crm: StandInCRM, judgements: Sequence[Judgement]) -> list[str]:
    """The CRM's list as text, recording by recording, followed by the differences from the truth."""
    head = (
        "Call Status",
        "Customer Number",
        "Customer",
        "User",
        "Rec",
        "Sec",
        "Talk",
        "Start Time",
        "Recorded call",
        "Agrees",
    )
    table = [head]
    problems = []
    for judgement in judgements:
        name = judgement.played.recording.name
        verdict = "NO" if judgement.differences else "yes"
        problems += [f"{name}: {words}" for words in judgement.differences]
        for row in judgement.rows:
            shown = call_columns(crm, row)
            arrow = ">" if row.direction == "outbound" else "<"
            table.append(
                (f"{arrow} {row.callstatus}", shown["number"], shown["customer"] or "--", shown["user"],
                 "yes" if shown["recording"] else "", str(row.totalduration), str(row.billduration),
                 shown["start"], name, verdict)
            )  # fmt: skip
    widths = [max(len(line[column]) for line in table) for column in range(len(head))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in table]
    lines.insert(1, "  ".join("-" * width for width in widths).rstrip())
    rows = len(table) - 1
    if problems:
        return [*lines, "", "These differ from what really happened:", *problems]
    return [*lines, "", f"{len(judgements)} calls, {rows} rows: all agree with what really happened."]


def _cause(why: BaseException) -> str:
    return (why.__cause__.strerror or str(why.__cause__)) if isinstance(why.__cause__, OSError) else str(why)


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    found: list[BaseException] = []
    for one in group.exceptions:
        found += _leaves(one) if isinstance(one, BaseExceptionGroup) else [one]
    return found
