"""From the outbox to a CRM that answers at once: requests a second and CPU each, beside the bare HTTP client.

    python benchmarks/deliver.py [--calls N] [--rounds N] [--answer-after SECONDS]

Each call is a BEGIN, an ANSWER and an END, which SalesPlatform's vTiger takes as four requests. The CRM runs in a
process of its own. PostgreSQL is measured where Debian's package postgresql is installed, also with four connectors.
"""

from __future__ import annotations

import argparse
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import attrs
import trio

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.postgres import temporary_postgresql
from uac_trio.calls.call import Direction
from uac_trio.calls.outcome import Outcome
from uac_trio.calls.participation import Role
from uac_trio.clock import now as clock
from uac_trio.crm.delivery import Delivery, Kind
from uac_trio.crm.protocol import CRM, Surroundings
from uac_trio.crm.vtiger import VtigerSettings
from uac_trio.http_client import open_http_client
from uac_trio.logs import LogSettings, configure_logging
from uac_trio.sender.breaker import SenderSettings
from uac_trio.sender.delivery import run_sender
from uac_trio.store.outbox import open_outbox
from uac_trio.store.settings import OutboxError, OutboxSettings
from uac_trio.store.writer import StoreWriter

SETTINGS = SenderSettings()
REQUESTS_A_CALL = 4


@attrs.frozen
class Figure:
    requests: int
    seconds: float
    cpu: float


@contextmanager
def instant_crm(answer_after: float) -> Iterator[str]:
    command = [sys.executable, str(Path(__file__).parent / "around" / "instant_crm.py"), str(answer_after)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}/PBXManager.php"
        finally:
            process.terminate()


def crm_at(url: str) -> CRM:
    return VtigerSettings(url=url, secret="benchmark").crm(Surroundings())


def call(number: int, now: float) -> list[Delivery]:
    begin = Delivery(
        kind=Kind.BEGIN, pbx="main", call_id=f"main-{now:.0f}.{number}", subject="101", occurrence="1", extension="101",
        role=Role.CALLEE, direction=Direction.INBOUND, customer="+79161234567", at=now, began_at=now,
        customer_name="Customer", line="4951000101",
    )  # fmt: skip
    answer = attrs.evolve(begin, kind=Kind.ANSWER, at=now + 5)
    end = attrs.evolve(begin, kind=Kind.END, at=now + 60, ended_at=now + 60, outcome=Outcome.COMPLETED, talk_secs=55.0)
    return [begin, answer, end]


class Health:
    """Of a store that works."""

    def fails(self, why: OutboxError) -> None:
        raise why

    def works(self) -> None:
        """As it should."""


async def bare(url: str, calls: int) -> Figure:
    """The HTTP client alone, as many requests at once."""
    crm, now = crm_at(url), clock()
    requests = [request for number in range(calls) for each in call(number, now) for request in crm.requests(each)]
    send, receive = trio.open_memory_channel[bytes](len(requests))
    for request in requests:
        send.send_nowait(request.body)
    send.close()
    client = open_http_client(connect_timeout=5, reply_timeout=15, connections=SETTINGS.in_flight, ca_file=None)
    async with client as http:

        async def work() -> None:
            async for body in receive:
                await http.post(url, body, requests[0].headers, most=65536, within=20)

        cpu, began = time.process_time(), time.monotonic()
        async with trio.open_nursery() as nursery:
            for _ in range(SETTINGS.in_flight):
                nursery.start_soon(work)
        return Figure(len(requests), time.monotonic() - began, time.process_time() - cpu)


async def through_outbox(store: str, url: str, calls: int, backlog: int = 0) -> Figure:
    """Put ``calls``, and deliver as many, the newest first; ``backlog`` older ones wait beside them."""
    async with open_outbox(OutboxSettings(url=store)) as outbox, trio.open_nursery() as nursery:
        now = clock()
        for first in range(0, backlog, 5000):
            numbers = range(first, min(backlog, first + 5000))
            await outbox.put([each for number in numbers for each in call(number, now - 86400)], now - 3600)
        new = [each for number in range(calls) for each in call(number, now)]
        # Without an answer: in a backlog it is superseded, and is no request.
        await outbox.put([each for each in new if each.kind is not Kind.ANSWER], now - 3600 * (not backlog))
        writer = StoreWriter(outbox=outbox, now=clock, health=Health())
        nursery.start_soon(writer.run)
        wanted, sent = calls * (REQUESTS_A_CALL - 1), 0
        done = trio.Event()

        def watch(*_: object) -> None:
            nonlocal sent
            sent += 1
            if sent == wanted:
                done.set()

        cpu, began = time.process_time(), time.monotonic()
        await nursery.start(partial(run_sender, writer, crm_at(url), SETTINGS, now=clock, watch=watch))
        await done.wait()
        figure = Figure(sent, time.monotonic() - began, time.process_time() - cpu)
        nursery.cancel_scope.cancel()
        return figure


