"""Checks of this machine: the store, the recordings, the addresses for HTTP and FastAGI, and the user."""

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
from uac_trio.config.loading import Config
from uac_trio.crm.responsible import ResponsibleRules
from uac_trio.http_client import HTTPReply, NoReplyError, NotSentError, open_http_client
from uac_trio.live_check.finding import Findings
from uac_trio.logs import mask_text
from uac_trio.networks import parse_bind
from uac_trio.recordings.converting import find_tool, try_tool
from uac_trio.recordings.host import open_host
from uac_trio.recordings.place import RecordingsBusyError
from uac_trio.recordings.settings import HostSettings
from uac_trio.socket_errors import socket_reason
from uac_trio.store.inspecting import StoreLook, inspect_store
from uac_trio.store.settings import OutboxError, OutboxSettings
from uac_trio.web.settings import WebSettings

LITTLE, ALMOST_NONE = 1 << 30, 100 << 20
"""Free bytes at the store, below which there is a warning, a problem."""
OLD = 300.0
"""Seconds after which a waiting delivery gets a warning."""
HEALTH_WITHIN = 3.0
"""Timeout in seconds for the program that listens at our address."""
MAX_HEALTH = 64 * 1024
"""Bytes of its answer that are read."""
CONVERTS_WITHIN = 5.0
"""Timeout in seconds for converting a second of silence."""
SAMPLE = 200
"""Most files that are checked for permission to read."""


# -- store ------------------------------------------------------------------------------------------------------------


async def check_store(settings: OutboxSettings, now: Callable[[], float], findings: Findings) -> None:
    try:
        look = await inspect_store(settings)
    except OutboxError as why:
        findings.problem(str(why))
        return
    if not look.exists:
        findings.ok(f"{look.file} does not exist yet and can be created; the first start creates it")
    elif look.schema != look.newest:
        findings.ok(f"{look.where} can be written; the next start updates its schema to {look.newest}")
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
    numbers = f"{counts.waiting} deliveries wait, {counts.delivered} are delivered and still kept"
    if waits > OLD:
        findings.warn(
            f"{numbers}; the oldest waits for {waits / 60:.0f} minutes: does the daemon run, and is the CRM reachable?"
        )
    else:
        findings.ok(numbers)
    if counts.parked:
        reasons = dict.fromkeys(mask_text(row.reason) for row in look.parked)
        findings.warn(
            f"{counts.parked} dead letters (uac-trio outbox list shows them, outbox retry sends them "
            f"again): {'; '.join(reasons)}"
        )


def _disk(directory: Path, findings: Findings) -> None:
    free = shutil.disk_usage(directory).free
    words = f"{free / (1 << 30):.1f} GiB are free where the store is ({directory})"
    (findings.problem if free < ALMOST_NONE else findings.warn if free < LITTLE else findings.ok)(words)


# -- recordings -------------------------------------------------------------------------------------------------------


async def check_recordings(config: Config, now: Callable[[], float], findings: Findings) -> None:
    roots = [(name, root) for name, listed in config.recordings.items() for root in listed]
    for name, root in roots:
        # In a thread that can be abandoned: a network mount may hang for ever.
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
        findings.ok(f"{host.url} serves the recordings of PBX {host.pbx}")


def _root(name: str, root: str, findings: Findings) -> None:
    try:
        os.scandir(root).close()
    except OSError as why:
        advice = "add the group of its files to SupplementaryGroups= of the systemd unit"
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
        findings.ok(f"{root} of PBX {name} and its files can be read")
    else:
        findings.ok(f"{root} of PBX {name} can be read; it has no files yet")


