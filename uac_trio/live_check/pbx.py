"""Checks of one PBX: connection, login, our user's rights, and the events that its manager sends.

ListCommands lists the actions that a user may send (main/manager.c). The events that they receive are configured in
manager.conf alone: the check reads that file if our user may, and otherwise waits for events.
"""

from __future__ import annotations

import errno
import re
import secrets
import ssl
from collections.abc import Callable, Iterator

import attrs
import trio

from uac_trio.ami import (
    Action,
    AMIConnection,
    Answer,
    Challenge,
    CoreSettings,
    CoreShowChannels,
    Event,
    GetConfig,
    ListCommands,
    LocalProtocolError,
    MD5Login,
    Ping,
    PlainLogin,
    RemoteProtocolError,
    Response,
    ShowDialPlan,
    md5_key,
)
from uac_trio.ami_client.client import NO_EXTENSION
from uac_trio.ami_client.server import AMIServer
from uac_trio.ami_client.stream import open_stream
from uac_trio.crm.click import FREEPBX_SKIPS_VOICEMAIL, Route, skipping_voicemail
from uac_trio.live_check.finding import Findings
from uac_trio.socket_errors import socket_reason

CONNECTS_WITHIN = 5.0
ANSWERS_WITHIN = 4.0
"""Seconds; a refused login takes Asterisk one."""
LISTENS_FOR = 2.0
"""Seconds to wait for events; a busy server has sent some by then."""
OLDEST = (1, 8)
"""The oldest version of Asterisk that is supported."""
AMI_2 = (12, 0)
"""Older versions of Asterisk use AMI 1.x."""
OFF_BY = 2.0
"""Seconds by which the PBX's clock may differ."""

NEEDED_EVENTS = {
    "call": "without it there are no events of calls",
    "agent": "without it the line of a queue's calls is not known",
    "cdr": "without it recordings are not found",
    "system": "without it a restart of Asterisk is noticed late",
}
"""Classes of ``read=``, with what is missing without each."""

REQUIRED_EVENTS = ("call", "cdr")

DANGEROUS_ACTIONS = ("Command", "UpdateConfig", "ModuleLoad", "Reload")
"""Actions that let an attacker with the secret take over the machine, or at least the PBX."""

_LOG_IN = "the connector cannot log in until that is changed"
_VERSION = re.compile(r"(?:^|[^\d.])(\d{1,2})\.(\d{1,2})")


class _TalkError(Exception):
    """The session failed; the text says why."""


@attrs.define(eq=False)
class _Talk:
    """A session that sends one action after another."""

    stream: trio.abc.Stream
    connection: AMIConnection = attrs.field(factory=lambda: AMIConnection(id_prefix=f"uac-{secrets.token_hex(4)}"))
    events: list[Event] = attrs.field(factory=list)
    """Events that are not part of an answer to us."""
    _answers: dict[str, Answer] = attrs.field(factory=dict)

    async def ask(self, action: Action) -> Answer:
        """Raises _TalkError."""
        try:
            sent = self.connection.send(action)
        except LocalProtocolError as why:
            raise _TalkError(str(why)) from why
        with _as_talk_error(f"no answer to {action.name} within {ANSWERS_WITHIN:g} s"):
            with trio.fail_after(ANSWERS_WITHIN):
                await self.stream.send_all(sent.data)
                while sent.action_id not in self._answers:
                    await self._receive()
        return self._answers.pop(sent.action_id)

    async def greeting(self) -> str:
        """The server's first line. Raises _TalkError."""
        missed = (
            "it sends no greeting: is this the manager's port (port in manager.conf), and is TLS configured as there?"
        )
        with _as_talk_error(missed):
            with trio.fail_after(ANSWERS_WITHIN):
                while not self.connection.banner:
                    await self._receive()
        return self.connection.banner

    async def listen(self, seconds: float) -> None:
        """Raises _TalkError."""
        with trio.move_on_after(seconds), _as_talk_error(""):
            while True:
                await self._receive()

    async def _receive(self) -> None:
        data = bytes(await self.stream.receive_some(65536))
        if not data:
            raise _TalkError("the server closes the connection")
        self.connection.receive_data(data)
        while (message := self.connection.next_message()) is not None:
            if isinstance(message, Event) and "ActionID" not in message:
                self.events.append(message)
        self._answers |= {answer.sent.action_id: answer for answer in self.connection.take_answers()}


