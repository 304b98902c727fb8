"""What the outbox gives out and takes back. All times are seconds since the epoch."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from uac_trio.vtiger.request import Step


@attrs.frozen(kw_only=True)
class OutboxRow:
    """A request leased to one sender: nobody else sends for its call until it is settled or ``leased_until`` passes."""

    id: int
    key: str
    call_id: str
    extension: str
    step: Step
    form: Mapping[str, str] = attrs.field(repr=False)
    at: float
    attempt: int
    """From 1: which sending of this request this is, less those that were not ``counted``."""
    leased_by: str
    leased_until: float
    created_at: float


PROBABLY_DELIVERED = "probably delivered: "
"""How the reason of a row begins that the CRM answered with an error and that was taken for written."""


@attrs.frozen(kw_only=True)
class Delivered:
    reason: str = ""
    """What an administrator should know of it."""


@attrs.frozen(kw_only=True)
class Retry:
    """It was not applied; try again at ``at``. The call's later requests wait."""

    at: float
    reason: str
    counted: bool = True
    """False: it failed for reasons that are not the request's own, and its next sending has the same ``attempt``."""


@attrs.frozen(kw_only=True)
class Unknown:
    """Perhaps applied, perhaps still running in the CRM: the call rests until ``until``.

    Then the request is sent again, unless its step may not be repeated: such a row counts as delivered.
    """

    until: float
    reason: str


@attrs.frozen(kw_only=True)
class Parked:
    """It will never be accepted. The call's later requests go on."""

    reason: str


Outcome = Delivered | Retry | Unknown | Parked


@attrs.frozen(kw_only=True)
class ParkedRow:
    """A request the CRM refused, for ``uac-trio outbox list`` and the live page."""

    id: int
    call_id: str
    extension: str
    step: Step
    form: Mapping[str, str] = attrs.field(repr=False)
    at: float
    parked_at: float
    attempt: int
    reason: str


@attrs.frozen(kw_only=True)
class OpenParticipation:
    """A DialBegin or StartApp that no Hangup follows yet: the CRM shows it ringing or in progress."""

    call_id: str
    extension: str
    key: str
    step: Step
    form: Mapping[str, str] = attrs.field(repr=False)
    at: float
    answered_at: float | None
    """When the DialAnswer that followed happened, if one did."""


@attrs.frozen(kw_only=True)
class OutboxStatistics:
    waiting: int
    """To be sent now or later."""
    sending: int
    """Leased: on the wire, or its outcome is unknown."""
    parked: int
    delivered: int
    """Kept, since the last purge."""
    moot: int
    """Never sent, because it was too late or it was dropped by hand. Kept, since the last purge."""
    oldest_waiting_at: float | None
    """When the oldest of the waiting rows was put in."""
