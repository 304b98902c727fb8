"""Who called whom."""

from __future__ import annotations

import pytest

from tests.calls.pieces import call, channel, dial, hung_up, line, pair, phone
from uac_trio.calls import direction
from uac_trio.calls.call import Call, ClickOrder, Direction, Orientation, OriginateFailure, Remembered
from uac_trio.calls.channel import Leg
from uac_trio.calls.channel_events import ChannelState
from uac_trio.calls.endpoint import Evidence, Identity
from uac_trio.calls.participation import Role
from uac_trio.calls.rules import TrackerRules

RULES = TrackerRules()
CUSTOMER = "+79161234567"
IN, OUT, INSIDE = Direction.INBOUND, Direction.OUTBOUND, Direction.INTERNAL


def oriented(leg: Leg) -> Orientation:
    return direction.orient(leg.channel.call, leg.channel, RULES)


def incoming(state: int = ChannelState.RING, **more: object) -> Call:
    made = call()
    shown = {"number": CUSTOMER, "caller_name": "Anna", "exten": "4951000101", **more}
    line("1.1", made, state=state, **shown)
    return made


@pytest.mark.parametrize(("state", "found"), [(4, IN), (6, IN), (0, None), (5, None)])
def test_a_line_that_calls(state: int, found: Direction | None) -> None:
    """It begins an incoming call, with its number, its name and the number it dialled."""
    made = incoming(state)
    assert made.source is not None
    now = direction.orient(made, made.source, RULES)
    assert now.direction is found
    if found:
        assert (now.customer, now.customer_name, now.did) == (CUSTOMER, "Anna", "4951000101")


def test_a_line_that_does_not_begin_the_call() -> None:
    """A second line, an originated one, and an employee's channel do not make it incoming."""
    made = incoming()
    other = line("1.2", made, state=4)
    assert direction.orient(made, other, RULES) is made.orientation
    assert made.source is not None
    made.source.is_originated = True
    assert direction.orient(made, made.source, RULES) is made.orientation
    own = call()
    assert direction.orient(own, phone("1.1", "101", own, state=4), RULES).direction is None


def test_an_analogue_line() -> None:
    """It learns the caller's number later; a known one stays."""
    made = incoming(number="")
    made.orientation = Orientation(direction=IN)
    assert made.source is not None
    made.source.view = made.source.view._replace(number=CUSTOMER)
    assert direction.orient(made, made.source, RULES).customer == CUSTOMER
    made.orientation = Orientation(direction=IN, customer="+7")
    assert direction.orient(made, made.source, RULES).customer == "+7"


def test_an_employee_calls_out() -> None:
    """The number is certain with the dialled string, or once the leg is up or over."""
    made = call()
    own = phone("1.1", "101", made, state=4, exten="9" + CUSTOMER)
    leg = dial(own, line("1.2", made))
    leg.number = CUSTOMER
    assert oriented(leg).direction is None
    leg.dial_string = "trunk/" + CUSTOMER
    assert oriented(leg) == Orientation(direction=OUT, operator="101", customer=CUSTOMER)
    leg.dial_string, leg.channel.up_at = "", 2.0
    assert oriented(leg).customer == CUSTOMER
    leg.channel.up_at, leg.ended_at = None, 3.0
    assert oriented(leg).customer == CUSTOMER


def test_an_employee_calls_a_colleague() -> None:
    """What they dialled is the called one, else the colleague's extension."""
    made = call()
    own = phone("1.1", "101", made, exten="102")
    leg = dial(own, phone("1.2", "103", made), "103")
    assert oriented(leg) == Orientation(direction=INSIDE, operator="101", called="102")
    other = call()
    leg = dial(phone("1.1", "101", other, exten="s"), phone("1.2", "103", other), "103")
    assert oriented(leg).called == "103"


def test_a_line_rings_an_employee() -> None:
    """Though its first event showed another state."""
    made = incoming(0)
    leg = dial(made.source, phone("1.2", "101", made), "101")
    assert oriented(leg).direction is IN


def test_a_known_customer_stays() -> None:
    """A second leg changes nothing of a call whose customer is known."""
    made = incoming()
    made.orientation = Orientation(direction=IN, customer=CUSTOMER)
    assert oriented(dial(made.source, line("1.2", made), "+70000000000@trunk")) is made.orientation


