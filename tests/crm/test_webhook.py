"""``[webhook]``: what a receiver gets, and what its answers mean."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import pytest

from tests.config.files import PBX, loaded, problems
from tests.crm.facts import T0, answered, began, ended, recorded
from tests.recorded import NAMES, rules_of, transcripts_of
from uac_trio.calls.fact import Fact
from uac_trio.calls.outcome import Outcome
from uac_trio.crm.click import ClickAnswer, ClickRequest, Refusal
from uac_trio.crm.delivery import Delivery, DeliveryMaker, failed_click
from uac_trio.crm.protocol import CRM, CRMRequest, Doubt, Judge, PastBegin, Sent, Surroundings
from uac_trio.crm.reply import Failure, NoReply, Reply, Ruling, Verdict
from uac_trio.crm.responsible import Finding, Responsible
from uac_trio.crm.webhook import NOT_THIS_DELIVERY, SCHEMA, TRIES, Webhook, WebhookSettings
from uac_trio.live_check.finding import Findings, Level
from uac_trio.replay import replay
from uac_trio.transcript import read_transcript

URL = "https://crm.example/calls?from=pbx"
SECRET = "a-long-s3cret-word"
TOKEN = "0123456789abcdef" * 2
OK = Reply(status=200)
FAILED = Reply(status=500, text="boom")
GONE = NoReply(failure=Failure.NOT_SENT, detail="crm.example: connection refused")
SILENT = NoReply(failure=Failure.UNKNOWN, detail="crm.example gave no complete reply in time")
INBOUND = {
    "schema": SCHEMA,
    "pbx": "main",
    "call": "main-1.0",
    "occurrence": "1.1",
    "extension": "101",
    "role": "callee",
    "direction": "inbound",
    "customer": "+79161234567",
    "began_at": "2026-11-23T06:01:53.000+00:00",
}


def webhook(**changed: Any) -> Webhook:
    """A receiver beside employees with numbers of three digits."""
    around = Surroundings(
        public_url="http://pbx.example:5000", is_extension=lambda number: len(number) == 3, owner_url=""
    )
    return WebhookSettings(url=URL, secret=SECRET).crm(attrs.evolve(around, **changed))


def deliveries(*facts: Fact) -> list[Delivery]:
    maker = DeliveryMaker("main", webhook().scope, webhook().wants, lambda _: TOKEN)
    return [delivery for fact in facts for delivery in maker.deliveries(fact)]


BEGIN, ANSWER, END, RECORDING = deliveries(began(), answered(), ended(), recorded())


def request_of(delivery: Delivery) -> CRMRequest:
    """There is one for each."""
    (request,) = webhook().requests(delivery)
    return request


def body_of(request: CRMRequest | Responsible) -> dict[str, Any]:
    assert isinstance(request, CRMRequest)
    fields: dict[str, Any] = json.loads(request.body)
    return fields


def is_signed(body: bytes, headers: Mapping[str, str], now: float) -> bool:
    """As docs/crm.md shows it to receivers."""
    parts = dict(part.split("=", 1) for part in headers["X-Uac-Signature"].split(","))
    expected = hmac.digest(SECRET.encode(), parts["t"].encode() + b"." + body, "sha256").hex()
    return hmac.compare_digest(expected, parts["v1"]) and abs(now - int(parts["t"])) < 300


def test_is_a_crm_and_its_own_judge() -> None:
    """It has all that the other rooms ask for, and is all alone what judges its replies."""
    crm: CRM = webhook()
    judge: Judge = crm.new_judge()
    judge.recall([PastBegin(extension="101", is_probable=True)])
    judge.settled(sent(), Verdict(ruling=Ruling.DELIVERED))
    assert (crm.repeats_begins, crm.player_sends_secret, judge.is_usual) == (True, False, False)


# -- what is sent -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("delivery", "more"),
    [
        (BEGIN, {"event": "begin", "at": "06:01:53.000", "customer_name": "Иван", "line": "4951000101"}),
        (ANSWER, {"event": "answer", "at": "06:01:55.000"}),
        (
            END,
            {
                "event": "end",
                "at": "06:01:58.000",
                "ended_at": "2026-11-23T06:01:58.000+00:00",
                "outcome": "completed",
                "talk_secs": 3.0,
            },
        ),
        (
            RECORDING,
            {"event": "recording", "at": "06:02:00.000", "recording": f"http://pbx.example:5000/recording?id={TOKEN}"},
        ),
    ],
)
def test_fields(delivery: Delivery, more: dict[str, Any]) -> None:
    """Each kind has the fields of all and its own; the ``id`` is that of the delivery's key."""
    more["at"] = f"2026-11-23T{more['at']}+00:00"
    identity = hashlib.sha256(delivery.key.encode()).hexdigest()
    assert body_of(request_of(delivery)) == {**INBOUND, "id": identity, **more}


