"""The rows that the CRM must show for a recorded call, and how the actual rows differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from uac_trio.demo.crm import CallRow, StandInCRM

STATUSES = {
    "completed": "completed",
    "no-answer": "no-answer",
    "cancelled": "no-answer",
    "voicemail": "no-answer",
    "busy": "busy",
    "rejected": "busy",
    "failed": "failed",
}
"""A call's outcome -> its row's status in SalesPlatform; a ring group's other phones get ``Answered elsewhere``."""

TALK_TOLERANCE = 1.0
"""Seconds: both the rows and the truth have whole seconds."""


@attrs.frozen(kw_only=True)
class ExpectedRow:
    """One employee's participation in a call. ``talk_secs`` None: unknown."""

    extension: str
    direction: str
    status: str
    number: str
    talk_secs: float | None
    recorded: bool


def expected_rows(call: Mapping[str, Any]) -> list[ExpectedRow]:
    """The rows of one call without transfers, an entry of ``calls`` in an ``expect.json``: one for each employee.

    Inbound: every phone that rang, or ``tried`` when none did; outbound: the employee who dialled.
    """
    status = STATUSES[call["status"]]
    if call["direction"] == "outbound":
        shares = {call["caller"]: status}
    else:
        phones = call["rang"] or call.get("tried", [])
        shares = {phone: _share(call, phone, status) for phone in phones}
    return [
        ExpectedRow(
            extension=extension,
            direction=call["direction"],
            status=share,
            number=call["customer"],
            talk_secs=call.get("talk_secs") if share == "completed" else 0.0,
            recorded=share == "completed" and bool(call.get("recording")),
        )
        for extension, share in shares.items()
    ]


def _share(call: Mapping[str, Any], phone: str, status: str) -> str:
    answered_by = call.get("answered_by")
    return status if answered_by in {None, phone} else "Answered elsewhere"


def differences(
    crm: StandInCRM, rows: Sequence[CallRow], expected: Sequence[ExpectedRow], *, timed: bool = True
) -> list[str]:
    """How ``rows``, all of one call, differ from ``expected``, in words; empty if they agree.

    ``timed`` False ignores the talk time, for a recording that was not replayed at its own pace.
    """
    by_extension = {_extension(crm, row): row for row in rows}
    found = []
    if len(by_extension) < len(rows):
        found.append(f"{len(rows)} rows, several of them of one employee")
    found += [f"an unexpected row of {extension}" for extension in by_extension.keys() - _people(expected)]
    for want in expected:
        row = by_extension.get(want.extension)
        if row is None:
            found.append(f"no row of {want.extension}, expected {want.status}")
        else:
            found += [f"{want.extension}: {words}" for words in _row_differences(crm, row, want, timed=timed)]
    return found


def _row_differences(crm: StandInCRM, row: CallRow, want: ExpectedRow, *, timed: bool) -> list[str]:
    customer = crm.tables.customer_by_last_digits(want.number, None)
    values = [
        ("status", row.callstatus, want.status),
        ("direction", row.direction, want.direction),
        ("customer number", (row.customernumber or "")[-10:], want.number[-10:]),
        ("customer", row.customer or "", str(customer.id) if customer is not None else ""),
        ("recording", "yes" if row.recordingurl else "no", "yes" if want.recorded else "no"),
    ]
    found = [f"{name} is {is_!r}, expected {expected!r}" for name, is_, expected in values if is_ != expected]
    if not row.starttime or not row.endtime:
        found.append("it has no start or no end")
    if timed and want.talk_secs is not None and abs(row.billduration - want.talk_secs) > TALK_TOLERANCE:
        found.append(f"{row.billduration} s of talk, expected {want.talk_secs:g}")
    return found


def _extension(crm: StandInCRM, row: CallRow) -> str:
    user = crm.tables.user(row.user)
    return user.extension if user is not None else ""


def _people(expected: Sequence[ExpectedRow]) -> set[str]:
    return {want.extension for want in expected}
