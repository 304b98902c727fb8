"""Who is responsible for a caller, asked of the CRM while the caller waits.

Quick or not at all: each question has its own deadline, which holds whatever the CRM does. Connections of its own, and
few of them, so that the sender's deliveries neither wait for questions nor questions for them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import attrs
import structlog
import trio

from uac_trio.crm.protocol import CRM, CRMRequest
from uac_trio.crm.responsible import Finding, Responsible, ResponsibleRules
from uac_trio.sender.breaker import SenderSettings
from uac_trio.sender.client import CRMClient, open_client

log = structlog.get_logger()

AT_ONCE = 2
"""Questions on the wire. The answer takes 5 to 15 ms; vTiger bears four requests at once, of which three may be the
sender's."""
MOST_WAITING = 50
"""Different numbers that are being asked for or wait for that: more calls do not begin within a deadline."""
MOST_KEPT = 2000
"""Answers in the cache."""
LEFT_ALONE = 15.0
"""Seconds for which a CRM that did not answer in time is not asked; then one question tries it."""
LATE = 5.0
"""Seconds after which an answer is of no use to the next call of the same number either."""


@attrs.define(eq=False)
class _Flight:
    """One question, for all who ask the same meanwhile."""

    landed: trio.Event = attrs.field(factory=trio.Event)
    answer: Responsible | None = None
    askers: int = 0
    is_sent: bool = False


@attrs.define(eq=False)
class Lookup:
    """Made by ``open_lookup``."""

    _client: CRMClient
    _crm: CRM
    _rules: ResponsibleRules
    _flying: trio.Nursery
    _flights: dict[str, _Flight] = attrs.field(factory=dict, init=False)
    _turns: trio.CapacityLimiter = attrs.field(factory=lambda: trio.CapacityLimiter(AT_ONCE), init=False)
    _kept: dict[str, tuple[float, Responsible]] = attrs.field(factory=dict, init=False)  # oldest first
    _trouble: str = attrs.field(default="", init=False)
    _shut_until: float = attrs.field(default=0.0, init=False)

    @property
    def trouble(self) -> str:
        """Why the CRM is not asked, in words; "": it is."""
        return self._trouble

    async def ask(self, shown: str, within: float) -> Responsible:
        """Who is responsible for the number as the PBX shows it; within ``within`` seconds (negative: at once)."""
        question = self._crm.owner_question(shown)
        if isinstance(question, Responsible):
            return question
        number = question.key
        return self._recalled(number) or await self._asked(number, question, within)

    async def _asked(self, number: str, question: CRMRequest, within: float) -> Responsible:
        if self._is_shut():
            return Responsible(finding=Finding.AWAY, reason=f"the CRM is left alone for a while: {self._trouble}")
        flight = self._flights.get(number)
        if flight is None:
            if len(self._flights) >= MOST_WAITING:
                return Responsible(finding=Finding.FAILED, reason="too many questions wait for the CRM's answer")
            flight = self._flights[number] = _Flight()
            self._flying.start_soon(self._fly, number, question, flight)
        flight.askers += 1
        try:
            with trio.move_on_after(max(0.0, within)):
                await flight.landed.wait()
        finally:
            flight.askers -= 1
        if flight.answer is not None:
            return flight.answer
        if flight.landed.is_set():
            return Responsible(finding=Finding.FAILED, reason="the connector is being stopped")
        reason = f"no answer of the CRM within {max(0.0, within):.1f} s"
        if flight.is_sent and within > 0:
            self._shut(reason)
        return Responsible(finding=Finding.FAILED, reason=reason)

    async def _fly(self, number: str, question: CRMRequest, flight: _Flight) -> None:
        try:
            async with self._turns:
                if flight.askers:
                    flight.is_sent, began = True, trio.current_time()
                    flight.answer = self._crm.read_owner(await self._client.post(question))
                    self._note(number, flight.answer, trio.current_time() - began)
        finally:
            del self._flights[number]
            flight.landed.set()

    def _note(self, number: str, answer: Responsible, took: float) -> None:
        if answer.finding is Finding.AWAY:
            self._shut(answer.reason)
        elif took < self._rules.deadline_seconds and self._trouble:
            log.info("route.crm_back", host=self._crm.host)
            self._trouble = ""
        if answer.finding in (Finding.OWNED, Finding.NO_OWNER):
            self._keep(number, answer)

    # -- a CRM that is away -------------------------------------------------------------------------------------------

    def _is_shut(self) -> bool:
        """Not to be asked now: it was found away just now, or another question probes whether it is back."""
        return bool(self._trouble) and (trio.current_time() < self._shut_until or bool(self._flights))

    def _shut(self, reason: str) -> None:
        if not self._trouble:
            log.warning("route.crm_away", host=self._crm.host, reason=reason, seconds=LEFT_ALONE)
        self._trouble = reason
        self._shut_until = trio.current_time() + LEFT_ALONE

    # -- answers that still hold --------------------------------------------------------------------------------------

    def _recalled(self, number: str) -> Responsible | None:
        at, answer = self._kept.get(number, (float("-inf"), None))
        return answer if trio.current_time() < at + self._rules.cache_seconds else None

    def _keep(self, number: str, answer: Responsible) -> None:
        self._kept.pop(number, None)  # so that it becomes the youngest
        self._kept[number] = (trio.current_time(), answer)
        if len(self._kept) > MOST_KEPT:
            del self._kept[next(iter(self._kept))]


@asynccontextmanager
async def open_lookup(
    crm: CRM, rules: ResponsibleRules, settings: SenderSettings, *, now: Callable[[], float]
) -> AsyncIterator[Lookup]:
    """Questions to the CRM, while the block lasts. ``now`` returns seconds since the epoch.

    Questions that are on the wire when it is left are given up, and what still waits for them gets an answer at once.
    """
    patience = attrs.evolve(settings, in_flight=AT_ONCE, connect_timeout=LATE / 2, reply_timeout=LATE / 2)
    async with open_client(crm, patience, now=now) as client:
        async with trio.open_nursery() as flying:
            yield Lookup(client, crm, rules, flying)
            flying.cancel_scope.cancel()
