"""Detectors: what facts and answers of the CRM show of an installation that is not set up rightly.

Pure: time is an argument, in seconds since the epoch by our clock. Each rule is one method of ``Detectors``; what it
remembers is bounded. ``calls/`` concludes, here is counted.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping

import attrs

from uac_trio.calls.channel_events import Lack
from uac_trio.calls.endpoint import Evidence
from uac_trio.calls.fact import CallEnded, Fact, LooksLikeBoth, NotAnEmployee, NotShown, Oddity
from uac_trio.calls.outcome import TALKED
from uac_trio.crm.reply import Ruling
from uac_trio.daemon.conditions import Condition, Finding
from uac_trio.working_hours import WorkingHours

HOUR = 3600.0
DAY = 24 * HOUR
UNNAMED_CALLS = 5
"""Answered calls in a row without the name of a recording before that is a condition: one or two may not be recorded on
purpose."""
SHORTEST_TALK = 3.0
"""Seconds; a shorter call may have no recording that is worth one."""
MAX_ENDPOINTS = 200
MAX_TIMES = 1000
SHOWN_ENDPOINTS = 5

_ON_PURPOSE = (Evidence.NOT_OURS, Evidence.HELPER, Evidence.TRUNKS, Evidence.DIALLED)
"""Phones that are no employee's because the administrator or the call itself says so."""


@attrs.define
class _Times:
    """When something happened, in the last ``MAX_TIMES``."""

    _at: deque[float] = attrs.field(factory=lambda: deque(maxlen=MAX_TIMES), init=False)

    def note(self, at: float) -> None:
        self._at.append(at)

    def within(self, seconds: float, at: float) -> int:
        """How often in the ``seconds`` before ``at``."""
        while self._at and self._at[0] <= at - seconds:
            self._at.popleft()
        return len(self._at)

    def clear(self) -> None:
        self._at.clear()


@attrs.define
class _Endpoints:
    """Which endpoints did something within a day, and why that matters."""

    _seen: dict[str, tuple[float, str]] = attrs.field(factory=dict, init=False)

    def note(self, endpoint: str, why: str, at: float) -> None:
        self._seen.pop(endpoint, None)
        self._seen[endpoint] = at, why
        if len(self._seen) > MAX_ENDPOINTS:
            del self._seen[next(iter(self._seen))]

    def words(self, at: float) -> str:
        """The latest few with their reasons; "" = none within a day."""
        for endpoint in [name for name, (seen_at, _) in self._seen.items() if seen_at <= at - DAY]:
            del self._seen[endpoint]
        latest = [f"{endpoint} ({why})" for endpoint, (_, why) in reversed(self._seen.items())]
        more = len(latest) - SHOWN_ENDPOINTS
        return ", ".join(latest[:SHOWN_ENDPOINTS]) + (f" and {more} more" if more > 0 else "")


@attrs.define
class _PBX:
    """What was seen of one PBX."""

    last_call_at: float | None = None
    announced: _Times = attrs.field(factory=_Times)
    """Calls that ended, of which events came."""
    unannounced: _Times = attrs.field(factory=_Times)
    """Cdrs of calls of which no event came."""
    queue_calls: _Times = attrs.field(factory=_Times)
    """Queues that rang phones unseen."""
    no_employees: _Endpoints = attrs.field(factory=_Endpoints)
    like_both: _Endpoints = attrs.field(factory=_Endpoints)
    unnamed: int = 0
    """Answered calls in a row without the name of a recording."""