class _as_talk_error:  # noqa: N801  a context manager, used like a function
    """Turns errors of the stream and of the protocol into _TalkError."""

    def __init__(self, too_slow: str) -> None:
        self._too_slow = too_slow

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        match error:
            case trio.TooSlowError():
                raise _TalkError(self._too_slow) from error
            case trio.BrokenResourceError():
                raise _TalkError(f"the connection broke: {socket_reason(error)}") from error
            case RemoteProtocolError():
                raise _TalkError(f"it does not speak AMI: {error}") from error
            case _:
                pass


async def check_pbx(server: AMIServer, route: Route | None, now: Callable[[], float], findings: Findings) -> None:
    """``route``: how clicks are dialled; None if they are turned off."""
    stream = await _connected(server, findings)
    if stream is None:
        return
    try:
        talk = _Talk(stream)
        try:
            if not await _logged_in(talk, server, findings):
                return
            await _look(talk, server, route, now, findings)
        except _TalkError as why:
            findings.problem(f"{why}")
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
            f"no answer from {where} within {within:g} s: is the host up, and does a firewall drop port {server.port}?"
        )
    except ssl.SSLError as why:
        findings.problem(
            f"TLS with {where} fails: {socket_reason(why)}; is this the port of tlsbindaddr in manager.conf, is its "
            f"certificate made out to {server.tls_name or server.host} (else set tls_name), and signed by an authority "
            "of tls_ca?"
        )
    except (OSError, UnicodeError) as why:
        findings.problem(_unreachable(server, where, why))
    return None


def _unreachable(server: AMIServer, where: str, why: Exception) -> str:
    reasons = {errno_ for error in _chain(why) if (errno_ := getattr(error, "errno", None)) is not None}
    if errno.ECONNREFUSED in reasons:
        return (
            f"{where} refuses the connection: in manager.conf [general] needs enabled = yes and a bindaddr that "
            f"{server.host} belongs to, port {server.port}; `asterisk -rx 'manager show settings'` shows its settings"
        )
    if reasons & {errno.EHOSTUNREACH, errno.ENETUNREACH}:
        return f"there is no route to {where}: check host, network and VPN"
    reason = socket_reason(why) or type(why).__name__
    if any("Name or service" in str(error) or "resolution" in str(error) for error in _chain(why)):
        return f"the name {server.host} is not known to this machine's resolver: {reason}"
    return f"cannot connect to {where}: {reason}"


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error and its causes, including the members of trio's exception groups (one error per address)."""
    while error is not None:
        yield error
        if isinstance(error, BaseExceptionGroup):
            for one in error.exceptions:
                yield from _chain(one)
        error = error.__cause__


async def _logged_in(talk: _Talk, server: AMIServer, findings: Findings) -> bool:
    banner = await talk.greeting()
    if not banner.startswith("Asterisk Call Manager"):
        findings.warn(f"its greeting is {banner[:60]!r}: a proxy, or not the manager's port")
    if server.plaintext_login:
        answer = await talk.ask(PlainLogin(username=server.username, secret=server.secret))
        how = "with the secret in plain text"
    else:
        answer = await talk.ask(Challenge())
        if answer.success:
            key = md5_key(talk.connection.challenge, server.secret)
            answer = await talk.ask(MD5Login(username=server.username, key=key))
        how = "by MD5 challenge"
    if answer.success:
        how += ", over TLS" if server.tls else ""
        findings.ok(f"connected to {server.host}:{server.port} and logged in as {server.username}, {how}")
        return True
    # Asterisk answers all of these alike on purpose (main/manager.c, authenticate).
    findings.problem(
        f"login refused: {talk.connection.refused or answer.text}. Asterisk does not say why: there is no section "
        f"[{server.username}] in manager.conf, its secret differs from ours, its deny/permit/acl does not let this "
        f"host in, or `manager reload` was not run; Asterisk's own log has the reason. {_LOG_IN.capitalize()}"
    )
    return False


