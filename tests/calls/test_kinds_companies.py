"""Several companies on one PBX: another's calls are none of ours, and get no owner; each phone has a reason."""

from __future__ import annotations

import pytest

from tests.calls.wire import CUSTOMER, DID, OTHER_CUSTOMER, Chan, Office, Story, Wire
from uac_trio.calls.fact import CallEnded, Fact, NotAnEmployee
from uac_trio.calls.rules import TrackerRules

OUR_DID, THEIR_DID = DID, "4951000200"
OURS, THEIRS = "t1", "t2"

RULES = [
    pytest.param({"only_endpoints": "^t1_"}, id="endpoints"),
    pytest.param({"only_contexts": "^t1-"}, id="contexts"),
    pytest.param({"only_tenants": ["t1"]}, id="tenants"),
    pytest.param({"only_endpoints": "^t1_", "only_dids": [OUR_DID]}, id="endpoints and dids"),
    pytest.param({"only_contexts": "^t1-", "only_dids": [OUR_DID]}, id="contexts and dids"),
    pytest.param({"only_tenants": ["t1"], "only_dids": [OUR_DID]}, id="tenants and dids"),
]
EVERYWHERE = {"internal": "report", "unreached": "109"}


def rules(more: dict[str, object]) -> TrackerRules:
    return TrackerRules(**{**EVERYWHERE, **more})  # type: ignore[arg-type]


def device(wire: Wire, company: str, extension: str, of: Chan | None = None, **more: object) -> Chan:
    """A phone of a company: both have a 101."""
    state, exten = (4, str(more["calls"])) if "calls" in more else (0, "s")
    return wire.channel(
        f"PJSIP/{company}_{extension}", extension, state=state, context=f"{company}-internal", exten=exten, of=of,
        tenant=company,
    )  # fmt: skip


def line(wire: Wire, company: str, number: str = CUSTOMER) -> Chan:
    did = OUR_DID if company == OURS else THEIR_DID
    return wire.channel("PJSIP/trunk", number, state=4, context="from-trunk", exten=did, tenant=company)


def shown_of_others(story: Story) -> set[type[Fact]]:
    """Kinds of facts about calls that were not reported."""
    reported = {fact.call_id for fact in story.facts if isinstance(fact, CallEnded)}
    return {type(fact) for fact in story.facts if fact.call_id not in reported}


def talks(wire: Wire, caller: Chan, dialled: Chan) -> None:
    wire.rings(dialled)
    wire.wait(2.0)
    wire.answers(caller, dialled)
    wire.wait(5.0)
    wire.talk_ends(caller, dialled)
    wire.wait(60.0)


@pytest.mark.parametrize("more", RULES)
def test_incoming_calls(office: Office, more: dict[str, object]) -> None:
    """Both 101s are called; only ours has a row, and why the other has none is a fact."""
    wire = office.wire(rules(more))
    for company, number in ((THEIRS, OTHER_CUSTOMER), (OURS, CUSTOMER)):
        customer = line(wire, company, number)
        talks(wire, customer, wire.dial(customer, device(wire, company, "101", customer), "101"))
    story = wire.story()
    story.shows(direction="inbound", customer=CUSTOMER, status="completed", answered_by="101")
    assert story.began == [("101", "callee", CUSTOMER)]
    assert shown_of_others(story) == {NotAnEmployee}
    (because,) = story.not_employees
    assert because.startswith("PJSIP/t2_101-")
    assert because.endswith("rang: no employee, since [calls] only_... leaves it to another company of this PBX")


@pytest.mark.parametrize("more", RULES)
@pytest.mark.parametrize("end", ["customer leaves", "busy", "no answer"])
def test_incoming_calls_that_are_missed(office: Office, more: dict[str, object], end: str) -> None:
    """Another company's missed call is not ours to own."""
    wire = office.wire(rules(more))
    for company, number in ((THEIRS, OTHER_CUSTOMER), (OURS, CUSTOMER)):
        customer = line(wire, company, number)
        phone = wire.dial(customer, device(wire, company, "101", customer), "101")
        if end == "busy":
            wire.ask_hangup(phone, 17)
            wire.gives_up(customer, phone, status="BUSY", cause=17)
        else:
            wire.rings(phone)
            wire.wait(9.0)
            if end == "customer leaves":
                wire.ask_hangup(customer)
            wire.gives_up(customer, phone, status="CANCEL" if end == "customer leaves" else "NOANSWER")
        wire.hang_up(customer)
        wire.wait(60.0)
    story = wire.story()
    assert [call["customer"] for call in story.calls] == [CUSTOMER]
    assert story.began == [("101", "callee", CUSTOMER)]


@pytest.mark.parametrize("more", RULES)
def test_outgoing_calls(office: Office, more: dict[str, object]) -> None:
    wire = office.wire(rules(more))
    for company, number in ((THEIRS, OTHER_CUSTOMER), (OURS, CUSTOMER)):
        caller = device(wire, company, "101", calls=number)
        talks(wire, caller, wire.dials_out(caller, number))
    story = wire.story()
    story.shows(direction="outbound", customer=CUSTOMER, caller="101", parts={"101": "completed"})
    assert story.began == [("101", "caller", CUSTOMER)]


