"""What the browsers of the CRM's users are notified of, so that they need not poll.

An event says that something changed, never what: no number and no name is in it, and the CRM decides what its user may
see. ``look``: the rows of calls changed; ``ring``: the ids of all calls in which the user's phone takes part now, which
a CRM with one row for a call needs to know whose popup it is; ``click``: the outcome of a click.

An event about a row follows the CRM's answer, since only then is the row there.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Iterable, Iterator

import attrs

from uac_trio.calls.fact import (
    CallEnded,
    CallMerged,
    ClickFailed,
    Fact,
    ParticipationBegan,
    ParticipationEnded,
)
from uac_trio.crm.delivery import Delivery, Kind, Scope

MOST_CALLS = 2000
"""Calls that are followed; beyond it the oldest is dropped. One whose end is not seen must not stay for ever."""
MOST_RINGING = 20
"""Of one phone, in an event."""

REFUSED = "refused"
"""The outcome of a click that the PBX did not take; the others are ``calls.click.OUTCOMES`` and the next."""
FORBIDDEN = "not-allowed"
"""The configuration forbids it."""
UNKNOWN = "unknown"
"""The PBX did not answer."""
TOO_MANY = "too-many"
"""More clicks than the rate limit allows."""


@attrs.frozen(kw_only=True)
class StreamEvent:
    """For all streams of one extension."""

    extension: str
    look: bool = False
    ring: tuple[str, ...] | None = None
    click: str = ""

    def data(self) -> str:
        """JSON in one line."""
        fields: dict[str, object] = {}
        if self.ring is not None:
            fields["ring"] = self.ring
        if self.look:
            fields["look"] = 1
        if self.click:
            fields["click"] = self.click
        return json.dumps(fields, separators=(",", ":"))


@attrs.frozen(kw_only=True)
class Settled:
    """The CRM answered a delivery."""

    kind: Kind
    call_id: str
    subject: str
    extension: str

    @classmethod
    def of(cls, delivery: Delivery) -> Settled:
        return cls(kind=delivery.kind, call_id=delivery.call_id, subject=delivery.subject, extension=delivery.extension)


@attrs.define
class _Call:
    is_in_crm: bool = False
    """Its row is there, as far as this connector knows."""
    present: dict[str, int] = attrs.field(factory=dict)
    """By extension: how many of its parts in the call are not over."""
    past: dict[str, None] = attrs.field(factory=dict)
    """Extensions that took part."""

    def extensions(self) -> list[str]:
        return list(dict.fromkeys((*self.present, *self.past)))


@attrs.define(kw_only=True)
class StreamEvents:
    """Facts and answered deliveries in, events out. One for all PBXes; nothing in here waits."""

    scope: Scope
    _calls: OrderedDict[str, _Call] = attrs.field(factory=OrderedDict, init=False)
    _of_phone: dict[str, dict[str, None]] = attrs.field(factory=dict, init=False)
    """By extension: the calls in which it takes part, the latest last."""

    def first(self, extension: str) -> StreamEvent:
        """What a stream begins with."""
        return StreamEvent(extension=extension, ring=self._ring(extension), look=True)

    def fact(self, fact: Fact) -> list[StreamEvent]:
        """What follows from a fact without the CRM's answer."""
        match fact:
            case ParticipationBegan():
                call = self._call(fact.call_id)
                call.present[fact.extension] = call.present.get(fact.extension, 0) + 1
                self._of_phone.setdefault(fact.extension, {})[fact.call_id] = None
                return self._of_row_of_call(call, fact.extension)
            case ParticipationEnded():
                call = self._call(fact.call_id)
                self._leave(call, fact.call_id, fact.extension)
                return self._of_row_of_call(call, fact.extension)
            case ClickFailed() if fact.extension:
                return [StreamEvent(extension=fact.extension, click=fact.outcome)]
            case CallMerged() | CallEnded():
                self._over(fact.call_id)
                return []
            case _:
                return []

    def recall(self, fact: Fact) -> None:
        """The same of what an earlier run saw: what it began is taken to be in the CRM."""
        self.fact(fact)
        if isinstance(fact, ParticipationBegan):
            self._call(fact.call_id).is_in_crm = True

    def settled(self, settled: Settled) -> list[StreamEvent]:
        """What follows from the CRM's answer to a delivery."""
        if settled.kind is Kind.RECORDING:
            return []
        call = self._calls.get(settled.call_id)
        if call is not None:
            call.is_in_crm = settled.kind is not Kind.END or self.scope is Scope.EMPLOYEE
        if self.scope is Scope.EMPLOYEE:
            concerned = [settled.subject]
        else:
            concerned = [] if call is None else call.extensions()
            concerned = list(dict.fromkeys((*concerned, settled.extension)))
        events = [self._look(extension) for extension in concerned if extension]
        if call is not None and settled.kind is Kind.END and not call.present:
            self._forget(settled.call_id)
        return events

    def start_over(self) -> None:
        """What goes on is not known any more."""
        self._calls.clear()
        self._of_phone.clear()

    def _of_row_of_call(self, call: _Call, extension: str) -> list[StreamEvent]:
        """A CRM with one row for a call is sent no delivery when one more phone rings or falls silent."""
        return [self._look(extension)] if self.scope is Scope.CALL and call.is_in_crm else []

    def _look(self, extension: str) -> StreamEvent:
        return StreamEvent(extension=extension, look=True, ring=self._ring(extension))

    def _ring(self, extension: str) -> tuple[str, ...]:
        return tuple(self._of_phone.get(extension, ()))[-MOST_RINGING:]

    def _call(self, call_id: str) -> _Call:
        call = self._calls.get(call_id)
        if call is None:
            call = self._calls[call_id] = _Call()
            if len(self._calls) > MOST_CALLS:
                self._forget(next(iter(self._calls)))
        return call

    def _over(self, call_id: str) -> None:
        """No phone takes part any more. What the CRM still shows of it, its END takes away."""
        call = self._calls.get(call_id)
        for extension in list(call.present) if call is not None else ():
            self._leave(self._call(call_id), call_id, extension, whole=True)
        if call is not None and not call.is_in_crm:
            del self._calls[call_id]

    def _leave(self, call: _Call, call_id: str, extension: str, *, whole: bool = False) -> None:
        left = 0 if whole else call.present.get(extension, 0) - 1
        call.past[extension] = None
        if left > 0:
            call.present[extension] = left
            return
        call.present.pop(extension, None)
        calls = self._of_phone.get(extension, {})
        calls.pop(call_id, None)
        if not calls:
            self._of_phone.pop(extension, None)

    def _forget(self, call_id: str) -> None:
        self._over(call_id)
        self._calls.pop(call_id, None)


# -- between connectors -----------------------------------------------------------------------------------------------


def encoded(sender: str, news: Settled | StreamEvent) -> str:
    """For other connectors on this store; ``sender`` names this one."""
    if isinstance(news, Settled):
        fields = [sender, news.kind.value, news.call_id, news.subject, news.extension]
    else:
        fields = [sender, "click", news.extension, news.click]
    return json.dumps(fields, separators=(",", ":"))


def decoded(texts: Iterable[str], sender: str) -> Iterator[Settled | StreamEvent]:
    """What other connectors sent; our own and what is not understood are left out."""
    for text in texts:
        match _fields(text):
            case [other, *_] if other == sender:
                continue
            case [_, "click", extension, click]:
                yield StreamEvent(extension=extension, click=click)
            case [_, kind, call_id, subject, extension] if kind in _KINDS:
                yield Settled(kind=Kind(kind), call_id=call_id, subject=subject, extension=extension)
            case _:
                continue


_KINDS = frozenset(kind.value for kind in Kind)


def _fields(text: str) -> list[str]:
    try:
        fields = json.loads(text)
    except ValueError:
        return []
    return fields if isinstance(fields, list) and all(isinstance(each, str) for each in fields) else []
