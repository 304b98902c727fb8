"""This machine: the store, the recordings, the addresses for HTTP and FastAGI, and as whom we look."""

from __future__ import annotations

import errno
import os
import pwd
import shutil
import socket
from collections.abc import Callable, Iterator
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

import trio

from uac_trio.agi import set_variable
from uac_trio.config import Config
from uac_trio.crm.responsible import ResponsibleRules
from uac_trio.http_client import HTTPReply, NoReplyError, NotSentError, open_http_client
from uac_trio.live_check.finding import Findings
from uac_trio.logs import mask_text
from uac_trio.recordings import HostSettings, RecordingsBusyError, open_host
from uac_trio.recordings.converting import find_tool, try_tool
from uac_trio.socket_errors import socket_reason
from uac_trio.store import OutboxError, OutboxSettings
from uac_trio.store.inspecting import StoreLook, inspect_store
from uac_trio.web import WebSettings, parse_bind

LITTLE, ALMOST_NONE = 1 << 30, 100 << 20
"""Bytes free where the store is."""
OLD = 300.0
"""Seconds after which a request that waits is worth a word."""
HEALTH_WITHIN = 3.0
"""Seconds that whoever has our address is given to say who he is."""
MAX_HEALTH = 64 * 1024
"""Bytes of its answer that are read."""
CONVERTS_WITHIN = 5.0
"""Seconds that the converter is given for a second of silence."""
SAMPLE = 200
"""Files looked at to see whether recordings may be read."""


# -- store ------------------------------------------------------------------------------------------------------------


async def check_store(settings: OutboxSettings, now: Callable[[], float], findings: Findings) -> None:
    try:
        look = await inspect_store(settings)
    except OutboxError as why:
        findings.problem(str(why))
        return
    if not look.exists:
        findings.ok(f"{look.file} is not there yet and can be made; the first start does")
    elif look.schema != look.newest:
        findings.ok(f"{look.where} can be written; the next start brings its schema up to date ({look.newest})")
    else:
        findings.ok(f"{look.where} can be written, and its schema is current ({look.schema})")
    _rows(look, now(), findings)
    if look.file is not None:
        _disk(look.file.parent, findings)


def _rows(look: StoreLook, now: float, findings: Findings) -> None:
    counts = look.statistics
    if counts is None:
        return
    waits = 0.0 if counts.oldest_waiting_at is None else max(0.0, now - counts.oldest_waiting_at)
    told = f"{counts.waiting} deliveries wait, {counts.delivered} are delivered and still kept"
    if waits > OLD:
        findings.warn(
            f"{told}; the oldest waits for {waits / 60:.0f} minutes: does the daemon run, and is the CRM there?"
        )
    else:
        findings.ok(told)
    if counts.parked:
        reasons = dict.fromkeys(mask_text(row.reason) for row in look.parked)
        findings.warn(
            f"{counts.parked} dead letters (uac-trio outbox list shows them, outbox retry sends them "
            f"again): {'; '.join(reasons)}"
        )


def _disk(directory: Path, findings: Findings) -> None:
    free = shutil.disk_usage(directory).free
    told = f"{free / (1 << 30):.1f} GiB are free where the store is ({directory})"
    (findings.problem if free < ALMOST_NONE else findings.warn if free < LITTLE else findings.ok)(told)


# -- recordings -------------------------------------------------------------------------------------------------------


async def check_recordings(config: Config, now: Callable[[], float], findings: Findings) -> None:
    roots = [(name, root) for name, listed in config.recordings.items() for root in listed]
    for name, root in roots:
        # In a thread of its own: a directory that is mounted from a host which is away may hang for ever.
        await trio.to_thread.run_sync(_root, name, root, findings, abandon_on_cancel=True)
    for host in config.hosts:
        await _host(host, now, findings)
    far = {host.pbx for host in config.hosts}
    without = [name for name, listed in config.recordings.items() if not listed and name not in far]
    if without:
        findings.ok(
            f"no directory is configured for PBX {', '.join(without)}: this machine serves none of its recordings"
        )
    if not (roots or far):
        return
    await _converter(config, findings)
    store = Path(config.store.url.removeprefix("sqlite:///")) if config.store.url.startswith("sqlite") else Path()
    _cache(Path(config.playback.cache or store.parent / "recordings-cache"), findings)


