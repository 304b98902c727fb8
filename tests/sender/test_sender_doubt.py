"""Answers that are not believed by themselves: the sender asks once more before it blames the secret or a request."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import attrs
import pytest
import trio

from tests.fake_vtiger import FAILURE, Answer, Behaviour, Silence
from tests.sender.bench import NAMES, QUICK, SECRET, a_call, bench, events, in_turn
from uac_trio.crm.delivery import Kind

BEGIN = [Kind.BEGIN]
PATIENT = attrs.evolve(QUICK, retry_max=60.0)
"""A wrong secret is looked at again after a long time, a CRM that is away after a short one."""


@attrs.define
class Vtiger:
    """A vTiger whose database may be away, as the real ones answer then."""

    broken: Behaviour | None = None
    """What a request with our secret is answered instead; None: it works."""
    probe: Behaviour = FAILURE
    unsigned: Behaviour = FAILURE

    def __call__(self, form: Mapping[str, str]) -> Behaviour:
        match form.get("vtigersignature"):
            case None:
                return self.unsigned
            case "uac-trio-is-anybody-there":
                return self.probe
            case signature:
                assert signature == SECRET
                return self.broken or Answer()


UNKNOWN = Answer(body="Error: cannot connect to the database")

OUTAGES: dict[str, tuple[Callable[[], Vtiger], str]] = {
    # SalesPlatform keeps its secret there, compares nothing with nothing, and passes over the unknown step.
    "the database of a SalesPlatform is away": (
        lambda: Vtiger(broken=FAILURE, unsigned=Answer()),
        "its database is away, or no secret key is set",
    ),
    "a text at every request": (lambda: Vtiger(broken=UNKNOWN, probe=UNKNOWN), "unknown text"),
    "a text at what touches rows, and nothing to the probe": (
        lambda: Vtiger(broken=UNKNOWN, probe=Silence()),
        "unknown text",
    ),
}


@pytest.mark.parametrize(("make", "words"), OUTAGES.values(), ids=OUTAGES)
async def test_outage(
    tmp_path: Path, logged: list[Mapping[str, object]], make: Callable[[], Vtiger], words: str
) -> None:
    """An outage is logged once, nothing is parked however long it lasts, and all is sent within away_max of its end."""
    vtiger = make()
    async with bench(tmp_path, vtiger, PATIENT) as b:
        await b.put(a_call("1"))
        assert words in await b.troubled()
        await b.crm.until(lambda: len(b.crm.steps("main-1")) >= 7)
        assert (await b.outbox.statistics()).parked == 0
        vtiger.broken = None
        await b.settled(1.0)

    assert b.crm.steps("main-1")[-4:] == NAMES
    assert events(logged) == ["sender.crm_away", "sender.crm_back"]


async def test_a_secret_that_is_really_wrong(tmp_path: Path, logged: list[Mapping[str, object]]) -> None:
    """The probe without a secret is refused as well: a wrong secret is logged as an error, and tried again rarely."""
    vtiger = Vtiger(broken=FAILURE)
    async with bench(tmp_path, vtiger, attrs.evolve(PATIENT, retry_min=60.0)) as b:
        await b.put(a_call("1"), a_call("2"))
        assert "[vtiger] secret differs from the secret key" in await b.troubled()
        seen = [each.form for each in b.crm.seen if not each.call_id]

    assert {"callstatus": "uac-trio-is-anybody-there"} in seen, "the question has no secret and does nothing"
    assert events(logged) == ["sender.auth_failed"]


async def test_the_same_text_to_several_calls(tmp_path: Path) -> None:
    """Though the probe is answered: what touches rows fails as a whole, and no call's tries are used up."""
    vtiger = Vtiger(broken=UNKNOWN)
    async with bench(tmp_path, vtiger) as b:
        await b.put(*(a_call(str(n), BEGIN) for n in range(3)))
        assert "the same unknown text to every call" in await b.troubled()
        await b.crm.until(lambda: sum(bool(each.call_id) for each in b.crm.seen) >= 25)
        assert (await b.outbox.statistics()).parked == 0
        vtiger.broken = None
        await b.settled(1.0)
        statistics = await b.outbox.statistics()

    assert (statistics.delivered, statistics.parked) == (3, 0)


