"""Watches the channels for a moment: whether they can be listed, and whether events of them come.

A channel that appears in one list and not in another proves, if no event came between the two, that events of calls are
not sent to our user.
"""

from __future__ import annotations

from collections.abc import Collection

from uac_trio.ami import CoreShowChannels, Event
from uac_trio.ami_client.server import AMIServer
from uac_trio.live_check.finding import Findings
from uac_trio.live_check.pbx_events import Watched
from uac_trio.live_check.pbx_session import PBXSession

LISTENS_FOR = 2.0
"""Seconds to wait for events; a busy server has sent some by then."""
LISTENS_TO_CALLS_FOR = 5.0
"""Seconds, where calls go on at this moment."""


async def watch_channels(
    session: PBXSession, server: AMIServer, allowed: Collection[str], findings: Findings
) -> Watched:
    """Raises SessionError."""
    if "CoreShowChannels" not in allowed:
        findings.problem(
            "pbx.rights.reporting",
            f"user {server.username} may not list channels; without that, calls that end while the connection is lost "
            "never end in the CRM",
            f"add reporting to write= of [{server.username}] in manager.conf, then `asterisk -rx 'manager reload'`",
        )
        await session.listen(LISTENS_FOR)
        return Watched(_classes(session), is_silent=False)
    before = await _listed(session)
    calls = {linkedid for _, linkedid in before}  # which Asterisk before 13.5 does not show
    shown_as = f"{len(before)} channels" if "" in calls else f"{len(calls)} calls"
    findings.ok("pbx.channels", f"{shown_as} at this moment, of {len(before)} channels")
    await session.listen(LISTENS_FOR)
    if before and "call" not in _classes(session):
        await session.listen(LISTENS_TO_CALLS_FOR - LISTENS_FOR)
    classes = _classes(session)
    is_silent = "call" not in classes and await _listed(session) != before and "call" not in _classes(session)
    return Watched(_classes(session), is_silent=is_silent)


async def _listed(session: PBXSession) -> frozenset[tuple[str, str]]:
    """(Uniqueid, Linkedid) of each channel."""
    items = (await session.ask(CoreShowChannels())).items
    return frozenset(
        (item.get("Uniqueid") or item.get("UniqueID"), item.get("Linkedid"))
        for item in items
        if item.name == "CoreShowChannel"
    )


def _classes(session: PBXSession) -> frozenset[str]:
    return frozenset(class_of(event) for event in session.events)


def class_of(event: Event) -> str:
    """``call`` of ``Privilege: call,all``; "" if the server sends none."""
    return event.get("Privilege").partition(",")[0]
