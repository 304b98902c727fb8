"""schemathesis asks the real server whatever openapi.json allows, and what it does not: never a 5xx, never a call that
should not be."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
import schemathesis
import trio
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.recordings.sounds import AT, TOKEN, row, wav
from tests.web.clicking import vtiger
from uac_trio.crm.click import Click2CallRules, Dial, Originated, Route
from uac_trio.recordings.archive import open_archive
from uac_trio.recordings.settings import RecordingsSettings
from uac_trio.store.recordings import RecordingRow
from uac_trio.web.app import Health, create_app
from uac_trio.web.click2call import Click2Call
from uac_trio.web.recordings import Playback
from uac_trio.web.server import serve_web
from uac_trio.web.settings import WebSettings
from uac_trio.web.wrong_secrets import WrongSecrets

SECRET = "labsecret123"
MANY = 1_000_000
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
EXAMPLES = settings(
    max_examples=30, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)

schema = schemathesis.openapi.from_path(Path(__file__).with_name("openapi.json"))
schema.config.generation.update(modes=[GenerationMode.POSITIVE, GenerationMode.NEGATIVE], deterministic=True)


@attrs.define
class Served:
    """A server in a thread of its own, which is how schemathesis, a blocking client, can ask a trio program."""

    address: str = ""
    orders: list[Dial] = attrs.field(factory=list)
    up: threading.Event = attrs.field(factory=threading.Event)
    token: trio.lowlevel.TrioToken | None = None
    shutdown: trio.Event | None = None

    async def originate(self, dial: Dial) -> Originated:
        self.orders.append(dial)
        await trio.lowlevel.checkpoint()
        return Originated.QUEUED

    async def serve(self, directory: Path) -> None:
        self.token, self.shutdown = trio.lowlevel.current_trio_token(), trio.Event()
        rows = {TOKEN: row(str(directory / "a.wav"))}

        async def find(token: str) -> RecordingRow | None:
            await trio.lowlevel.checkpoint()
            return rows.get(token)

        click2call = Click2Call(
            originate=self.originate,
            crm=vtiger(SECRET),
            rules=Click2CallRules(guard_seconds=0, per_minute=MANY, total_per_minute=MANY),
            routes=[Route(pbx="main", contexts=frozenset({"from-crm"}))],
            is_extension=lambda number: re.fullmatch(r"1\d\d", number) is not None,
            region="RU",
            now=lambda: AT,
            wrong_secrets=WrongSecrets(MANY),
        )
        async with open_archive(
            RecordingsSettings(converter=""),
            roots={"main": (str(directory),)},
            cache=directory / "cache",
            find=find,
            now=lambda: AT + 60,
        ) as archive:
            app = create_app(
                click2call=click2call,
                health=lambda: Health(works=True, ready=True, details={}),
                playback=Playback(archive=archive, secret=SECRET, needs_secret=True, wrong_secrets=WrongSecrets(MANY)),
            )
            async with trio.open_nursery() as nursery:

                async def start() -> None:
                    (self.address,) = await nursery.start(_serve, app, self.shutdown)
                    self.up.set()

                nursery.start_soon(start)


async def _serve(app: object, shutdown: trio.Event, task_status: trio.TaskStatus[list[str]]) -> None:
    await serve_web(app, WebSettings(bind="127.0.0.1:0"), shutdown=shutdown, task_status=task_status)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    directory = tmp_path_factory.mktemp("monitor")
    (directory / "a.wav").write_bytes(wav(0.5))
    server = Served()
    thread = threading.Thread(target=trio.run, args=(server.serve, directory))
    thread.start()
    assert server.up.wait(5)
    yield server
    assert server.token is not None
    assert server.shutdown is not None
    server.token.run_sync_soon(server.shutdown.set)
    thread.join(10)
    assert not thread.is_alive()


def is_right(case: schemathesis.Case[Any]) -> bool:
    """It gives the secret in the query, and no other beside it."""
    return case.query.get("secret") == SECRET


def ask(case: schemathesis.Case[Any], served: Served) -> None:
    before = len(served.orders)
    case.call_and_validate(base_url=served.address, checks=CHECKS)
    for dial in served.orders[before:]:
        assert case.path == "/makecall"
        assert is_right(case)
        assert re.fullmatch(r"PJSIP/1\d\d", dial.channel)
        assert re.fullmatch(r"\+?[0-9]{2,20}", dial.exten)
        assert dial.context in ("from-internal", "from-crm")
        assert (dial.caller_id, dial.variables) == (dial.extension, ())


@schema.parametrize()
@EXAMPLES
def test_strangers(case: schemathesis.Case[Any], served: Served) -> None:
    """Without the secret nothing is dialled, whatever is asked and however."""
    before = len(served.orders)
    ask(case, served)
    assert len(served.orders) == before


@schema.include(path_regex="^/(makecall|recording)$").parametrize()
@EXAMPLES
def test_with_the_secret(case: schemathesis.Case[Any], served: Served) -> None:
    """With it, what is dialled is what the configuration allows."""
    case.query["secret"] = SECRET
    if case.path == "/recording" and len(str(case.query.get("id"))) % 2:
        case.query["id"] = TOKEN
    ask(case, served)


def test_what_is_as_described_is_dialled(served: Served) -> None:
    """The questions are not all nonsense: of the clicks that are as described most make calls."""
    before = len(served.orders)

    @EXAMPLES
    @given(case=schema["/makecall"]["GET"].as_strategy(generation_mode=GenerationMode.POSITIVE))
    def click(case: schemathesis.Case[Any]) -> None:
        case.query["secret"] = SECRET
        ask(case, served)

    click()
    assert len(served.orders) - before > 10
