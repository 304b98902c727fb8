"""Lines that look like employees: trunks named by digits, addresses, short caller ids; and what rings too early."""

from __future__ import annotations

import pytest

from tests.calls.wire import CUSTOMER, DID, Chan, Office, Wire
from uac_trio.calls.rules import TrackerRules

LINES = [
    pytest.param("SIP/33915", "from-trunk-sip-33915", id="digits, context of a trunk"),
    pytest.param("SIP/33915", "in-megafon", id="digits, context of a provider"),
    pytest.param("PJSIP/33915", "default", id="digits, any context"),
    pytest.param("SIP/195.34.36.130", "default", id="address of a guest"),
    pytest.param("SIP/195.34.36.130:5060", "default", id="address with a port"),
    pytest.param("PJSIP/2001:db8::1", "default", id="IPv6 address"),
    pytest.param("OOH323/127.0.0.1", "default", id="H.323 without a peer"),
    pytest.param("SIP/78-mango", "default", id="provider named 78-..."),
    pytest.param("SIP/800-mts", "default", id="provider named 800-..."),
    pytest.param("SIP/7.provider.example", "default", id="host that begins with a digit"),
    pytest.param("DAHDI/101-1", "from-pstn", id="a port numbered like an extension"),
    pytest.param("PJSIP/provider", "from-trunk", id="an everyday trunk"),
]


def incoming(wire: Wire, trunk: str, context: str, number: str = CUSTOMER) -> tuple[Chan, Chan]:
    """A call that rings at 101's phone."""
    customer = wire.channel(trunk, number, state=4, context=context, exten=DID)
    phone = wire.dial(customer, wire.phone("101", customer))
    wire.rings(phone)
    wire.wait(2.0)
    return customer, phone


def talks(wire: Wire, caller: Chan, dialled: Chan) -> None:
    wire.answers(caller, dialled)
    wire.wait(5.0)
    wire.talk_ends(caller, dialled)


@pytest.mark.parametrize("calls", [1, 3])
@pytest.mark.parametrize(("trunk", "context"), LINES)
def test_an_incoming_call(office: Office, trunk: str, context: str, calls: int) -> None:
    """From the first on: the customer's number is an outside number, and an employee's phone rings."""
    wire = office.wire(TrackerRules(internal="report"))
    numbers = [CUSTOMER, "+79167778899", "+79165550000"][:calls]
    for number in numbers:
        talks(wire, *incoming(wire, trunk, context, number))
        wire.wait(60.0)
    story = wire.story()
    assert [(call["direction"], call["customer"], call["did"], call["answered_by"]) for call in story.calls] == [
        ("inbound", number, DID, "101") for number in numbers
    ]
    assert story.began == [("101", "callee", number) for number in numbers]


@pytest.mark.parametrize(("trunk", "context"), [line for line in LINES if "digits, any" not in str(line.id)])
def test_an_anonymous_call(office: Office, trunk: str, context: str) -> None:
    """No number to go by. Of a provider named 78-... in a context of any name, an earlier call has to have shown it."""
    wire = office.wire(TrackerRules(internal="report"))
    if trunk in ("SIP/78-mango", "SIP/800-mts"):
        talks(wire, *incoming(wire, trunk, context))
    talks(wire, *incoming(wire, trunk, context, ""))
    call = wire.story().calls[-1]
    assert (call["direction"], call["customer"], call["did"], call["answered_by"]) == ("inbound", None, DID, "101")


@pytest.mark.parametrize("dialled", ["{name}/{number}", "{number}@{name}", "{name}/sip:{number}@127.0.0.1:5060"])
@pytest.mark.parametrize(("trunk", "context"), LINES)
def test_an_outgoing_call(office: Office, trunk: str, context: str, dialled: str) -> None:
    """An outside number in the DialString makes it a line, whatever it is called."""
    wire = office.wire(TrackerRules(internal="report"))
    caller = wire.channel("PJSIP/101", "101", state=4, exten=CUSTOMER)
    line = wire.channel(trunk, context=context, of=caller)
    string = dialled.format(name=trunk.partition("/")[2], number=CUSTOMER)
    wire.dial(caller, line, string)
    wire.rings(line)
    wire.wait(2.0)
    talks(wire, caller, line)
    story = wire.story()
    story.shows(
        direction="outbound", customer=CUSTOMER, rang=[CUSTOMER], answered_by=CUSTOMER, parts={"101": "completed"}
    )
    assert story.began == [("101", "caller", CUSTOMER)]


@pytest.mark.parametrize(("number", "context"), [("900", "in-megafon"), ("0611", "from-pstn"), ("102", "from-trunk")])
def test_a_short_caller_id_of_a_line(office: Office, number: str, context: str) -> None:
    """A bank's 900 is no employee, nor is a number that a colleague has too."""
    wire = office.wire(TrackerRules(internal="report"))
    talks(wire, *incoming(wire, "PJSIP/megafon", context, number))
    story = wire.story()
    story.shows(direction="inbound", customer=number, status="completed", answered_by="101")


