"""``--call`` on a PBX on loopback that plays a recorded call, and the same listener fed with recorded FreePBX calls."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from tests.daemon.world import World, answered, events_of_call, part_of_call, world
from tests.fake_asterisk import FakeSession, show_channels
from tests.recorded import ROOT
from tests.recordings.sounds import wav
from uac_trio.ami import Banner, MessageParser
from uac_trio.calls.adapters import is_wanted
from uac_trio.calls.rules import TrackerRules
from uac_trio.config.loading import Config
from uac_trio.live_check import call_watch
from uac_trio.live_check.call_report import report
from uac_trio.live_check.call_seen import SeenCall, SeenPBX
from uac_trio.live_check.call_watch import CallListener, watch_call
from uac_trio.live_check.finding import Findings, Level
from uac_trio.live_check.looking import pbx_uses
from uac_trio.transcript import read_transcript

__all__ = ["world"]

T0 = 1795413713.0
"""When the recorded call began."""
LISTED = b"Event: CoreShowChannelsComplete\r\nActionID: x\r\nListItems: 0\r\n\r\n"


def clock() -> Callable[[], float]:
    began = time.monotonic()
    return lambda: T0 + time.monotonic() - began


def after_the_list(data: bytes) -> Any:
    """The PBX lists no channel and then sends ``data``, once."""
    rest = [data]

    def react(session: FakeSession, action: dict[str, str]) -> bytes:
        return show_channels(session, action) + (rest.pop() if rest else b"")

    return react


async def watched(
    world: World, config: Config, data: bytes, seconds: float = 5.0
) -> tuple[list[Findings], list[SeenCall], list[str]]:
    world.pbx.reactions["CoreShowChannels"] = after_the_list(data)
    lines: list[str] = []
    found, calls = await watch_call(config, pbx_uses(config), seconds, now=clock(), show=lines.append)
    return found, list(calls), lines


def ids(found: list[Findings], level: Level) -> list[str]:
    return [finding.id for part in found for finding in part.found if finding.level is level]


def said(found: list[Findings]) -> str:
    return "\n".join(finding.words for part in found for finding in part.found)


async def test_call(world: World) -> None:
    """The watch ends with the call and shows who rang and why, and what the CRM would get; nothing is sent there."""
    found, (call,), lines = await watched(world, world.config(), b"".join(events_of_call()), seconds=30)
    assert ids(found, Level.PROBLEM) == []
    assert (call.rang, call.answered_by) == ({"101": "its own CallerID is an extension"}, ["101"])
    assert [request.name for request in call.requests] == ["DialBegin", "DialAnswer", "Hangup", "EndCall"]
    assert "inbound, with +7916***4567; 101 (its own CallerID is an extension); answered by 101; completed" in said(
        found
    )
    assert "DialBegin, DialAnswer, Hangup, EndCall; nothing was sent by this check" in said(found)
    assert lines[0] == ("PBX main: waits for a call. Call an employee's phone from outside, talk, and hang up.")
    assert any("-> CRM: DialBegin" in line for line in lines)
    assert "9161234567" not in str(lines) + said(found)
    assert world.crm.seen == []


async def test_call_without_times(world: World) -> None:
    """Events without a Timestamp are reported with the line to write."""
    found, _, _ = await watched(world, world.config(), b"".join(events_of_call()))
    assert ids(found, Level.WARNING) == ["pbx.timestamps"]
    assert "write timestampevents = yes into /etc/asterisk/manager.conf" in said(found)


async def test_no_call(world: World) -> None:
    """Without a call it is said what that can mean."""
    found, calls, _ = await watched(world, world.config(), b"", seconds=0.5)
    assert (ids(found, Level.PROBLEM), calls) == (["call.none"], [])
    assert "no event of a call came, and the list of channels stayed the same" in said(found)


async def test_stop(world: World) -> None:
    """An administrator who has seen enough ends the watch, and gets what was found until then."""
    config, stop = world.config(), trio.Event()
    async with trio.open_nursery() as nursery:

        async def stop_when_it_waits() -> None:
            await world.session()
            stop.set()

        nursery.start_soon(stop_when_it_waits)
        with trio.fail_after(20):
            found, _ = await watch_call(config, pbx_uses(config), 600, now=clock(), show=lambda _: None, stop=stop)
    assert ids(found, Level.PROBLEM) == ["call.none"]


async def test_cdr_of_a_call_that_was_never_announced(world: World) -> None:
    """A Cdr without any event before it: read= lacks call."""
    cdr = b"Event: Cdr\r\nPrivilege: cdr,all\r\nChannel: PJSIP/101-1\r\nUniqueID: 1795413713.9\r\n\r\n"
    found, _, _ = await watched(world, world.config(), cdr, seconds=0.5)
    assert ids(found, Level.PROBLEM) == ["pbx.read.call"]
    assert "set read = call,agent,cdr,system in [crm]" in said(found)


async def test_channel_in_a_list_alone(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new channel in a later list without any event proves the same, and no call is made up of it."""
    monkeypatch.setattr(call_watch, "LISTS_EVERY", 0.2)
    channel = ("Channel: PJSIP/101-1", "Uniqueid: 1795413713.9", "Linkedid: 1795413713.9", "ChannelState: 6")
    lists: list[list[tuple[str, ...]]] = [[], [channel]]

    def react(session: FakeSession, action: dict[str, str]) -> bytes:
        session.pbx.channels = lists.pop(0) if lists else session.pbx.channels
        return show_channels(session, action)

    world.pbx.reactions["CoreShowChannels"] = react
    config = world.config()
    found, _ = await watch_call(config, pbx_uses(config), 1.0, now=clock(), show=lambda _: None)
    assert ids(found, Level.PROBLEM) == ["pbx.read.call"]
    assert "new channels exist, and no event of a call did" in said(found)