def _some_files(root: str) -> Iterator[str]:
    """At most ``SAMPLE`` files, the latest directories by date (2026/11/23) first."""
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
                "are sent as they are"
            )
        else:
            findings.ok(f"{tool} converts what browsers cannot play; it converted a second of silence")
    elif wanted not in ("", "auto"):
        findings.problem(
            f"[recordings] converter {wanted} is not there or cannot be run: originals are sent as they are"
        )
    elif form != "wav":
        findings.problem(
            f'[recordings] format = "{form}" needs ffmpeg or sox, and neither is installed: originals are sent'
        )
    elif wanted:
        findings.warn(
            "neither ffmpeg nor sox is installed: recordings that browsers cannot play (gsm, wav49, g722, ulaw, alaw) "
            "are sent as they are; apt install ffmpeg"
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
        findings.ok(f"{settings.bind} is free; no daemon runs on this machine")
    if settings.public_url:
        await _public(settings, host, findings)


def _not_bound(key: str, bind: str, why: OSError) -> str:
    """Why ``bind``, the value of ``key``, cannot be listened on; "" if another program listens there."""
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
    """The address that reaches a server on this machine which listens on ``host``."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)


async def _taken(
    settings: WebSettings, host: str, port: int, why: OSError, now: Callable[[], float], findings: Findings
) -> None:
    if words := _not_bound("[http] bind", settings.bind, why):
        findings.problem(words)
        return
    reached = _reached(host)
    url = f"http://{f'[{reached}]' if ':' in reached else reached}:{port}/readyz"
    reply = await _health(url)
    if reply is not None and b'"live_calls"' in reply.body:
        if reply.status == 200:
            findings.ok(f"{settings.bind} is in use by a daemon of ours, which is ready")
        else:
            findings.problem(
                f"{settings.bind} is in use by a daemon of ours, which is not ready: {url} and its /live show why"
            )
    else:
        findings.problem(_in_use("[http] bind", settings.bind))


async def _health(url: str) -> HTTPReply | None:
    """The answer of the server at ``url``, ours or another; None if there is none in time."""
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
            f"({socket_reason(why)}), nor probably does the CRM's; links to recordings begin with public_url"
        )
        return
    addresses = list(dict.fromkeys(str(each[4][0]) for each in found))
    findings.ok(f"public_url: {name} is {', '.join(addresses)}; check from the CRM whether it reaches this address")
    if _is_loopback(host) and not any(map(_is_loopback, addresses)):
        findings.warn(
            f"bind {settings.bind} is reachable from this machine only, and public_url is another address: "
            "is there a proxy in front? If not, requests for clicks and recordings do not arrive"
        )


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"


# -- FastAGI ----------------------------------------------------------------------------------------------------------


async def check_agi(rules: ResponsibleRules, findings: Findings) -> None:
    """Check that the address of ``[route] bind`` is free or used by a daemon of ours."""
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
        findings.ok(f"{rules.bind} is free for FastAGI; no daemon runs on this machine")


async def _answers_as_we_do(host: str, port: int, variable: str) -> bool:
    """Ask for a caller without a number: a daemon of ours answers that at once, without the CRM."""
    request = f"agi_request: agi://{host}/route\nagi_network_script: route\nagi_callerid: unknown\n\n"
    expected = set_variable(variable, "")
    answer = b""
    with trio.move_on_after(HEALTH_WITHIN):
        try:
            async with await trio.open_tcp_stream(host, port) as stream:
                await stream.send_all(request.encode())
                while len(answer) < len(expected) and (more := await stream.receive_some(len(expected))):
                    answer += more
                if answer == expected:
                    await stream.send_all(b"200 result=1\n")
        except (OSError, trio.BrokenResourceError):
            pass  # the incomplete answer shows that it is another program
    return answer == expected


# -- user -------------------------------------------------------------------------------------------------------------


async def check_user(findings: Findings) -> None:
    """Report which user ran the checks."""
    name = await trio.to_thread.run_sync(partial(_user_name, os.geteuid()))
    if os.geteuid() == 0:
        findings.warn(
            "this check ran as root, who may read and write everything; it did not check the permissions of the "
            "daemon's own user"
        )
    else:
        findings.ok(f"this check ran as {name}; the daemon's user may differ")


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
