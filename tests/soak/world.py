"""The soak itself: PBX, CRM, connectors, and the faults that strike them, all by one seed."""

from __future__ import annotations

import math
import random
import signal
import sqlite3
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import attrs
import sqlalchemy as sa
import trio

from tests.faults.crm import Fault, FaultyCRM, faulty_crm
from tests.faults.proxy import Proxy, open_proxy
from tests.postgres import restart_postgresql
from tests.soak.calls import Piece, Verdict, Witness, judge, new_crm, repertoire, rows_as_sent
from tests.soak.connector import Connector
from uac_trio.calls.adapters import WANTED_EVENTS
from uac_trio.clock import now
from uac_trio.demo.recorded_pbx import Play, Played, RecordedPBX, serve_recorded_pbx

SECRET = "soak-secret"
FAULT_EVERY = 1.6
"""Seconds between two faults, on average."""
KILL_EVERY = 14.0
LONG_FREEZE = 30.0
LONG_FREEZES = 0.15
"""Of all freezes, how many are as long as that."""
LONG_SOAK = 1200.0
"""Seconds of a soak in which they are."""
SETTLES_WITHIN = 120.0
STAYS_SETTLED = 3.0
MOST_EXCUSED = 0.02
"""Of the rows, how many may differ by what was lost in the moment of a fault, of calls that no connector saw whole."""

ONE_ANSWER = (
    *(fault for fault in Fault if fault.value.startswith(("applied", "not applied: connection"))),
    Fault.UNKNOWN_TEXT,
)  # five times, and the request is parked, as it should be
FOR_A_WHILE = (*(fault for fault in Fault if fault not in (*ONE_ANSWER, Fault.NONE)), Fault.SLOW)


@attrs.frozen(kw_only=True)
class Plan:
    seconds: float
    seed: int
    rate: float
    connectors: int
    postgresql: str
    """The socket's directory of a server; "" = SQLite."""
    calm: bool


@attrs.define(kw_only=True)
class Figures:
    verdict: Verdict
    faults: Counter[str]
    kills: int
    requests: int
    doubles: int
    overlaps: list[str]
    logged: Counter[str]

    @property
    def wrong(self) -> list[str]:
        failures = ("daemon.digest_failed", "daemon.requests_lost", "sender.parked", "Traceback")
        wrong = [
            *self.verdict.wrong,
            *(f"two requests of {call} at once" for call in self.overlaps),
            *(f"logged {self.logged[word]} times: {word}" for word in failures if self.logged[word]),
        ]
        excused = self.verdict.forgotten + self.verdict.outdone
        if excused > self.verdict.rows * MOST_EXCUSED:
            wrong.append(f"{excused} rows differ by what was on its way when something broke: too many")
        return wrong


