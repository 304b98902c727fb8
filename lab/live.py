"""The whole chain, live: phones, Asterisk, `uac-trio run` as a user would start it, and a stand-in CRM.

For each scenario the rows that the CRM then has are held against what the people on the phones did, and every recording
is listened to. In the profile *office* the daemon gets the recordings from `uac-trio serve-recordings`, as if the PBX
were another machine; in *plain* it reads the directory itself.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import attrs
import httpx
import trio

from lab.asterisk import AMI_PORT, Server, end_process, open_sites, start_process
from lab.listening import AttentiveCRM, complaints_about, recordings_of
from lab.rows import TOLERANCE, ExpectedRow, Heard, complaints, expected_rows
from lab.stage import RULES, USERS, Scenario, Stage, open_stage
from uac_trio.demo.crm import CallRow, CRMContact, CRMUser
from uac_trio.demo.crm_app import CALLBACK_PATH, serve_crm_app

SECRET = "lab secret"  # the CRM's vtigersecretkey
ZONE = "Europe/Moscow"
CRM_PORT = 8080
HTTP_PORT = 5000
SERVE_PORT = 5001
SERVE_SECRET = "lab recordings"
READY_LIMIT = 30.0
SETTLE_LIMIT = 15.0
STOP_LIMIT = 20.0

# how the phones of an employee are called, the header that makes them answer, and what leads outside
_CLICKS = {
    "plain": {"channel": "PJSIP/{extension}", "header": "PJSIP_HEADER(add,Alert-Info)", "dial_prefix": ""},
    "office": {
        "channel": "Local/{extension}@from-internal",
        "header": "HASH(__SIPHEADERS,Alert-Info)",
        "dial_prefix": "9",
    },
}
_CONFIGURATION = """
[[pbx]]
name = "lab{version}"
host = "{host}"
port = {ami_port}
username = "crm"
secret = "crmsecret"
originate_channel = "{channel}"
originate_context = "from-internal"
originate_variables = {{ "{header}" = "<http://lab.invalid>;info=auto-answer, {{extension}}" }}
{recordings}

[calls]
extensions = '{extensions}'
mobiles = {{ {mobiles} }}
internal = "ignore"
region = "RU"

[click2call]
dial_prefix = "{dial_prefix}"
ring_seconds = 5
guard_seconds = 0
per_minute = 100

[vtiger]
url = "{crm_url}{callback}"
secret = "{secret}"
flavour = "salesplatform"
timezone = "{zone}"

[route]
bind = "{host}:4574"
secret = "lab-route"

[http]
bind = "{host}:{http_port}"
public_url = "http://{host}:{http_port}"

[store]
url = "sqlite:///{store}"
"""


_SERVE_CONFIGURATION = """
[serve]
bind = "{host}:{port}"
recordings = ["{monitor}"]
networks = ["127.0.0.0/8"]
secret = "{secret}"
"""


class DaemonError(Exception):
    """`uac-trio run` did not do what it should: come up, or end with code 0. The text has its last words."""


@attrs.frozen(kw_only=True)
class Verdict:
    """The result of one scenario: nothing in `wrong` means it is right."""

    scenario: str
    version: int
    rows: int
    played: tuple[str, ...]
    """The recordings that the rows have, with their lengths."""
    wrong: tuple[str, ...]
    seconds: float


def _now() -> float:
    return datetime.now(UTC).timestamp()


def new_crm(profile: str) -> AttentiveCRM:
    """A CRM whose users are the people of this profile; two customers are known by name, and have their employees."""
    users = [CRMUser(id=5 + n, name=f"User {number}", extension=number) for n, number in enumerate(USERS[profile])]
    known = [
        CRMContact(id=100, name="Ivan Petrov", owner=users[1].id, phones=("+7 916 123-45-67",)),
        CRMContact(id=101, name="Olga Sergeeva", owner=users[2].id, phones=("8 903 111-22-33",)),
    ]
    return AttentiveCRM(users=users, contacts=known, secret=SECRET, timezone=ZONE)


def monitor(server: Server) -> str:
    """Where MixMonitor writes, as this machine sees it."""
    return f"{server.root}{server.path('spool')}/monitor"


def is_served(server: Server) -> bool:
    """Whether the daemon asks `serve-recordings` for the recordings."""
    return server.profile == "office"


def configuration(server: Server, crm_url: str, store: Path) -> str:
    """The daemon's TOML file for this lab."""
    return _CONFIGURATION.format(
        version=server.version,
        host=server.host,
        ami_port=AMI_PORT,
        **_CLICKS[server.profile],
        recordings=(
            f'recordings_url = "http://{server.host}:{SERVE_PORT}"\nrecordings_secret = "{SERVE_SECRET}"'
            if is_served(server)
            else f'recordings = ["{monitor(server)}"]'
        ),
        extensions=RULES[server.profile]["extensions"],
        mobiles=", ".join(f'"{number}" = "{who}"' for number, who in RULES[server.profile].get("mobiles", {}).items()),
        crm_url=crm_url,
        callback=CALLBACK_PATH,
        secret=SECRET,
        zone=ZONE,
        http_port=HTTP_PORT,
        store=store,
    )