async def test_phone_of_no_employee(world: World) -> None:
    """A call whose phones are no employee's by the rule is a problem that names the phone and the rule."""
    config = world.config()
    config = attrs.evolve(config, calls=TrackerRules(extensions=r"^2\d\d$", linger=0.05))
    found, _, _ = await watched(world, config, b"".join(events_of_call()), seconds=1.0)
    assert ids(found, Level.PROBLEM) == ["call.not_an_employee"]
    assert "PJSIP/101-00000001 rang: no employee, since neither its CallerID nor its name matches" in said(found)


async def test_call_of_another_company(world: World) -> None:
    """A call that only_... leaves out has a remedy that names those keys."""
    config = world.config()
    config = attrs.evolve(config, calls=TrackerRules(extensions=r"^1\d\d$", only_endpoints="^t1_", linger=0.05))
    found, _, _ = await watched(world, config, b"".join(events_of_call()), seconds=1.0)
    assert ids(found, Level.PROBLEM) == ["call.not_an_employee"]
    assert "correct only_endpoints, only_contexts, only_dids or only_tenants" in said(found)


async def test_call_that_goes_on(world: World) -> None:
    """A call that is not over when the time is up is reported as far as it went."""
    found, (call,), _ = await watched(world, world.config(), part_of_call(None, answered), seconds=1.0)
    assert call.ended_at is None
    assert "call.unfinished" in ids(found, Level.WARNING)


async def test_no_session(world: World) -> None:
    """A PBX that cannot be reached while we watch is a problem, not a silence."""
    found, _, _ = await watched(world, world.config(pbx_port="1"), b"", seconds=0.5)
    assert ids(found, Level.PROBLEM) == ["call.no_session"]


@pytest.mark.parametrize(("name", "named"), [("recordingpath: /monitor/a.wav", True), ("dcontext: x", False)])
@pytest.mark.parametrize("is_there", [True, False])
async def test_recording(world: World, tmp_path: Path, name: str, named: bool, is_there: bool) -> None:
    """The recording that the Cdr names is looked for; a Cdr that names none is a problem with its mapping."""
    if is_there:
        (tmp_path / "a.wav").write_bytes(wav())
    cdr = (
        "Event: Cdr\r\nPrivilege: cdr,all\r\nChannel: PJSIP/trunk-00000000\r\n"
        "DestinationChannel: PJSIP/101-00000001\r\n"
        f"UniqueID: 1795413713.0\r\nDisposition: ANSWERED\r\nBillableSeconds: 2\r\n{name}\r\n\r\n"
    )
    config = attrs.evolve(world.config(), recordings={"main": (str(tmp_path),)})
    named_otherwise = (b"Event: Cdr", b"Event: VarSet")
    events = b"".join(one for one in events_of_call() if not one.startswith(named_otherwise)) + cdr.encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(call_watch, "FILE_WITHIN", 0.2)
        found, _, _ = await watched(world, config, events)
    problems = {(True, True): [], (True, False): ["call.recording.file"], (False, True): ["pbx.recording.name"]}
    assert ids(found, Level.PROBLEM) == problems.get((named, is_there), ["pbx.recording.name"])
    if named and not is_there:
        assert "the PBX names the recording /monitor/a.wav" in said(found)
    if not named:
        assert "recordingfile => recordingfile and linkedid => linkedid into cdr_manager_mapping_custom.conf" in said(
            found
        )


