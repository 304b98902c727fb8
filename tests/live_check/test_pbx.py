from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
import trustme

from tests.ami_scene import server
from tests.fake_asterisk import REACTIONS, FakeAsterisk, Reaction, answer, block, error, event, hang_up, log_in, silence
from uac_trio.ami_client.server import AMIServer
from uac_trio.calls.rules import TrackerRules
from uac_trio.crm.click import Route
from uac_trio.live_check import pbx as looked_at
from uac_trio.live_check import pbx_calls, pbx_session
from uac_trio.live_check.finding import Findings, Level
from uac_trio.live_check.pbx import PBXUse, check_pbx

NOW = 1795413713.2
ROUTE = Route(pbx="main")
RULES = TrackerRules()
LEAST = ("Originate: Originate a call.  (Priv: originate,all)", "CoreShowChannels: List  (Priv: system,reporting,all)")
GET_CONFIG = "GetConfig: Retrieve configuration.  (Priv: system,config,all)"
CHANNEL = ("Channel: PJSIP/101-00000000", "Uniqueid: 1795413713.0", "Linkedid: 1795413713.0")

FILES = {
    ("manager.conf", "crm"): ["secret=s3cret", "read=call,agent,cdr,system", "write=originate,reporting"],
    ("manager.conf", "general"): ["enabled=yes", "timestampevents = yes"],
    ("cdr_manager.conf", "general"): ["enabled=yes"],
}


@pytest.fixture(autouse=True)
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pbx_calls, "LISTENS_FOR", 0.03)
    monkeypatch.setattr(pbx_calls, "LISTENS_TO_CALLS_FOR", 0.05)
    monkeypatch.setattr(pbx_session, "ANSWERS_WITHIN", 1.0)
    monkeypatch.setattr(looked_at, "CONNECTS_WITHIN", 1.0)


def settings(version: str = "22.1.0", *more: str) -> Reaction:
    return lambda _, action: answer(action, f"AsteriskVersion: {version}", *(more or ("CoreCDRenabled: Yes",)))


def commands(*lines: str) -> Reaction:
    return lambda _, action: answer(action, *lines)


def config_files(files: dict[tuple[str, str], list[str]]) -> Reaction:
    def react(_: object, action: dict[str, str]) -> bytes:
        lines = files.get((action["Filename"], action["Category"]))
        if lines is None:
            return error(action, "Config file not found")
        return answer(action, *(f"Line-000000-{number:06}: {line}" for number, line in enumerate(lines)))

    return react


def reactions(**changed: Reaction) -> dict[str, Reaction]:
    return {
        **REACTIONS,
        "ListCommands": commands(*LEAST),
        "CoreSettings": settings(),
        "ShowDialPlan": lambda _, action: error(action, "Did not find extension uac-trio-check@from-internal"),
        "GetConfig": config_files(FILES),
        **changed,
    }


@asynccontextmanager
async def asterisk(**changed: Any) -> AsyncIterator[int]:
    """A PBX on loopback; its port."""
    async with trio.open_nursery() as nursery:
        options = {"reactions": reactions(**changed.pop("more", {})), "channels": [CHANNEL], **changed}
        pbx = FakeAsterisk(nursery, **options)
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, pbx.serve, [listener])
        yield listener.socket.getsockname()[1]
        nursery.cancel_scope.cancel()


async def looked(
    ami: AMIServer,
    route: Route | None = ROUTE,
    now: float = NOW,
    *,
    rules: TrackerRules = RULES,
    recordings: bool = False,
) -> list[tuple[Level, str]]:
    findings = Findings("PBX main")
    use = PBXUse(server=ami, route=route, rules=rules, wants_recordings=recordings)
    await check_pbx(use, lambda: now, findings)
    return [(finding.level, finding.words) for finding in findings.found]


def said(found: list[tuple[Level, str]], level: Level) -> str:
    return "\n".join(words for each, words in found if each is level)