@attrs.define(eq=False, kw_only=True)
class World:
    plan: Plan
    folder: Path
    random: random.Random
    pbx: RecordedPBX
    crm: FaultyCRM
    crm_proxy: Proxy
    connectors: list[Connector]
    faults: Counter[str] = attrs.field(factory=Counter)
    stored_since: float = math.inf
    """Since when the store takes nothing; infinite: it does."""

    @property
    def store(self) -> str:
        if self.plan.postgresql:
            return f"postgresql+psycopg://uac@/postgres?host={self.plan.postgresql}"
        return f"sqlite:///{self.folder}/connector.db"

    async def strike(self) -> None:
        """Fault after fault, until cancelled."""
        kinds: list[tuple[float, Callable[[], Awaitable[None]]]] = [
            (8, self._one_bad_answer),
            (3, self._bad_answers_for_a_while),
            (2, self._crm_not_there),
            (1.5, self._pbx_cut),
            (0.5, self._pbx_silent),
            (0.5, self._pbx_not_there),
            (0.5, self._pbx_refuses_login),
            (1, self._pbx_slow),
            (1, self._hang),
            (0.5, self._stop_and_start),
            (1, self._store_away),
        ]
        weights = [weight for weight, _ in kinds]
        async with trio.open_nursery() as nursery:
            while True:
                await trio.sleep(self.random.expovariate(1 / FAULT_EVERY))
                (_, fault), *_ = self.random.choices(kinds, weights)
                nursery.start_soon(fault)

    async def kill(self) -> None:
        """One connector or another, at any moment, until cancelled. It is started again at once."""
        while True:
            await trio.sleep(self.random.uniform(0.5, 2 * KILL_EVERY - 0.5))
            await self._end(self.random.choice(self.connectors), signal.SIGKILL)

    def busy(self, connector: Connector) -> bool:
        """Is it being started or frozen at this moment?"""
        return connector in self._handled

    _handled: set[Connector] = attrs.field(factory=set, init=False)

    async def _end(self, connector: Connector, how: signal.Signals) -> None:
        if connector in self._handled:
            return
        self._handled.add(connector)
        try:
            with trio.CancelScope(shield=True):  # whom we stopped we start
                await connector.stop(how, self.stored_since)
                await connector.start()
                await connector.watching()
        finally:
            self._handled.discard(connector)

    # -- The CRM ------------------------------------------------------------------------------------------------------

    async def _one_bad_answer(self) -> None:
        self.crm.faults.append(self.random.choice(ONE_ANSWER))  # counted when it strikes

    async def _bad_answers_for_a_while(self) -> None:
        self.crm.always = self.random.choice(FOR_A_WHILE)
        await trio.sleep(self.random.uniform(0.5, 2.5))
        self.crm.always = Fault.NONE

    async def _crm_not_there(self) -> None:
        self.faults["CRM: connection refused"] += 1
        self.crm_proxy.down()
        self.crm_proxy.cut()
        await trio.sleep(self.random.uniform(0.5, 3))
        await self.crm_proxy.up()

    # -- The PBX ------------------------------------------------------------------------------------------------------

    async def _pbx_cut(self) -> None:
        self.faults["PBX: connection reset"] += self.random.choice(self.connectors).proxy.cut()

    async def _pbx_silent(self) -> None:
        self.faults["PBX: half-open connection"] += 1
        self.random.choice(self.connectors).stall()

    async def _pbx_not_there(self) -> None:
        self.faults["PBX: connection refused"] += 1
        proxy = self.random.choice(self.connectors).proxy
        proxy.down()
        proxy.cut()
        await trio.sleep(self.random.uniform(0.3, 1.5))
        await proxy.up()

    async def _pbx_refuses_login(self) -> None:
        self.faults["PBX: login refused"] += 1
        self.pbx.secret = "another"
        self.random.choice(self.connectors).proxy.cut()
        await trio.sleep(self.random.uniform(0.3, 1.5))
        self.pbx.secret = "demo"

    async def _pbx_slow(self) -> None:
        self.faults["PBX: slow"] += 1
        proxy = self.random.choice(self.connectors).proxy
        proxy.delay = 0.2
        await trio.sleep(self.random.uniform(0.5, 2))
        proxy.delay = 0.0

    # -- The connectors and their store -------------------------------------------------------------------------------

    async def _hang(self) -> None:
        connector = self.random.choice(self.connectors)
        usual = 12.0 if len(self.connectors) > 1 else 2.0
        seconds = self.random.uniform(0.2, usual)
        if self.plan.seconds >= LONG_SOAK and self.random.random() < LONG_FREEZES:
            seconds = LONG_FREEZE
        if connector in self._handled:
            return
        self._handled.add(connector)
        self.faults["connector: hangs (SIGSTOP)"] += 1
        try:
            await connector.freeze(seconds)
        finally:
            self._handled.discard(connector)

    async def _stop_and_start(self) -> None:
        connector = self.random.choice(self.connectors)
        self.faults["connector: SIGTERM"] += connector not in self._handled
        await self._end(connector, signal.SIGTERM)

    async def _store_away(self) -> None:
        if self.stored_since < math.inf:
            return
        self.stored_since = now() - 0.5
        try:
            if not self.plan.postgresql:
                self.faults["store: locked"] += 1
                await trio.to_thread.run_sync(self._lock_sqlite, self.random.uniform(0.5, 3))
            elif self.random.random() < 0.3:
                self.faults["store: restarted"] += 1
                await trio.to_thread.run_sync(restart_postgresql, self.plan.postgresql)
            else:
                self.faults["store: connections ended"] += 1
                await trio.to_thread.run_sync(self._end_sessions)
            await trio.sleep(2.5)  # the daemon tries again every second
        finally:
            self.stored_since = math.inf

    def _lock_sqlite(self, seconds: float) -> None:
        # A frozen connector may hold the lock.
        connection = sqlite3.connect(self.folder / "connector.db", isolation_level=None, timeout=2 * LONG_FREEZE)
        try:
            connection.execute("BEGIN EXCLUSIVE")
            trio.from_thread.run(trio.sleep, seconds)
            connection.execute("ROLLBACK")
        finally:
            connection.close()

    def _end_sessions(self) -> None:
        engine = sa.create_engine(self.store)
        with engine.begin() as connection:
            connection.execute(
                sa.text("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'uac-trio'")
            )
        engine.dispose()

    # -- The end ------------------------------------------------------------------------------------------------------

    def witnesses(self) -> list[Witness]:
        """What each connector knew."""
        return [
            Witness(
                rows=rows_as_sent([connector.heard()]),
                rows_anew=rows_as_sent(connector.lives()),
                knows=partial(_knows, connector),
                may_have_forgotten=partial(_may_have_forgotten, connector),
            )
            for connector in self.connectors
        ]

    async def settle(self) -> None:
        """Wait until the CRM is asked nothing more."""
        seen, since = -1, trio.current_time()
        with trio.move_on_after(SETTLES_WITHIN):
            while trio.current_time() - since < STAYS_SETTLED or await self._waiting():
                if len(self.crm.http.seen) != seen:
                    seen, since = len(self.crm.http.seen), trio.current_time()
                await trio.sleep(0.2)

    async def _waiting(self) -> int:
        def count() -> int:
            engine = sa.create_engine(self.store)
            with engine.connect() as connection:
                query = sa.text("select count(*) from delivery where state in ('waiting', 'sending')")
                waiting: int = connection.scalar(query) or 0
            engine.dispose()
            return waiting

        return await trio.to_thread.run_sync(count)


