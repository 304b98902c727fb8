"""Checks of a file that no single setting can make: against the machine, another table or another ``[[pbx]]``."""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Iterable, Mapping, Sequence
from ipaddress import IPv4Address, ip_address
from itertools import chain
from pathlib import Path, PurePath

from uac_trio.ami.action import Originate
from uac_trio.ami.message import LocalProtocolError
from uac_trio.calls.rules import TrackerRules, national_number
from uac_trio.config.reader import Reader
from uac_trio.crm.click import Route
from uac_trio.networks import parse_bind


def check_mobiles(reader: Reader, mobiles: Mapping[str, str], rules: TrackerRules) -> bool:
    """Whether each is a telephone number and belongs to one employee. ``rules``: the rest of ``[calls]``."""
    before = len(reader.problems)
    owners: dict[str, str] = {}
    for number, extension in mobiles.items():
        try:
            owner = owners.setdefault(national_number(number, rules.region), extension)
        except ValueError as why:
            reader.wrong("calls", "mobiles", f"expected numbers as names: {why}")
            continue
        if not rules.is_extension(extension):
            what = f"expected an extension by [calls] extensions for {number}, found {extension!r}"
            reader.wrong("calls", "mobiles", what)
        elif owner != extension:
            what = f"expected one employee per number, but {number} belongs to {owner} and to {extension}"
            reader.wrong("calls", "mobiles", what)
    return len(reader.problems) == before


def check_name(reader: Reader, index: int, name: str, others: Iterable[str]) -> None:
    """A call's identity begins with the name of its PBX, so no name may be a prefix of another PBX's identities."""
    for other in others:
        if name == other:
            reader.wrong("pbx", "name", f"{name!r} is also the name of another [[pbx]]", index)
        elif name.startswith(f"{other}-") or other.startswith(f"{name}-"):
            what = f"{name!r} and {other!r} could give two calls one identity, such as {name}-1795414019.311"
            reader.wrong("pbx", "name", what, index)


def check_route(reader: Reader, index: int, route: Route) -> None:
    """Check that an Originate by this route is valid, so that an error shows now and not at the first click."""
    try:
        channel = route.channel.format(extension="101")
        Originate(channel=channel, context="default", exten="101", channel_id="uac-1")
    except LocalProtocolError as why:
        reader.wrong("pbx", "originate_channel", f"{why}, found {route.channel!r}", index)
    for context in (route.context, *sorted(route.contexts)):
        try:
            Originate(channel="PJSIP/101", context=context, exten="101", channel_id="uac-1")
        except LocalProtocolError as why:
            key = "originate_context" if context == route.context else "originate_contexts"
            reader.wrong("pbx", key, f"{why}, found {context!r}", index)
    for name, value in route.variables.items():
        variables = ((name, value.format(extension="101", number="+79161234567")),)
        try:
            Originate(channel="PJSIP/101", context="default", exten="101", channel_id="uac-1", variables=variables)
        except LocalProtocolError as why:
            reader.wrong("pbx", "originate_variables", f"{why}, found {name} = {value!r}", index)


def check_authorities(reader: Reader, table: str, key: str, ca_file: str | Path | None, index: int = 0) -> None:
    """Check that ``ca_file`` exists and has certificates. None means those of the system."""
    if ca_file is None:
        return
    try:
        ssl.create_default_context(cafile=ca_file)
    except OSError as why:
        what = "holds no certificate" if isinstance(why, ssl.SSLError) else why.strerror or str(why)
        reader.wrong(table, key, f"{ca_file}: {what}", index)


def check_cache(reader: Reader, cache: str, recordings: Mapping[str, Sequence[str]]) -> None:
    # Compares only the paths: a directory may be on a mount that hangs.
    own = _plain(cache)
    for root in chain.from_iterable(recordings.values()):
        theirs = _plain(root)
        if own.is_relative_to(theirs) or theirs.is_relative_to(own):
            what = f"expected a separate directory, neither within nor above the recordings in {root}"
            reader.wrong("recordings", "cache", what)
            return


def _plain(path: str) -> PurePath:
    return PurePath(os.path.normpath("/" + path.lstrip("/")))  # normpath keeps two slashes at the beginning


FREEPBX_AGI = 4573
"""The port of FreePBX's FastAGI server on 127.0.0.1 (used by its ring groups and recordings on demand)."""


def check_agi_port(reader: Reader, bind: str) -> None:
    """Check that ``[route] bind`` does not conflict with FreePBX on the same machine."""
    if not bind:
        return
    host, port = parse_bind(bind)
    if port == FREEPBX_AGI and _reaches_loopback(host):
        what = (
            f"expected another port than {FREEPBX_AGI} on this machine's own address, such as 127.0.0.1:4574: "
            f"FreePBX's FastAGI server listens on 127.0.0.1:{FREEPBX_AGI}, and the second of the two to start "
            f"would fail, found {bind!r}"
        )
        reader.wrong("route", "bind", what)


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