def test_the_first_that_was_seen_is_whom_it_called() -> None:
    """The call's beginning was over before we came: the caller of the leg decides."""
    made = call()
    dialled = phone("1.2", "101", made)
    leg = dial(None, dialled, "101")
    assert oriented(leg).direction is None
    leg.caller = line("1.9", call(), number=CUSTOMER)
    assert oriented(leg).direction is IN


def clicked(*, shown: str = CUSTOMER, linkedid: str = "uac-1") -> tuple[Call, Leg]:
    """An Originate for 101 of ours: the phone shows the customer as its connected line."""
    made = call(linkedid)
    own = phone(linkedid, "101", made, connected=shown, number=shown)
    own.is_originated = True
    return made, dial(None, own)


def test_the_leg_of_a_click() -> None:
    """What the employee's phone shows is the customer."""
    made, leg = clicked()
    assert oriented(leg) == Orientation(direction=OUT, customer=CUSTOMER, operator="101")
    _, leg = clicked(shown="102")
    assert oriented(leg).customer == ""
    made.orientation = Orientation(direction=INSIDE, operator="", called="102")
    assert oriented(next(iter(made.legs))).operator == "101"


def test_the_leg_of_another_s_originate() -> None:
    """Its CallerID is the customer until the phone is picked up: then the dialplan sets it."""
    _, leg = clicked(linkedid="1.1")
    leg.channel.view = leg.channel.view._replace(connected="")
    assert oriented(leg).customer == CUSTOMER
    leg.channel.up_at = 2.0
    assert oriented(leg).customer == ""


def test_an_originate_that_calls_the_customer_first() -> None:
    """The number is what was dialled."""
    made = call()
    first = line("1.1", made)
    first.is_originated = True
    leg = dial(None, first)
    leg.number = CUSTOMER
    assert oriented(leg) == Orientation(direction=OUT, customer=CUSTOMER)


@pytest.mark.parametrize(
    ("picked_up", "rang", "operator"), [(None, None, "101"), (None, "102", "102"), ("103", "102", "103")]
)
def test_who_clicked(picked_up: str | None, rang: str | None, operator: str) -> None:
    """Of several phones who picked up, else whose rang first, else the first that was tried."""
    made = call()
    first, second = pair("1.1", "1.2", made)
    first.is_originated = True
    dial(None, first)
    for number, extension in enumerate(("101", "102", "103"), start=3):
        leg = dial(second, phone(f"1.{number}", extension, made))
        leg.rang_at = 1.0 if extension == rang else None
        if extension == picked_up:
            made.legs.pick_up(leg)
    assert oriented(leg).operator == operator


@pytest.mark.parametrize(
    ("number", "now"),
    [
        (CUSTOMER, Orientation(direction=OUT, operator="101", customer=CUSTOMER)),
        ("102", Orientation(direction=INSIDE, operator="101", called="102")),
    ],
)
def test_an_order_of_ours(number: str, now: Orientation) -> None:
    """Employee and number are known before any phone rings."""
    made, leg = clicked()
    made.click.order = ClickOrder("uac-1", "101", number)
    assert oriented(leg) == now


def test_a_click_on_a_colleague() -> None:
    """The second leg shows that the customer is a colleague."""
    made, _ = clicked(shown="")
    made.orientation = Orientation(direction=OUT, operator="101")
    leg = dial(made.source, phone("1.3", "102", made), "102")
    assert oriented(leg) == Orientation(direction=INSIDE, operator="101", called="102")


def test_by_listing() -> None:
    """A line that no channel dialled called us, though the call may have an agent's identity."""
    made = call()
    phone("0.1", "101", made)
    calling = line("1.1", made, state=6, number=CUSTOMER)
    assert direction.by_listing(made, calling).customer == CUSTOMER
    dial(None, calling)
    assert direction.by_listing(made, calling) is made.orientation
    assert direction.by_listing(made, line("1.2", made, state=0)) is made.orientation


