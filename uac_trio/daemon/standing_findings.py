"""Findings about the parties around the daemon: a PBX, the CRM, the store, the recordings."""

from __future__ import annotations

from collections.abc import Iterator

from uac_trio.ami_client.status import AMIStatus
from uac_trio.calls.adapters import AmiGeneration, generation_of
from uac_trio.daemon.conditions import Condition, Finding
from uac_trio.daemon.standing import Standing


def standing_findings(standing: Standing) -> Iterator[Finding]:
    """What is wrong now, the first cause first. Nothing: all parties are there."""
    for name in standing.configured:
        yield from _pbx(name, standing.pbxes.get(name))
    if standing.store_trouble:
        yield Finding(
            condition=Condition.STORE_FAILS,
            words=(
                f"The store takes nothing: {standing.store_trouble}. {standing.in_memory} deliveries are held in "
                "memory, and are lost with this process."
            ),
        )
    if standing.sender.trouble:
        yield Finding(condition=Condition.CRM_AWAY, words=f"The CRM gets nothing: {standing.sender.trouble}")
    if standing.outbox is not None and standing.outbox.parked:
        yield Finding(
            condition=Condition.DEAD_LETTERS,
            words=f"Refused by the CRM for good: {standing.outbox.parked} (see Dead letters).",
            remedy="uac-trio outbox list shows the reasons; retry sends them again, drop gives them up.",
        )
    for name, trouble in standing.recordings_troubles.items():
        yield Finding(condition=Condition.RECORDINGS_AWAY, pbx=name, words=f"Recordings of PBX {name}: {trouble}")
    if standing.route_trouble:
        yield Finding(
            condition=Condition.ROUTE_AWAY,
            words=f"Callers are not routed to who is responsible: {standing.route_trouble}",
        )
    if standing.flight_recorder_trouble:
        yield Finding(
            condition=Condition.FLIGHT_RECORDER_FAILS,
            words=f"The flight recorder writes nothing: {standing.flight_recorder_trouble}.",
            remedy=(
                "Let the user of the daemon write there, or name another directory in [flight_recorder]; until then "
                "uac-trio explain lacks what happens."
            ),
        )
    if standing.starts_over:
        yield Finding(
            condition=Condition.STARTED_OVER,
            words=f"Times that everything began anew: {standing.starts_over} (see daemon.starting_over in the log).",
            remedy="Please report it with the log. This ends with a restart of the connector.",
        )
    if standing.is_dry_run:
        yield Finding(
            condition=Condition.DRY_RUN,
            words="This is a dry run: nothing is sent to the CRM, and clicks are not dialled.",
            remedy="Start uac-trio run without --dry-run when what would have been sent is right.",
        )
    if standing.config_problems:
        more = len(standing.config_problems) - 1
        yield Finding(
            condition=Condition.CONFIGURATION_REFUSED,
            words=(
                f"The configuration file has mistakes, and the daemon goes on with what it had: "
                f"{standing.config_problems[0]}" + (f" (and {more} more)" if more else "")
            ),
            remedy="Mend the file, then `systemctl reload uac-trio`. A restart would fail.",
        )


def _pbx(name: str, status: AMIStatus | None) -> Iterator[Finding]:
    if status is None:
        yield Finding(
            condition=Condition.PBX_AWAY,
            pbx=name,
            words=f"PBX {name}: not begun with yet: the store does not answer what it has of it.",
        )
    elif status.state != "connected":
        why = f": {status.last_error}" if status.last_error else ""
        yield Finding(
            condition=Condition.PBX_AWAY,
            pbx=name,
            words=f"PBX {name} is not connected{why}. Its calls are not seen.",
            remedy="uac-trio check --live names the cause.",
        )
    elif status.banner and generation_of(status.banner) is AmiGeneration.UNKNOWN:
        yield Finding(
            condition=Condition.PBX_UNKNOWN,
            pbx=name,
            words=(
                f"PBX {name} greets with {status.banner[:60]!r}, which is no Asterisk: its calls may not be followed."
            ),
            remedy="host and port of this [[pbx]] should be those of Asterisk's own manager interface.",
        )