@attrs.define(eq=False, kw_only=True)
class Detectors:
    """Made once, for all pipelines that this process makes."""

    hours: WorkingHours = attrs.field(factory=WorkingHours)
    pbxes: Mapping[str, bool] = attrs.field(factory=dict)
    """The name of each PBX, and whether its recordings are configured."""
    _of: dict[str, _PBX] = attrs.field(init=False)
    _probable: _Times = attrs.field(factory=_Times, init=False)
    _probable_words: str = attrs.field(default="", init=False)
    _lost: _Times = attrs.field(factory=_Times, init=False)

    def __attrs_post_init__(self) -> None:
        self._of = {name: _PBX() for name in self.pbxes}

    # -- in -----------------------------------------------------------------------------------------------------------

    def observe(self, fact: Fact, at: float) -> None:
        """A fact became known at ``at``."""
        pbx = self._pbx_of(fact)
        if pbx is None:
            return
        match fact:
            case NotShown(lack=Lack.CALLS):
                pbx.unannounced.note(at)
                return
            case NotShown(lack=Lack.QUEUE_MEMBERS):
                pbx.queue_calls.note(at)
                return
            case Oddity():
                return
            case NotAnEmployee() if fact.evidence not in _ON_PURPOSE:
                pbx.no_employees.note(fact.endpoint, fact.evidence.value, at)
            case LooksLikeBoth():
                pbx.like_both.note(fact.endpoint, fact.evidence.value, at)
            case CallEnded():
                pbx.announced.note(at)
                self._note_recording(pbx, fact)
            case _:
                pass
        pbx.last_call_at = at

    def connected(self, pbx: str) -> None:
        """A login: the rights of our user may have been mended since the last one."""
        of = self._of.get(pbx)
        if of is None:
            return
        of.announced.clear()
        of.unannounced.clear()
        of.queue_calls.clear()

    def sent(self, ruling: Ruling, words: str, at: float) -> None:
        """The CRM's answer to a request."""
        if ruling is Ruling.PROBABLY:
            self._probable.note(at)
            self._probable_words = words

    def may_be_lost(self, at: float) -> None:
        """A delivery was given up after a sending without an answer."""
        self._lost.note(at)

    def _pbx_of(self, fact: Fact) -> _PBX | None:
        if isinstance(fact, NotShown):
            return self._of.get(fact.pbx)
        # A call's identity begins with the name of its PBX, and no name is a prefix of another's identities.
        return next((of for name, of in self._of.items() if fact.call_id.startswith(f"{name}-")), None)

    def _note_recording(self, pbx: _PBX, fact: CallEnded) -> None:
        summary = fact.summary
        if summary.recording:
            pbx.unnamed = 0
        elif summary.status in TALKED and (summary.talk_secs or 0.0) >= SHORTEST_TALK:
            pbx.unnamed += 1

    # -- out ----------------------------------------------------------------------------------------------------------

    def findings(self, connected_since: Mapping[str, float], at: float) -> Iterator[Finding]:
        """What is present at ``at``. ``connected_since``: the PBXes that are connected, and since when."""
        for name, pbx in self._of.items():
            since = connected_since.get(name)
            if since is not None:
                yield from self._unannounced(name, pbx, at)
                yield from self._no_calls(name, pbx, since, at)
            yield from self._queue_calls(name, pbx, at)
            yield from self._no_employees(name, pbx, at)
            yield from self._like_both(name, pbx, at)
            yield from self._unnamed(name, pbx)
        yield from self._probably(at)
        yield from self._may_be_lost(at)

    def _unannounced(self, name: str, pbx: _PBX, at: float) -> Iterator[Finding]:
        """More calls without events than with them."""
        unannounced, announced = pbx.unannounced.within(DAY, at), pbx.announced.within(DAY, at)
        if unannounced > announced:
            yield Finding(
                condition=Condition.CALLS_NOT_ANNOUNCED,
                pbx=name,
                words=(
                    f"PBX {name} sent {unannounced} call records (Cdr) of calls that no event announced, since the "
                    f"last login; {announced} calls were announced. They have no popup and no row."
                ),
                remedy=(
                    "Our user of the manager interface lacks call in read=, or an eventfilter hides the calls: set "
                    "read = call,agent,cdr,system in its section of manager.conf (FreePBX: manager_custom.conf), then "
                    "`manager reload` and a restart of the connector, since rights count from the login."
                ),
            )

    def _no_calls(self, name: str, pbx: _PBX, since: float, at: float) -> Iterator[Finding]:
        """No call during working hours for too long, though the connection stands."""
        limit = self.hours.no_call_hours * HOUR
        last = since if pbx.last_call_at is None else max(since, pbx.last_call_at)
        silent = self.hours.seconds(last, at)
        if limit and silent >= limit:
            yield Finding(
                condition=Condition.NO_CALLS,
                pbx=name,
                words=(
                    f"PBX {name} is connected and showed no call for {silent / HOUR:.1f} hours of work ({self.hours})."
                ),
                remedy=(
                    "Make a call and watch /live. Nothing appears: check read= of our user with `uac-trio check --live`"
                    " and whether this is the PBX that has the calls. No calls were to be expected: set [alerts] "
                    "working_days, working_hours or no_call_hours (0 = off)."
                ),
            )

    def _queue_calls(self, name: str, pbx: _PBX, at: float) -> Iterator[Finding]:
        if pbx.queue_calls.within(DAY, at):
            yield Finding(
                condition=Condition.QUEUE_CALLS_NOT_SHOWN,
                pbx=name,
                words=(
                    f"PBX {name} (AMI 1.x) does not show which phones its queues ring for whom; that is concluded from "
                    "numbers and times, and may be wrong when several callers wait."
                ),
                remedy=(
                    "Set eventwhencalled = yes in each queue of queues.conf and read = agent for our user, then "
                    "`module reload app_queue.so`. This ends a day after the last such call, or with the next login."
                ),
            )

    def _no_employees(self, name: str, pbx: _PBX, at: float) -> Iterator[Finding]:
        if endpoints := pbx.no_employees.words(at):
            yield Finding(
                condition=Condition.NOT_AN_EMPLOYEE,
                pbx=name,
                words=f"Phones rang at PBX {name} that are no employee's, so no user has a popup: {endpoints}.",
                remedy=(
                    "Name them in [calls] devices, or let [calls] extensions match their numbers. Phones that shall "
                    "have no user (a fax, a door) belong into [calls] trunks. Ends a day after the last ring."
                ),
            )

    def _like_both(self, name: str, pbx: _PBX, at: float) -> Iterator[Finding]:
        if endpoints := pbx.like_both.words(at):
            yield Finding(
                condition=Condition.LINE_LIKE_EXTENSION,
                pbx=name,
                words=(
                    f"Endpoints of PBX {name} are named like extensions and behave like lines to the outside: "
                    f"{endpoints}. A call of theirs that shows less may be taken for an employee's."
                ),
                remedy="Name those that are lines in [calls] trunks, those that are phones in [calls] devices.",
            )

    def _unnamed(self, name: str, pbx: _PBX) -> Iterator[Finding]:
        if self.pbxes[name] and pbx.unnamed >= UNNAMED_CALLS:
            yield Finding(
                condition=Condition.NO_RECORDING_NAMES,
                pbx=name,
                words=(
                    f"The last {pbx.unnamed} answered calls of PBX {name} have no recording, though recordings are "
                    "configured: no Cdr and no MixMonitor names a file."
                ),
                remedy=(
                    "FreePBX: put the two lines recordingfile => recordingfile and linkedid => linkedid, without a "
                    "section, into cdr_manager_mapping_custom.conf, then `module reload cdr_manager.so`. Elsewhere: "
                    "does the dialplan record, and do read=cdr and [mappings] of cdr_manager.conf show the file? "
                    "Ends with the first call that has one."
                ),
            )

    def _probably(self, at: float) -> Iterator[Finding]:
        if count := self._probable.within(HOUR, at):
            yield Finding(
                condition=Condition.PROBABLY_DELIVERED,
                words=(
                    f"{count} requests of the last hour were answered with an error and are taken for written: "
                    f"{self._probable_words}"
                ),
                remedy=(
                    "Look into the CRM's call list whether the rows are there, and into the error log of its web "
                    "server for the cause. Ends an hour after the last such answer."
                ),
            )

    def _may_be_lost(self, at: float) -> Iterator[Finding]:
        if count := self._lost.within(DAY, at):
            yield Finding(
                condition=Condition.MAY_BE_LOST,
                words=(
                    f"{count} deliveries of the last day got no answer and may not be repeated: the CRM may lack them."
                ),
                remedy=(
                    "The calls are in the log (sender.may_be_lost): look for their rows in the CRM. Ends a day after "
                    "the last of them."
                ),
            )
