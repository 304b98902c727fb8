"""Any CRM that takes signed JSON over HTTP: ``[webhook]``. ``docs/crm.md`` is the receiver's side of it.

Each delivery is one POST. The receiver drops doubles by ``id`` and answers 2xx once it has stored it.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from urllib.parse import urlsplit

import attrs

from uac_trio.calls.fact import OfParticipation
from uac_trio.crm.click import ClickAnswer, ClickRequest, Refusal, refused
from uac_trio.crm.delivery import Delivery, Scope
from uac_trio.crm.protocol import CRMRequest, Doubt, Findings, PastBegin, Sent, Surroundings
from uac_trio.crm.recording import recording_link
from uac_trio.crm.reply import Failure, NoReply, Reply, Ruling, Verdict, shown
from uac_trio.crm.responsible import Finding, Responsible

SCHEMA = 1
TRIES = 10
"""Sendings after which a receiver that fails at one delivery and works otherwise gets it no more: a dead letter."""

STATUSES: Mapping[int, tuple[Ruling, str]] = {
    400: (Ruling.PARKED, "the receiver does not accept this delivery"),
    401: (Ruling.AUTH_FAILED, "the receiver refuses the signature: its secret and [webhook] secret differ"),
    403: (Ruling.AUTH_FAILED, "the receiver refuses the signature: its secret and [webhook] secret differ"),
    404: (Ruling.MISCONFIGURED, "there is nothing at [webhook] url"),
    405: (Ruling.MISCONFIGURED, "no POST is allowed at [webhook] url"),
    408: (Ruling.AWAY, "the receiver did not wait for the request"),
    409: (Ruling.DELIVERED, ""),
    413: (Ruling.PARKED, "the delivery is too large for the receiver"),
    422: (Ruling.PARKED, "the receiver does not accept this delivery"),
    425: (Ruling.AWAY, "the receiver asks to try again later"),
    429: (Ruling.AWAY, "the receiver limits the rate of requests"),
    502: (Ruling.AWAY, "the proxy before the receiver gets no answer from it"),
    503: (Ruling.AWAY, "the receiver is in maintenance or overloaded"),
    504: (Ruling.UNKNOWN, "the proxy before the receiver gave up waiting for it"),
}
"""What a status means; others by their hundreds (``_ruling``)."""

CLICK_REPLIES = {
    ClickAnswer.SUCCESS: (200, "success"),
    ClickAnswer.ERROR: (422, "error"),
    ClickAnswer.AUTHENTICATION_FAILURE: (403, "authentication failure"),
}


def _is_web_address(_: object, __: object, url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or not url.isascii():
        raise ValueError(f"{url!r} is no address to post to; expected something like https://crm.example/calls")


def _is_long(_: object, __: object, secret: str) -> None:
    if len(secret) < 16:
        raise ValueError("expected 16 characters or more: whoever guesses it can make calls")


@attrs.frozen(kw_only=True)
class WebhookSettings:
    """``[webhook]`` of the configuration. Raises ValueError."""

    url: str = attrs.field(validator=_is_web_address)
    secret: str = attrs.field(validator=_is_long, repr=False)
    """Signs what is posted, and is what clicks have to give."""

    @property
    def longest_public_url(self) -> int:
        return 2000

    def crm(self, surroundings: Surroundings) -> Webhook:
        return Webhook(self, surroundings)


class WebhookJudge:
    """Keeps nothing: a receiver's status is its word."""

    is_usual = False

    def __init__(self, webhook: Webhook) -> None:
        self._webhook = webhook

    def recall(self, begins: Iterable[PastBegin]) -> None:
        """Earlier answers say nothing of later ones."""

    def judge(self, sent: Sent, answer: Reply | NoReply) -> Verdict:
        verdict = _judge(answer)
        gives_up = verdict.ruling is Ruling.AGAIN and sent.attempt >= TRIES
        return attrs.evolve(verdict, ruling=Ruling.PARKED) if gives_up else verdict

    def doubt(self, sent: Sent, verdict: Verdict) -> Doubt | None:
        """A receiver that fails may fail at this delivery alone."""
        if verdict.ruling not in (Ruling.AGAIN, Ruling.PARKED) or not verdict.words.startswith(_FAILS):
            return None
        away = attrs.evolve(verdict, ruling=Ruling.AWAY)
        return Doubt(
            request=self._webhook.probe,
            decide=lambda answer: verdict if _judge(answer).ruling is Ruling.DELIVERED else away,
        )

    def settled(self, sent: Sent, verdict: Verdict) -> None:
        """Nothing follows from it."""


_FAILS = "the receiver fails"


def _judge(answer: Reply | NoReply) -> Verdict:
    if isinstance(answer, NoReply):
        if answer.failure is Failure.NOT_SENT:
            return Verdict(ruling=Ruling.AWAY, words=f"the receiver cannot be reached: {answer.detail}")
        return Verdict(ruling=Ruling.UNKNOWN, words=f"it is not known whether the receiver has this: {answer.detail}")
    ruling, words = _ruling(answer.status)
    retry_after = answer.retry_after if ruling is Ruling.AWAY else 0.0
    return Verdict(ruling=ruling, words=shown(words, answer), retry_after=retry_after)


def _ruling(status: int) -> tuple[Ruling, str]:
    if 200 <= status < 300:
        return Ruling.DELIVERED, ""
    if status >= 500 and status not in STATUSES:
        return Ruling.AGAIN, _FAILS
    return STATUSES.get(status, (Ruling.MISCONFIGURED, "no receiver answers so: check [webhook] url"))