async def _host(host: HostSettings, now: Callable[[], float], findings: Findings) -> None:
    try:
        async with open_host(host, now) as there:
            await there.greet()
    except RecordingsBusyError as why:
        findings.problem(str(why))
    except OSError as why:
        findings.problem(f"[[pbx]] {host.pbx}: recordings_ca: {host.ca_file}: {why.strerror or why}")
    else:
        findings.ok(f"{host.url} gives the recordings of PBX {host.pbx}")


def _root(name: str, root: str, findings: Findings) -> None:
    try:
        os.scandir(root).close()
    except OSError as why:
        advice = "the group of its files belongs into SupplementaryGroups= of the systemd unit"
        findings.problem(
            f"{root} of PBX {name}: {why.strerror}; is it mounted, and may this user read it? ({advice})"
            if why.errno in (errno.ENOENT, errno.EACCES)
            else f"{root} of PBX {name}: {why.strerror}"
        )
        return
    files = list(_some_files(root))
    unreadable = [path for path in files if not os.access(path, os.R_OK)]
    if unreadable:
        findings.problem(
            f"{unreadable[0]} and {len(unreadable) - 1} of {len(files)} files may not be read by this user"
        )
    elif files:
        findings.ok(f"{root} of PBX {name} can be read, and so can its files")
    else:
        findings.ok(f"{root} of PBX {name} can be read; no file is in it yet")


def _some_files(root: str) -> Iterator[str]:
    """The first ``SAMPLE`` files that are met, those of the latest directories of a calendar (2026/11/23) first."""
    seen = 0
    for folder, folders, names in os.walk(root):
        folders.sort(reverse=True)
        for name in names:
            yield os.path.join(folder, name)
            seen += 1
            if seen >= SAMPLE:
                return


async def _converter(config: Config, findings: Findings) -> None:
    wanted, form = config.playback.converter, config.playback.format
    tool = find_tool(wanted)
    if tool:
        if why := await try_tool(tool, form, CONVERTS_WITHIN):
            findings.problem(
                f"{tool} does not convert a second of silence to {form}: {why}; recordings that browsers cannot play "
                "go out as they are"
            )
        else:
            findings.ok(f"what browsers cannot play is converted by {tool}; a second of silence was")
    elif wanted not in ("", "auto"):
        findings.problem(f"[recordings] converter {wanted} is not there or cannot be run: originals go out as they are")
    elif form != "wav":
        findings.problem(
            f'[recordings] format = "{form}" needs ffmpeg or sox, and neither is installed: originals go out'
        )
    elif wanted:
        findings.warn(
            "neither ffmpeg nor sox is installed: recordings that browsers cannot play (gsm, wav49, g722, ulaw, alaw) "
            "go out as they are; apt install ffmpeg"
        )


