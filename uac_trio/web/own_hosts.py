"""The host names of this server, checked against DNS rebinding.

The attack: a page at ``http://attacker.example:5000`` requests ``/live`` after the attacker has pointed that name to
this server's address. The browser, which is in an allowed network, sees the same origin and lets the page read the
reply. But the Host header still has the attacker's name.
"""

from __future__ import annotations

from collections.abc import Collection
from ipaddress import ip_address
from urllib.parse import urlsplit

LOOPBACK = frozenset({"localhost", "localhost.localdomain", "ip6-localhost", "ip6-loopback"})


def own_hosts(bind_host: str, public_url: str, machine: str, more: Collection[str]) -> frozenset[str]:
    """The names of this server: in ``[http] bind``, in ``public_url``, this machine's, and ``monitor_hosts``."""
    names = {bind_host, urlsplit(public_url).hostname or "", machine, *more}
    return LOOPBACK | {_plain(name) for name in names if name}


def is_own_host(header: str, own: Collection[str]) -> bool:
    """Whether ``header``, the Host of a request, is one of ``own``, an IP address, or empty.

    Rebinding needs a name, so an address is safe. Every browser sends a Host.
    """
    if not header:
        return True
    name = _plain(header.rpartition(":")[0] if _has_port(header) else header)
    return name in own or _is_address(name)


def _has_port(header: str) -> bool:
    host, colon, port = header.rpartition(":")
    return bool(colon) and port.isascii() and port.isdigit() and (host.endswith("]") or ":" not in host)


def _plain(name: str) -> str:
    name = name[1:-1] if name.startswith("[") and name.endswith("]") else name
    return name.lower().removesuffix(".")


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