def command_line() -> list[str]:
    """The console script beside this Python; where the package is not installed, the package itself."""
    script = Path(sys.executable).with_name("uac-trio")
    return [str(script)] if script.exists() else [sys.executable, "-m", "uac_trio"]


@asynccontextmanager
async def open_daemon(server: Server, crm_url: str, out: Path) -> AsyncIterator[trio.Process]:
    """`uac-trio run` on this Asterisk and CRM, ready; its log is OUT/daemon.log. Ended by SIGTERM.

    Raises DaemonError when it does not become ready, or ends with a code.
    """
    config, log = _write_configuration(server, crm_url, out), out / "daemon.log"
    async with AsyncExitStack() as stack:
        if is_served(server):
            await stack.enter_async_context(_program("serve-recordings", _write_serve_configuration(server, out), out))
        process = await stack.enter_async_context(_program("run", config, out, log))
        await ready(server, process, log)
        yield process


@asynccontextmanager
async def _program(name: str, config: Path, out: Path, log: Path | None = None) -> AsyncIterator[trio.Process]:
    """`uac-trio NAME` for the length of the block. Raises DaemonError when it ends with a code."""
    log = log or out / f"{name}.log"
    process = await start_process([*command_line(), name, "--config", str(config)], log)
    try:
        yield process
    finally:
        code = await end_process(process, STOP_LIMIT)
    if code:
        raise DaemonError(f"uac-trio {name} ended with code {code}: {last_words(log)}")


def _write_serve_configuration(server: Server, out: Path) -> Path:
    config = out / "serve.toml"
    text = _SERVE_CONFIGURATION.format(host=server.host, port=SERVE_PORT, monitor=monitor(server), secret=SERVE_SECRET)
    config.write_text(text, encoding="utf-8")
    config.chmod(0o600)
    return config


def _write_configuration(server: Server, crm_url: str, out: Path) -> Path:
    """The configuration, and no outbox of an earlier run."""
    out.mkdir(parents=True, exist_ok=True)
    for old in out.glob("connector.db*"):
        old.unlink()
    config = out / "connector.toml"
    config.write_text(configuration(server, crm_url, out / "connector.db"), encoding="utf-8")
    config.chmod(0o600)
    return config


async def ready(server: Server, process: trio.Process, log: Path) -> None:
    """Wait until the daemon says that it is. Raises DaemonError."""
    with trio.move_on_after(READY_LIMIT):
        async with httpx.AsyncClient(timeout=2) as client:
            while process.poll() is None:
                try:
                    if (await client.get(f"http://{server.host}:{HTTP_PORT}/readyz")).status_code == 200:
                        return
                except httpx.TransportError:
                    pass  # not listening yet
                await trio.sleep(0.1)
    happened = f"did not become ready within {READY_LIMIT:.0f} s" if process.poll() is None else "ended at once"
    raise DaemonError(f"uac-trio run {happened}: {last_words(log)}")


def last_words(log: Path) -> str:
    return " / ".join(log.read_text(errors="replace").splitlines()[-4:])