def _cache(cache: Path, findings: Findings) -> None:
    there = next(path for path in (cache.absolute(), *cache.absolute().parents) if path.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        findings.problem(f"converted recordings are kept in {cache}, but {there} cannot be written by this user")
    else:
        findings.ok(f"converted recordings are kept in {cache}")


# -- HTTP -------------------------------------------------------------------------------------------------------------


async def check_http(settings: WebSettings, now: Callable[[], float], findings: Findings) -> None:
    host, port = parse_bind(settings.bind)
    try:
        for listener in await trio.open_tcp_listeners(port, host=host):
            await listener.aclose()
    except OSError as why:
        await _taken(settings, host, port, why, now, findings)
    else:
        findings.ok(f"{settings.bind} is free; the daemon does not run, or elsewhere")
    if settings.public_url:
        await _public(settings, host, findings)


def _not_bound(key: str, bind: str, why: OSError) -> str:
    """Why ``bind``, the value of ``key``, cannot be listened on; "": another program listens there."""
    reason = why.errno or next((error.errno for error in _causes(why) if error.errno), None)
    if reason == errno.EADDRNOTAVAIL:
        return f"{key} {bind}: this machine has no such address; 0.0.0.0:{parse_bind(bind)[1]} is every one"
    if reason == errno.EACCES:
        return f"{key} {bind}: this user may not listen on a port below 1024"
    return "" if reason == errno.EADDRINUSE else f"{key} {bind}: {socket_reason(why)}"


def _in_use(key: str, bind: str) -> str:
    return (
        f"{bind} is in use by another program (`ss -ltnp 'sport = :{parse_bind(bind)[1]}'` names it): "
        f"end it, or set another port in {key}"
    )


def _reached(host: str) -> str:
    """Where a server on this machine that listens on ``host`` is reached."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)


async def _taken(
    settings: WebSettings, host: str, port: int, why: OSError, now: Callable[[], float], findings: Findings
) -> None:
    if words := _not_bound("[http] bind", settings.bind, why):
        findings.problem(words)
        return
    reached = _reached(host)
    url = f"http://{f'[{reached}]' if ':' in reached else reached}:{port}/healthz"
    reply = await _health(url)
    if reply is not None and b'"live_calls"' in reply.body:
        if reply.status == 200:
            findings.ok(f"{settings.bind} is in use by a daemon of ours, which is well")
        else:
            findings.problem(f"{settings.bind} is in use by a daemon of ours, which is not well: see {url}")
    else:
        findings.problem(_in_use("[http] bind", settings.bind))


async def _health(url: str) -> HTTPReply | None:
    """What a server of ours, or another one, answers at ``url``; None if there is no answer in time."""
    client = open_http_client(connect_timeout=HEALTH_WITHIN, reply_timeout=HEALTH_WITHIN, connections=1, ca_file=None)
    async with client as http:
        try:
            return await http.get(url, most=MAX_HEALTH, within=2 * HEALTH_WITHIN)
        except (NotSentError, NoReplyError):
            return None


def _causes(error: BaseException) -> Iterator[OSError]:
    cause = error.__cause__
    for one in cause.exceptions if isinstance(cause, BaseExceptionGroup) else [cause]:
        if isinstance(one, OSError):
            yield one


async def _public(settings: WebSettings, host: str, findings: Findings) -> None:
    parts = urlsplit(settings.public_url)
    name = parts.hostname or ""
    try:
        found = await trio.socket.getaddrinfo(name, parts.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as why:
        findings.problem(
            f"[http] public_url {settings.public_url}: this machine's resolver does not know {name} "
            f"({socket_reason(why)}), nor does the CRM's, probably: links to recordings begin with it"
        )
        return
    addresses = list(dict.fromkeys(str(each[4][0]) for each in found))
    findings.ok(f"public_url: {name} is {', '.join(addresses)}; whether the CRM reaches it is to be seen from there")
    if _is_loopback(host) and not any(map(_is_loopback, addresses)):
        findings.warn(
            f"bind {settings.bind} is reached from this machine alone, and public_url is another address: "
            "is there a proxy in front? If not, clicks and recordings do not reach us"
        )


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"


# -- FastAGI ----------------------------------------------------------------------------------------------------------


async def check_agi(rules: ResponsibleRules, findings: Findings) -> None:
    """The address of ``[route] bind``: is it free, or has a daemon of ours it?"""
    host, port = parse_bind(rules.bind)
    try:
        for listener in await trio.open_tcp_listeners(port, host=host):
            await listener.aclose()
    except OSError as why:
        if words := _not_bound("[route] bind", rules.bind, why):
            findings.problem(words)
        elif await _answers_as_we_do(_reached(host), port, rules.variable):
            findings.ok(f"{rules.bind} is in use by a daemon of ours, which answers FastAGI")
        else:
            findings.problem(_in_use("[route] bind", rules.bind))
    else:
        findings.ok(f"{rules.bind} is free for FastAGI; the daemon does not run, or elsewhere")


async def _answers_as_we_do(host: str, port: int, variable: str) -> bool:
    """Asked about a caller without a number, which is answered at once and without the CRM."""
    question = f"agi_request: agi://{host}/route\nagi_network_script: route\nagi_callerid: unknown\n\n"
    expected = set_variable(variable, "")
    answer = b""
    with trio.move_on_after(HEALTH_WITHIN):
        try:
            async with await trio.open_tcp_stream(host, port) as stream:
                await stream.send_all(question.encode())
                while len(answer) < len(expected) and (more := await stream.receive_some(len(expected))):
                    answer += more
                if answer == expected:
                    await stream.send_all(b"200 result=1\n")
        except (OSError, trio.BrokenResourceError):
            pass  # whoever it is does not speak to us, which the answer shows
    return answer == expected


# -- user -------------------------------------------------------------------------------------------------------------


async def check_user(findings: Findings) -> None:
    """As whom all this was seen."""
    name = await trio.to_thread.run_sync(partial(_user_name, os.geteuid()))
    if os.geteuid() == 0:
        findings.warn(
            "this was looked at as root, who may read and write everything: what files and directories allow the "
            "daemon's own user was not seen"
        )
    else:
        findings.ok(f"this was looked at as {name}; the daemon's user may differ")


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
