"""What may happen next at the simulated Asterisk."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from tests.calls.simulator import Asterisk, Line

EMPLOYEES = ("101", "102", "103", "104", "105")
MAX_LINES = 24

Step = tuple[str, Callable[[], object]]


def steps(pbx: Asterisk, customers: Iterator[str]) -> list[Step]:
    """Everything that people or the dialplan can do now, in a stable order. Each step is legal by itself."""
    free = [who for who in EMPLOYEES if not any(line.who == who for line in pbx.lines)]
    found: list[Step] = []
    if len(pbx.lines) < MAX_LINES:
        found.append(("customer calls", lambda: pbx.calls_in(next(customers), "4951000101")))
        if free:
            found.append(("employee calls out", lambda: pbx.picks_up_phone(free[0], next(customers))))
            found.append(("click to call", lambda: pbx.originates(free[-1], next(customers))))
        if len(free) > 1:
            found.append(("employee calls colleague", partial(pbx.picks_up_phone, free[0], free[1])))
    for line in pbx.lines:
        found += _steps_of(pbx, line, free)
    for asked in pbx.asked:
        leg = next((other for other in pbx.hears(asked.second) if other.is_employee and other is not asked.agent), None)
        if leg is not None:
            found.append(("attended transfer by feature", partial(pbx.transfers_by_feature, asked)))
        elif asked.second.dialling is None or not asked.second.dialling.legs:
            found.append(("back to the customer", partial(pbx.returns, asked)))
    return found


def _steps_of(pbx: Asterisk, line: Line, free: list[str]) -> Iterator[Step]:
    asking = {part for asked in pbx.asked for part in (asked.agent, asked.first, asked.second, *asked.waiting.members)}
    if line.dialled_by is not None and line.state in (0, 5):
        if line.who:  # a Local channel does what the phone behind it does
            yield from _steps_of_leg(pbx, line, free)
    elif line in asking:
        if line.dialling is not None and line.dialling.legs:
            yield "asked in vain", partial(_times_out, pbx, line, hang_up=False)
    elif line.parked:
        yield "parked one hangs up", partial(pbx.gives_up, line)
        if free:
            yield "retrieve", partial(pbx.retrieves, free[0], line)
    elif not line.who:
        first = line.half
        if line.name.endswith(";2") and line.bridge is not None and first is not None and first.bridge is not None:
            yield "optimise", partial(pbx.optimises, line)
    elif line.bridge is not None:
        yield from _steps_of_talk(pbx, line, free)
    elif line.dialling is not None:
        if line.dialling.legs:
            yield "dial times out", partial(_times_out, pbx, line, hang_up=not line.waits_in)
        else:
            yield "no one answers", partial(_ends_in_vain, pbx, line)
        yield "caller gives up", partial(pbx.gives_up, line)
    else:
        yield from _steps_of_caller(pbx, line, free)


def _steps_of_caller(pbx: Asterisk, line: Line, free: list[str]) -> Iterator[Step]:
    """In the dialplan: nothing is dialled."""
    yield "caller gives up", partial(pbx.gives_up, line)
    if line.is_customer:
        if free:
            queue = line.waits_in
            yield "rings one", partial(pbx.dial, line, free[:1], queue=queue)
            yield "rings all", partial(pbx.dial, line, free, queue=queue)
            yield "rings through Local", partial(pbx.dial, line, free[:2], through_local=True)
        if not line.waits_in:
            yield "joins queue", partial(pbx.joins_queue, line, "sales")
    elif line.exten.startswith("+") or line.exten in free:
        yield "dials", partial(pbx.dial, line, [line.exten])


def _steps_of_leg(pbx: Asterisk, leg: Line, free: list[str]) -> Iterator[Step]:
    if leg.state == 0:
        yield "rings", partial(pbx.rings, leg)
    else:
        yield "answers", partial(pbx.answers, leg)
    by = leg.dialled_by.caller if leg.dialled_by is not None else None
    if by is None:
        yield "operator does not answer", partial(pbx.hang_up, leg, 19)
        return
    yield "is busy", partial(_refuses, pbx, leg, "BUSY", 17)
    yield "declines", partial(_refuses, pbx, leg, "NOANSWER", 21)
    if free and leg.is_employee and leg.state == 5 and by.who:
        yield "is picked up by another", partial(pbx.picks_up, free[-1], leg)


def _steps_of_talk(pbx: Asterisk, line: Line, free: list[str]) -> Iterator[Step]:
    assert line.bridge is not None
    mates = [mate for mate in line.bridge.members if mate is not line]
    if not mates:
        return
    yield "hangs up", partial(pbx.hangs_up_talk, line)
    if not line.is_employee or len(mates) != 1 or not mates[0].who:
        return
    yield "parks", partial(pbx.parks, line, mates[0])
    other = next((other for other in pbx.lines if other.who == line.who and other is not line), None)
    if other is None and free:
        yield "blind transfer", partial(pbx.transfers_blind, line, mates[0], free[0])
        yield "consults", partial(pbx.consults, line, free[0])
        yield "consults by feature", partial(pbx.consults_by_feature, line, free[0])
    elif other is not None and _talks_with_one(other) and not any(other is asked.agent for asked in pbx.asked):
        yield "attended transfer", partial(pbx.joins_calls, line, other)


def _talks_with_one(line: Line) -> bool:
    bridge = line.bridge
    return bridge is not None and bridge.type == "basic" and [bool(each.who) for each in bridge.members] == [True, True]


def _refuses(pbx: Asterisk, leg: Line, status: str, cause: int) -> None:
    pbx.asks_to_hang_up(leg)
    pbx.ends_dial(leg, status, cause)


def _times_out(pbx: Asterisk, line: Line, *, hang_up: bool) -> None:
    dialling = line.dialling
    assert dialling is not None
    for leg in list(dialling.legs):
        pbx.ends_dial(leg, "NOANSWER", 0, repeated=bool(dialling.queue))
    line.dialling = None
    if hang_up:
        pbx.hang_up(line, 0)


def _ends_in_vain(pbx: Asterisk, line: Line) -> None:
    line.dialling = None
    if not line.waits_in:
        pbx.hang_up(line, 17)