@pytest.mark.parametrize("outcome", Outcome)
def test_outcomes(outcome: Outcome) -> None:
    """All are sent by their own names, and there is no other that a receiver has to know."""
    assert body_of(request_of(attrs.evolve(END, outcome=outcome)))["outcome"] == outcome.value


def test_failed_click() -> None:
    """A click that the PBX did not take begins and ends at once, and failed."""
    begin, end = failed_click("main", "uac-1", "101", "89161234567", webhook().scope, T0)
    assert body_of(request_of(begin))["role"] == "caller"
    fields = body_of(request_of(end))
    assert (fields["event"], fields["outcome"], fields["talk_secs"]) == ("end", "failed", 0.0)


@pytest.mark.parametrize("strange", ["\x00", "\ud800", "\u202e", '"}', "Иван", ""])
def test_strange_text(strange: str) -> None:
    """Whatever a stranger calls themselves, the body is ASCII and one JSON object."""
    request = request_of(attrs.evolve(BEGIN, customer=strange, customer_name=strange))
    assert request.body.isascii()
    assert body_of(request)["customer_name"] == strange


def test_request() -> None:
    """A POST of JSON to the address, with the ``id`` as its idempotency key; it may be sent again."""
    request = request_of(BEGIN)
    assert (request.name, request.url, request.key, request.is_repeatable) == ("begin", URL, BEGIN.key, True)
    assert request.headers == {"Content-Type": "application/json", "Idempotency-Key": body_of(request)["id"]}


def test_id() -> None:
    """The same for the same delivery after a restart, another one for any other."""
    again = attrs.evolve(BEGIN, customer_name="another", at=T0 + 9)
    assert body_of(request_of(again))["id"] == body_of(request_of(BEGIN))["id"]
    others = [BEGIN, ANSWER, END, RECORDING, attrs.evolve(BEGIN, occurrence="1.2"), attrs.evolve(BEGIN, subject="102")]
    assert len({body_of(request_of(one))["id"] for one in others}) == len(others)


def test_signature() -> None:
    """A receiver can check it with its secret; body and time are signed."""
    request = request_of(BEGIN)
    assert request.stamp is not None
    headers = request.stamp(T0 + 0.9)
    assert headers["X-Uac-Signature"].startswith(f"t={int(T0)},v1=")
    assert is_signed(request.body, headers, T0)
    assert not is_signed(request.body + b" ", headers, T0)
    assert not is_signed(request.body, {"X-Uac-Signature": headers["X-Uac-Signature"].replace("t=1", "t=2")}, T0)
    assert not is_signed(request.body, headers, T0 + 301)


def test_nothing_shows_the_secret() -> None:
    """Neither a request nor the settings, nor what ``replay`` prints."""
    request = request_of(BEGIN)
    assert SECRET not in f"{request!r} {request.about} {request.headers} {webhook()!r}"


@pytest.mark.parametrize("name", NAMES)
def test_order(name: str) -> None:
    """Of every recorded call: each part of an employee begins, is answered or not, ends, and may have a recording."""
    rules = rules_of(name)
    crm = webhook(is_extension=rules.is_extension)
    recordings = [read_transcript(path.name, path.read_bytes()) for path in transcripts_of(name)]
    parts: dict[tuple[str, str], list[str]] = {}
    identities = []
    for each in replay(recordings, rules, crm).requests:
        fields = body_of(each.request)
        identities.append(fields["id"])
        parts.setdefault((fields["call"], fields["occurrence"]), []).append(fields["event"])
    assert len(set(identities)) == len(identities)
    for events in parts.values():
        assert [event for event in ("begin", "answer", "end", "recording") if event in events] == events
        assert {"begin", "end"} <= set(events)