def heard(stage: Stage) -> list[Heard]:
    """What each employee's phones saw, from their own clocks; calls of theirs that overlap are one.

    A phone that forwarded a call without ringing saw nothing of it.
    """
    parts: list[Heard] = []
    for extension, devices in USERS[stage.server.profile].items():
        spans = sorted(
            (call.began_at, call.ended_at or _now())
            for device in devices
            for call in stage.phones[device].calls.values()
            if call.rang_at is not None or not call.forwarded
        )
        mine: list[Heard] = []
        for began, ended in spans:
            if mine and began < mine[-1].ended:
                mine[-1] = attrs.evolve(mine[-1], ended=max(mine[-1].ended, ended))
            else:
                mine.append(Heard(extension=extension, began=began, ended=ended))
        parts += mine
    return parts


async def judge(stage: Stage, crm: AttentiveCRM, scene: Scenario, out: Path) -> Verdict:
    """Play one scenario, wait until the CRM has settled, compare."""
    before = len(crm.rows)
    hazards = len(crm.hazards)
    begin = trio.current_time()
    calls, problem = await stage.play(scene, out / scene.name)
    wanted = expected_rows(calls, heard(stage))

    def faults() -> list[str]:
        return faults_of(crm, crm.rows[before:], wanted, crm.hazards[hazards:])

    for _ in range(round(SETTLE_LIMIT / 0.1)):
        if not faults():
            break
        await trio.sleep(0.1)
    await trio.sleep(0.3)  # for what should not come
    wrong = [*([problem] if problem else []), *faults()]
    heard_of, silent = await recordings_of(crm.rows[before:], crm_extensions(crm), SECRET, Path(monitor(stage.server)))
    wrong += silent + complaints_about(heard_of, calls, crm.linked_at, stage.tone_of)
    if wrong:  # to look at it later
        _write_lines(out / f"{scene.name}.rows.txt", [*wanted, *crm.rows[before:]])
    return Verdict(
        scenario=scene.name,
        version=stage.server.version,
        rows=len(crm.rows) - before,
        played=tuple(f"{one.extension} {one.secs:.1f} s" for one in heard_of),
        wrong=tuple(wrong),
        seconds=trio.current_time() - begin,
    )


def crm_extensions(crm: AttentiveCRM) -> dict[str, str]:
    """user id -> extension."""
    return {str(user.id): user.extension for user in crm.users}


def faults_of(
    crm: AttentiveCRM,
    rows: Sequence[CallRow],
    wanted: Sequence[ExpectedRow],
    hazards: Sequence[str],
    tolerance: float = TOLERANCE,
) -> list[str]:
    """What is wrong with these rows, and with the CRM as a whole, in words."""
    extension_of = crm_extensions(crm)
    wrong = complaints(wanted, rows, extension_of, ZONE, tolerance)
    wrong += [f"still {row.callstatus}: {extension_of.get(row.user or '')}" for row in crm.stuck()]
    wrong += [f"would harm a real CRM: {text}" for text in hazards]
    wrong += [f"two rows for one: {row.sourceuuid} {row.user}" for row in crm.doubles()]
    return wrong


def _write_lines(path: Path, lines: Sequence[object]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


async def run_live(server: Server, scenes: list[Scenario], out: Path, report: Callable[[Verdict], None]) -> None:
    """All these scenarios, one after another, against one Asterisk and one daemon."""
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(open_sites(server))
        nursery = await stack.enter_async_context(trio.open_nursery())
        crm = new_crm(server.profile)

        async def serve(task_status: trio.TaskStatus[list[str]]) -> None:
            await serve_crm_app(crm, host=server.host, port=CRM_PORT, now=_now, task_status=task_status)

        addresses = await nursery.start(serve)
        await stack.enter_async_context(open_daemon(server, addresses[0], out))
        stage = await stack.enter_async_context(open_stage(server))
        stage.connector_url = f"http://{server.host}:{HTTP_PORT}"
        stage.connector_secret = SECRET
        stage.crm = crm
        for scene in scenes:
            report(await judge(stage, crm, scene, out))
        nursery.cancel_scope.cancel()
