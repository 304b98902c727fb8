"""Reads one TOML file into the settings classes of the other packages.

All mistakes in a file are reported at once, each with line, key, the expected and the found value.
"""

from __future__ import annotations

import os
import ssl
import stat
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path, PurePath
from typing import Any, TypeVar

import attrs

from uac_trio.ami.action import Originate
from uac_trio.ami.message import LocalProtocolError
from uac_trio.ami_client.server import AMIServer
from uac_trio.calls.rules import TrackerRules, national_number
from uac_trio.config.crms import chosen_crm, crm_names, keys_of, load_settings
from uac_trio.config.reader import ConfigError, Keys, Reader
from uac_trio.config.tables import CALLS, HOST, MAY_LACK_SECRET, ROUTE, SECRET, SERVE_TABLES, SERVER, STORE, TABLES
from uac_trio.crm.click import Click2CallRules, Route
from uac_trio.crm.protocol import CRM, CRMSettings, Surroundings
from uac_trio.crm.responsible import ResponsibleRules
from uac_trio.logs import LogSettings
from uac_trio.recordings.settings import HostSettings, RecordingsSettings
from uac_trio.sender.breaker import SenderSettings
from uac_trio.store.settings import OutboxError, OutboxSettings, beside, parse_url
from uac_trio.web.settings import ServeSettings, WebSettings

T = TypeVar("T")


@attrs.frozen(kw_only=True)
class Config:
    """A valid configuration."""

    path: Path
    pbx: tuple[AMIServer, ...]
    routes: tuple[Route, ...]
    """One per PBX, in the same order."""
    recordings: Mapping[str, tuple[str, ...]]
    """Directories of each PBX's recordings, by its name."""
    hosts: tuple[HostSettings, ...]
    """Other machines that have recordings."""
    calls: TrackerRules
    crm: CRM
    click2call: Click2CallRules
    responsible: ResponsibleRules
    """``[route]``."""
    http: WebSettings
    playback: RecordingsSettings
    """``[recordings]``."""
    store: OutboxSettings
    sender: SenderSettings
    log: LogSettings
    warnings: tuple[str, ...] = ()
    """Warnings about valid but risky settings, for ``check`` and the start of the daemon."""


@attrs.frozen(kw_only=True)
class ServeConfig:
    """A valid configuration of ``uac-trio serve-recordings``."""

    path: Path
    serve: ServeSettings
    log: LogSettings


def load_config(path: Path, environ: Mapping[str, str] = os.environ) -> Config:
    """Read the configuration at ``path``. ``environ`` may have CREDENTIALS_DIRECTORY. Raises ConfigError."""
    reader = Reader(path, environ)
    reader.load()
    reader.know_only([*TABLES, *crm_names()])
    servers, routes, recordings, hosts = _read_pbxes(reader)
    calls = _read_calls(reader)
    crm_table, crm_settings = _read_crm(reader)
    click2call = _read(reader, "click2call", Click2CallRules)
    responsible = _read(reader, "route", ResponsibleRules)
    http = _read(reader, "http", WebSettings)
    playback = _read(reader, "recordings", RecordingsSettings)
    store = _read_store(reader)
    sender = _read(reader, "sender", SenderSettings)
    log = _read(reader, "log", LogSettings)
    if sender:
        _check_authorities(reader, "sender", "ca_file", sender.ca_file)
    if playback and playback.cache:
        _check_cache(reader, playback.cache, recordings)
    if http and crm_settings and len(http.public_url) > crm_settings.longest_public_url:
        what = f"expected {crm_settings.longest_public_url} characters at most: the CRM cuts longer links to recordings"
        reader.wrong("http", "public_url", what)
    if reader.problems or not (
        calls and crm_settings and click2call and responsible and http and playback and store and sender and log
    ):
        raise ConfigError(reader.problems)
    crm = crm_settings.crm(
        Surroundings(
            public_url=http.public_url,
            is_extension=calls.is_extension,
            owner_url=responsible.url,
            region=calls.region,
        )
    )
    route_warnings = crm.warnings(asks_for_owner=responsible.is_on, route_secret=responsible.secret)
    return Config(
        path=path,
        pbx=tuple(servers),
        routes=tuple(routes),
        recordings=recordings,
        hosts=tuple(hosts),
        calls=calls,
        crm=crm,
        click2call=click2call,
        responsible=responsible,
        http=http,
        playback=playback,
        store=store,
        sender=sender,
        log=log,
        warnings=(*_warnings(path, reader.data, crm_table), *(f"{path}: {warning}" for warning in route_warnings)),
    )


def _read_crm(reader: Reader) -> tuple[str, CRMSettings | None]:
    """The name of the CRM's table and its settings; None after a problem, which the reader keeps."""
    name, settings, keys = _crm_table(reader)
    if settings is None or keys is None:
        return name, None
    return name, _read(reader, name, settings, {name: {**keys, **SECRET}})


