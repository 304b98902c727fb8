"""Channel events of AMI 1.x, each behind what it rests on."""

from __future__ import annotations

from tests.calls.ami1_parts import ANNA, TRUNK, Server

ONE, TWO = "Local/101@q-01;1", "Local/101@q-01;2"


def test_a_channel() -> None:
    """Given out once, with the recordings that began before; a Local one with its other half, the first half first."""
    server = Server()
    anna = server.create("1.2", ANNA, is_shown=False)
    anna.recordings.append("a.wav")
    server.out.show(anna)
    server.out.show(anna)
    assert server.given_out() == [f"created {ANNA}", f"{ANNA} recorded in a.wav"]
    assert server.given_out() == []
    server.create("1.3", ONE, is_shown=False)
    server.out.show(server.create("1.4", TWO, is_shown=False))
    assert server.given_out() == [f"created {ONE}", f"created {TWO}"]


def test_recordings_wait() -> None:
    """Until the channel is given out."""
    server = Server()
    anna = server.create("1.2", ANNA, is_shown=False)
    anna.recordings.append("a.wav")
    server.out.recordings_of(anna)
    assert server.given_out() == []
    anna.is_shown = True
    server.out.recordings_of(anna)
    server.out.recordings_of(anna)
    assert server.given_out() == [f"{ANNA} recorded in a.wav"]


def test_views_and_bridges() -> None:
    """Of what was given out, and of no zombie."""
    server = Server()
    anna = server.create("1.2", ANNA)
    hidden = server.create("1.3", TRUNK, is_shown=False)
    assert (server.out.view("1.2"), server.out.view("1.3"), server.out.view("")) == (anna.view, None, None)
    for device in (anna, hidden):
        server.out.enter(device, "b")
        server.out.leave(device, "b")
    assert server.given_out() == [f"{ANNA} enters b", f"{ANNA} leaves b"]
    anna.is_zombie = True
    server.out.enter(anna, "b")
    assert server.given_out() == []


def test_a_dial() -> None:
    """Behind its two channels, and once."""
    server = Server()
    server.create("1.1", TRUNK, is_shown=False)
    anna = server.create("1.2", ANNA, is_shown=False)
    server.out.begin(server.dials.dial_by("1.1"), anna, "101")
    server.out.begin(server.dials.dial_by("1.1"), anna, "101")
    assert server.given_out() == [f"created {TRUNK}", f"created {ANNA}", f"{TRUNK} dials {ANNA} 101"]
    leg = server.dials.to("1.2")
    assert leg is not None
    server.out.answer(leg, anna)
    assert server.given_out() == [f"{ANNA} ANSWER"]
    assert leg.is_answered


def test_a_dial_inside_a_local_channel() -> None:
    """It waits for the dial of that channel."""
    server = Server()
    server.create("1.1", TRUNK)
    one, two = server.create("1.2", ONE, is_shown=False), server.create("1.3", TWO, is_shown=False)
    anna = server.create("1.4", ANNA, is_shown=False)
    server.out.begin(server.dials.dial_by("1.3"), anna, "101")
    assert server.given_out() == []
    server.out.begin(server.dials.dial_by("1.1"), one, "101@q")
    assert server.given_out() == [
        f"created {ONE}", f"created {TWO}", f"{TRUNK} dials {ONE} 101@q", f"created {ANNA}", f"{TWO} dials {ANNA} 101"
    ]  # fmt: skip
    assert two.is_shown


def test_a_dial_of_a_helper() -> None:
    """No device is behind it."""
    server = Server()
    server.create("1.1", TRUNK)
    server.out.begin(server.dials.dial_by("1.1"), server.create("1.2", "Parked/SIP/101-02"), "x")
    assert server.given_out() == []
