"""Facts about calls to vTiger's callbacks: which, in what order, with what in them.

Two dialects. SalesPlatform keeps a row for each (call, user): every employee's part is opened (DialBegin), answered
(DialAnswer) and closed (Hangup, EndCall) by itself, each ring-group member too. Stock vTiger keeps one row for a call:
StartApp once, DialAnswer moves the row to who talks, EndCall and Hangup when the call is over.

What an outcome becomes is the table ``HANGUPS``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import attrs

from uac_trio.calls.call import Direction
from uac_trio.calls.fact import (
    CallEnded,
    Fact,
    OfParticipation,
    ParticipationAnswered,
    ParticipationBegan,
    ParticipationEnded,
    RecordingKnown,
)
from uac_trio.calls.outcome import TALKED, Outcome
from uac_trio.calls.participation import Role
from uac_trio.vtiger import field
from uac_trio.vtiger.account import Flavour, VtigerAccount
from uac_trio.vtiger.request import CallbackRequest, Step

Link = Callable[[RecordingKnown], str]
"""Where the CRM's player finds a recording; "" = it cannot be linked."""

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

_WHOLE_CALL = "1"
"""The occurrence of what stock vTiger is told once of a call."""


@attrs.define
class Row:
    """What a row of the CRM has been told; several participations of one employee share it."""

    began_at: float
    ended_at: float = 0.0
    talk_secs: float = 0.0
    outcome: Outcome | None = None

    def end(self, fact: ParticipationEnded) -> None:
        self.began_at = min(self.began_at, fact.began_at)
        self.ended_at = max(self.ended_at, fact.ended_at)
        self.talk_secs += fact.talk_secs
        if self.outcome not in TALKED or fact.outcome in TALKED:  # a later ring that nobody heard does not undo a talk
            self.outcome = fact.outcome


@attrs.frozen
class RequestMaker:
    """Makes the requests of one occurrence of one employee's part (stock: of a call, ``extension`` is "")."""

    account: VtigerAccount
    call_id: str
    extension: str
    occurrence: str
    at: float

    def key(self, step: Step) -> str:
        return _key_stem(self.call_id, self.extension, step) + self.occurrence

    def request(self, step: Step, moot_after: str | None = None, /, **form: str) -> CallbackRequest:
        return CallbackRequest(
            key=self.key(step),
            call_id=self.call_id,
            extension=self.extension,
            step=step,
            form={"callstatus": step.value, "callUUID": field.call_uuid(self.call_id), **form},
            at=self.at,
            moot_after=moot_after,
        )

    def hangup(self, row: Row) -> CallbackRequest:
        causetxt, hangup_cause = HANGUPS[row.outcome or Outcome.COMPLETED]
        return self.request(
            Step.HANGUP,
            callerIdNum=self.extension,
            causetxt=causetxt,
            HangupCause=hangup_cause,
            EndTime=field.clock(row.ended_at, self.account.zone),
            # vTiger reads 0 as "not given" and takes its own clock; the EndCall that goes with this puts it right.
            Duration=field.whole_seconds(max(1.0, row.ended_at - row.began_at)),
        )

    def end_call(self, row: Row) -> CallbackRequest:
        return self.request(
            Step.END_CALL,
            callerNumber=self.extension,
            starttime=field.clock(row.began_at, self.account.zone),
            endtime=field.clock(row.ended_at, self.account.zone),
            duration=field.whole_seconds(row.ended_at - row.began_at),
            billableseconds=field.whole_seconds(row.talk_secs),
        )


