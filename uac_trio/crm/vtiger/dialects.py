"""Deliveries to vTiger's callbacks: which, in what order, with what in them.

Two dialects. SalesPlatform keeps a row for each (call, user): every employee's part is opened (DialBegin), answered
(DialAnswer) and closed (Hangup, EndCall) by itself, each ring-group member too. Stock vTiger keeps one row for a call:
StartApp once, DialAnswer moves the row to who talks, EndCall and Hangup when the call is over.

What an outcome becomes is the table ``HANGUPS``.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import ClassVar

import attrs

from uac_trio.calls.call import Direction
from uac_trio.calls.fact import OfParticipation
from uac_trio.calls.outcome import TALKED, Outcome
from uac_trio.calls.participation import Role
from uac_trio.crm.click import ClickAnswer, ClickRequest, Refusal
from uac_trio.crm.delivery import WHOLE_CALL, Delivery, Kind, Scope
from uac_trio.crm.number import national_digits
from uac_trio.crm.protocol import CRMRequest, Findings, Surroundings
from uac_trio.crm.recording import recording_link
from uac_trio.crm.reply import NoReply, Reply, Verdict
from uac_trio.crm.responsible import Responsible
from uac_trio.crm.vtiger import field
from uac_trio.crm.vtiger.account import CustomerForm, Flavour, VtigerAccount, without_login
from uac_trio.crm.vtiger.click import REPLIES, read_click
from uac_trio.crm.vtiger.examining import examine
from uac_trio.crm.vtiger.judging import PROBE, VtigerJudge, judge_probe
from uac_trio.crm.vtiger.request import Step, callback, posted, repeatable, signed
from uac_trio.crm.vtiger.responsible import owner_url, question, read_answer

HANGUPS: dict[Outcome, tuple[str, str]] = {
    Outcome.COMPLETED: ("Normal Clearing", "ANSWER"),
    Outcome.TRANSFERRED: ("Normal Clearing", "ANSWER"),
    Outcome.NO_ANSWER: ("Normal Clearing", "NO ANSWER"),
    Outcome.CANCELLED: ("Normal Clearing", "NO ANSWER"),
    Outcome.VOICEMAIL: ("Normal Clearing", "NO ANSWER"),
    Outcome.BUSY: ("User busy", "BUSY"),
    Outcome.REJECTED: ("Call Rejected", "BUSY"),
    Outcome.FAILED: ("failed", "FAILED"),
    Outcome.ANSWERED_ELSEWHERE: ("Answered elsewhere", "ANSWERED ELSEWHERE"),
}
"""Outcome to (causetxt, HangupCause) of the Hangup callback. vTiger shows: Normal Clearing -> completed, with exactly
``NO ANSWER`` -> no-answer; User busy, Call Rejected -> busy; any other causetxt as it is written."""


RINGS_AT_MOST = 300.0
"""Seconds after its ``starttime`` at which the CRM's poll takes a ringing row's popup away and ends the row
(modules/PBXManager/actions/IncomingCallPoll.php); a repeated DialBegin does not move that time."""


@attrs.frozen
class Vtiger:
    """What both dialects share. Satisfies ``CRM`` but for ``scope`` and ``requests``, which are the dialects'."""

    account: VtigerAccount
    surroundings: Surroundings = attrs.field(factory=Surroundings)

    writes_in_spite_of_500: ClassVar[bool]
    """An installation may answer 500 to what it has written."""

    @property
    def host(self) -> str:
        return self.account.host

    @property
    def secret(self) -> str:
        return self.account.secret

    def wants(self, fact: OfParticipation) -> bool:
        """vTiger keeps one row of an internal call, the caller's."""
        return fact.direction is not Direction.INTERNAL or fact.role is Role.CALLER

    # -- replies ------------------------------------------------------------------------------------------------------

    def new_judge(self) -> VtigerJudge:
        return VtigerJudge(self.account, self.writes_in_spite_of_500)

    @property
    def probe(self) -> CRMRequest:
        return posted(self.account.url, "probe", PROBE)

    def judge_probe(self, answer: Reply | NoReply) -> Verdict:
        return judge_probe(answer)

    # -- clicks and owners --------------------------------------------------------------------------------------------

    def read_click(self, parameters: Iterable[tuple[str, str]]) -> ClickRequest | Refusal:
        return read_click(parameters, self.secret)

    def click_reply(self, answer: ClickAnswer) -> tuple[int, str]:
        return 200, REPLIES[answer]

    def owner_question(self, number: str) -> CRMRequest | Responsible:
        asked = question(number, self.surroundings.is_extension)
        if isinstance(asked, Responsible):
            return asked
        url = owner_url(self.account, self.surroundings.owner_url)
        return attrs.evolve(signed(self.account, "SPAgi", asked, url), key=asked["callerNumber"])

    @property
    def owner_address(self) -> str:
        return without_login(owner_url(self.account, self.surroundings.owner_url))

    def read_owner(self, answer: Reply | NoReply) -> Responsible:
        return read_answer(answer, self.surroundings.is_extension)

    # -- for administrators -------------------------------------------------------------------------------------------

    def examine(self, now: Callable[[], float], findings: Findings) -> Generator[CRMRequest, Reply | NoReply, None]:
        return examine(self.account, now, findings, wants_module=self.surroundings.wants_module)

    def describe(self, at: float) -> Iterator[str]:
        clock = datetime.fromtimestamp(at, UTC).astimezone(self.account.zone)
        kind = "SalesPlatform's kind" if self.account.flavour is Flavour.SALESPLATFORM else "stock"
        yield f"vTiger ({kind}): {without_login(self.account.url)}"
        yield f"  Its clock runs in {self.account.timezone}, where it is {clock:%H:%M:%S} now."

    def warnings(self, *, asks_for_owner: bool, route_secret: str) -> Iterator[str]:
        if asks_for_owner and self.account.flavour is Flavour.STOCK and not self.surroundings.owner_url:
            yield "[route] is on, but a stock vTiger has no SPAgi.php to ask who is responsible"
        if route_secret and route_secret == self.secret:
            yield "[route] secret is that of [vtiger]; it stands in the dialplan, so it should be another one"

    # -- what both dialects send --------------------------------------------------------------------------------------

    def _hangup(self, delivery: Delivery) -> CRMRequest:
        causetxt, hangup_cause = HANGUPS[delivery.outcome or Outcome.COMPLETED]
        ended_at = _ended_at(delivery)
        return callback(
            self.account,
            delivery,
            Step.HANGUP,
            callerIdNum=delivery.subject,
            causetxt=causetxt,
            HangupCause=hangup_cause,
            EndTime=self._clock(ended_at),
            # vTiger reads 0 as "not given" and takes its own clock; the EndCall that goes with this puts it right.
            Duration=field.whole_seconds(max(1.0, ended_at - delivery.began_at)),
        )

    def _end_call(self, delivery: Delivery) -> CRMRequest:
        ended_at = _ended_at(delivery)
        return callback(
            self.account,
            delivery,
            Step.END_CALL,
            callerNumber=delivery.subject,
            starttime=self._clock(delivery.began_at),
            endtime=self._clock(ended_at),
            duration=field.whole_seconds(ended_at - delivery.began_at),
            billableseconds=field.whole_seconds(delivery.talk_secs),
        )

    def _record(self, delivery: Delivery) -> Iterator[CRMRequest]:
        link = recording_link(self.surroundings.public_url, delivery.recording)
        if len(link) <= field.MAX_LINK:
            yield callback(self.account, delivery, Step.RECORD, callerNumber=delivery.extension, recordinglink=link)

    def _ends(self, delivery: Delivery) -> tuple[str, str]:
        """(who calls, who is called), bare numbers both."""
        customer = field.number(delivery.customer)
        if delivery.role is Role.CALLER:
            return delivery.extension, customer
        if delivery.direction is Direction.INBOUND and self.surroundings.is_extension(customer):
            # A stranger who shows an employee's number. vTiger would make the row that employee's, outbound, and the
            # Hangup of who was called would never end it (PBXManager callbacks, DialBegin).
            customer = f"+{customer}"
        return customer, delivery.extension

    def _clock(self, at: float) -> str:
        return field.clock(at, self.account.zone)


