"""Checks of one PBX: connection, login, clock, version; then calls, events, clicks and phones, a module each.

ListCommands lists the actions that a user may send (main/manager.c). The events that they receive are configured in
manager.conf alone: the check reads that file if our user may, and otherwise waits for events.
"""

from __future__ import annotations

import errno
import re
import ssl
from collections.abc import Callable, Iterator

import attrs
import trio

from uac_trio.ami import (
    Challenge,
    CoreSettings,
    ListCommands,
    MD5Login,
    Ping,
    PlainLogin,
    Response,
    md5_key,
)
from uac_trio.ami_client.server import AMIServer
from uac_trio.ami_client.stream import open_stream
from uac_trio.calls.rules import TrackerRules
from uac_trio.crm.click import Route
from uac_trio.live_check.finding import Findings
from uac_trio.live_check.pbx_calls import watch_channels
from uac_trio.live_check.pbx_clicks import check_clicks, is_freepbx
from uac_trio.live_check.pbx_events import FREEPBX, PLAIN, Seen, check_events, read_files
from uac_trio.live_check.pbx_phones import check_phones
from uac_trio.live_check.pbx_session import PBXSession, SessionError
from uac_trio.socket_errors import socket_reason

CONNECTS_WITHIN = 5.0
"""Seconds."""
OLDEST = (1, 8)
"""The oldest version of Asterisk that is supported."""
AMI_2 = (12, 0)
"""Older versions of Asterisk use AMI 1.x."""
OFF_BY = 2.0
"""Seconds by which the PBX's clock may differ."""
ZONE_STEP, ZONE_SLACK = 1800.0, 60.0
"""Seconds. A clock that is off by a multiple of the first, give or take the second, was set to a local time."""

DANGEROUS_ACTIONS = ("Command", "UpdateConfig", "ModuleLoad", "Reload")
"""Actions that let an attacker with the secret take over the machine, or at least the PBX."""

_VERSION = re.compile(r"(?:^|[^\d.])(\d{1,2})\.(\d{1,2})")


@attrs.frozen(kw_only=True)
class PBXUse:
    """What the configuration wants of one PBX."""

    server: AMIServer
    route: Route | None
    """How clicks are dialled; None if they are turned off."""
    rules: TrackerRules
    wants_recordings: bool
    """Directories or a host of recordings are configured."""


async def check_pbx(use: PBXUse, now: Callable[[], float], findings: Findings) -> None:
    """Connect, log in, look. Sends nothing that changes anything."""
    stream = await _connected(use.server, findings)
    if stream is None:
        return
    try:
        session = PBXSession(stream)
        try:
            if not await _logged_in(session, use.server, findings):
                return
            await _look(session, use, now, findings)
        except SessionError as why:
            findings.problem("pbx.session", f"{why}")
    finally:
        await trio.aclose_forcefully(stream)


async def _connected(server: AMIServer, findings: Findings) -> trio.abc.Stream | None:
    where = f"{server.host}:{server.port}"
    within = min(server.connect_timeout, CONNECTS_WITHIN)
    try:
        with trio.fail_after(within):
            return await open_stream(server)
    except trio.TooSlowError:
        findings.problem(
            "pbx.unreachable",
            f"no answer from {where} within {within:g} s",
            f"is the host up, and does a firewall drop port {server.port}?",
        )
    except ssl.SSLError as why:
        findings.problem(
            "pbx.tls",
            f"TLS with {where} fails: {socket_reason(why)}",
            "is this the port of tlsbindaddr in manager.conf, is its certificate made out to "
            f"{server.tls_name or server.host} (else set tls_name), and signed by an authority of tls_ca?",
        )
    except (OSError, UnicodeError) as why:
        _unreachable(server, where, why, findings)
    return None


def _unreachable(server: AMIServer, where: str, why: Exception, findings: Findings) -> None:
    reasons = {errno_ for error in _chain(why) if (errno_ := getattr(error, "errno", None)) is not None}
    reason = socket_reason(why) or type(why).__name__
    if errno.ECONNREFUSED in reasons:
        findings.problem(
            "pbx.unreachable",
            f"{where} refuses the connection",
            "in /etc/asterisk/manager.conf [general] needs enabled = yes and a bindaddr that "
            f"{server.host} belongs to, port = {server.port}; `asterisk -rx 'manager show settings'` shows them",
        )
    elif reasons & {errno.EHOSTUNREACH, errno.ENETUNREACH}:
        findings.problem("pbx.unreachable", f"there is no route to {where}", "check host, network and VPN")
    elif any("Name or service" in str(error) or "resolution" in str(error) for error in _chain(why)):
        findings.problem(
            "pbx.unreachable",
            f"the name {server.host} is not known to this machine's resolver: {reason}",
            "correct [[pbx]] host, or write the address there",
        )
    else:
        findings.problem("pbx.unreachable", f"cannot connect to {where}: {reason}")


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error and its causes, including the members of trio's exception groups (one error per address)."""
    while error is not None:
        yield error
        if isinstance(error, BaseExceptionGroup):
            for one in error.exceptions:
                yield from _chain(one)
        error = error.__cause__