def test_the_device_of_a_click() -> None:
    """Of a click of ours any device; else one that nothing shows to be another's, by what was asked for."""
    made, leg = clicked()
    made.click.order = ClickOrder("uac-1", "105", CUSTOMER)
    assert list(direction.shown_by(made, leg, RULES)) == [(leg.channel, Identity("105", Evidence.CLICK))]
    made.source.up_at = -1.0  # type: ignore[union-attr]
    assert list(direction.shown_by(made, leg, RULES)) == []
    other = call()
    first, second = pair("1.1", "1.2", other)
    first.is_originated = True
    dial(None, first)
    mobile = dial(second, line("1.3", other))
    assert list(direction.shown_by(other, mobile, RULES)) == [(mobile.channel, Identity("101", Evidence.CLICK))]
    known = dial(second, phone("1.4", "102", other))
    assert list(direction.shown_by(other, known, RULES)) == []


@pytest.mark.parametrize(
    ("evidence", "number", "exten", "callee", "calls_in"),
    [
        (Evidence.NAME, CUSTOMER, "4951000101", "101", True),
        (Evidence.OWN_NUMBER, CUSTOMER, "4951000101", "101", False),
        (Evidence.NAME, "101", "4951000101", "101", False),
        (Evidence.NAME, "", "4951000101", "101", False),
        (Evidence.NAME, CUSTOMER, "102", "101", False),
        (Evidence.NAME, CUSTOMER, "4951000101", "", False),
    ],
)
def test_a_line_named_like_an_extension(
    evidence: Evidence, number: str, exten: str, callee: str, calls_in: bool
) -> None:
    """It calls as a line does: with an outside number, to one at which an employee's phone rings."""
    made = call()
    source = channel("1.1", "SIP/33915-01", made, "33915", evidence=evidence, number=number, exten=exten)
    leg = dial(source, channel("1.2", "SIP/101-02", made, callee))
    shown = list(direction.shown_by(made, leg, RULES))
    assert shown == ([(source, Identity("", Evidence.CALLS_IN))] if calls_in else [])


def test_at_the_end() -> None:
    """What nothing concluded while it went on: a line called us, an employee dialled, a click failed."""
    made = incoming(0)
    assert direction.at_the_end(made, RULES).direction is IN
    own = call()
    phone("1.1", "101", own, exten="*97")
    assert direction.at_the_end(own, RULES) == Orientation(direction=INSIDE, operator="101", called="*97")
    known = call()
    known.orientation = Orientation(direction=OUT)
    assert direction.at_the_end(known, RULES) is known.orientation
    assert direction.at_the_end(call(), RULES).direction is None


@pytest.mark.parametrize(
    ("failure", "now"),
    [
        (None, Orientation(direction=OUT)),
        (OriginateFailure(3, "101", "102"), Orientation(direction=INSIDE, operator="101", called="102")),
        (OriginateFailure(3, "101", CUSTOMER), Orientation(direction=OUT, operator="101", customer=CUSTOMER)),
    ],
)
def test_a_click_without_a_channel(failure: OriginateFailure | None, now: Orientation) -> None:
    """All that is known is what was asked for."""
    made = call("uac-1")
    made.click.failure = failure
    assert direction.at_the_end(made, RULES) == now


def part(extension: str, role: Role, way: Direction, customer: str) -> Remembered:
    return Remembered(
        call_id="main-1.1", extension=extension, occurrence="1.1", role=role, direction=way, customer=customer,
        began_at=0.0, answered_at=None,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("parts", "now"),
    [
        ([part("101", Role.CALLEE, IN, CUSTOMER)], Orientation(direction=IN, customer=CUSTOMER)),
        ([part("101", Role.CALLER, OUT, CUSTOMER)], Orientation(direction=OUT, operator="101", customer=CUSTOMER)),
        (
            [part("102", Role.CALLEE, INSIDE, "101"), part("101", Role.CALLER, INSIDE, "102")],
            Orientation(direction=INSIDE, operator="101", called="102"),
        ),
    ],
)
def test_remembered(parts: list[Remembered], now: Orientation) -> None:
    """As an earlier run reported it; the caller's part says most."""
    assert direction.remembered(parts) == now


def test_who_is_gone_calls_no_more() -> None:
    """A hangup does not take the direction back."""
    made = incoming()
    made.orientation = Orientation(direction=IN, customer=CUSTOMER)
    assert made.source is not None
    hung_up(made.source, 3.0)
    assert direction.orient(made, made.source, RULES) is made.orientation
