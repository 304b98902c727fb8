"""`uac-trio check --live` against a real Asterisk: it names each mistake of the PBX's side, and no other.

Every user of AMI has the least rights, but for what the mistake takes from it. The daemon does not run.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import attrs
import trio

from lab.asterisk import Server, environment
from lab.live import CRM_PORT, command_line, configuration, new_crm
from lab.scenarios.everyday import inbound_answered
from lab.stage import Stage
from uac_trio.clock import now
from uac_trio.demo.crm_app import serve_crm_app

CHECK_LIMIT = 90.0
CALL_SECONDS = "30"
WAITS = b"waits for a call"


@attrs.frozen(kw_only=True)
class Mistake:
    """What is wrong on the PBX or in the configuration, and the findings that name it."""

    name: str
    found: frozenset[str]
    """Ids of all problems and warnings."""
    user: str = "least"
    instead: tuple[tuple[str, str], ...] = ()
    """Texts of the configuration and what stands there instead."""
    has_call: bool = False


def _mistake(name: str, *found: str, user: str = "least", has_call: bool = False, **instead: str) -> Mistake:
    keys = {"extensions": "extensions = '^1\\d{2}$'", "channel": '"PJSIP/{extension}"', "context": '"from-internal"'}
    changes = tuple((keys[key], value) for key, value in instead.items())
    return Mistake(name=name, found=frozenset(found), user=user, has_call=has_call, instead=changes)


MISTAKES = (
    _mistake("nothing is wrong"),
    _mistake("nothing is wrong, with a call", has_call=True),
    _mistake("no user of that name", "pbx.login", user="nosuchuser"),
    _mistake("read= lacks call", "pbx.read.call", user="leastnocall", has_call=True),
    _mistake("write= lacks reporting", "pbx.rights.reporting", "pbx.version", user="leastnoreporting"),
    _mistake("write= lacks originate", "pbx.click.rights", user="leastnooriginate"),
    _mistake("more rights than needed", "pbx.rights", user="crm"),
    _mistake("a rule for other numbers", "pbx.extensions", extensions="extensions = '^2\\d{2}$'"),
    _mistake(
        "a rule for other numbers, with a call",
        "pbx.extensions",
        "call.not_an_employee",
        extensions="extensions = '^2\\d{2}$'",
        has_call=True,
    ),
    _mistake("SIP where phones are PJSIP's", "pbx.click.technology", channel='"SIP/{extension}"'),
    _mistake("no such context", "pbx.click.context", context='"nowhere"'),
    _mistake(
        "a Cdr that names no recording",
        "pbx.recording.name",
        extensions="extensions = '^1\\d{2}$'\nrecording_headers = [\"dstcontext\"]",
        has_call=True,
    ),
)


async def check_all(server: Server, stage: Stage, out: Path, report: Callable[[Mistake, set[str]], None]) -> None:
    """Run the check with each mistake; ``report`` gets the ids of the problems and warnings that it found."""
    crm = new_crm(server.profile)
    async with trio.open_nursery() as nursery:

        async def serve(task_status: trio.TaskStatus[list[str]] = trio.TASK_STATUS_IGNORED) -> None:
            await serve_crm_app(crm, host=server.host, port=CRM_PORT, now=now, task_status=task_status)

        (address,) = await nursery.start(serve)
        for mistake in MISTAKES:
            config = _written(server, address, out, mistake)
            with trio.fail_after(CHECK_LIMIT):
                report(mistake, await _found(config, stage, mistake))
        nursery.cancel_scope.cancel()


def _written(server: Server, crm_url: str, out: Path, mistake: Mistake) -> Path:
    text = configuration(server, crm_url, out / "connector.db")
    changes = (('username = "crm"', f'username = "{mistake.user}"'), ('"crmsecret"', f'"{mistake.user}secret"'))
    for old, new in (*changes, *mistake.instead):
        assert old in text, old
        text = text.replace(old, new)
    config = out / "check.toml"
    config.write_text(text, encoding="utf-8")
    config.chmod(0o600)
    return config


async def _found(config: Path, stage: Stage, mistake: Mistake) -> set[str]:
    """Run the check; call once it waits for a call."""
    command = [*command_line(), "check", "--live", "--json", "--config", str(config)]
    command += ["--call", CALL_SECONDS] if mistake.has_call else []
    process = await trio.lowlevel.open_process(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()
    )
    output = bytearray()
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_read, process.stdout, output)
            nursery.start_soon(_call_when_it_waits, process.stderr, stage, mistake)
        await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
    findings = json.loads(output)["findings"]
    return {finding["id"] for finding in findings if finding["severity"] in ("problem", "warning")}


async def _read(stream: trio.abc.ReceiveStream | None, output: bytearray) -> None:
    assert stream is not None
    async for piece in stream:
        output += piece


async def _call_when_it_waits(stream: trio.abc.ReceiveStream | None, stage: Stage, mistake: Mistake) -> None:
    """Read the lines to their end; play a call after the first that asks for one."""
    assert stream is not None
    lines, is_called = bytearray(), not mistake.has_call
    async for piece in stream:
        lines += piece
        if not is_called and WAITS in lines:
            is_called = True
            stage.reset()
            await inbound_answered(stage)