async def _look(
    talk: _Talk, server: AMIServer, route: Route | None, now: Callable[[], float], findings: Findings
) -> None:
    asked_at = now()
    ping = (await talk.ask(Ping())).response
    _clock(ping, (asked_at + now()) / 2, findings)
    allowed = {name for name, _ in (await talk.ask(ListCommands())).response.headers}
    await _version(talk, findings)
    await _rights(talk, server, route, allowed, findings)
    file = await _file(talk, server.username, allowed)
    if not file:
        await talk.listen(LISTENS_FOR)
    _events(talk, server, file, findings)
    _timestamps(talk, file, findings)


def _clock(ping: Response, at: float, findings: Findings) -> None:
    try:
        ahead = float(ping.get("Timestamp")) - at
    except ValueError:
        return  # a proxy's answer
    if abs(ahead) > OFF_BY:
        findings.warn(
            f"its clock is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} ours; the CRM gets the PBX's "
            "times: set up time synchronisation on both"
        )
    else:
        findings.ok("its clock agrees with ours")


async def _version(talk: _Talk, findings: Findings) -> None:
    answer = await talk.ask(CoreSettings())
    version = answer.response.get("AsteriskVersion")
    found = _VERSION.search(version)
    if not answer.success or not version:
        findings.warn(
            f"its version is unknown ({answer.text or 'no AsteriskVersion'}); it should be {_shown(OLDEST)} or later"
        )
    elif found and (int(found[1]), int(found[2])) < OLDEST:
        findings.problem(
            f"Asterisk {version} is too old; its calls cannot be tracked: upgrade to {_shown(OLDEST)} or later"
        )
    elif found and (int(found[1]), int(found[2])) < AMI_2:
        findings.warn(
            f"Asterisk {version} has AMI 1.x, which shows less of calls: queues show whom they ring only with "
            "eventwhencalled = yes in queues.conf, hold shows only with callevents = yes in sip.conf"
        )
    else:
        findings.ok(f"Asterisk {version}")
    if answer.response.get("CoreCDRenabled").lower() == "no":
        findings.problem("call detail records are off (enable in cdr.conf), so no recording will be found")