async def test_a_text_to_one_call_of_a_crm_that_works(tmp_path: Path) -> None:
    """It is repeated, and parked in the end; other calls go on."""

    def script(form: Mapping[str, str]) -> Behaviour:
        if form.get("vtigersignature") != SECRET:
            return FAILURE
        return UNKNOWN if form["callUUID"] == "main-bad" else Answer()

    async with bench(tmp_path, script) as b:
        await b.put(a_call("bad", BEGIN), a_call("good"))
        await b.settled()
        (parked,) = await b.outbox.parked()

    assert b.crm.steps("main-bad") == ["DialBegin"] * 5
    assert b.crm.steps("main-good") == NAMES
    assert parked.reason.startswith("vTiger answered with an unknown text [HTTP 200, 'Error: cannot connect")


FORBIDDEN = Answer(status=403, body="<h1>Forbidden</h1>")


async def test_a_firewall_that_objects_to_one_call(tmp_path: Path, logged: list[Mapping[str, object]]) -> None:
    """Its request is repeated, and parked in the end; other calls wait for nothing."""

    def script(form: Mapping[str, str]) -> Behaviour:
        if form.get("vtigersignature") != SECRET:
            return FAILURE
        return FORBIDDEN if (form["callUUID"], form["callstatus"]) == ("main-bad", "DialBegin") else Answer()

    async with bench(tmp_path, script) as b:
        await b.put(a_call("bad"))
        await b.crm.until(lambda: len(b.crm.steps("main-bad")) >= 2)
        await b.put(a_call("good"))
        await b.settled()
        (parked,) = await b.outbox.parked()

    assert b.crm.steps("main-bad") == ["DialBegin"] * 4 + NAMES
    assert b.crm.steps("main-good") == NAMES
    assert "firewall" in parked.reason
    assert "uac-trio outbox retry" in parked.reason
    assert parked.reason.endswith("[HTTP 403, 'Forbidden']")
    assert not {"sender.crm_misconfigured", "sender.crm_away"} & set(events(logged))


async def test_a_web_server_that_lets_nothing_through(tmp_path: Path, logged: list[Mapping[str, object]]) -> None:
    """The probe neither: everything waits for an administrator, and nothing is parked."""
    vtiger = Vtiger(broken=FORBIDDEN, probe=FORBIDDEN)
    async with bench(tmp_path, vtiger) as b:
        await b.put(a_call("1"), a_call("2"))
        assert "check [vtiger] url and the access rules" in await b.troubled()
        await b.crm.until(lambda: sum(bool(each.call_id) for each in b.crm.seen) >= 15)
        assert (await b.outbox.statistics()).parked == 0
        vtiger.broken = None
        await b.settled()

    assert events(logged)[0] == "sender.crm_misconfigured"
    assert events(logged)[-1] == "sender.crm_back"


async def test_an_address_of_vtiger_that_is_not_its_callback_s(
    tmp_path: Path, logged: list[Mapping[str, object]]
) -> None:
    """``Invalid request`` is what index.php says: the address is wrong, and everything waits for an administrator."""
    async with bench(tmp_path, in_turn(*[Answer(body="Invalid request")] * 3)) as b:
        await b.put(a_call("1"))
        assert "check that [vtiger] url ends in /modules/PBXManager" in await b.troubled()
        await b.settled()

    assert b.crm.steps("main-1") == ["DialBegin"] * 3 + NAMES
    assert set(events(logged)) == {"sender.crm_misconfigured", "sender.crm_back"}


async def test_the_question_is_not_asked_of_what_is_clear(tmp_path: Path) -> None:
    """A good answer, a refusal and an outage need none."""
    refusal = Answer(body="Sorry! Attempt to access restricted file. - x")
    async with bench(tmp_path, in_turn(Answer(), refusal, Answer(status=503), Answer(status=302))) as b:
        await b.put(a_call("1"))
        with trio.fail_after(5):
            await b.settled()

    assert all(each.call_id for each in b.crm.seen)
