"""What happens while the daemon is away is filled in from the CDR that Asterisk writes.

The daemon goes away in the middle of a call, misses others whole, and comes back in the middle of the last. Then the
CRM's rows are held against what the phones did. Another start must change nothing.
"""

from __future__ import annotations

import enum
import shutil
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import attrs
import trio

from lab.asterisk import Server, end_process, start_process
from lab.listening import AttentiveCRM
from lab.live import (
    CRM_PORT,
    STOP_LIMIT,
    DaemonError,
    command_line,
    configuration,
    crm_extensions,
    faults_of,
    heard,
    last_words,
    monitor,
    new_crm,
    ready,
)
from lab.rows import ExpectedRow, expected_rows
from lab.scenarios.everyday import ALL, DID, GROUP
from lab.stage import Play, Scenario, Stage
from lab.truth import CUSTOMER, CUSTOMER2, Truth, inbound, outbound
from uac_trio.clock import now
from uac_trio.demo.crm import CallRow
from uac_trio.demo.crm_app import serve_crm_app

QUEUE = "4951000701"
FILLED_LIMIT = 150.0
"""Seconds from the last call's end until the CRM has all: a pass comes 35 s after the login, and the talk before the
login of the last call 35 s after a look each minute has shown that it is over."""
CLOSE = 1.5
"""Seconds on top of the half second that talk is good to."""
DONE = b"backfill.done"


class Away(enum.Enum):
    """How the daemon goes away."""

    STOPPED = "stopped"
    """SIGTERM."""
    KILLED = "killed"
    """SIGKILL."""
    FROZEN = "frozen"
    """SIGSTOP; SIGCONT brings it back, and Asterisk has kept the events for it, with their times: timestampevents."""


class Cdr(enum.Enum):
    """The file that the daemon reads."""

    OWN = "cdr-custom/uac-trio.csv"
    MASTER = "cdr-csv/Master.csv"


@attrs.frozen
class Cut:
    away: Away
    cdr: Cdr

    @property
    def name(self) -> str:
        return f"{self.away.value}-{self.cdr.name.lower()}"


CUTS = (*(Cut(away, Cdr.OWN) for away in Away), Cut(Away.STOPPED, Cdr.MASTER))


@attrs.frozen(kw_only=True)
class Outcome:
    """The result of one cut: nothing in ``wrong`` means it is right."""

    cut: Cut
    rows: tuple[str, ...]
    wrong: tuple[str, ...]
    seconds: float


# -- the daemon -------------------------------------------------------------------------------------------------------


@attrs.define(eq=False, kw_only=True)
class Daemon:
    """`uac-trio run`, which goes away and comes back with the same outbox."""

    server: Server
    config: Path
    starts: int = 0
    process: trio.Process | None = None

    @property
    def log(self) -> Path:
        """Of the last start."""
        return self.config.with_name(f"daemon-{self.starts}.log")

    async def start(self) -> None:
        """Raises DaemonError when it does not become ready."""
        self.starts += 1
        self.process = await start_process([*command_line(), "run", "--config", str(self.config)], self.log)
        await ready(self.server, self.process, self.log)

    async def stop(self) -> None:
        """By SIGTERM. Raises DaemonError when it ends with a code."""
        assert self.process is not None
        code = await end_process(self.process, STOP_LIMIT)
        if code:
            raise DaemonError(f"uac-trio run ended with code {code}: {last_words(self.log)}")

    async def go(self, away: Away) -> None:
        assert self.process is not None
        if away is Away.STOPPED:
            await self.stop()
        elif away is Away.KILLED:
            self.process.kill()
            await self.process.wait()
        else:
            self.process.send_signal(signal.SIGSTOP)

    async def come_back(self, away: Away) -> None:
        assert self.process is not None
        if away is Away.FROZEN:
            self.process.send_signal(signal.SIGCONT)
        else:
            await self.start()

    async def filled(self) -> None:
        """Wait for the end of the first pass since the last start."""
        while DONE not in self.log.read_bytes():  # noqa: ASYNC110 - another process writes it
            await trio.sleep(0.2)