def with_files(**changed: list[str]) -> dict[str, Reaction]:
    names = {"section": ("manager.conf", "crm"), "general": ("manager.conf", "general"),
             "cdr": ("cdr_manager.conf", "general"), "mappings": ("cdr_manager.conf", "mappings")}  # fmt: skip
    files = {**FILES, **{names[name]: lines for name, lines in changed.items()}}
    return {"ListCommands": commands(*LEAST, GET_CONFIG), "GetConfig": config_files(files)}


async def test_all_is_well() -> None:
    """A PBX whose files our user may read gets a line for each thing that was looked at, and no complaint."""
    async with asterisk(more=with_files()) as port:
        found = await looked(server(port=port))
    assert {level for level, _ in found} == {Level.OK, Level.UNKNOWN}
    for words in (
        "logged in as crm, by MD5 challenge",
        "Asterisk 22.1.0",
        "its clock agrees",
        "1 calls at this moment, of 1 channels",
        "receives events of call, agent, cdr, system",
        "Cdr events are made",
        "events carry their time",
    ):
        assert words in said(found, Level.OK)


SKIPS = "originate-skipvm"


@pytest.mark.parametrize(
    ("channel", "contexts", "level", "words"),
    [
        ("Local/{extension}@from-internal", [SKIPS], Level.WARNING, '"Local/{extension}@originate-skipvm"'),
        ("Local/{extension}@from-internal/n", [SKIPS], Level.WARNING, '"Local/{extension}@originate-skipvm/n"'),
        ("Local/{extension}@from-internal", [], Level.WARNING, ""),
        ("Local/{extension}@originate-skipvm", [], Level.PROBLEM, "no context originate-skipvm"),
        ("Local/{extension}@originate-skipvm", [SKIPS], Level.PROBLEM, ""),
        ("PJSIP/{extension}", [SKIPS], Level.WARNING, ""),
    ],
)
async def test_mailbox_of_freepbx(channel: str, contexts: list[str], level: Level, words: str) -> None:
    """A channel behind which FreePBX's mailbox answers, and one that leads nowhere, are reported."""

    def show(_: object, action: dict[str, str]) -> bytes:
        there = action["Context"] in ("from-internal", *contexts)
        what = f"extension x@{action['Context']}" if there else f"context {action['Context']}"
        return error(action, f"Did not find {what}")

    files = with_files()
    may = commands(*LEAST, GET_CONFIG, "ShowDialPlan: Show.  (Priv: config,reporting,all)")
    async with asterisk(more={**files, "ListCommands": may, "ShowDialPlan": show}) as port:
        found = await looked(server(port=port), Route(pbx="main", channel=channel))
    assert words in said(found, level)
    assert (said(found, level) == "") == (words == "")


def logged_in_and(*events: bytes) -> Reaction:
    return lambda session, action: log_in(session, action) + b"".join(events)


