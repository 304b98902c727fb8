"""The keys of each table of the configuration. A new setting needs one line here and one in the example file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from uac_trio.config.reader import Key, Keys
from uac_trio.config.values import (
    absolute_path,
    absolute_paths,
    address_without_login,
    agi_bind,
    bind,
    converter,
    country,
    extensions,
    filled,
    flag,
    host,
    hosts,
    member,
    networks,
    one_of,
    or_none,
    pattern,
    patterns,
    prefix,
    seconds,
    template,
    templates,
    text,
    text_set,
    text_table,
    texts,
    variable,
    web_address,
    whole,
    word,
    words,
)
from uac_trio.crm.number import DialForm
from uac_trio.logs import LEVELS
from uac_trio.recordings.sound import TARGETS

SECRET: Keys = {
    "secret": Key(read=filled, secret=True),
    "secret_file": Key(read=filled),
}

SERVER: Keys = {
    "name": Key(read=word, required=True),
    "host": Key(read=host, required=True),
    "port": Key(read=whole(1, 65535)),
    "username": Key(read=filled, required=True),
    "tls": Key(read=flag),
    "tls_ca": Key(read=lambda value: Path(absolute_path(value))),
    "tls_name": Key(read=host),
    "plaintext_login": Key(read=flag),
    "events": Key(read=words),
    "want_dialplan": Key(read=flag),
    "noise": Key(read=words),
    "connect_timeout": Key(read=seconds(0.1, 120)),
    "login_timeout": Key(read=seconds(0.1, 120)),
    "ping_interval": Key(read=seconds(1, 3600)),
    "answer_timeout": Key(read=seconds(0.1, 120)),
    "send_timeout": Key(read=seconds(0.1, 120)),
    "backoff_min": Key(read=seconds(0.1, 3600)),
    "backoff_max": Key(read=seconds(0.1, 3600)),
}
"""``[[pbx]]``: the connection to its manager interface."""

ROUTE: Keys = {
    "originate_extensions": Key(read=extensions, attribute="extensions"),
    "originate_channel": Key(read=template("extension", needs=("extension",)), attribute="channel"),
    "originate_context": Key(read=filled, attribute="context"),
    "originate_contexts": Key(read=text_set, attribute="contexts"),
    "originate_caller_id": Key(read=template("extension"), attribute="caller_id"),
    "originate_variables": Key(read=templates("extension", "number"), attribute="variables"),
}
"""``[[pbx]]``: how it calls an employee."""

ROOTS: Keys = {"recordings": Key(read=absolute_paths)}
"""``[[pbx]]``: where its recordings are."""

HOST: Keys = {
    "recordings_url": Key(read=address_without_login("http://pbx-host:5001", "recordings_secret"), attribute="url"),
    "recordings_secret": Key(read=filled, secret=True),
    "recordings_secret_file": Key(read=filled),
    "recordings_ca": Key(read=absolute_path, attribute="ca_file"),
}
"""``[[pbx]]``: the machine that serves its recordings."""

CALLS: Keys = {
    "extensions": Key(read=extensions),
    "internal": Key(read=one_of("ignore", "report")),
    "unreached": Key(read=text),
    "unreached_by": Key(read=text_table),
    "region": Key(read=country),
    "devices": Key(read=text_table),
    "trunks": Key(read=text_set),
    "mobiles": Key(read=text_table),
    "only_endpoints": Key(read=pattern),
    "only_contexts": Key(read=pattern),
    "only_dids": Key(read=text_set),
    "only_tenants": Key(read=text_set),
    "recording_headers": Key(read=texts),
    "outside_prefix": Key(read=prefix),
    "linger": Key(read=seconds(0, 60)),
}

CLICK2CALL: Keys = {
    "enabled": Key(read=flag),
    "networks": Key(read=networks),
    "allow": Key(read=patterns),
    "deny": Key(read=patterns),
    "dial_prefix": Key(read=prefix),
    "dial_form": Key(read=member(DialForm)),
    "strip_plus": Key(read=flag),
    "caller_id": Key(read=template("number", "extension")),
    "ring_seconds": Key(read=whole(5, 300)),
    "answer_seconds": Key(read=seconds(0.1, 3)),
    "guard_seconds": Key(read=seconds(0, 60)),
    "per_minute": Key(read=whole(1, 1000)),
    "total_per_minute": Key(read=whole(1, 10_000)),
}

RESPONSIBLE: Keys = {
    "bind": Key(read=or_none(agi_bind)),
    "networks": Key(read=networks),
    "variable": Key(read=variable),
    "deadline_seconds": Key(read=seconds(0.1, 5)),
    "cache_seconds": Key(read=seconds(0, 3600)),
    "url": Key(read=or_none(web_address("http://crm.example/modules/PBXManager/callbacks/SPAgi.php"))),
}
"""``[route]``: its secret may be missing or empty."""

HTTP: Keys = {
    "bind": Key(read=bind),
    "public_url": Key(read=web_address("http://172.16.1.1:5000")),
    "max_connections": Key(read=whole(1, 10_000)),
    "stall_seconds": Key(read=seconds(1, 3600)),
    "grace_seconds": Key(read=seconds(0, 10)),
    "monitor_networks": Key(read=networks),
    "monitor_hosts": Key(read=hosts),
    "wrong_secrets_per_minute": Key(read=whole(1, 10_000)),
}

RECORDINGS: Keys = {
    "wait_seconds": Key(read=seconds(1, 86400)),
    "link_days": Key(read=whole(0, 36500)),
    "keep_days": Key(read=whole(0, 36500)),
    "delete_files": Key(read=flag),
    "max_downloads": Key(read=whole(1, 1000)),
    "max_downloads_per_client": Key(read=whole(1, 1000)),
    "format": Key(read=one_of(*TARGETS)),
    "converter": Key(read=converter),
    "convert_seconds": Key(read=seconds(1, 3600)),
    "conversions": Key(read=whole(1, 64)),
    "cache": Key(read=or_none(absolute_path)),
    "cache_mb": Key(read=whole(1, 1_000_000)),
}

STORE: Keys = {
    "url": Key(read=filled, secret=True),
    "url_file": Key(read=filled),
    "busy_timeout": Key(read=seconds(0.1, 60)),
    "keep_delivered": Key(read=seconds(3600, 10 * 365 * 86400)),
    "pool_size": Key(read=whole(1, 100)),
}

SENDER: Keys = {
    "in_flight": Key(read=whole(1, 16)),
    "connect_timeout": Key(read=seconds(0.1, 120)),
    "reply_timeout": Key(read=seconds(0.1, 300)),
    "retry_min": Key(read=seconds(0.1, 3600)),
    "retry_max": Key(read=seconds(1, 86400)),
    "away_max": Key(read=seconds(1, 3600)),
    "unknown_pause": Key(read=seconds(1, 3600)),
    "shutdown_grace": Key(read=seconds(0, 10)),
    "ca_file": Key(read=absolute_path),
}

LOG: Keys = {
    "level": Key(read=one_of(*LEVELS)),
    "json": Key(read=flag),
    "mask": Key(read=flag),
}

TABLES: Mapping[str, Keys] = {
    "pbx": {**SERVER, **SECRET, **ROUTE, **ROOTS, **HOST},
    "calls": CALLS,
    "click2call": CLICK2CALL,
    "route": {**RESPONSIBLE, "secret": Key(read=text, secret=True), "secret_file": Key(read=filled)},
    "http": HTTP,
    "recordings": RECORDINGS,
    "store": STORE,
    "sender": SENDER,
    "log": LOG,
}
"""All tables with their keys, except the CRM's."""

SERVE: Keys = {
    "bind": Key(read=bind),
    "recordings": Key(read=absolute_paths, required=True),
    "networks": Key(read=networks, required=True),
    "delete_files": Key(read=flag),
    "stall_seconds": Key(read=seconds(1, 3600)),
    "max_connections": Key(read=whole(1, 10_000)),
}

SERVE_TABLES: Mapping[str, Keys] = {"serve": {**SERVE, **SECRET}, "log": LOG}
"""The tables of the configuration of ``uac-trio serve-recordings``."""

MAY_LACK_SECRET = frozenset({"route"})