def _crm_table(reader: Reader) -> tuple[str, type[CRMSettings] | None, Keys | None]:
    """The name of the CRM's table, its class and its keys; None for what a problem, which the reader keeps, hides."""
    name = chosen_crm(reader)
    settings = load_settings(reader, name) if name else None
    if settings is None:
        return name, None, None
    try:
        return name, settings, keys_of(settings)
    except TypeError as why:
        reader.wrong(name, "", f"its package does not fit this version: {why}")
        return name, settings, None


def load_replay(path: Path) -> tuple[TrackerRules, CRMSettings]:
    """The ``[calls]`` and the CRM of the file at ``path``, for ``replay --config``; other tables are ignored.

    The CRM's secret is not read, since nothing is sent. Raises ConfigError.
    """
    reader = Reader(path, {})
    reader.load()
    rules = _read_calls(reader)
    name, settings, keys = _crm_table(reader)
    crm = None
    if settings is not None and keys is not None:
        values = reader.table(name, {**keys, **SECRET})
        values = {key: value for key, value in values.items() if key not in SECRET}
        crm = _build(reader, name, 0, settings, {**values, "secret": "nothing is sent".ljust(32, ".")}, keys)
    if reader.problems or rules is None or crm is None:
        raise ConfigError(reader.problems)
    return rules, crm


def load_rules(path: Path) -> TrackerRules:
    """The ``[calls]`` table of the file at ``path``, for ``replay --rules``; other tables are ignored.

    Raises ConfigError.
    """
    reader = Reader(path, {})
    reader.load()
    rules = _read_calls(reader)
    if rules is None:
        raise ConfigError(reader.problems)
    return rules


def load_serve_config(path: Path, environ: Mapping[str, str] = os.environ) -> ServeConfig:
    """As ``load_config``, for ``uac-trio serve-recordings``. Raises ConfigError."""
    reader = Reader(path, environ)
    reader.load()
    reader.know_only(SERVE_TABLES)
    serve = _read(reader, "serve", ServeSettings, SERVE_TABLES)
    log = _read(reader, "log", LogSettings, SERVE_TABLES)
    if reader.problems or not (serve and log):
        raise ConfigError(reader.problems)
    return ServeConfig(path=path, serve=serve, log=log)


def _read_calls(reader: Reader) -> TrackerRules | None:
    """``[calls]``; None after a problem, which the reader keeps."""
    before = len(reader.problems)
    values = reader.table("calls", CALLS)
    if len(reader.problems) > before:
        return None
    if not _check_mobiles(reader, values.get("mobiles", {}), TrackerRules(**{**values, "mobiles": {}})):
        return None
    return TrackerRules(**values)


def _check_mobiles(reader: Reader, mobiles: Mapping[str, str], rules: TrackerRules) -> bool:
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


def _read_pbxes(
    reader: Reader,
) -> tuple[list[AMIServer], list[Route], dict[str, tuple[str, ...]], list[HostSettings]]:
    servers: list[AMIServer] = []
    routes: list[Route] = []
    recordings: dict[str, tuple[str, ...]] = {}
    hosts: list[HostSettings] = []
    names: set[str] = set()
    before = len(reader.problems)
    given = reader.tables("pbx", TABLES["pbx"])
    if not given and len(reader.problems) == before:
        reader.wrong("pbx", "", "expected at least one [[pbx]], the Asterisk server to connect to")
    for index, values in enumerate(given):
        secret = reader.secret("pbx", index)
        name = values.get("name")
        if name is None or secret is None:
            continue
        hosts += _read_host(reader, index, name, values)
        _check_name(reader, index, name, names)
        names.add(name)
        server = _build(reader, "pbx", index, AMIServer, {**_of(SERVER, values), "secret": secret}, SERVER)
        route = _build(reader, "pbx", index, Route, {**_of(ROUTE, values), "pbx": name}, ROUTE)
        if route:
            _check_route(reader, index, route)
        if server:
            _check_authorities(reader, "pbx", "tls_ca", server.tls_ca, index)
        if server and route:
            servers.append(server)
            routes.append(route)
            recordings[name] = values.get("recordings", ())
    return servers, routes, recordings, hosts


def _read_host(reader: Reader, index: int, pbx: str, values: Mapping[str, Any]) -> list[HostSettings]:
    """The machine that serves this PBX's recordings, if one is configured."""
    given = reader.data["pbx"][index]
    if "recordings_url" not in given:
        for key in sorted(given.keys() & HOST.keys()):
            reader.wrong("pbx", key, "needs a recordings_url, which is missing", index)
        return []
    secret = reader.secret("pbx", index, "recordings_secret")
    ca_file = values.get("ca_file")
    _check_authorities(reader, "pbx", "recordings_ca", ca_file, index)
    if secret is None or "url" not in values:
        return []
    return [HostSettings(pbx=pbx, url=values["url"], secret=secret, ca_file=ca_file)]