def test_a_short_caller_id_of_a_line_known_by_its_calls(office: Office) -> None:
    """No name of the context helps: the endpoint had outside callers before."""
    wire = office.wire(TrackerRules(internal="report"))
    for number in (CUSTOMER, "900"):
        talks(wire, *incoming(wire, "PJSIP/gate", "default", number))
    directions = [(call["direction"], call["customer"]) for call in wire.story().calls]
    assert directions == [("inbound", CUSTOMER), ("inbound", "900")]


@pytest.mark.parametrize(
    ("endpoint", "number"),
    [
        *[("PJSIP/101", number) for number in ("101", "4951000101", "")],
        *[(endpoint, number) for endpoint in ("SIP/101_2", "PJSIP/101-mobile") for number in ("101", "")],
    ],
)
def test_an_employees_device_stays_one(office: Office, endpoint: str, number: str) -> None:
    """It calls out with its extension, with the company's number, or with none."""
    wire = office.wire()
    for customer in (CUSTOMER, "+79167778899"):
        caller = wire.channel(endpoint, number, state=4, exten=customer)
        line = wire.dials_out(caller, customer)
        wire.rings(line)
        wire.wait(2.0)
        talks(wire, caller, line)
        wire.wait(60.0)
    story = wire.story()
    assert story.began == [("101", "caller", CUSTOMER), ("101", "caller", "+79167778899")]


def test_an_employee_who_calls_a_colleague_by_the_outside_number(office: Office) -> None:
    """101 shows the company's number and dials a colleague's DID: an inbound call to the colleague at most; the next
    call of 101 is theirs as ever."""
    wire = office.wire()
    caller = wire.channel("PJSIP/101", "4951000101", state=4, exten="4951000102")
    phone = wire.dial(caller, wire.phone("102", caller))
    wire.rings(phone)
    talks(wire, caller, phone)
    wire.wait(60.0)
    caller = wire.channel("PJSIP/101", "4951000101", state=4, exten=CUSTOMER)
    line = wire.dials_out(caller)
    wire.rings(line)
    talks(wire, caller, line)
    assert wire.story().began[-1] == ("101", "caller", CUSTOMER)


# ---- IAX2: the line rings before its DialBegin, with the dialled digits as its CallerID


@pytest.mark.parametrize("prefix", ["3", ""])
@pytest.mark.parametrize("end", ["talk", "busy", "cancelled"])
def test_a_line_that_rings_before_its_dial_begins(office: Office, prefix: str, end: str) -> None:
    """The popup waits for the number in the DialString: what the employee dialled may have a prefix."""
    wire = office.wire()
    caller = wire.channel("SIP/101", "101", state=4, exten=f"{prefix}{CUSTOMER}")
    wire.shows(caller, "4951000101")
    line = wire.channel("IAX2/provider", context="default", of=caller)
    wire.shows(line, f"{prefix}{CUSTOMER}", "4951000101")
    wire.rings(line)
    assert wire.so_far.began == []
    wire.dial(caller, line, f"provider/{CUSTOMER}")
    assert wire.so_far.began == [("101", "caller", CUSTOMER)]
    wire.wait(3.0)
    if end == "talk":
        talks(wire, caller, line)
    elif end == "busy":
        wire.ask_hangup(line, 17)
        wire.gives_up(caller, line, status="BUSY", cause=17)
        wire.hang_up(caller, cause=17)
    else:
        wire.ask_hangup(caller)
        wire.gives_up(caller, line)
        wire.hang_up(caller)
    story = wire.story()
    status = {"talk": "completed"}.get(end, end)
    story.shows(
        direction="outbound", customer=CUSTOMER, rang=[CUSTOMER], status=status, parts={"101": status},
        ring_secs=3.0, answered_by=CUSTOMER if end == "talk" else None,
    )  # fmt: skip
    assert story.began == [("101", "caller", CUSTOMER)]


@pytest.mark.parametrize("trunk", ["IAX2/provider", "IAX2/2001"])
def test_a_phone_over_iax2(office: Office, trunk: str) -> None:
    """A phone rings before its DialBegin, too; its CallerID is its own, or the dialled digits, or a friend's name."""
    wire = office.wire(TrackerRules(internal="report", devices={"provider": "2001"}))
    customer = wire.calls_in()
    phone = wire.channel(trunk, context="default", of=customer)
    wire.shows(phone, "2001", CUSTOMER)
    wire.rings(phone)
    wire.dial(customer, phone, f"{trunk.partition('/')[2]}/2001")
    wire.wait(2.0)
    talks(wire, customer, phone)
    story = wire.story()
    story.shows(direction="inbound", customer=CUSTOMER, rang=["2001"], parts={"2001": "completed"}, ring_secs=2.0)
