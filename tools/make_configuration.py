"""Writes docs/configuration.md from the settings classes.

    python -m tools.make_configuration

tests/test_docs.py holds the committed page to this. What a key means is in the metadata of its attribute; what it takes
is what the reader of its value says of a wrong one.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs

from uac_trio.config.crms import keys_of_crm
from uac_trio.config.keys import Key, Keys, keys_of, optional
from uac_trio.config.tables import SERVE_TABLES, TABLES
from uac_trio.crm.vtiger import VtigerSettings
from uac_trio.crm.webhook import WebhookSettings
from uac_trio.recordings.settings import HostSettings
from uac_trio.settings import Setting
from uac_trio.settings.values import WrongValueError

PAGE = Path(__file__).resolve().parent.parent / "docs" / "configuration.md"

CRMS: Mapping[str, type[Any]] = {"vtiger": VtigerSettings, "webhook": WebhookSettings}
FILE = "the path of a file, or the name of a credential of systemd"
TITLES: Mapping[str, str] = {
    "pbx": "One for each Asterisk server.",
    "calls": "Who is an employee, and which calls are delivered.",
    "vtiger": "The CRM. Exactly one of `[vtiger]` and `[webhook]`.",
    "webhook": "Any other CRM: signed JSON ([crm.md](crm.md)).",
    "click2call": "Clicks on numbers in the CRM.",
    "route": "Callers to the employee who owns their contact ([routing.md](routing.md)).",
    "http": "The server for clicks, recordings and monitoring.",
    "companion": "Events for the browsers of the CRM's users: popups that come at once.",
    "recordings": "What becomes of recordings ([recordings.md](recordings.md)).",
    "store": "Where deliveries wait ([ha.md](ha.md)).",
    "sender": "How the CRM is sent to.",
    "flight_recorder": "The last hours of AMI, for a support case ([debugging.md](debugging.md)).",
    "alerts": "When the daemon finds that something is wrong ([conditions.md](conditions.md)).",
    "log": "The log, on stderr.",
    "serve": "Of `uac-trio serve-recordings`, on the machine that has the files.",
}


def takes(key: Key) -> str:
    """What is said of a wrong value."""
    try:
        key.read(object())
    except WrongValueError as why:
        return str(why)
    except (TypeError, ValueError, AttributeError):
        return ""
    return ""


def default(settings: type[Any], key: Key) -> str:
    """As it would be written in the file; "" for a key without one."""
    value = attrs.fields_dict(settings)[key.attribute].default
    if value is attrs.NOTHING:
        return "required" if key.required else ""
    if (factory := getattr(value, "factory", None)) is not None:  # of attrs.Factory
        value = factory()
    return "" if value is None else f"`{_toml(value)}`"


def _toml(value: object) -> str:
    match value:
        case bool():
            return str(value).lower()
        case enum.Enum():
            return _toml(value.value)
        case re.Pattern():
            return f"'{value.pattern}'"
        case float():
            return f"{value:g}"
        case int():
            return str(value)
        case Mapping():
            return "{}"
        case tuple() | frozenset():
            return f"[{', '.join(_toml(str(each)) for each in value)}]"
        case _:
            return f'"{value}"'


def lines() -> Iterator[str]:
    yield "# Configuration"
    yield ""
    yield "All keys of `/etc/uac-trio/uac-trio.toml`, and of `[serve]`, the one table besides `[log]` that"
    yield "`uac-trio serve-recordings` reads. `deploy/uac-trio.example.toml` is a file to begin with. Any other key is"
    yield "a mistake; `uac-trio check` names it with its line."
    yield ""
    yield "Made by `python -m tools.make_configuration` from the settings of the program."
    for name, title in TITLES.items():
        yield ""
        yield f"## [[{name}]]" if name == "pbx" else f"## [{name}]"
        yield ""
        yield title
        yield ""
        yield "| key | takes | default | meaning |"
        yield "|---|---|---|---|"
        for settings, keys in parts(name):
            for key in keys.values():
                for cells in rows(settings, key):
                    yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def parts(table: str) -> Iterator[tuple[type[Any], Keys]]:
    """The settings classes of a table with their keys."""
    if table in CRMS:
        yield CRMS[table], keys_of_crm(CRMS[table])
        return
    for settings in {**TABLES, **SERVE_TABLES}[table]:
        keys = keys_of(settings)
        yield settings, optional(keys) if settings is HostSettings else keys


def rows(settings: type[Any], key: Key) -> Iterator[tuple[str, str, str, str]]:
    described: Setting = attrs.fields_dict(settings)[key.attribute].metadata[Setting]
    meaning = described.meaning
    yield f"`{key.name}`", takes(key), default(settings, key), meaning
    if key.secret:
        yield f"`{key.file}`", FILE, "", f"Instead of `{key.name}`: the file that has it."


def page() -> str:
    return "".join(f"{line}\n" for line in lines())


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
