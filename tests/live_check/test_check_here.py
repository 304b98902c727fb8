from __future__ import annotations

import os
import shutil
import socket
import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from tests.daemon.world import World, running, world
from tests.recordings.far import NOW as FAR_NOW
from tests.recordings.far import serving
from tests.recordings.sounds import fake_converter
from tests.store.calls import delivery
from uac_trio.agi_server import serve_agi
from uac_trio.config.loading import Config
from uac_trio.crm.delivery import Delivery, Kind
from uac_trio.crm.responsible import Responsible, ResponsibleRules
from uac_trio.crm.vtiger.responsible import question
from uac_trio.live_check import here as looked_at
from uac_trio.live_check.finding import Finding, Findings, Level, finding_lines
from uac_trio.live_check.here import check_agi, check_http, check_recordings, check_store, check_user
from uac_trio.live_check.looking import look
from uac_trio.recordings.converting import TOOLS, try_tool
from uac_trio.store.inspecting import inspect_store
from uac_trio.store.outbox import open_outbox
from uac_trio.store.rows import LeaseRequest, Parked
from uac_trio.store.settings import OutboxSettings
from uac_trio.web.settings import WebSettings

__all__ = ["world"]

NOW = 1795413713.0


def said(findings: Findings, level: Level) -> str:
    return "\n".join(finding.words for finding in findings.found if finding.level is level)


def store_at(path: Path) -> OutboxSettings:
    return OutboxSettings(url=f"sqlite:///{path}", busy_timeout=0.05)


async def store_looked_at(path: Path, now: float = NOW) -> Findings:
    findings = Findings("store")
    await check_store(store_at(path), lambda: now, findings)
    return findings


def begin(number: int) -> Delivery:
    return delivery(Kind.BEGIN, f"main-{number}")


async def test_store_that_is_not_there(tmp_path: Path) -> None:
    """A store before its first start is no problem, and is not made by looking."""
    findings = await store_looked_at(tmp_path / "connector.db")
    assert "does not exist yet and can be created" in said(findings, Level.OK)
    assert os.listdir(tmp_path) == []


async def test_store_with_rows(tmp_path: Path) -> None:
    """What waits and what is parked is counted, with the reasons, numbers in part."""
    path = tmp_path / "connector.db"
    async with open_outbox(store_at(path)) as outbox:
        await outbox.put([begin(1), begin(2)], NOW)
        (row,) = await outbox.lease(LeaseRequest(owner="us", limit=1, seconds=60), NOW)
        await outbox.settle(row, Parked(reason="refused 79161234567"), NOW)
        assert await outbox.recordings.count_by_state() == {}
    before = path.read_bytes()
    findings = await store_looked_at(path, NOW + 3600)
    assert "its schema is current (" in said(findings, Level.OK)
    warnings = said(findings, Level.WARNING)
    assert "1 deliveries wait, 0 are delivered and still kept; the oldest waits for 60 minutes" in warnings
    assert "1 dead letters (uac-trio outbox list shows them" in warnings
    assert "refused 7916***4567" in warnings
    assert path.read_bytes() == before


async def test_store_beside_the_daemon(tmp_path: Path) -> None:
    """A store that a daemon has open is looked at all the same."""
    async with open_outbox(store_at(tmp_path / "connector.db")) as outbox:
        await outbox.put([begin(1)], NOW)
        findings = await store_looked_at(tmp_path / "connector.db")
        assert "1 deliveries wait" in said(findings, Level.OK)
        assert (await outbox.statistics()).waiting == 1


