"""Questions to the CRM while callers wait: a real server on loopback, in real time."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio

from tests.fake_vtiger import Answer, Behaviour, Drip, FakeVtiger, Flood, ResetRead, ResetUnread, Silence, fake_vtiger
from uac_trio.crm.protocol import Surroundings
from uac_trio.crm.responsible import Finding, Responsible, ResponsibleRules
from uac_trio.crm.vtiger import VtigerSettings
from uac_trio.sender import lookup
from uac_trio.sender.breaker import SenderSettings
from uac_trio.sender.lookup import Lookup, open_lookup

KNOWN = {"+79161234567": "101", "84951234567": "102"}
OWNED = Responsible(finding=Finding.OWNED, extension="101")


def spagi(extension: str | None, delay: float = 0.0) -> Answer:
    body = json.dumps({"success": True, "result": {"crmUserExtension": extension}})
    return Answer(body=body, content_type="text/json; charset=UTF-8", delay=delay)


def by_number(form: Mapping[str, str]) -> Behaviour:
    return spagi(KNOWN.get(form["callerNumber"]))


def is_extension(number: str) -> bool:
    return re.fullmatch(r"\d{2,5}", number) is not None


@asynccontextmanager
async def asking(crm: FakeVtiger, **rules: Any) -> AsyncIterator[Lookup]:
    around = Surroundings(is_extension=is_extension, owner_url=rules.get("url", ""))
    vtiger = VtigerSettings(url=crm.url, secret="crm-secret").crm(around)
    async with open_lookup(vtiger, ResponsibleRules(**rules), SenderSettings(), now=lambda: 0.0) as made:
        yield made


async def test_question() -> None:
    """It goes to SPAgi.php beside the callback, with secret and number, and comes back with the extension."""
    async with fake_vtiger(by_number) as crm, asking(crm) as made:
        assert await made.ask("+7 (916) 1234567", 1) == OWNED
        (seen,) = crm.seen
        assert seen.target == "/modules/PBXManager/callbacks/SPAgi.php"
        assert seen.form == {"vtigersignature": "crm-secret", "callerNumber": "+79161234567"}


async def test_configured_address() -> None:
    """The script may be elsewhere."""
    async with fake_vtiger(by_number) as crm, asking(crm, url=f"http://127.0.0.1:{crm.port}/agi.php") as made:
        assert (await made.ask("84951234567", 1)).extension == "102"
        assert crm.seen[0].target == "/agi.php"


async def test_hidden_numbers_and_extensions_are_not_looked_up() -> None:
    """No request is made for hidden numbers and for employees."""
    async with fake_vtiger(by_number) as crm, asking(crm) as made:
        assert [(await made.ask(number, 1)).finding for number in ("", "unknown", "101", "x' or 1")] == [
            Finding.NO_OWNER
        ] * 4
        assert crm.seen == []


async def test_answers_are_kept_for_their_time() -> None:
    """An extension and "no owner" alike are cached for cache_seconds; then the CRM is asked again."""
    async with fake_vtiger(by_number) as crm, asking(crm, cache_seconds=0.25) as made:
        for number in ("+79161234567", "79990001122", "+79161234567", "79990001122"):
            await made.ask(number, 1)
        assert len(crm.seen) == 2
        await trio.sleep(0.26)
        assert await made.ask("+79161234567", 1) == OWNED
        assert len(crm.seen) == 3


async def test_cache_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest answer goes first."""
    monkeypatch.setattr(lookup, "MOST_KEPT", 2)
    async with fake_vtiger(by_number) as crm, asking(crm) as made:
        for number in ("79990000001", "79990000002", "79990000003", "79990000002", "79990000001"):
            await made.ask(number, 1)
        assert [seen.form["callerNumber"][-1] for seen in crm.seen] == ["1", "2", "3", "1"]


