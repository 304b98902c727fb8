"""Readers of hosts, networks and web addresses."""

from __future__ import annotations

import re
from ipaddress import IPv6Address, ip_network
from urllib.parse import urlsplit

from uac_trio.networks import Network, parse_bind
from uac_trio.settings.values import Read, WrongValueError, filled, text


def host(value: object) -> str:
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9_.-]+", value):
        return value
    try:
        return str(IPv6Address(value))
    except ValueError as why:
        raise WrongValueError("a host name or an address, without a port") from why


def hosts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise WrongValueError('a list of host names, without ports, such as ["uac.example.org"]')
    return tuple(host(item) for item in value)


def bind(value: object) -> str:
    try:
        parse_bind(filled(value))
    except ValueError as why:
        raise WrongValueError(str(why)) from why
    return text(value)


def web_address(example: str) -> Read:
    def read(value: object) -> str:
        wrong = WrongValueError(f"an address such as {example}")
        if not isinstance(value, str) or not value.isascii() or re.search(r"[\s\x00-\x1f]", value):
            raise wrong
        try:
            parts = urlsplit(value)
            fits = parts.scheme in ("http", "https") and parts.hostname and not parts.fragment and not parts.query
            _ = parts.port
        except ValueError as why:
            raise wrong from why
        if not fits:
            raise wrong
        return value.rstrip("/")

    return read


def address_without_login(example: str, secret: str) -> Read:
    """A URL without credentials. ``secret``: the key under which the secret belongs."""
    read_address = web_address(example)

    def read(value: object) -> str:
        if isinstance(value, str) and "@" in value:
            raise WrongValueError(f"an address without user name and password: put the secret into {secret}")
        address: str = read_address(value)
        return address

    return read


def origins(value: object) -> tuple[str, ...]:
    """As browsers send them: ``https://crm.example``, the port only where it is not the scheme's own."""
    if not isinstance(value, list):
        raise WrongValueError('a list of origins, such as ["https://crm.example"]')
    return tuple(_origin(item) for item in value)


def _origin(item: object) -> str:
    parts = urlsplit(web_address("https://crm.example")(item))
    if parts.path or parts.username is not None:
        raise WrongValueError("an origin without a path, such as https://crm.example")
    name = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    is_usual = parts.port in (None, {"http": 80, "https": 443}[parts.scheme])
    return f"{parts.scheme}://{name}" + ("" if is_usual else f":{parts.port}")


def networks(value: object) -> tuple[Network, ...]:
    expected = WrongValueError('a list of networks, such as ["192.168.1.0/24", "10.0.0.5"]')
    if not isinstance(value, list):
        raise expected
    try:
        return tuple(ip_network(text(item)) for item in value)
    except ValueError as why:
        raise WrongValueError(f"{expected.expected}; {why}") from why
