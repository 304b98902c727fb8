"""What HTTP 500 of this CRM means, by what it has answered before.

A fresh web installation of SalesPlatform 7.2 answers an empty 500 to every request that touches a row, from the first
on, and the row is written (seen; models/Record.php calls a class that is not there). Any other CRM answers 500 when it
is broken: its database is away, full or read-only, a PHP file is half copied. Then nothing is written.

The two differ in their past alone. A 200 to a DialBegin proves that the extension works, or that no user has it:
vTiger answers 200 as well to what it ignores. So extensions are counted, the ``working`` ones (200) against the
``believed`` ones (their 500 was taken for written, and never a 200 came). The CRM is usual while more than twice as
many are believed as work; one believed extension that is answered with 200 ends all beliefs, for that was a mended CRM.

===========================  ===================  =====================================
a 500 of an extension that   the CRM is usual     it is not
===========================  ===================  =====================================
works; of stock any          OUTAGE, then OWN     OUTAGE, then OWN
is believed                  USUAL                USUAL
is new, and none works       USUAL                NONE
is new, and others work      USUAL                OUTAGE, then DOUBT
===========================  ===================  =====================================

"Then": at the next 500 to the same request, once another call was begun with 200 meanwhile.

What is taken for written is confirmed by the unsigned probe (``judging.py``): of a usual CRM the first of each
extension in each run, of any other every one.
"""

from __future__ import annotations

import enum

import attrs

from uac_trio.crm.vtiger.request import Step

_BEGINS = (Step.DIAL_BEGIN, Step.START_APP)
_CLEARLY_MORE = 2
_MOST_FAILED = 1000
"""Requests remembered that wait after a 500; a CRM that is away is asked one at a time."""


class Evidence(enum.Enum):
    """What is known when a request is answered with 500."""

    NONE = "no call of any extension was begun in this CRM before"
    USUAL = "it answers 500 to nearly all that it has written, or to all of this extension's"
    OUTAGE = "it has answered 200 before"
    OWN = "it has begun other calls since this request's last 500"
    DOUBT = "so it has, but none of this extension, ever"


@attrs.define
class ServerErrors:
    """Remembers the answers that distinguish the two."""

    may_be_usual: bool
    """An installation of this dialect may answer 500 to what it has written."""
    _works: set[str] = attrs.field(factory=set, init=False)
    """Extensions whose DialBegin was answered with 200."""
    _usual: set[str] = attrs.field(factory=set, init=False)
    """Extensions whose 500 was taken for written, and that were never answered with 200."""
    _confirmed: set[str] = attrs.field(factory=set, init=False)
    """Those of them of which the probe said so in this run."""
    _begun: int = attrs.field(default=0, init=False)
    """Calls begun with 200."""
    _failed: dict[str, int] = attrs.field(factory=dict, init=False)
    """``_begun`` at the last 500 to the request with this key; the oldest first."""

    @property
    def are_usual(self) -> bool:
        """This CRM answers 500 to what it has written."""
        return self.may_be_usual and len(self._usual) > _CLEARLY_MORE * len(self._works)

    def is_confirmed(self, extension: str) -> bool:
        """Its 500 needs no probe."""
        return self.are_usual and extension in self._confirmed

    def confirm(self, extension: str) -> None:
        """A 500 of the extension was taken for written after the probe."""
        self._confirmed.add(extension)

    def evidence(self, key: str, extension: str) -> Evidence:
        """For a 500 to the request ``key`` of ``extension``."""
        is_own = self._begun > self._failed.get(key, self._begun)
        if not self.may_be_usual or extension in self._works:
            return Evidence.OWN if is_own else Evidence.OUTAGE
        if self.are_usual or extension in self._usual:
            return Evidence.USUAL
        if not self._works:
            return Evidence.NONE
        return Evidence.DOUBT if is_own else Evidence.OUTAGE

    def failed(self, key: str) -> None:
        """The request was answered with 500 and waits."""
        self._failed.pop(key, None)
        self._failed[key] = self._begun
        if len(self._failed) > _MOST_FAILED:
            del self._failed[next(iter(self._failed))]

    def has_failed(self, key: str) -> bool:
        return key in self._failed

    def settled(self, key: str, step: Step, extension: str, *, believed: bool) -> None:
        """The request was delivered: answered with 200, or ``believed`` to be written in spite of an error."""
        self._failed.pop(key, None)
        if believed:
            self._usual |= {extension} - self._works
        elif step in _BEGINS:
            self._begun += 1
            self._works.add(extension)
            if extension in self._usual:  # repaired
                self._usual.clear()
                self._confirmed.clear()

    def given_up(self, key: str) -> None:
        """The request waits no more, and nothing follows from it: it is parked, or PHP printed its failure."""
        self._failed.pop(key, None)
