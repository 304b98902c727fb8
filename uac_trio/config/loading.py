"""Reads one TOML file into the settings classes of the other packages.

All mistakes in a file are reported at once, each with line, key, the expected and the found value.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs

from uac_trio.ami_client.server import AMIServer
from uac_trio.backfill.settings import CdrSettings, has_password
from uac_trio.calls.rules import TrackerRules
from uac_trio.config.building import read
from uac_trio.config.checks import check_agi_port, check_authorities, check_cache, check_mobiles
from uac_trio.config.crms import chosen_crm, crm_names, keys_of_crm, load_settings
from uac_trio.config.keys import keys_of
from uac_trio.config.pbxes import read_pbxes
from uac_trio.config.reader import ConfigError, Place, Reader
from uac_trio.config.tables import SERVE_TABLES, TABLES
from uac_trio.crm.click import Click2CallRules, Route
from uac_trio.crm.protocol import CRM, CRMSettings, Surroundings
from uac_trio.crm.responsible import ResponsibleRules
from uac_trio.flight_recorder.settings import FlightRecorderSettings
from uac_trio.logs import LogSettings
from uac_trio.recordings.settings import HostSettings, RecordingsSettings
from uac_trio.sender.breaker import SenderSettings
from uac_trio.store.settings import OutboxError, OutboxSettings, beside, file_of, parse_url
from uac_trio.web.settings import CompanionSettings, ServeSettings, WebSettings
from uac_trio.working_hours import WorkingHours


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
    cdr: tuple[CdrSettings, ...]
    """Of the PBXes whose CDR is read."""
    calls: TrackerRules
    crm: CRM
    click2call: Click2CallRules
    responsible: ResponsibleRules
    """``[route]``."""
    http: WebSettings
    companion: CompanionSettings
    playback: RecordingsSettings
    """``[recordings]``."""
    store: OutboxSettings
    sender: SenderSettings
    flight_recorder: FlightRecorderSettings
    alerts: WorkingHours
    """``[alerts]``."""
    log: LogSettings
    warnings: tuple[str, ...] = ()
    """Warnings about valid but risky settings, for ``check`` and the start of the daemon."""
    secret_files: tuple[Path, ...] = ()
    """Files that hold a secret, the configuration itself if it has one."""
    given: Mapping[Place, object] = attrs.field(factory=dict, repr=False, eq=False)
    """What the file has, by place; of secrets a hash. To be compared with another reading of it."""

    @property
    def flight_recorder_directory(self) -> Path:
        """There or not; known without opening the store."""
        file = file_of(self.store)
        return self.flight_recorder.place(None if file is None else file.parent)


@attrs.frozen(kw_only=True)
class ServeConfig:
    """A valid configuration of ``uac-trio serve-recordings``."""

    path: Path
    serve: ServeSettings
    log: LogSettings
    given: Mapping[Place, object] = attrs.field(factory=dict, repr=False, eq=False)
    """As that of ``Config``."""


def load_config(path: Path, environ: Mapping[str, str] = os.environ) -> Config:
    """Read the configuration at ``path``. ``environ`` may have CREDENTIALS_DIRECTORY. Raises ConfigError."""
    reader = Reader(path, environ)
    reader.load()
    reader.know_only([*TABLES, *crm_names()])
    pbxes = read_pbxes(reader)
    calls = _read_calls(reader)
    crm_table, crm_settings = _read_crm(reader)
    click2call = read(reader, Click2CallRules)
    responsible = read(reader, ResponsibleRules)
    http = read(reader, WebSettings)
    companion = read(reader, CompanionSettings)
    playback = read(reader, RecordingsSettings)
    store = _read_store(reader)
    sender = read(reader, SenderSettings)
    flight_recorder = read(reader, FlightRecorderSettings)
    alerts = read(reader, WorkingHours)
    log = read(reader, LogSettings)
    if responsible:
        check_agi_port(reader, responsible.bind)
    if sender:
        check_authorities(reader, "sender", "ca_file", sender.ca_file)
    if playback and playback.cache:
        check_cache(reader, playback.cache, pbxes.recordings)
    if http and crm_settings and len(http.public_url) > crm_settings.longest_public_url:
        what = f"expected {crm_settings.longest_public_url} characters at most: the CRM cuts longer links to recordings"
        reader.wrong("http", "public_url", what)
    if reader.problems or not (
        calls
        and crm_settings
        and click2call
        and responsible
        and http
        and companion
        and playback
        and store
        and sender
        and flight_recorder
        and alerts
        and log
    ):
        raise ConfigError(reader.problems)
    crm = crm_settings.crm(
        Surroundings(
            public_url=http.public_url,
            is_extension=calls.is_extension,
            owner_url=responsible.url,
            wants_module=companion.enabled,
            region=calls.region,
        )
    )
    route_warnings = crm.warnings(asks_for_owner=responsible.is_on, route_secret=responsible.secret)
    return Config(
        path=path,
        pbx=tuple(pbxes.servers),
        routes=tuple(pbxes.routes),
        recordings=pbxes.recordings,
        hosts=tuple(pbxes.hosts),
        cdr=tuple(pbxes.cdr),
        calls=calls,
        crm=crm,
        click2call=click2call,
        responsible=responsible,
        http=http,
        companion=companion,
        playback=playback,
        store=store,
        sender=sender,
        flight_recorder=flight_recorder,
        alerts=alerts,
        log=log,
        secret_files=_secret_files(reader, crm_table),
        warnings=(
            *_warnings(path, reader.data, crm_table),
            *(
                f"{path}: {warning}"
                for warning in (
                    *_same_servers(pbxes.servers),
                    *route_warnings,
                    *_short_key(crm.secret if companion.enabled else None),
                )
            ),
        ),
        given=reader.given,
    )


def _read_crm(reader: Reader) -> tuple[str, CRMSettings | None]:
    """The name of the CRM's table and its settings; None after a problem, which the reader keeps."""
    name = chosen_crm(reader)
    settings = load_settings(reader, name) if name else None
    if settings is None:
        return name, None
    try:
        keys = keys_of_crm(settings)
    except TypeError as why:
        reader.wrong(name, "", f"its package does not fit this version: {why}")
        return name, None
    return name, read(reader, settings, table=name, keys=keys)


