"""Converts TOML values to the values of settings. Each function raises WrongValueError with what it expects."""

from __future__ import annotations

import enum
import re
import socket
from collections.abc import Callable, Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any
from urllib.parse import urlsplit

import phonenumbers

from uac_trio.networks import Network
from uac_trio.web.settings import parse_bind

Read = Callable[[Any], Any]
"""Converts a value. Raises WrongValueError for an invalid one."""


class WrongValueError(Exception):
    """``expected`` completes the sentence "expected ..."."""

    def __init__(self, expected: str) -> None:
        super().__init__(expected)
        self.expected = expected


def text(value: object) -> str:
    if not isinstance(value, str):
        raise WrongValueError('text in quotes, "..."')
    if re.search(r"[\x00-\x1f\x7f]", value):
        raise WrongValueError("text on one line, without control characters")
    return value


def filled(value: object) -> str:
    if not text(value):
        raise WrongValueError("text that is not empty")
    return text(value)


def flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise WrongValueError("true or false, without quotes")
    return value


def whole(least: int, most: int) -> Read:
    def read(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise WrongValueError(f"a whole number from {least} to {most}, without quotes")
        return value

    return read


def seconds(least: float, most: float) -> Read:
    def read(value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
            raise WrongValueError(f"seconds, a number from {least:g} to {most:g}, without quotes")
        return float(value)

    return read


def one_of(*words: str) -> Read:
    def read(value: object) -> str:
        if not isinstance(value, str) or value not in words:
            raise WrongValueError(" or ".join(f'"{word}"' for word in words))
        return value

    return read


def member(kind: type[enum.Enum]) -> Read:
    """One of an enum's values."""
    read_word = one_of(*(str(one.value) for one in kind))
    return lambda value: kind(read_word(value))


def texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise WrongValueError('a list of texts, ["...", "..."]')
    return tuple(filled(item) for item in value)


def words(value: object) -> tuple[str, ...]:
    """Names of events or of their classes."""
    if not isinstance(value, list) or not all(isinstance(item, str) and re.fullmatch(r"\w+", item) for item in value):
        raise WrongValueError('a list of names, ["...", "..."]')
    return tuple(value)


def absolute_path(value: object) -> str:
    if not filled(value).startswith("/"):
        raise WrongValueError('an absolute path, "/..."')
    return text(value)


def absolute_paths(value: object) -> tuple[str, ...]:
    return tuple(absolute_path(item) for item in texts(value))


def converter(value: object) -> str:
    if value not in ("auto", "ffmpeg", "sox", "") and not (isinstance(value, str) and value.startswith("/")):
        raise WrongValueError('"auto", "ffmpeg", "sox", the path of one of these, or "" for none')
    return text(value)


def text_set(value: object) -> frozenset[str]:
    return frozenset(texts(value))


def text_table(value: object) -> Mapping[str, str]:
    if not isinstance(value, dict):
        raise WrongValueError('a table, { "..." = "..." }')
    return {str(key): filled(item) for key, item in value.items()}


def pattern(value: object) -> re.Pattern[str]:
    try:
        return re.compile(filled(value))
    except re.error as why:
        raise WrongValueError(f"a regular expression, but this one is invalid: {why}") from why


def patterns(value: object) -> tuple[re.Pattern[str], ...]:
    return tuple(pattern(item) for item in texts(value))


def extensions(value: object) -> re.Pattern[str] | frozenset[str]:
    """A pattern, or a list of numbers."""
    if isinstance(value, list):
        numbers = text_set(value)
        if not numbers:
            raise WrongValueError("at least one number in the list")
        return numbers
    if not isinstance(value, str):
        raise WrongValueError("""a pattern such as '^\\d{2,5}$', or a list of numbers such as ["101", "102"]""")
    return pattern(value)


def word(value: object) -> str:
    """A name for identities and log lines."""
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,30}", value):
        raise WrongValueError("a short name of letters, digits, - and _ (at most 31)")
    return value


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


FREEPBX_AGI = 4573
"""The port of FreePBX's FastAGI server on 127.0.0.1 (used by its ring groups and recordings on demand)."""


def agi_bind(value: object) -> str:
    """For ``[route]``: an address that does not conflict with FreePBX on the same machine."""
    found = bind(value)
    host, port = parse_bind(found)
    if port == FREEPBX_AGI and _reaches_loopback(host):
        raise WrongValueError(
            f"another port than {FREEPBX_AGI} on this machine's own address, such as 127.0.0.1:4574: FreePBX's FastAGI "
            f"server listens on 127.0.0.1:{FREEPBX_AGI}, and the second of the two to start would fail"
        )
    return found


def _reaches_loopback(host: str) -> bool:
    """Whether ``host`` is loopback or means every address of the machine."""
    try:
        address = ip_address(host)
    except ValueError:
        try:
            address = IPv4Address(socket.inet_aton(host))  # 127.1, as getaddrinfo takes it
        except OSError:
            name = host.lower().rstrip(".")
            return name in ("localhost", "ip6-localhost", "ip6-loopback") or name.startswith("localhost.")
    mapped = getattr(address, "ipv4_mapped", None) or address
    return mapped.is_loopback or mapped.is_unspecified


def or_none(read: Read) -> Read:
    """The same, or "" for none."""
    return lambda value: "" if value == "" else read(value)


def variable(value: object) -> str:
    """A channel variable; a prefix of one or two _ makes it inheritable."""
    if not isinstance(value, str) or not re.fullmatch(r"_{0,2}[A-Za-z][A-Za-z0-9_]{0,63}", value):
        raise WrongValueError("the name of a channel variable: letters, digits and _")
    return value


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


def country(value: object) -> str:
    if not isinstance(value, str) or value not in phonenumbers.SUPPORTED_REGIONS:
        raise WrongValueError('a country as two capital letters, such as "RU"')
    return value


def networks(value: object) -> tuple[Network, ...]:
    expected = WrongValueError('a list of networks, such as ["192.168.1.0/24", "10.0.0.5"]')
    if not isinstance(value, list):
        raise expected
    try:
        return tuple(ip_network(text(item)) for item in value)
    except ValueError as why:
        raise WrongValueError(f"{expected.expected}; {why}") from why


def braced(place: str) -> str:
    return "{" + place + "}"


def template(*places: str, needs: Sequence[str] = ()) -> Read:
    """A text with ``{places}`` to fill in; each of ``needs`` must be there."""

    def read(value: object) -> str:
        shown = " and ".join(braced(place) for place in places)
        wrong = WrongValueError(f"a text with {shown} in it, and no other braces")
        given = filled(value)
        try:
            given.format(**dict.fromkeys(places, ""))
        except (LookupError, ValueError, AttributeError) as why:
            raise wrong from why
        if re.search(r"\{[^}]*[^}\w]", given) or any(braced(place) not in given for place in needs):
            raise wrong
        return given

    return read


def templates(*places: str) -> Read:
    """A table of such texts."""
    read_one = template(*places)

    def read(value: object) -> Mapping[str, str]:
        if not isinstance(value, dict):
            raise WrongValueError('a table, { "..." = "..." }')
        return {str(name): read_one(one) for name, one in value.items()}

    return read


def prefix(value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[0-9*#]{0,8}", value):
        raise WrongValueError('a prefix to dial before a number, such as "9"')
    return value
