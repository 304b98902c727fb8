"""Reads each ``[[pbx]]``: the connection, how it calls employees, where its recordings are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from uac_trio.ami_client.server import AMIServer
from uac_trio.backfill.settings import CdrSettings
from uac_trio.config.building import build
from uac_trio.config.checks import check_authorities, check_name, check_route
from uac_trio.config.keys import keys_of, names_of, optional
from uac_trio.config.reader import Reader
from uac_trio.crm.click import Route
from uac_trio.recordings.settings import HostSettings, RecordingRoots


@attrs.define
class PBXes:
    """What all ``[[pbx]]`` say, in the order of the file."""

    servers: list[AMIServer] = attrs.field(factory=list)
    routes: list[Route] = attrs.field(factory=list)
    recordings: dict[str, tuple[str, ...]] = attrs.field(factory=dict)
    """Directories, by the name of the PBX."""
    hosts: list[HostSettings] = attrs.field(factory=list)
    cdr: list[CdrSettings] = attrs.field(factory=list)
    """Of those whose CDR is read."""


SERVER, ROUTE, ROOTS, HOST, CDR = (
    keys_of(settings) for settings in (AMIServer, Route, RecordingRoots, HostSettings, CdrSettings)
)


def read_pbxes(reader: Reader) -> PBXes:
    """All of the file; one with a problem, which the reader keeps, is left out."""
    pbxes = PBXes()
    names: set[str] = set()
    before = len(reader.problems)
    items = reader.items("pbx")
    if not items and len(reader.problems) == before:
        reader.wrong("pbx", "", "expected at least one [[pbx]], the Asterisk server to connect to")
    for index, given in enumerate(items):
        host = HOST if "recordings_url" in given else optional(HOST)
        values = reader.values("pbx", given, {**SERVER, **ROUTE, **ROOTS, **CDR, **host}, index)
        if "name" not in values or "secret" not in values:
            continue
        _read_host(reader, index, given, values, pbxes)
        check_name(reader, index, values["name"], names)
        names.add(values["name"])
        _read_server(reader, index, values, pbxes)
        _read_cdr(reader, index, values, pbxes)
    return pbxes


def _read_server(reader: Reader, index: int, values: Mapping[str, Any], pbxes: PBXes) -> None:
    server = build(reader, AMIServer, values, SERVER, table="pbx", index=index)
    route = build(reader, Route, values, ROUTE, table="pbx", index=index, pbx=values["name"])
    roots = build(reader, RecordingRoots, values, ROOTS, table="pbx", index=index)
    if route:
        check_route(reader, index, route)
    if server:
        check_authorities(reader, "pbx", "tls_ca", server.tls_ca, index)
    if server and route and roots:
        pbxes.servers.append(server)
        pbxes.routes.append(route)
        pbxes.recordings[server.name] = roots.paths


def _read_cdr(reader: Reader, index: int, values: Mapping[str, Any], pbxes: PBXes) -> None:
    """Where its CDR is, if calls are to be filled in from it."""
    cdr = build(reader, CdrSettings, values, CDR, table="pbx", index=index, pbx=values["name"])
    if cdr and cdr.address:
        pbxes.cdr.append(cdr)
    elif cdr and cdr.zone:
        reader.wrong("pbx", "cdr_zone", "needs cdr, which is missing", index)


def _read_host(reader: Reader, index: int, given: Mapping[str, Any], values: Mapping[str, Any], pbxes: PBXes) -> None:
    """The machine that serves this PBX's recordings, if one is configured."""
    if "recordings_url" not in given:
        for key in sorted(given.keys() & set(names_of(HOST))):
            reader.wrong("pbx", key, "needs a recordings_url, which is missing", index)
        return
    check_authorities(reader, "pbx", "recordings_ca", values.get("recordings_ca"), index)
    host = build(reader, HostSettings, values, HOST, table="pbx", index=index, pbx=values["name"])
    if host:
        pbxes.hosts.append(host)