def set_schema(path: Path, revision: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE uac_trio_version SET version_num = ?", (revision,))
        connection.commit()


async def test_store_of_an_earlier_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An older schema is reported, and left as it is. (There is one schema so far; that of tomorrow is made up.)"""
    path = tmp_path / "connector.db"
    async with open_outbox(store_at(path)):
        pass
    monkeypatch.setattr("uac_trio.store.inspecting.REVISION", "9999")
    look_ = await inspect_store(store_at(path))
    assert (look_.schema, look_.newest, look_.statistics) == ("0101", "9999", None)
    assert "the next start updates its schema to 9999" in said(await store_looked_at(path), Level.OK)


@pytest.mark.parametrize(
    ("revision", "words"),
    [
        ("r9999", "was written by a newer uac-trio (schema r9999; this one knows up to 0101): install"),
        ("0002", "was written by a version from before the first release"),
    ],
)
async def test_store_that_cannot_be_read(tmp_path: Path, revision: str, words: str) -> None:
    """A schema that this version does not know is a problem, before the daemon finds out."""
    path = tmp_path / "connector.db"
    async with open_outbox(store_at(path)):
        pass
    set_schema(path, revision)
    assert words in said(await store_looked_at(path), Level.PROBLEM)


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"no database" * 100, "damaged or no SQLite database"), (None, "belongs to another program (table theirs)")],
)
async def test_store_of_another_program(tmp_path: Path, content: bytes | None, words: str) -> None:
    """A file that is damaged or another program's is a problem, and is left alone."""
    path = tmp_path / "connector.db"
    if content is None:
        with sqlite3.connect(path) as connection:
            connection.execute("CREATE TABLE theirs (x)")
        connection.close()
    else:
        path.write_bytes(content)
    before = path.read_bytes()
    assert words in said(await store_looked_at(path), Level.PROBLEM)
    assert path.read_bytes() == before


async def test_store_that_is_locked(tmp_path: Path) -> None:
    """A store that another program keeps locked is a problem."""
    path = tmp_path / "connector.db"
    async with open_outbox(store_at(path)):
        pass
    locked = sqlite3.connect(path, isolation_level=None)
    locked.execute("BEGIN EXCLUSIVE")
    findings = await store_looked_at(path)
    locked.close()
    assert "another program keeps the file locked" in said(findings, Level.PROBLEM)


async def test_store_without_its_directory(tmp_path: Path) -> None:
    """A directory that is not there is named."""
    findings = await store_looked_at(tmp_path / "nowhere" / "connector.db")
    assert f"its directory {tmp_path}/nowhere does not exist" in said(findings, Level.PROBLEM)


@pytest.mark.parametrize(
    ("free", "level"), [(50 << 20, Level.PROBLEM), (500 << 20, Level.WARNING), (5 << 30, Level.OK)]
)
async def test_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, level: Level) -> None:
    """A disk that is almost full is reported before it is full."""
    usage = attrs.make_class("Usage", ["free"])
    monkeypatch.setattr("uac_trio.live_check.here.shutil.disk_usage", lambda _: usage(free))
    assert "GiB are free where the store is" in said(await store_looked_at(tmp_path / "x.db"), level)


# -- recordings


@pytest.fixture
def config(world: World) -> Config:
    return world.config()


async def recordings_of(config: Config, roots: list[Path], **changed: Any) -> Findings:
    findings = Findings("recordings")
    listed = {"main": tuple(map(str, roots))}
    playback = attrs.evolve(config.playback, **changed) if changed else config.playback
    await check_recordings(attrs.evolve(config, recordings=listed, playback=playback), lambda: FAR_NOW, findings)
    return findings