@attrs.frozen
class Webhook:
    """Satisfies ``CRM``."""

    settings: WebhookSettings
    surroundings: Surroundings

    @property
    def host(self) -> str:
        return urlsplit(self.settings.url).netloc

    @property
    def secret(self) -> str:
        return self.settings.secret

    @property
    def scope(self) -> Scope:
        return Scope.EMPLOYEE

    @property
    def repeats_begins(self) -> bool:
        return True

    @property
    def player_sends_secret(self) -> bool:
        return False

    def wants(self, fact: OfParticipation) -> bool:
        return True

    def requests(self, delivery: Delivery) -> Sequence[CRMRequest]:
        fields: dict[str, object] = {
            "pbx": delivery.pbx,
            "call": delivery.call_id,
            "occurrence": delivery.occurrence,
            "extension": delivery.extension,
            "role": delivery.role.value,
            "direction": delivery.direction.value,
            "customer": delivery.customer,
            "customer_name": delivery.customer_name,
            "line": delivery.line,
            "at": _time(delivery.at),
            "began_at": _time(delivery.began_at),
        }
        if delivery.ended_at is not None and delivery.outcome is not None:
            fields |= {"ended_at": _time(delivery.ended_at), "outcome": delivery.outcome.value}
            fields |= {"talk_secs": round(delivery.talk_secs, 3)}
        if delivery.recording:
            fields |= {"recording": recording_link(self.surroundings.public_url, delivery.recording)}
        return [self._post(delivery.kind.value, delivery.key, fields)]

    def new_judge(self) -> WebhookJudge:
        return WebhookJudge(self)

    @property
    def probe(self) -> CRMRequest:
        return self._post("ping", "ping", {})

    def judge_probe(self, answer: Reply | NoReply) -> Verdict:
        there = _judge(answer)
        return there if there.ruling is Ruling.DELIVERED else attrs.evolve(there, ruling=Ruling.AWAY)

    def read_click(self, parameters: Iterable[tuple[str, str]]) -> ClickRequest | Refusal:
        """``secret``, ``extension`` and ``number``, each once."""
        given = list(parameters)
        click = dict(given)
        if len(click) != len(given) or not {"secret", "extension", "number"} <= click.keys():
            return refused("the parameters secret, extension and number are wanted, each once")
        if not hmac.compare_digest(click["secret"].encode(errors="replace"), self.secret.encode()):
            return Refusal(answer=ClickAnswer.AUTHENTICATION_FAILURE, reason="the secret is not that of [webhook]")
        return ClickRequest(extension=click["extension"], number=click["number"])

    def click_reply(self, answer: ClickAnswer) -> tuple[int, str]:
        return CLICK_REPLIES[answer]

    def owner_question(self, number: str) -> CRMRequest | Responsible:
        if not any(character.isdigit() for character in number) or self.surroundings.is_extension(number):
            return Responsible(finding=Finding.NOBODY, reason="the caller shows no number, or an employee's")
        return attrs.evolve(self._post("owner", number, {"number": number}), key=number)

    @property
    def owner_address(self) -> str:
        return self.settings.url

    def read_owner(self, answer: Reply | NoReply) -> Responsible:
        """``{"extension": "101"}``, or null for a caller who belongs to nobody."""
        verdict = _judge(answer)
        if isinstance(answer, NoReply) or verdict.ruling is not Ruling.DELIVERED:
            return Responsible(finding=Finding.AWAY, reason=verdict.words)
        try:
            extension = json.loads(answer.text)["extension"]
        except (ValueError, TypeError, KeyError, RecursionError):
            return Responsible(finding=Finding.FAILED, reason='the receiver did not answer {"extension": ...}')
        if isinstance(extension, str) and self.surroundings.is_extension(extension):
            return Responsible(finding=Finding.OWNED, extension=extension)
        return Responsible(finding=Finding.NOBODY, reason="the receiver names no employee")

    def examine(self, now: Callable[[], float], findings: Findings) -> Generator[CRMRequest, Reply | NoReply, None]:
        verdict = self.judge_probe((yield self.probe))
        if verdict.ruling is Ruling.DELIVERED:
            findings.ok(f"{self.settings.url} answers a signed ping")
        else:
            findings.problem(f"{self.settings.url}: {verdict.words}")

    def describe(self, at: float) -> Iterator[str]:
        yield f"Webhook: signed JSON is posted to {self.settings.url}"

    def warnings(self, *, asks_for_owner: bool, route_secret: str) -> Iterator[str]:
        if self.settings.url.startswith("http://"):
            yield "[webhook] url is not encrypted: telephone numbers can be read on the way"
        if route_secret == self.secret:
            yield "[route] secret is that of [webhook]; it stands in the dialplan, so it should be another one"

    def _post(self, event: str, key: str, fields: Mapping[str, object]) -> CRMRequest:
        """``id`` is the idempotency key. The time of sending is signed too: an old request proves nothing."""
        identity = hashlib.sha256(key.encode(errors="replace")).hexdigest()
        about = {"schema": SCHEMA, "id": identity, "event": event, **fields}
        body = json.dumps(about).encode()
        return CRMRequest(
            name=event,
            url=self.settings.url,
            body=body,
            headers={"Content-Type": "application/json", "Idempotency-Key": identity},
            stamp=partial(signature, self.secret, body),
            about={name: str(value) for name, value in about.items()},
            key=key,
        )


def signature(secret: str, body: bytes, now: float) -> Mapping[str, str]:
    """HMAC-SHA256 over the time in seconds, a dot and the body."""
    stamp = str(int(now))
    digest = hmac.digest(secret.encode(), stamp.encode() + b"." + body, "sha256").hex()
    return {"X-Uac-Signature": f"t={stamp},v1={digest}"}


def _time(at: float) -> str:
    """ISO 8601, UTC, milliseconds."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
