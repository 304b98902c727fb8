"""Dials that no event shows."""

from __future__ import annotations

from tests.calls.ami1_parts import ANNA, BORIS, CUSTOMER, TRUNK, Server

ONE, TWO = "Local/102@office-01;1", "Local/102@office-01;2"


def calling() -> Server:
    """A customer calls."""
    server = Server()
    server.create("1.1", TRUNK, CallerIDNum=CUSTOMER, Exten="495")
    return server


def test_what_is_explained() -> None:
    """Neither what was given out, nor a helper, nor what is over."""
    server = calling()
    server.unseen.explain(server.create("1.2", ANNA))
    server.unseen.explain(server.create("1.3", "Parked/SIP/101-03", is_shown=False))
    gone = server.create("1.4", BORIS, is_shown=False)
    server.devices.end(gone)
    server.unseen.explain(gone)
    assert server.given_out() == []


def test_a_dial_that_waited() -> None:
    """It is given out now, though its caller is not known."""
    server = Server()
    anna = server.create("1.2", ANNA, is_shown=False)
    server.dials.begin(server.dials.dial_by("9.9"), "1.2", "101")
    server.unseen.explain(anna)
    assert server.given_out() == [f"created {ANNA}", f"no channel dials {ANNA} 101"]


def test_a_link() -> None:
    """Who is linked with it rang it by a queue."""
    server = calling()
    server.unseen.explain(server.create("1.2", ANNA, is_shown=False), "1.1")
    assert server.given_out() == [f"created {ANNA}", f"{TRUNK} dials {ANNA} SIP/101"]


def test_a_queue() -> None:
    """Concluded from the number, and said that the server does not show it."""
    server = calling()
    server.callers.joined("1.1", "sales")
    server.unseen.explain(server.create("1.2", ANNA, is_shown=False, ConnectedLineNum=CUSTOMER))
    assert server.given_out() == ["lacks QUEUE_MEMBERS", f"created {ANNA}", f"{TRUNK} dials {ANNA} SIP/101"]


def test_follow_me() -> None:
    """For an outside caller who waits in no queue, with an unknown dial string."""
    server = calling()
    server.unseen.explain(server.create("1.2", ANNA, is_shown=False, ConnectedLineNum=CUSTOMER))
    assert server.given_out() == [f"created {ANNA}", f"{TRUNK} dials {ANNA}"]


def test_an_originate() -> None:
    """No one else dials it; one that hangs up before anything happened stays unseen."""
    server = Server()
    server.unseen.explain(server.create("1.2", ANNA, is_shown=False), is_over=True)
    assert server.given_out() == []
    server.unseen.explain(server.create("1.3", BORIS, is_shown=False))
    assert server.given_out() == [f"created {BORIS}", f"no channel dials {BORIS}"]


def test_a_local_channel_that_has_dialled() -> None:
    """It was called itself, though it is over."""
    server = Server()
    one = server.create("1.2", ONE, is_shown=False)
    server.create("1.3", TWO, is_shown=False)
    server.out.begin(server.dials.dial_by("1.3"), server.create("1.4", ANNA, is_shown=False), "101")
    server.unseen.explain(one, is_over=True)
    assert server.given_out()[2:] == [f"no channel dials {ONE}", f"created {ANNA}", f"{TWO} dials {ANNA} 101"]


def test_half_a_local_channel() -> None:
    """The Newchannel of the other half was lost: its dials are given out."""
    server = Server()
    two = server.create("1.3", TWO, is_shown=False)
    anna = server.create("1.4", ANNA, is_shown=False)
    server.out.begin(server.dials.dial_by("1.3"), anna, "101")
    server.unseen.explain(two)
    assert server.given_out() == [f"created {TWO}", f"created {ANNA}", f"{TWO} dials {ANNA} 101"]


def test_feature_codes() -> None:
    """A Local channel is asked about the customer; a phone is called back for them."""
    server = calling()
    server.create("1.2", ANNA, CallerIDNum="101")
    server.callers.parted("1.1", "1.2")
    server.unseen.explain(server.create("1.3", ONE, is_shown=False, ConnectedLineNum="101"))
    assert server.given_out() == [f"created {ONE}", f"{ANNA} enters 1.2+1.3", f"{ONE} enters 1.2+1.3"]
    server.unseen.explain(server.create("1.5", "SIP/101-05", is_shown=False, ConnectedLineNum=CUSTOMER))
    assert server.given_out() == [f"{ANNA} transfers", "created SIP/101-05", f"{TRUNK} dials SIP/101-05"]
