"""Any CRM that takes signed JSON over HTTP: ``[webhook]``. ``docs/crm.md`` is the receiver's side of it.

Each delivery is one POST. The receiver drops doubles by ``id`` and answers 2xx once it has stored it.
"""

from __future__ import annotations

import enum
import hashlib
import hmac
import json
import re
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from urllib.parse import urlsplit

import attrs

from uac_trio.calls.fact import OfParticipation
from uac_trio.crm.click import MAX_PARAMETER, ClickAnswer, ClickRequest, Refusal, refused
from uac_trio.crm.delivery import Delivery, Kind, Scope
from uac_trio.crm.protocol import CRMRequest, Doubt, Findings, PastBegin, Sent, Surroundings
from uac_trio.crm.recording import recording_link
from uac_trio.crm.reply import Failure, NoReply, Reply, Ruling, Verdict, seen_in, shown
from uac_trio.crm.responsible import Finding, Responsible
from uac_trio.settings import setting, values

SCHEMA = 1
TRIES = 10
"""Sendings after which a receiver that fails at one delivery and works otherwise gets it no more: a dead letter."""

FAILS = "the receiver fails"
REFUSED = "the receiver refuses the signature: its secret and [webhook] secret differ, or the clocks of both machines"
STATUSES: Mapping[int, tuple[Ruling, str]] = {
    **dict.fromkeys(range(200, 300), (Ruling.DELIVERED, "")),
    **dict.fromkeys((400, 413, 422), (Ruling.PARKED, "the receiver does not accept this delivery")),
    **dict.fromkeys((401, 403), (Ruling.AUTH_FAILED, REFUSED)),
    **dict.fromkeys((408, 425, 429, 503), (Ruling.AWAY, "the receiver asks to try again later")),
    409: (Ruling.DELIVERED, ""),
    **dict.fromkeys({*range(500, 600)} - {502, 503, 504}, (Ruling.AGAIN, FAILS)),
    502: (Ruling.AWAY, "the proxy before the receiver gets no answer from it"),
    504: (Ruling.UNKNOWN, "the proxy before the receiver gave up waiting for it"),
}
NOT_THIS_DELIVERY = "the receiver, or a firewall before it, refuses this delivery and answers a ping"
OTHER = (Ruling.MISCONFIGURED, "no receiver answers so: check [webhook] url")
"""What any other status means."""


class Cause(enum.Enum):
    """What is not believed without a ping."""

    FAILS = "a 5xx, perhaps to this delivery alone"


CLICK_PARAMETERS = ("secret", "extension", "number")
CLICK_STATUSES = {ClickAnswer.SUCCESS: 200, ClickAnswer.ERROR: 422, ClickAnswer.AUTHENTICATION_FAILURE: 403}


def _is_web_address(_: object, __: object, url: str) -> None:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and not parts.username
        usable = usable and re.fullmatch(r"[!-~]+", url) is not None and parts.port != 0  # no number: ValueError
    except ValueError:
        usable = False
    if not usable:
        shown_url = re.sub(r"//.*@", "//***@", url)
        raise ValueError(f"{shown_url!r} is no address to post to; expected something like https://crm.example/calls")


def _is_long(_: object, __: object, secret: str) -> None:
    if len(secret) < 16:
        raise ValueError("expected 16 characters or more: who guesses it can make calls")


@attrs.frozen(kw_only=True)
class WebhookSettings:
    """``[webhook]`` of the configuration. Raises ValueError."""

    url: str = attrs.field(validator=_is_web_address, metadata=setting(values.text, "Where the JSON is posted."))
    secret: str = attrs.field(
        validator=_is_long,
        repr=False,
        metadata=setting(values.filled, "Signs what is posted, and is what clicks have to give.", secret=True),
    )

    longest_public_url = 2000

    def crm(self, surroundings: Surroundings) -> Webhook:
        return Webhook(self, surroundings)


