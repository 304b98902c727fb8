"""The stand-in CRM, which keeps a real vTiger's rows, behind an HTTP server with the faults of ``Fault``."""

from __future__ import annotations

import enum
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial

import attrs

from tests.fake_vtiger import (
    BAD_GATEWAY,
    FAILURE,
    Answer,
    Behaviour,
    FakeVtiger,
    Late,
    ResetRead,
    ResetUnread,
    Silence,
    fake_vtiger,
)
from uac_trio.demo.crm import StandInCRM

PAGE = Answer(body="<!DOCTYPE html><html><title>Log in</title></html>")
ERROR_PAGE = (
    "<html>\r\n<head><title>500 Internal Server Error</title></head>\r\n<body>\r\n"
    "<center><h1>500 Internal Server Error</h1></center>\r\n<hr><center>nginx/1.22.1</center>\r\n</body>\r\n</html>"
)
FATAL = "<br />\n<b>Fatal error</b>:  Uncaught Error: Class not found in Record.php:12"


class Fault(enum.Enum):
    """What an answer may be like. The word behind says whether the request was carried out."""

    NONE = "applied: answered as it should be"
    SLOW = "applied: answered after a while"
    EMPTY_500 = "applied: empty 500"
    FATAL_200 = "applied: PHP's fatal error as text"
    WARNING_200 = "applied: PHP's warnings as text"
    GATEWAY_TIMEOUT = "applied: 504"
    RESET_AFTER = "applied: connection reset"
    SILENCE_AFTER = "applied: no answer"
    LATE = "applied later: no answer, PHP goes on alone"
    RESET_BEFORE = "not applied: connection reset, unread"
    RESET_READ = "not applied: connection reset, read"
    SILENCE_BEFORE = "not applied: no answer"
    BAD_GATEWAY = "not applied: 502"
    DATABASE_AWAY = "not applied: empty 500"
    ERROR_PAGE = "not applied: 500 with the web server's page"
    BUSY = "not applied: 503 with Retry-After"
    TOO_MANY = "not applied: 429"
    LOGIN_PAGE = "not applied: a web page"
    REDIRECT = "not applied: a redirect"
    FORBIDDEN = "not applied: 403"
    WRONG_SECRET = "not applied: Authentication Failure"
    UNKNOWN_TEXT = "not applied: an unknown text"


_NOT_APPLIED: dict[Fault, Behaviour] = {
    Fault.RESET_BEFORE: ResetUnread(),
    Fault.RESET_READ: ResetRead(),
    Fault.SILENCE_BEFORE: Silence(),
    Fault.BAD_GATEWAY: BAD_GATEWAY,
    Fault.DATABASE_AWAY: Answer(status=500),
    Fault.ERROR_PAGE: Answer(status=500, body=ERROR_PAGE),
    Fault.BUSY: Answer(status=503, retry_after="1"),
    Fault.TOO_MANY: Answer(status=429),
    Fault.LOGIN_PAGE: PAGE,
    Fault.REDIRECT: Answer(status=302, location="/index.php"),
    Fault.FORBIDDEN: Answer(status=403, body="<h1>Forbidden</h1>"),
    Fault.WRONG_SECRET: FAILURE,
    Fault.UNKNOWN_TEXT: Answer(body="SQLSTATE[HY000]: General error: 2006 MySQL server has gone away"),
}


@attrs.define(eq=False)
class FaultyCRM:
    """``faults``: one for each of the next requests; then ``always`` holds."""

    crm: StandInCRM
    now: Callable[[], float]
    slow: float = 0.2
    """Seconds, for SLOW and LATE."""
    faults: deque[Fault] = attrs.field(factory=deque)
    always: Fault = Fault.NONE
    struck: Counter[Fault] = attrs.field(factory=Counter)
    applied: Counter[frozenset[tuple[str, str]]] = attrs.field(factory=Counter)
    """How often each form was carried out."""
    http: FakeVtiger = attrs.field(factory=FakeVtiger, init=False)

    @property
    def doubles(self) -> int:
        """Requests that were carried out once more than needed."""
        return sum(times - 1 for times in self.applied.values())

    def behave(self, form: Mapping[str, str]) -> Behaviour:
        """The script of the HTTP server: what becomes of a request."""
        fault = self.faults.popleft() if self.faults else self.always
        if fault is not Fault.NONE:
            self.struck[fault] += 1
        if fault in _NOT_APPLIED:
            return _NOT_APPLIED[fault]
        if fault is Fault.LATE:
            return Late(self.slow, partial(self._carry_out, form))
        answer = self._carry_out(form)
        match fault:
            case Fault.SLOW:
                return attrs.evolve(answer, delay=self.slow)
            case Fault.EMPTY_500:  # to what touches a row; the secret is compared before
                return answer if answer.body == FAILURE.body else Answer(status=500)
            case Fault.FATAL_200:
                return Answer(body=FATAL)
            case Fault.WARNING_200:
                return Answer(body="<br />\n<b>Warning</b>:  Undefined variable in Record.php on line 3<br />")
            case Fault.GATEWAY_TIMEOUT:
                return Answer(status=504)
            case Fault.RESET_AFTER:
                return ResetRead()
            case Fault.SILENCE_AFTER:
                return Silence()
            case _:
                return answer

    def _carry_out(self, form: Mapping[str, str]) -> Answer:
        reply = self.crm.callback(form, self.now())
        if form.get("callUUID"):
            self.applied[frozenset(form.items())] += 1
        return Answer(status=reply.status, body=reply.body, content_type=reply.content_type)


@asynccontextmanager
async def faulty_crm(crm: StandInCRM, now: Callable[[], float]) -> AsyncIterator[FaultyCRM]:
    """Serves until the block is left."""
    faulty = FaultyCRM(crm, now)
    async with fake_vtiger(faulty.behave) as faulty.http:
        yield faulty
