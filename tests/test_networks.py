"""Who may connect."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from uac_trio.networks import PRIVATE_NETWORKS, is_allowed_address


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
