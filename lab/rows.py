"""Holds the CRM's rows against what the phones did. Pure: values in, complaints out.

What a participation's outcome becomes in the row's status is the table of the CRM that the connector documents
(SalesPlatform's words). A row's times are held against the phones' own clocks, not against AMI.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

import attrs

from lab.truth import Truth
from uac_trio.demo.crm import CallRow

_TALKED = ("completed", "transferred")
TOLERANCE = 1.0
"""Seconds, on top of the whole seconds that the CRM keeps."""

STATUS = {
    "completed": "completed",
    "transferred": "completed",
    "no-answer": "no-answer",
    "cancelled": "no-answer",
    "voicemail": "no-answer",
    "busy": "busy",
    "rejected": "busy",
    "failed": "failed",
    "answered-elsewhere": "Answered elsewhere",
}


@attrs.frozen(kw_only=True)
class Heard:
    """What one employee's phones saw of a call, seconds since the epoch: first sign, and end."""

    extension: str
    began: float
    ended: float


@attrs.frozen(kw_only=True)
class ExpectedRow:
    """One participation as the CRM should show it; None means: not checked."""

    extension: str
    status: str
    direction: str | None
    number: str
    began: float | None = None
    ended: float | None = None
    talked: float | None = None
    recorded: bool | None = False


def expected_rows(calls: Sequence[Truth], heard: Sequence[Heard]) -> list[ExpectedRow]:
    """A row for each participation of each call with a customer.

    Times only of people who had to do with no other call of the scenario. `untimed` in a truth: of these their phone's
    clock shows another time than their part in the call lasted.
    """
    involved = Counter(extension for call in calls for extension in _involved(call))
    rows = []
    for call in calls:
        if call["direction"] == "internal":
            continue
        alone = sum(part["outcome"] in _TALKED for part in call["participations"]) == 1 and not call["transfers"]
        for part in call["participations"]:
            extension, outcome = part["extension"], part["outcome"]
            times = [entry for entry in heard if entry.extension == extension]
            is_timed = len(times) == 1 and involved[extension] == 1 and extension not in call.get("untimed", ())
            only = times[0] if is_timed else None
            rows.append(
                ExpectedRow(
                    extension=extension,
                    status=STATUS[outcome],
                    direction=_direction(call, extension),
                    number=call["customer"],
                    began=only.began if only else None,
                    ended=only.ended if only else None,
                    talked=_talked(call, outcome, alone=alone),
                    recorded=outcome in _TALKED and call["recording"] is not None,
                )
            )
    return rows


def _involved(call: Truth) -> set[str]:
    """Every employee whose phone had to do with the call."""
    return {part["extension"] for part in call["participations"]} | {*call["rang"], call.get("caller")}


def _direction(call: Truth, extension: str) -> str | None:
    """What the row says of it; the CRM has no word for one who was given a call that a colleague made."""
    return str(call["direction"]) if call["direction"] == "inbound" or call["caller"] == extension else None


def _talked(call: Truth, outcome: str, *, alone: bool) -> float | None:
    """Seconds of talk of one participation; None where the truth has only the sum of several people's."""
    if outcome not in _TALKED:
        return 0.0
    return float(call["talk_secs"]) if alone else None


def complaints(
    expected: Sequence[ExpectedRow],
    rows: Sequence[CallRow],
    extension_of: dict[str, str],
    zone: str,
    tolerance: float = TOLERANCE,
) -> list[str]:
    """What is wrong with these rows, in words; empty when nothing is. `extension_of`: user id -> extension."""
    wrong = []
    left = list(rows)
    for want in expected:
        found = next((row for row in left if _fits(want, row, extension_of)), None)
        if found is None:
            wrong.append(f"no row says that {want.extension} had a call of {want.number} ({want.status})")
            continue
        left.remove(found)
        wrong += [f"{want.extension}: {text}" for text in _differences(want, found, ZoneInfo(zone), tolerance)]
    wrong += [
        f"one row too many: {extension_of.get(row.user or '', row.user)} {row.direction} {row.customernumber} "
        f"{row.callstatus}"
        for row in left
    ]
    return wrong


def _fits(want: ExpectedRow, row: CallRow, extension_of: dict[str, str]) -> bool:
    return (
        extension_of.get(row.user or "") == want.extension
        and same_number(row.customernumber or "", want.number)
        and row.callstatus == want.status
    )


def same_number(one: str, other: str) -> bool:
    """Whether they are the same to the CRM: the last ten digits, or the same text.

    A customer whose number looks like an employee's is shown with a plus.
    """
    digits = [re.sub(r"\D", "", number)[-10:] for number in (one, other)]
    return digits[0] == digits[1] if all(digits) else one == other


def _differences(want: ExpectedRow, row: CallRow, zone: ZoneInfo, tolerance: float) -> list[str]:
    wrong = []
    if want.direction is not None and row.direction != want.direction:
        wrong.append(f"direction {row.direction}, not {want.direction}")
    for name, at, text in (("starttime", want.began, row.starttime), ("endtime", want.ended, row.endtime)):
        if at is None:
            continue
        if text is None:
            wrong.append(f"no {name}")
            continue
        shown = datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()
        if not at - 1 - tolerance <= shown <= at + tolerance:  # the CRM's seconds are truncated or rounded
            wrong.append(f"{name} {text} is {shown - at:+.1f} s off")
    if want.began is not None and want.ended is not None:
        total = want.ended - want.began
        if abs(row.totalduration - total) > tolerance + 0.5:
            wrong.append(f"totalduration {row.totalduration}, not {total:.1f}")
    if want.talked is not None and abs(row.billduration - want.talked) > tolerance + 0.5:
        wrong.append(f"billduration {row.billduration}, not {want.talked:.1f}")
    if want.recorded is not None and bool(row.recordingurl) != want.recorded:
        wrong.append(f"recordingurl {row.recordingurl!r}, {'one' if want.recorded else 'none'} expected")
    return wrong