async def soak(plan: Plan, folder: Path) -> Figures:
    """Play, strike, settle, compare."""
    dice = random.Random(plan.seed)
    pieces = {piece.recording.name: piece for piece in repertoire()}
    pbx = RecordedPBX(now=now)
    async with trio.open_nursery() as nursery:
        pbx_port: int = await nursery.start(partial(serve_recorded_pbx, pbx))
        async with faulty_crm(new_crm(SECRET), now) as crm, open_proxy(crm.http.port) as crm_proxy:
            crm.slow = 0.7
            proxies = [await nursery.start(_proxy, pbx_port) for _ in range(plan.connectors)]
            connectors = [Connector(f"connector{n}", folder, proxy, now) for n, proxy in enumerate(proxies, 1)]
            world = World(plan=plan, folder=folder, random=dice, pbx=pbx, crm=crm, crm_proxy=crm_proxy,
                          connectors=connectors)  # fmt: skip
            for connector in connectors:
                connector.configure(crm_port=crm_proxy.port, secret=SECRET, store=world.store)
                await connector.start()
                await connector.watching()
            played = await _play_and_strike(world, _schedule(dice, plan, list(pieces.values())))
            await world.settle()
            for connector in connectors:
                await connector.stop(signal.SIGTERM, math.inf)
            verdict = judge(crm.crm, pieces, played, world.witnesses())
        nursery.cancel_scope.cancel()
    faults = world.faults + Counter({f"CRM: {fault.value}": count for fault, count in crm.struck.items()})
    return Figures(
        verdict=verdict,
        faults=faults,
        kills=sum(connector.kills for connector in connectors),
        requests=len(crm.http.seen),
        doubles=crm.doubles,
        overlaps=crm.http.overlaps,
        logged=sum((connector.logged() for connector in connectors), Counter()),
    )


def _times(played: Played) -> list[float]:
    events = [timed for timed in played.recording.events if timed.event.name in WANTED_EVENTS]
    return [played.began_at + timed.at - played.recording.began for timed in events]


def _knows(connector: Connector, played: Played) -> bool:
    return connector.knows(_times(played))


def _may_have_forgotten(connector: Connector, played: Played) -> bool:
    return connector.may_have_forgotten(_times(played))


async def _proxy(to: int, task_status: trio.TaskStatus[Proxy] = trio.TASK_STATUS_IGNORED) -> None:
    async with open_proxy(to) as proxy:
        task_status.started(proxy)
        await trio.sleep_forever()


def _schedule(dice: random.Random, plan: Plan, pieces: list[Piece]) -> list[Play]:
    """Recordings at random moments, the last early enough to end in time."""
    plays, at = [], 0.0
    while at < plan.seconds:
        plays.append(Play(recording=dice.choice(pieces).recording, at=at))
        at += dice.expovariate(plan.rate)
    return plays


async def _play_and_strike(world: World, plays: list[Play]) -> list[Played]:
    async with trio.open_nursery() as nursery:
        if not world.plan.calm:
            nursery.start_soon(world.strike)
            nursery.start_soon(world.kill)
        nursery.start_soon(_guard, world)
        played = await world.pbx.play(plays)
        nursery.cancel_scope.cancel()
    # A fault that was cut short ends as it would have.
    world.crm.always = Fault.NONE
    world.crm.faults.clear()
    world.pbx.secret = "demo"
    await world.crm_proxy.up()
    for connector in world.connectors:
        connector.proxy.delay = 0.0
        await connector.proxy.up()
    return played


async def _guard(world: World) -> None:
    """A connector that ends by itself is a failure to report at once."""
    while True:
        await trio.sleep(1)
        for connector in world.connectors:
            if connector.ended is not None and not world.busy(connector):
                raise RuntimeError(f"{connector.name} ended by itself with {connector.ended}; see its log")
