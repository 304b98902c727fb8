"""What is delivered: facts about employees' parts in calls, in neutral terms, with keys that a restart makes again.

A CRM keeps a row either of each employee's part in a call or of the call as a whole (``Scope``). A delivery is about
one such row, its ``subject``.
"""

from __future__ import annotations

import enum
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

WHOLE_CALL = "1"
"""The occurrence of what is delivered once of a call."""


class Kind(enum.StrEnum):
    BEGIN = "begin"
    """A phone rings, or its user calls out: the moment of the popup."""
    ANSWER = "answer"
    """The employee and the other side hear each other."""
    END = "end"
    RECORDING = "recording"
    """The file is complete and can be listened to."""


class Scope(enum.Enum):
    """What a CRM keeps a row of."""

    EMPLOYEE = "employee"
    CALL = "call"


@attrs.frozen(kw_only=True)
class Delivery:
    """One fact on its way to the CRM. Times are seconds since the epoch, by the PBX's clock."""

    kind: Kind
    pbx: str
    call_id: str
    """Deliveries of one call go strictly one after another."""
    subject: str
    """The row of the CRM: the extension, or "" for the call as a whole."""
    occurrence: str
    """Which of an employee's parts in this call."""
    extension: str
    """The employee. At the end of a whole call: the only one who took part, else ""."""
    role: Role
    direction: Direction
    customer: str
    """The outside number as the PBX showed it; internal calls: the colleague's. "" = withheld."""
    at: float
    """When it happened."""
    began_at: float
    """END: of the first of this employee's parts in the call."""
    first_began_at: float | None = None
    """BEGIN of another part of an employee: when the first one began."""
    customer_name: str = ""
    line: str = ""
    """BEGIN: where the customer came in, the queue or the number dialled."""
    ended_at: float | None = None
    """END alone, as the next two."""
    outcome: Outcome | None = None
    """Of all parts of this employee: a later ring that they did not answer does not undo a talk."""
    talk_secs: float = 0.0
    """Of all parts together."""
    recording: str = ""
    """RECORDING: the token in the link to it."""
    path: str = attrs.field(default="", repr=False)
    """RECORDING: the file as the PBX named it. Stored with the recording, not with the delivery."""

    @property
    def key(self) -> str:
        """Semantic: a replayed snapshot, a restart and a second connector make the same one; doubles are dropped."""
        return _key(self.call_id, self.subject, self.kind, self.occurrence)

    @property
    def superseded_by(self) -> str | None:
        """The key of the delivery after which this one is not worth sending: an answer in a part that is over. Of a
        whole call only an answer that is put after the END: one before it says whose the call was."""
        if self.kind is not Kind.ANSWER:
            return None
        return _key(self.call_id, self.subject, Kind.END, self.occurrence if self.subject else WHOLE_CALL)


def _key(call_id: str, subject: str, kind: Kind, occurrence: str) -> str:
    return f"{call_id}/{subject}/{kind.value}/{occurrence}"


def closing(begun: Delivery, answered_at: float | None, ended_at: float) -> Delivery:
    """The END of what an earlier run began, for a call that ended unobserved; ``ended_at`` is inferred."""
    return attrs.evolve(
        begun,
        kind=Kind.END,
        extension=begun.extension if begun.subject else "",  # others may have taken part
        at=ended_at,
        ended_at=ended_at,
        outcome=Outcome.NO_ANSWER if answered_at is None else Outcome.COMPLETED,
        talk_secs=0.0 if answered_at is None else max(0.0, ended_at - answered_at),
    )


def failed_click(pbx: str, channel_id: str, extension: str, number: str, scope: Scope, at: float) -> list[Delivery]:
    """A click that the PBX did not take: of the call that there is not, a row that failed.

    ``channel_id``: the one that was asked for, ``number``: the customer's, ``at``: seconds since the epoch.
    """
    begin = Delivery(
        kind=Kind.BEGIN,
        pbx=pbx,
        call_id=f"{pbx}-{channel_id}",
        subject=extension if scope is Scope.EMPLOYEE else "",
        occurrence=channel_id if scope is Scope.EMPLOYEE else WHOLE_CALL,
        extension=extension,
        role=Role.CALLER,
        direction=Direction.OUTBOUND,
        customer=number,
        at=at,
        began_at=at,
    )
    return [begin, attrs.evolve(begin, kind=Kind.END, ended_at=at, outcome=Outcome.FAILED)]


