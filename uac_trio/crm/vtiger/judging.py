"""What vTiger's answers mean, in the light of what it answered before.

One answer is not believed by itself where it may be an outage that looks like something else:

- a 500 to what may not be repeated: the row may be there, unless the CRM fails at what touches no row as well;
- PHP's "Fatal error" with status 200 (display_errors=On): as a 500, but it teaches nothing of later 500s;
- ``Authentication Failure``: SalesPlatform's answers so while its database is away, since the secret is there;
- an unknown text: perhaps a database error that PHP prints;
- a 403 or the like: the address is wrong, unless the probe gets through: then a firewall objects to this request;
- an extension's first 500 that would be taken for written, and all of a CRM that answers 200 to others: a CRM whose
  database works refuses a request without a secret.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial

import attrs

from uac_trio.crm.protocol import Doubt, PastBegin, Sent
from uac_trio.crm.reply import NoReply, Reply, Ruling, Verdict, excerpt
from uac_trio.crm.vtiger.account import VtigerAccount
from uac_trio.crm.vtiger.reply import Cause, is_php_failure, judge
from uac_trio.crm.vtiger.request import Step, posted
from uac_trio.crm.vtiger.server_errors import Evidence, ServerErrors

PROBE = {"vtigersignature": "uac-trio-is-anybody-there"}
"""No secret is this one, so vTiger answers Authentication Failure and does nothing."""

UNSIGNED_PROBE = {"callstatus": "uac-trio-is-anybody-there"}
"""Without a secret: a vTiger that knows its own answers Authentication Failure; one that cannot read it, since its
database is away, compares nothing with nothing, and passes over the unknown step (200, empty)."""

FAILS = "vTiger fails, also at a request that touches no row (requests wait, none is lost):"
DATABASE_AWAY = (
    "vTiger answers Authentication Failure to our secret and takes a request without one: its database is away, or no "
    "secret key is set in its PBXManager settings (requests wait, none is lost)"
)
SAME_TEXT = "vTiger answers the same unknown text to every call: it fails as a whole (requests wait, none is lost)"
NOT_THIS_REQUEST = (
    "the web server, or a firewall before it, does not let this request through, though it does let a probe: its log "
    "names the rule; once that is mended, uac-trio outbox retry sends the request again"
)
NO_CALL_THROUGH = (
    "the web server, or a firewall before it, lets no call's requests through, though it does let a probe: its log "
    "names the rule (requests wait, none is lost)"
)
_REFUSED_TRIES = 5
"""Sendings of one request that is not let through while the probe is; then it is parked."""


def judge_harmless(answer: Reply | NoReply) -> Verdict:
    """What an answer means to a request that touches no row: a 500 is never one to what was written."""
    return judge(Step.HANGUP, answer, attempt=1, evidence=Evidence.OUTAGE)


def judge_probe(answer: Reply | NoReply) -> Verdict:
    """What the answer to ``PROBE`` says of the CRM: DELIVERED or AWAY."""
    there = judge_harmless(answer)
    answers = there.ruling in (Ruling.AUTH_FAILED, Ruling.DELIVERED)
    return attrs.evolve(there, ruling=Ruling.DELIVERED if answers else Ruling.AWAY)


def knows_no_secret(answer: Reply | NoReply) -> bool:
    """By the answer to ``UNSIGNED_PROBE``: this vTiger cannot read its secret, or has none."""
    return judge_harmless(answer).ruling is Ruling.DELIVERED


class VtigerJudge:
    """Remembers which 500s this CRM answers to what it has written (``ServerErrors``), and unknown texts."""

    def __init__(self, account: VtigerAccount, writes_in_spite_of_500: bool) -> None:
        self._account = account
        self._errors = ServerErrors(writes_in_spite_of_500)
        self._refusal = ""
        """The last unknown text, or status of what was not let through; "" since anything else was answered."""
        self._refused: set[str] = set()
        """The calls that it was answered to, two at most."""

    @property
    def is_usual(self) -> bool:
        """This CRM answers 500 to what it has written."""
        return self._errors.are_usual

    def recall(self, begins: Iterable[PastBegin]) -> None:
        for begin in begins:
            self._errors.settled("", Step.DIAL_BEGIN, begin.extension, believed=begin.is_probable)

    def judge(self, sent: Sent, answer: Reply | NoReply) -> Verdict:
        step, key = Step(sent.request.name), sent.request.key
        evidence = self._errors.evidence(key, sent.delivery.extension)
        verdict = judge(step, answer, attempt=sent.attempt, evidence=evidence)
        if isinstance(answer, NoReply):
            return attrs.evolve(verdict, is_own=self._errors.has_failed(key))
        if is_php_failure(answer):
            self._errors.failed(key)
            return attrs.evolve(verdict, is_own=True)
        if verdict.cause is Cause.UNKNOWN_TEXT:
            return self._judge_text(excerpt(answer.text), sent.delivery.call_id, verdict)
        if verdict.cause is Cause.NOT_LET_THROUGH:
            self._note_refusal(f"HTTP {answer.status}", sent.delivery.call_id)
        else:
            self._refusal = ""
        return attrs.evolve(verdict, is_own=self._errors.has_failed(key))

    def doubt(self, sent: Sent, verdict: Verdict) -> Doubt | None:
        is_confirmed = self._errors.is_confirmed(sent.delivery.extension)
        if verdict.ruling is Ruling.AUTH_FAILED:
            return self._probed(UNSIGNED_PROBE, partial(_auth_failed, verdict))
        if verdict.ruling is Ruling.PROBABLY and (not is_confirmed or verdict.cause is Cause.PRINTED_FATAL):
            return self._probed(UNSIGNED_PROBE, partial(_believed, verdict))
        if verdict.cause is Cause.UNKNOWN_TEXT:
            return self._probed(PROBE, partial(_unknown, verdict))
        if verdict.cause is Cause.NOT_LET_THROUGH:
            decide = (
                _no_call_let_through if self._is_refused_to_several else partial(_one_not_let_through, sent.attempt)
            )
            return self._probed(PROBE, partial(decide, verdict))
        if verdict.ruling is Ruling.AWAY and verdict.is_own and not sent.request.is_repeatable:
            return self._probed(PROBE, partial(_not_repeated, verdict))
        return None

    def _probed(self, probe: Mapping[str, str], decide: Callable[[Reply | NoReply], Verdict]) -> Doubt:
        return Doubt(request=posted(self._account.url, "probe", probe), decide=decide)

    def settled(self, sent: Sent, verdict: Verdict) -> None:
        key, step, extension = sent.request.key, Step(sent.request.name), sent.delivery.extension
        match verdict.ruling:
            case Ruling.PROBABLY if verdict.cause is Cause.PRINTED_FATAL:
                self._errors.given_up(key)
            case Ruling.PROBABLY:
                self._errors.settled(key, step, extension, believed=True)
                self._errors.confirm(extension)
            case Ruling.DELIVERED:
                self._errors.settled(key, step, extension, believed=False)
            case Ruling.PARKED:
                self._errors.given_up(key)
            case _:
                pass

    def _judge_text(self, text: str, call_id: str, verdict: Verdict) -> Verdict:
        """The same unknown text to several calls, with nothing else between them, is an outage."""
        self._note_refusal(text, call_id)
        if self._is_refused_to_several:
            return Verdict(ruling=Ruling.AWAY, words=f"{SAME_TEXT} [{text!r}]", is_own=True)
        return verdict

    def _note_refusal(self, refusal: str, call_id: str) -> None:
        if refusal != self._refusal:
            self._refusal = refusal
            self._refused.clear()
        if not self._is_refused_to_several:
            self._refused.add(call_id)

    @property
    def _is_refused_to_several(self) -> bool:
        """Calls got the last refusal one after another, with nothing else between them."""
        return len(self._refused) > 1


def _auth_failed(verdict: Verdict, answer: Reply | NoReply) -> Verdict:
    return Verdict(ruling=Ruling.AWAY, words=DATABASE_AWAY) if knows_no_secret(answer) else verdict


def _believed(verdict: Verdict, answer: Reply | NoReply) -> Verdict:
    probed = judge(Step.HANGUP, answer, attempt=1)
    if probed.ruling is Ruling.AUTH_FAILED:
        return verdict
    words = DATABASE_AWAY if probed.ruling is Ruling.DELIVERED else f"{FAILS} {probed.words}"
    return Verdict(ruling=Ruling.AWAY, words=words, is_own=True)


def _unknown(verdict: Verdict, answer: Reply | NoReply) -> Verdict:
    return verdict if judge_probe(answer).ruling is Ruling.DELIVERED else attrs.evolve(verdict, ruling=Ruling.AWAY)


def _one_not_let_through(attempt: int, verdict: Verdict, answer: Reply | NoReply) -> Verdict:
    if judge_probe(answer).ruling is not Ruling.DELIVERED:
        return verdict
    ruling = Ruling.PARKED if attempt >= _REFUSED_TRIES else Ruling.AGAIN
    return Verdict(ruling=ruling, words=f"{NOT_THIS_REQUEST} {verdict.seen}")


def _no_call_let_through(verdict: Verdict, answer: Reply | NoReply) -> Verdict:
    if judge_probe(answer).ruling is not Ruling.DELIVERED:
        return verdict
    return Verdict(ruling=Ruling.AWAY, words=f"{NO_CALL_THROUGH} {verdict.seen}", is_own=True)


def _not_repeated(verdict: Verdict, answer: Reply | NoReply) -> Verdict:
    if judge_probe(answer).ruling is not Ruling.DELIVERED:
        return verdict
    words = f"not repeated, since vTiger may add a second row: {verdict.words}"
    return attrs.evolve(verdict, ruling=Ruling.PARKED, words=words)