@attrs.frozen
class SalesPlatform(Vtiger):
    """A row for each employee's part in a call."""

    writes_in_spite_of_500 = True

    @property
    def scope(self) -> Scope:
        return Scope.EMPLOYEE

    @property
    def repeats_begins(self) -> bool:
        return repeatable(Step.DIAL_BEGIN)

    @property
    def player_sends_secret(self) -> bool:
        """ListenRecord.php fetches the file and appends the secret."""
        return True

    def requests(self, delivery: Delivery) -> Sequence[CRMRequest]:
        return list(self._requests(delivery))

    def _requests(self, delivery: Delivery) -> Iterator[CRMRequest]:
        caller, called = self._ends(delivery)
        match delivery.kind:
            case Kind.BEGIN:
                if delivery.first_began_at is not None and delivery.began_at - delivery.first_began_at > RINGS_AT_MOST:
                    yield self._begin_again(delivery)
                yield callback(
                    self.account,
                    delivery,
                    Step.DIAL_BEGIN,
                    callerIdNumber=caller,
                    callerIdName=field.name(delivery.customer_name),
                    dialString=called,
                    StartTime=self._clock(delivery.began_at),
                    connectedLineName=field.name(delivery.line),
                )
            case Kind.ANSWER:
                yield callback(self.account, delivery, Step.DIAL_ANSWER, callerid1=caller, callerid2=called)
            case Kind.END:
                yield self._hangup(delivery)
                yield self._end_call(delivery)
            case Kind.RECORDING:
                yield from self._record(delivery)

    def _begin_again(self, delivery: Delivery) -> CRMRequest:
        """EndCall moves the times of a row without ending it (tried with 7.2: the popup of the DialBegin that follows
        comes)."""
        began = self._clock(delivery.began_at)
        return callback(
            self.account,
            delivery,
            Step.END_CALL,
            callerNumber=delivery.subject,
            starttime=began,
            endtime=began,
            duration="0",
            billableseconds="0",
        )