# -- what is answered -------------------------------------------------------------------------------------------------


def sent(attempt: int = 1) -> Sent:
    return Sent(delivery=BEGIN, request=request_of(BEGIN), attempt=attempt)


@pytest.mark.parametrize(
    ("statuses", "ruling", "words"),
    [
        ([*range(200, 300), 409], Ruling.DELIVERED, ""),
        ([400, 413, 422], Ruling.PARKED, "the receiver does not accept this delivery [HTTP 4"),
        ([401, 403], Ruling.AUTH_FAILED, "the receiver refuses the signature: its secret and [webhook] secret differ"),
        ([408, 425, 429, 503], Ruling.AWAY, "the receiver asks to try again later [HTTP "),
        ([500, 501, 505, 520, 599], Ruling.AGAIN, "the receiver fails [HTTP 5"),
        ([502], Ruling.AWAY, "the proxy before the receiver gets no answer from it [HTTP 502"),
        ([504], Ruling.UNKNOWN, "the proxy before the receiver gave up waiting for it [HTTP 504"),
        ([301, 302, 308, 402, 404, 405, 410, 415, 418, 600, 999], Ruling.MISCONFIGURED, "no receiver answers so: "),
    ],
)
def test_statuses(statuses: list[int], ruling: Ruling, words: str) -> None:
    """Each means something, and says it with what was seen."""
    for status in statuses:
        verdict = webhook().judge(sent(), Reply(status=status, text="<p>why</p>", retry_after=7.0))
        assert verdict.ruling is ruling, status
        assert verdict.words.startswith(words)
        assert ("'why'" in verdict.words) is bool(words)
        assert verdict.retry_after == (7.0 if ruling is Ruling.AWAY else 0.0)


def test_no_answer() -> None:
    """What was not sent can be sent at any time; what got no answer may be there."""
    away, unknown = webhook().judge(sent(), GONE), webhook().judge(sent(), SILENT)
    assert (away.ruling, away.words) == (Ruling.AWAY, f"the receiver cannot be reached: {GONE.detail}")
    assert (unknown.ruling, unknown.words) == (
        Ruling.UNKNOWN,
        f"it is not known whether the receiver has this: {SILENT.detail}",
    )


@pytest.mark.parametrize(("attempt", "ruling"), [(1, Ruling.AGAIN), (TRIES - 1, Ruling.AGAIN), (TRIES, Ruling.PARKED)])
def test_tries(attempt: int, ruling: Ruling) -> None:
    """A failure is repeated so often; then the delivery is a dead letter."""
    assert webhook().judge(sent(attempt), FAILED).ruling is ruling


@pytest.mark.parametrize("attempt", [1, TRIES])
def test_failure_at_one_delivery(attempt: int) -> None:
    """A receiver that fails and answers a ping fails at this delivery alone, whatever its number."""
    verdict = webhook().judge(sent(attempt), FAILED)
    assert doubt_of(verdict).decide(OK) is verdict


@pytest.mark.parametrize("attempt", [1, TRIES])
@pytest.mark.parametrize("answer", [FAILED, GONE, SILENT, Reply(status=404), Reply(status=503)])
def test_failure_at_everything(answer: Reply | NoReply, attempt: int) -> None:
    """One that fails and answers no ping is away; other deliveries go first, in case it is this one after all."""
    verdict = webhook().judge(sent(attempt), FAILED)
    away = doubt_of(verdict).decide(answer)
    assert (away.ruling, away.words, away.is_own) == (Ruling.AWAY, verdict.words, True)


def doubt_of(verdict: Verdict) -> Doubt:
    doubt = webhook().doubt(sent(), verdict)
    assert doubt is not None
    assert body_of(doubt.request) == {"schema": SCHEMA, "event": "ping"}
    return doubt


