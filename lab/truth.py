"""The ground truth of a scenario: what the people at the phones did, one value for each logical call.

Written by hand beside the code that makes them do it. Only what Asterisk makes up (linkedid, uniqueid, the recording's
file name) is filled in from the run.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

CUSTOMER = "+79161234567"
CUSTOMER2 = "84951234567"
Truth = dict[str, Any]


def truth(
    direction: str,
    status: str,
    customer: str | None,
    *,
    first: dict[str, str],
    rang: tuple[str, ...] | list[str] = (),
    answered_by: str | None = None,
    ring: float | None = None,
    talk: float | None = None,
    recorded: bool = True,
    transfers: list[dict[str, Any]] | None = None,
    parts: dict[str, str] | None = None,
    note: str = "",
    **more: Any,
) -> Truth:
    """One logical call as the people saw it.

    status: completed, no-answer (rang until Asterisk gave up), cancelled (the caller gave up), busy, rejected, failed
    (could not be reached at all), voicemail. ring, talk: seconds, good to about half a second; talk counts people
    talking, not hold. first: headers (prefixes of their values) of the Newchannel that begins the call. parts: each
    employee's outcome. more: keys that go into the file as they are.
    """
    return {
        "direction": direction,
        "customer": customer,
        "status": status,
        "rang": list(rang),
        "answered_by": answered_by,
        "ring_secs": ring,
        "talk_secs": talk,
        "transfers": transfers or [],
        "participations": [
            {"extension": extension, "outcome": outcome} for extension, outcome in (parts or {}).items()
        ],
        "note": note,
        "_first": first,
        "_recorded": recorded,
        **more,
    }


def inbound(status: str, did: str, customer: str = CUSTOMER, **more: Any) -> Truth:
    """A customer called the number `did`."""
    more.setdefault("first", {"CallerIDNum": customer, "Exten": did})
    return truth("inbound", status, customer, did=did, **more)


def outbound(status: str, caller: str, customer: str = CUSTOMER, **more: Any) -> Truth:
    """`caller` called a customer."""
    more.setdefault("first", {"CallerIDNum": caller, "Exten": customer})
    return truth("outbound", status, customer, caller=caller, **more)


def internal(status: str, caller: str, called: str, **more: Any) -> Truth:
    """`caller` called `called`, a colleague or a service."""
    more.setdefault("first", {"CallerIDNum": caller, "Exten": called})
    return truth("internal", status, None, caller=caller, called=called, **more)


def transfer(kind: str, by: str, to: str, answered: bool = True) -> dict[str, Any]:
    """One transfer; kind is blind, attended, redirect or park."""
    return {"type": kind, "by": by, "to": to, "answered": answered}


def fill_in(calls: list[Truth], messages: list[dict[str, str]], monitor: str, root: Path) -> list[str]:
    """Put in the names Asterisk made up: linkedid, uniqueid, recording. Returns what could not be found.

    Recordings are files in `monitor` whose names end in the Uniqueid of a channel of the call.
    """
    missing: list[str] = []
    used: set[str] = set()
    of_call: dict[str, set[str]] = {}  # linkedid -> uniqueids that began with it
    for message in messages:
        if message.get("Event") == "Newchannel":
            of_call.setdefault(message["Linkedid"], set()).add(message["Uniqueid"])
    files = sorted(Path(f"{root}{monitor}").glob("**/*.wav"), key=lambda file: file.stat().st_mtime)
    for call in calls:
        first, recorded, given = call.pop("_first"), call.pop("_recorded"), call.pop("recording_is", None)
        call["linkedid"] = call["uniqueid"] = call["recording"] = None
        for message in messages:
            if (
                message.get("Event") == "Newchannel"
                and message["Uniqueid"] not in used
                and all(message.get(key, "").startswith(value) for key, value in first.items())
            ):
                used.add(message["Uniqueid"])
                call["uniqueid"], call["linkedid"] = message["Uniqueid"], message["Linkedid"]
                break
        else:
            missing.append(f"no Newchannel with {first}")
        channels = tuple(f"-{uniqueid}" for uniqueid in of_call.get(call["linkedid"] or "", ()))
        call["recordings"] = [
            {"path": f"/{file.relative_to(root)}", "bytes": file.stat().st_size}
            for file in files
            if file.stem.endswith(channels)
        ]
        if recorded:
            call["recording"] = given or _audible(call["recordings"], call["uniqueid"])
    return missing


def _audible(recordings: list[dict[str, Any]], uniqueid: str | None) -> str | None:
    """The recording to listen to: the caller's own channel's, else the longest.

    MixMonitor makes a file for unanswered calls too: 44 bytes, a header.
    """
    heard = [entry for entry in recordings if (entry["bytes"] or 0) > 44]
    for entry in heard:
        if entry["path"].endswith(f"-{uniqueid}.wav"):
            return str(entry["path"])
    return str(max(heard, key=lambda entry: int(entry["bytes"]))["path"]) if heard else None