async def connector(store: str, url: str) -> float:
    """One of several, in a process of its own: delivers from a line on stdin to its end. Seconds of CPU."""
    async with open_outbox(OutboxSettings(url=store)) as outbox, trio.open_nursery() as nursery:
        writer = StoreWriter(outbox=outbox, now=clock, health=Health())
        print("ready", flush=True)
        await trio.to_thread.run_sync(sys.stdin.readline)
        cpu = time.process_time()
        nursery.start_soon(writer.run)
        await nursery.start(partial(run_sender, writer, crm_at(url), SETTINGS, now=clock))
        await trio.to_thread.run_sync(sys.stdin.read)
        nursery.cancel_scope.cancel()
        return time.process_time() - cpu


async def through_several(store: str, url: str, calls: int, connectors: int) -> Figure:
    """Put ``calls``, and deliver them by several processes."""
    command = [sys.executable, __file__, "--connector", store, url]
    async with open_outbox(OutboxSettings(url=store)) as outbox:
        now = clock()
        new = [each for number in range(calls) for each in call(number, now) if each.kind is not Kind.ANSWER]
        await outbox.put(new, now - 3600)
        processes = [
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # noqa: ASYNC220 - once
            for _ in range(connectors)
        ]
        for process in processes:
            assert process.stdout is not None
            process.stdout.readline()
        began = time.monotonic()
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        while (await outbox.statistics()).delivered < len(new):  # noqa: ASYNC110 - other processes deliver
            await trio.sleep(0.05)
        seconds = time.monotonic() - began
        cpu = sum(float(process.communicate()[0]) for process in processes)
        return Figure(calls * (REQUESTS_A_CALL - 1), seconds, cpu)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--calls", type=int, default=1000)
    parser.add_argument("--backlog", type=int, default=17_000, help="Calls, of three rows each.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--answer-after", type=float, default=0.0, help="Seconds that the CRM takes.")
    parser.add_argument("--connector", nargs=2, metavar=("STORE", "URL"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    calls = arguments.calls
    configure_logging(LogSettings(level="warning"))
    if arguments.connector:
        print(trio.run(connector, *arguments.connector), flush=True)
        return
    with ExitStack() as stack:
        url = stack.enter_context(instant_crm(arguments.answer_after))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="uac-bench-")))
        names = iter(range(10**6))

        def sqlite() -> str:
            return f"sqlite:///{folder}/{next(names)}.db"

        variants: dict[str, Callable[[], Awaitable[Figure]]] = {
            "the HTTP client alone": lambda: bare(url, calls),
            "SQLite": lambda: through_outbox(sqlite(), url, calls),
            f"SQLite, {3 * arguments.backlog:,} rows waiting": lambda: through_outbox(
                sqlite(), url, calls, arguments.backlog
            ),
        }
        try:
            server = stack.enter_context(temporary_postgresql())
        except FileNotFoundError:
            print("PostgreSQL is not installed: not measured")
        else:
            variants["PostgreSQL"] = lambda: through_outbox(postgresql(server, next(names)), url, calls)
            variants["PostgreSQL, four connectors"] = lambda: through_several(
                postgresql(server, next(names)), url, calls, 4
            )
        found: dict[str, list[Figure]] = {name: [] for name in variants}
        for _ in range(arguments.rounds):
            for name in random.sample(list(variants), len(variants)):
                found[name].append(trio.run(_run, variants[name]))
    print("| variant | requests/s, median | ms CPU each, median | share of the bare client's pace |")
    print("|---|---|---|---|")
    bare_pace = [figure.requests / figure.seconds for figure in found["the HTTP client alone"]]
    for name, figures in found.items():
        pace = [figure.requests / figure.seconds for figure in figures]
        ratio = statistics.median(ours / theirs for ours, theirs in zip(pace, bare_pace, strict=True))
        cpu = statistics.median(1000 * figure.cpu / figure.requests for figure in figures)
        print(f"| {name} | {statistics.median(pace):.0f} | {cpu:.2f} | {ratio:.2f} |")


async def _run(variant: Callable[[], Awaitable[Figure]]) -> Figure:
    return await variant()


def postgresql(server: str, number: int) -> str:
    import sqlalchemy as sa

    address = f"postgresql+psycopg://uac@/postgres?host={server}"
    engine = sa.create_engine(address)
    with engine.begin() as connection:
        connection.execute(sa.schema.CreateSchema(f"bench_{number}"))
    engine.dispose()
    return f"{address}&options=-csearch_path%3Dbench_{number}"


if __name__ == "__main__":
    main()