@pytest.mark.parametrize("status", [401, 403, 404, 405, 451, 302])
@pytest.mark.parametrize(("attempt", "ruling"), [(1, Ruling.AGAIN), (TRIES - 1, Ruling.AGAIN), (TRIES, Ruling.PARKED)])
def test_refusal_of_one_delivery(status: int, attempt: int, ruling: Ruling) -> None:
    """While a ping is answered a firewall, or the receiver, objects to this delivery alone."""
    doubt = webhook().doubt(sent(attempt), webhook().judge(sent(attempt), Reply(status=status)))
    assert doubt is not None
    assert body_of(doubt.request) == {"schema": SCHEMA, "event": "ping"}
    decided = doubt.decide(OK)
    assert decided.ruling is ruling
    assert decided.words == f"{NOT_THIS_DELIVERY} [HTTP {status}]"


@pytest.mark.parametrize("status", [401, 403, 404, 405, 451, 302])
@pytest.mark.parametrize("answer", [Reply(status=403), Reply(status=404), FAILED, GONE, SILENT])
def test_refusal_of_everything(status: int, answer: Reply | NoReply) -> None:
    """A ping that is not answered as it should be: the secret or the address is wrong."""
    verdict = webhook().judge(sent(TRIES), Reply(status=status))
    assert verdict.ruling in (Ruling.AUTH_FAILED, Ruling.MISCONFIGURED)
    assert doubt_of(verdict).decide(answer) is verdict


@pytest.mark.parametrize("answer", [OK, GONE, SILENT, *(Reply(status=status) for status in (400, 409, 503, 504))])
def test_no_doubt(answer: Reply | NoReply) -> None:
    """Any other answer is believed."""
    assert webhook().doubt(sent(), webhook().judge(sent(), answer)) is None


@pytest.mark.parametrize(
    ("answer", "ruling"),
    [(OK, Ruling.DELIVERED), (FAILED, Ruling.AWAY), (Reply(status=403), Ruling.AWAY), (SILENT, Ruling.AWAY)],
)
def test_probe(answer: Reply | NoReply, ruling: Ruling) -> None:
    """A signed ping that has no ``id``: 2xx alone shows that the receiver works."""
    probe = webhook().probe
    assert probe.headers == {"Content-Type": "application/json"}
    assert probe.stamp is not None
    assert is_signed(probe.body, probe.stamp(T0), T0)
    assert webhook().judge_probe(answer).ruling is ruling


# -- clicks -----------------------------------------------------------------------------------------------------------

CLICK = {"secret": SECRET, "extension": "101", "number": "+7 (916) 123-45-67"}


def test_click() -> None:
    """The values go on as they are; other parameters do not matter, even twice."""
    given = [*CLICK.items(), ("user", "7"), ("user", "8")]
    assert webhook().read_click(given) == ClickRequest(extension="101", number="+7 (916) 123-45-67")


@pytest.mark.parametrize("secret", ["", "wrong", SECRET + " ", "пароль", "\ud800", None])
def test_click_with_a_wrong_secret(secret: str | None) -> None:
    """Refused as that, whatever else is wrong."""
    given = [("number", "1"), ("number", "2"), *([] if secret is None else [("secret", secret)])]
    refusal = webhook().read_click(given)
    assert isinstance(refusal, Refusal)
    assert refusal.answer is ClickAnswer.AUTHENTICATION_FAILURE
    assert refusal.reason == "the secret is not that of [webhook]"


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"secret": SECRET, "extension": "101"}, "are wanted, each once"),
        ({"secret": SECRET, "number": "1"}, "are wanted, each once"),
        ({**CLICK, "number": "9" * 257}, "the parameter number is longer than 256 characters"),
    ],
)
def test_click_that_is_refused(given: dict[str, str], reason: str) -> None:
    """Each of the three has to be there."""
    refusal = webhook().read_click(given.items())
    assert isinstance(refusal, Refusal)
    assert (refusal.answer, refusal.reason.endswith(reason)) == (ClickAnswer.ERROR, True)


