"""Who dials a channel that comes without a Dial event."""

from __future__ import annotations

import pytest

from tests.calls.ami1_parts import ANNA, BORIS, CUSTOMER, TRUNK, Server

ONE, TWO = "Local/103@office-01;1", "Local/103@office-01;2"


def talk() -> Server:
    """A customer and 101, whose link was undone; 103 is dialled by no event."""
    server = Server()
    server.create("1.1", TRUNK, CallerIDNum=CUSTOMER, Exten="495")
    server.create("1.2", ANNA, CallerIDNum="101")
    server.callers.parted("1.1", "1.2")
    return server


def test_the_root() -> None:
    """Through dials and Local channels, as far as it is open who dials; a circle ends."""
    server = Server()
    server.create("1.1", TRUNK)
    one, two = server.create("1.2", ONE), server.create("1.3", TWO)
    anna = server.create("1.4", ANNA)
    server.dials.begin(server.dials.dial_by("1.3"), "1.4", "101")
    assert server.callers.root_of(anna) is one
    assert server.callers.root_of(two) is one
    server.dials.begin(server.dials.dial_by("1.4"), "1.2", "103")
    assert server.callers.root_of(anna) in (anna, one)


def test_a_named_transferer() -> None:
    """VarSet TRANSFERERNAME names the channel; its mate of the undone link is the transferee."""
    server = talk()
    asked = server.create("1.5", ONE)
    server.callers.transfers("1.5", ANNA)
    found = server.callers.who_transfers(asked)
    assert found is not None
    assert (found.transferer.view.name, found.transferee.view.name) == (ANNA, TRUNK)
    server.callers.settled("1.1")
    assert server.callers.who_transfers(asked) is None


@pytest.mark.parametrize(
    ("name", "shows", "transferer"),
    [(ONE, "101", ANNA), (ONE, CUSTOMER, TRUNK), (BORIS, "101", TRUNK), (BORIS, CUSTOMER, ANNA)],
)
def test_a_transferer_by_number(name: str, shows: str, transferer: str) -> None:
    """The asked channel shows the transferer; one that is called back shows the other."""
    server = talk()
    found = server.callers.who_transfers(server.create("1.5", name, ConnectedLineNum=shows))
    assert found is not None
    assert found.transferer.view.name == transferer
    assert found.transferee is not found.transferer


@pytest.mark.parametrize(
    ("name", "shows_variables", "is_found"), [(ONE, False, True), (ONE, True, False), (BORIS, False, False)]
)
def test_the_only_employee_who_left(name: str, shows_variables: bool, is_found: bool) -> None:
    """Where the dialplan has changed the number and no variable shows it."""
    server = talk()
    server.callers.shows_variables = shows_variables
    found = server.callers.who_transfers(server.create("1.5", name))
    assert (found is not None) is is_found
    if found is not None:
        assert found.transferer.view.name == ANNA


def test_settled() -> None:
    """A structure that is linked anew dials no feature code, nor does its mate."""
    server = talk()
    assert server.callers.are_parted("1.1", "1.2")
    server.callers.forget("1.2")
    assert not server.callers.are_parted("1.1", "1.2")


def queued(*, shows: str = "", waiting: tuple[str, ...] = (CUSTOMER,)) -> tuple[Server, str]:
    """Callers wait in a queue, and a member's phone is dialled: who rings it?"""
    server = Server()
    for number, caller in enumerate(waiting, start=1):
        server.create(f"1.{number}", f"SIP/trunk-0{number}", CallerIDNum=caller, Exten="495")
        server.callers.joined(f"1.{number}", "sales")
    return server, server.callers.who_queues(server.create("1.9", ANNA, ConnectedLineNum=shows))


@pytest.mark.parametrize(
    ("shows", "waiting", "found"),
    [
        ("", (CUSTOMER,), "1.1"),
        (CUSTOMER, (CUSTOMER,), "1.1"),
        ("+70000000000", (CUSTOMER,), ""),
        (CUSTOMER, ("+70000000000", CUSTOMER), "1.2"),
        (CUSTOMER, (CUSTOMER, CUSTOMER), "1.1"),
        ("", (CUSTOMER, ""), "1.2"),
        ("", (), ""),
    ],
)
def test_who_waits_in_the_queue(shows: str, waiting: tuple[str, ...], found: str) -> None:
    """The first to join of those whose number the phone shows; the only one where it shows none."""
    assert queued(shows=shows, waiting=waiting)[1] == found


def test_who_is_in_no_queue() -> None:
    """AgentCalled would show it; a caller who left rings no one."""
    server, _ = queued()
    member = server.create("1.8", BORIS)
    server.callers.shows_agent_calls = True
    assert server.callers.who_queues(member) == ""
    server.callers.shows_agent_calls = False
    server.callers.left("1.1")
    assert server.callers.who_queues(member) == ""


@pytest.mark.parametrize(
    ("shows", "is_linked", "is_queued", "found"),
    [
        (CUSTOMER, False, False, "1.1"),
        ("101", False, False, ""),
        ("+70000000000", False, False, ""),
        (CUSTOMER, True, False, ""),
        (CUSTOMER, False, True, ""),
    ],
)
def test_an_outside_caller_who_waits(shows: str, is_linked: bool, is_queued: bool, found: str) -> None:
    """FollowMe() dials for who has no bridge and is in no queue, by the number that the phone shows."""
    server = Server()
    server.create("1.1", TRUNK, CallerIDNum=CUSTOMER, Exten="495")
    if is_linked:
        server.devices.link("1.1", "1.7")
    if is_queued:
        server.callers.joined("1.1", "sales")
    phone = server.create("1.9", ANNA, ConnectedLineNum=shows, CallerIDNum="101")
    assert server.callers.who_waits(phone) == found