@pytest.mark.parametrize("more", RULES)
def test_calls_between_colleagues(office: Office, more: dict[str, object]) -> None:
    wire = office.wire(rules(more))
    for company in (THEIRS, OURS):
        caller = device(wire, company, "101", calls="102")
        talks(wire, caller, wire.dial(caller, device(wire, company, "102", caller), "102"))
    story = wire.story()
    story.shows(direction="internal", caller="101", called="102")
    assert sorted(story.began) == [("101", "caller", "102"), ("102", "callee", "101")]


@pytest.mark.parametrize("more", [each for each in RULES if "did" in str(each.id) or each.id == "tenants"])
@pytest.mark.parametrize("is_queue", [True, False])
def test_incoming_calls_for_which_no_phone_rings(office: Office, more: dict[str, object], is_queue: bool) -> None:
    """An IVR or an empty queue: the number that was dialled, or the line's tenant, shows whose call it is."""
    wire = office.wire(rules(more))
    for company, number in ((THEIRS, OTHER_CUSTOMER), (OURS, CUSTOMER)):
        customer = line(wire, company, number)
        wire.up(customer)
        if is_queue:
            wire.joins_queue(customer, f"{company}-support")
        wire.wait(9.0)
        wire.ask_hangup(customer)
        wire.hang_up(customer)
        wire.wait(60.0)
    story = wire.story()
    assert [call["customer"] for call in story.calls] == [CUSTOMER]
    assert story.began == [("109", "callee", CUSTOMER)]
    assert shown_of_others(story) == set()


@pytest.mark.parametrize("more", RULES)
def test_a_call_that_another_company_transfers(office: Office, more: dict[str, object]) -> None:
    """Nor is anything of its transfers ours."""
    wire = office.wire(rules(more))
    customer = line(wire, THEIRS)
    phone = wire.dial(customer, device(wire, THEIRS, "101", customer), "101")
    wire.rings(phone)
    wire.answers(customer, phone)
    wire.wait(5.0)
    parties = phone.headers("Transferer"), customer.headers("Transferee")
    wire.emit("BlindTransfer", {"Result": "Success", "Extension": "102"}, *parties)
    wire.leave(customer, phone)
    wire.hang_up(phone)
    talks(wire, customer, wire.dial(customer, device(wire, THEIRS, "102", customer), "102"))
    assert {type(fact) for fact in wire.story().facts} == {NotAnEmployee}


@pytest.mark.parametrize("more", RULES)
def test_a_queue_that_rings_in_vain_for_another_company(office: Office, more: dict[str, object]) -> None:
    wire = office.wire(rules(more))
    customer = line(wire, THEIRS)
    wire.joins_queue(customer)
    for _ in range(2):
        phone = device(wire, THEIRS, "101", customer)
        wire.dial(customer, phone, "PJSIP/t2_101")
        wire.rings(phone)
        wire.wait(9.0)
        wire.gives_up(customer, phone, status="NOANSWER")
    wire.ask_hangup(customer)
    wire.leaves_queue(customer)
    wire.hang_up(customer)
    story = wire.story()
    assert {type(fact) for fact in story.facts} == {NotAnEmployee}


def test_a_customer_who_calls_both_companies(office: Office) -> None:
    """Their receptionist transfers the caller to us: our row is ours from the moment our phone rings."""
    wire = office.wire(rules({"only_endpoints": "^t1_"}))
    customer = line(wire, THEIRS)
    phone = wire.dial(customer, device(wire, THEIRS, "101", customer), "101")
    wire.rings(phone)
    wire.answers(customer, phone)
    wire.wait(5.0)
    wire.leave(customer, phone)
    wire.hang_up(phone)
    talks(wire, customer, wire.dial(customer, device(wire, OURS, "102", customer), "102"))
    story = wire.story()
    assert story.began == [("102", "callee", CUSTOMER)]
    assert story.ended == [("102", "completed")]


# ---- a phone that rings and is no employee's, and why


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"extensions": ["200"]}, "neither its CallerID nor its name matches [calls] extensions"),
        ({"only_endpoints": "^t1_"}, "[calls] only_... leaves it to another company of this PBX"),
        ({"only_contexts": "^t1-"}, "[calls] only_... leaves it to another company of this PBX"),
    ],
)
def test_why_a_phone_is_no_employees(office: Office, more: dict[str, object], why: str) -> None:
    """It rang, so a row was to be expected."""
    wire = office.wire(TrackerRules(**more))  # type: ignore[arg-type]
    customer = wire.calls_in()
    talks(wire, customer, wire.dial(customer, wire.phone("101", customer)))
    (because,) = wire.story().not_employees
    assert because.startswith("PJSIP/101-")
    assert because.endswith(f"rang: no employee, since {why}")


def test_a_line_that_rings_needs_no_reason(office: Office) -> None:
    """A trunk is no employee's phone, and no reason is given."""
    wire = office.wire(TrackerRules(trunks=["trunk"]))
    caller = wire.channel("PJSIP/101", "101", state=4, exten=CUSTOMER)
    talks(wire, caller, wire.dials_out(caller))
    customer = wire.calls_in()
    talks(wire, customer, wire.dials_out(customer, "89260000001"))
    assert wire.story().not_employees == []