@pytest.mark.parametrize("name", CLICK)
def test_click_parameter_given_twice(name: str) -> None:
    """Which of the two was checked elsewhere is not known."""
    refusal = webhook().read_click([*CLICK.items(), (name, CLICK[name])])
    assert isinstance(refusal, Refusal)
    assert refusal.answer is ClickAnswer.ERROR


@pytest.mark.parametrize(
    ("answer", "status", "body"),
    [
        (ClickAnswer.SUCCESS, 200, "success"),
        (ClickAnswer.ERROR, 422, "error"),
        (ClickAnswer.AUTHENTICATION_FAILURE, 403, "authentication failure"),
    ],
)
def test_click_replies(answer: ClickAnswer, status: int, body: str) -> None:
    """Status and body differ for each."""
    assert webhook().click_reply(answer) == (status, body)


# -- owners -----------------------------------------------------------------------------------------------------------


def test_owner_question() -> None:
    """The number as the PBX showed it, signed, without an ``id``: the answer may change from call to call."""
    question = webhook().owner_question("+79161234567")
    assert body_of(question) == {"schema": SCHEMA, "event": "owner", "number": "+79161234567"}
    assert isinstance(question, CRMRequest)
    assert (question.url, question.key) == (URL, "+79161234567")
    assert "Idempotency-Key" not in question.headers


def test_owner_address() -> None:
    """``[route] url``, where it is set."""
    crm = webhook(owner_url="https://crm.example/owner")
    question = crm.owner_question("+79161234567")
    assert isinstance(question, CRMRequest)
    assert (question.url, crm.owner_address) == ("https://crm.example/owner", "https://crm.example/owner")
    assert webhook().owner_address == URL


@pytest.mark.parametrize("number", ["", "anonymous", "101"])
def test_nothing_to_ask(number: str) -> None:
    """A caller without a number, or an employee, has no owner."""
    assert webhook().owner_question(number) == Responsible(
        finding=Finding.NO_OWNER, reason="the caller shows no number, or an employee's"
    )


@pytest.mark.parametrize(
    ("answer", "finding", "reason"),
    [
        (Reply(status=200, text='{"extension": null}'), Finding.NO_OWNER, "the receiver names no extension"),
        (Reply(status=200, text='{"extension": "7777"}'), Finding.NO_OWNER, "the receiver names no extension"),
        (Reply(status=200, text='{"extension": 101}'), Finding.NO_OWNER, "the receiver names no extension"),
        (Reply(status=200, text="[]"), Finding.FAILED, "the receiver did not answer"),
        (Reply(status=200, text="{}"), Finding.FAILED, "the receiver did not answer"),
        (Reply(status=200, text="<html>"), Finding.FAILED, "the receiver did not answer"),
        (Reply(status=200, text="[" * 100_000), Finding.FAILED, "the receiver did not answer"),
        (Reply(status=404), Finding.AWAY, "no receiver answers so"),
        (FAILED, Finding.AWAY, "the receiver fails"),
        (SILENT, Finding.AWAY, "it is not known whether"),
    ],
)
def test_no_owner(answer: Reply | NoReply, finding: Finding, reason: str) -> None:
    """Whatever else is answered, the call goes on without."""
    owner = webhook().read_owner(answer)
    assert (owner.finding, owner.extension) == (finding, "")
    assert owner.reason.startswith(reason)


def test_owner() -> None:
    """An extension by [calls] extensions."""
    answer = Reply(status=200, text='{"extension": "101", "name": "Anna"}')
    assert webhook().read_owner(answer) == Responsible(finding=Finding.OWNED, extension="101")


# -- for administrators -----------------------------------------------------------------------------------------------


def looked(signed: Reply | NoReply, unsigned: Reply | NoReply) -> list[tuple[Level, str]]:
    """What ``check --live`` finds at a receiver that answers so."""
    findings = Findings("CRM")
    look = webhook().examine(lambda: T0, findings)
    request: CRMRequest | None = next(look)
    while request is not None:
        answer = signed if request.stamp is not None else unsigned
        try:
            request = look.send(answer)
        except StopIteration:
            request = None
    return [(finding.level, finding.words) for finding in findings.found]


