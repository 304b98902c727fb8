"""Checks the addresses of this machine that the CRM and the PBX use: ``[http] bind``, public_url, ``[route] bind``."""

from __future__ import annotations

import errno
import json
import socket
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from urllib.parse import urlsplit

import trio

from uac_trio.agi import set_variable
from uac_trio.crm.responsible import ResponsibleRules
from uac_trio.http_client import HTTPReply, NoReplyError, NotSentError, open_http_client
from uac_trio.live_check.browsers import check_browsers
from uac_trio.live_check.finding import Findings
from uac_trio.networks import parse_bind
from uac_trio.socket_errors import socket_reason
from uac_trio.web.settings import WebSettings

HEALTH_WITHIN = 3.0
"""Timeout in seconds for the program that listens at our address."""
MAX_HEALTH = 4 << 20
"""Bytes of its answer that are read."""
_DEFAULT_PORTS = {"http": 80, "https": 443}


# -- HTTP -------------------------------------------------------------------------------------------------------------


async def check_http(settings: WebSettings, now: Callable[[], float], findings: Findings) -> None:
    """Bind ``[http] bind`` for a moment, or ask the program that has it."""
    host, port = parse_bind(settings.bind)
    is_ours = False
    try:
        for listener in await trio.open_tcp_listeners(port, host=host):
            await listener.aclose()
    except OSError as why:
        is_ours = await _taken(settings, host, port, why, now, findings)
    else:
        findings.ok("http.free", f"{settings.bind} is free; no daemon runs on this machine")
    if settings.public_url:
        await _public(settings, is_ours, findings)


def _not_bound(key: str, bind: str, why: OSError) -> tuple[str, str] | None:
    """Why ``bind``, the value of ``key``, cannot be listened on, and the remedy; None if another program has it."""
    reason = why.errno or next((error.errno for error in _causes(why) if error.errno), None)
    if reason == errno.EADDRNOTAVAIL:
        return f"{key} {bind}: this machine has no such address", f"0.0.0.0:{parse_bind(bind)[1]} is every one"
    if reason == errno.EACCES:
        return f"{key} {bind}: this user may not listen on a port below 1024", f"set another port in {key}"
    return None if reason == errno.EADDRINUSE else (f"{key} {bind}: {socket_reason(why)}", "")


def _in_use(key: str, bind: str) -> tuple[str, str]:
    return (
        f"{bind} is in use by another program",
        f"`ss -ltnp 'sport = :{parse_bind(bind)[1]}'` names it: end it, or set another port in {key}",
    )


def _reached(host: str) -> str:
    """The address that reaches a server on this machine which listens on ``host``."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)


async def _taken(
    settings: WebSettings, host: str, port: int, why: OSError, now: Callable[[], float], findings: Findings
) -> bool:
    """Whether a daemon of ours has it."""
    if words := _not_bound("[http] bind", settings.bind, why):
        findings.problem("http.bind", *words)
        return False
    reached = _reached(host)
    base = f"http://{f'[{reached}]' if ':' in reached else reached}:{port}"
    reply = await _get(f"{base}/readyz")
    if not _is_daemons(reply):
        findings.problem("http.in_use", *_in_use("[http] bind", settings.bind))
        return False
    if reply is not None and reply.status == 200:
        findings.ok("http.daemon", f"{settings.bind} is in use by a daemon of ours, which is ready")
    else:
        findings.problem(
            "daemon.health",
            f"{settings.bind} is in use by a daemon of ours, which is not ready",
            f"{base}/readyz and its page /live show why",
        )
    if reply is not None:
        check_browsers(reply.body, now(), findings)
    _conditions(await _get(f"{base}/live.json"), findings)
    return True


def _conditions(reply: HTTPReply | None, findings: Findings) -> None:
    """What the daemon has seen since its start, of which a look of a few seconds shows nothing."""
    try:
        found = json.loads(reply.body)["findings"] if reply is not None and reply.status == 200 else []
        for one in found:
            report = findings.problem if one["severity"] == "problem" else findings.warn
            pbx = f"PBX {one['pbx']}" if one["pbx"] else ""
            place = "" if pbx in one["words"] else f"{pbx}: "
            report("daemon.condition", f"the daemon has seen: {place}{one['words']}", one["remedy"])
    except (ValueError, KeyError, TypeError):
        findings.warn("daemon.condition", "the daemon's /live.json is that of another version", "restart the daemon")


def _is_daemons(reply: HTTPReply | None) -> bool:
    return reply is not None and b'"live_calls"' in reply.body


async def _get(url: str) -> HTTPReply | None:
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


async def _public(settings: WebSettings, is_ours: bool, findings: Findings) -> None:
    """Where the links of recordings and the clicks of the CRM lead. ``is_ours``: a daemon has our address."""
    parts = urlsplit(settings.public_url)
    name = parts.hostname or ""
    try:
        found = await trio.socket.getaddrinfo(name, parts.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as why:
        findings.problem(
            "http.public_url",
            f"[http] public_url {settings.public_url}: this machine's resolver does not know {name} "
            f"({socket_reason(why)}), nor probably does the CRM's; links to recordings begin with public_url",
            "correct it, or write the address in place of the name",
        )
        return
    addresses = list(dict.fromkeys(str(each[4][0]) for each in found))
    findings.ok(
        "http.name", f"public_url: {name} is {', '.join(addresses)}; check from the CRM whether it reaches this address"
    )
    await _public_port(settings, parts.port or _DEFAULT_PORTS[parts.scheme], addresses, is_ours, findings)


async def _public_port(
    settings: WebSettings, port: int, addresses: list[str], is_ours: bool, findings: Findings
) -> None:
    host, bound = parse_bind(settings.bind)
    is_local_only = _is_loopback(host) and not any(map(_is_loopback, addresses))
    if port == bound and not is_local_only:
        return
    reply = await _get(f"{settings.public_url}/healthz") if is_ours or port != bound else None
    if _is_daemons(reply):
        findings.ok("http.public_url", f"{settings.public_url} reaches the daemon")
    elif is_local_only:
        findings.warn(
            "http.public_url",
            f"bind {settings.bind} is reachable from this machine only, and public_url is another address: is there a "
            "proxy in front? If not, requests for clicks and recordings do not arrive",
            f'set [http] bind = "0.0.0.0:{bound}", or let the proxy pass /makecall and /recording to {settings.bind}',
        )
    elif reply is None:
        findings.problem(
            "http.public_url",
            f"no server answers at {settings.public_url} (port {port}), and bind is port {bound}: clicks do not arrive "
            "and no recording plays",
            f"add the port to public_url (:{bound}), also in «URL адрес» / Vtiger Asterisk App URL of the CRM; "
            f"or run a proxy on port {port} that passes /makecall and /recording to {settings.bind}",
        )
    else:
        report = findings.problem if is_ours else findings.warn
        report(
            "http.public_url",
            f"{settings.public_url} (port {port}) is another server than bind {settings.bind}, and it does not pass "
            f"our addresses on (HTTP {reply.status})",
            f"add the port to public_url (:{bound}), or let that server pass /makecall and /recording to "
            f"{settings.bind}",
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
            findings.problem("fastagi.bind", *words)
        elif await _answers_as_we_do(_reached(host), port, rules.variable):
            findings.ok("fastagi.daemon", f"{rules.bind} is in use by a daemon of ours, which answers FastAGI")
        else:
            findings.problem("fastagi.in_use", *_in_use("[route] bind", rules.bind))
    else:
        findings.ok("fastagi.free", f"{rules.bind} is free for FastAGI; no daemon runs on this machine")


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