FAULTS: dict[str, tuple[dict[str, Any], Level, str]] = {
    "wrong secret": ({"secret": "other"}, Level.PROBLEM, "its secret differs from ours, its deny/permit/acl"),
    "challenge refused": ({"more": {"Challenge": lambda _, action: error(action, "No")}}, Level.PROBLEM, "refused: No"),
    "no answer to the login": ({"more": {"Login": silence}}, Level.PROBLEM, "no answer to Login within"),
    "no AMI": ({"banner": b"SSH-2.0-OpenSSH_9.2\r\n"}, Level.WARNING, "its greeting is 'SSH-2.0-OpenSSH_9.2'"),
    "says nothing": ({"banner": b""}, Level.PROBLEM, "it sends no greeting: is this the manager's port"),
    "broken AMI": ({"banner": b"\0" * 5000}, Level.PROBLEM, "does not speak AMI"),
    "too old": ({"more": {"CoreSettings": settings("1.6.2.24")}}, Level.PROBLEM, "Asterisk 1.6.2.24 is too old"),
    "AMI 1.1": ({"more": {"CoreSettings": settings("1.8.32.3")}}, Level.WARNING, "set eventwhencalled = yes"),
    "AMI 1.3": ({"more": {"CoreSettings": settings("11.25.3")}}, Level.WARNING, "Asterisk 11.25.3 has AMI 1.x"),
    "AMI 2": ({"more": {"CoreSettings": settings("13.1.0")}}, Level.OK, "Asterisk 13.1.0"),
    "certified": ({"more": {"CoreSettings": settings("certified/18.9-cert4")}}, Level.OK, "Asterisk certified/18.9"),
    "no version": (
        {"more": {"CoreSettings": lambda _, action: error(action, "Permission denied")}},
        Level.WARNING,
        "its version is unknown (Permission denied)",
    ),
    "no Cdrs": (
        {"more": {"CoreSettings": settings("22.1.0", "CoreCDRenabled: No")}},
        Level.PROBLEM,
        "set enable = yes in [general] of /etc/asterisk/cdr.conf",
    ),
    "no originate": ({"more": {"ListCommands": commands(LEAST[1])}}, Level.PROBLEM, "add originate to write="),
    "no reporting": ({"more": {"ListCommands": commands(LEAST[0])}}, Level.PROBLEM, "add reporting to write="),
    "no context": (
        {"more": {
            "ListCommands": commands(*LEAST, "ShowDialPlan: Show.  (Priv: config,reporting,all)"),
            "ShowDialPlan": lambda _, action: error(action, "Did not find context from-internal"),
        }},
        Level.PROBLEM,
        "the dialplan has no context from-internal",
    ),
    "too many rights": (
        {"more": {"ListCommands": commands(*LEAST, "Command: Run.  (Priv: command,all)")}},
        Level.WARNING,
        "more rights than we need (Command)",
    ),
    "read lacks call": (
        {"more": with_files(section=["read=cdr, call"])},
        Level.PROBLEM,
        "read= of [crm] in manager.conf lacks call (no blanks after the commas)",
    ),
    "read lacks agent": ({"more": with_files(section=["read=call,cdr"])}, Level.WARNING, "lacks agent"),
    "read all": ({"more": with_files(section=["read=all"])}, Level.OK, "receives events of call, agent, cdr, system"),
    "cdr_manager is off": ({"more": with_files(cdr=["enabled=no"])}, Level.PROBLEM, "Cdr events are not made"),
    "no timestamps": ({"more": with_files(general=["enabled=yes"])}, Level.WARNING, "write timestampevents = yes"),
    "files not for us": ({}, Level.UNKNOWN, "whether Cdr events are made"),
    "nothing heard": ({}, Level.UNKNOWN, "whether read= has call"),
    "user in no file": ({"more": with_files(section=[])}, Level.UNKNOWN, "whether read= has call"),
    "heard with time": (
        {"more": {"Login": logged_in_and(event("Newchannel", "Timestamp: 1795413713.1"))}},
        Level.OK,
        "events carry their time",
    ),
    "heard without time": (
        {"more": {"Login": logged_in_and(event("Newchannel"))}},
        Level.WARNING,
        "events carry no time",
    ),
    "heard a Cdr": (
        {"more": {"Login": logged_in_and(block("Event: Cdr", "Privilege: cdr,all"))}},
        Level.OK,
        "Cdr events come",
    ),
    "silent": ({"more": {"ListCommands": silence}}, Level.PROBLEM, "no answer to ListCommands within"),
    "hung up": ({"more": {"ListCommands": hang_up}}, Level.PROBLEM, "the server closes the connection"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
async def test_what_is_said(fault: str) -> None:
    """Each fault of a PBX, its manager.conf or its user is named in words that say what to change."""
    changed, level, words = FAULTS[fault]
    async with asterisk(**changed) as port:
        found = await looked(server(port=port))
    assert words in said(found, level)
    assert "s3cret" not in str(found)


async def test_clock_that_differs() -> None:
    """A PBX whose clock differs gets a warning that says by how much and in which direction."""
    async with asterisk() as port:
        found = await looked(server(port=port), now=NOW + 61)
    assert "61 s behind ours" in said(found, Level.WARNING)


async def test_no_clicks_no_rights_for_them() -> None:
    """Where clicks are turned off, a missing right to originate is no problem."""
    async with asterisk(more={"ListCommands": commands(LEAST[1])}) as port:
        assert said(await looked(server(port=port), route=None), Level.PROBLEM) == ""


async def test_refused_connection() -> None:
    """A refused connection names the settings of manager.conf that decide about it."""
    with trio.socket.socket() as unused:
        await unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    ((level, words),) = await looked(server(port=port))
    assert level is Level.PROBLEM
    assert f"127.0.0.1:{port} refuses the connection: in /etc/asterisk/manager.conf [general] needs" in words


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        (OSError(113, "No route to host"), "there is no route to 127.0.0.1:5038"),
        (OSError(-2, "Name or service not known"), "the name 127.0.0.1 is not known to this machine's resolver"),
        (OSError(5, "Input/output error"), "cannot connect to 127.0.0.1:5038: Input/output error"),
    ],
)
async def test_no_connection(failure: OSError, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of the network is shown in words; trio hides it in the cause of its own error."""

    async def open_stream(_: AMIServer) -> trio.abc.Stream:
        await trio.lowlevel.checkpoint()
        raise OSError("all attempts to connect to 127.0.0.1:5038 failed") from ExceptionGroup("", [failure])

    monkeypatch.setattr(looked_at, "open_stream", open_stream)
    assert words in said(await looked(server()), Level.PROBLEM)


async def test_no_answer_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that answers no packet is given up in time."""

    async def open_stream(_: AMIServer) -> trio.abc.Stream:
        await trio.sleep_forever()
        raise AssertionError

    monkeypatch.setattr(looked_at, "open_stream", open_stream)
    assert "does a firewall drop port 5038?" in said(await looked(server()), Level.PROBLEM)


async def test_untrusted_certificate() -> None:
    """A certificate of an untrusted authority is a TLS failure, with the settings that decide about it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("pbx.example").configure_cert(context)

    async def serve(stream: trio.SocketStream) -> None:
        with pytest.raises(trio.BrokenResourceError):
            await trio.SSLStream(stream, context, server_side=True).do_handshake()

    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, serve, [listener])
        found = await looked(server(port=listener.socket.getsockname()[1], tls=True))
        nursery.cancel_scope.cancel()
    assert "fails: its certificate is not trusted: " in said(found, Level.PROBLEM)
    assert "else set tls_name" in said(found, Level.PROBLEM)


# -- phones


def listing(*items: tuple[str, ...]) -> Reaction:
    """The answer to a listing action."""

    def react(_: object, action: dict[str, str]) -> bytes:
        id_ = f"ActionID: {action['ActionID']}"
        events = b"".join(block(f"Event: {name}", id_, *lines) for name, *lines in items)
        end = block(f"Event: {action['Action']}Complete", id_, "EventList: Complete", f"ListItems: {len(items)}")
        return answer(action, "EventList: start") + events + end

    return react


def device(name: str) -> tuple[str, ...]:
    return ("DeviceStateChange", f"Device: {name}", "State: NOT_INUSE")


def hint(number: str, shown: str) -> tuple[str, ...]:
    return ("ExtensionStatus", f"Exten: {number}", "Context: ext-local", f"Hint: {shown}", "Status: 0")


MAY_LIST = commands(*LEAST, "DeviceStateList: List", "ExtensionStateList: List", "SIPpeers: List")
ONES = TrackerRules(extensions=r"^1\d\d$")

PHONES: dict[str, tuple[dict[str, Reaction], TrackerRules, Level, str]] = {
    "all match": (
        {"DeviceStateList": listing(device("PJSIP/101"), device("Custom:DND101"))},
        ONES,
        Level.OK,
        "1 phones",
    ),
    "none matches": (
        {"DeviceStateList": listing(device("PJSIP/2001"), device("PJSIP/20"))},
        ONES,
        Level.PROBLEM,
        r"no phone of this PBX is an employee's: 20, 2001 do not match [calls] extensions = '^1\d\d$', so no call "
        r"is shown in the CRM: set [calls] extensions = '^\d{2,4}$'",
    ),
    "some match": (
        {"DeviceStateList": listing(device("PJSIP/101"), device("PJSIP/2001"))},
        ONES,
        Level.WARNING,
        "1 phones are employees' by [calls]; 2001 are not",
    ),
    "a trunk named by digits": (
        {"DeviceStateList": listing(device("PJSIP/101"), device("SIP/33915"))},
        TrackerRules(extensions=r"^1\d\d$", trunks=["33915"]),
        Level.OK,
        "1 phones",
    ),
    "names": (
        {"DeviceStateList": listing(device("PJSIP/anna"))},
        ONES,
        Level.UNKNOWN,
        r"is named like an extension by [calls] extensions = '^1\d\d$': anna. Each is an employee's if",
    ),
    "names with hints": (
        {"ExtensionStateList": listing(hint("101", "PJSIP/anna&Custom:DND101"), hint("*76101", "Custom:DND101"))},
        ONES,
        Level.UNKNOWN,
        'otherwise name it: [calls] devices = { "anna" = "101" }',
    ),
    "hints of phones with the same name": (
        {"ExtensionStateList": listing(hint("101", "PJSIP/101&Custom:DND101"))},
        ONES,
        Level.OK,
        "1 phones",
    ),
    "another company's": (
        {"DeviceStateList": listing(device("PJSIP/t1_101"), device("PJSIP/2001"))},
        TrackerRules(extensions=r"^1\d\d$", only_endpoints="^t1_"),
        Level.UNKNOWN,
        "no phone of this PBX is named like an extension",
    ),
    "companies by context": (
        {"DeviceStateList": listing(device("PJSIP/2001"))},
        TrackerRules(extensions=r"^1\d\d$", only_contexts="^t1-"),
        Level.UNKNOWN,
        "it lists those of other companies as well",
    ),
    "named in devices": (
        {"DeviceStateList": listing(device("PJSIP/anna"))},
        TrackerRules(devices={"anna": "101"}),
        Level.OK,
        "1 phones",
    ),
    "another technology": (
        {"SIPpeers": listing(("PeerEntry", "Channeltype: SIP", "ObjectName: 101"))},
        ONES,
        Level.PROBLEM,
        'set [[pbx]] originate_channel = "SIP/{extension}"',
    ),
    "none listed": ({}, ONES, Level.UNKNOWN, "it lists none of ours"),
}


@pytest.mark.parametrize("case", PHONES)
async def test_phones(case: str) -> None:
    """The phones that the PBX lists are compared with the rule for employees' numbers."""
    lists, rules, level, words = PHONES[case]
    empty = dict.fromkeys(("DeviceStateList", "ExtensionStateList", "SIPpeers"), listing())
    async with asterisk(more={"ListCommands": MAY_LIST, **empty, **lists}) as port:
        found = await looked(server(port=port), rules=rules)
    assert words in said(found, level)


async def test_lines_that_look_like_employees() -> None:
    """An endpoint that logs in elsewhere is a line, whatever its name; endpoints show that to users who may see it."""
    endpoints = listing(
        ("EndpointList", "ObjectName: 101", "OutboundAuths: "),
        ("EndpointList", "ObjectName: 78", "OutboundAuths: 78-auth"),
    )
    may = commands(*LEAST, "PJSIPShowEndpoints: List")
    async with asterisk(more={"ListCommands": may, "PJSIPShowEndpoints": endpoints}) as port:
        found = await looked(server(port=port))
    assert 'set [calls] trunks = ["78"]' in said(found, Level.WARNING)


# -- calls


def lists_in_turn(*lists: list[tuple[str, ...]]) -> Reaction:
    """Another list of channels each time."""
    rest = list(lists)

    def react(session: Any, action: dict[str, str]) -> bytes:
        session.pbx.channels = rest.pop(0) if rest else session.pbx.channels
        return REACTIONS["CoreShowChannels"](session, action) or b""

    return react


@pytest.mark.parametrize(("after", "level"), [([], Level.PROBLEM), ([CHANNEL], Level.UNKNOWN)])
async def test_calls_without_events(after: list[tuple[str, ...]], level: Level) -> None:
    """A channel that goes while no event of it comes proves that read= lacks call; one that stays proves nothing."""
    async with asterisk(more={"CoreShowChannels": lists_in_turn([CHANNEL], after)}) as port:
        found = await looked(server(port=port))
    assert "read= " in said(found, level)
    if level is Level.PROBLEM:
        assert "set read = call,agent,cdr,system in [crm] of /etc/asterisk/manager.conf" in said(found, level)


CDR = ("Event: Cdr", "Privilege: cdr,all", "Channel: PJSIP/101-1", "UniqueID: 1.1")
ON_FREEPBX = {
    "ListCommands": commands(*LEAST, "ShowDialPlan: Show.  (Priv: config,reporting,all)"),
    "ShowDialPlan": lambda _, action: error(action, f"Did not find extension x@{action['Context']}"),
}
NAMES: dict[str, tuple[dict[str, Any], Level, str]] = {
    "mapped": (with_files(mappings=["recordingfile = recordingfile"]), Level.OK, "cdr_manager.conf, [mappings]"),
    "not mapped": (with_files(mappings=["dcontext = dcontext"]), Level.PROBLEM, "recordingpath => recordingpath"),
    "no mapping": (with_files(), Level.PROBLEM, "no recording will be found"),
    "a Cdr names it": ({"Login": logged_in_and(block(*CDR, "recordingfile: a.wav"))}, Level.OK, "Cdr events name"),
    "a Cdr without": ({"Login": logged_in_and(block(*CDR))}, Level.PROBLEM, "1 Cdr events came, and none has a header"),
    "nothing came": ({}, Level.UNKNOWN, "whether Cdr events name the recording"),
    "FreePBX": (
        {**ON_FREEPBX, "Login": logged_in_and(block(*CDR))},
        Level.PROBLEM,
        "write two lines into /etc/asterisk/cdr_manager_mapping_custom.conf: recordingfile => recordingfile",
    ),
}


@pytest.mark.parametrize("case", NAMES)
async def test_names_of_recordings(case: str) -> None:
    """Where recordings are configured, a Cdr that does not name them is a problem, with the lines to write."""
    more, level, words = NAMES[case]
    async with asterisk(more=more) as port:
        found = await looked(server(port=port), recordings=True)
        without = await looked(server(port=port), recordings=False)
    assert words in said(found, level)
    assert "recordingfile" not in str(without)


@pytest.mark.parametrize(("off", "is_zone"), [(10_800.5, True), (61, False), (2600, False)])
async def test_clock_in_another_zone(off: float, is_zone: bool) -> None:
    """A clock that is off by whole half hours was set to a local time."""
    async with asterisk() as port:
        found = await looked(server(port=port), now=NOW + off)
    assert ("was set to a local time" in said(found, Level.WARNING)) == is_zone


async def test_context_of_a_local_channel() -> None:
    """The context behind a Local channel is looked for as that of the click is."""
    may = commands(*LEAST, "ShowDialPlan: Show.  (Priv: config,reporting,all)")

    def show(_: object, action: dict[str, str]) -> bytes:
        what = "extension x@" if action["Context"] == "from-internal" else "context "
        return error(action, f"Did not find {what}{action['Context']}")

    async with asterisk(more={"ListCommands": may, "ShowDialPlan": show}) as port:
        found = await looked(server(port=port), Route(pbx="main", channel="Local/{extension}@phones"))
    assert "no context phones, to which clicks are sent: set [[pbx]] originate_channel" in said(found, Level.PROBLEM)