# -- a real FreePBX ---------------------------------------------------------------------------------------------------


def seen_of(config: Config, name: str) -> tuple[SeenPBX, Findings]:
    """What is seen of a recorded call, and what follows from it."""
    transcript = read_transcript(name, (ROOT / f"{name}.jsonl").read_bytes())
    seen = SeenPBX("main", config.calls.recording_headers)
    now = [0.0]
    listener = CallListener(config, lambda: now[0], lambda _: None, {"main": seen})
    parser = MessageParser(wanted=is_wanted)
    for chunk in transcript.chunks:
        if chunk.direction != "recv":
            continue
        now[0] = transcript.at(chunk)
        if not seen.is_ready:
            banner = chunk.data if chunk.data.startswith(b"Asterisk Call Manager") else b"Asterisk Call Manager/5.0.1"
            listener.connected("main", banner.partition(b"\r")[0].decode(), now[0])
            parser.receive_data(banner.partition(b"\r")[0] + b"\r\n" + LISTED)
        parser.receive_data(chunk.data.partition(b"\r\n")[2] if chunk.data.startswith(b"Asterisk Call") else chunk.data)
        while (message := parser.next_message()) is not None:
            if not isinstance(message, Banner):
                listener.received("main", [message], now[0])
    listener.pipeline.tick(now[0] + 10)
    findings = Findings("PBX main")
    (use,) = pbx_uses(attrs.evolve(config, recordings={"main": ("/monitor",)}))
    report(seen, use, {}, 60, findings)
    return seen, findings


@pytest.mark.parametrize(
    ("name", "rang", "recording"),
    [
        ("in_chan_sip", ["207"], True),
        ("rg_ringall", ["201", "202", "203"], True),
        ("q_linear_reject", ["201", "205"], True),
        ("rg_v2_desk_answers", ["201", "202"], True),
        ("ondemand_recording", ["204"], False),
        ("in_cancelled", ["202"], False),
    ],
)
async def test_call_on_freepbx(world: World, name: str, rang: list[str], recording: bool) -> None:
    """Groups, queues and single phones of a real FreePBX: who rang, by which rule, and the name of the recording."""
    config = attrs.evolve(world.config(), calls=TrackerRules(extensions=r"^20\d$"))
    seen, _ = seen_of(config, f"freepbx15/{name}")
    (call,) = seen.calls.values()
    assert list(call.rang) == rang
    assert set(call.rang.values()) == {"its own CallerID is an extension"}
    assert bool(call.recordings) == recording
    assert all(-1.0 < lag < 1.0 for lag in seen.lags)


async def test_freepbx_without_the_mapping(world: World) -> None:
    """FreePBX as it comes maps nothing: the call is shown, its recording never; the check has the two lines for it."""
    headers: Any = ("recordingpath",)
    rules = TrackerRules(extensions=r"^20\d$", recording_headers=headers)
    _, findings = seen_of(attrs.evolve(world.config(), calls=rules), "freepbx15/in_chan_sip")
    assert ids([findings], Level.PROBLEM) == ["pbx.recording.name"]
    assert "recordingfile => recordingfile and linkedid => linkedid into cdr_manager_" in said([findings])


async def test_rule_that_matches_no_phone_of_freepbx(world: World) -> None:
    """A rule for other numbers than those of the phones is a problem that names the phones."""
    rules = TrackerRules(extensions=r"^1\d\d$")
    _, findings = seen_of(attrs.evolve(world.config(), calls=rules), "freepbx15/in_chan_sip")
    assert ids([findings], Level.PROBLEM) == ["call.not_an_employee"]
    assert "SIP/207-00000003 rang: no employee" in said([findings])


@pytest.mark.parametrize(
    ("name", "rang"),
    [("asterisk11/inbound_answered_agent_hangs_up", "101"), ("asterisk1.8/inbound_answered_agent_hangs_up", "101")],
)
async def test_call_on_ami_1(world: World, name: str, rang: str) -> None:
    """Old Asterisks show a call in other events; what was seen of it is the same."""
    seen, findings = seen_of(world.config(), name)
    assert [list(call.rang) for call in seen.calls.values() if call.rang] == [[rang]]
    assert "call.seen" in ids([findings], Level.OK)
