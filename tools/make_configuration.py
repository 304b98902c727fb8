"""Writes docs/configuration.md from the settings classes and the keys of the configuration.

    python -m tools.make_configuration

tests/test_docs.py holds the committed page to this. What a key means is the docstring of its attribute; what it takes
is what the reader of its values says of a wrong one.
"""

from __future__ import annotations

import ast
import enum
import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from uac_trio.ami_client.server import AMIServer
from uac_trio.calls.rules import TrackerRules
from uac_trio.config.crms import keys_of
from uac_trio.config.reader import Key, Keys
from uac_trio.config.tables import (
    CALLS,
    CLICK2CALL,
    HOST,
    HTTP,
    LOG,
    RECORDINGS,
    RESPONSIBLE,
    ROOTS,
    ROUTE,
    SECRET,
    SENDER,
    SERVE,
    SERVER,
    STORE,
)
from uac_trio.config.values import WrongValueError
from uac_trio.crm.click import Click2CallRules, Route
from uac_trio.crm.responsible import ResponsibleRules
from uac_trio.crm.vtiger import VtigerSettings
from uac_trio.crm.webhook import WebhookSettings
from uac_trio.logs import LogSettings
from uac_trio.recordings.settings import HostSettings, RecordingsSettings
from uac_trio.sender.breaker import SenderSettings
from uac_trio.store.settings import OutboxSettings
from uac_trio.web.settings import ServeSettings, WebSettings

PAGE = Path(__file__).resolve().parent.parent / "docs" / "configuration.md"

Part = tuple[Keys, type[Any] | None]
TABLES: Mapping[str, Sequence[Part]] = {
    "[[pbx]]": [(SERVER, AMIServer), (SECRET, None), (ROUTE, Route), (ROOTS, None), (HOST, HostSettings)],
    "[calls]": [(CALLS, TrackerRules)],
    "[vtiger]": [(keys_of(VtigerSettings), VtigerSettings), (SECRET, None)],
    "[webhook]": [(keys_of(WebhookSettings), WebhookSettings), (SECRET, None)],
    "[click2call]": [(CLICK2CALL, Click2CallRules)],
    "[route]": [(RESPONSIBLE, ResponsibleRules), (SECRET, None)],
    "[http]": [(HTTP, WebSettings)],
    "[recordings]": [(RECORDINGS, RecordingsSettings)],
    "[store]": [(STORE, OutboxSettings)],
    "[sender]": [(SENDER, SenderSettings)],
    "[log]": [(LOG, LogSettings)],
    "[serve]": [(SERVE, ServeSettings), (SECRET, None)],
}


TITLES: Mapping[str, str] = {
    "[[pbx]]": "One for each Asterisk server.",
    "[calls]": "Who is an employee, and which calls are delivered.",
    "[vtiger]": "The CRM. Exactly one of `[vtiger]` and `[webhook]`.",
    "[webhook]": "Any other CRM: signed JSON ([crm.md](crm.md)).",
    "[click2call]": "Clicks on numbers in the CRM.",
    "[route]": "Callers to the employee who owns their contact ([routing.md](routing.md)).",
    "[http]": "The server for clicks, recordings and monitoring.",
    "[recordings]": "What becomes of recordings ([recordings.md](recordings.md)).",
    "[store]": "Where deliveries wait ([ha.md](ha.md)).",
    "[sender]": "How the CRM is sent to.",
    "[log]": "The log, on stderr.",
    "[serve]": "Of `uac-trio serve-recordings`, on the machine that has the files.",
}
MEANINGS: Mapping[str, str] = {
    "secret": "The secret itself, or",
    "secret_file": "the file that has it: a path, or the name of a credential of systemd.",
    "recordings": "Directories beneath which this PBX's recordings are.",
    "recordings_secret": "`[serve] secret` of that machine, or",
    "recordings_secret_file": "the file that has it.",
    "url_file": "The file that has the address, instead of `url`: it may have a password.",
}
"""Of keys that are no attributes."""


def descriptions(settings: type[Any]) -> dict[str, str]:
    """The docstring of each attribute, of base classes too."""
    found: dict[str, str] = {}
    for each in reversed(settings.__mro__):
        if not attrs.has(each):
            continue
        (body,) = ast.parse(inspect.getsource(each).lstrip()).body
        assert isinstance(body, ast.ClassDef)  # noqa: S101 - attrs decorates classes
        for line, after in zip(body.body, [*body.body[1:], ast.Pass()], strict=True):
            if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name):
                text = (
                    after.value.value if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) else ""
                )
                found[line.target.id] = " ".join(str(text).split())
    return found


def takes(key: Key) -> str:
    """What is said of a wrong value."""
    try:
        key.read(object())
    except WrongValueError as why:
        return str(why)
    except (TypeError, ValueError, AttributeError):
        return ""
    return ""


def default(settings: type[Any] | None, attribute: str) -> str:
    """As it would be written in the file; "" for a key without one."""
    fields = attrs.fields_dict(settings) if settings is not None else {}
    if attribute not in fields:
        return ""
    value = fields[attribute].default
    if value is attrs.NOTHING:
        return "required"
    if isinstance(value, attrs.Factory):  # type: ignore[arg-type]
        value = value.factory()  # type: ignore[union-attr]
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
    for table, parts in TABLES.items():
        yield ""
        yield f"## {table}"
        yield ""
        yield TITLES[table]
        yield ""
        yield "| key | takes | default | meaning |"
        yield "|---|---|---|---|"
        for keys, settings in parts:
            texts = descriptions(settings) if settings else {}
            for name, key in keys.items():
                attribute = key.attribute or name
                meaning = (texts.get(attribute) or MEANINGS.get(name, "")).replace("``", "`")
                cells = (f"`{name}`", takes(key), default(settings, attribute), meaning)
                yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def page() -> str:
    return "".join(f"{line}\n" for line in lines())


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