def _read(reader: Reader, table: str, settings: type[T], tables: Mapping[str, Keys] = TABLES) -> T | None:
    """One table as its settings class; None after a problem, which the reader keeps."""
    keys = tables[table]
    before = len(reader.problems)
    values = reader.table(table, keys)
    if "secret" in keys:
        values = {name: value for name, value in values.items() if name not in SECRET}
        given = reader.data.get(table)
        if table in MAY_LACK_SECRET and not (isinstance(given, dict) and any(given.get(name) for name in SECRET)):
            pass
        elif given is not None:
            values["secret"] = reader.secret(table)
        else:
            reader.wrong(table, "secret", "expected either secret or secret_file")
    if len(reader.problems) > before:
        return None
    return _build(reader, table, 0, settings, values, keys)


def _build(reader: Reader, table: str, index: int, settings: type[T], values: dict[str, Any], keys: Keys) -> T | None:
    """Make the settings object. A value that its class refuses becomes a problem of its key."""
    missing = [name for name, key in keys.items() if key.required and (key.attribute or name) not in values]
    if missing:
        return None  # reported already
    refused = _refused(settings, values, keys)
    for key, why in refused.items():
        reader.wrong(table, key, why, index)
    if refused:
        return None
    try:
        return settings(**values)
    except ValueError as why:
        reader.wrong(table, "", str(why), index)
        return None


def _refused(settings: type[Any], values: Mapping[str, Any], keys: Keys) -> dict[str, str]:
    """Why the class's own validators refuse values, by key."""
    refused: dict[str, str] = {}
    fields = attrs.fields_dict(settings)
    for name, key in {**keys, **SECRET}.items():
        field = fields.get(key.attribute or name)
        if field is None or field.validator is None or field.name not in values:
            continue
        try:
            field.validator(None, field, values[field.name])
        except ValueError as why:
            refused[name] = str(why)
    return refused


def _check_name(reader: Reader, index: int, name: str, others: Iterable[str]) -> None:
    """A call's identity begins with the name of its PBX, so no name may be a prefix of another PBX's identities."""
    for other in others:
        if name == other:
            reader.wrong("pbx", "name", f"{name!r} is also the name of another [[pbx]]", index)
        elif name.startswith(f"{other}-") or other.startswith(f"{name}-"):
            what = f"{name!r} and {other!r} could give two calls one identity, such as {name}-1795414019.311"
            reader.wrong("pbx", "name", what, index)


def _check_route(reader: Reader, index: int, route: Route) -> None:
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


def _check_authorities(reader: Reader, table: str, key: str, ca_file: str | Path | None, index: int = 0) -> None:
    """Check that ``ca_file`` exists and has certificates. None means those of the system."""
    if ca_file is None:
        return
    try:
        ssl.create_default_context(cafile=ca_file)
    except OSError as why:
        what = "holds no certificate" if isinstance(why, ssl.SSLError) else why.strerror or str(why)
        reader.wrong(table, key, f"{ca_file}: {what}", index)


def _read_store(reader: Reader) -> OutboxSettings | None:
    """``url``, or the URL in ``url_file``, which may have a password. A relative path of a database file is relative
    to the configuration, so that it does not depend on the working directory."""
    before = len(reader.problems)
    values = reader.table("store", STORE)
    key = "url"
    if values.pop("url_file", None) is not None:
        key, url = "url_file", reader.secret("store", key="url")
        if url is not None:
            values["url"] = url.strip()
    if len(reader.problems) > before:
        return None
    store = _build(reader, "store", 0, OutboxSettings, values, STORE)
    if store is None:
        return None
    try:
        return attrs.evolve(store, url=beside(store.url, reader.path.absolute().parent))
    except OutboxError as why:
        reader.wrong("store", key, str(why).removeprefix("[store] url "))
        return None


def _check_cache(reader: Reader, cache: str, recordings: Mapping[str, Sequence[str]]) -> None:
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


def _of(keys: Keys, values: Mapping[str, Any]) -> dict[str, Any]:
    attributes = {key.attribute or name for name, key in keys.items()}
    return {name: value for name, value in values.items() if name in attributes}


def _warnings(path: Path, data: Mapping[str, Any], crm: str) -> list[str]:
    """``crm``: the name of its table."""
    warnings: list[str] = []
    tables = [data.get(crm, {}), data.get("route", {}), *data.get("pbx", [])]
    may_be_read = bool(path.stat().st_mode & stat.S_IROTH)
    if any("secret" in table for table in tables) and may_be_read:
        warnings.append(
            f"{path}: has a secret and every user of this machine can read it; put the secrets into files that only "
            "root can read, and name these in secret_file (the systemd unit passes them with LoadCredential=)"
        )
    if _has_password(data.get("store", {}).get("url")) and may_be_read:
        warnings.append(
            f"{path}: [store] url has a password and every user of this machine can read it; put the URL into a file "
            "that only root can read, and name it in url_file (the systemd unit passes it with LoadCredential=)"
        )
    if not data.get("http", {}).get("public_url"):
        warnings.append(f"{path}: [http] public_url is not set, so the CRM gets no links to recordings")
    return warnings


def _has_password(store_url: str | None) -> bool:
    return store_url is not None and parse_url(store_url).password is not None
