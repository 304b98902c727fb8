"""Addresses: who may connect, and where a server listens."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network

PRIVATE_NETWORKS: tuple[Network, ...] = tuple(
    ip_network(text) for text in ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1/128", "fc00::/7")
)


def is_allowed_address(address: str | None, networks: Iterable[Network]) -> bool:
    """Whether a client at ``address`` is in one of ``networks``. An IPv4 address in IPv6 form counts as what it is."""
    try:
        client = ip_address(address or "")
    except ValueError:
        return False
    mapped = getattr(client, "ipv4_mapped", None)
    return any((mapped or client) in network for network in networks)


def parse_bind(bind: str) -> tuple[str, int]:
    """``0.0.0.0:5000`` or ``[::1]:5000`` as host and port. Raises ValueError with what was expected."""
    host, colon, port = bind.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    host = host[1:-1] if bracketed else host
    if not colon or not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ValueError("an address and a port, such as 0.0.0.0:5000")
    if ":" in host and not bracketed:
        raise ValueError("an IPv6 address in brackets and a port, such as [::1]:5000")
    return host, int(port)