@attrs.frozen
class Stock(Vtiger):
    """A row for each call."""

    writes_in_spite_of_500 = False

    @property
    def scope(self) -> Scope:
        return Scope.CALL

    @property
    def repeats_begins(self) -> bool:
        return repeatable(Step.START_APP)

    @property
    def player_sends_secret(self) -> bool:
        """The link goes to the browser as it is."""
        return False

    def requests(self, delivery: Delivery) -> Sequence[CRMRequest]:
        return list(self._requests(delivery))

    def _requests(self, delivery: Delivery) -> Iterator[CRMRequest]:
        match delivery.kind:
            case Kind.BEGIN:
                yield self._start_app(delivery)
            case Kind.ANSWER:
                yield self._dial_answer(delivery)
            case Kind.END:
                is_missed = delivery.direction is Direction.INBOUND and delivery.outcome not in TALKED
                is_correction = delivery.occurrence != WHOLE_CALL
                if delivery.extension and (is_missed or is_correction):
                    # Without it a missed call belongs to no user, and one whose answer was not seen to the wrong one;
                    # what follows makes it missed, or over (tried with 8.2).
                    yield self._dial_answer(delivery)
                yield self._end_call(delivery)
                yield self._hangup(delivery)
            case Kind.RECORDING:
                yield from self._record(delivery)

    def _dial_answer(self, delivery: Delivery) -> CRMRequest:
        caller, called = field.number(delivery.customer), delivery.extension
        if delivery.direction is not Direction.INBOUND:  # then vTiger looks for the user in callerid1
            caller, called = called, caller
        return callback(self.account, delivery, Step.DIAL_ANSWER, callerid1=caller, callerid2=called)

    def _start_app(self, delivery: Delivery) -> CRMRequest:
        if self.account.customer_form is CustomerForm.NATIONAL:
            customer = national_digits(delivery.customer, self.surroundings.region)
            delivery = attrs.evolve(delivery, customer=customer)
        caller, called = self._ends(delivery)
        outbound = delivery.role is Role.CALLER
        # Outbound, StartApp takes the number from callerIdName if callerIdNumber is the peer in ``channel``.
        return callback(
            self.account,
            delivery,
            Step.START_APP,
            callerIdNumber=caller,
            callerIdName=called if outbound else field.name(delivery.customer_name),
            callerId=called if outbound else caller,
            channel=f"SIP/{caller}-00000001" if outbound else "",
            StartTime=self._clock(delivery.began_at),
        )


def _ended_at(delivery: Delivery) -> float:
    return delivery.at if delivery.ended_at is None else delivery.ended_at
