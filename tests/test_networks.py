"""Who may connect, and where a server listens."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from uac_trio.networks import PRIVATE_NETWORKS, is_allowed_address, parse_bind


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("127.0.0.1", True),
        ("172.16.1.1", True),
        ("::ffff:192.168.1.5", True),
        ("::1", True),
        ("203.0.113.7", False),
        ("2001:db8::1", False),
        ("", False),
        (None, False),
        ("<local>", False),
    ],
)
def test_networks(address: str | None, allowed: bool) -> None:
    """By default private addresses may ask; the rest, and what is no address, may not."""
    assert is_allowed_address(address, PRIVATE_NETWORKS) is allowed


def test_one_network() -> None:
    """Only the configured network is let in."""
    assert is_allowed_address("203.0.113.7", [ip_network("203.0.113.0/24")])
    assert not is_allowed_address("127.0.0.1", [ip_network("203.0.113.0/24")])


@pytest.mark.parametrize(
    ("bind", "parsed"),
    [("0.0.0.0:5000", ("0.0.0.0", 5000)), ("[::1]:80", ("::1", 80)), ("pbx.local:0", ("pbx.local", 0))],
)
def test_bind(bind: str, parsed: tuple[str, int]) -> None:
    """A bind is host and port; IPv6 in brackets."""
    assert parse_bind(bind) == parsed


@pytest.mark.parametrize("bind", ["", "5000", ":5000", "0.0.0.0", "0.0.0.0:http", "0.0.0.0:70000", "::1:5000", "[]:1"])
def test_bad_bind(bind: str) -> None:
    """What is no address with a port is refused with an example of one."""
    with pytest.raises(ValueError, match="such as"):
        parse_bind(bind)