async def _logged_in(session: PBXSession, server: AMIServer, findings: Findings) -> bool:
    banner = await session.greeting()
    if not banner.startswith("Asterisk Call Manager"):
        findings.warn("pbx.greeting", f"its greeting is {banner[:60]!r}: a proxy, or not the manager's port")
    if server.plaintext_login:
        answer = await session.ask(PlainLogin(username=server.username, secret=server.secret))
        how = "with the secret in plain text"
    else:
        answer = await session.ask(Challenge())
        if answer.success:
            key = md5_key(session.connection.challenge, server.secret)
            answer = await session.ask(MD5Login(username=server.username, key=key))
        how = "by MD5 challenge"
    if answer.success:
        how += ", over TLS" if server.tls else ""
        findings.ok("pbx.login", f"connected to {server.host}:{server.port} and logged in as {server.username}, {how}")
        return True
    # Asterisk answers all of these alike on purpose (main/manager.c, authenticate).
    findings.problem(
        "pbx.login",
        f"login refused: {session.connection.refused or answer.text}. Asterisk does not say why: there is no section "
        f"[{server.username}] in manager.conf, its secret differs from ours, its deny/permit/acl does not let this "
        "host in, or `manager reload` was not run",
        "on the PBX `asterisk -rx 'manager show user "
        f"{server.username}'` shows the section, /var/log/asterisk the reason; FreePBX reads users of your own from "
        "/etc/asterisk/manager_custom.conf; then `asterisk -rx 'manager reload'`",
    )
    return False


async def _look(session: PBXSession, use: PBXUse, now: Callable[[], float], findings: Findings) -> None:
    asked_at = now()
    ping = (await session.ask(Ping())).response
    _clock(ping, (asked_at + now()) / 2, findings)
    allowed = frozenset(name for name, _ in (await session.ask(ListCommands())).response.headers)
    await _version(session, findings)
    freepbx = await is_freepbx(session, allowed)
    _excess(use.server, allowed, findings)
    await check_clicks(session, use.server, use.route, allowed, findings)
    await check_phones(session, use.rules, use.route, allowed, findings)
    seen = await watch_channels(session, use.server, allowed, findings)
    headers = use.rules.recording_headers if use.wants_recordings else ()
    files = await read_files(session, use.server.username, allowed)
    check_events(use.server, Seen(session.events, seen, files), headers, FREEPBX if freepbx else PLAIN, findings)


def _clock(ping: Response, at: float, findings: Findings) -> None:
    try:
        ahead = float(ping.get("Timestamp")) - at
    except ValueError:
        return  # a proxy's answer
    if abs(ahead) <= OFF_BY:
        findings.ok("pbx.clock", "its clock agrees with ours")
        return
    is_zone = abs(ahead) > ZONE_STEP / 2 and abs(ahead - ZONE_STEP * round(ahead / ZONE_STEP)) < ZONE_SLACK
    findings.warn(
        "pbx.clock",
        f"its clock is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} ours; the CRM gets the PBX's times"
        + (": one of the two clocks was set to a local time while its time zone says otherwise" if is_zone else ""),
        "set up time synchronisation on both machines (timedatectl set-ntp true; timedatectl shows zone and time)",
    )


async def _version(session: PBXSession, findings: Findings) -> None:
    answer = await session.ask(CoreSettings())
    version = answer.response.get("AsteriskVersion")
    found = _VERSION.search(version)
    number = (int(found[1]), int(found[2])) if found else AMI_2
    if not answer.success or not version:
        why = answer.text or "no AsteriskVersion"
        findings.warn("pbx.version", f"its version is unknown ({why}); it should be {_shown(OLDEST)} or later")
    elif number < OLDEST:
        findings.problem(
            "pbx.version",
            f"Asterisk {version} is too old; its calls cannot be tracked",
            f"upgrade to {_shown(OLDEST)} or later",
        )
    elif number < AMI_2:
        findings.warn(
            "pbx.version",
            f"Asterisk {version} has AMI 1.x, which shows less of calls",
            "set eventwhencalled = yes for each queue in queues.conf, else queues do not show whom they ring; and "
            "callevents = yes in sip.conf, else hold is not seen; then `asterisk -rx 'core reload'`",
        )
    else:
        findings.ok("pbx.version", f"Asterisk {version}")
    if answer.response.get("CoreCDRenabled").lower() == "no":
        findings.problem(
            "pbx.recording.cdr",
            "call detail records are off, so no recording will be found",
            "set enable = yes in [general] of /etc/asterisk/cdr.conf, then `asterisk -rx 'module reload cdr'`",
        )


def _shown(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"


def _excess(server: AMIServer, allowed: frozenset[str], findings: Findings) -> None:
    if excess := [name for name in DANGEROUS_ACTIONS if name in allowed]:
        findings.warn(
            "pbx.rights",
            f"user {server.username} has more rights than we need ({', '.join(excess)}): an attacker with its secret "
            "could take over the PBX",
            f"write = originate,reporting in [{server.username}] of manager.conf is enough; then `asterisk -rx "
            "'manager reload'`",
        )
