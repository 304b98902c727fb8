"""Which device is in which structure of Asterisk."""

from __future__ import annotations

import pytest

from tests.calls.ami1_parts import ANNA, BORIS, CUSTOMER, TRUNK, Server
from tests.calls.scenes import event
from uac_trio.calls import ami1_devices
from uac_trio.calls.ami1_devices import Device, Devices, bridge_id


def created(name: str, **headers: str) -> Device:
    return Server().create("1.1", name, is_shown=True, **headers)


@pytest.mark.parametrize(
    ("name", "state", "exten", "is_dialled"),
    [
        (TRUNK, "0", "4951000101", False),
        (TRUNK, "4", "s", False),
        (TRUNK, "0", "s", True),
        (TRUNK, "0", "", True),
        ("DAHDI/1-1", "1", "", True),
        ("DAHDI/1-1", "3", "s", True),
        ("Local/101@q-01;1", "0", "101", True),
        ("Local/101@q-01;2", "4", "101", True),
    ],
)
def test_who_is_dialled(name: str, state: str, exten: str, is_dialled: bool) -> None:
    """A device that calls dials a number or begins in Ring; both halves of a Local channel wait for the dial."""
    assert created(name, ChannelState=state, Exten=exten).is_dialled is is_dialled


@pytest.mark.parametrize("headers", [{"Uniqueid": "", "Channel": TRUNK}, {"Uniqueid": "1.1", "Channel": ""}])
def test_what_names_no_device(headers: dict[str, str]) -> None:
    """Without a Uniqueid or a name there is none; nor is one made twice."""
    assert Devices().create(event("Newchannel", **headers)) is None
    server = Server()
    server.create("1.1", TRUNK)
    assert server.devices.create(event("Newchannel", Uniqueid="1.1", Channel=ANNA)) is None


@pytest.mark.parametrize(
    ("name", "interface", "half", "is_helper", "rings_early"),
    [
        (ANNA, "SIP/101", "", False, False),
        ("Local/101@q-01;2", "Local/101@q", "2", False, False),
        ("Parked/SIP/101-02", "Parked/SIP/101", "", True, False),
        ("AsyncGoto/SIP/101-02", "AsyncGoto/SIP/101", "", True, False),
        ("IAX2/office-7", "IAX2/office", "", False, True),
    ],
)
def test_names(name: str, interface: str, half: str, is_helper: bool, rings_early: bool) -> None:
    """What a device's name shows of it."""
    device = created(name)
    assert (device.interface, device.half, device.is_helper, device.rings_early) == (
        interface, half, is_helper, rings_early
    )  # fmt: skip
    assert device.is_given_out is not is_helper


def test_an_update() -> None:
    """What the event shows; where it was first stays, and what it does not show is as it was."""
    device = created(TRUNK, CallerIDNum=CUSTOMER, Context="in", Exten="495", ChannelState="4")
    device.update(event("Newstate", ChannelState="6", Context="other", ConnectedLineNum="101", CallerIDNum="<unknown>"))
    seen = device.view
    assert (seen.state, seen.number, seen.connected, seen.context, seen.exten) == (6, CUSTOMER, "101", "in", "495")
    device.update(event("NewCallerid", CallerIDName="Anna"))
    assert (device.view.state, device.view.caller_name) == (6, "Anna")
    assert device.first.state == 4


def test_a_masquerade() -> None:
    """The name stays with the device: it is found in another structure, where another was before."""
    server = Server()
    anna, boris = server.create("1.1", ANNA), server.create("1.2", BORIS)
    assert server.devices.meet("1.1", ANNA) == (anna, None)
    found, moved = server.devices.meet("1.2", ANNA)
    assert found is anna
    assert moved is not None
    assert (moved.structure, moved.left, moved.before, anna.structure) == ("1.2", "1.1", boris, "1.2")
    assert (server.devices.within("1.2"), anna.uniqueid) == (anna, "1.1")
    gone, back = server.devices.meet("1.1", f"{BORIS}<ZOMBIE>")
    assert (gone, boris.is_zombie) == (boris, True)
    assert back is not None
    assert back.before is None  # it moved on already


def test_an_event_without_a_name() -> None:
    """The device in the structure is meant; an unknown one is none."""
    server = Server()
    anna = server.create("1.1", ANNA)
    anna.is_stale = True
    assert server.devices.meet("1.1", "") == (anna, None)
    assert not anna.is_stale
    assert server.devices.meet("9.9", "SIP/9-9") == (None, None)


def test_the_end() -> None:
    """It is in no structure and no link any more, and found by its name for its Cdr, for a while."""
    server = Server()
    anna = server.create("1.1", ANNA)
    server.devices.link("1.1", "1.2")
    server.devices.end(anna)
    assert (anna.is_ended, server.devices.within("1.1"), server.devices.links) == (True, None, {})
    assert server.devices.named(f"{ANNA}<MASQ>") is anna
    assert list(server.devices.ended()) == [anna]
    assert server.devices.meet("1.1", ANNA) == (anna, None)


def test_ended_devices_are_forgotten_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest first, unless a newer one has its name."""
    monkeypatch.setattr(ami1_devices, "MAX_ENDED", 1)
    server = Server()
    old, again = server.create("1.1", "DAHDI/1-1"), server.create("1.2", ANNA)
    server.devices.end(old)
    newer = server.create("1.3", "DAHDI/1-1")
    server.devices.end(again)
    assert server.devices.named("DAHDI/1-1") is newer
    server.devices.end(server.create("1.4", BORIS))
    assert server.devices.named(ANNA) is None


def test_links_and_halves() -> None:
    """Both ways; a link that is undone shows with whom it was."""
    server = Server()
    one, two = server.create("1.1", "Local/101@q-01;1"), server.create("1.2", "Local/101@q-01;2")
    assert (server.devices.other_half(one), server.devices.other_half(two)) == (two, one)
    assert server.devices.other_half(server.create("1.3", ANNA)) is None
    server.devices.link("1.1", "1.2")
    assert server.devices.unlink("1.2") == "1.1"
    assert server.devices.unlink("1.1") == ""
    assert bridge_id("1.2", "1.1") == bridge_id("1.1", "1.2") == "1.1+1.2"


def test_names_that_change() -> None:
    """A renamed device is found by the new name alone; one that is older than the connection is given out."""
    server = Server()
    anna = server.create("1.1", ANNA)
    server.devices.rename(anna, "SIP/101-99")
    assert (server.devices.named(ANNA), server.devices.named("SIP/101-99")) == (None, anna)
    old = server.devices.adopt("0.1", BORIS)
    assert (old.is_shown, old.uniqueid, set(server.devices.live())) == (True, "0.1", {anna, old})
