"""What the outbox gives out and takes back. All times are seconds since the epoch."""

from __future__ import annotations

import attrs

from uac_trio.crm.delivery import Delivery
from uac_trio.store.tables import State


@attrs.frozen(kw_only=True)
class LeasedRow:
    """A delivery leased to one sender: no other sends for its call until it is settled or ``leased_until`` passes."""

    id: int
    delivery: Delivery
    attempt: int
    """From 1: which sending of its first request that was not accepted this is."""
    leased_by: str
    leased_until: float
    created_at: float
    accepted: int = 0
    """How many of its requests the CRM accepted in earlier sendings."""
    in_doubt: bool = False
    """The last sending may have been carried out: its sender died, or got no answer."""
    is_news: bool = False
    """A popup of the last ``LIVE`` seconds whose phone still rings."""
    then: tuple[LeasedRow, ...] = ()
    """What waits behind it in its call, leased with it and sent right after it."""


@attrs.frozen(kw_only=True)
class Delivered:
    reason: str = ""
    """What an administrator should know of it."""
    is_probable: bool = False
    """The CRM answered with an error and was taken to have written it."""


@attrs.frozen(kw_only=True)
class Retry:
    """It was not applied, or only in part; try again at ``at``. The call's later deliveries wait."""

    at: float
    reason: str
    attempt: int
    """How often the request that failed was sent so far; less one where the failure is not its own."""
    accepted: int = 0
    """How many of its requests the CRM accepted so far."""


@attrs.frozen(kw_only=True)
class Unknown:
    """Perhaps applied, perhaps still running in the CRM: the call rests until ``until``; then it is tried again, in
    doubt."""

    until: float
    reason: str
    accepted: int = 0


@attrs.frozen(kw_only=True)
class Parked:
    """It will never be accepted: a dead letter. The call's later deliveries go on."""

    reason: str
    accepted: int = 0


@attrs.frozen(kw_only=True)
class Released:
    """It was leased and not sent: back to where it was."""


Settlement = Delivered | Retry | Unknown | Parked | Released


@attrs.frozen(kw_only=True)
class LeaseRequest:
    """What a sender would take now."""

    owner: str
    limit: int
    """Calls."""
    seconds: float
    """How long the leases last."""
    with_rest: bool = False
    """Also what waits behind the first row of each call, so that a call that is over does not ring in the CRM while
    others are begun."""
    begun: tuple[str, ...] = ()
    """Ids of calls that keep their turn: they were just delivered something and may have more."""


@attrs.frozen
class UndoneLease:
    """A lease whose transaction failed: whether it was committed is not known, and nothing of it was sent."""

    owner: str
    until: float
    """When it would end, which no other lease of this owner does."""


@attrs.frozen(kw_only=True)
class Exchanged:
    """What one transaction led to."""

    new: int = 0
    """Deliveries that were not known before."""
    lost: tuple[LeasedRow, ...] = ()
    """Settled too late: the lease had run out and another sender has the row."""
    leased: tuple[LeasedRow, ...] = ()
    next_wake: float | None = None
    """Only if fewer calls were leased than asked for: when a lease may find more, perhaps now; None: not before the
    next put."""


@attrs.frozen(kw_only=True)
class ParkedRow:
    """A dead letter, for ``uac-trio outbox list`` and the live page."""

    id: int
    delivery: Delivery = attrs.field(repr=False)
    parked_at: float
    attempt: int
    reason: str


@attrs.frozen(kw_only=True)
class StoredRow:
    """A delivery and how it stands, for ``uac-trio explain``."""

    id: int
    delivery: Delivery
    state: State
    attempt: int
    reason: str
    """What the CRM answered, or why it was not sent."""
    is_probable: bool
    in_doubt: bool
    created_at: float
    next_try_at: float
    settled_at: float | None


@attrs.frozen(kw_only=True)
class OpenParticipation:
    """A BEGIN that no END follows yet: the CRM shows it ringing or in progress."""

    begin: Delivery
    answered_at: float | None
    """When the ANSWER that followed happened, if one did."""


@attrs.frozen(kw_only=True)
class OutboxStatistics:
    waiting: int
    """To be sent now or later."""
    sending: int
    """Leased: on the wire, or its outcome is unknown."""
    parked: int
    delivered: int
    """Kept, since the last purge."""
    superseded: int
    """Never sent, because it was too late or it was dropped by hand. Kept, since the last purge."""
    oldest_waiting_at: float | None
    """When the oldest of the waiting rows was put in."""