async def test_same_number_at_once_is_one_question() -> None:
    """Ten calls of one number at the same time make one request, and all get its answer."""
    answers: list[Responsible] = []
    async with fake_vtiger(lambda _: spagi("101", 0.05)) as crm, asking(crm) as made:

        async def one() -> None:
            answers.append(await made.ask("+79161234567", 1))

        async with trio.open_nursery() as callers:
            for _ in range(10):
                callers.start_soon(one)
        assert answers == [OWNED] * 10
        assert len(crm.seen) == 1


async def test_questions_take_turns() -> None:
    """Many callers at once: two requests on the wire at a time, all are answered."""
    answers: list[Responsible] = []
    async with fake_vtiger(lambda _: spagi("101", 0.01)) as crm, asking(crm) as made:

        async def one(number: int) -> None:
            answers.append(await made.ask(f"7916000{number:04}", 2))

        async with trio.open_nursery() as callers:
            for number in range(20):
                callers.start_soon(one, number)
        assert answers == [OWNED] * 20
        assert crm.most_at_once == lookup.AT_ONCE


async def test_too_many_questions(monkeypatch: pytest.MonkeyPatch) -> None:
    """What can no longer be asked in time is answered at once, and says why."""
    monkeypatch.setattr(lookup, "MOST_WAITING", 2)
    answers: list[Responsible] = []
    async with fake_vtiger(lambda _: spagi("101", 0.05)) as crm, asking(crm) as made:

        async def one(number: int) -> None:
            answers.append(await made.ask(f"7916000{number:04}", 2))

        async with trio.open_nursery() as callers:
            for number in range(3):
                callers.start_soon(one, number)
        assert [answer.finding for answer in answers] == [Finding.FAILED, Finding.OWNED, Finding.OWNED]
        assert "too many" in answers[0].reason


async def test_deadline_holds_and_the_crm_is_left_alone(logged: list[Mapping[str, object]]) -> None:
    """A CRM that never answers costs the first caller its deadline; the next ones are answered at once, unasked."""
    async with fake_vtiger(lambda _: Silence()) as crm, asking(crm) as made:
        with trio.fail_after(1):
            answer = await made.ask("+79161234567", 0.1)
        assert (answer.finding, answer.reason) == (Finding.FAILED, "no answer of the CRM within 0.1 s")
        with trio.fail_after(1):
            for number in ("+79161234567", "84951234567"):
                answer = await made.ask(number, 30)
                assert (answer.finding, answer.extension) == (Finding.AWAY, "")
                assert "left alone" in answer.reason
        assert len(crm.seen) == 1
        assert made.trouble
    assert [entry["event"] for entry in logged] == ["route.crm_away"]


async def test_late_answer_is_for_the_next_call() -> None:
    """What comes after the deadline is kept: the caller who tries again gets it, though the CRM is left alone."""
    async with fake_vtiger(lambda _: spagi("101", 0.1)) as crm, asking(crm, deadline_seconds=0.05) as made:
        assert (await made.ask("+79161234567", 0.05)).finding is Finding.FAILED
        with trio.fail_after(2):
            while await made.ask("+79161234567", 0.05) != OWNED:  # noqa: ASYNC110
                await trio.sleep(0.01)
        assert made.trouble
        assert len(crm.seen) == 1


async def test_one_question_tries_a_crm_that_was_away(
    monkeypatch: pytest.MonkeyPatch, logged: list[Mapping[str, object]]
) -> None:
    """After the pause one caller tries; an answer in time ends the trouble."""
    monkeypatch.setattr(lookup, "LEFT_ALONE", 0.05)
    script: list[Behaviour] = [ResetRead(), spagi("101", 0.15), spagi("102")]
    answers: dict[str, Responsible] = {}
    async with fake_vtiger(lambda _: script.pop(0)) as crm, asking(crm) as made:
        assert (await made.ask("79160000001", 1)).finding is Finding.AWAY
        await trio.sleep(0.06)

        async def one(number: str) -> None:
            answers[number] = await made.ask(number, 1)

        async with trio.open_nursery() as callers:
            callers.start_soon(one, "79160000001")
            await trio.sleep(0.02)
            callers.start_soon(one, "79160000002")
        assert [answers[number].finding for number in sorted(answers)] == [Finding.OWNED, Finding.AWAY]
        assert made.trouble == ""
        assert (await made.ask("79160000002", 1)).extension == "102"
        assert len(crm.seen) == 3
    assert [entry["event"] for entry in logged] == ["route.crm_away", "route.crm_back"]