@attrs.define
class Translator:
    """Facts in, requests out, in the dialect of the account. Remembers a row until its call has ended."""

    account: VtigerAccount
    link: Link
    is_extension: Callable[[str], bool] = lambda _: False
    """Is this an employee's number?"""
    _rows: dict[tuple[str, str], Row] = attrs.field(factory=dict, init=False)
    """By (call id, extension); stock: (call id, "")."""

    def translate(self, fact: Fact) -> list[CallbackRequest]:
        """The requests that follow from one fact, in the order they must be sent in."""
        if isinstance(fact, OfParticipation) and fact.direction is Direction.INTERNAL and fact.role is Role.CALLEE:
            return []  # the CRM keeps one row of an internal call, the caller's
        is_stock = self.account.flavour is Flavour.STOCK
        requests = list(self._in_stock(fact) if is_stock else self._in_salesplatform(fact))
        if isinstance(fact, CallEnded):
            for key in [key for key in self._rows if key[0] == fact.call_id]:
                del self._rows[key]
        return requests

    def close(self, begun: CallbackRequest, answered_at: float | None, ended_at: float) -> list[CallbackRequest]:
        """End what an earlier run began and what ended while nobody looked; its end is taken to be ``ended_at``.

        ``begun`` is the DialBegin or StartApp as it was sent.
        """
        row = Row(begun.at, ended_at, 0.0 if answered_at is None else max(0.0, ended_at - answered_at))
        row.outcome = Outcome.NO_ANSWER if answered_at is None else Outcome.COMPLETED
        make = RequestMaker(self.account, begun.call_id, begun.extension, occurrence_of(begun), ended_at)
        requests = [make.hangup(row), make.end_call(row)]
        return requests[::-1] if begun.step is Step.START_APP else requests

    def forget(self, prefix: str) -> None:
        """Know nothing more of the rows of calls whose id begins so."""
        for key in [key for key in self._rows if key[0].startswith(prefix)]:
            del self._rows[key]

    def _in_salesplatform(self, fact: Fact) -> Iterator[CallbackRequest]:
        if not isinstance(fact, OfParticipation):
            return
        row = self._rows.setdefault((fact.call_id, fact.extension), Row(fact.began_at))
        make = self._maker(fact)
        caller, dialled = self._ends(fact)
        match fact:
            case ParticipationBegan():
                yield make.request(
                    Step.DIAL_BEGIN,
                    callerIdNumber=caller,
                    callerIdName=field.name(fact.customer_name),
                    dialString=dialled,
                    StartTime=field.clock(fact.began_at, self.account.zone),
                    connectedLineName=field.name(fact.line),
                )
            case ParticipationAnswered():
                yield make.request(Step.DIAL_ANSWER, make.key(Step.HANGUP), callerid1=caller, callerid2=dialled)
            case ParticipationEnded():
                row.end(fact)
                yield make.hangup(row)
                yield make.end_call(row)
            case RecordingKnown():
                yield from self._record(make, fact)
            case _:  # only the four are ever made
                return

    def _in_stock(self, fact: Fact) -> Iterator[CallbackRequest]:
        row = self._rows.get((fact.call_id, ""))
        whole = RequestMaker(self.account, fact.call_id, "", _WHOLE_CALL, fact.at)
        match fact:
            case ParticipationBegan() if row is None:
                self._rows[fact.call_id, ""] = Row(fact.began_at)
                yield self._start_app(whole, fact)
            case ParticipationAnswered() if row is not None:
                caller, dialled = field.number(fact.customer), fact.extension
                if fact.direction is not Direction.INBOUND:  # then vTiger looks for the user in callerid1
                    caller, dialled = dialled, caller
                yield self._maker(fact).request(Step.DIAL_ANSWER, callerid1=caller, callerid2=dialled)
            case RecordingKnown() if row is not None:
                yield from self._record(whole, fact)
            case CallEnded() if row is not None:
                row.outcome, row.ended_at = fact.summary.status, fact.ended_at
                row.talk_secs = fact.summary.talk_secs or 0.0
                yield whole.end_call(row)
                yield whole.hangup(row)

    def _start_app(self, make: RequestMaker, fact: ParticipationBegan) -> CallbackRequest:
        caller, dialled = self._ends(fact)
        outbound = fact.role is Role.CALLER
        # Outbound, StartApp takes the number from callerIdName if callerIdNumber is the peer in ``channel``.
        return make.request(
            Step.START_APP,
            callerIdNumber=caller,
            callerIdName=dialled if outbound else field.name(fact.customer_name),
            callerId=dialled if outbound else caller,
            channel=f"SIP/{caller}-00000001" if outbound else "",
            StartTime=field.clock(fact.began_at, self.account.zone),
        )

    def _record(self, make: RequestMaker, fact: RecordingKnown) -> Iterator[CallbackRequest]:
        link = self.link(fact)
        if link and len(link) <= field.MAX_LINK:
            told = make.request(Step.RECORD, callerNumber=fact.extension, recordinglink=link)
            yield attrs.evolve(told, recording=fact.path, customer=field.number(fact.customer))

    def _ends(self, fact: OfParticipation) -> tuple[str, str]:
        """(who calls, who is called), bare numbers both."""
        customer = field.number(fact.customer)
        if fact.role is Role.CALLER:
            return fact.extension, customer
        if fact.direction is Direction.INBOUND and self.is_extension(customer):
            # A stranger who shows an employee's number. vTiger would make the row that employee's, outbound, and the
            # Hangup of who was called would never end it (PBXManager callbacks, DialBegin).
            customer = f"+{customer}"
        return customer, fact.extension

    def _maker(self, fact: OfParticipation) -> RequestMaker:
        return RequestMaker(self.account, fact.call_id, fact.extension, fact.occurrence, fact.at)


def occurrence_of(request: CallbackRequest) -> str:
    """The occurrence that a request's key names."""
    return request.key.removeprefix(_key_stem(request.call_id, request.extension, request.step))


def _key_stem(call_id: str, extension: str, step: Step) -> str:
    return f"{call_id}/{extension}/{step.value}/"