def test_look() -> None:
    """A receiver that takes a signed ping and no other is well."""
    assert looked(OK, Reply(status=401)) == [(Level.OK, f"{URL} answers a signed ping")]


@pytest.mark.parametrize(
    ("answer", "words"),
    [(Reply(status=403), "refuses the signature"), (GONE, "connection refused"), (Reply(status=404), "HTTP 404")],
)
def test_look_at_what_does_not_work(answer: Reply | NoReply, words: str) -> None:
    """Why it does not is said in words."""
    ((level, found),) = looked(answer, OK)
    assert level is Level.PROBLEM
    assert words in found


def test_look_at_what_checks_no_signature() -> None:
    """A receiver that takes anything, as a page for people would, is warned of."""
    assert looked(OK, OK)[1] == (
        Level.WARNING,
        "it takes a ping without a signature: its receiver checks none, or another server answers",
    )


def test_described() -> None:
    """What is configured, in words, without the secret; the host for messages."""
    assert [*webhook().describe(T0)] == [f"Webhook: signed JSON is posted to {URL}"]
    assert webhook().host == "crm.example"


def test_warnings() -> None:
    """An address that can be read on the way, and a secret that stands in the dialplan."""
    plain = WebhookSettings(url="http://crm.example/", secret=SECRET).crm(Surroundings())
    warnings = partial(plain.warnings, asks_for_owner=True)
    assert [*warnings(route_secret="")] == ["[webhook] url is not encrypted: telephone numbers can be read on the way"]
    assert [*webhook().warnings(asks_for_owner=False, route_secret=SECRET)] == [
        "[route] secret is that of [webhook]; it stands in the dialplan, so it should be another one"
    ]


# -- the configuration ------------------------------------------------------------------------------------------------

TABLE = f'\n[webhook]\nurl = "{URL}"\nsecret = "{SECRET}"\n'


def test_configuration(tmp_path: Path) -> None:
    """``[webhook]`` in place of ``[vtiger]`` is a whole configuration; links to recordings may be long."""
    public_url = "https://pbx.example/" + "x" * 1900
    config = loaded(tmp_path, PBX + TABLE + f'[http]\npublic_url = "{public_url}"\n')
    assert isinstance(config.crm, Webhook)
    assert config.crm.settings == WebhookSettings(url=URL, secret=SECRET)
    assert config.crm.surroundings.public_url == public_url
    assert config.crm.surroundings.is_extension("101")


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (TABLE.replace(SECRET, "short-s3cret"), "c.toml:9: [webhook] secret: expected 16 characters or more"),
        (TABLE.replace(f'secret = "{SECRET}"\n', ""), "[webhook] secret: expected either secret or secret_file"),
        (TABLE.replace(f'url = "{URL}"\n', ""), "[webhook] url: "),
        (TABLE + 'flavour = "stock"\n', "c.toml:10: [webhook] flavour: is not known; known are secret, secret_file"),
    ],
)
def test_mistakes(tmp_path: Path, table: str, said: str) -> None:
    """Each is reported with file, line and key."""
    (problem,) = problems(tmp_path, PBX + table)
    assert said in problem


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        *((url, url) for url in ("crm.example/calls", "ftp://crm.example/", "http://", "http://[::1")),
        *((url, url) for url in ("http://crm:port/", "http://crm:0/", "http://crm.example/a b", "http://имя.рф/")),
        ("http://me:hunter2@crm.example/", "http://***@crm.example/"),
        ("http://me:hunt/er2@crm.example/", "http://***@crm.example/"),
    ],
)
def test_addresses_to_which_nothing_can_be_posted(tmp_path: Path, url: str, shown: str) -> None:
    """Refused when the configuration is read, with an example of a right one, and without a password."""
    (problem,) = problems(tmp_path, PBX + TABLE.replace(URL, url))
    assert problem == (
        f"c.toml:8: [webhook] url: {shown!r} is no address to post to; expected something like "
        "https://crm.example/calls"
    )