@asynccontextmanager
async def _open_daemon(server: Server, crm_url: str, out: Path, cdr: Cdr) -> AsyncIterator[Daemon]:
    """Ready, with an outbox of its own."""
    daemon = Daemon(server=server, config=_written(server, crm_url, out, cdr))
    try:
        await daemon.start()
        yield daemon
    finally:
        if daemon.process is not None and daemon.process.returncode is None:
            daemon.process.send_signal(signal.SIGCONT)
            await end_process(daemon.process, STOP_LIMIT)


def _written(server: Server, crm_url: str, out: Path, cdr: Cdr) -> Path:
    """The configuration, in a directory of its own."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    recordings = f'recordings = ["{monitor(server)}"]'
    text = configuration(server, crm_url, out / "connector.db")
    assert recordings in text
    path = server.on_disk(f"{server.path('log')}/{cdr.value}")
    config = out / "connector.toml"
    config.write_text(text.replace(recordings, f'{recordings}\ncdr = "csv://{path}"'), encoding="utf-8")
    config.chmod(0o600)
    return config


# -- the calls --------------------------------------------------------------------------------------------------------


def _scenes(cut: Cut, daemon: Daemon) -> Sequence[Play]:
    async def cut_in_two(stage: Stage) -> list[Truth]:
        """The daemon goes away while 101 talks with a customer."""
        stage.plan("101", answer_after=1.5)
        call = stage.customer_calls(DID)
        await stage.talk(call, 2)
        begin = trio.current_time()
        await daemon.go(cut.away)
        await trio.sleep(4)
        call.bye()
        talk = 2 + trio.current_time() - begin
        return [inbound("completed", DID, rang=["101"], answered_by="101", talk=talk, parts={"101": "completed"})]

    async def back_in_the_middle(stage: Stage) -> list[Truth]:
        """The daemon comes back while 103 talks with a customer."""
        stage.plan("trunk", answer_after=1)
        call = stage.phones["103"].call(CUSTOMER2)
        await stage.talk(call, 5)
        begin = trio.current_time()
        await daemon.come_back(cut.away)
        await trio.sleep(3)
        call.bye()
        talk = 5 + trio.current_time() - begin
        return [
            outbound(
                "completed", "103", CUSTOMER2, rang=[CUSTOMER2], answered_by=CUSTOMER2, talk=talk,
                parts={"103": "completed"},
            )
        ]  # fmt: skip

    return (cut_in_two, *MISSED, back_in_the_middle)


async def given_up(stage: Stage) -> list[Truth]:
    """A customer calls 102 and gives up."""
    call = stage.customer_calls("4951000102", CUSTOMER2)
    await stage.rung("102")
    await trio.sleep(3)
    call.cancel()
    await stage.over(call)
    return [inbound("cancelled", "4951000102", CUSTOMER2, rang=["102"], parts={"102": "cancelled"})]


async def called_out(stage: Stage) -> list[Truth]:
    """101 calls a customer."""
    stage.plan("trunk", answer_after=2)
    call = stage.phones["101"].call(CUSTOMER)
    await stage.talk(call, 3)
    call.bye()
    return [outbound("completed", "101", rang=[CUSTOMER], answered_by=CUSTOMER, talk=3, parts={"101": "completed"})]


async def group_answered(stage: Stage) -> list[Truth]:
    """Three phones ring; 102 answers."""
    stage.plan("102", answer_after=1.5)
    call = stage.customer_calls(GROUP)
    await stage.talk(call, 4)
    call.bye()
    parts = {"101": "answered-elsewhere", "102": "completed", "103": "answered-elsewhere"}
    return [inbound("completed", GROUP, rang=ALL, answered_by="102", talk=4, parts=parts)]


async def queue_answered(stage: Stage) -> list[Truth]:
    """A customer waits in a queue of phones, and 101 answers."""
    stage.plan("101", answer_after=2)
    call = stage.customer_calls(QUEUE, CUSTOMER2)
    await stage.taken("101")
    await trio.sleep(3)
    call.bye()
    await stage.over(call)
    parts = {"101": "completed", "102": "answered-elsewhere", "103": "answered-elsewhere"}
    return [inbound("completed", QUEUE, CUSTOMER2, answered_by="101", talk=3, parts=parts, queue="support")]


MISSED: tuple[Play, ...] = (given_up, called_out, group_answered, queue_answered)


def _wanted(calls: Sequence[Truth], stage: Stage, cdr: Cdr) -> list[ExpectedRow]:
    """What CDR shows of them: no talk time in a queue of devices, and no recording in Master.csv."""
    rows = expected_rows(calls, heard(stage))
    if any("queue" in call for call in calls):
        rows = [attrs.evolve(row, talked=None) for row in rows]
    return [attrs.evolve(row, recorded=None) for row in rows] if cdr is Cdr.MASTER else rows


# -- one cut after another --------------------------------------------------------------------------------------------


def forget_cdr(server: Server) -> None:
    """Take away what earlier runs wrote. Asterisk opens the files anew for each row."""
    for cdr in Cdr:
        folder = server.on_disk(f"{server.path('log')}/{cdr.value}").parent
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)


async def cut_all(
    server: Server, stage: Stage, cuts: Sequence[Cut], out: Path, report: Callable[[Outcome], None]
) -> None:
    """Each of these cuts with its own daemon and CRM."""
    for cut in cuts:
        crm = new_crm(server.profile)
        async with trio.open_nursery() as nursery:
            serve = partial(serve_crm_app, crm, host=server.host, port=CRM_PORT, now=now)
            (address,) = await nursery.start(serve)
            async with _open_daemon(server, address, out / cut.name, cut.cdr) as daemon:
                report(await _judged(stage, crm, cut, daemon, out / cut.name))
            nursery.cancel_scope.cancel()


async def _judged(stage: Stage, crm: AttentiveCRM, cut: Cut, daemon: Daemon, out: Path) -> Outcome:
    begin = trio.current_time()
    wanted: list[ExpectedRow] = []
    wrong: list[str] = []
    for play in _scenes(cut, daemon):
        scene = _scene(play)
        calls, problem = await stage.play(scene, out / scene.name)
        wrong += [f"{scene.name}: {problem}"] if problem else []
        wanted += _wanted(calls, stage, cut.cdr)
    with trio.move_on_after(FILLED_LIMIT):
        if cut.away is not Away.FROZEN:
            await daemon.filled()
        while faults_of(crm, crm.rows, wanted, crm.hazards, CLOSE):  # noqa: ASYNC110 - the CRM gets it by HTTP
            await trio.sleep(0.2)
    wrong += faults_of(crm, crm.rows, wanted, crm.hazards, CLOSE)
    wrong += await _changed_by_another_start(crm, daemon)
    return Outcome(
        cut=cut,
        rows=tuple(_shown(row, crm_extensions(crm)) for row in crm.rows),
        wrong=tuple(wrong),
        seconds=trio.current_time() - begin,
    )


def _scene(play: Play) -> Scenario:
    name, about = getattr(play, "__name__", ""), (play.__doc__ or "").strip()
    return Scenario(name=name, profile="plain", about=about, play=play, user="crm", everyday=False, live_only=True)


async def _changed_by_another_start(crm: AttentiveCRM, daemon: Daemon) -> list[str]:
    before = [str(row) for row in crm.rows]
    await daemon.stop()
    await daemon.start()
    with trio.move_on_after(FILLED_LIMIT) as waiting:
        await daemon.filled()
        await trio.sleep(2)  # for what should not come
    if waiting.cancelled_caught:
        return [f"no back-fill within {FILLED_LIMIT:.0f} s of another start: {last_words(daemon.log)}"]
    after = [str(row) for row in crm.rows]
    return [f"changed by another start: {row}" for row in after if row not in before]


def _shown(row: CallRow, extension_of: dict[str, str]) -> str:
    link = "recording" if row.recordingurl else "-"
    who = extension_of.get(row.user or "", row.user)
    return (
        f"{row.direction} {row.customernumber} {row.callstatus} {who} {row.starttime} talk {row.billduration} of "
        f"{row.totalduration} s {link}"
    )
