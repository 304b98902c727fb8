"""Conditions: what keeps calls, clicks or recordings from where they belong, and has to be seen by an administrator.

Pure. One list of findings serves the log, ``/healthz``, ``/readyz``, ``/live``, the metrics and systemd's status. The
ones about parties that are away come from ``standing_findings.py``, those concluded from calls from ``detectors.py``.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence

import attrs


class Severity(enum.Enum):
    PROBLEM = "problem"
    """Calls, clicks or recordings are lost to the CRM, or wait, until this is changed."""
    WARNING = "warning"
    """They may be, or something was."""


class Condition(enum.Enum):
    """The value is the name in metrics, logs and JSON; it does not change."""

    PBX_AWAY = "pbx_away"
    PBX_UNKNOWN = "pbx_unknown"
    CALLS_NOT_ANNOUNCED = "calls_not_announced"
    NO_CALLS = "no_calls"
    NOT_AN_EMPLOYEE = "not_an_employee"
    LINE_LIKE_EXTENSION = "line_like_extension"
    QUEUE_CALLS_NOT_SHOWN = "queue_calls_not_shown"
    NO_RECORDING_NAMES = "no_recording_names"
    RECORDINGS_AWAY = "recordings_away"
    CRM_AWAY = "crm_away"
    PROBABLY_DELIVERED = "probably_delivered"
    MAY_BE_LOST = "may_be_lost"
    DEAD_LETTERS = "dead_letters"
    ROUTE_AWAY = "route_away"
    STORE_FAILS = "store_fails"
    STARTED_OVER = "started_over"
    FLIGHT_RECORDER_FAILS = "flight_recorder_fails"
    CONFIGURATION_REFUSED = "configuration_refused"
    DRY_RUN = "dry_run"

    @property
    def is_of_pbx(self) -> bool:
        """It is looked for at each PBX."""
        return self in _OF_PBX

    @property
    def severity(self) -> Severity:
        return Severity.WARNING if self in _WARNINGS else Severity.PROBLEM


_OF_PBX = frozenset(
    {
        Condition.PBX_AWAY, Condition.PBX_UNKNOWN, Condition.CALLS_NOT_ANNOUNCED, Condition.NO_CALLS,
        Condition.NOT_AN_EMPLOYEE, Condition.LINE_LIKE_EXTENSION, Condition.QUEUE_CALLS_NOT_SHOWN,
        Condition.NO_RECORDING_NAMES, Condition.RECORDINGS_AWAY,
    }
)  # fmt: skip
_WARNINGS = frozenset(
    {
        Condition.NO_CALLS, Condition.NOT_AN_EMPLOYEE, Condition.LINE_LIKE_EXTENSION, Condition.QUEUE_CALLS_NOT_SHOWN,
        Condition.PROBABLY_DELIVERED, Condition.STARTED_OVER, Condition.ROUTE_AWAY,
        Condition.FLIGHT_RECORDER_FAILS, Condition.CONFIGURATION_REFUSED, Condition.DRY_RUN,
    }
)  # fmt: skip


@attrs.frozen(kw_only=True)
class Finding:
    """A condition that is present."""

    condition: Condition
    pbx: str = ""
    """At which PBX; "" = it is none's."""
    words: str
    """What was seen, as sentences. May hold telephone numbers."""
    remedy: str = ""
    """What to do; "" = ``words`` have it, or there is nothing to do but wait."""
    since: float | None = None
    """Seconds since the epoch; None: not looked at yet."""

    @property
    def key(self) -> tuple[Condition, str]:
        return self.condition, self.pbx

    @property
    def severity(self) -> Severity:
        return self.condition.severity


@attrs.frozen(kw_only=True)
class Changes:
    """What is to be logged."""

    began: Sequence[Finding]
    ended: Sequence[Finding]
    """As they were when they began."""


@attrs.define
class Present:
    """Which conditions are present, and since when."""

    _findings: dict[tuple[Condition, str], Finding] = attrs.field(factory=dict, init=False)
    _logged: dict[tuple[Condition, str], Finding] = attrs.field(factory=dict, init=False)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """As of the last look, problems before warnings."""
        return tuple(sorted(self._findings.values(), key=lambda one: one.severity is Severity.WARNING))

    def look(self, found: Iterable[Finding], at: float) -> tuple[Finding, ...]:
        """Take in what is found at ``at`` (seconds since the epoch), one finding to a condition and PBX. Returns
        ``findings``."""
        now: dict[tuple[Condition, str], Finding] = {}
        for one in found:
            known = self._findings.get(one.key)
            now[one.key] = attrs.evolve(one, since=at if known is None else known.since)
        self._findings = now
        return self.findings

    def take_changes(self) -> Changes:
        """What began and what ended since the last time that this was asked; what did both in between is neither."""
        before, now = self._logged, self._findings
        self._logged = {key: before.get(key, one) for key, one in now.items()}
        return Changes(
            began=[one for key, one in now.items() if key not in before],
            ended=[one for key, one in before.items() if key not in now],
        )
