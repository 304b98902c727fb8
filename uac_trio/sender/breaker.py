"""When the sender sends. Pure: time and chance are arguments.

``CircuitBreaker`` holds everything back while the CRM is away or refuses us, ``backoff`` says for how long,
``ConcurrencyLimit`` how many requests a CRM that slows down is sent at once.
"""

from __future__ import annotations

import enum

import attrs

from uac_trio.crm.reply import Ruling, Verdict
from uac_trio.settings import setting, values

SLOW_AFTER = 0.5
"""Seconds that no answer is called slow for: without PHP's opcache a new row takes 0.2 (measured), in bursts 0.5."""
SLOW_TIMES = 4.0
"""An answer that took so many times the CRM's usual time is slow: others, or we, ask more of it than it can do."""
USUAL_RISES = 1.02
"""With each answer we think the usual time this much longer, until one is as quick: a CRM that became slow for good is
found usual after some hundred answers."""
FASTER = 0.1
"""More requests at once for each good answer: 10 good ones for one more."""


@attrs.frozen(kw_only=True)
class SenderSettings:
    """All times in seconds."""

    in_flight: int = attrs.field(
        default=3,
        metadata=setting(
            values.whole(1, 16),
            "Requests at once. vTiger serialises the creation of rows, so more than 4 only makes each slower.",
        ),
    )
    connect_timeout: float = attrs.field(
        default=5.0, metadata=setting(values.seconds(0.1, 120), "For a connection to the CRM.")
    )
    reply_timeout: float = attrs.field(
        default=15.0,
        metadata=setting(values.seconds(0.1, 300), "Between two pieces of its reply."),
    )
    retry_min: float = attrs.field(
        default=2.0,
        metadata=setting(
            values.seconds(0.1, 3600),
            "The first pause before a request is repeated; each is twice as long as the one before, up to `retry_max`.",
        ),
    )
    retry_max: float = attrs.field(
        default=300.0, metadata=setting(values.seconds(1, 86400), "The longest pause before a request is repeated.")
    )
    away_max: float = attrs.field(
        default=30.0,
        metadata=setting(values.seconds(1, 3600), "Longest pause between two looks whether the CRM is back."),
    )
    unknown_pause: float = attrs.field(
        default=60.0,
        metadata=setting(
            values.seconds(1, 3600),
            "How long a call rests after a request without an answer. MySQL waits 50 s for a row lock: a second "
            "DialBegin beside one that still waits makes a second row.",
        ),
    )
    shutdown_grace: float = attrs.field(
        default=5.0,
        metadata=setting(
            values.seconds(0, 10), "What requests in flight are given to end when the sender is cancelled."
        ),
    )
    ca_file: str | None = attrs.field(
        default=None,
        metadata=setting(
            values.absolute_path, "PEM file of the authorities to trust for https, instead of the system's."
        ),
    )

    @property
    def answer_within(self) -> float:
        """The longest that one request may take us."""
        return self.connect_timeout + self.reply_timeout

    @property
    def lease_seconds(self) -> float:
        """No other connector may touch the call while an answer is awaited, nor, after our death, while the CRM may
        still work.

        So it is also how long the calls rest that a dead connector had in hand. One sending is a request, perhaps with
        a probe before it and a question after it.
        """
        longest = 3 * self.answer_within
        return self.connect_timeout + max(longest, self.unknown_pause) + 5

    @property
    def longest_pause(self) -> float:
        """Seconds: no retry, no lease and no open breaker lets a delivery wait longer."""
        return max(self.lease_seconds, self.retry_max + self.away_max, self.unknown_pause) + self.retry_min


def backoff(failures: int, least: float, most: float, jitter: float) -> float:
    """Seconds to pause after the ``failures``-th failure in a row, from 1. ``jitter``, in [0, 1), spreads by 1/4."""
    return min(most, least * 2.0 ** min(failures - 1, 32) * (0.75 + jitter / 2))


@attrs.define
class ConcurrencyLimit:
    """How many requests the CRM is sent at once: half as many after a slow answer, one after none at all, a little more
    after a good one."""

    most: int
    at_once: float = attrs.field(default=attrs.Factory(lambda self: float(self.most), takes_self=True))
    usual: float = 0.0
    """Seconds the CRM takes when nothing hinders it; 0: not known yet."""
    _cut_at: float = float("-inf")

    def note(self, ruling: Ruling, took: float, ended: float) -> None:
        """An answer came after ``took`` seconds, at ``ended`` by a clock that is never set back. What was on the wire
        when the limit was cut is about the time before, and does not cut it again."""
        if ruling in (Ruling.AWAY, Ruling.UNKNOWN):
            self.at_once, self._cut_at = 1.0, ended
            return
        self.usual = min(took, self.usual * USUAL_RISES) if self.usual else took
        if took <= max(SLOW_AFTER, SLOW_TIMES * self.usual):
            self.at_once = min(float(self.most), self.at_once + FASTER)
        elif ended - took >= self._cut_at:
            self.at_once, self._cut_at = max(1.0, self.at_once / 2), ended


class BreakerState(enum.Enum):
    CLOSED = "closed"
    OPEN = "open"
    """Nothing is sent."""
    HALF_OPEN = "half-open"
    """The pause is over: one request is let through, and its answer opens or closes the breaker."""


@attrs.define
class CircuitBreaker:
    """Open after a failure that the next request would meet as well."""

    settings: SenderSettings
    trouble: Verdict | None = None
    """Why it is open; None: it is closed."""
    since: float | None = None
    until: float = 0.0
    _failures: int = 0
    _unanswered: int = 0

    def state(self, now: float) -> BreakerState:
        if self.trouble is None:
            return BreakerState.CLOSED
        return BreakerState.HALF_OPEN if now >= self.until or self._was_set_back(now) else BreakerState.OPEN

    def _was_set_back(self, now: float) -> bool:
        """The clock: no pause is that long."""
        return self.until - now > self.settings.longest_pause

    def note(self, verdict: Verdict, now: float, jitter: float) -> bool:
        """Take in an answer. True: the trouble has begun, changed, ended, or is to be reported again."""
        match verdict.ruling:
            case Ruling.AWAY | Ruling.AUTH_FAILED | Ruling.MISCONFIGURED:
                return self._open(verdict, now, jitter)
            case Ruling.UNKNOWN:
                # One slow request is its own affair; as many in a row as we send at once mean that the CRM hangs.
                self._unanswered += 1
                hangs = self.trouble is not None or self._unanswered >= self.settings.in_flight
                away = attrs.evolve(verdict, ruling=Ruling.AWAY)
                return self._open(away, now, jitter) if hangs else False
            case _:
                ended = self.trouble is not None
                self.trouble, self.since, self.until = None, None, 0.0
                self._failures = self._unanswered = 0
                return ended

    def _open(self, verdict: Verdict, now: float, jitter: float) -> bool:
        same = self.trouble is not None and self.trouble.ruling is verdict.ruling
        if same and self.state(now) is BreakerState.OPEN:
            return False  # it was in flight when the first of them failed
        self.trouble = verdict
        self.since = now if self.since is None else self.since
        self._failures += 1
        most = self.settings.away_max if verdict.ruling is Ruling.AWAY else self.settings.retry_max
        pause = backoff(self._failures, self.settings.retry_min, most, jitter)
        # What it asks for itself (Retry-After) is not taken for more than our own longest pause.
        self.until = now + max(pause, min(verdict.retry_after, self.settings.retry_max))
        return not same or verdict.ruling is not Ruling.AWAY