def _shown(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"


async def _rights(talk: _Talk, server: AMIServer, route: Route | None, allowed: set[str], findings: Findings) -> None:
    """The actions that our user may send: ``write=`` of their section."""
    if "CoreShowChannels" in allowed:
        shown = await talk.ask(CoreShowChannels())
        channels = [item for item in shown.items if item.name == "CoreShowChannel"]
        calls = {item.get("Linkedid") for item in channels}  # which Asterisk before 13.5 does not show
        shown_as = f"{len(channels)} channels" if "" in calls else f"{len(calls)} calls"
        findings.ok(f"{shown_as} at this moment, of {len(channels)} channels")
    else:
        findings.problem(
            f"user {server.username} may not list channels: add reporting to write= of its section in manager.conf; "
            "without it calls that end while the connection is lost never end in the CRM"
        )
    if route is not None and "Originate" not in allowed:
        findings.problem(
            f"user {server.username} may not originate calls: add originate to write= of its section in manager.conf; "
            "without it every click on a number fails ([click2call] enabled = false turns them off)"
        )
    elif route is not None and "ShowDialPlan" in allowed:
        answer = await talk.ask(ShowDialPlan(context=route.context, exten=NO_EXTENSION))
        if "context" in answer.text and not answer.success:
            findings.problem(
                f"the dialplan has no context {route.context}, to which clicks are sent: set originate_context"
            )
        else:
            findings.ok(f"clicks may be dialled, and their context {route.context} exists")
        await _voicemail(talk, route, findings)
    if excess := [name for name in DANGEROUS_ACTIONS if name in allowed]:
        findings.warn(
            f"user {server.username} has more rights than we need ({', '.join(excess)}): an attacker with its secret "
            "could take over the PBX; write = originate,reporting is enough"
        )


async def _voicemail(talk: _Talk, route: Route, findings: Findings) -> None:
    """Check that no mailbox of FreePBX answers a click in the employee's place."""
    skips = FREEPBX_SKIPS_VOICEMAIL
    leads_there = f"@{skips}" in route.channel
    if not leads_there and not skipping_voicemail(route.channel):
        return
    answer = await talk.ask(ShowDialPlan(context=skips, exten=NO_EXTENSION))
    is_missing = "context" in answer.text and not answer.success
    if leads_there and is_missing:
        findings.problem(f"the dialplan has no context {skips}, which originate_channel leads into: is it a FreePBX?")
    elif not leads_there and not is_missing:
        findings.warn(
            f"it is a FreePBX: a mailbox behind {route.channel} would answer in the employee's place, and the customer "
            f"would be called. Clicks use {skips} instead; set originate_channel = "
            f'"{skipping_voicemail(route.channel)}"'
        )


@attrs.frozen
class _File:
    """The settings in manager.conf and cdr_manager.conf, as far as our user may read them."""

    general: dict[str, str]
    section: dict[str, str]
    cdr: dict[str, str] | None


async def _file(talk: _Talk, username: str, allowed: set[str]) -> _File | None:
    if "GetConfig" not in allowed:
        return None
    section = _settings(await talk.ask(GetConfig(filename="manager.conf", section=username)))
    if not section:
        return None  # the user is configured elsewhere
    general = await talk.ask(GetConfig(filename="manager.conf", section="general"))
    cdr = await talk.ask(GetConfig(filename="cdr_manager.conf", section="general"))
    return _File(_settings(general), section, _settings(cdr) if cdr.success else None)


def _settings(answer: Answer) -> dict[str, str]:
    lines = (value for name, value in answer.response.headers if name.startswith("Line-"))
    return {name.strip().lower(): value.strip() for name, _, value in (line.partition("=") for line in lines)}


def _is_on(value: str) -> bool:
    """As Asterisk parses a boolean (main/utils.c, ast_true)."""
    return value.lower() in ("yes", "true", "y", "t", "1", "on")


def _events(talk: _Talk, server: AMIServer, file: _File | None, findings: Findings) -> None:
    """The events that our user receives: ``read=`` of their section, and whether Asterisk makes Cdr events at all."""
    seen = {event.get("Privilege").partition(",")[0] for event in talk.events}
    received = seen if file is None else set(file.section.get("read", "").split(","))
    wanted = {name: why for name, why in NEEDED_EVENTS.items() if name in server.events}
    missing = {} if "all" in received else {name: why for name, why in wanted.items() if name not in received}
    if not missing:
        findings.ok(f"user {server.username} receives events of {', '.join(wanted)}")
    elif file is not None:
        for name, why in missing.items():
            report = findings.problem if name in REQUIRED_EVENTS else findings.warn
            report(f"read= of [{server.username}] in manager.conf lacks {name} (no blanks after the commas): {why}")
    elif "system" in missing:
        # The login itself is followed by FullyBooted, if read= has system.
        findings.warn(f"read= of [{server.username}] in manager.conf lacks system: {missing.pop('system')}")
    if missing and file is None:
        findings.warn(
            f"unknown whether read= of [{server.username}] has {', '.join(missing)}: no such event came within "
            f"{LISTENS_FOR:g} s; `asterisk -rx 'manager show user {server.username}'` shows it"
        )
    if "cdr" in seen:
        findings.ok("Cdr events come")
    elif file is None:
        findings.warn(
            "unknown whether Cdr events are made: they need enabled = yes in cdr_manager.conf. Check that "
            "`asterisk -rx 'cdr show status'` lists cdr_manager among the backends, or make a call while "
            "`uac-trio record` runs and look for Event: Cdr"
        )
    elif file.cdr is None or not _is_on(file.cdr.get("enabled", "no")):
        findings.problem(
            "Cdr events are not made: cdr_manager.conf needs [general] enabled = yes, then `module reload "
            "cdr_manager.so`; without them recordings are not found"
        )
    else:
        findings.ok("Cdr events are made (cdr_manager.conf)")


def _timestamps(talk: _Talk, file: _File | None, findings: Findings) -> None:
    advice = "set timestampevents = yes in [general] of manager.conf; without it an event's time is that of its arrival"
    if any("Timestamp" in event for event in talk.events):
        findings.ok("events carry their time (timestampevents)")
    elif file is not None:
        if _is_on(file.general.get("timestampevents", "no")):
            findings.ok("events carry their time (timestampevents)")
        else:
            findings.warn(advice)
    elif any(event.name != "FullyBooted" for event in talk.events):  # that one never has it
        findings.warn(f"events carry no time: {advice}")
    else:
        findings.warn(f"unknown whether events carry their time, as none came: {advice}")