@attrs.frozen
class Webhook:
    """Satisfies ``CRM``, and ``Judge``: a receiver's status is its word, so there is nothing to remember."""

    settings: WebhookSettings
    surroundings: Surroundings

    scope = Scope.EMPLOYEE
    repeats_begins = True
    player_sends_secret = False
    is_usual = False

    @property
    def host(self) -> str:
        return urlsplit(self.settings.url).netloc

    @property
    def secret(self) -> str:
        return self.settings.secret

    def wants(self, fact: OfParticipation) -> bool:
        return True

    def requests(self, delivery: Delivery) -> Sequence[CRMRequest]:
        fields: dict[str, object] = {
            "id": hashlib.sha256(delivery.key.encode(errors="replace")).hexdigest(),
            "pbx": delivery.pbx,
            "call": delivery.call_id,
            "occurrence": delivery.occurrence,
            "extension": delivery.extension,
            "role": delivery.role.value,
            "direction": delivery.direction.value,
            "customer": delivery.customer,
            "began_at": _time(delivery.began_at),
            "at": _time(delivery.at),
        }
        if delivery.kind is Kind.BEGIN:
            fields |= {"customer_name": delivery.customer_name, "line": delivery.line}
        if delivery.ended_at is not None and delivery.outcome is not None:
            fields |= {"ended_at": _time(delivery.ended_at), "outcome": delivery.outcome.value}
            fields["talk_secs"] = round(delivery.talk_secs, 3)
        if delivery.recording:
            fields["recording"] = recording_link(self.surroundings.public_url, delivery.recording)
        return [self._post(delivery.kind.value, fields, delivery.key)]

    # -- replies ------------------------------------------------------------------------------------------------------

    def new_judge(self) -> Webhook:
        return self

    def recall(self, begins: Iterable[PastBegin]) -> None:
        """Earlier answers say nothing of later ones."""

    def judge(self, sent: Sent, answer: Reply | NoReply) -> Verdict:
        verdict = _verdict(answer)
        gives_up = verdict.ruling is Ruling.AGAIN and sent.attempt >= TRIES
        return attrs.evolve(verdict, ruling=Ruling.PARKED) if gives_up else verdict

    def doubt(self, sent: Sent, verdict: Verdict) -> Doubt | None:
        """A receiver that fails or refuses may do so at this delivery alone."""
        if verdict.ruling in (Ruling.AUTH_FAILED, Ruling.MISCONFIGURED):
            ruling = Ruling.PARKED if sent.attempt >= TRIES else Ruling.AGAIN
            own = Verdict(ruling=ruling, words=f"{NOT_THIS_DELIVERY} {verdict.seen}")
            return Doubt(request=self.probe, decide=lambda answer: own if _works(answer) else verdict)
        if verdict.cause is not Cause.FAILS:
            return None
        away = attrs.evolve(verdict, ruling=Ruling.AWAY, is_own=True)
        return Doubt(request=self.probe, decide=lambda answer: verdict if _works(answer) else away)

    def settled(self, sent: Sent, verdict: Verdict) -> None:
        """Nothing follows from it."""

    @property
    def probe(self) -> CRMRequest:
        return self._post("ping", {})

    def judge_probe(self, answer: Reply | NoReply) -> Verdict:
        return attrs.evolve(_verdict(answer), ruling=Ruling.DELIVERED if _works(answer) else Ruling.AWAY)

    # -- clicks and owners --------------------------------------------------------------------------------------------

    def read_click(self, parameters: Iterable[tuple[str, str]]) -> ClickRequest | Refusal:
        given = [(name, value) for name, value in parameters if name in CLICK_PARAMETERS]
        click = dict(given)
        if not hmac.compare_digest(click.get("secret", "").encode(errors="replace"), self.secret.encode()):
            return Refusal(answer=ClickAnswer.AUTHENTICATION_FAILURE, reason="the secret is not that of [webhook]")
        if len(given) != len(CLICK_PARAMETERS) or len(click) != len(given):
            return refused("the parameters secret, extension and number are wanted, each once")
        if len(click["number"]) > MAX_PARAMETER:
            return refused(f"the parameter number is longer than {MAX_PARAMETER} characters")
        return ClickRequest(extension=click["extension"], number=click["number"])

    def click_reply(self, answer: ClickAnswer) -> tuple[int, str]:
        return CLICK_STATUSES[answer], answer.value

    def owner_question(self, number: str) -> CRMRequest | Responsible:
        if not any(character.isdigit() for character in number) or self.surroundings.is_extension(number):
            return Responsible(finding=Finding.NO_OWNER, reason="the caller shows no number, or an employee's")
        return attrs.evolve(self._post("owner", {"number": number}, number), url=self.owner_address)

    @property
    def owner_address(self) -> str:
        return self.surroundings.owner_url or self.settings.url

    def read_owner(self, answer: Reply | NoReply) -> Responsible:
        """``{"extension": "101"}``, or null for a caller whom no employee owns."""
        if isinstance(answer, NoReply) or not _works(answer):
            return Responsible(finding=Finding.AWAY, reason=_verdict(answer).words)
        try:
            extension = json.loads(answer.text)["extension"]
        except (ValueError, TypeError, KeyError, RecursionError):
            return Responsible(finding=Finding.FAILED, reason='the receiver did not answer {"extension": ...}')
        if isinstance(extension, str) and self.surroundings.is_extension(extension):
            return Responsible(finding=Finding.OWNED, extension=extension)
        return Responsible(finding=Finding.NO_OWNER, reason="the receiver names no extension, as text, of [calls]")

    # -- for administrators -------------------------------------------------------------------------------------------

    def examine(self, now: Callable[[], float], findings: Findings) -> Generator[CRMRequest, Reply | NoReply, None]:
        answer = yield self.probe
        if not _works(answer):
            findings.problem("crm.address", f"{self.settings.url}: {_verdict(answer).words}")
            return
        findings.ok("crm.address", f"{self.settings.url} answers a signed ping")
        if _works((yield attrs.evolve(self.probe, stamp=None))):
            findings.warn(
                "crm.unsigned",
                "it takes a ping without a signature: its receiver checks none, or another server answers",
            )

    def describe(self, at: float) -> Iterator[str]:
        yield f"Webhook: signed JSON is posted to {self.settings.url}"

    def warnings(self, *, asks_for_owner: bool, route_secret: str) -> Iterator[str]:
        if urlsplit(self.settings.url).scheme == "http":
            yield "[webhook] url is not encrypted: telephone numbers can be read on the way"
        if route_secret == self.secret:
            yield "[route] secret is that of [webhook]; it stands in the dialplan, so it should be another one"

    def _post(self, event: str, fields: Mapping[str, object], key: str = "") -> CRMRequest:
        """The time of sending is signed too: an old request proves nothing."""
        about = {"schema": SCHEMA, "event": event, **fields}
        body = json.dumps(about).encode()
        headers = {"Content-Type": "application/json"}
        if "id" in fields:  # a question has none: its answer is never that of an earlier one
            headers["Idempotency-Key"] = str(fields["id"])
        return CRMRequest(
            name=event,
            url=self.settings.url,
            body=body,
            headers=headers,
            stamp=partial(signature, self.secret, body),
            about={name: str(value) for name, value in about.items()},
            key=key,
        )


