"""Checks whether clicks can be dialled: the right to originate, the contexts, no mailbox in the employee's place."""

from __future__ import annotations

import re
from collections.abc import Collection

from uac_trio.ami import Answer, ShowDialPlan
from uac_trio.ami_client.client import NO_EXTENSION
from uac_trio.ami_client.server import AMIServer
from uac_trio.crm.click import FREEPBX_SKIPS_VOICEMAIL, Route, skipping_voicemail
from uac_trio.live_check.finding import Findings
from uac_trio.live_check.pbx_session import PBXSession

_LOCAL_CONTEXT = re.compile(r"Local/[^@]*@([^/]+)")


async def is_freepbx(session: PBXSession, allowed: Collection[str]) -> bool:
    """Whether the dialplan is FreePBX's: it has a context that FreePBX alone makes. Raises SessionError."""
    if "ShowDialPlan" not in allowed:
        return False
    return not _is_missing(await session.ask(ShowDialPlan(context=FREEPBX_SKIPS_VOICEMAIL, exten=NO_EXTENSION)))


async def check_clicks(
    session: PBXSession, server: AMIServer, route: Route | None, allowed: Collection[str], findings: Findings
) -> None:
    """``route``: None if clicks are turned off. Raises SessionError."""
    if route is None:
        return
    if "Originate" not in allowed:
        findings.problem(
            "pbx.click.rights",
            f"user {server.username} may not originate calls; without that every click on a number fails",
            f"add originate to write= of [{server.username}] in manager.conf, then `asterisk -rx 'manager reload'`; or "
            "turn clicks off: [click2call] enabled = false",
        )
        return
    if "ShowDialPlan" not in allowed:
        return
    await _contexts(session, route, findings)
    await _voicemail(session, route, findings)


async def _contexts(session: PBXSession, route: Route, findings: Findings) -> None:
    """The contexts that a click goes to, and that of the Local channel that rings the employee."""
    local = _LOCAL_CONTEXT.match(route.channel)
    wanted = {route.context: "originate_context", **dict.fromkeys(sorted(route.contexts), "originate_contexts")}
    if local and local[1] != FREEPBX_SKIPS_VOICEMAIL and "{" not in local[1]:
        wanted.setdefault(local[1], "originate_channel")
    missing = {
        context: key
        for context, key in wanted.items()
        if _is_missing(await session.ask(ShowDialPlan(context=context, exten=NO_EXTENSION)))
    }
    for context, key in missing.items():
        findings.problem(
            "pbx.click.context",
            f"the dialplan has no context {context}, to which clicks are sent",
            f"set [[pbx]] {key} to the context from which employees dial (on FreePBX from-internal); `asterisk -rx "
            "'dialplan show'` lists all",
        )
    if not missing:
        findings.ok("pbx.click.context", f"clicks may be dialled, and their context {route.context} exists")


async def _voicemail(session: PBXSession, route: Route, findings: Findings) -> None:
    """Check that no mailbox of FreePBX answers a click in the employee's place."""
    skips = FREEPBX_SKIPS_VOICEMAIL
    leads_there = f"@{skips}" in route.channel
    if not leads_there and not skipping_voicemail(route.channel):
        return
    is_missing = _is_missing(await session.ask(ShowDialPlan(context=skips, exten=NO_EXTENSION)))
    if leads_there and is_missing:
        findings.problem(
            "pbx.click.context",
            f"the dialplan has no context {skips}, which originate_channel leads into: is it a FreePBX?",
            "set [[pbx]] originate_channel to the channel of an employee's phone, such as PJSIP/{extension}",
        )
    elif not leads_there and not is_missing:
        findings.warn(
            "pbx.click.voicemail",
            f"it is a FreePBX: a mailbox behind {route.channel} would answer in the employee's place, and the customer "
            f"would be called. Clicks use {skips} instead",
            f'set [[pbx]] originate_channel = "{skipping_voicemail(route.channel)}"',
        )


def _is_missing(answer: Answer) -> bool:
    """Whether ShowDialPlan found no such context (main/pbx.c, manager_show_dialplan)."""
    return "context" in answer.text and not answer.success