async def test_recordings(config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Directories that can be read, a converter and a place for its files are well."""
    tool = fake_converter(tmp_path, "open(out, 'wb').write(sys.stdin.buffer.read())")
    monkeypatch.setattr("uac_trio.live_check.here.find_tool", lambda _: tool)
    root = tmp_path / "monitor" / "2026" / "11"
    root.mkdir(parents=True)
    findings = await recordings_of(config, [tmp_path / "monitor"])
    assert "it has no files yet" in said(findings, Level.OK)
    (root / "a.wav").write_bytes(b"RIFF")
    findings = await recordings_of(config, [tmp_path / "monitor"])
    assert {finding.level for finding in findings.found} == {Level.OK}
    assert "and its files can be read" in said(findings, Level.OK)
    assert f"{tool} converts what browsers cannot play; it converted a second of silence" in said(findings, Level.OK)
    assert "recordings-cache" in said(findings, Level.OK)
    assert "no directory is configured for PBX main" in said(await recordings_of(config, []), Level.OK)


@pytest.mark.parametrize(
    ("changed", "level", "words"),
    [
        ({}, Level.WARNING, "neither ffmpeg nor sox is installed"),
        ({"format": "mp3"}, Level.PROBLEM, 'format = "mp3" needs ffmpeg or sox'),
        ({"converter": "/opt/nothing"}, Level.PROBLEM, "converter /opt/nothing is not there"),
        ({"cache": "/dev/null/cache"}, Level.PROBLEM, "/dev/null cannot be written"),
    ],
)
async def test_no_converter(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: dict[str, str], level: Level, words: str
) -> None:
    """Without the tool that is wanted the originals go out, and that is said."""
    monkeypatch.setattr("uac_trio.live_check.here.find_tool", lambda _: "")
    findings = await recordings_of(config, [tmp_path], **changed)
    assert words in said(findings, level)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (
            "import signal; os.kill(os.getpid(), signal.SIGSYS)",
            "was killed by SIGSYS, for a system call that is forbidden",
        ),
        ("sys.stderr.write('no such codec'); sys.exit(1)", "to wav: no such codec; recordings"),
        ("sys.exit(3)", "ended with code 3 and no error message"),
        ("", "reported success but wrote nothing"),
        ("time.sleep(60)", "took longer than 0.5 s"),
    ],
)
async def test_converter_that_does_not_convert(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, words: str
) -> None:
    """A tool that is there but cannot convert a second of silence is a problem, with the reason."""
    monkeypatch.setattr(looked_at, "CONVERTS_WITHIN", 0.5 if "sleep" in body else 5.0)
    findings = await recordings_of(config, [tmp_path], converter=fake_converter(tmp_path, body))
    assert words in said(findings, Level.PROBLEM)


def where_installed(tool: str) -> Any:
    missing = shutil.which(tool) is None
    return pytest.param(tool, marks=pytest.mark.skipif(missing, reason=f"{tool} is not installed"))


@pytest.mark.parametrize("tool", [where_installed(tool) for tool in TOOLS])
async def test_real_converter(tool: str) -> None:
    """ffmpeg and sox, where they are installed, convert a second of silence."""
    assert await try_tool(str(shutil.which(tool)), "wav", 10) == ""


async def test_converter_without_the_format() -> None:
    """What a tool cannot make is known without running it."""
    assert await try_tool("/usr/bin/sox", "opus", 10) == "sox cannot make opus"


async def test_no_directory(config: Config, tmp_path: Path) -> None:
    """A directory that is not there (not mounted) is a problem."""
    findings = await recordings_of(config, [tmp_path / "nowhere"])
    assert "nowhere of PBX main: No such file or directory; is it mounted" in said(findings, Level.PROBLEM)


async def test_files_of_another_user(config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that this user may not read are a problem, with the name of one."""
    for name in ("a.wav", "b.wav"):
        (tmp_path / name).touch()
    monkeypatch.setattr(os, "access", lambda path, _: not str(path).endswith("a.wav"))
    findings = await recordings_of(config, [tmp_path])
    assert f"{tmp_path}/a.wav and 0 of " in said(findings, Level.PROBLEM)


@pytest.mark.parametrize(
    ("changed", "level", "words"),
    [
        ({}, Level.OK, "serves the recordings of PBX main"),
        ({"secret": "another"}, Level.PROBLEM, "recordings_secret must be the [serve] secret there"),
        ({"url": "http://127.0.0.1:9"}, Level.PROBLEM, "does uac-trio serve-recordings run there?"),
        ({"ca_file": "/none.pem"}, Level.PROBLEM, "recordings_ca: /none.pem: No such file"),
    ],
)
async def test_recordings_of_another_machine(
    config: Config, tmp_path: Path, changed: dict[str, str], level: Level, words: str
) -> None:
    """It is asked whether it would give them; if not, the line says what is to be done."""
    async with serving(tmp_path) as far:
        findings = await recordings_of(attrs.evolve(config, hosts=(far.host(**changed),)), [])
    assert words in said(findings, level)
    assert not any("no directory is configured" in finding.words for finding in findings.found)


# -- HTTP


async def http_of(**settings: str) -> Findings:
    findings = Findings("HTTP")
    await check_http(WebSettings(**settings), lambda: NOW, findings)  # type: ignore[arg-type]
    return findings


async def test_address_that_is_free() -> None:
    """An address that can be had is well."""
    assert "127.0.0.1:0 is free" in said(await http_of(bind="127.0.0.1:0"), Level.OK)


async def test_address_of_our_daemon(world: World) -> None:
    """An address that a daemon of ours has is well; a daemon that is not well is a problem."""
    async with running(world.config()) as address:
        await world.session()
        bind = address.removeprefix("http://")
        assert f"{bind} is in use by a daemon of ours, which is ready" in said(await http_of(bind=bind), Level.OK)


async def test_address_of_another_program() -> None:
    """An address that another program has is a problem."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        bind = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(looked_at, "HEALTH_WITHIN", 0.1)
            findings = await http_of(bind=bind)
    assert f"{bind} is in use by another program" in said(findings, Level.PROBLEM)


async def test_address_of_another_machine() -> None:
    """An address that this machine does not have is a problem."""
    findings = await http_of(bind="192.0.2.1:5000")
    assert "this machine has no such address; 0.0.0.0:5000 is every one" in said(findings, Level.PROBLEM)


async def agi_of(bind: str) -> Findings:
    findings = Findings("FastAGI")
    await check_agi(ResponsibleRules(bind=bind), findings)
    return findings


async def test_port_for_fastagi_that_is_free() -> None:
    """A port that can be had is well; an address that this machine does not have is a problem."""
    assert "127.0.0.1:0 is free for FastAGI" in said(await agi_of("127.0.0.1:0"), Level.OK)
    assert "this machine has no such address" in said(await agi_of("192.0.2.1:4574"), Level.PROBLEM)


async def test_port_for_fastagi_of_our_daemon() -> None:
    """A daemon of ours is known by its answer, and the CRM is not asked for it."""

    async def ask(number: str, _within: float) -> Responsible:
        answer = question(number, lambda _: False)
        assert isinstance(answer, Responsible), "the CRM would be asked"
        return answer

    async with trio.open_nursery() as nursery:
        stop = trio.Event()
        serve = partial(serve_agi, ask, ResponsibleRules(bind="127.0.0.1:0"), shutdown=stop)
        (address,) = await nursery.start(serve)
        bind = address.removeprefix("agi://").removesuffix("/route")
        findings = await agi_of(bind)
        stop.set()
    assert said(findings, Level.OK) == f"{bind} is in use by a daemon of ours, which answers FastAGI"


@pytest.mark.parametrize("says", [b"", b"SET VARIABLE X 1\n", b"500 what?\n" * 10])
async def test_port_for_fastagi_of_another_program(says: bytes) -> None:
    """FreePBX's own server, or any other program, is a problem that is reported with its remedy."""

    async def another(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        await stream.send_all(says)
        await stream.aclose()

    async with trio.open_nursery() as nursery:
        (listener,) = await nursery.start(partial(trio.serve_tcp, another, 0, host="127.0.0.1"))
        bind = f"127.0.0.1:{listener.socket.getsockname()[1]}"
        findings = await agi_of(bind)
        nursery.cancel_scope.cancel()
    problem = said(findings, Level.PROBLEM)
    assert f"{bind} is in use by another program (`ss -ltnp" in problem
    assert problem.endswith("end it, or set another port in [route] bind")


async def test_public_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """The public address must have a name that is known; loopback behind it wants a proxy."""
    findings = await http_of(bind="127.0.0.1:0", public_url="http://192.0.2.1:5000")
    assert "192.0.2.1 is 192.0.2.1" in said(findings, Level.OK)
    assert "is there a proxy in front?" in said(findings, Level.WARNING)
    findings = await http_of(bind="127.0.0.1:0", public_url="http://localhost:5000")
    assert said(findings, Level.WARNING) == ""

    async def unknown(*_: object, **__: object) -> list[object]:
        await trio.lowlevel.checkpoint()
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(trio.socket, "getaddrinfo", unknown)
    findings = await http_of(bind="127.0.0.1:0", public_url="http://pbx.invalid")
    assert "resolver does not know pbx.invalid" in said(findings, Level.PROBLEM)


# -- all of it


@pytest.mark.parametrize(("uid", "level"), [(0, Level.WARNING), (65534, Level.OK), (123456789, Level.OK)])
async def test_user(monkeypatch: pytest.MonkeyPatch, uid: int, level: Level) -> None:
    """A check as root warns that it proves nothing about rights."""
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    findings = Findings("user")
    await check_user(findings)
    assert [finding.level for finding in findings.found] == [level]


async def test_everything(world: World) -> None:
    """All parts are looked at, in the order of the configuration, those that fail among them."""
    config = world.config(pbx_port="1")
    found = await look(config, now=lambda: NOW)
    assert [part.about for part in found] == ["PBX main", "CRM", "store", "recordings", "HTTP", "user"]
    routed = attrs.evolve(config, responsible=ResponsibleRules(bind="127.0.0.1:0"))
    found = await look(routed, now=lambda: NOW)
    assert [part.about for part in found][-3:] == ["HTTP", "FastAGI", "user"]
    assert all(part.found for part in found)
    assert "refuses the connection" in said(found[0], Level.PROBLEM)
    assert "takes any secret" in said(found[1], Level.PROBLEM)


async def test_part_without_end(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A part that hangs is cut off, keeps what it found, and does not hold up the others."""

    async def hang(_: object, __: object, findings: Findings) -> None:
        findings.ok("so far")
        await trio.sleep_forever()

    monkeypatch.setattr("uac_trio.live_check.looking.check_recordings", hang)
    found = await look(world.config(pbx_port="1"), now=lambda: NOW, within=0.3)
    hung = next(part for part in found if part.about == "recordings")
    assert [finding.level for finding in hung.found] == [Level.OK, Level.PROBLEM]
    assert "the check timed out after 0.3 s" in said(hung, Level.PROBLEM)


def test_lines() -> None:
    """Findings are lines for a terminal, long ones broken between words, counted at the end."""
    part = Findings("PBX main", [Finding(Level.OK, "fine"), Finding(Level.PROBLEM, "word " * 40)])
    lines = "\n".join(finding_lines([part])).splitlines()
    assert lines[0] == "ok       PBX main: fine"
    assert lines[1].startswith("problem  PBX main: word word")
    assert lines[2].startswith("           word")
    assert max(map(len, lines)) <= 110
    assert lines[-1] == "1 problem, no warnings."