def signature(secret: str, body: bytes, now: float) -> Mapping[str, str]:
    """HMAC-SHA256 over the time in seconds, a dot and the body."""
    stamp = str(int(now))
    digest = hmac.digest(secret.encode(), stamp.encode() + b"." + body, "sha256").hex()
    return {"X-Uac-Signature": f"t={stamp},v1={digest}"}


def _verdict(answer: Reply | NoReply) -> Verdict:
    if isinstance(answer, Reply):
        ruling, words = STATUSES.get(answer.status, OTHER)
        retry_after = answer.retry_after if ruling is Ruling.AWAY else 0.0
        cause = Cause.FAILS if ruling is Ruling.AGAIN else None
        words = shown(words, answer)
        return Verdict(ruling=ruling, words=words, retry_after=retry_after, cause=cause, seen=seen_in(answer))
    if answer.failure is Failure.NOT_SENT:
        return Verdict(ruling=Ruling.AWAY, words=f"the receiver cannot be reached: {answer.detail}")
    return Verdict(ruling=Ruling.UNKNOWN, words=f"it is not known whether the receiver has this: {answer.detail}")


def _works(answer: Reply | NoReply) -> bool:
    return _verdict(answer).ruling is Ruling.DELIVERED


def _time(at: float) -> str:
    """ISO 8601, UTC, milliseconds."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