def load_replay(path: Path) -> tuple[TrackerRules, CRMSettings]:
    """The ``[calls]`` and the CRM of the file at ``path``, for ``replay --config``; other tables are ignored.

    The CRM's secret is not read, since nothing is sent. Raises ConfigError.
    """
    reader = Reader(path, {}, stand_in="nothing is sent".ljust(32, "."))
    reader.load()
    rules = _read_calls(reader)
    _, crm = _read_crm(reader)
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
    serve = read(reader, ServeSettings)
    log = read(reader, LogSettings)
    if reader.problems or not (serve and log):
        raise ConfigError(reader.problems)
    return ServeConfig(path=path, serve=serve, log=log, given=reader.given)


def _read_calls(reader: Reader) -> TrackerRules | None:
    """``[calls]``; None after a problem, which the reader keeps."""
    before = len(reader.problems)
    keys = keys_of(TrackerRules)
    values = reader.table("calls", keys)
    if len(reader.problems) > before:
        return None
    if not check_mobiles(reader, values.get("mobiles", {}), TrackerRules(**{**values, "mobiles": {}})):
        return None
    return TrackerRules(**values)


def _read_store(reader: Reader) -> OutboxSettings | None:
    """A relative path of a database file is relative to the configuration, so that it does not depend on the working
    directory."""
    store = read(reader, OutboxSettings)
    if store is None:
        return None
    try:
        return attrs.evolve(store, url=beside(store.url, reader.path.absolute().parent))
    except OutboxError as why:
        key = "url_file" if "url_file" in reader.data["store"] else "url"
        reader.wrong("store", key, str(why).removeprefix("[store] url "))
        return None


def _secret_files(reader: Reader, crm: str) -> tuple[Path, ...]:
    """``crm``: the name of its table."""
    own = [reader.path] if _has_secret(reader.data, crm) or _addresses_with_password(reader.data) else []
    return tuple(dict.fromkeys([*own, *reader.secret_files]))


def _has_secret(data: Mapping[str, Any], crm: str) -> bool:
    tables = [data.get(crm, {}), data.get("route", {}), *data.get("pbx", [])]
    return any("secret" in table or "recordings_secret" in table for table in tables)


LEAST_KEY = 20
"""Characters of a key with which browsers' tokens are signed."""


def _short_key(secret: str | None) -> Iterator[str]:
    """``secret``: of the CRM, where tokens are signed with it."""
    if secret is not None and len(secret) < LEAST_KEY:
        yield (
            f"[companion] has browsers' tokens signed with the CRM's secret, and that has fewer than {LEAST_KEY} "
            "characters: a user could find it by trying against their token; take a longer one in the CRM and here"
        )


def _same_servers(servers: Iterable[AMIServer]) -> Iterator[str]:
    """Warnings of PBXes that are one and the same."""
    names: dict[tuple[str, int], str] = {}
    for server in servers:
        first = names.setdefault((server.host, server.port), server.name)
        if first != server.name:
            yield (
                f"[[pbx]] {first} and {server.name} are both {server.host}:{server.port}, so each of its calls is in "
                "the CRM twice; remove one"
            )


def _warnings(path: Path, data: Mapping[str, Any], crm: str) -> list[str]:
    """``crm``: the name of its table."""
    warnings: list[str] = []
    may_be_read = bool(path.stat().st_mode & stat.S_IROTH)
    if _has_secret(data, crm) and may_be_read:
        warnings.append(
            f"{path}: has a secret and every user of this machine can read it; put the secrets into files that only "
            "root can read, and name these in secret_file (the systemd unit passes them with LoadCredential=)"
        )
    if may_be_read:
        warnings += [
            f"{path}: {key} has a password and every user of this machine can read it; put the address into a file "
            f"that only root can read, and name it in {file} (the systemd unit passes it with LoadCredential=)"
            for key, file in _addresses_with_password(data)
        ]
    if not data.get("http", {}).get("public_url"):
        warnings.append(f"{path}: [http] public_url is not set, so the CRM gets no links to recordings")
    return warnings


def _addresses_with_password(data: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Their keys, each with the key that may name a file in its place."""
    found: list[tuple[str, str]] = []
    store_url = data.get("store", {}).get("url")
    if store_url is not None and parse_url(store_url).password is not None:
        found.append(("[store] url", "url_file"))
    if any(has_password(pbx["cdr"]) for pbx in data.get("pbx", []) if "cdr" in pbx):
        found.append(("[[pbx]] cdr", "cdr_file"))
    return found