@attrs.define
class _Row:
    """What the CRM's row of one subject shows so far; several parts of one employee share it."""

    role: Role
    direction: Direction
    customer: str
    began_at: float
    ended_at: float = 0.0
    talk_secs: float = 0.0
    outcome: Outcome | None = None

    def end(self, fact: ParticipationEnded) -> None:
        self.began_at = min(self.began_at, fact.began_at)
        self.ended_at = max(self.ended_at, fact.ended_at)
        self.talk_secs += fact.talk_secs
        if self.outcome not in TALKED or fact.outcome in TALKED:
            self.outcome = fact.outcome


@attrs.define
class DeliveryMaker:
    """Facts of one PBX in, deliveries out. Remembers a call's rows until the call has ended."""

    pbx: str
    scope: Scope
    wants: Callable[[OfParticipation], bool]
    """Does the CRM want this fact?"""
    token: Callable[[RecordingKnown], str]
    """What a link to a recording ends with; "" = there are no links."""
    _rows: dict[str, dict[str, _Row]] = attrs.field(factory=dict, init=False)
    """By call id, then by subject."""

    def deliveries(self, fact: Fact) -> list[Delivery]:
        """What follows from one fact, in the order in which it is to be sent."""
        if isinstance(fact, OfParticipation):
            if not self.wants(fact):
                return []
            return list(self._of_call(fact) if self.scope is Scope.CALL else self._of_employee(fact))
        if isinstance(fact, CallEnded):
            rows = self._rows.pop(fact.call_id, {})
            return list(self._end_of_call(fact, rows.get("")))
        return []

    def _of_employee(self, fact: OfParticipation) -> Iterator[Delivery]:
        rows = self._rows.setdefault(fact.call_id, {})
        row = known = rows.get(fact.extension)
        if row is None:
            row = rows[fact.extension] = _Row(fact.role, fact.direction, fact.customer, fact.began_at)
        match fact:
            case ParticipationBegan():
                begin = self._begin(fact, fact.extension, fact.occurrence)
                yield begin if known is None else attrs.evolve(begin, first_began_at=known.began_at)
            case ParticipationAnswered():
                yield self._delivery(fact, Kind.ANSWER, fact.extension, fact.occurrence)
            case ParticipationEnded():
                row.end(fact)
                end = self._delivery(fact, Kind.END, fact.extension, fact.occurrence)
                yield attrs.evolve(
                    end, began_at=row.began_at, ended_at=row.ended_at, outcome=row.outcome, talk_secs=row.talk_secs
                )
            case RecordingKnown():
                yield from self._recording(fact, fact.extension, fact.occurrence)
            case _:  # only the four are ever made
                return

    def _of_call(self, fact: OfParticipation) -> Iterator[Delivery]:
        rows = self._rows.setdefault(fact.call_id, {})
        match fact:
            case ParticipationBegan() if "" not in rows:
                rows[""] = _Row(fact.role, fact.direction, fact.customer, fact.began_at)
                yield self._begin(fact, "", WHOLE_CALL)
            case ParticipationAnswered() if "" in rows:
                yield self._delivery(fact, Kind.ANSWER, "", f"{fact.extension}.{fact.occurrence}")
            case RecordingKnown() if "" in rows:
                yield from self._recording(fact, "", WHOLE_CALL)

    def _end_of_call(self, fact: CallEnded, row: _Row | None) -> Iterator[Delivery]:
        if row is None:
            return
        took_part = {each.extension for each in fact.summary.participations}
        yield Delivery(
            kind=Kind.END,
            pbx=self.pbx,
            call_id=fact.call_id,
            subject="",
            occurrence=WHOLE_CALL,
            extension=took_part.pop() if len(took_part) == 1 else "",
            role=row.role,
            direction=row.direction,
            customer=row.customer,
            at=fact.at,
            began_at=row.began_at,
            ended_at=fact.ended_at,
            outcome=fact.summary.status,
            talk_secs=fact.summary.talk_secs or 0.0,
        )

    def _begin(self, fact: ParticipationBegan, subject: str, occurrence: str) -> Delivery:
        begin = self._delivery(fact, Kind.BEGIN, subject, occurrence)
        return attrs.evolve(begin, customer_name=fact.customer_name, line=fact.line)

    def _recording(self, fact: RecordingKnown, subject: str, occurrence: str) -> Iterator[Delivery]:
        if token := self.token(fact):
            known = self._delivery(fact, Kind.RECORDING, subject, occurrence)
            yield attrs.evolve(known, recording=token, path=fact.path)

    def _delivery(self, fact: OfParticipation, kind: Kind, subject: str, occurrence: str) -> Delivery:
        return Delivery(
            kind=kind,
            pbx=self.pbx,
            call_id=fact.call_id,
            subject=subject,
            occurrence=occurrence,
            extension=fact.extension,
            role=fact.role,
            direction=fact.direction,
            customer=fact.customer,
            at=fact.at,
            began_at=fact.began_at,
        )