@pytest.mark.parametrize(
    ("behaviour", "finding"),
    [
        (ResetUnread(), Finding.AWAY),
        (ResetRead(), Finding.AWAY),
        (Flood(), Finding.AWAY),
        (Answer(body="<html>login"), Finding.AWAY),
        (Answer(status=404), Finding.AWAY),
        (Answer(status=302, location="http://127.0.0.1:1/"), Finding.AWAY),
        (Answer(status=500), Finding.FAILED),
        (Answer(), Finding.FAILED),
        (Drip(), Finding.FAILED),
    ],
    ids=str,
)
async def test_nonsense(behaviour: Behaviour, finding: Finding) -> None:
    """Any other answer gives no extension and a reason, in time. A failure at one number is no trouble of the CRM."""
    async with fake_vtiger(lambda _: behaviour) as crm, asking(crm) as made:
        with trio.fail_after(1):
            answer = await made.ask("+79161234567", 0.2)
        assert (answer.finding, answer.extension) == (finding, "")
        assert answer.reason
        assert bool(made.trouble) == (finding is Finding.AWAY or isinstance(behaviour, Drip))


async def test_crm_that_is_not_there() -> None:
    """A refused connection is returned at once, with the address."""
    crm = FakeVtiger(port=9)
    async with asking(crm) as made:
        answer = await made.ask("+79161234567", 1)
    assert answer.finding is Finding.AWAY
    assert "127.0.0.1:9" in answer.reason


async def test_failures_are_not_kept() -> None:
    """A PHP failure at one number is asked again by its next call."""
    script: list[Behaviour] = [Answer(status=500), spagi("101")]
    async with fake_vtiger(lambda _: script.pop(0)) as crm, asking(crm) as made:
        assert (await made.ask("+79161234567", 1)).finding is Finding.FAILED
        assert await made.ask("+79161234567", 1) == OWNED


async def test_caller_who_hangs_up() -> None:
    """A caller who is gone while waiting takes nothing along: the others on the same question get the answer."""
    answers: list[Responsible] = []
    async with fake_vtiger(lambda _: spagi("101", 0.05)) as crm, asking(crm) as made:

        async def one() -> None:
            answers.append(await made.ask("+79161234567", 1))

        async with trio.open_nursery() as callers:
            callers.start_soon(one)
            with trio.move_on_after(0.02):
                await made.ask("+79161234567", 1)
        assert answers == [OWNED]
        assert len(crm.seen) == 1


async def test_end_in_the_middle_of_a_question(logged: list[Mapping[str, object]]) -> None:
    """Leaving the block ends the request; a caller who still waits gets FAILED at once, and the CRM is not blamed."""
    answers: list[Responsible] = []
    async with fake_vtiger(lambda _: Silence()) as crm, trio.open_nursery() as callers:
        async with asking(crm) as made:

            async def one() -> None:
                answers.append(await made.ask("+79161234567", 30))

            callers.start_soon(one)
            await crm.until(lambda: len(crm.seen) == 1)
        await crm.until(lambda: bool(answers))
    assert answers == [Responsible(finding=Finding.FAILED, reason="the connector is being stopped")]
    assert logged == []


@pytest.mark.parametrize("within", [0.0, -0.0004])
async def test_no_time_left(within: float) -> None:
    """A lookup without time left fails at once, and is no trouble of the CRM."""
    async with fake_vtiger(lambda _: spagi("101", 0.05)) as crm, asking(crm) as made:
        assert (await made.ask("+79161234567", within)).finding is Finding.FAILED
        assert made.trouble == ""
