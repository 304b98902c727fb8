"""Transfers by feature code, from the moment they begin until they are over."""

from __future__ import annotations

from tests.calls.ami1_parts import ANNA, BORIS, TRUNK, Server
from uac_trio.calls.ami1_callers import FeatureTransfer
from uac_trio.calls.ami1_devices import Device
from uac_trio.calls.channel_events import ChannelHungUp

ONE, TWO = "Local/102@office-01;1", "Local/102@office-01;2"


def parted() -> tuple[Server, Device, Device]:
    """A customer and 101 whose link was undone."""
    server = Server()
    customer, anna = server.create("1.1", TRUNK), server.create("1.2", ANNA)
    server.callers.parted("1.1", "1.2")
    return server, customer, anna


def test_a_blind_transfer() -> None:
    """The one that goes on is the transferee; the transferer's end follows it."""
    server, customer, anna = parted()
    server.codes.blind(customer, anna)
    assert server.codes.has_blind
    assert (server.codes.other_of_blind(customer), server.codes.other_of_blind(anna)) == (anna, customer)
    server.codes.wait_for(customer, ChannelHungUp(event="Hangup", channel=anna.view))
    server.codes.go_to(customer, "102")
    assert server.given_out() == [f"{ANNA} sends on to 102", "ChannelHungUp"]
    server.codes.go_to(customer, "103")
    assert (server.given_out(), server.codes.has_blind) == ([], False)


def test_two_that_are_linked() -> None:
    """chan_sip sets the variable of them for a REFER: that is no feature code."""
    server, customer, anna = parted()
    server.callers.settled("1.1")
    server.codes.blind(customer, anna)
    assert not server.codes.has_blind


def test_a_connection_that_is_lost() -> None:
    """Where transferees went meanwhile is not shown: their transferers may go."""
    server, customer, anna = parted()
    server.codes.blind(customer, anna)
    server.codes.wait_for(customer, ChannelHungUp(event="Hangup", channel=anna.view))
    server.codes.stop_waiting()
    server.codes.stop_waiting()
    assert (server.given_out(), server.codes.has_blind) == (["ChannelHungUp"], False)


def consulting() -> tuple[Server, Device, Device]:
    """101 asks 102 about the customer."""
    server, customer, anna = parted()
    one = server.create("1.3", ONE, is_shown=False)
    server.create("1.4", TWO, is_shown=False)
    boris = server.create("1.5", BORIS, is_shown=False)
    server.out.begin(server.dials.dial_by("1.4"), boris, "102")
    server.codes.consult(one, FeatureTransfer(anna, customer))
    assert server.given_out() == [
        f"created {ONE}", f"created {TWO}", f"{ANNA} enters 1.2+1.3", f"{ONE} enters 1.2+1.3",
        f"created {BORIS}", f"{TWO} dials {BORIS} 102",
    ]  # fmt: skip
    return server, customer, anna


def test_a_consultation_is_completed() -> None:
    """The transferer left; once."""
    server, customer, anna = consulting()
    server.codes.left(customer)
    assert server.given_out() == []
    server.codes.left(anna)
    server.codes.left(anna)
    assert server.given_out() == [f"{ANNA} transfers"]


def test_links_of_a_consultation() -> None:
    """The consultation itself ends nothing; transferee and asked channel linked complete it."""
    server, _, _ = consulting()
    server.codes.linked("1.2", "1.3")
    assert server.given_out() == []
    server.codes.linked("1.1", "1.3")
    assert server.given_out() == [f"{ANNA} transfers"]
    assert not server.callers.are_parted("1.1", "1.2")


def test_called_back() -> None:
    """On a server without an event for it, the transferer had left."""
    server, customer, anna = parted()
    server.codes.called_back(FeatureTransfer(anna, customer))
    assert server.given_out() == [f"{ANNA} transfers"]


def test_gone() -> None:
    """Of a blind transfer the one that stays may go on, until both are gone; a consultation ends with the asked."""
    server, customer, anna = parted()
    server.codes.blind(customer, anna)
    server.devices.end(anna)
    server.codes.forget(anna)
    assert server.codes.has_blind
    server.devices.end(customer)
    server.codes.forget(customer)
    assert not server.codes.has_blind
    server, _, anna = consulting()
    asked = server.devices.within("1.3")
    assert asked is not None
    server.codes.forget(asked)
    server.codes.left(anna)
    assert server.given_out() == []
